#!/usr/bin/env python3
"""The table of hostile cases in docs/SECURITY.md, from the lines that the tests print: `hostile: CASE TIER held: WHAT WAS SEEN`.

usage: hostile.py write|check LOG

`check` fails where the page says that a tier holds a case and no test showed it, or the other way round. Outside CI a tier
without any line was left out by name, and is not looked at.
"""

import os
import pathlib
import re
import sys

CASES = [
    "endless loop", "blocked call", "memory bomb", "fork bomb", "output flood", "stderr flood, interleaved",
    "disk and inode fill", "file descriptors used up", "path traversal", "links, and swaps between check and open",
    "hard links, renames and truncation across read-only", "the host's environment", "metadata addresses",
    "encoded addresses", "DNS rebinding and mixed answers", "redirects", "relayed CONNECT, Host other than SNI",
    "exfiltration by long names", "archive, PDF and gzip bombs", "ignored signals and orphans",
    "orders in what a tool returns", "terminal escapes in output", "secrets in output", "a changed description or code",
]
TIERS = ["files", "fetch", "dialler", "wasm", "process", "docker", "browser", "mcp"]
NAMES = {"builtin": "files", "proxy": "dialler"}
BEGIN, END = "<!-- hostile cases -->\n", "<!-- end -->\n"


def seen(log):
    held = set()
    for line in log.splitlines():
        match = re.match(r"hostile: (\S+) (\S+) held\b", line)
        if match:
            tier = NAMES.get(match[2], match[2])
            name = re.match(r"(?:case_)?([0-9_]*)", match[1])[1]
            held |= {(int(number), tier) for number in name.split("_") if number}
    return held


def table(held):
    rows = ["| | case | " + " | ".join(TIERS) + " |", "|---|---|" + "---|" * len(TIERS)]
    for number, name in enumerate(CASES, 1):
        cells = ["held" if (number, tier) in held else "–" for tier in TIERS]
        rows.append(f"| {number} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def main():
    mode, log = sys.argv[1:]
    page = pathlib.Path(__file__).parent.parent / "docs/SECURITY.md"
    text = page.read_text()
    before, rest = text.split(BEGIN)
    shown, after = rest.split(END)
    held = seen(pathlib.Path(log).read_text(errors="replace"))
    if mode == "write":
        page.write_text(before + BEGIN + table(held) + END + after)
        return
    ran = {tier for _, tier in held} if "CI" not in os.environ else set(TIERS)
    rows = [row.split("|")[1:-1] for row in shown.splitlines()[2:]]
    said = {(int(row[0]), tier) for row in rows for tier, cell in zip(TIERS, row[2:]) if cell.strip() == "held"}
    wrong = sorted(one for one in said ^ held if one[1] in ran)
    for number, tier in wrong:
        what = "says that it holds, and no test showed it" if (number, tier) in said else "does not say what a test showed"
        print(f"docs/SECURITY.md, case {number}, {tier}: it {what}; scripts/hostile.py write {log}")
    sys.exit(1 if wrong else 0)


main()
