#!/bin/sh
# Writes the golden vectors anew with Apache Kafka's own classes. Needs a JDK (17 or newer) and Maven; the jars go to a
# temporary directory and are not kept. `cargo test --test golden` reads what is written here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mvn -q -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/libs"
java -cp "$work/libs/*" "$here/GoldenVectors.java" "$here"
