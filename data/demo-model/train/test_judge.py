# SPDX-License-Identifier: MIT
# Is the judge right about drawings, clean and damaged, and does it notice what is wrong?
"""Usage: test_judge.py [--scenes N] [--seed S]: prints TAP; fails where a share is below its bound.

Each drawing is judged by its own scene, which must be right in everything, and by a scene that
differs in one thing, which must be wrong in just that.
"""

import argparse
import random
import sys
import time
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

import edits
import judge
import scenes
import trials

NOISE = 6
TILES = 3


class Tally:
    """Shares of what was as it should be, by name."""

    def __init__(self):
        self.counts = {}

    def add(self, name, right, about=""):
        """Counts one fact, and shows the wrong ones."""
        counts = self.counts.setdefault(name, [0, 0])
        counts[0] += bool(right)
        counts[1] += 1
        if not right:
            print(f"# wrong {name}: {about}", flush=True)

    def report(self, number, name, bound):
        """One TAP line."""
        right, total = self.counts.get(name, (0, 0))
        good = total > 0 and right >= bound * total
        print(f"{'ok' if good else 'not ok'} {number} - {name}: {right} of {total}, "
              f"at least {bound:.0%}", flush=True)
        return good


def wrong_in(verdicts):
    """What is wrong, as words."""
    return {verdict.what for verdict in verdicts if not verdict.right}


def altered(rng, scene):
    """A scene that differs in one attribute, and the attribute's name; None where it cannot."""
    what = rng.choice(("time", "ground", "weather", "colour", "present", "place", "count", "size"))
    index = rng.randrange(len(scene.things))
    thing = scene.things[index]

    def other(items, taken):
        return rng.choice([item for item in items if item != taken])

    if what in judge.SCENERY:
        items = {"time": scenes.TIMES, "ground": scenes.GROUNDS, "weather": scenes.WEATHERS}[what]
        return what, replace(scene, **{what: other(items, getattr(scene, what))})
    kinds = [kind for kind in scenes.PAINTERS if kind not in {t.kind for t in scene.things}]
    changes = {"colour": {"color": other(scenes.COLORS, thing.color)},
               "present": {"kind": rng.choice(kinds)},
               "place": {"place": other(scenes.PLACES, thing.place)},
               "count": {"count": other((1, 2, 3, 4), thing.count)},
               "size": {"size": other(scenes.SIZES, thing.size)}}
    if what == "place" and thing.count > 1:
        return None
    things = list(scene.things)
    things[index] = replace(thing, **changes[what])
    return what, replace(scene, things=tuple(things))


def damaged(rng, image, another):
    """A picture as a weak decoder may give it: soft, noisy, with tiles of another one."""
    image = image.filter(ImageFilter.GaussianBlur(1))
    for _ in range(TILES):
        x, y = (16 * rng.randrange(scenes.SIZE // 16) for _ in range(2))
        image.paste(another.crop((x, y, x + 16, y + 16)), (x, y))
    noise = np.random.default_rng(rng.randrange(2**32)).integers(-NOISE, NOISE + 1, (384, 384, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def test_drawings(tally, rng, count):
    """Clean drawings, and every third of them damaged."""
    last, used = scenes.draw(scenes.random_scene(rng)), 0.0
    for index in range(count):
        scene = scenes.random_scene(rng)
        drawing = scenes.draw(scene)
        start = time.process_time()
        reading = judge.read(drawing)
        used += time.process_time() - start
        tally.add("clean drawings", not wrong_in(judge.judge(reading, scene)), (scene, reading))
        change = altered(rng, scene)
        if change:
            found = wrong_in(judge.judge(reading, change[1]))
            tally.add("one attribute wrong", change[0] in found, (change, reading))
        if index % 3 == 0:
            reading = judge.read(damaged(rng, drawing, last))
            tally.add("damaged", not wrong_in(judge.judge(reading, scene)), (scene, reading))
        last = drawing
    print(f"# {used / count:.2f} s of processor time a picture")


def test_edits(tally, count):
    """The exam's edits, drawn as asked, not done at all, and with everything gone."""
    for _, trial in zip(range(count), trials.edits()[::3]):
        was, now = (judge.read(scenes.draw(scene)) for scene in (trial.before, trial.after))
        asked, kept = judge.judge_edit(was, now, trial.before, trial.after)
        tally.add("edits done", not wrong_in(asked + kept), (trial, now))
        asked, _ = judge.judge_edit(was, was, trial.before, trial.after)
        tally.add("edits not done", wrong_in(asked), (trial, was))
        _, kept = judge.judge_edit(was, replace(now, things=()), trial.before, trial.after)
        lost = [verdict for verdict in kept if verdict.what == "kept"]
        tally.add("things lost", not any(v.right for v in lost), (trial, lost))


def test_trials(tally):
    """The lists: of the right length, in known words, about combinations of the exam."""
    known = {*edits.words()}
    prompts, changes, chains = trials.prompts(), trials.edits(), trials.chains()
    tally.add("lists", (len(prompts), len(changes), len(chains)) == (200, 200, 10), len(prompts))
    tally.add("lists", prompts == trials.prompts() and chains == trials.chains(), "they change")
    orders = [*changes, *(edit for chain in chains for edit in chain.edits)]
    for trial in (*prompts, *orders):
        tally.add("words", {*trial.text.split()} <= known, trial.text)
    for scene in (*(p.wanted for p in prompts), *(e.after for e in changes if e.group != "remove")):
        thing = scene.things[0]
        held = trials.is_held_out(thing.kind, thing.color, scene.ground, scene.time)
        tally.add("held out", held or thing.kind in scenes.SKY_KINDS, scene)
    for chain in chains:
        tally.add("chains", all(chain.kept in edit.after.things for edit in chain.edits), chain)


# All were 100 % of 501 scenes with seed 1.
BOUNDS = (("lists", 1), ("words", 1), ("held out", 1), ("chains", 1), ("clean drawings", 0.99),
          ("one attribute wrong", 0.99), ("damaged", 0.97), ("edits done", 0.98),
          ("edits not done", 0.99), ("things lost", 1))


def main():
    """Runs everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=501)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"1..{len(BOUNDS)}\n# seed {options.seed}", flush=True)
    tally = Tally()
    test_trials(tally)
    test_drawings(tally, random.Random(options.seed), options.scenes)
    test_edits(tally, max(1, options.scenes // 8))
    results = [tally.report(number, *bound) for number, bound in enumerate(BOUNDS, 1)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
