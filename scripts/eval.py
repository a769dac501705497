"""Runs published two-hop questions through `ii run --json` and prints how the answers do, as Markdown.

usage: eval.py DATA II [most questions a set]
"""

import json
import os
import pathlib
import re
import string
import subprocess
import sys
import tempfile
import time

DATA, II = pathlib.Path(sys.argv[1]), str(pathlib.Path(sys.argv[2]).resolve())
MOST = int(sys.argv[3]) if len(sys.argv) > 3 else None


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def normal(text):
    """SQuAD's: lower case, no punctuation, no articles, single blanks."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def answers(query):
    return [query["answer"], *query.get("answer_aliases", query.get("aliases", []))]


def contained(query, claims):
    text = f" {normal(' '.join(claims))} "
    return any(normal(answer) and f" {normal(answer)} " in text for answer in answers(query))


def ask(question, docs, home):
    began = time.monotonic()
    done = subprocess.run(
        [II, "run", "-", "--docs", docs, "--json", "--max-passages", "10", "--max-words", "60"],
        input=question, capture_output=True, text=True, env={**os.environ, "II_HOME": home},
    )
    took = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{question!r}: {done.stderr}")
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["type"] == "run.closed", last
    return last["report"], took


def evaluate(name):
    folder = DATA / name
    queries = lines(folder / "queries.jsonl")[:MOST]
    support = {}
    for row in (folder / "qrels.tsv").read_text().splitlines():
        parts = row.split("\t")
        if len(parts) >= 3 and parts[-1].isdigit():
            support.setdefault(parts[0], set()).add(parts[-2])
    with tempfile.TemporaryDirectory() as scratch:
        docs = pathlib.Path(scratch) / "docs"
        docs.mkdir()
        for passage in lines(folder / "corpus.jsonl"):
            identity = passage.get("_id", passage.get("id"))
            (docs / f"{identity}.md").write_text(f"# {passage['title']}\n\n{passage['text']}\n")
        home = str(pathlib.Path(scratch) / "home")
        recall = precision = whole = contain = words = seconds = 0
        for number, query in enumerate(queries):
            report, took = ask(query.get("text", query.get("question")), str(docs), home)
            cited = {pathlib.PurePath(source["path"]).stem for source in report["sources"]}
            assert len(cited) <= 10
            claims = [claim["text"] for section in report["sections"] for claim in section["claims"]]
            count = sum(len(claim.split()) for claim in claims)
            assert count <= 60, count
            wanted = support[str(query.get("_id", query.get("id")))]
            recall += len(cited & wanted) / len(wanted)
            precision += len(cited & wanted) / max(1, len(cited))
            whole += wanted <= cited
            contain += contained(query, claims)
            words += count
            seconds += took if number else 0
            if sys.stderr.isatty():
                print(f"\r{name} {number + 1}/{len(queries)}", end="", file=sys.stderr)
        n = len(queries)
        print(f"| {name} | {n} | {recall / n:.3f} | {precision / n:.3f} | {whole / n:.3f} | {contain / n:.3f} "
              f"| {words / n:.0f} | {seconds / max(1, n - 1):.3f} |", flush=True)


print("| questions | number | recall | precision | all supports | answer contained | words | seconds a question |")
print("|---|---|---|---|---|---|---|---|")
for name in ("hotpotqa-200", "musique-dev"):
    evaluate(name)
