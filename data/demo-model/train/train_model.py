# SPDX-License-Identifier: MIT
# Trains the painter (transformer, image embeddings and image head) on captions and image tokens.
"""Usage: train_model.py --codes codes.pt --out FOLDER --minutes N [--until M] [--start MODEL]
                      [--sparse SHARE] [--edits SHARE] [--device cuda --workers N --batch TIMES]

Scenes are drawn and worded anew for each step; a share of the steps paints edits of pictures. The
learning rate follows the time spent. FOLDER/painter.pt holds everything that is needed to go on,
FOLDER/log.jsonl what was reported. So far this has only run on CPUs.
"""

import argparse
import json
import math
import pathlib
import random
import time

import torch
import torch.nn.functional as F
from torch import nn

from checkpoint import start_from
from codes import Codes
from data import Data
from families import Families
from model import SHAPE, Editor
from muon import Optimizers, fast_products
from sequences import N_IMAGE, Choice, edit_states, everything, text_states
from workers import add_common, drawn, drawn_there

DROP = 0.1  # share of captions replaced by padding: the unconditional row of guidance
# Guidance multiplies the difference of two rows' logits, also where both are far below the likely
# codes; without smoothing those differences are arbitrary and guided pictures break.
SMOOTHING = 0.005
# Whole pictures teach what follows from the tokens around a place, and words are then hardly
# learned. Sparse steps keep only a few places of each picture: cheap, and the words must tell the
# rest. --sparse is their share of the caption steps, --sparse-edits of the edit steps.
FEW = 64  # places that a sparse step keeps
# Every place also names the words of its caption by the state after this layer.
RECALL_LAYER = 2
# To find a place in the picture to edit, a query must allow for the words that stand between.
LENGTH_LAYER, LONGEST = 1, 64
HELPERS = ("words", "edit words", "length", "codes", "blindness")
HELPERS_WEIGHT = 0.5  # of the losses that only help to learn; it follows the rate down
TEXTS = {"sparse": 32, "band": 12, "whole": 8}
HEADED = 0.4  # of the places of rows that are not sparse
BANDS = 0.4  # share of the whole pictures that keep a band only
SKY_ROWS, GROUND_ROWS = slice(1, 7), slice(13, 22)  # of tokens, where things may stand
BAND_ROWS, BAND_ABOVE = 10, 24  # rows of a band, and places above it
# Pictures, edits of each, and of sparse ones the places of both that are kept; copying is learned
# among few places and has to become exact among many.
EDITS = {"sparse": ((8, 4, FEW), (5, 4, 160)), "band": ((3, 4),), "whole": ((2, 3),)}


def worth():
    """How often each place is chosen [576]: most where things stand, little where they never do.

    The same for all pictures: what is chosen must not tell what is there.
    """
    rows = torch.ones(SHAPE.grid)
    rows[SKY_ROWS], rows[GROUND_ROWS] = 2, 5
    return rows.repeat_interleave(SHAPE.grid)


def scattered(n, first, end):
    """So many different places from `first` to before `end`, by their worth."""
    return first + torch.multinomial(worth()[first:end], n)


def band(n_rows):
    """Each place of the rows where things stand, and a few above them."""
    at = torch.zeros(n_rows, BAND_ABOVE + BAND_ROWS * SHAPE.grid, dtype=torch.long)
    for row in at:
        start = random.randrange(10, 14) * SHAPE.grid
        row[1:BAND_ABOVE] = scattered(BAND_ABOVE - 1, 1, start).sort().values
        row[BAND_ABOVE:] = torch.arange(start, start + BAND_ROWS * SHAPE.grid)
    return Choice(at, torch.ones(n_rows, 1))


