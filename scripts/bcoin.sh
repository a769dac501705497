#!/usr/bin/env bash
# Puts bcoin, a Bitcoin node in JavaScript, into PREFIX for the tests of anchoring: no script of any package runs, and the
# one native part, a database on disk, is replaced by a stub, since the tests keep everything in memory. Nothing of the
# machine is changed. Prints the folder that programs load it from.
#
# usage: bcoin.sh PREFIX
set -euo pipefail

prefix=${1:?usage: bcoin.sh PREFIX}
readonly version=1.0.2

fail() {
  printf 'bcoin.sh: %s\n' "$*" >&2
  exit 1
}

command -v node >/dev/null || fail "node is missing: install nodejs"
command -v npm >/dev/null || fail "npm is missing: install npm"
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
# Two that ask at once fetch once: the second waits for the first.
exec 9>"$prefix/lock"
if command -v flock >/dev/null; then flock 9; fi

fetch() {
  local log=$prefix/npm.log
  rm -rf "$prefix/new"
  mkdir "$prefix/new"
  printf '{"name":"peer","private":true,"dependencies":{"bcoin":"%s"}}\n' "$version" >"$prefix/new/package.json"
  (cd "$prefix/new" && npm install --ignore-scripts --omit=dev --omit=optional --no-audit --no-fund) >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    fail "bcoin $version cannot be fetched (whole output: $log)"
  }
  # Loaded by name even where nobody opens a database on disk.
  rm -rf "$prefix/new/node_modules/leveldown"
  mkdir "$prefix/new/node_modules/leveldown"
  printf 'module.exports = () => { throw new Error("no database on disk here"); };\n' \
    >"$prefix/new/node_modules/leveldown/index.js"
  NODE_BACKEND=js node -e "require('$prefix/new/node_modules/bcoin')" || fail "bcoin $version does not load"
  rm -rf "$prefix/root"
  mv "$prefix/new" "$prefix/root"
}
[ -d "$prefix/root" ] || fetch

printf '%s\n' "$prefix/root/node_modules/bcoin"
