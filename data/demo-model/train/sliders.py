# SPDX-License-Identifier: MIT
# Rows of pictures that show what each of the window's sliders does to a demo model.
"""Usage: sliders.py --cli LIMNER-CLI [--model FOLDER] [--out FILE.png]

Each row changes one setting and keeps the seed; all others are the folder's own defaults.
"""

import argparse
import pathlib
import subprocess
import tempfile

from PIL import Image, ImageDraw, ImageFont

import scenes

HERE = pathlib.Path(__file__).resolve().parent
SIDE, MARGIN, LINE = 144, 6, 22
SEED = "7"
PROMPT = "a red house on a hill at night"
ORDER = "turn the image into a nighttime scene"
SCENE = scenes.Scene("day", "meadow", "clear", "left", "",
                     (scenes.Thing("tree", "green", "medium", "right"),
                      scenes.Thing("cat", "orange", "small", "left")))
ROWS = (  # the window's name, limner-cli's option, its values, what the row paints
    ("Follow the prompt", "--cfg", (1, 1.5, 2, 3, 5), PROMPT),
    ("Variety", "--temperature", (0, 0.25, 0.5, 0.75, 1), PROMPT),
    ("Follow the prompt, an edit", "--cfg", (1, 1.5, 2, 3, 5), ORDER),
    ("Freedom to redraw, an edit", "--image-cfg", (0, 0.5, 1, 2, 4), ORDER),
)


def paint(options, folder, prompt, image, name, value):
    """The picture that limner-cli paints with one setting changed."""
    path = folder / f"{name.strip('-')}-{value}.png"
    asked = ("--image", image) if image else ()
    subprocess.run([options.cli, "generate", "--model", options.model, "--prompt", prompt, "--seed",
                    SEED, "--out", path, name, str(value), *map(str, asked)],
                   check=True, capture_output=True)
    return Image.open(path).convert("RGB")


def write_row(sheet, top, pictures, labels):
    """Pictures beside each other under their labels; the first label names the row."""
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    pen.text((MARGIN, top), labels[0], fill=(32, 32, 36), font=font)
    for i, (picture, label) in enumerate(zip(pictures, labels[1:])):
        x = MARGIN + i * (SIDE + MARGIN)
        pen.text((x, top + LINE), label, fill=(96, 96, 104), font=font)
        sheet.paste(picture.resize((SIDE, SIDE), Image.LANCZOS), (x, top + 2 * LINE))


def sheet_of(options, folder):
    """All rows on one sheet; rows of an edit begin with the picture that is changed."""
    start = folder / "start.png"
    scenes.draw(SCENE).save(start)
    width = MARGIN + 6 * (SIDE + MARGIN)
    height = 2 * LINE + SIDE + 2 * MARGIN
    sheet = Image.new("RGB", (width, MARGIN + height * len(ROWS)), (250, 250, 248))
    for i, (title, name, values, prompt) in enumerate(ROWS):
        image = start if prompt == ORDER else None
        pictures = [paint(options, folder, prompt, image, name, value) for value in values]
        labels = [str(value) for value in values]
        if image:
            pictures, labels = [Image.open(start), *pictures], ["before", *labels]
        write_row(sheet, MARGIN + i * height, pictures, [f"{title}: \u201c{prompt}\u201d", *labels])
    return sheet


def main():
    """Reads the options and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cli", required=True, help="path of limner-cli")
    parser.add_argument("--model", default=str(HERE.parent))
    parser.add_argument("--out", default=str(HERE / "sliders.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        sheet_of(options, pathlib.Path(passing)).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
