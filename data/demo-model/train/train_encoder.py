# SPDX-License-Identifier: MIT
# Trains the half of the codec that looks: pixels to the vectors of the image tokens they are.
"""Usage: train_encoder.py --codes codes.pt --start MODEL --out FOLDER --minutes N
                        [--device cuda --workers N --batch TIMES]

The codes of MODEL stay as they are: the encoder learns to hit them. The learning rate follows the
time spent. FOLDER/encoder.pt holds everything that is needed to go on. So far this has only run on
CPUs.
"""

import argparse
import pathlib
import random
import time

import torch
import torch.nn.functional as F
from torch import nn

from checkpoint import start_from
from model import Codec
from muon import Optimizers, fast_products
from train_decoder import examination, prepare, share
from workers import add_common, drawn_there


class Trainee(nn.Module):
    """The codec with only its encoder learning, and how sharply codes are told apart."""

    def __init__(self):
        super().__init__()
        self.codec = Codec()
        for part in (self.codec.decoder, self.codec.quantize, self.codec.post_quant_conv):
            part.requires_grad_(False)
        self.sharpness = nn.Parameter(torch.tensor(5.5))  # neighbours lie within a degree

    def forward(self, x):
        """Logits [n, height, width, codes]."""
        with fast_products():
            z = self.codec.quant_conv(self.codec.encoder(x)).permute(0, 2, 3, 1)
        book = F.normalize(self.codec.quantize.embedding.weight, dim=-1)
        return F.normalize(z.float(), dim=-1) @ book.T * self.sharpness.exp()


def is_inner(name):
    """Whether a matrix lies between hidden layers."""
    return ".encoder." in name and "conv_in" not in name


@torch.no_grad()
def measure(trainee, exam):
    """Share of the tokens of whole held-out pictures that are hit, and the least of them."""
    values = [(trainee(batch.pixels).argmax(-1) == batch.ids).float().mean().item()
              for batch in exam]
    return sum(values) / len(values), min(values)


def save(path, trainee, optimizer, step, spent):
    """Writes the state beside the old one, then replaces it."""
    state = {"trainee": trainee.state_dict(), "optimizer": optimizer.state_dict(), "step": step,
             "spent": spent}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def resume(path, trainee, optimizer):
    """Loads a saved state, if any; gives steps and seconds spent so far."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location=torch.get_default_device(), weights_only=True)
    trainee.load_state_dict(state["trainee"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["spent"]


def report(trainee, exam, step, spent, loss):
    """Prints one line of progress."""
    hit, worst = measure(trainee, exam)
    print(f"step {step} spent {spent / 60:.1f} min loss {loss:.4f} tokens hit {hit:.4f} "
          f"worst picture {worst:.4f}", flush=True)


def train(options):
    """Trains until the time is spent."""
    path, (codes, pictures) = pathlib.Path(options.out) / "encoder.pt", prepare(options)
    trainee, exam = Trainee(), examination(codes)
    start_from(trainee.codec, options.start, "gen_vision_model.")
    optimizer = Optimizers(trainee.named_parameters(), is_inner, options.rate, 1e-4)
    step, spent = resume(path, trainee, optimizer)
    rng, last = random.Random(f"{options.seed} {step}"), time.monotonic()
    mean, saved = None, spent
    while spent < options.minutes * 60:
        is_whole = step % (3 if spent < options.minutes * 40 else 2) == 0
        batch = drawn_there(pictures.batch, rng, is_whole, options.batch)
        loss = F.cross_entropy(trainee(batch.pixels).flatten(0, 2), batch.ids.flatten())
        loss.backward()
        optimizer.step(share(spent, options.minutes))
        step, mean = step + 1, loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 100 == 0:
            report(trainee, exam, step, spent, mean)
        if spent - saved > 180:
            save(path, trainee, optimizer, step, spent)
            saved = spent
    save(path, trainee, optimizer, step, spent)
    report(trainee, exam, step, spent, mean)


def main():
    """Reads the options and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", required=True)
    parser.add_argument("--start", required=True, help="model folder whose codec is the start")
    parser.add_argument("--out", required=True, help="folder for the state")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--rate", type=float, default=1e-3)
    add_common(parser)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
