# SPDX-License-Identifier: MIT
# Draws a training's log: nats a picture on held-out scenes against minutes.
"""Usage: curves.py LOG.jsonl [--out curves.png]: what train_model.py reports, as one picture."""

import argparse
import json
import math
import pathlib

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 900, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 24, 48
LINE = 15
LINES = (("caption", (36, 90, 170)), ("other caption", (150, 150, 158)),
         ("full", (196, 88, 24)), ("part", (52, 130, 74)))
NAMES = {"caption": "right caption", "other caption": "another's caption",
         "full": "edit, full row", "part": "edit, part row"}
INK, GRID = (40, 40, 46), (226, 226, 230)


class Axes:
    """Minutes across, nats up on a logarithmic scale."""

    def __init__(self, minutes, nats):
        self.minutes = max(minutes)
        self.low, self.high = math.floor(min(nats) / 10) * 10 or 10, max(nats) * 1.05

    def x(self, minutes):
        """Pixels from the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * minutes / self.minutes

    def y(self, nats):
        """Pixels from the top."""
        share = math.log(nats / self.low) / math.log(self.high / self.low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def draw_grid(pen, axes, font):
    """Lines at round numbers, and what the axes are."""
    for nats in (10, 20, 30, 50, 70, 100, 200, 300, 500, 1000, 2000):
        if axes.low <= nats <= axes.high:
            y = axes.y(nats)
            pen.line((LEFT, y, WIDTH - RIGHT, y), fill=GRID)
            pen.text((LEFT - 8, y), str(nats), fill=INK, font=font, anchor="rm")
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200) if axes.minutes / s <= 12)
    for minutes in range(0, int(axes.minutes) + 1, step):
        x = axes.x(minutes)
        pen.line((x, TOP, x, HEIGHT - BOTTOM), fill=GRID)
        pen.text((x, HEIGHT - BOTTOM + 6), str(minutes), fill=INK, font=font, anchor="mt")
    pen.text((LEFT, 4), "nats a picture, held-out scenes", fill=INK, font=font)
    pen.text((WIDTH - RIGHT, HEIGHT - 18), "minutes of training", fill=INK, font=font, anchor="rm")


def write_ends(pen, ends, font):
    """What each line is, behind its end, a line of text apart at least."""
    lowest = 0
    for (x, y), text, color in sorted(ends, key=lambda end: end[0][1]):
        lowest = max(y, lowest + LINE)
        pen.text((x + 6, lowest), text, fill=color, font=font, anchor="lm")


def draw(reports):
    """The picture of a list of reports."""
    axes = Axes([report["minutes"] for report in reports],
                [nats for report in reports for nats in report["nats"].values()])
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    draw_grid(pen, axes, font)
    ends = []
    for name, color in LINES:
        points = [(axes.x(report["minutes"]), axes.y(report["nats"][name]))
                  for report in reports if name in report["nats"]]
        if points:
            pen.line(points, fill=color, width=2)
            text = f"{NAMES[name]} {reports[-1]['nats'][name]:.0f}"
            ends.append((points[-1], text, color))
    write_ends(pen, ends, font)
    return image


def main():
    """Reads the options and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("--out", default="curves.png")
    options = parser.parse_args()
    lines = options.log.read_text("utf-8").splitlines()
    draw([json.loads(line) for line in lines]).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
