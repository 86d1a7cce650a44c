# SPDX-License-Identifier: MIT
# The exam of a demo model: paints the trials with limner-cli and lets the judge look at them.
"""Usage: examine.py --cli LIMNER-CLI [--model FOLDER] [--keep FOLDER] [--out FILE.json] [--limit N]
[--weights FORMAT]

Pictures are painted with the folder's own defaults and seed 1, and kept as PNG files; those that
exist are not painted again, so that an exam goes on where it stopped. Use another --keep for other
weights and for another FORMAT of them. --limit takes N trials of each list, spread over its groups.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

import judge
import scenes
import trials

SEED = "1"
LONGEST_S = 600
CODEC_SCENES = 20
GOALS = {
    "single thing present": 0.97, "colour": 0.95, "time of day": 0.98, "place": 0.9,
    "two things with their own colours": 0.85, "count": 0.75, "edit: asked change made": 0.92,
    "edit: each other thing kept": 0.95, "ten edits: never asked about, still there": 0.7,
}
SINGLE = ("single", "colour", "time", "place")


class Painter:
    """Runs limner-cli; every picture is a file of `folder`, painted once."""

    def __init__(self, options, folder):
        self.options, self.folder, self.seconds = options, folder, {"picture": [], "edit": []}

    def run(self, command, *arguments):
        """The standard output of a subcommand."""
        done = subprocess.run(
            [self.options.cli, command, "--model", self.options.model, "--threads",
             str(self.options.threads), "--weights", self.options.weights, *map(str, arguments)],
            capture_output=True, text=True, check=False, timeout=LONGEST_S)
        if done.returncode:
            raise SystemExit(f"limner-cli {command}: {done.stderr.strip()}")
        return done.stdout

    def paint(self, name, prompt, image=None):
        """The path of the picture `name`; with `image`, that picture changed."""
        path = self.folder / f"{name}.png"
        if not path.exists():
            unfinished = self.folder / f"unfinished-{name}.png"
            start = time.monotonic()
            self.run("generate", "--prompt", prompt, "--seed", SEED, "--out", unfinished,
                     *(("--image", image) if image else ()))
            self.seconds["edit" if image else "picture"].append(time.monotonic() - start)
            unfinished.rename(path)
        return path

    def drawn(self, name, scene):
        """The path of a drawing."""
        path = self.folder / f"{name}.png"
        scenes.draw(scene).save(path)
        return path

    def through_codec(self, name, scene):
        """PSNR of a drawing that was made tokens and a picture again, in decibels."""
        tokens, path = self.folder / f"{name}.json", self.folder / f"{name}-decoded.png"
        drawing = self.drawn(name, scene)
        tokens.write_text(self.run("encode", "--image", drawing), "utf-8")
        self.run("decode", "--tokens", tokens, "--out", path)
        pair = [np.asarray(Image.open(p).convert("RGB"), dtype=float) for p in (drawing, path)]
        return float(10 * np.log10(255 ** 2 / np.square(pair[0] - pair[1]).mean()))


class Table:
    """Counts of what was right, row by row, and all that was wrong."""

    def __init__(self):
        self.rows, self.wrong = {row: [0, 0] for row in GOALS}, []

    def count(self, row, *rights):
        """Counts facts of one row."""
        counts = self.rows.setdefault(row, [0, 0])
        counts[0] += sum(map(bool, rights))
        counts[1] += len(rights)

    def note(self, name, text, verdicts):
        """Keeps the wrong verdicts of a trial."""
        wrong = [f"{v.subject} {v.what}: found {v.found}" for v in verdicts if not v.right]
        if wrong:
            self.wrong.append({"name": name, "text": text, "wrong": wrong})

    def as_text(self):
        """A table in Markdown."""
        lines = ["| | right | of | share | at least |", "|---|---|---|---|---|"]
        for row, (right, total) in self.rows.items():
            share = f"{right / total:.1%}" if total else "-"
            goal = f"{GOALS[row]:.0%}" if row in GOALS else ""
            lines.append(f"| {row} | {right} | {total} | {share} | {goal} |")
        return "\n".join(lines)


def spread(items, limit):
    """(index, item) of `limit` items, evenly over the list."""
    n = min(limit or len(items), len(items))
    return [(i, items[i]) for i in (k * len(items) // n for k in range(n))]


def see(path):
    """What the judge reads in a file."""
    with Image.open(path) as picture:
        return judge.read(picture)


def examine_prompt(painter, table, index, trial):
    """One prompt."""
    name = f"prompt-{index:03}"
    verdicts = judge.judge(see(painter.paint(name, trial.text)), trial.wanted)
    table.note(name, trial.text, verdicts)

    def rights(*what):
        return [verdict.right for verdict in verdicts if verdict.what in what]

    if trial.group in SINGLE:
        table.count("single thing present", *rights("present"))
        table.count("colour", *rights("colour"))
    table.count("time of day", *rights("time"))
    table.count("ground", *rights("ground"))
    table.count("weather", *rights("weather"))
    table.count("place", *rights("place"))
    if trial.group == "two":
        table.count("two things with their own colours", all(rights("present", "colour")))
    if trial.group == "count":
        table.count("count", *rights("count"))


def examine_edit(painter, table, index, trial):
    """One edit of a drawing."""
    name = f"edit-{index:03}"
    before = painter.drawn(f"{name}-before", trial.before)
    after = painter.paint(name, trial.text, before)
    asked, kept = judge.judge_edit(see(before), see(after), trial.before, trial.after)
    table.note(name, trial.text, asked + kept)
    made = all(verdict.right for verdict in asked)
    table.count("edit: asked change made", made)
    table.count(f"edit: {trial.group} made", made)
    table.count("edit: each other thing kept", *(v.right for v in kept if v.what == "kept"))
    table.count("edit: scenery kept", *(v.right for v in kept if v.what != "kept"))


def examine_chain(painter, table, index, trial):
    """Ten edits, each of the picture before it."""
    name = f"chain-{index}"
    first, last = trial.edits[0].before, trial.edits[-1].after
    start = path = painter.drawn(f"{name}-before", first)
    for step, edit in enumerate(trial.edits):
        path = painter.paint(f"{name}-{step}", edit.text, path)
    _, kept = judge.judge_edit(see(start), see(path), first, last)
    table.note(name, "; ".join(edit.text for edit in trial.edits), kept)
    table.count("ten edits: never asked about, still there",
                *(v.right for v in kept if v.what in ("kept", "mountain")))


def examine(options, folder):
    """The whole exam as a table and other figures."""
    painter, table = Painter(options, folder), Table()
    for examine_one, items in ((examine_prompt, trials.prompts()), (examine_edit, trials.edits()),
                               (examine_chain, trials.chains())):
        chosen = spread(items, options.limit)
        for done, (index, trial) in enumerate(chosen, 1):
            examine_one(painter, table, index, trial)
            print(f"{examine_one.__name__} {done} of {len(chosen)}", flush=True)
    figures = {f"seconds per {what}": float(np.mean(seconds))
               for what, seconds in painter.seconds.items() if seconds}
    held_out = [trial.after for _, trial in spread(trials.edits(), options.limit or CODEC_SCENES)]
    figures["codec PSNR, dB"] = float(np.mean(
        [painter.through_codec(f"codec-{i}", s) for i, s in enumerate(held_out[:CODEC_SCENES])]))
    return table, figures


def read_options(about):
    """The command line of this program and of chains.py."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--cli", required=True, help="path of limner-cli")
    parser.add_argument("--model", default=str(pathlib.Path(__file__).resolve().parent.parent))
    parser.add_argument("--keep", help="folder for the pictures; else they are thrown away")
    parser.add_argument("--out", help="JSON file for the table and all that was wrong")
    parser.add_argument("--limit", type=int, default=0, help="trials of each list (0: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", default="auto", help="as limner-cli takes it")
    return parser.parse_args()


def main():
    """Reads the options, examines, and prints and writes the table."""
    options = read_options(__doc__)
    with tempfile.TemporaryDirectory() as passing:
        folder = pathlib.Path(options.keep or passing)
        folder.mkdir(parents=True, exist_ok=True)
        table, figures = examine(options, folder)
    print(table.as_text())
    print("\n".join(f"{what}: {figure:.1f}" for what, figure in figures.items()))
    if options.out:
        rows = {row: {"right": right, "of": of} for row, (right, of) in table.rows.items()}
        content = {"rows": rows, "figures": figures, "wrong": table.wrong}
        pathlib.Path(options.out).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
