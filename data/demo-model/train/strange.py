# SPDX-License-Identifier: MIT
# Pictures that are not of the demo world, as somebody's photographs are not.
"""`draw(rng)` gives a 384x384 RGB picture of soft patches, shapes and grain, some with grey bars.

Edits of them are answered with a scene of the world, so that a photograph leads to a tidy picture.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from scenes import SIZE

BARS = (127, 127, 127)  # what Limner pads a picture with
COARSEST, FINEST = 3, 64  # cells of a layer of noise
MOST_SHAPES = 6


def color(rng):
    """Mostly a dull one, as the world outside has them."""
    light, spread = rng.randrange(256), rng.choice((20, 50, 120))
    return tuple(min(255, max(0, int(rng.gauss(light, spread)))) for _ in range(3))


def noise(rng, strength):
    """A layer of soft noise around zero [SIZE, SIZE, 3]."""
    cells = int(2 ** rng.uniform(np.log2(COARSEST), np.log2(FINEST)))
    values = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (cells, cells, 3))
    if rng.random() < 0.5:
        values[:] = values[:, :, :1]  # light and shadow
    layer = Image.fromarray(values.astype(np.uint8)).resize((SIZE, SIZE), Image.BICUBIC)
    return (np.asarray(layer, dtype=float) - 127) * strength


def shapes(rng):
    """A plain colour with a few ellipses and polygons, more or less sharp."""
    image = Image.new("RGB", (SIZE, SIZE), color(rng))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randrange(MOST_SHAPES + 1)):
        x, y = rng.randrange(SIZE), rng.randrange(SIZE)
        wide, high = rng.randrange(20, 250), rng.randrange(20, 250)
        box = (x - wide // 2, y - high // 2, x + wide // 2, y + high // 2)
        if rng.random() < 0.5:
            pen.ellipse(box, fill=color(rng))
        else:
            corners = [(rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3])) for _ in range(4)]
            pen.polygon(corners, fill=color(rng))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 12)))


def padded(rng, image):
    """Between grey bars, as a picture that is not square."""
    wide, side = rng.random() < 0.5, rng.randrange(SIZE // 2, SIZE)
    image = image.resize((SIZE, side) if wide else (side, SIZE))
    whole = Image.new("RGB", (SIZE, SIZE), BARS)
    whole.paste(image, ((SIZE - image.width) // 2, (SIZE - image.height) // 2))
    return whole


def draw(rng):
    """One such picture; `rng` is a random.Random."""
    values = np.asarray(shapes(rng), dtype=float)
    for _ in range(rng.randrange(1, 4)):
        values = values + noise(rng, rng.uniform(0.05, 0.5))
    image = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    return padded(rng, image) if rng.random() < 0.5 else image
