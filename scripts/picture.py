"""What a terminal shows, on stdin with its colours, to an SVG on stdout.

usage: picture.py LABEL [--title]

Colours and weights are those of SGR (ECMA-48), as `tmux capture-pane -e` writes them. With --title a line that begins with `$` or
`ii:` is coloured as what was typed and what was said on stderr.
"""

import html
import re
import sys
import unicodedata

CELL, LINE, LEFT, TOP = 8.1, 18, 20, 30
PAPER, INK = "#14171c", "#e6e6e6"
BASE = ["#14171c", "#e06c75", "#8fd694", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4"]
BRIGHT = ["#7f8a99", "#ff8b92", "#b5f0b8", "#ffe1a0", "#8cc8ff", "#e3a5f2", "#7fd9e3", "#ffffff"]


def of_256(number):
    if number < 16:
        return (BASE + BRIGHT)[number]
    if number > 231:
        grey = 8 + 10 * (number - 232)
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    levels = [0, 95, 135, 175, 215, 255]
    number -= 16
    return "#" + "".join(f"{levels[part]:02x}" for part in (number // 36, number // 6 % 6, number % 6))


class Style:
    def __init__(self):
        self.ink = self.paper = None
        self.bold = self.dim = self.italic = self.under = self.turned = False

    def take(self, codes):
        codes = [int(code or 0) for code in codes.replace(":", ";").split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.__init__()
            elif code in (38, 48):
                kind = codes.pop(0)
                if kind == 5:
                    colour = of_256(codes.pop(0))
                else:
                    colour = "#" + "".join(f"{codes.pop(0):02x}" for _ in range(3))
                if code == 38:
                    self.ink = colour
                else:
                    self.paper = colour
            elif code in (39, 49):
                setattr(self, "ink" if code == 39 else "paper", None)
            elif 30 <= code <= 37 or 90 <= code <= 97:
                self.ink = BASE[code - 30] if code < 40 else BRIGHT[code - 90]
            elif 40 <= code <= 47 or 100 <= code <= 107:
                self.paper = BASE[code - 40] if code < 50 else BRIGHT[code - 100]
            elif code in (1, 2, 3, 4, 7):
                setattr(self, {1: "bold", 2: "dim", 3: "italic", 4: "under", 7: "turned"}[code], True)
            elif code == 22:
                self.bold = self.dim = False
            elif code in (23, 24, 27):
                setattr(self, {23: "italic", 24: "under", 27: "turned"}[code], False)

    def drawn(self):
        ink, paper = self.ink or INK, self.paper
        if self.turned:
            ink, paper = paper or PAPER, ink
        return ink, paper, self.bold, self.dim, self.italic, self.under


def width(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def main():
    label, titled = sys.argv[1], "--title" in sys.argv[2:]
    lines = sys.stdin.read().rstrip("\n").split("\n")
    style, out, most = Style(), [], 0
    for number, line in enumerate(lines):
        column, y = 0, TOP + LINE * number
        for piece in re.split(r"(\x1b\[[0-9;:]*m)", line):
            if piece.startswith("\x1b["):
                style.take(piece[2:-1])
                continue
            if not piece:
                continue
            ink, paper, bold, dim, italic, under = style.drawn()
            if titled and ink == INK:
                ink = "#8fd694" if line.startswith("$") else "#7f8a99" if line.startswith("ii:") else ink
            cells = width(piece)
            x = LEFT + CELL * column
            if paper:
                out.append(f'<rect x="{x:.1f}" y="{y - 13}" width="{CELL * cells:.1f}" height="{LINE}" fill="{paper}"/>')
            if piece.strip():
                more = ' font-weight="bold"' if bold else ""
                more += ' opacity="0.6"' if dim else ""
                more += ' font-style="italic"' if italic else ""
                more += ' text-decoration="underline"' if under else ""
                out.append(
                    f'<text x="{x:.1f}" y="{y}" textLength="{CELL * cells:.1f}" fill="{ink}"{more} xml:space="preserve">'
                    f"{html.escape(piece)}</text>"
                )
            column += cells
        most = max(most, column)
    wide, high = round(2 * LEFT + CELL * most), TOP + LINE * len(lines)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" role="img" aria-label="{html.escape(label)}">')
    print(f'<rect width="{wide}" height="{high}" rx="8" fill="{PAPER}"/>')
    print('<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="13.5">')
    print("\n".join(out))
    print("</g></svg>")


main()