def some_places(n_rows, few=FEW):
    """A few places of each picture: scattered ones, and runs of neighbours."""
    at = torch.zeros(n_rows, few, dtype=torch.long)
    for row in at[:, 1:]:
        run = random.choice((1, 1, 3, 7, 21))
        starts = scattered((few - 1) // run, 1, N_IMAGE - run)
        found = (starts[:, None] + torch.arange(run)).flatten().unique()
        more = scattered(min(2 * few, N_IMAGE - 1), 1, N_IMAGE)
        more = more[~torch.isin(more, found)][:few - 1 - len(found)]
        row.copy_(torch.cat((found, more)).sort().values)
    return Choice(at, (torch.rand(n_rows, 1) < 0.6).float())


class Recall(nn.Module):
    """Says how badly the states after a layer tell about the words; thrown away later."""

    def __init__(self, painter, word_ids):
        super().__init__()
        self.head = nn.Linear(SHAPE.dim, SHAPE.vocab)
        self.length_head = nn.Linear(SHAPE.dim, LONGEST)
        self.code = nn.Linear(SHAPE.dim, SHAPE.dim)
        self.register_buffer("aimed", torch.full((3, 2), -1))  # layer, head: see aim.py
        self.word_ids, self.states = word_ids, {}
        for layer in (RECALL_LAYER, LENGTH_LAYER):
            painter.language_model.model.layers[layer].register_forward_hook(self.keep(layer))

    def keep(self, layer):
        """Takes the states of the latest pass."""
        def take(_layer, _inputs, states):
            self.states[layer] = states
        return take

    def latest(self, layer, n):
        """The normed last n states of each row."""
        states = self.states[layer][:, -n:].float()
        return F.rms_norm(states, states.shape[-1:])

    def words(self, prompts, n):
        """Cross-entropy in nats of the last n states against the caption's words."""
        found = []
        for ids, states in zip(prompts, self.latest(RECALL_LAYER, n)):
            said = sorted(self.word_ids.intersection(ids))
            if said:
                found.append(-self.head(states).log_softmax(-1)[:, torch.tensor(said)].mean())
        return sum(found) / len(found) if found else self.states[RECALL_LAYER].sum() * 0

    def length(self, prompts, n):
        """The same against the number of tokens of the prompt."""
        logits = self.length_head(self.latest(LENGTH_LAYER, n))
        lengths = torch.tensor([min(len(ids), LONGEST - 1) for ids in prompts])
        return F.cross_entropy(logits.flatten(0, 1), lengths.repeat_interleave(n))

    def codes(self, painter):
        """Cross-entropy of image tokens behind their own embeddings."""
        ids = torch.randint(0, SHAPE.codes, (512,))
        x = painter.embed_codes(ids).float()
        return F.cross_entropy(painter.gen_head(self.code(F.rms_norm(x, x.shape[-1:]))), ids)


def entropy(logits, tokens, smoothing=0.0):
    """Mean cross-entropy of the image tokens, in nats."""
    return F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten(),
                           label_smoothing=smoothing)


def blindness(editor, features, codes):
    """How far features are from the embeddings of the image tokens at their places.

    A tower that learns to see by painting alone takes long; as neighbours of the tokens, features
    are understood by what has learned to read those.
    """
    goal = editor.embed_codes(codes).float().detach()
    return F.mse_loss(features.float(), goal) / goal.var()


CHOICES = {"sparse": some_places, "band": band, "whole": everything}



def image_loss(editor, states, tokens, choice, density):
    """Cross-entropy at the places of sparse rows, else at a share: image heads are costly."""
    wanted = choice.of(tokens)
    if density != "sparse":
        at = torch.multinomial(worth()[choice.at], int(choice.at.shape[1] * HEADED))
        states = states.gather(1, at[..., None].expand(-1, -1, SHAPE.dim))
        wanted = wanted.gather(1, at)
    return entropy(editor.gen_head(states), wanted, SMOOTHING)


