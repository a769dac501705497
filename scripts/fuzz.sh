#!/usr/bin/env bash
# Fuzzes every parser of signed or foreign bytes, what guardians are shown and what a collection is given, with libFuzzer, two at
# a time. Needs no nightly Rust: coverage comes from LLVM's pass, and without a sanitizer, for none of this is unsafe code. What was
# learnt is kept in target/fuzz/corpus, a crash in target/fuzz/crashes. Golden files of the repository and the inputs that are
# kept beside the targets are the seeds.
#
# usage: fuzz.sh [SECONDS for each target, 600 without] [TARGET…]
set -euo pipefail
seconds=${1:-600}
[ $# = 0 ] || shift
cd "$(dirname "$0")/.."

triple=$(rustc -vV | sed -n 's/^host: //p')
readonly triple
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
coverage+=" -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
for crate in receipts guardian commons-index; do
  RUSTFLAGS="$coverage" cargo build --quiet --release --locked --target "$triple" --target-dir target/fuzz/build \
    --manifest-path "$crate/fuzz/Cargo.toml"
done
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for path in {receipts,guardian,commons-index}/fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$path" .rs)"); done
fi

# fuzz TARGET: says how many inputs it tried, and fails with a crash.
fuzz() {
  local target=$1 corpus=target/fuzz/corpus/$1 log=target/fuzz/$1.log seeds=() place
  for place in {receipts,guardian}/tests/golden {receipts,guardian,commons-index}/fuzz/corpus/"$target"; do
    [ ! -d "$place" ] || seeds+=("$place")
  done
  mkdir -p "$corpus" target/fuzz/crashes
  if "target/fuzz/build/$triple/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="target/fuzz/crashes/$target-" "$corpus" "${seeds[@]}" >"$log" 2>&1; then
    printf 'fuzz: %-12s %s inputs, none fails\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  else
    tail -n 25 "$log" >&2
    printf 'fuzz: %s fails: target/fuzz/crashes\n' "$target" >&2
    return 1
  fi
}
export -f fuzz
export seconds triple
printf '%s\n' "${targets[@]}" | xargs -P 2 -I {} bash -c 'fuzz {}'
