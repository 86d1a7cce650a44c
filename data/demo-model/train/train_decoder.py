# SPDX-License-Identifier: MIT
# Trains the half of the codec that draws: image tokens of true pictures back to their pixels.
"""Usage: train_decoder.py --codes codes.pt --out FOLDER --minutes N
                        [--device cuda --workers N --batch TIMES]

The first part of the time goes to the levels up to 96x96 only, with a head for 4x4 pixels that is
thrown away later: such steps cost a quarter. The learning rate follows the time spent.
FOLDER/codec.pt holds everything that is needed to go on. So far this has only run on CPUs.
"""

import argparse
import math
import pathlib
import random
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

import scenes
from checkpoint import start_from
from codes import Codes
from data import to_tensor
from model import SHAPE, Codec, group_norm
from muon import Optimizers, fast_products
from workers import add_common, drawn, drawn_there

SHALLOW_PART = 0.12  # of the time
CROP, CROPS = 8, 4  # side of a crop in tokens, crops in a step
FOLD = 4  # pixels that the shallow head draws at once, in each direction


class Trainee(nn.Module):
    """The codec and the head that is thrown away."""

    def __init__(self):
        super().__init__()
        width = SHAPE.channels * SHAPE.channel_mult[2]
        self.codec = Codec()
        self.codec.encoder.requires_grad_(False)
        self.codec.quant_conv.requires_grad_(False)
        self.head = nn.Sequential(group_norm(width), nn.SiLU(),
                                  nn.Conv2d(width, 3 * FOLD * FOLD, 1))

    def shallow(self, z):
        """Pixels from unit vectors by the deep levels and the head."""
        decoder = self.codec.decoder
        x = decoder.conv_in(self.codec.post_quant_conv(z.permute(0, 3, 1, 2)))
        for block in (*decoder.mid, *decoder.conv_blocks[:2], *decoder.conv_blocks[2].res):
            x = block(x)
        return F.pixel_shuffle(self.head(x), FOLD)

    def forward(self, ids, shallow):
        z = self.codec.quantize.lookup(ids)
        return self.shallow(z) if shallow else self.codec.pixels(z)


def is_inner(name):
    """Whether a matrix lies between hidden layers."""
    return ".decoder." in name and "conv_out" not in name


def random_corner(rng, scene):
    """Left and top token of a crop; most crops show a thing."""
    room = SHAPE.grid - CROP
    left, top = rng.randint(0, room), rng.randint(0, room)
    if rng.random() < 0.7:
        thing = rng.choice(scene.things)
        left = rng.choice(scenes.thing_lefts(thing)) // 16 + rng.randint(-4, 4)
        if thing.kind not in scenes.SKY_KINDS:
            top = scenes.BASELINE[scene.ground] // 16 - rng.randint(4, 12)
        else:
            top = rng.randint(0, 2)
    return min(max(left, 0), room), min(max(top, 0), room)


@dataclass
class Batch:
    """Pictures, or crops of as many."""

    ids: torch.Tensor  # [n, height, width] image tokens
    pixels: torch.Tensor  # [n, 3, height * 16, width * 16]

    def to(self, device):
        """The same with its tensors there."""
        return Batch(self.ids.to(device), self.pixels.to(device))


class Pictures:
    """Batches of random pictures and their image tokens without end."""

    def __init__(self, codes):
        self.codes = codes

    def whole(self, rng):
        """Tokens of one picture, and the picture."""
        scene = scenes.random_scene(rng)
        return self.codes.encode(scene), scenes.draw(scene)

    def crop(self, rng):
        """The same of a part of one."""
        scene = scenes.random_scene(rng)
        left, top = random_corner(rng, scene)
        ids = self.codes.encode(scene)[top:top + CROP, left:left + CROP].clone()
        edges = (side * SHAPE.patch for side in (left, top, left + CROP, top + CROP))
        return ids, scenes.draw(scene).crop(tuple(edges))

    def batch(self, rng, whole, times=1):
        """One whole picture or a few crops, so many times as many as on a CPU."""
        make, n = (self.whole, times) if whole else (self.crop, CROPS * times)
        ids, pictures = zip(*(make(rng) for _ in range(n)))
        return Batch(torch.stack(ids), torch.stack([to_tensor(picture) for picture in pictures]))


