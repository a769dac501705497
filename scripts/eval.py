"""Runs published two-hop questions through `ii run --json` and prints how the answers do, as Markdown.

Each question is asked of a folder, which is searched by words, and of a collection with vectors of a model where one is named;
beside what the run cites stands what one search of the same kind finds in its first ten.

usage: eval.py DATA II [--embeddings MODEL] [most questions a set]
"""

import json
import os
import pathlib
import random
import re
import string
import subprocess
import sys
import tempfile
import time

DATA, II = pathlib.Path(sys.argv[1]), str(pathlib.Path(sys.argv[2]).resolve())
MORE = sys.argv[3:]
EMBEDDINGS = MORE.pop(MORE.index("--embeddings") + 1) if "--embeddings" in MORE else None
MOST = next((int(word) for word in MORE if word.isdigit()), None)
# Passages cited, and hits of the search beside it.
TOP = 10


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


def ii(place, *words, **more):
    done = subprocess.run([II, *words], capture_output=True, text=True, env={**os.environ, **place}, **more)
    if done.returncode != 0:
        raise SystemExit(f"ii {' '.join(words)}: {done.stderr}")
    return done.stdout


def ask(question, place, where):
    began = time.monotonic()
    out = ii(place, "run", "-", *where, "--json", "--max-passages", str(TOP), "--max-words", "60", input=question)
    took = time.monotonic() - began
    last = json.loads(out.splitlines()[-1])
    assert last["type"] == "run.closed", last
    report = last["report"]
    claims = [claim["text"] for section in report["sections"] for claim in section["claims"]]
    count = sum(len(claim.split()) for claim in claims)
    assert count <= 60, count
    return {pathlib.PurePath(source["path"]).stem for source in report["sources"]}, claims, count, took


def find(question, place, where):
    """The documents that one search finds."""
    out = ii(place, "search", question, *where, "--json", "--limit", str(TOP), "--per-document", "1")
    return {pathlib.PurePath(hit["path"]).stem for hit in json.loads(out)["hits"]}


def interval(values):
    """95 % of the means of 2,000 samples with replacement, the same ones each time."""
    dice = random.Random(1)
    means = sorted(sum(dice.choices(values, k=len(values))) / len(values) for _ in range(2000))
    return f"{means[49]:.3f} to {means[1950]:.3f}"


def evaluate(name, folder, scratch):
    queries = lines(folder / "queries.jsonl")[:MOST]
    support = {}
    for row in (folder / "qrels.tsv").read_text().splitlines():
        parts = row.split("\t")
        if len(parts) >= 3 and parts[-1].isdigit():
            support.setdefault(parts[0], set()).add(parts[-2])
    docs = scratch / "docs"
    docs.mkdir()
    for passage in lines(folder / "corpus.jsonl"):
        identity = passage.get("_id", passage.get("id"))
        (docs / f"{identity}.md").write_text(f"# {passage['title']}\n\n{passage['text']}\n")
    alone = {"II_HOME": str(scratch / "home"), "II_EMBEDDINGS": ""}
    ways = [("words", alone, ["--docs", str(docs)])]
    if EMBEDDINGS:
        both = {**alone, "II_EMBEDDINGS": EMBEDDINGS}
        ii(both, "commons", "add", str(docs), "--json")
        collection = json.loads(ii(both, "commons", "list", "--json"))["collections"][0]["collection"]
        ways.append(("words and vectors", both, ["--collection", collection]))
    for way, place, where in ways:
        rows = []
        for number, query in enumerate(queries):
            question = query.get("text", query.get("question"))
            wanted = support[str(query.get("_id", query.get("id")))]
            cited, claims, count, took = ask(question, place, where)
            assert len(cited) <= TOP
            rows.append({
                "recall": len(cited & wanted) / len(wanted), "precision": len(cited & wanted) / max(1, len(cited)),
                "whole": wanted <= cited, "contained": contained(query, claims), "words": count, "took": took,
                "found": wanted <= find(question, place, where),
            })
            if sys.stderr.isatty():
                print(f"\r{name}, {way} {number + 1}/{len(queries)}", end="", file=sys.stderr)
        mean = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
        more = [row["whole"] - row["found"] for row in rows]
        print(f"| {name} | {len(rows)} | {way} | {mean['recall']:.3f} | {mean['precision']:.3f} | {mean['whole']:.3f} "
              f"| {mean['found']:.3f} | {sum(more) / len(more):.3f} ({interval(more)}) | {mean['contained']:.3f} "
              f"| {mean['words']:.0f} | {mean['took']:.3f} |", flush=True)


print("| questions | number | read by | recall | precision | all supports | all supports, one search | more than it "
      "| answer contained | words | seconds a question |")
print("|---|---|---|---|---|---|---|---|---|---|---|")
for name in ("hotpotqa-200", "musique-dev"):
    with tempfile.TemporaryDirectory() as scratch:
        evaluate(name, DATA / name, pathlib.Path(scratch))
