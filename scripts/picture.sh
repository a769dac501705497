#!/usr/bin/env bash
# Draws docs/run.svg: the screen of a real run on docs/, as text in a picture.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
question="Who may pause a run, and what must be true before a module is accepted?"
{
    echo "\$ ii run \"$question\" --docs ./docs"
    II_HOME=$home target/debug/ii run "$question" --docs ./docs 2>&1 | sed -E 's/[0-9a-f]{8}-[0-9a-f-]{27}/01a1fd4e-…/g'
} | python3 scripts/picture.py > docs/run.svg
echo "docs/run.svg drawn"
