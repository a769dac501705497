"""Receipts by public Python packages, trees and notes by the specifications alone, and mutations that `ii verify` must refuse.

Nothing here was written with our crates at hand: the tree is RFC 6962, section 2.1, the checkpoint C2SP's signed note, the
commitments docs/RECEIPT-FORMAT.md.
"""

import base64
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

RECEIPTS = pathlib.Path(sys.argv[1])
II = sys.argv[2]
TRUST = json.loads((RECEIPTS / "trust.json").read_text())


def sslib_key(public):
    described = {"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"}
    keyid = hashlib.sha256(rfc8785.dumps(described)).hexdigest()
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": public})


def envelope(path, publics, threshold):
    """Verifies a DSSE file and gives its in-toto statement."""
    text = path.read_bytes()
    assert rfc8785.dumps(json.loads(text)) == text, f"{path} is not RFC 8785"
    parsed = Envelope.from_dict(json.loads(text))
    parsed.verify([sslib_key(public) for public in publics], threshold)
    value = json.loads(parsed.payload)
    assert rfc8785.dumps(value) == parsed.payload, f"payload of {path} is not RFC 8785"
    statement = Statement(
        subjects=[json_format.ParseDict(one, Statement.proto_subject()) for one in value["subject"]]
        if hasattr(Statement, "proto_subject")
        else subjects(value),
        predicate_type=value["predicateType"],
        predicate=value["predicate"],
    )
    statement.validate()
    return value


def subjects(value):
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor

    return [ResourceDescriptor(name=one["name"], digest=one["digest"]).pb for one in value["subject"]]


def checkpoint(path):
    """C2SP signed note with the trusted log's key."""
    name, key_hash, key = TRUST["log"]["vkey"].split("+", 2)
    typed = base64.b64decode(key)
    assert typed[0] == 1 and len(typed) == 33
    assert hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8] == key_hash
    text, signatures = path.read_text().split("\n\n")
    lines = signatures.strip("\n").split("\n")
    assert len(lines) == 1
    dash, signer, signature = lines[0].split(" ")
    raw = base64.b64decode(signature)
    assert dash == "\u2014" and signer == name and raw[:4].hex() == key_hash
    body = (text + "\n").encode()
    Ed25519PublicKey.from_public_bytes(typed[1:]).verify(raw[4:], body)
    origin, size, root = text.split("\n")
    return body, origin, int(size), base64.b64decode(root)