def text_loss(editor, recall, data, rng, density, times=1):
    """Losses of a batch of captions, so many times as large as on a CPU."""
    batch = drawn_there(data.texts, rng, TEXTS[density] * times, DROP)
    choice = drawn_there(CHOICES[density], len(batch.prompts))
    with fast_products():
        states = text_states(editor, batch.prompts, batch.tokens, choice)
        loss = image_loss(editor, states, batch.tokens, choice, density)
    return {f"text {density}": loss,
            "words": recall.words(batch.prompts, choice.at.shape[1])}


def edit_loss(editor, recall, data, rng, density, times=1):
    """Losses of a batch of edits, so many times as large as on a CPU."""
    n_pictures, n_edits, *few = rng.choice(EDITS[density])
    batch = drawn_there(data.edits, rng, n_pictures * times, n_edits)
    choice = drawn_there(CHOICES[density], n_pictures * times, *few)
    with fast_products():
        features = editor.look(batch.pixels)
        states = edit_states(editor, batch, features, choice)
        loss = image_loss(editor, states, batch.tokens, choice.repeated(n_edits), density)
    return {f"edit {density}": loss,
            "edit words": recall.words(batch.prompts, choice.at.shape[1]),
            "length": recall.length(batch.prompts, choice.at.shape[1]),
            "codes": recall.codes(editor), "blindness": blindness(editor, features, batch.codes)}


def is_inner(name):
    """Whether a matrix lies inside the transformer."""
    return ".layers." in name and "language_model" in name


def share(spent, minutes):
    """Share of the peak rate: half a minute of warm-up, level, then down over the last 60 %."""
    done = min(spent / (minutes * 60), 1)
    fall = 1 if done < 0.4 else 0.02 + 0.98 * (1 + math.cos(math.pi * (done - 0.4) / 0.6)) / 2
    return min(1, (spent + 1) / 30) * fall


def examination(data, edits):
    """Held-out captions, and edits with their full and their part row; always the same."""
    rows = ("full", "part") if edits else ()
    return [drawn_there(data.held_out, 16),
            *(drawn_there(data.edits, random.Random("held out"), 4, 3, row) for row in rows)]


@torch.no_grad()
def measure(editor, exam):
    """Nats a picture on held-out scenes, with their captions and with each other's."""
    (texts, *edits), found = exam, []
    with fast_products():
        for words in (texts.prompts, texts.prompts[1:] + texts.prompts[:1]):
            states = text_states(editor, words, texts.tokens, everything(len(words)))
            found.append(entropy(editor.gen_head(states), texts.tokens))
        for batch in edits:
            whole = everything(len(batch.rows))
            states = edit_states(editor, batch, editor.look(batch.pixels), whole)
            found.append(entropy(editor.gen_head(states), batch.tokens))
    return [value.item() * N_IMAGE for value in found]


def save(path, painter, recall, average, optimizer, step, spent):
    """Writes the state beside the old one, then replaces it."""
    state = {"model": painter.state_dict(), "recall": recall.state_dict(), "average": average,
             "step": step, "spent": spent, "optimizer": optimizer.state_dict()}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def resume(path, painter, recall, optimizer):
    """Loads a saved state, if any; gives averaged weights, steps and seconds so far."""
    if not path.exists():
        return {name: p.detach().clone() for name, p in painter.state_dict().items()}, 0, 0.0
    state = torch.load(path, map_location=torch.get_default_device(), weights_only=True)
    painter.load_state_dict(state["model"])
    recall.load_state_dict(state["recall"], strict=False)
    if "optimizer" in state:  # a packed state has none
        optimizer.load_state_dict(state["optimizer"])
    average = state.get("average") or state["model"]
    average = {name: average[name].to(p) for name, p in painter.state_dict().items()}
    return average, state["step"], state["spent"]


@torch.no_grad()
def follow(average, painter, step):
    """Lets the averaged weights follow; they forget the start quickly."""
    weight = 1 - min(0.998, (step + 1) / (step + 20))
    for name, value in painter.state_dict().items():
        average[name].lerp_(value, weight)


