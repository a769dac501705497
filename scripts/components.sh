#!/usr/bin/env bash
# Builds the components of tools/components and writes each as a tool: OUT/NAME/tool.toml with the digest of the component
# beside it. What is built lies in target/components, so that a second run takes a moment.
#
# usage: components.sh OUT
set -euo pipefail
out=${1:?usage: components.sh OUT}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.."

readonly target=wasm32-wasip2
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
  echo "components: the target $target is not installed: rustup target add $target" >&2
  exit 1
fi

digest() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

for name in calculate table; do
  folder=tools/components/$name
  cargo build --quiet --release --locked --target "$target" --target-dir target/components \
    --manifest-path "$folder/Cargo.toml"
  mkdir -p "$out/$name"
  # A reader finds the old file or the new one.
  cp "target/components/$target/release/$name.wasm" "$out/$name/component.wasm.new"
  { printf 'wasm = "%s"\n' "$(digest "$out/$name/component.wasm.new")"; cat "$folder/tool.toml"; } >"$out/$name/tool.toml.new"
  mv "$out/$name/component.wasm.new" "$out/$name/component.wasm"
  mv "$out/$name/tool.toml.new" "$out/$name/tool.toml"
done
