# SPDX-License-Identifier: MIT
# What ten edits in a row keep of a picture, both ways of handing it on: its own tokens, or its
# pixels encoded again.
"""Usage: chains.py --cli LIMNER-CLI [--model FOLDER] [--keep FOLDER] [--out FILE.json] [--limit N]
                 [--weights FORMAT]

The exam's chains (trials.py), each of them from its drawing as the model's codec shows it, which
has tokens as every picture of the model's has. The judge counts of the last picture what it still
finds of what the first one showed and no edit was about, and judges every edit against the picture
before it. Beside that it says how far pictures drift of which nothing is asked: tokens decoded and
encoded again ten times. Pictures that exist are not painted again, so that a run goes on where it
stopped; use another --keep for other weights.
"""

import json
import pathlib
import tempfile

import numpy as np

import examine
import judge
import trials

WAYS = {"own tokens": ("--own-tokens",), "encoded again": ()}
TIMES = 10


class Painter(examine.Painter):
    """Hands pictures on in one of the two ways."""

    def __init__(self, options, folder, way):
        super().__init__(options, folder)
        self.flags = WAYS[way]

    def edit(self, name, prompt, image):
        """The path of the picture `name`: `image` changed."""
        path = self.folder / f"{name}.png"
        if not path.exists():
            unfinished = self.folder / f"unfinished-{name}.png"
            self.run("generate", "--prompt", prompt, "--seed", examine.SEED, "--image", image,
                     "--out", unfinished, *self.flags)
            unfinished.rename(path)
        source = json.loads(self.run("info", path, "--json"))["input"]
        if ("codes" in source) != bool(self.flags):
            raise SystemExit(f"{path}: not handed on in the way that is measured")
        return path


def drift(painter, name, scene):
    """The path of a drawing that was made tokens and a picture again, and the shares of its tokens
    that are other ones after being decoded and encoded 1 .. TIMES times."""
    start, picture = painter.folder / f"{name}.png", painter.drawn(f"{name}-drawing", scene)
    tokens, shares = [], []
    for time in range(TIMES + 1):
        tokens.append(json.loads(painter.run("encode", "--image", picture))["tokens"])
        shares.append(float(np.mean(np.not_equal(tokens[-1], tokens[0]))))
        file, picture = painter.folder / "drift.json", painter.folder / "drift.png"
        file.write_text(json.dumps({"tokens": tokens[-1]}), "utf-8")
        painter.run("decode", "--tokens", file, "--out", picture if time else start)
        picture = picture if time else start
    return start, shares[1:]


def run_chain(painter, table, way, index, trial, start):
    """Ten edits, each of the picture before it."""
    path, before = start, trial.edits[0].before
    steps = []
    for step, edit in enumerate(trial.edits):
        after = painter.edit(f"chain-{index}-{step}", edit.text, path)
        asked, kept = judge.judge_edit(examine.see(path), examine.see(after), edit.before,
                                       edit.after)
        table.count(f"{way}: asked change made", all(verdict.right for verdict in asked))
        table.count(f"{way}: each other thing kept by an edit",
                    *(v.right for v in kept if v.what == "kept"))
        steps.append(edit.text)
        path = after
    _, kept = judge.judge_edit(examine.see(start), examine.see(path), before,
                               trial.edits[-1].after)
    table.note(f"{way}, chain-{index}", "; ".join(steps), kept)
    table.count(f"{way}: never asked about, still there after ten",
                *(v.right for v in kept if v.what in ("kept", "mountain")))
    table.count(f"{way}: scenery as it was after ten", *(v.right for v in kept if v.what != "kept"))


def measure(options, folder):
    """The table, and the mean drift of the first pictures."""
    table, drifts, painters = examine.Table(), [], {}
    table.rows.clear()  # of the exam
    for way in WAYS:
        below = folder / way.replace(" ", "-")
        below.mkdir(parents=True, exist_ok=True)
        painters[way] = Painter(options, below, way)
    starts = examine.Painter(options, folder)
    chosen = examine.spread(trials.chains(), options.limit)
    for done, (index, trial) in enumerate(chosen, 1):
        start, shares = drift(starts, f"chain-{index}", trial.edits[0].before)
        drifts.append(shares)
        for way, painter in painters.items():
            run_chain(painter, table, way, index, trial, start)
            print(f"chain {done} of {len(chosen)}, {way}", flush=True)
    return table, np.mean(drifts, axis=0)


def main():
    """Reads the options, measures, and prints and writes the table."""
    options = examine.read_options(__doc__)
    with tempfile.TemporaryDirectory() as passing:
        table, shares = measure(options, pathlib.Path(options.keep or passing))
    print(table.as_text())
    print("tokens that are others after decoding and encoding, once to ten times: " +
          " ".join(f"{100 * share:.1f}%" for share in shares))
    if options.out:
        rows = {row: {"right": right, "of": of} for row, (right, of) in table.rows.items()}
        content = {"rows": rows, "drift": list(map(float, shares)), "wrong": table.wrong}
        pathlib.Path(options.out).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
