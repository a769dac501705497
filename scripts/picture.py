"""Text on stdin to an SVG of a terminal on stdout."""
import html
import sys
import textwrap

lines = []
for line in sys.stdin.read().rstrip("\n").split("\n"):
    indent = len(line) - len(line.lstrip())
    lines += textwrap.wrap(line, 104, subsequent_indent=" " * indent, drop_whitespace=False) or [""]
height = 18 * len(lines) + 36
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{height}" role="img" aria-label="A run of ii">')
print(f'<rect width="900" height="{height}" rx="8" fill="#14171c"/>')
print('<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="13.5">')
for number, line in enumerate(lines):
    colour = "#8fd694" if line.startswith("$") else "#7f8a99" if line.startswith("ii:") else "#e6e6e6"
    print(f'<text x="20" y="{30 + 18 * number}" fill="{colour}" xml:space="preserve">{html.escape(line)}</text>')
print("</g></svg>")
