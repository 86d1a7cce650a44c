# SPDX-License-Identifier: MIT
# Trains the picture codec on random scenes; can be stopped and started again.
"""Usage: train_codec.py --out FOLDER --minutes N

The learning rate follows the time spent, not the steps done, so that a busy machine still ends its
schedule on time. FOLDER/codec.pt holds everything that is needed to go on.
"""

import argparse
import math
import pathlib
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

import scenes
from model import SHAPE, Codec

PLAIN_STEPS = 400  # steps without quantisation, before the codebook is filled
DECAY = 0.99  # of the codebook's running means
CROP, CROPS = 128, 8


def to_tensor(image):
    """An RGB picture to [3, height, width] in [-1, 1]."""
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 127.5 - 1


def random_corner(rng, scene):
    """Left and top of a crop, on the token grid; half of all crops show a thing."""
    room = scenes.SIZE - CROP
    left, top = rng.randrange(0, room + 1, 16), rng.randrange(0, room + 1, 16)
    if rng.random() < 0.5:
        thing = rng.choice(scene.things)
        left = rng.choice(scenes.thing_lefts(thing)) + rng.randrange(-64, 65, 16)
        if thing.kind not in scenes.SKY_KINDS:
            top = scenes.BASELINE[scene.ground] - rng.randrange(64, 193, 16)
        else:
            top = rng.randrange(0, 33, 16)
    return min(max(left, 0), room), min(max(top, 0), room)


def random_batch(rng, whole):
    """One whole picture, or crops from as many pictures."""
    if whole:
        return to_tensor(scenes.draw(scenes.random_scene(rng)))[None]
    tiles = []
    for _ in range(CROPS):
        scene = scenes.random_scene(rng)
        left, top = random_corner(rng, scene)
        tiles.append(to_tensor(scenes.draw(scene))[:, top:top + CROP, left:left + CROP])
    return torch.stack(tiles)


class CodebookTrainer:
    """Running means of the latents that chose each code; unused codes move to recent latents."""

    def __init__(self, weight):
        self.weight = weight
        self.counts = torch.ones(SHAPE.codes)
        self.sums = F.normalize(weight.clone(), dim=-1)
        self.recent = []

    def remember(self, z):
        """Keeps a sample of the latents of the last steps."""
        self.recent = (self.recent + [z[torch.randperm(len(z))[:256]]])[-64:]

    def fill(self, rounds=12):
        """Spherical k-means over the remembered latents."""
        pool = torch.cat(self.recent)
        start = pool[torch.randperm(len(pool))[:SHAPE.codes]]
        self.sums, self.counts = start.clone(), torch.ones(SHAPE.codes)
        for _ in range(rounds):
            ids = (pool @ F.normalize(self.sums, dim=-1).T).argmax(-1)
            counts = torch.bincount(ids, minlength=SHAPE.codes)
            means = torch.zeros_like(self.sums).index_add_(0, ids, pool)
            self.sums = torch.where(counts[:, None] > 0, means, self.sums)
        self.sums = F.normalize(self.sums, dim=-1)
        self.weight.copy_(self.sums)

    def update(self, z, ids):
        """Moves the codes towards the latents `z` [n, code_dim] that chose them."""
        self.remember(z)
        counts = torch.bincount(ids, minlength=SHAPE.codes).float()
        means = torch.zeros_like(self.sums).index_add_(0, ids, z)
        self.counts.mul_(DECAY).add_(counts, alpha=1 - DECAY)
        self.sums.mul_(DECAY).add_(means, alpha=1 - DECAY)
        dead = self.counts < 0.003
        if dead.any():
            pool = torch.cat(self.recent)
            fresh = pool[torch.randint(len(pool), (int(dead.sum()),))]
            self.counts[dead], self.sums[dead] = 0.02, fresh * 0.02
        self.weight.copy_(F.normalize(self.sums, dim=-1))

    def state(self):
        """What a later run needs."""
        return {"counts": self.counts, "sums": self.sums, "recent": self.recent}

    def load(self, state):
        """Takes over what `state` gave."""
        self.counts, self.sums, self.recent = state["counts"], state["sums"], state["recent"]


