#!/usr/bin/env bash
# Builds the page that verifies receipts in a browser: docs/verify/index.html with the verifier in it, one file that needs
# nothing else. What is built lies in target/page.
#
# usage: page.sh OUT.html
set -euo pipefail
out=${1:?usage: page.sh OUT.html}
mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
cd "$(dirname "$0")/.."

readonly target=wasm32-unknown-unknown
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
  echo "page: the target $target is not installed: rustup target add $target" >&2
  exit 1
fi
cargo build --quiet --release --locked --target "$target" --target-dir target/page --manifest-path receipts/browser/Cargo.toml
base64 -w 0 "target/page/$target/release/verify_page.wasm" >target/page/wasm.base64
# A reader finds the old file or the new one.
awk 'BEGIN { getline wasm < "target/page/wasm.base64" }
  { at = index($0, "@WASM@"); if (at) print substr($0, 1, at - 1) wasm substr($0, at + 6); else print }' \
  docs/verify/index.html >"$out.new"
mv "$out.new" "$out"
