#!/usr/bin/env python3
"""What guardians said of the runs of the tests, from the lines that the tests print: `watched: TEST | RUN | OUTCOME | RULES`.

RULES are those that spoke though the test had not said that they would; OUTCOME begins with `troubled` where it had said so of any.

usage: watched.py write|check LOG

`check` fails where such a rule spoke of a run that was completed, where a journal could not be read and the test had said nothing
of it, where a line is none of these, and, under CI, where far fewer runs were looked at than docs/GUARDIAN.md says: how often a
killed program had come to its end differs a little.
`write` says there how many there are.
"""

import collections
import math
import os
import pathlib
import re
import sys

BEGIN, END = "<!-- runs of the tests -->\n", "<!-- end -->\n"


def highest(hits, all_):
    """The upper end of the 95 % interval by Wilson, in per cent."""
    z, p = 1.959964, hits / all_
    middle = p + z * z / (2 * all_)
    half = z * math.sqrt(p * (1 - p) / all_ + z * z / (4 * all_ * all_))
    return round(100 * (middle + half) / (1 + z * z / all_), 2)


def main():
    mode, log = sys.argv[1:]
    clean, others, cried, unread = set(), collections.Counter(), [], []
    for line in pathlib.Path(log).read_text(errors="replace").splitlines():
        if not line.startswith("watched: "):
            continue
        match = re.match(r"watched: (.*?) \| (.*?) \| (.*?) \| ?(.*)$", line)
        if not match:
            sys.exit(f"not a line of four fields: {line}")
        test, run, outcome, rules = (part.strip() for part in match.groups())
        if outcome == "completed":
            clean.add(run)
        else:
            others[outcome] += 1
        if outcome.endswith("completed") and rules:
            cried.append(f"{test}: {rules} spoke of run {run}, in which nothing was put for it to find")
        if outcome == "unreadable":
            unread.append(f"{test}: its home cannot be read: {rules}")
    page = pathlib.Path(__file__).parent.parent / "docs/GUARDIAN.md"
    text = page.read_text()
    before, rest = text.split(BEGIN)
    shown, after = rest.split(END, 1)
    for one in cried + unread:
        print(one)
    if not clean:
        sys.exit("no run of a test was looked at")
    print(
        f"watched: {len(clean)} runs that went well, a rule spoke in {len(cried)};",
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(others.items())),
    )
    if mode == "write":
        said = f"Runs of the tests that went well and in which any rule spoke: {len(cried)} of {len(clean)} "
        said += f"(95 % interval up to {highest(len(cried), len(clean))} %).\n"
        page.write_text(before + BEGIN + said + END + after)
        return
    least = int(re.search(r" of (\d+) ", shown)[1]) if "CI" in os.environ else 0
    if len(clean) < 0.9 * least:
        sys.exit(f"docs/GUARDIAN.md says {least}: scripts/watched.py write {log}")
    sys.exit(1 if cried or unread else 0)


if __name__ == "__main__":
    main()
