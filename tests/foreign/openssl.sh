#!/usr/bin/env bash
# docs/VERIFY.md as a program: every signature of every module of an export, with openssl and jq alone. Each check is also
# seen to fail on a changed message.
set -euo pipefail
receipts=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
count=0

pem() { printf '302a300506032b6570032100%s' "$1" | xxd -r -p | openssl pkey -pubin -inform DER; }

verified() { # public key in hex, message, signature
    pem "$1" >"$scratch/key"
    openssl pkeyutl -verify -pubin -inkey "$scratch/key" -rawin -in "$2" -sigfile "$3" >/dev/null ||
        { echo "openssl refuses $4" >&2; exit 1; }
    { cat "$2"; printf x; } >"$scratch/changed"
    if openssl pkeyutl -verify -pubin -inkey "$scratch/key" -rawin -in "$scratch/changed" -sigfile "$3" >/dev/null 2>&1; then
        echo "openssl accepts a changed $4" >&2
        exit 1
    fi
    count=$((count + 1))
}

pae() { # envelope → $scratch/pae, and its payload → $scratch/payload
    local type
    jq -r .payload "$1" | base64 -d >"$scratch/payload"
    type=$(jq -r .payloadType "$1")
    { printf 'DSSEv1 %d %s %d ' ${#type} "$type" "$(wc -c <"$scratch/payload")"; cat "$scratch/payload"; } >"$scratch/pae"
}

sole() { # envelope, key: its one signature; prints the id
    pae "$1"
    jq -r '.signatures[0].sig' "$1" | base64 -d >"$scratch/sig"
    verified "$2" "$scratch/pae" "$scratch/sig" "$1"
}

equal() { [ "$1" = "$2" ] || { echo "$3: $1 is not $2" >&2; exit 1; }; }
id() { sha256sum <"$scratch/pae" | cut -d' ' -f1; }

for module in "$receipts"/*/; do
    file=$module/receipt.intoto.json
    pae "$file"
    cp "$scratch/payload" "$scratch/statement"
    cp "$scratch/pae" "$scratch/receipt.pae"
    of() { jq -r "$1" "$scratch/statement"; }
    for role in associate node; do
        jq -r --arg id "$(of .predicate.actors.$role.keyid)" '.signatures[] | select(.keyid == $id) | .sig' "$file" |
            base64 -d >"$scratch/sig"
        verified "$(of .predicate.actors.$role.key)" "$scratch/receipt.pae" "$scratch/sig" "$file ($role)"
    done
    node=$(jq -r '.keys[] | select(.role == "node") | .public' "$receipts/trust.json")
    equal "$node" "$(of .predicate.actors.node.key)" "the node's key"

    sed '/^$/q' "$module/anchor-set.checkpoint" | sed '$d' >"$scratch/head"
    equal "$(sha256sum <"$scratch/head" | cut -d' ' -f1)" "$(of '.subject[0].digest.sha256')" "the subject"
    equal "$(head -1 "$scratch/head")" "$(of .predicate.anchorSet.origin)" "the origin"
    equal "$(sed -n 2p "$scratch/head")" "$(of .predicate.anchorSet.size)" "the size"
    equal "$(sed -n 3p "$scratch/head" | base64 -d | xxd -p -c 32)" "$(of .predicate.anchorSet.root)" "the root"
    log=$(jq -r .log.vkey "$receipts/trust.json" | cut -d+ -f3- | base64 -d | tail -c 32 | xxd -p -c 32)
    tail -1 "$module/anchor-set.checkpoint" | cut -d' ' -f3 | base64 -d | tail -c 64 >"$scratch/sig"
    verified "$log" "$scratch/head" "$scratch/sig" "$module/anchor-set.checkpoint"

    sole "$module/delegation-0.intoto.json" "$(of .predicate.actors.root.key)"
    equal "$(id)" "$(of .predicate.actors.principal.delegation)" "the principal's delegation"
    sole "$module/delegation-1.intoto.json" "$(of .predicate.actors.principal.key)"
    equal "$(id)" "$(of .predicate.actors.associate.delegation)" "the associate's delegation"
    sole "$module/verdict-0.intoto.json" "$(of '.predicate.verdicts[0].by')"
    equal "$(id)" "$(of '.predicate.verdicts[0].statement')" "the verdict"
    equal "$(jq -r '.subject[0].digest.sha256' "$scratch/payload")" "$(of '.predicate.verdicts[0].deliverable')" "the deliverable"
done
echo "openssl: $count signatures of $(find "$receipts" -mindepth 1 -maxdepth 1 -type d | wc -l) modules, and as many changed messages refused"
