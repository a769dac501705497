"""How well search finds, from what the bench `quality` wrote: nDCG@10 of words, vectors and ways to put them together.

Ways with a number in them are judged on scifact's training questions in five parts: each part by the number that was best on
the other four. The other sets are reported with the way that is built in and the plain ones; nothing is chosen on them.
Intervals are 95 % of 2,000 bootstrap samples of the questions.

usage: quality.py DUMP.jsonl
"""

import json
import math
import random
import sys
from collections import defaultdict

TOP = 10
PARTS = 5
SHARES = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def best(hits, side):
    """Each document at its best passage."""
    found = {}
    for hit in hits:
        found[hit[0]] = max(found.get(hit[0], -math.inf), hit[side])
    return found


def ordered(scores):
    return [document for document, _ in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]


class Question:
    def __init__(self, row):
        lists = row["lists"]
        self.right = set(row["right"])
        self.words, self.vectors = best(lists["words"], 1), best(lists["vectors"], 2)
        self.lists = {key: list(dict.fromkeys(hit[0] for hit in hits)) for key, hits in lists.items()}
        self.both = {document: [0.0, 0.0] for document in {*self.words, *self.vectors}}
        for hits in (lists["words"], lists["vectors"], lists["best"]):
            for document, words, vectors in hits:
                pair = self.both.setdefault(document, [0.0, 0.0])
                pair[0], pair[1] = max(pair[0], words), max(pair[1], vectors)


def ndcg(order, right):
    gain = sum(1 / math.log2(place + 2) for place, document in enumerate(order[:TOP]) if document in right)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(TOP, len(right))))


def rrf(constant):
    def way(question):
        scores = defaultdict(float)
        for side in (question.words, question.vectors):
            for place, document in enumerate(ordered(side), 1):
                scores[document] += 1 / (constant + place)
        return ordered(scores)

    return way


def stretched(scores):
    least, most = min(scores.values(), default=0), max(scores.values(), default=0)
    return {document: (score - least) / ((most - least) or 1) for document, score in scores.items()}


def convex(share):
    def way(question):
        words, vectors = stretched(question.words), stretched(question.vectors)
        both = {*words, *vectors}
        return ordered({one: (1 - share) * words.get(one, 0) + share * vectors.get(one, 0) for one in both})

    return way


def commons_rule(share):
    """II-Commons: BM25 over a fixed 50, vectors by their distance."""

    def way(question):
        scores = {}
        for document in question.both:
            near = (1 + question.vectors[document]) / 2 if document in question.vectors else 0
            scores[document] = share * near + (1 - share) * min(question.words.get(document, 0) / 50, 1)
        return ordered(scores)

    return way


def product(share):
    """BM25 as a share of the best one, and the vectors' product as it is: the way that is built in, with any share."""

    def way(question):
        most = max((words for words, _ in question.both.values()), default=0) or 1
        mixed = {one: (1 - share) * words / most + share * max(near, 0) for one, (words, near) in question.both.items()}
        return ordered(mixed)

    return way


def scores(questions, way):
    return [ndcg(way(question), question.right) for question in questions]


def mean(values):
    return sum(values) / max(1, len(values))


def interval(values):
    chance = random.Random(1)
    means = sorted(mean(chance.choices(values, k=len(values))) for _ in range(2000))
    return means[50], means[1949]


def shown(name, values):
    low, high = interval(values)
    print(f"  {name:34} {mean(values):.3f}  {low:.3f} to {high:.3f}")


def chosen(questions, family):
    """Each question by the number that is best on the other parts."""
    all_of_it = {share: scores(questions, family(share)) for share in SHARES}
    values, picks = [0.0] * len(questions), []
    for part in range(PARTS):
        others = [place for place in range(len(questions)) if place % PARTS != part]
        pick = max(SHARES, key=lambda share: mean([all_of_it[share][place] for place in others]))
        picks.append(pick)
        for place in range(part, len(questions), PARTS):
            values[place] = all_of_it[pick][place]
    return values, picks


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sets = defaultdict(list)
    with open(sys.argv[1], encoding="utf-8") as dump:
        for line in dump:
            row = json.loads(line)
            sets[row["set"]].append(Question(row))
    plain = {
        "words (BM25)": lambda question: ordered(question.words),
        "vectors (MiniLM)": lambda question: ordered(question.vectors),
        "ranks, RRF k=60": rrf(60),
        "ranks, RRF k=10": rrf(10),
        "stretched, 0.5": convex(0.5),
        "stretched, vectors 0.7": convex(0.7),
        "II-Commons rule 0.8": commons_rule(0.8),
        "II-Commons rule 0.9": commons_rule(0.9),
        "built in": lambda question: question.lists["best"],
        "words, searched again": lambda question: question.lists["words, again"],
        "built in, searched again": lambda question: question.lists["best, again"],
        "built in, twice again": lambda question: question.lists["best, twice again"],
    }
    for name, questions in sets.items():
        print(f"{name}: {len(questions)} questions, nDCG@{TOP}, 95 % interval")
        for way, function in plain.items():
            shown(way, scores(questions, function))
        if name == "scifact":
            for way, family in [("stretched", convex), ("II-Commons rule", commons_rule), ("built in", product)]:
                values, picks = chosen(questions, family)
                shown(f"{way}, share chosen in {PARTS} parts", values)
                print(f"    chosen: {', '.join(map(str, picks))}")
        else:
            whole = {}
            for way in ["words (BM25)", "ranks, RRF k=60", "built in", *[way for way in plain if "again" in way]]:
                whole[way] = [float(question.right <= set(plain[way](question)[:TOP])) for question in questions]
                shown(f"all support in {TOP}: {way}", whole[way])
            for way in [way for way in whole if "again" in way]:
                more = [one - other for one, other in zip(whole[way], whole["built in"])]
                shown(f"more than built in: {way}", more)


if __name__ == "__main__":
    main()
