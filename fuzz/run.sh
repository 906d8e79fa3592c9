#!/bin/sh
# Runs every fuzz target for SECONDS_EACH (default 60) with the golden vectors as a start. Needs a nightly compiler; with
# cargo-fuzz installed, `cargo +nightly fuzz run TARGET` does the same for one target.
set -eu
cd "$(dirname "$0")"
seconds=${SECONDS_EACH:-60}
python3 seeds.py
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
target=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing $(echo $coverage) -Zsanitizer=address -Ccodegen-units=1" \
  cargo +nightly build --release --target "$target"
for name in ${*:-header control group produce fetch batch edge journal checkpoint index segment metadata}; do
  mkdir -p "corpus/$name" "artifacts/$name"
  echo "== $name"
  "target/$target/release/$name" "corpus/$name" -artifact_prefix="artifacts/$name/" -max_total_time="$seconds" \
    -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=10 -print_final_stats=1
done
