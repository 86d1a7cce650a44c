# SPDX-License-Identifier: MIT
"""Which requests are traced, and the pictures and texts they use."""

import numpy as np
from PIL import Image

FOX = "A red fox, painted in ink on white paper."
BLANKS = " \t Zwei Füchse 🦊 und 3 Bäume,  2024!\n雪の山と紅い月 \n\t "
LONG = ("The city at dawn: wet streets, yellow cabs, people with umbrellas, and the river in the "
        "mist; in front a boy in a green coat looks at the moon, best quality, 4k detail. " * 2)
NIGHT = "Turn the image into a night scene."

FULL = None  # as many steps as the picture has tokens; the decoder's output is stored too


def text(name, prompt, cfg, steps):
    """A text-to-image trace."""
    return {"name": name, "kind": "text", "prompt": prompt, "cfg": cfg, "steps": steps}


def edit(name, prompt, image, cfg, image_cfg, steps):
    """A trace of an edit."""
    return {"name": name, "kind": "edit", "prompt": prompt, "image": image, "cfg": cfg,
            "image_cfg": image_cfg, "steps": steps}


TRACES = {
    "tiny-f32": [
        text("full", FOX, 5.0, FULL), text("empty", "", 5.0, 6), text("blanks", BLANKS, 2.5, 6),
        text("one", "x", 1.0, 4), text("long", LONG, 5.0, 4),
        edit("edit-portrait", NIGHT, "portrait.png", 5.0, 5.0, 8),
        edit("edit-landscape", "  remove the sea \n ", "landscape.png", 3.0, 0.0, 4),
    ],
    "tiny-bf16": [
        text("full", FOX, 5.0, FULL), text("blanks", BLANKS, 2.5, 6),
        edit("edit-portrait", NIGHT, "portrait.png", 5.0, 5.0, 6),
    ],
    "tiny-gqa": [
        text("full", FOX, 5.0, FULL), text("empty", "", 5.0, 6), text("blanks", BLANKS, 2.5, 6),
        text("long", LONG, 5.0, 4),
        edit("edit-full", NIGHT, "landscape.png", 5.0, 5.0, FULL),
        edit("edit-portrait", NIGHT, "portrait.png", 4.0, 1.5, 4),
    ],
}

GREEDY = [
    {"name": "fox", "kind": "text", "prompt": FOX, "cfg": 5.0, "samples": 1},
    {"name": "fox-3", "kind": "text", "prompt": FOX, "cfg": 5.0, "samples": 3},
    {"name": "blanks", "kind": "text", "prompt": BLANKS, "cfg": 2.5, "samples": 1},
    {"name": "empty", "kind": "text", "prompt": "", "cfg": 5.0, "samples": 1},
] + [
    {"name": f"night-{n}", "kind": "edit", "prompt": NIGHT, "image": "portrait.png", "cfg": 5.0,
     "image_cfg": 5.0, "samples": n} for n in (1, 2, 3)
] + [
    {"name": "sea", "kind": "edit", "prompt": "remove the sea", "image": "landscape.png",
     "cfg": 3.0, "image_cfg": 1.0, "samples": 1},
]

DESCRIBE = [
    {"name": "describe-portrait", "image": "portrait.png", "question": "What is in the picture?"},
    {"name": "describe-landscape", "image": "landscape.png", "question": "Zähle 3 Füchse 🦊 \n"},
]
ANSWER_TOKENS = 8

TOKENIZER_OF = ("tiny-f32", "tiny-gqa")  # tiny-bf16 has the tokenizer of tiny-f32


def scene(width, height):
    """A small upright RGB picture: sky, sun, sea, one hard edge and a fine texture."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    u, v = x / max(width - 1, 1), y / max(height - 1, 1)
    rgb = np.stack([90 + 120 * v, 120 + 60 * u, 210 - 90 * v], axis=-1)
    rgb[(u - 0.7) ** 2 * width / height + (v - 0.25) ** 2 < 0.02] = (250, 220, 60)
    rgb[v > 0.6] = (20, 60, 110)
    rgb[(v > 0.6) & ((x + y) % 4 < 1)] = (180, 200, 220)
    rgb[(u < 0.15) & (v > 0.3)] = (255, 0, 5)
    return Image.fromarray(rgb.round().astype(np.uint8), "RGB")


def inputs():
    """Input pictures by file name."""
    return {"portrait.png": scene(70, 110), "landscape.png": scene(131, 74)}
