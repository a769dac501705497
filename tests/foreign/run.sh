#!/usr/bin/env bash
# Receipts of a real run, checked by programs that know nothing of ii: openssl with jq, Python, Node.
# What cannot be had without a network is named and, outside CI, skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD/tests/foreign
work=$PWD/target/foreign
ii=$PWD/target/debug/ii
rm -rf "${work:?}/home" "${work:?}/receipts" "${work:?}/audited"
mkdir -p "$work"
export II_HOME=$work/home

"$ii" run "Who may pause a run, and what must be true before a module is accepted?" --docs ./docs >/dev/null 2>"$work/run.log" ||
    { cat "$work/run.log"; exit 1; }
run=$("$ii" runs list --json | jq -r '.[0].id')
"$ii" receipts export "$run" --out "$work/receipts"
"$ii" verify "$work/receipts" --trust "$work/receipts/trust.json" >/dev/null

"$here/openssl.sh" "$work/receipts"
node "$here/check.mjs" "$work/receipts"

beacon=$(printf 'a block that nobody knew' | sha256sum | cut -c1-64)
"$ii" receipts disclose "$run" --audit "$beacon" --open all --out "$work/audited"
"$ii" verify "$work/audited" --trust "$work/receipts/trust.json" --audit "$beacon" >/dev/null
python3 "$here/audit.py" "$work/audited" "$beacon" 8

venv=$work/venv
if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import in_toto_attestation, securesystemslib, rfc8785' 2>/dev/null; then
    python3 -m venv "$venv"
    if ! "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"; then
        [ -z "${CI:-}" ] || exit 1
        echo "skipped: Python's check, as its packages could not be fetched"
        exit 0
    fi
fi
"$venv/bin/python" "$here/check.py" "$work/receipts" "$ii"
