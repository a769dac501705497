#!/usr/bin/env bash
# What the machine must have for `demo` (build and run) or `test` (all checks): installs it where it may, which is as root
# with apt-get, and names it where it may not. Says nothing when nothing is missing. Rust is named, never installed.
#
# usage: setup.sh demo|test     or     setup.sh missing, which prints what the foreign verification lacks and changes nothing
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:?usage: setup.sh demo|test|missing}
readonly rust_line="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"

say() { printf 'setup: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null; }

# The C parts of the build are SQLite and zstd, both compiled from source that their crates carry; every Rust program needs
# cc to link. A compiler without the C library's headers is none.
compiles_c() {
  has cc && printf '#include <stdio.h>\nint main(void) { return 0; }\n' | cc -x c -o /dev/null - 2>/dev/null
}
makes_venv() { has python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; }

may_install() { [ "$(id -u)" = 0 ] && has apt-get; }

# install PACKAGE…
install() {
  may_install || return 1
  say "installing $*"
  local log
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  if apt-get -o Acquire::Retries=3 update -qq >"$log" 2>&1 && apt-get -o Acquire::Retries=3 install -y -qq --no-install-recommends "$@" >>"$log" 2>&1; then
    rm -f "$log"
  else
    tail -n 20 "$log" >&2
    say "apt-get could not install $* (whole output: $log)"
    return 1
  fi
}

# name_packages WHY PACKAGE…
name_packages() {
  local why=$1
  shift
  if has apt-get; then
    say "$why: sudo apt-get install -y $*"
  else
    say "$why: install what your system calls $*"
  fi
}

needs_cargo() {
  if ! has cargo; then
    say "Rust is missing. This line installs it; then run the same command again:"
    say "  $rust_line"
    if ! has curl && ! install curl ca-certificates; then
      name_packages "that line needs curl" curl ca-certificates
    fi
    return 1
  fi
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  found=$(rustc --version | cut -d' ' -f2)
  if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    say "Rust $found is too old, $wanted is needed: rustup update stable"
    return 1
  fi
}

needs_cc() {
  compiles_c || install gcc libc6-dev || {
    name_packages "a C compiler is missing" gcc libc6-dev
    return 1
  }
}

# llama.cpp, which the embedded model runs in, is compiled from source that its crate carries.
missing_llama() {
  has cmake || echo cmake
  has clang || echo clang
  # Only the folders a library lies in: a whole search would take longer than the rest of this script.
  compgen -G '/usr/lib*/llvm*/lib/libclang*.so*' >/dev/null || compgen -G '/usr/lib*/libclang*.so*' >/dev/null \
    || compgen -G '/usr/lib/*/libclang*.so*' >/dev/null || [ -n "${LIBCLANG_PATH:-}" ] || [ "$(uname -s)" = Darwin ] \
    || echo libclang-dev
}
needs_llama() {
  local missing
  mapfile -t missing < <(missing_llama)
  [ ${#missing[@]} = 0 ] || install "${missing[@]}" || {
    name_packages "to build the embedded model (or build with --no-default-features)" "${missing[@]}"
    return 1
  }
}

# The crash tests end programs with the program of this name; the shell's own is none.
needs_kill() {
  type -P kill >/dev/null || install procps || {
    name_packages "the program kill is missing" procps
    return 1
  }
}

# Tools of other makers that verify our receipts, as packages. Without them the other tests still run.
missing_foreign() {
  has jq || echo jq
  has openssl || echo openssl
  has xxd || echo xxd
  has node || echo nodejs
  makes_venv || echo python3-venv
}
wants_foreign() {
  local missing
  mapfile -t missing < <(missing_foreign)
  [ ${#missing[@]} = 0 ] || install "${missing[@]}" || name_packages "for the foreign verification" "${missing[@]}"
}

# What the tests of the sandboxes run with: a container engine, its init and an image's only program, a browser, and the
# interpreters that play hostile programs. Where they cannot be had, those tests are left out by name, but not under CI.
missing_sandboxes() {
  [ "$(uname -s)" = Linux ] || return 0
  has dockerd || echo docker.io
  has docker-init || has tini || echo tini
  busybox --help >/dev/null 2>&1 && ! ldd "$(command -v busybox)" >/dev/null 2>&1 || echo busybox-static
  has chromium || has google-chrome || echo chromium
  has perl || echo perl-base
  has curl || echo curl
  [ -d /etc/ssl/certs ] || echo ca-certificates
}
wants_sandboxes() {
  local missing
  mapfile -t missing < <(missing_sandboxes)
  [ ${#missing[@]} = 0 ] || install "${missing[@]}" || name_packages "for the tests of the sandboxes" "${missing[@]}"
}

# The terminal that the tests of the conversation type into, and the shells that load the completions.
missing_terminal() {
  local name
  for name in tmux zsh fish; do has "$name" || echo "$name"; done
}
wants_terminal() {
  local missing
  mapfile -t missing < <(missing_terminal)
  [ ${#missing[@]} = 0 ] || install "${missing[@]}" || name_packages "for the tests in a terminal" "${missing[@]}"
}

# A Postgres with pgvector for the tests of the commons, as a file under target/ that nothing is installed from. Where it
# cannot be had, those tests are left out by name, but not under CI.
wants_postgres() {
  has setpriv || [ "$(id -u)" != 0 ] || install util-linux || name_packages "to run Postgres as another user" util-linux
  if has python3 && ! python3 -c 'import pip' 2>/dev/null; then
    install python3-pip || name_packages "to fetch Postgres" python3-pip
  fi
  scripts/postgres.sh fetch || true
}

# A Bitcoin node in JavaScript for the tests of anchoring. What there is to fetch is many small files: it is fetched while the
# compiler works, and the test that wants it waits, or says why it cannot be had.
wants_node() {
  local missing=() name
  for name in node npm; do has "$name" || missing+=("${name/#node/nodejs}"); done
  [ ${#missing[@]} = 0 ] || install "${missing[@]}" || name_packages "for the tests of anchoring" "${missing[@]}"
  nohup scripts/bcoin.sh target/peers/bcoin >/dev/null 2>&1 </dev/null &
}

case $purpose in
  demo | test) ;;
  missing) missing_foreign; exit ;;
  *) say "unknown purpose $purpose"; exit 2 ;;
esac

# All are looked at before giving up, so that one run names everything that is missing.
ready=yes
needs_cc || ready=no
needs_cargo || ready=no
if [ "$purpose" = test ]; then
  needs_kill || ready=no
  needs_llama || ready=no
  wants_foreign
  wants_sandboxes
  wants_terminal
  wants_postgres
  wants_node
fi
[ $ready = yes ]
