#!/usr/bin/env bash
# Two-hop questions on real text through `ii run`: what is cited, whether the answer stands in it, how long it takes. Before
# that, how well search alone finds, by words, by vectors and by ways to put them together (an hour on two cores, the first time).
# The data are in $II_SHARED/data (../shared/data); without them there is nothing to do.
set -euo pipefail
export OMP_WAIT_POLICY=passive
cd "$(dirname "$0")/.."
data=${II_SHARED:-../shared}/data
if ! [ -d "$data/hotpotqa-200" ]; then
  echo "skipped: evaluation: there is no $data/hotpotqa-200"
  exit 0
fi
scripts/models.sh target/models
# As the tests build it: another profile would compile llama.cpp once more.
cargo bench --quiet --profile dev --workspace --bench quality -- "$data" target/models/all-minilm-l6-v2.gguf target/quality --dump target/quality/dump.jsonl
python3 scripts/quality.py target/quality/dump.jsonl
cargo build --quiet --workspace
python3 scripts/eval.py "$data" target/debug/ii --embeddings "llama:$PWD/target/models/all-minilm-l6-v2.gguf" "$@"
