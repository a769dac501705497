#!/usr/bin/env bash
# Puts llama.cpp's own programs into PREFIX, for benchmarks beside them and for tests of the server client: Debian has them
# in sid only, built for a newer C library, so they come with that library and run through its own loader. Nothing of the
# machine is changed. Prints the paths of PREFIX/llama-server and PREFIX/llama-bench, and their version on stderr.
#
# usage: llama-server.sh PREFIX
set -euo pipefail

prefix=${1:?usage: llama-server.sh PREFIX}
readonly packages=(
  llama.cpp-tools libllama0 libggml0 libc6 libstdc++6 libgcc-s1 libgomp1 libssl3t64 zlib1g libzstd1
)

say() { printf 'llama-server.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

[ "$(uname -sm)" = "Linux x86_64" ] || fail "only for Linux on x86-64, and this is $(uname -sm)"
command -v apt-get >/dev/null || fail "apt-get is missing: this needs a Debian system"
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
# Two that ask at once fetch once: the second waits for the first.
exec 9>"$prefix/lock"
flock 9

# apt OPTION…: with lists of its own, and no package installed as far as it knows.
apt() {
  apt-get -qq -o Dir::State="$prefix/apt" -o Dir::State::status="$prefix/apt/status" -o Dir::Cache="$prefix/apt/cache" \
    -o Dir::Etc::sourcelist="$prefix/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Architecture=amd64 \
    -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

fetch() {
  local mirror archive
  # Debian's own mirror, as this machine is set up to use it.
  # shellcheck disable=SC2016  # apt's own variables
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' | sed -n 's|^Debian \(.*/debian/\{0,1\}\)$|\1|p' | sort -u | head -n 1)
  [ -n "$mirror" ] || fail "no mirror of Debian is known here: apt-get update, or add one to apt's sources"
  rm -rf "$prefix/apt" "$prefix/root"
  mkdir -p "$prefix"/apt/lists/partial "$prefix"/apt/cache "$prefix"/apt/archives
  : >"$prefix/apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$prefix/apt/sources.list"
  say "fetching llama.cpp from Debian sid"
  apt update || fail "the package lists of sid cannot be fetched from $mirror"
  (cd "$prefix/apt/archives" && apt download "${packages[@]}") || fail "not all packages can be fetched from $mirror: ${packages[*]}"
  for archive in "$prefix"/apt/archives/*.deb; do dpkg-deb -x "$archive" "$prefix/unpacked"; done
  mv "$prefix/unpacked" "$prefix/root"
  rm -rf "$prefix/apt"
}
[ -d "$prefix/root" ] || fetch

loader=$prefix/root/usr/lib64/ld-linux-x86-64.so.2
libraries=$prefix/root/usr/lib/x86_64-linux-gnu
# ggml looks for its back ends where Debian installs them; the one for this processor is named to it instead.
cpu=sse42
for pair in avx2:haswell avx512f:skylakex avx512_vnni:icelake avx512_bf16:zen4; do
  if grep -qm 1 "^flags.* ${pair%:*}\( \|$\)" /proc/cpuinfo; then cpu=${pair#*:}; fi
done
backend=$libraries/ggml/backends0/libggml-cpu-$cpu.so
[ -f "$backend" ] || fail "$backend is missing; remove $prefix and run this again"

for program in llama-server llama-bench; do
  # In one step: another may be starting the one that was there.
  cat >"$prefix/$program.new" <<EOF
#!/bin/sh
GGML_BACKEND_PATH='$backend' exec '$loader' --library-path '$libraries:$libraries/llama' '$prefix/root/usr/bin/$program' "\$@"
EOF
  chmod +x "$prefix/$program.new"
  mv "$prefix/$program.new" "$prefix/$program"
done
said=$("$prefix/llama-server" --version 2>&1) || fail "$prefix/llama-server does not run: $(tail -n 1 <<<"$said")"
version=$(sed -n 's/^version: //p' <<<"$said")
say "llama.cpp $version, processor back end $cpu"
printf '%s\n' "$prefix/llama-server" "$prefix/llama-bench"
