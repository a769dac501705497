"""Receipts in a chain of Bitcoin's family, by Python's standard library alone.

Nothing here was written with our crates at hand: the batch's tree is RFC 6962, section 2.1, transactions and headers are
Bitcoin's, the files those of docs/RECEIPT-FORMAT.md. Prints the ids of the blocks; fails with what does not hold.

usage: anchor.py FOLDER    where FOLDER is what `ii receipts export` wrote
"""

import base64
import hashlib
import json
import pathlib
import sys


def sha(data):
    return hashlib.sha256(data).digest()


def double(data):
    return sha(sha(data))


def pae(kind, payload):
    kind = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def entry(folder):
    """The entry of the receipt: its id and nullifier, and its class of benefit."""
    envelope = json.loads((folder / "receipt.intoto.json").read_text())
    payload = base64.b64decode(envelope["payload"])
    predicate = json.loads(payload)["predicate"]
    receipt = sha(pae(envelope["payloadType"], payload))
    return b"pob/entry/1\n" + receipt + bytes.fromhex(predicate["nullifier"]) + predicate["benefitClass"].encode()


def batch_root(leaf, index, size, hashes):
    """RFC 9162, section 2.1.3.2."""
    assert index < size
    at, last, node = index, size - 1, leaf
    for one in hashes:
        assert last > 0
        if at & 1 or at == last:
            node = sha(b"\x01" + one + node)
            if not at & 1:
                while at and not at & 1:
                    at, last = at >> 1, last >> 1
        else:
            node = sha(b"\x01" + node + one)
        at, last = at >> 1, last >> 1
    assert last == 0
    return node


def scripts(raw):
    """The output scripts of a transaction without witnesses."""
    place = 4

    def take(count):
        nonlocal place
        part = raw[place : place + count]
        assert len(part) == count
        place += count
        return part

    def compact():
        first = take(1)[0]
        return first if first < 253 else int.from_bytes(take({253: 2, 254: 4, 255: 8}[first]), "little")

    for _input in range(compact()):
        take(36)
        take(compact())
        take(4)
    found = []
    for _output in range(compact()):
        take(8)
        found.append(take(compact()))
    take(4)
    assert place == len(raw)
    return found


def target(header):
    bits = int.from_bytes(header[72:76], "little")
    return (bits & 0x7FFFFF) << (8 * ((bits >> 24) - 3))


def check(folder, chain):
    anchor = json.loads((folder / "ledger-anchor.json").read_text())
    hashes = [bytes.fromhex(one) for one in anchor["hashes"]]
    root = batch_root(sha(b"\x00" + entry(folder)), int(anchor["index"]), int(anchor["size"]), hashes)
    raw = bytes.fromhex(anchor["transaction"])
    assert b"\x6a\x24PoB1" + root in scripts(raw), "the transaction carries another root"
    node, at = double(raw), int(anchor["position"])
    for one in anchor["branch"]:
        one = bytes.fromhex(one)
        node = double(one + node if at & 1 else node + one)
        at >>= 1
    assert at == 0
    headers = [bytes.fromhex(one) for one in anchor["headers"]]
    assert node == headers[0][36:68], "the transaction is not in the block"
    easiest = int(chain["easiest"], 16)
    for before, header in zip([None] + headers, headers):
        assert len(header) == 80
        assert before is None or header[4:36] == double(before), "the headers do not hang together"
        assert int.from_bytes(double(header), "little") <= target(header) <= easiest, "a header lacks work"
    assert len(headers) >= int(chain["depth"]), "the block is not deep enough"
    last = double(headers[-1])[::-1].hex()
    assert last in chain["blocks"], "the last block is not one that the trust file names"
    return double(headers[0])[::-1].hex()


def main():
    export = pathlib.Path(sys.argv[1])
    chain = json.loads((export / "trust.json").read_text())["chain"]
    folders = sorted(path for path in export.iterdir() if path.is_dir())
    assert folders
    for folder in folders:
        print(check(folder, chain), folder.name)


main()
