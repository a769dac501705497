#!/usr/bin/env bash
# The embedded model beside llama.cpp's own programs, on the same file of random weights and with the same threads: tokens
# read and written by one request, and eight requests at once that share a beginning.
#
# usage: bench-llama.sh [THREADS]
set -euo pipefail
cd "$(dirname "$0")/.."

threads=${1:-$(nproc)}
peers=target/peers/llama
file=$PWD/target/large.gguf
python=target/gguf-venv/bin/python

mapfile -t programs < <(scripts/llama-server.sh "$peers")
if ! "$python" -c 'import gguf, numpy' 2>/dev/null; then
  python3 -m venv --clear target/gguf-venv
  "$python" -m pip install --quiet gguf numpy
fi
[ -f "$file" ] || "$python" scripts/gguf.py "$file" --large

# Both programs read 512 tokens, and write 64 after them. By turns, for a shared machine changes its speed.
bench() {
  "${programs[1]}" -m "$file" -p 512 -n 0 -t "$threads" -r 3 2>/dev/null | grep pp512
  "${programs[1]}" -m "$file" -p 0 -n 64 -d 512 -t "$threads" -r 3 2>/dev/null | grep tg64
}
# The workspace's own build: asked for by itself, the crate would compile llama.cpp again.
embedded() {
  cargo bench --quiet --workspace --profile "${PROFILE:-bench}" --bench llama -- "$file" "$threads" "$1"
}
scripts/models.sh target/models
small=$PWD/target/models/all-minilm-l6-v2.gguf
vectors() {
  echo "== llama-bench, all-MiniLM-L6-v2, $threads threads"
  "${programs[1]}" -m "$small" -embd 1 -p 512 -n 0 -t "$threads" -r 5 2>/dev/null | grep pp512
  echo "== the embedded model of vectors, $threads threads"
  cargo bench --quiet --workspace --profile "${PROFILE:-bench}" --bench llama -- "$small" "$threads" vectors
}
embedded nothing
for _ in 1 2 3; do vectors; done
for _ in 1 2 3; do
  echo "== llama-bench, $threads threads"
  bench
  echo "== the embedded model, $threads threads"
  embedded alone
done
echo "== the embedded model, $threads threads"
embedded together
echo "== llama-server, $threads threads"
"$python" scripts/bench-llama-server.py "${programs[0]}" "$file" "$threads"
