#!/usr/bin/env bash
# The CI amount of the power-cut and kill rigs: installs what is missing (Debian, Ubuntu), builds, runs. Needs root.
#   IMAGES=40 ROUNDS=30 FAULTS=2 SEED=1 tests/powercut/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
images=${IMAGES:-40} rounds=${ROUNDS:-30} faults=${FAULTS:-2} seed=${SEED:-1}

missing=()
command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
command -v mkfs.xfs >/dev/null || missing+=(xfsprogs)
command -v fusermount3 >/dev/null || missing+=(fuse3)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
fi
[ -e /dev/fuse ] || { echo "powercut: /dev/fuse is missing: modprobe fuse, or run the container with --device /dev/fuse" >&2; exit 1; }

cargo build --quiet --bin ringlog
cargo build --quiet -p powercut
powercut=${CARGO_TARGET_DIR:-target}/debug/powercut
failed=0
"$powercut" selftest --seed "$seed" || failed=1
"$powercut" gate || failed=1
"$powercut" run --fs both --images "$images" --seed "$seed" || failed=1
"$powercut" run --fs ext4 --images 8 --flush-off --seed "$seed" || failed=1
# `hung` and `late` hold up every sync on the machine: see the README, Failing disks.
timeout -k 10 900 "$powercut" faults --kinds "${FAULT_KINDS:-errno,full}" --rounds "$faults" --seed "$seed" || failed=1
"$powercut" kill --rounds "$rounds" --producers 4 --seed "$seed" || failed=1
exit $failed
