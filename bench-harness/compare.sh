#!/usr/bin/env bash
# compare.sh [options of the compare program]: floor, ringlog, Kafka 4.3.1 default and flushed, in one run, one table.
# Builds what it needs, gets Kafka's jars through Maven into target/kafka, measures, prints markdown.
# Needs: cargo, Java 17, mvn, taskset; two CPUs and some 40 GB on the disk of --work (default target/compare).
set -euo pipefail
cd "$(dirname "$0")/.."
version=${KAFKA_VERSION:-4.3.1}
target=${CARGO_TARGET_DIR:-target}
kafka=$target/kafka-$version

cargo build --release -p bench-harness ${RINGLOG_BUILD--p ringlog}
if [ ! -e "$kafka/complete" ]; then
    mkdir -p "$kafka"
    cat >"$kafka/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ringlog</groupId><artifactId>kafka-side</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.3</version></dependency>
  </dependencies>
</project>
POM
    mvn -q -B -f "$kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$(realpath "$kafka")/libs"
    touch "$kafka/complete"
fi
exec "$target/release/compare" --ringlog "$target/release/ringlog" --kafka-libs "$kafka/libs" \
    --work "$target/compare" --out "$target/compare.json" "$@"
