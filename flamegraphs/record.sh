#!/usr/bin/env bash
# record.sh SCENARIO.. | all: flame graphs of the broker under a named load, on and off the CPU, into flamegraphs/SCENARIO*.svg.
#   produce-small   64 connections, one 1 KiB record a request, 20,000 requests/s      produce-large   8 connections, 128 KiB batches
#   tail-fetch      readers at the end of a topic that is written to                   cold-fetch      a topic larger than the broker's memory
#   thousand        20,000 requests/s over 1,000 partitions                            idle            nothing
# Needs: cargo, perf (as root, or kernel.perf_event_paranoid <= 1), two CPUs. SECONDS_EACH=5, RATE=997 (samples a second), DATA=a folder on
# the disk to measure. inferno is installed into target/tools.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
seconds=${SECONDS_EACH:-5}
rate=${RATE:-997}
data=${DATA:-$target/flame-data}
at=127.0.0.1:19790
tools=$target/tools/bin

usage() { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
[ $# -gt 0 ] || usage
scenarios=("$@")
[ "$1" = all ] && scenarios=(produce-small produce-large tail-fetch cold-fetch thousand idle)

[ -n "${BROKER_BIN:-}" ] || cargo build --release --bin ringlog
[ -n "${LOAD_BIN:-}" ] || cargo build --release -p bench-harness
[ -x "$tools/inferno-flamegraph" ] || cargo install inferno --no-default-features --features cli --root "$target/tools"
ringlog=${BROKER_BIN:-$target/release/ringlog}
load=${LOAD_BIN:-$target/release/load}

broker=
cleanup() { if [ -n "$broker" ]; then kill "$broker" 2>/dev/null || true; wait "$broker" 2>/dev/null || true; fi; rm -rf "$data"; }
trap cleanup EXIT

run_load() { taskset -c 1 "$load" "$@" -b "$at" >/dev/null 2>&1 || true; }
produce() { run_load produce --cpu 1 --warmup 0 "$@"; }

# What the load does; $1 = scenario, $2 = seconds.
drive() {
    case $1 in
        produce-small) produce -t small --rate 20000 --seconds "$2" ;;
        produce-large) produce -t large --closed --connections 8 --batch-records 128 --seconds "$2" ;;
        thousand) produce -t thousand --partitions 1000 --rate 20000 --seconds "$2" ;;
        tail-fetch)
            produce -t tail --rate 5000 --seconds "$2" &
            for _ in $(seq $(($2 * 4))); do run_load consume -t tail --cpu 1 --check offsets; done
            wait $! ;;
        cold-fetch) for _ in $(seq 50); do run_load consume -t cold --cpu 1 --passes 1 --check offsets; done ;;
        idle) sleep "$2" ;;
    esac
}

# What has to be there before.
prepare() {
    case $1 in
        cold-fetch) produce -t cold --rate 1200 --connections 8 --batch-records 128 --seconds 8 ;;
        thousand | produce-* | tail-fetch) drive "$1" 1 ;;
    esac
}

for name in "${scenarios[@]}"; do
    case $name in produce-small | produce-large | tail-fetch | cold-fetch | thousand | idle) ;; *) usage ;; esac
    rm -rf "$data"; mkdir -p "$data"
    "$ringlog" start --data-dir "$data" --listen "$at" --admin off --cpus 0 --memory 512MiB >"$data.log" 2>&1 &
    broker=$!
    for _ in $(seq 100); do "$ringlog" cluster info -b "$at" >/dev/null 2>&1 && break; sleep 0.1; done
    prepare "$name"
    drive "$name" $((seconds + 3)) &
    driver=$!
    sleep 1
    perf record -o "$data.on" -F "$rate" -e cpu-clock -g -p "$broker" -- sleep "$seconds" >"$data.perf" 2>&1 || { cat "$data.perf" "$data.log" >&2; exit 1; }
    # A thread that gives its CPU away: what it waits for, by number of times.
    perf record -o "$data.off" -e sched:sched_switch -g -p "$broker" -- sleep 1 >"$data.perf" 2>&1 || rm -f "$data.off"
    pkill -P "$driver" 2>/dev/null || true; kill "$driver" 2>/dev/null || true; wait "$driver" 2>/dev/null || true
    kill "$broker"; wait "$broker" 2>/dev/null || true; broker=
    for kind in on off; do
        [ -s "$data.$kind" ] || continue
        suffix=; title="ringlog, $name: on the CPU"
        [ $kind = off ] && suffix=.off && title="ringlog, $name: leaving the CPU"
        perf script --no-inline -i "$data.$kind" 2>/dev/null | "$tools/inferno-collapse-perf" -q >"$data.folded" || true
        [ -s "$data.folded" ] || continue
        "$tools/inferno-flamegraph" --title "$title" --minwidth 0.3 --hash <"$data.folded" >"flamegraphs/$name$suffix.svg"
        if [ $kind = on ]; then
            echo "== $name: what dominates (share of the broker's CPU)"
            awk '{n=$NF; total+=n; $NF=""; k=split($0, f, ";"); top[f[k]]+=n} END {for (s in top) printf "%5.1f %%  %s\n", 100*top[s]/total, s}' "$data.folded" | sort -rn | head -12
        fi
    done
    [ -n "${KEEP:-}" ] || rm -f "$data".{on,off,folded,log,perf}
done