def report(painter, average, exam, step, spent, mean, log):
    """Prints and logs the progress; held-out figures are those of the averaged weights."""
    own = {name: value.clone() for name, value in painter.state_dict().items()}
    painter.load_state_dict(average)
    found = measure(painter, exam)
    painter.load_state_dict(own)
    nats = {name: round(value, 1)
            for name, value in zip(("caption", "other caption", "full", "part"), found)}
    line = {"step": step, "minutes": round(spent / 60, 2), "nats": nats,
            "loss": {name: round(value, 4) for name, value in mean.items()}}
    print(json.dumps(line), flush=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def draw_kind(rng, options):
    """What the next step learns, "text" or "edit", and how dense."""
    kind = "edit" if rng.random() < options.edits else "text"
    sparse = options.sparse_edits if kind == "edit" else options.sparse
    if rng.random() < sparse:
        return kind, "sparse"
    return kind, "band" if rng.random() < BANDS else "whole"


def prepare(options):
    """The model at its start, and the data."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    if options.device != "cpu":
        torch.set_default_device(options.device)
    codes, painter = Codes(options.codes), Editor()
    data = drawn(Data(codes), ("scene", "start"), options.codes, options.workers, options.seed)
    painter.gen_embed.weight.data.copy_(codes.vectors * SHAPE.code_dim ** 0.5)
    painter.language_model.lm_head.requires_grad_(False)
    if options.start:
        start_from(painter, options.start, vocabulary=data.vocabulary)
    return painter, data


def train(options):
    """Trains until the time is spent."""
    path, log = (pathlib.Path(options.out) / name for name in ("painter.pt", "log.jsonl"))
    painter, data = prepare(options)
    recall, mean = Recall(painter, data.vocabulary.word_ids()), {}
    named = (*painter.named_parameters(), *recall.named_parameters())
    optimizer = Optimizers(named, is_inner, options.rate, 0.01)
    families = [Families(part.weight, options.rate)
                for part in (painter.gen_head.vision_head, painter.gen_embed)]
    average, step, spent = resume(path, painter, recall, optimizer)
    exam = examination(Data(data.codes), options.edits)
    random.seed(options.seed + step)
    torch.manual_seed(options.seed + step)
    rng, last, saved = random.Random(f"{options.seed} {step}"), time.monotonic(), spent
    while spent < min(options.minutes, options.until) * 60:
        rate = share(spent, options.minutes)
        kind, density = draw_kind(rng, options)
        losses = (edit_loss if kind == "edit" else text_loss)(
            painter, recall, data, rng, density, options.batch)
        helpers = sum(losses.get(name, 0) for name in HELPERS)
        (losses[f"{kind} {density}"] + HELPERS_WEIGHT * rate * helpers).backward()
        for family in families:
            family.take()
        optimizer.step(rate)
        for family in families:
            family.step(rate)
        follow(average, painter, step)
        step += 1
        for name, loss in losses.items():
            mean[name] = mean.get(name, loss.item()) * 0.98 + loss.item() * 0.02
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 100 == 0:
            report(painter, average, exam, step, spent, mean, log)
        if spent - saved > 240:
            save(path, painter, recall, average, optimizer, step, spent)
            saved = spent
    save(path, painter, recall, average, optimizer, step, spent)
    report(painter, average, exam, step, spent, mean, log)


def main():
    """Reads the options and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", required=True)
    parser.add_argument("--out", required=True, help="folder for the state")
    parser.add_argument("--start", help="model folder whose weights are the start")
    parser.add_argument("--edits", type=float, default=0, help="share of steps that paint edits")
    parser.add_argument("--sparse", type=float, default=0.8,
                        help="share of the caption steps that keep a few places only")
    parser.add_argument("--sparse-edits", type=float, default=0.8,
                        help="share of the edit steps that do so, in both pictures")
    parser.add_argument("--minutes", type=float, default=60, help="of the whole training")
    parser.add_argument("--until", type=float, default=math.inf, help="minute to stop at before")
    parser.add_argument("--rate", type=float, default=2e-3)
    add_common(parser)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
