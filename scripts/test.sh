#!/usr/bin/env bash
# Every test and check there is. A stage that fails does not stop the others; whatever is left out is named at the end.
# A test or stage says that it leaves something out by a line `skipped: WHAT: WHY`, which is found in its output.
#
# The last line is `tests: N passed, N failed, N skipped`, summed over all test programs of the workspace.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test

logs=target/test-logs
rm -rf "$logs"
mkdir -p "$logs"
failed=()
times=()

has() { command -v "$1" >/dev/null; }

# stage NAME COMMAND…: runs it, keeps its output, notes its time and whether it failed.
stage() {
  local name=$1 began=$SECONDS
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  if ! "$@" </dev/null 2>&1 | tee "$logs/$name.log"; then
    failed+=("$name")
  fi
  times+=("$name $((SECONDS - began)) s")
}

# skip STAGE WHY
skip() { printf '\nskipped: %s: %s\n' "$1" "$2" | tee -a "$logs/skips.log"; }

# sum WORD: of all `test result:` lines.
sum() {
  local total=0 one
  while read -r one; do total=$((total + one)); done \
    < <(sed -n "s/^test result: .* \([0-9]*\) $1.*/\1/p" "$logs/tests.log")
  echo "$total"
}

# What the tests that failed printed, program by program.
failures() {
  awk '/^failures:$/ { inside = 1 } inside { print "  " $0 } /^test result: / { inside = 0 }' "$logs/tests.log" | tail -n 300
}

# Every skip once, wherever it was said; tests marked #[ignore] count as skips.
skips() {
  {
    cat "$logs"/*.log | sed -n 's/^skipped: *//p'
    sed -n 's/^test \(.*\) \.\.\. ignored\(, \)*\(.*\)/\1: \3/p' "$logs/tests.log"
  } | sort -u
}

shell_scripts() {
  local scripts=(.ci/run scripts/*.sh tests/foreign/*.sh)
  bash -n "${scripts[@]}"
  if has shellcheck; then
    shellcheck "${scripts[@]}"
  else
    echo "skipped: shellcheck of the scripts: it is not installed (apt-get install shellcheck)"
  fi
}

if cargo fmt --version >/dev/null 2>&1; then
  stage format cargo fmt --all --check
else
  skip format "rustfmt is not installed (rustup component add rustfmt)"
fi

# An engine of the tests' own, where none runs and one may be started.
stops=()
lints=
stop_all() {
  if [ -n "$lints" ]; then kill "$lints" 2>/dev/null || true; fi
  # One that cannot be stopped keeps none of the others running, and is no failure of a test.
  for one in "${stops[@]}"; do "$one" stop || echo "$one: it could not be stopped"; done
}
trap stop_all EXIT
if host=$(scripts/dockerd.sh start); then
  export DOCKER_HOST=$host
  stops+=(scripts/dockerd.sh)
else
  echo "no container engine: see above"
fi
# And a database of their own, never the machine's.
if url=$(scripts/postgres.sh start); then
  export II_TEST_POSTGRES=$url
  stops+=(scripts/postgres.sh)
else
  echo "no Postgres: see above"
fi

stage build cargo test --workspace --no-run
# Tests mostly wait, so the lints are made beside them: behind them in everything, and only once cargo has let go of the folder
# that both build in, which it does when the first test runs.
beside_tests() {
  local began
  until grep -qs '^ *Running ' "$logs/tests.log"; do
    [ -e "$logs/tests.done" ] && break
    sleep 1
  done
  began=$SECONDS
  nice -n 19 "$@" </dev/null >"$logs/lints.log" 2>&1 && touch "$logs/lints.passed"
  echo "lints $((SECONDS - began)) s, beside the tests" >"$logs/lints.time"
}
if cargo clippy --version >/dev/null 2>&1; then
  beside_tests cargo clippy --workspace --all-targets -- -D warnings &
  lints=$!
fi
stage tests cargo test --workspace --no-fail-fast -- --show-output
touch "$logs/tests.done"
# The page on security says what the tests showed, no more and no less.
stage hostile scripts/hostile.py check "$logs/tests.log"
# And guardians were silent about every run in which nothing was wrong.
stage watched scripts/watched.py check "$logs/tests.log"

if [ -n "$lints" ]; then
  printf '\n== lints: cargo clippy --workspace --all-targets -- -D warnings\n'
  wait "$lints" || true
  lints=
  cat "$logs/lints.log"
  times+=("$(cat "$logs/lints.time")")
  [ -e "$logs/lints.passed" ] || failed+=(lints)
  # What `make demo` builds.
  stage slim cargo clippy --workspace --no-default-features -- -D warnings
else
  skip lints "clippy is not installed (rustup component add clippy)"
fi

# A web page can verify receipts only as long as the crate needs no operating system.
wasm=wasm32-unknown-unknown
if [ -d "$(rustc --print sysroot)/lib/rustlib/$wasm" ]; then
  stage wasm cargo check -p receipts --target "$wasm"
else
  skip wasm "the target is not installed (rustup target add $wasm)"
fi

stage scripts shell_scripts

mapfile -t missing < <(scripts/setup.sh missing)
if [ ${#missing[@]} = 0 ]; then
  stage foreign tests/foreign/run.sh
else
  skip foreign "not installed: ${missing[*]}"
fi

stage demo scripts/demo.sh built

printf '\n== times\n'
printf '  %s\n' "${times[@]}" "total $SECONDS s"
printf '\n== skipped\n'
mapfile -t skipped < <(skips)
printf '  %s\n' "${skipped[@]:-nothing}"
if [ ${#failed[@]} != 0 ]; then
  failures
  printf '\n== failed\n'
  for name in "${failed[@]}"; do printf '  %s (%s)\n' "$name" "$logs/$name.log"; done
fi
printf '\ntests: %d passed, %d failed, %d skipped\n' "$(sum passed)" "$(sum failed)" "${#skipped[@]}"
[ ${#failed[@]} = 0 ]