def leaf_hash(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def root_of(leaf, index, size, path):
    """RFC 9162, section 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    for p in path:
        assert sn > 0
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\x01" + p + r).digest()
            while fn & 1 == 0 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\x01" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


def commit(name, salt, value):
    return hashlib.sha256(
        b"pob/commit/1\0" + bytes([len(name)]) + name.encode() + salt
        + len(value).to_bytes(8, "big") + hashlib.sha256(value).digest()
    ).hexdigest()


def disclosure(path, head_text, size, root):
    header, rest = path.read_text().split("\n", 1)
    assert header == "c2sp.org/tlog-proof@v1"
    proof, note = rest.split("\n\n", 1)
    assert note == head_text
    extra, index, *hashes = proof.split("\n")
    opened = json.loads(base64.b64decode(extra.removeprefix("extra ")))
    index = int(index.removeprefix("index "))
    record = rfc8785.dumps(opened["record"])
    leaf = leaf_hash(b"pob/leaf/1\n" + record)
    assert root_of(leaf, index, size, [base64.b64decode(one) for one in hashes]) == root
    for name, one in opened["open"].items():
        value = base64.b64decode(one["value"])
        assert commit(name, bytes.fromhex(one["salt"]), value) == opened["record"]["fields"][name], name
    return {name: base64.b64decode(one["value"]) for name, one in opened["open"].items()}


def nullifier(predicate):
    kind = predicate["benefitClass"].encode()
    ids = [bytes.fromhex(predicate["module"][name].replace("-", "")) for name in ("runId", "moduleId")]
    return hashlib.sha256(
        b"pob/nullifier/1\0" + bytes.fromhex(predicate["network"]) + bytes([len(kind)]) + kind
        + bytes.fromhex(predicate["actors"]["root"]["key"]) + ids[0] + ids[1]
    ).hexdigest()


def module(folder):
    raw = json.loads(base64.b64decode(json.loads((folder / "receipt.intoto.json").read_text())["payload"]))
    actors = raw["predicate"]["actors"]
    pair = [actors["associate"]["key"], actors["node"]["key"]]
    statement = envelope(folder / "receipt.intoto.json", pair, 2)
    predicate = statement["predicate"]
    body, origin, size, root = checkpoint(folder / "anchor-set.checkpoint")
    assert hashlib.sha256(body).hexdigest() == statement["subject"][0]["digest"]["sha256"]
    assert predicate["anchorSet"] == {
        "origin": origin, "size": str(size), "root": root.hex(), "hash": "sha256", "leaf": "trace"
    }
    assert sum(int(count) for count in predicate["counts"].values()) + 2 == size
    opened = disclosure(
        folder / "disclosure-0.tlog-proof", (folder / "anchor-set.checkpoint").read_text(), size, root
    )
    assert opened["run"].hex() == predicate["module"]["runId"].replace("-", "")
    assert opened["module"].hex() == predicate["module"]["moduleId"].replace("-", "")
    assert opened["attempt"].decode() == predicate["module"]["attempt"]
    assert nullifier(predicate) == predicate["nullifier"]
    trusted = {key["public"]: key["role"] for key in TRUST["keys"]}
    assert trusted[actors["root"]["key"]] == "root" and trusted[actors["node"]["key"]] == "node"
    envelope(folder / "delegation-0.intoto.json", [actors["root"]["key"]], 1)
    envelope(folder / "delegation-1.intoto.json", [actors["principal"]["key"]], 1)
    by = {verdict["by"] for verdict in predicate["verdicts"]}
    assert len(by) == 1 and actors["associate"]["key"] not in by
    assert trusted[next(iter(by))] == "verifier"
    verdict = envelope(folder / "verdict-0.intoto.json", list(by), 1)
    assert verdict["predicateType"] == "https://in-toto.io/attestation/svr/v0.2"
    assert len(verdict["predicate"]["properties"]) == len(predicate["verdicts"])
    # One signature of the pair is not enough for the public verifier either.
    try:
        envelope(folder / "receipt.intoto.json", pair[:1], 2)
        raise AssertionError("one signature passed for two")
    except (VerificationError, ValueError):
        pass


def verify_code(folder):
    return subprocess.run(
        [II, "verify", str(folder), "--trust", str(RECEIPTS / "trust.json")], capture_output=True, text=True
    )


def mutations(folder):
    """Copies of the export with one thing changed; each must be refused with exit code 7."""
    names = sorted(path.name for path in folder.iterdir())
    count, causes = 0, set()
    for name in names:
        original = (folder / name).read_bytes()
        changes = {
            "first byte": b"\x7f" + original[1:],
            "middle byte": original[: len(original) // 2] + bytes([original[len(original) // 2] ^ 1])
            + original[len(original) // 2 + 1:],
            "last byte": original[:-1] + bytes([original[-1] ^ 1]),
            "tail cut": original[:-10],
            "newline": original + b"\n",
            "removed": None,
        }
        if name.endswith(".json"):
            changes["duplicate key"] = original.replace(b'{"payload":', b'{"payload":"eA==","payload":', 1)
            changes["big integer"] = original.replace(b'{"payload":', b'{"n":9007199254740993,"payload":', 1)
        for change, content in changes.items():
            with tempfile.TemporaryDirectory() as scratch:
                copy = pathlib.Path(scratch) / "receipts"
                shutil.copytree(RECEIPTS, copy)
                target = copy / folder.name / name
                if content is None:
                    target.unlink()
                else:
                    target.write_bytes(content)
                done = verify_code(copy)
                # A module folder without its receipt is still a part of the export.
                assert done.returncode == 7, (name, change, done)
                causes |= {word for word in done.stdout.split() if word.startswith("INVALID(")}
                count += 1
    return count, causes


folders = sorted(path for path in RECEIPTS.iterdir() if path.is_dir())
assert folders, "nothing to check"
for folder in folders:
    module(folder)
try:
    bad = json.loads((folders[0] / "receipt.intoto.json").read_text())
    bad["payload"] = base64.b64encode(base64.b64decode(bad["payload"]) + b" ").decode()
    Envelope.from_dict(bad).verify([sslib_key(key["public"]) for key in TRUST["keys"]], 2)
    raise SystemExit("python: a changed payload passes")
except (VerificationError, InvalidSignature):
    pass
count, causes = mutations(folders[0])
print(f"python: {len(folders)} modules by securesystemslib (2 of 2), in-toto-attestation, C2SP and RFC 6962 rules; "
      f"{count} mutations refused by ii verify with {len(causes)} codes")
