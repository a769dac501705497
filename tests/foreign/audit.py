"""An audit by Python's standard library alone, as docs/RECEIPT-FORMAT.md says it: what a beacon draws, and that both forms in which
it is shown lead to the signed root. Written with none of our crates at hand.

usage: audit.py FOLDER BEACON COUNT
"""

import base64
import hashlib
import json
import pathlib
import sys

FOLDER, BEACON, COUNT = pathlib.Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), int(sys.argv[3])
# By the table of kinds on that page: the names in order, and the fields of each in order.
FIELDS = {
    "artifact": "digest media",
    "decision": "by outcome reason subject",
    "error": "class detail",
    "input": "digest source",
    "model_call": "cost_micro model outcome request response tokens_in tokens_out",
    "module_end": "deliverable outcome",
    "module_start": "associate attempt epoch module policy run spec",
    "output": "deliverable",
    "tool_call": "args egress grant outcome output tier tool tool_digest usage",
}
KINDS = sorted(FIELDS)


def draw(root, size):
    drawn, number = [], 0
    while len(drawn) < COUNT:
        hashed = hashlib.sha256(
            b"pob/audit/1\0" + BEACON + root + size.to_bytes(8, "big") + number.to_bytes(8, "big")
        ).digest()
        x = int.from_bytes(hashed[:8], "big")
        if x < 2**64 - 2**64 % size:
            drawn.append(x % size)
        number += 1
    return sorted(set(drawn))


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, length):
        assert len(self.data) >= length
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def number(self, length):
        return int.from_bytes(self.take(length), "big")


def leaf(record):
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(b"\x00pob/leaf/1\n" + text.encode()).digest()


def commit(name, salt, value):
    return hashlib.sha256(
        b"pob/commit/1\0" + bytes([len(name)]) + name.encode() + salt
        + len(value).to_bytes(8, "big") + hashlib.sha256(value).digest()
    ).hexdigest()


def root_of(start, end, leaves, hashes):
    """RFC 6962, section 2.1, with the subtrees given that hold none of the leaves."""
    if not any(start <= index < end for index in leaves):
        return hashes.pop(0)
    if end - start == 1:
        return leaves[start]
    split = 1 << (end - start - 1).bit_length() - 1
    left = root_of(start, start + split, leaves, hashes)
    return hashlib.sha256(b"\x01" + left + root_of(start + split, end, leaves, hashes)).digest()


def multiproof(path, size, root):
    reader = Reader(path.read_bytes())
    assert reader.take(17) == b"pob/multiproof/1\n"
    assert (reader.number(8), reader.take(32)) == (size, root)
    leaves = {}
    for _ in range(reader.number(4)):
        index = reader.number(8)
        kind = KINDS[reader.number(1) - 1]
        record = {"i": str(index), "kind": kind, "v": "1"}
        if index > 0:
            record["parent"] = str(reader.number(8))
        names = FIELDS[kind].split()
        record["fields"] = {name: reader.take(32).hex() for name in names}
        for _ in range(reader.number(1)):
            name, salt = names[reader.number(1)], reader.take(16)
            value = reader.take(reader.number(4))
            assert commit(name, salt, value) == record["fields"][name], name
        assert not leaves or index > max(leaves)
        leaves[index] = leaf(record)
    assert len(reader.data) % 32 == 0
    hashes = [reader.data[at:at + 32] for at in range(0, len(reader.data), 32)]
    assert root_of(0, size, leaves, hashes) == root and not hashes
    return leaves


def module(folder):
    _origin, size, root = (folder / "anchor-set.checkpoint").read_text().split("\n")[:3]
    size, root = int(size), base64.b64decode(root)
    drawn = draw(root, size)
    leaves = multiproof(folder / "audit.multiproof", size, root)
    assert sorted(leaves) == drawn, (sorted(leaves), drawn)
    for index in drawn:
        lines = (folder / f"disclosure-{index}.tlog-proof").read_text().split("\n")
        record = json.loads(base64.b64decode(lines[1].removeprefix("extra ")))["record"]
        assert lines[2] == f"index {index}" and leaf(record) == leaves[index]
    return len(drawn)


folders = sorted(path for path in FOLDER.iterdir() if path.is_dir())
assert folders
print(f"audit.py: {sum(module(folder) for folder in folders)} entries of {len(folders)} receipts are those drawn")