def picture_loss(y, x):
    """Absolute and squared error, and the error of the differences of neighbours."""
    delta = y - x
    edges = delta.diff(dim=-1).abs().mean() + delta.diff(dim=-2).abs().mean()
    return delta.abs().mean() + 2 * delta.square().mean() + 0.5 * edges


@torch.no_grad()
def measure(trainee, exam, shallow):
    """PSNR in dB over held-out pictures and that of the worst of them."""
    values = []
    for batch in exam:
        with fast_products():
            y = trainee(batch.ids, shallow).float().clamp(-1, 1)
        values.append(-10 * math.log10((y - batch.pixels).square().mean().item() / 4))
    return sum(values) / len(values), min(values)


def examination(codes, n_pictures=8):
    """Always the same pictures, one a batch."""
    rng, pictures = random.Random("held out"), Pictures(codes)
    return [drawn_there(pictures.batch, rng, True) for _ in range(n_pictures)]


def share(spent, minutes):
    """Share of the peak rate: half a minute of warm-up, then half a cosine down to a fiftieth."""
    done = min(spent / (minutes * 60), 1)
    return min(1, (spent + 1) / 30) * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)


def save(path, trainee, optimizer, step, spent):
    """Writes the state beside the old one, then replaces it."""
    state = {"codec": trainee.codec.state_dict(), "head": trainee.head.state_dict(),
             "optimizer": optimizer.state_dict(), "step": step, "spent": spent}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def resume(path, trainee, optimizer):
    """Loads a saved state, if any; gives steps and seconds spent so far."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location=torch.get_default_device(), weights_only=True)
    trainee.codec.load_state_dict(state["codec"])
    trainee.head.load_state_dict(state["head"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["spent"]


def report(trainee, exam, shallow, step, spent, loss):
    """Prints one line of progress."""
    psnr, worst = measure(trainee, exam, shallow)
    print(f"step {step} spent {spent / 60:.1f} min {'shallow ' if shallow else ''}"
          f"loss {loss:.4f} psnr {psnr:.2f} worst {worst:.2f}", flush=True)


def train_step(trainee, batch, shallow):
    """Forward and backward pass; gives the loss as a number."""
    with fast_products():
        y = trainee(batch.ids, shallow)
    loss = picture_loss(y.float(), batch.pixels)
    loss.backward()
    return loss.item()


def prepare(options):
    """Sets the machine up; gives the codes and the pictures of them."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    if options.device != "cpu":
        torch.set_default_device(options.device)
    codes, kinds = Codes(options.codes), ("whole", "crop")
    return codes, drawn(Pictures(codes), kinds, options.codes, options.workers, options.seed)


def train(options):
    """Trains until the time is spent."""
    path, (codes, pictures) = pathlib.Path(options.out) / "codec.pt", prepare(options)
    trainee, exam = Trainee(), examination(codes)
    trainee.codec.quantize.embedding.weight.data.copy_(codes.vectors)
    if options.start:
        start_from(trainee.codec, options.start, "gen_vision_model.")
    optimizer = Optimizers(trainee.named_parameters(), is_inner, options.rate, 1e-4)
    step, spent = resume(path, trainee, optimizer)
    rng, last = random.Random(f"{options.seed} {step}"), time.monotonic()
    mean, saved = None, spent
    while spent < options.minutes * 60:
        done = spent / (options.minutes * 60)
        shallow, every = done < SHALLOW_PART and not options.start, 6 if done < 0.8 else 2
        batch = drawn_there(pictures.batch, rng, step % every == 0, options.batch)
        loss = train_step(trainee, batch, shallow)
        optimizer.step(share(spent, options.minutes))
        step, mean = step + 1, loss if mean is None else 0.98 * mean + 0.02 * loss
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 100 == 0:
            report(trainee, exam, shallow, step, spent, mean)
        if spent - saved > 180:
            save(path, trainee, optimizer, step, spent)
            saved = spent
    save(path, trainee, optimizer, step, spent)
    report(trainee, exam, False, step, spent, mean)


def main():
    """Reads the options and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", required=True)
    parser.add_argument("--out", required=True, help="folder for the state")
    parser.add_argument("--start", help="model folder whose weights are the start")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=1e-3)
    add_common(parser)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
