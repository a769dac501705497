#!/usr/bin/env bash
# The embedded model beside llama.cpp's own programs, on the same file of random weights and with the same threads: tokens
# read and written by one request, and eight requests at once that share a beginning.
#
# usage: bench-llama.sh [THREADS]
set -euo pipefail
cd "$(dirname "$0")/.."

threads=${1:-$(nproc)}
peers=target/peers/llama
file=target/large.gguf
python=target/gguf-venv/bin/python

mapfile -t programs < <(scripts/llama-server.sh "$peers")
if ! "$python" -c 'import gguf, numpy' 2>/dev/null; then
  python3 -m venv --clear target/gguf-venv
  "$python" -m pip install --quiet gguf numpy
fi
[ -f "$file" ] || "$python" scripts/gguf.py "$file" --large

echo "== llama-bench, $threads threads"
"${programs[1]}" -m "$file" -p 512 -n 64 -t "$threads" -r 3 2>/dev/null | grep -E 'pp512|tg64'
echo "== the embedded model, $threads threads"
cargo bench --package agent-runtime --features llama --bench llama -- "$file" "$threads"
echo "== llama-server, $threads threads"
"$python" scripts/bench-llama-server.py "${programs[0]}" "$file" "$threads"
