# SPDX-License-Identifier: MIT
# Trains the painter (transformer, image embeddings and image head) on captions and image tokens.
"""Usage: train_model.py --codes codes.pt --out FOLDER --minutes N

Scenes are drawn and worded anew for each step. The learning rate follows the time spent.
FOLDER/painter.pt holds everything that is needed to go on.
"""

import argparse
import math
import pathlib
import random
import time

import torch
import torch.nn.functional as F

import grammar
import scenes
from codes import Codes
from model import SHAPE, Painter
from muon import Optimizers
from vocabulary import Vocabulary

DROP = 0.1  # share of captions replaced by padding: the unconditional row of guidance
# Guidance multiplies the difference of two rows' logits, also where both are far below the likely
# codes; without smoothing those differences are arbitrary and guided pictures break.
SMOOTHING = 0.005
# Few image tokens need the words, and those lie far behind: so every seventh position also names
# the words of its caption from the state after this layer. What that teaches serves the rest.
RECALL_LAYER, RECALL_STRIDE, RECALL_WEIGHT = 2, 7, 0.5
PLAIN = 0.7  # share of captions in the plainest wording, from which words are learned soonest
N_IMAGE = SHAPE.grid ** 2


class Data:
    """Fresh scenes, their tokens, and words for them."""

    def __init__(self, codes):
        self.codes = codes
        self.vocabulary = Vocabulary(grammar.words())

    def prompt(self, rng, scene, drop):
        """Word ids of a fresh caption, or the padding that stands for none."""
        wording = grammar.Plainly() if rng.random() < PLAIN else rng
        ids = self.vocabulary.prompt(grammar.caption(wording, scene))
        return self.vocabulary.unconditional(len(ids)) if rng.random() < drop else ids

    def batch(self, rng, size, drop=DROP):
        """Prompts and tokens [size, 576] of random scenes."""
        found = [scenes.random_scene(rng) for _ in range(size)]
        tokens = torch.stack([self.codes.encode(scenes.draw(scene)) for scene in found])
        return [self.prompt(rng, scene, drop) for scene in found], tokens.flatten(1)


def logits_of(painter, prompts, tokens):
    """Logits [n, 576, codes], each position seeing the words and the tokens before it."""
    codes = painter.embed_codes(tokens[:, :-1]).float()
    longest = max(map(len, prompts))
    rows = []
    for ids, row in zip(prompts, codes):
        words = painter.embed_words(torch.tensor(ids))
        rows.append(F.pad(torch.cat((words, row)), (0, 0, 0, longest - len(ids))))
    hidden = painter.language_model.model(torch.stack(rows))
    hidden = torch.stack([h[len(ids) - 1:len(ids) - 1 + N_IMAGE]
                          for ids, h in zip(prompts, hidden)])
    return painter.gen_head(hidden)


class Recall:
    """Keeps the states after one layer and says how badly they name the caption's words."""

    def __init__(self, painter):
        self.words = painter.language_model.model.embed_tokens
        self.states = None
        layer = painter.language_model.model.layers[RECALL_LAYER]
        layer.register_forward_hook(self.keep)

    def keep(self, _layer, _inputs, states):
        """Takes the states of the latest pass."""
        self.states = states

    def loss(self, prompts):
        """Cross-entropy in nats against the caption's words, each as likely as the others."""
        total = 0
        for ids, states in zip(prompts, self.states.float()):
            found = F.rms_norm(states[len(ids) - 1::RECALL_STRIDE], states.shape[-1:])
            logits = found @ self.words.weight.T / states.shape[-1] ** 0.5
            said = torch.tensor(sorted(set(ids[3:-5])))
            total = total - logits.log_softmax(-1)[:, said].mean()
        return total / len(prompts)


def loss_of(painter, prompts, tokens, smoothing=0.0):
    """Mean cross-entropy of the image tokens, in nats."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = logits_of(painter, prompts, tokens)
    return F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten(),
                           label_smoothing=smoothing)


def is_inner(name):
    """Whether a matrix lies inside the transformer."""
    return ".layers." in name and "language_model" in name


def share(spent, minutes):
    """Share of the peak rate: half a minute of warm-up, level, then down over the last 60 %."""
    done = min(spent / (minutes * 60), 1)
    fall = 1 if done < 0.4 else 0.02 + 0.98 * (1 + math.cos(math.pi * (done - 0.4) / 0.6)) / 2
    return min(1, (spent + 1) / 30) * fall


@torch.no_grad()
def measure(painter, data):
    """Loss on held-out scenes, the same each time."""
    rng = random.Random("held out")
    return sum(loss_of(painter, *data.batch(rng, 16, 0)).item() for _ in range(2)) / 2


def save(path, painter, average, optimizer, step, spent):
    """Writes the state beside the old one, then replaces it."""
    state = {"model": painter.state_dict(), "average": average, "step": step, "spent": spent,
             "optimizer": optimizer.state_dict()}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def resume(path, painter, optimizer):
    """Loads a saved state, if any; gives averaged weights, steps and seconds so far."""
    if not path.exists():
        return {name: p.detach().clone() for name, p in painter.state_dict().items()}, 0, 0.0
    state = torch.load(path, weights_only=True)
    painter.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["average"], state["step"], state["spent"]


@torch.no_grad()
def follow(average, painter, step):
    """Lets the averaged weights follow; they forget the start quickly."""
    weight = 1 - min(0.998, (step + 1) / (step + 20))
    for name, value in painter.state_dict().items():
        average[name].lerp_(value, weight)


def report(painter, average, data, step, spent, loss):
    """Prints one line of progress; the held-out loss is that of the averaged weights."""
    own = {name: value.clone() for name, value in painter.state_dict().items()}
    painter.load_state_dict(average)
    held_out = measure(painter, data)
    painter.load_state_dict(own)
    print(f"step {step} spent {spent / 60:.1f} min "
          f"loss {loss:.4f} held out {held_out:.4f}", flush=True)


def train(options):
    """Trains until the time is spent."""
    torch.manual_seed(options.seed)
    path = pathlib.Path(options.out) / "painter.pt"
    torch.set_num_threads(options.threads)
    codes, painter = Codes(options.codes), Painter()
    data = Data(codes)
    painter.gen_embed.weight.data.copy_(codes.vectors * SHAPE.code_dim ** 0.5)
    painter.language_model.lm_head.requires_grad_(False)
    optimizer = Optimizers(painter.named_parameters(), is_inner, options.rate, 0.01)
    average, step, spent = resume(path, painter, optimizer)
    recall = Recall(painter)
    rng, last = random.Random(time.time()), time.monotonic()
    mean, saved = None, spent
    while spent < options.minutes * 60:
        rate = share(spent, options.minutes)
        prompts, tokens = data.batch(rng, options.batch)
        loss = loss_of(painter, prompts, tokens, SMOOTHING)
        named = recall.loss(prompts)
        (loss + RECALL_WEIGHT * rate * named).backward()
        optimizer.step(rate)
        follow(average, painter, step)
        step, value = step + 1, loss.item()
        mean = value if mean is None else 0.98 * mean + 0.02 * value
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 100 == 0:
            print(f"words {named.item():.2f}", end=" ")
            report(painter, average, data, step, spent, mean)
        if spent - saved > 240:
            save(path, painter, average, optimizer, step, spent)
            saved = spent
    save(path, painter, average, optimizer, step, spent)
    report(painter, average, data, step, spent, mean)


def main():
    """Reads the options and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", required=True)
    parser.add_argument("--out", required=True, help="folder for the state")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