def picture_loss(y, x):
    """Absolute and squared error, and the error of the differences of neighbours."""
    delta = y - x
    edges = delta.diff(dim=-1).abs().mean() + delta.diff(dim=-2).abs().mean()
    return delta.abs().mean() + 2 * delta.square().mean() + 0.5 * edges


def train_step(codec, book, x, quantised):
    """Forward and backward pass; gives the loss as a number."""
    with torch.autocast("cpu", torch.bfloat16):
        z = codec.latents(x)
        flat = z.detach().reshape(-1, SHAPE.code_dim)
        loss = 0
        if quantised:
            ids = codec.quantize.nearest(flat)
            chosen = codec.quantize.lookup(ids).detach().view_as(z)
            loss = 0.1 * (z - chosen).square().sum(-1).mean()
            z = z + (chosen - z).detach()
        y = codec.pixels(z).float()
    loss = loss + picture_loss(y, x)
    loss.backward()
    with torch.no_grad():
        book.update(flat, ids) if quantised else book.remember(flat)
    return loss.item()


@torch.no_grad()
def measure(codec, quantised, n_pictures=8):
    """PSNR in dB over held-out pictures, the worst of them, and the number of codes in use."""
    rng, values, used = random.Random("held out"), [], set()
    for _ in range(n_pictures):
        x = random_batch(rng, True)
        with torch.autocast("cpu", torch.bfloat16):
            z = codec.latents(x)
            if quantised:
                ids = codec.quantize.nearest(z.reshape(-1, SHAPE.code_dim))
                used.update(ids.tolist())
                z = codec.quantize.lookup(ids).view_as(z)
            y = codec.pixels(z).float().clamp(-1, 1)
        values.append(-10 * math.log10((y - x).square().mean().item() / 4))
    return sum(values) / len(values), min(values), len(used)


def rate(spent, minutes, peak):
    """Learning rate: one minute of warm-up, then half a cosine down to a hundredth."""
    done = min(spent / (minutes * 60), 1)
    return peak * min(1, (spent + 1) / 60) * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def save(path, codec, book, optimizer, step, spent):
    """Writes the state beside the old one, then replaces it."""
    state = {"codec": codec.state_dict(), "book": book.state(), "step": step, "spent": spent,
             "optimizer": optimizer.state_dict()}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def resume(path, codec, book, optimizer):
    """Loads a saved state, if any; gives steps and seconds spent so far."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    codec.load_state_dict(state["codec"])
    optimizer.load_state_dict(state["optimizer"])
    book.load(state["book"])
    return state["step"], state["spent"]


def report(codec, step, spent, loss, minutes):
    """Prints one line of progress."""
    psnr, worst, used = measure(codec, step > PLAIN_STEPS)
    print(f"step {step} spent {spent / 60:.1f} of {minutes} min loss {loss:.4f} "
          f"psnr {psnr:.2f} worst {worst:.2f} codes {used}", flush=True)


def train(options):
    """Trains until the time is spent."""
    path = pathlib.Path(options.out) / "codec.pt"
    codec = Codec()
    codec.quantize.embedding.weight.requires_grad_(False)
    parameters = [p for p in codec.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, options.rate, (0.9, 0.99), weight_decay=1e-4)
    book = CodebookTrainer(codec.quantize.embedding.weight)
    step, spent = resume(path, codec, book, optimizer)
    rng, last, mean, saved = random.Random(time.time()), time.monotonic(), 0.0, spent
    while spent < options.minutes * 60:
        if step == PLAIN_STEPS:
            book.fill()
        for group in optimizer.param_groups:
            group["lr"] = rate(spent, options.minutes, options.rate)
        loss = train_step(codec, book, random_batch(rng, step % 4 == 3), step >= PLAIN_STEPS)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step, mean = step + 1, loss if step == 0 else 0.98 * mean + 0.02 * loss
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 200 == 0:
            report(codec, step, spent, mean, options.minutes)
        if spent - saved > 180:
            save(path, codec, book, optimizer, step, spent)
            saved = spent
    save(path, codec, book, optimizer, step, spent)
    report(codec, step, spent, mean, options.minutes)


def main():
    """Reads the options and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, help="folder for the state")
    parser.add_argument("--minutes", type=float, default=55)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options)


if __name__ == "__main__":
    main()
