#!/usr/bin/env python3
"""Draws what a growing log costs: draw-growth.py GROWTH TREES >docs/ledger-growth.svg, both files of one line of JSON a size, as
the benchmarks `growth` and `trees` of the ledger write them. Sizes go in powers of ten, so that what grows with the logarithm of
the size is a straight line."""

import json
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 170, 56, 46, 70
COLOURS = ["#1f6feb", "#bf3989", "#1a7f37"]


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def panel(place, title, unit, sizes, series):
    """One chart: `series` are a name and a number for each size."""
    left = LEFT + place * (WIDTH + GAP)
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    most = max(max(numbers) for _, numbers in series) * 1.15
    x = lambda size: left + (math.log10(size) - low) / (high - low) * WIDTH
    y = lambda number: TOP + HEIGHT - number / most * HEIGHT
    out = [f'<text x="{left}" y="20" class="title">{title}</text>']
    step = 10 ** math.floor(math.log10(most / 2))
    step *= max(1, round(most / step / 4))
    at = 0
    while at <= most:
        out.append(f'<path d="M{left} {y(at):.1f}h{WIDTH}" class="grid"/>')
        out.append(f'<text x="{left - 6}" y="{y(at) + 4:.1f}" text-anchor="end">{at:g}</text>')
        at += step
    out.append(f'<text x="{left - 6}" y="{TOP - 10}" text-anchor="end">{unit}</text>')
    for power in range(math.ceil(low), math.floor(high) + 1):
        out.append(f'<text x="{x(10**power):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">10'
                   f'<tspan dy="-5" font-size="8">{power}</tspan></text>')
    for number, (name, numbers) in enumerate(series):
        colour = COLOURS[number]
        points = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in zip(sizes, numbers))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(size):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for size, value in zip(sizes, numbers)]
        out.append(f'<text x="{left + 84 * number}" y="{TOP + HEIGHT + 38}" style="fill:{colour}">{name}</text>')
    return out


def main():
    growth, trees = lines(sys.argv[1]), lines(sys.argv[2])
    of = lambda rows, name: [row[name] for row in rows]
    sizes, leaves = of(growth, "size"), of(trees, "leaves")
    out = panel(0, "256 receipts handed in", "ms", sizes, [("middle of 30 batches", of(growth, "batch_p50_ms"))])
    out += panel(1, "a proof asked for over HTTP", "ms", sizes, [
        ("inclusion", of(growth, "inclusion_p50_ms")), ("consistency", of(growth, "consistency_p50_ms"))])
    out += panel(2, "the tree alone", "ns", leaves, [
        ("append", of(trees, "append_ns")), ("inclusion", of(trees, "inclusion_ns")),
        ("consistency", of(trees, "consistency_ns"))])
    whole = LEFT + 3 * WIDTH + 2 * GAP + 20
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {TOP + HEIGHT + 68}" role="img" '
          'aria-label="What a growing log costs">')
    print('<style>text{font:11px sans-serif;fill:#57606a}.title{font-weight:bold;font-size:13px}.grid{stroke:#d0d7de}</style>')
    print('<rect width="100%" height="100%" fill="#fff"/>')
    print("\n".join(out))
    print(f'<text x="{LEFT}" y="{TOP + HEIGHT + 58}">across: receipts, or leaves, in the log</text>')
    print("</svg>")


main()
