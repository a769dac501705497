"""Alters a journal as its owner could: with every link of the chain made anew, so that only what was signed can tell.

usage: tamper.py JOURNAL bytes DIGEST TEXT      other bytes under the digest of a content
       tamper.py JOURNAL swap DIGEST TEXT       another content, named by the facts in the place of that one
       tamper.py JOURNAL forget                 the keys of all attempts
"""

import hashlib
import sqlite3
import struct
import sys


def content(journal, digest, text):
    journal.execute(
        "INSERT INTO blob (digest, form, length, bytes) VALUES (?, 0, ?, ?) "
        "ON CONFLICT (digest) DO UPDATE SET form = 0, length = excluded.length, bytes = excluded.bytes",
        (digest, len(text), text),
    )


def chained(journal):
    """Every link, by the rule in common-ground/src/chain.rs."""
    for no, run in journal.execute("SELECT no, run FROM run").fetchall():
        link = hashlib.sha256(b"ii journal 1" + run).digest()
        rows = journal.execute(
            "SELECT id, at_ms, module, attempt, epoch, body FROM fact WHERE id > ? AND id <= ? ORDER BY id",
            (no << 32, (no << 32) + 0xFFFFFFFF),
        ).fetchall()
        for id, at_ms, module, attempt, epoch, body in rows:
            stream = b"\0" if module is None else b"\1" + module + struct.pack(">QQ", attempt, epoch)
            text = link + struct.pack(">Q", at_ms) + stream + struct.pack(">Q", len(body)) + body
            link = hashlib.sha256(text).digest()
            journal.execute("UPDATE fact SET link = ? WHERE id = ?", (link, id))
        journal.execute("UPDATE run SET head_link = ? WHERE no = ?", (link, no))


def main():
    journal = sqlite3.connect(sys.argv[1])
    act = sys.argv[2]
    if act == "forget":
        journal.execute("DELETE FROM attempt_key")
    else:
        old, text = sys.argv[3], sys.argv[4].encode()
        if act == "bytes":
            content(journal, bytes.fromhex(old), text)
        else:
            new = hashlib.sha256(text)
            content(journal, new.digest(), text)
            for id, body in journal.execute("SELECT id, body FROM fact").fetchall():
                other = body.replace(old.encode(), new.hexdigest().encode())
                journal.execute("UPDATE fact SET body = ? WHERE id = ?", (other, id))
            chained(journal)
    journal.commit()
    journal.close()


main()
