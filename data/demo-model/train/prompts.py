# SPDX-License-Identifier: MIT
# prompts.json of the demo model: what Limner says about it, its words, and prompts to try.
"""Usage: prompts.py [FOLDER]: writes FOLDER/prompts.json, by default that of the demo model.

`prompts_file()` gives its content: well-formed prompts and instructions in plain words, the same at
every call. The instructions are those that suit any picture: none speaks of a thing that may not
be in it.
"""

import json
import pathlib
import random
import sys

import edits
import grammar
import scenes

SEED = 1
PROMPTS, EDITS = 200, 40
MOST_WORDS = 17
ABOUT = ("The demo model knows simple scenes: houses, trees and boats, hills, sea and snow, "
         "by day or night.")
ABOUT_EDITS = ("The demo model makes simple changes: the time of day, the weather, a colour, "
               "something more or something less.")
SHARES = {edits.change_time: 3, edits.change_weather: 2, edits.add: 5}


class Freely(grammar.Plainly):
    """Leaves out as little as grammar.Plainly does, with any of the wordings."""

    def __init__(self, rng):
        self.choice = rng.choice
        self.choices = rng.choices
        self.shuffle = rng.shuffle


def is_known(text):
    """Whether each word, as it is written here, is one that the model has a token for."""
    return {*text.rstrip(".").split()} <= {*edits.words()}


def reads_well(text):
    """Short, no second "with", no coat or hat that several people share, no "a orange coat"."""
    words = text.split()
    shared = words[0] in ("Two", "Three", "Four") and not {"coat", "hat"}.isdisjoint(words)
    smooth = words.count("with") < 2 and " a orange" not in text
    return len(words) <= MOST_WORDS and smooth and not shared


def prompts(rng):
    """Different captions, every other one in the first wording of everything."""
    found = {}  # in the order found
    while len(found) < PROMPTS:
        wording = Freely(rng) if len(found) % 2 else grammar.Plainly()
        text = grammar.caption(wording, scenes.random_scene(rng))
        text = text[0].upper() + text[1:]
        if reads_well(text) and is_known(text):
            found[text] = True
    return list(found)


def suits_any(order, before):
    """Whether the instruction says nothing about what is in the picture."""
    gone = ("clear", "cloud", "stop", before.time)
    return order.startswith(("add", "put", "make it cloudy")) or not any(
        word in order for word in gone)


def instructions(rng):
    """Different orders as sentences."""
    found = {}
    while len(found) < EDITS:
        change = rng.choices(tuple(SHARES), tuple(SHARES.values()))[0]
        before = edits.random_start(rng, 0)
        asked = change(rng, before, rng if len(found) % 2 else Freely(rng))
        if asked and suits_any(asked[0], before):
            text = asked[0][0].upper() + asked[0][1:] + "."
            if is_known(text):
                found[text] = True
    return list(found)


def prompts_file():
    """The content of prompts.json."""
    rng = random.Random(SEED)
    return {"about": ABOUT, "about_edits": ABOUT_EDITS,
            "words": sorted({word.lower() for word in edits.words()}),
            "prompts": prompts(rng), "edits": instructions(rng)}


def main():
    """Writes the file alone."""
    default = pathlib.Path(__file__).parent.parent
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else default) / "prompts.json"
    path.write_text(json.dumps(prompts_file(), ensure_ascii=False, indent=0) + "\n", "utf-8")


if __name__ == "__main__":
    main()
