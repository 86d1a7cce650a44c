# SPDX-License-Identifier: MIT
# The fixed meaning of the image tokens: 2048 patches that stand for all patches of the world.
"""Usage: codes.py --out codes.pt

The world lies on the token grid, so that plain k-means of 16x16 pixel patches describes it well.
Token ids are settled here, before anything is trained; the decoder then learns to draw them. The
codes.pt beside this file belongs to the weights in the folder above.
"""

import argparse
import math
import random

import numpy as np
import torch

import scenes
from model import SHAPE

PATCH_VALUES = SHAPE.patch ** 2 * 3
COMPONENTS = 64  # of a patch that are compared when the nearest code is looked for
COMMON = 0.7  # power of a patch's frequency that it weighs in the fit


def patches(picture):
    """Patches [576, 768] of an RGB picture, row by row, still as bytes."""
    grid, side = SHAPE.grid, SHAPE.patch
    cells = np.asarray(picture).reshape(grid, side, grid, side, 3).transpose(0, 2, 1, 3, 4)
    return cells.reshape(grid * grid, PATCH_VALUES)


def to_floats(values):
    """Bytes to [-1, 1]."""
    return torch.from_numpy(values.copy()).float() / 127.5 - 1


def collect(rng, n_scenes):
    """All different patches of random scenes [n, 768] and how often each was seen."""
    counts = {}
    for _ in range(n_scenes):
        for patch in patches(scenes.draw(scenes.random_scene(rng))):
            key = patch.tobytes()
            counts[key] = counts.get(key, 0) + 1
    values = np.frombuffer(b"".join(counts), np.uint8).reshape(-1, PATCH_VALUES)
    return to_floats(values), torch.tensor(list(counts.values())).float()


def nearest(x, centres):
    """Index of the nearest centre and the squared distance to it, for each row."""
    norms, found = centres.square().sum(1), []
    for part in x.split(8192):
        found.append((norms - 2 * part @ centres.T).min(1))
    ids = torch.cat([item.indices for item in found])
    distances = torch.cat([item.values for item in found]) + x.square().sum(1)
    return ids, distances.clamp(min=0)


def k_means(x, weights, rounds):
    """Weighted k-means; empty clusters move to the patches that are drawn worst."""
    centres = x[torch.multinomial(weights, SHAPE.codes)].clone()
    for left in reversed(range(rounds)):
        ids, distances = nearest(x, centres)
        mass = torch.zeros(SHAPE.codes).index_add_(0, ids, weights)
        sums = torch.zeros_like(centres).index_add_(0, ids, x * weights[:, None])
        full = mass > 0
        centres[full] = sums[full] / mass[full, None]
        if left > 3 and not full.all():
            centres[~full] = x[(weights * distances).topk(int((~full).sum())).indices]
    return centres


def principal(x, weights, n):
    """Weighted mean and the first n principal directions [n, values]."""
    mean = (x * weights[:, None]).sum(0) / weights.sum()
    scaled = (x - mean) * weights.sqrt()[:, None]
    _, vectors = torch.linalg.eigh(scaled.T @ scaled)
    return mean, vectors.flip(1)[:, :n].T.contiguous()


def spread(centres):
    """Unit vectors [codes, code_dim] in which like patches lie near each other."""
    mean, axes = principal(centres, torch.ones(len(centres)), SHAPE.code_dim - 1)
    flat = (centres - mean) @ axes.T
    flat = flat / flat.std(0).sqrt()  # lesser directions count for more than their share
    last = flat.norm(dim=1).mean().expand(len(flat), 1)
    return torch.nn.functional.normalize(torch.cat((flat, last), 1), dim=1)


def fit(n_scenes, rounds):
    """Everything that codes.pt holds, and the PSNR in dB of showing the bare codes."""
    x, counts = collect(random.Random("codes"), n_scenes)
    weights = counts ** COMMON
    mean, axes = principal(x, weights, COMPONENTS)
    centres = k_means((x - mean) @ axes.T, weights, rounds)
    ids, _ = nearest((x - mean) @ axes.T, centres)
    mass = torch.zeros(SHAPE.codes).index_add_(0, ids, weights)
    sums = torch.zeros(SHAPE.codes, PATCH_VALUES).index_add_(0, ids, x * weights[:, None])
    pictures = sums / mass.clamp(min=1e-9)[:, None]
    errors = (x - pictures[ids]).square().mean(1)
    psnr = -10 * math.log10((errors * counts).sum() / counts.sum() / 4)
    state = {"mean": mean, "axes": axes, "centres": centres, "vectors": spread(pictures)}
    return {name: value.half() for name, value in state.items()}, psnr


class Codes:
    """Turns pictures into image tokens."""

    def __init__(self, path):
        state = {name: value.float() for name, value in torch.load(path, weights_only=True).items()}
        self.mean, self.axes, self.centres = state["mean"], state["axes"], state["centres"]
        self.vectors = state["vectors"]

    def encode(self, picture):
        """Tokens [24, 24] of an RGB picture of 384x384."""
        flat = (to_floats(patches(picture)) - self.mean) @ self.axes.T
        return nearest(flat, self.centres)[0].view(SHAPE.grid, SHAPE.grid)


def main():
    """Reads the options and fits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--scenes", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    torch.manual_seed(1)
    state, psnr = fit(options.scenes, options.rounds)
    torch.save(state, options.out)
    print(f"bare codes: {psnr:.2f} dB")


if __name__ == "__main__":
    main()
