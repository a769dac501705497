#!/usr/bin/env bash
# The main job, once, on the project's own docs/: a checked report, receipts as files, and their verification.
# The home is target/demo, made anew; the person's own home and settings are not touched. Building may fetch crates;
# running needs no key, no server and no network.
#
# usage: demo.sh [built]     `built` takes the program that the tests before it built
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh demo

target=${CARGO_TARGET_DIR:-target}
# Without llama.cpp and WebAssembly, which take minutes to compile and which the demo does not use.
[ "${1:-}" = built ] || cargo build --workspace --no-default-features
ii=$target/debug/ii
demo=target/demo

rm -rf "$demo"
mkdir -p "$demo"
unset "${!II_@}"
export II_HOME=$PWD/$demo/home

show() { printf '\n$ ii %s\n' "$*" >&2; }

question="Who may pause a run, and what must be true before a module is accepted?"
show "run \"$question\" --docs ./docs"
"$ii" run "$question" --docs ./docs

run=$("$ii" runs list --json | sed -n 's/.*"id": *"\([0-9a-f-]*\)".*/\1/p' | head -n 1)
show "receipts export $run --out $demo/receipts"
"$ii" receipts export "$run" --out "$demo/receipts"
show "verify $demo/receipts"
"$ii" verify "$demo/receipts"

printf '\nThe run stays in %s. Look again: II_HOME=%s %s runs show %s\n' "$demo" "$II_HOME" "$ii" "$run" >&2
