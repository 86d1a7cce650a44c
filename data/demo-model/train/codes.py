# SPDX-License-Identifier: MIT
# The fixed meaning of the image tokens: patches of things in eight colours, patches of backdrops.
"""Usage: codes.py --out codes.pt

A token of a thing says which piece of a drawing it is and in which colour, but neither what time it
is nor what lies behind: the decoder sees that in the tokens around. So a thing keeps its tokens
when night falls, and what is learned of one colour holds for all. Things and backdrops lie on the
token grid. Ids: N_COLORED kinds of pieces times eight colours, then plain pieces (trunks, wheels),
then patches of backdrops. They are settled here, before anything is trained; the decoder then
learns to draw them. The codes.pt beside this file is for the weights that are trained next.
"""

import argparse
import itertools
import math
import random

import numpy as np
import torch
from PIL import Image, ImageDraw

import scenes
from model import SHAPE

PATCH_VALUES = SHAPE.patch ** 2 * 3
COMPONENTS = 64  # of a patch of a backdrop that are compared when the nearest code is looked for
COMMON = 0.5  # power of a patch's frequency that it weighs in the fit
N_COLORED, N_PLAIN = 512, 160  # kinds of pieces
N_COLORS = len(scenes.COLORS)
FIRST_PLAIN = N_COLORED * N_COLORS
FIRST_BACKDROP = FIRST_PLAIN + N_PLAIN
LEAST_COVER = 0.03  # of a cell, for a thing to be in it
PLAIN_SPREAD = 0.02  # of a piece over the colours, as a share of the full range
FINE = 2  # pixels of a piece that are made one for the fit
SIZE_WEIGHTS = {"small": 3, "medium": 2, "big": 1}  # of a cell, by how often such things are


def patches(picture):
    """Patches [576, 768] of an RGB picture, row by row, still as bytes."""
    grid, side = SHAPE.grid, SHAPE.patch
    cells = np.asarray(picture).reshape(grid, side, grid, side, 3).transpose(0, 2, 1, 3, 4)
    return cells.reshape(grid * grid, PATCH_VALUES)


def to_floats(values):
    """Bytes to [-1, 1]."""
    return torch.from_numpy(values.copy()).float() / 127.5 - 1


def nearest(x, centres):
    """Index of the nearest centre and the squared distance to it, for each row."""
    norms, found = centres.square().sum(1), []
    for part in x.split(8192):
        found.append((norms - 2 * part @ centres.T).min(1))
    ids = torch.cat([item.indices for item in found])
    distances = torch.cat([item.values for item in found]) + x.square().sum(1)
    return ids, distances.clamp(min=0)


def k_means(x, weights, n, rounds):
    """Weighted k-means; empty clusters move to the rows that are drawn worst. Centres and ids."""
    centres = x[torch.multinomial(weights, n)].clone()
    for left in reversed(range(rounds)):
        ids, distances = nearest(x, centres)
        mass = torch.zeros(n).index_add_(0, ids, weights)
        sums = torch.zeros_like(centres).index_add_(0, ids, x * weights[:, None])
        full = mass > 0
        centres[full] = sums[full] / mass[full, None]
        if left > 3 and not full.all():
            centres[~full] = x[(weights * distances).topk(int((~full).sum())).indices]
    return centres, nearest(x, centres)[0]


def principal(x, weights, n):
    """Weighted mean and the first n principal directions [n, values]."""
    mean = (x * weights[:, None]).sum(0) / weights.sum()
    scaled = (x - mean) * weights.sqrt()[:, None]
    _, vectors = torch.linalg.eigh(scaled.T @ scaled)
    return mean, vectors.flip(1)[:, :n].T.contiguous()


def spread(pictures):
    """Unit vectors [codes, code_dim] in which like patches lie near each other."""
    mean, axes = principal(pictures, torch.ones(len(pictures)), SHAPE.code_dim - 1)
    flat = (pictures - mean) @ axes.T
    flat = flat / flat.std(0).sqrt()  # lesser directions count for more than their share
    last = flat.norm(dim=1).mean().expand(len(flat), 1)
    return torch.nn.functional.normalize(torch.cat((flat, last), 1), dim=1)


def backdrops():
    """Every scene without things, on hills with the thing that says where the hill is."""
    for time, ground, weather in itertools.product(scenes.TIMES, scenes.GROUNDS, scenes.WEATHERS):
        lights = ("left",) if weather in scenes.DULL else ("left", "right")
        mountains = ("",) if ground in ("hill", "city") else ("", *scenes.PLACES)
        hills = scenes.PLACES if ground == "hill" else ("middle",)
        for light, mountain, hill in itertools.product(lights, mountains, hills):
            thing = scenes.Thing("house", "red", place=hill)
            yield scenes.Scene(time, ground, weather, light, mountain, (thing,))


def backdrop_key(scene):
    """What tells backdrops apart."""
    light = "left" if scene.weather in scenes.DULL else scene.light_place
    hill = scene.things[0].place if scene.ground == "hill" else ""
    return scene.time, scene.ground, scene.weather, light, scene.mountain, hill


def piece_cells(kind, color, size, time):
    """A thing alone: colours times cover, and cover [n, n, 16, 16, 4] in 0 to 1."""
    side, layers = scenes.SIZES[size], []
    for ground in (0, 255):
        image = Image.new("RGB", (side * scenes.SCALE,) * 2, (ground,) * 3)
        brush = scenes.Brush(ImageDraw.Draw(image), 0, 0, side, time, bright=0.5)
        scenes.PAINTERS[kind](brush, scenes.COLORS[color])
        layers.append(np.asarray(image.reduce(scenes.SCALE), dtype=np.float32) / 255)
    cover = 1 - (layers[1] - layers[0]).mean(axis=-1, keepdims=True)
    values, n = np.concatenate((layers[0], cover), axis=-1), side // SHAPE.patch
    return values.reshape(n, SHAPE.patch, n, SHAPE.patch, 4).transpose(0, 2, 1, 3, 4)


def drawings():
    """(kind, size) of all things that scenes hold; those of the sky are always small."""
    for kind in scenes.PAINTERS:
        for size in ("small",) if kind in scenes.SKY_KINDS else scenes.SIZES:
            yield kind, size


def coarse(cells):
    """Cells [n, n, 16, 16, 4] at the resolution of the fit [n * n, values]."""
    n, m = len(cells), SHAPE.patch // FINE
    return cells.reshape(n, n, m, FINE, m, FINE, 4).mean(axis=(3, 5)).reshape(n * n, -1)


class Pieces:
    """All cells of all drawings that show something, in all colours, by day and by night."""

    def __init__(self):
        rows, weights, covers = [], [], []
        for kind, size in drawings():
            looks = [piece_cells(kind, color, size, time)
                     for color in scenes.COLORS for time in ("day", "night")]
            cover = looks[0][..., 3].mean(axis=(2, 3)).ravel()
            shown = cover > LEAST_COVER
            rows.append(np.stack([coarse(cells) for cells in looks], 1)[shown])
            covers.append(np.where(shown, cover, 0))
            weights += [float(SIZE_WEIGHTS[size])] * int(shown.sum())
        values = torch.from_numpy(np.concatenate(rows))  # [pieces, colours * times, values]
        self.values = values.view(len(values), N_COLORS, 2, -1)
        self.weights = torch.tensor(weights)
        self.covers = torch.from_numpy(np.concatenate(covers))  # of all cells of all drawings
        self.is_plain = self.values.std(dim=1).mean((1, 2)) < PLAIN_SPREAD

    def fit(self, rounds):
        """The kind of each piece, plain ones behind the coloured."""
        kinds, first = torch.zeros(len(self.values), dtype=torch.long), 0
        for n, chosen in ((N_COLORED, ~self.is_plain), (N_PLAIN, self.is_plain)):
            x, weights = self.values[chosen].flatten(1), self.weights[chosen]
            kinds[chosen] = k_means(x, weights, n, rounds)[1] + first
            first += n
        return kinds

    def means(self, kinds):
        """What pieces of each kind look like on average [kinds, colours, times, values]."""
        n, flat = N_COLORED + N_PLAIN, self.values.flatten(1)
        mass = torch.zeros(n).index_add_(0, kinds, self.weights).clamp(min=1e-9)
        sums = torch.zeros(n, flat.shape[1]).index_add_(0, kinds, flat * self.weights[:, None])
        return (sums / mass[:, None]).view(n, *self.values.shape[1:])

    def error(self, kinds):
        """Mean squared error of these, of values in 0 to 1."""
        errors = (self.values - self.means(kinds)[kinds]).square().mean((1, 2, 3))
        return ((errors * self.weights).sum() / self.weights.sum()).item()

    def table(self, kinds):
        """The kind of every cell of all drawings, -1 where nothing is."""
        table = torch.full(self.covers.shape, -1)
        table[self.covers > 0] = kinds
        return table

    def looks(self, kinds):
        """Day-lit colours times cover, and cover, of the codes of pieces [codes, m, m, 4]."""
        m = SHAPE.patch // FINE
        day = self.means(kinds)[:, :, 0].unflatten(-1, (m, m, 4))
        return torch.cat((day[:N_COLORED].flatten(0, 1), day[N_COLORED:].mean(1)))


def fit_backdrops(rounds):
    """Mean, axes, centres and looks [codes, m, m, 3] of backdrops, and their error in 0 to 1."""
    counts = {}
    for scene in backdrops():
        for patch in patches(scenes.draw(scene, with_things=False)):
            key = patch.tobytes()
            counts[key] = counts.get(key, 0) + 1
    values = np.frombuffer(b"".join(counts), np.uint8).reshape(-1, PATCH_VALUES)
    x, weights = to_floats(values), torch.tensor(list(counts.values())).float() ** COMMON
    mean, axes = principal(x, weights, COMPONENTS)
    n, m = SHAPE.codes - FIRST_BACKDROP, SHAPE.patch // FINE
    centres, ids = k_means((x - mean) @ axes.T, weights, n, rounds)
    mass = torch.zeros(n).index_add_(0, ids, weights).clamp(min=1e-9)
    means = torch.zeros(n, PATCH_VALUES).index_add_(0, ids, x * weights[:, None]) / mass[:, None]
    error = ((x - means[ids]).square().mean(1) * weights).sum() / weights.sum() / 4
    looks = (means.view(n, m, FINE, m, FINE, 3).mean((2, 4)) + 1) / 2
    print(len(x), "patches of backdrops")
    return (mean, axes, centres), looks, error.item()


def fit(rounds):
    """Everything that codes.pt holds."""
    pieces = Pieces()
    kinds = pieces.fit(rounds)
    (mean, axes, centres), scenery, error = fit_backdrops(rounds)
    things = pieces.looks(kinds)
    print(f"{len(pieces.values)} pieces, {int(pieces.is_plain.sum())} of them plain: "
          f"{-10 * math.log10(pieces.error(kinds)):.1f} dB; "
          f"backdrops: {-10 * math.log10(error):.1f} dB")
    bare = torch.cat((scenery, torch.zeros(*scenery.shape[:3], 1)), -1)
    looks = torch.cat((things, bare)).flatten(1)
    solid = torch.cat((things[..., :3] + (1 - things[..., 3:]) / 2, scenery)).flatten(1)
    state = {"mean": mean, "axes": axes, "centres": centres, "vectors": spread(looks),
             "covers": pieces.covers, "solid": solid[:, ::3]}
    state = {name: value.half() for name, value in state.items()}
    return {**state, "kinds": pieces.table(kinds).short()}


class Codes:
    """Turns scenes into image tokens."""

    def __init__(self, path):
        state = torch.load(path, weights_only=True)
        self.mean, self.axes, self.centres, self.vectors, self.solid = (
            state[name].float() for name in ("mean", "axes", "centres", "vectors", "solid"))
        self.things, self.known, first = {}, {}, 0
        for kind, size in drawings():
            n = scenes.SIZES[size] // SHAPE.patch
            self.things[kind, size] = [state[name][first:first + n * n].view(n, n).to(dtype)
                                       for name, dtype in (("kinds", torch.long),
                                                           ("covers", torch.float))]
            first += n * n

    def backdrop(self, scene):
        """Tokens [24, 24] of what stands behind the things."""
        key = backdrop_key(scene)
        if key not in self.known:
            flat = to_floats(patches(scenes.draw(scene, with_things=False))) - self.mean
            ids = nearest(flat @ self.axes.T, self.centres)[0] + FIRST_BACKDROP
            self.known[key] = ids.view(SHAPE.grid, SHAPE.grid)
        return self.known[key]

    def encode(self, scene):
        """Tokens [24, 24] of a scene."""
        ids, cover = self.backdrop(scene).clone(), torch.zeros(SHAPE.grid, SHAPE.grid)
        for thing in scene.things:
            kinds, covers = self.things[thing.kind, thing.size]
            color, n = list(scenes.COLORS).index(thing.color), len(kinds)
            own = torch.where(kinds < N_COLORED, kinds * N_COLORS + color,
                              kinds - N_COLORED + FIRST_PLAIN)
            top = scenes.thing_top(thing, scene.ground) // SHAPE.patch
            for left in scenes.thing_lefts(thing):
                at = (slice(top, top + n), slice(left // SHAPE.patch, left // SHAPE.patch + n))
                seen = (covers > 0) & ((covers > 0.5) | (covers > cover[at]))
                ids[at] = torch.where(seen, own, ids[at])
                cover[at] = torch.where(seen, covers, cover[at])
        return ids

    def like(self, picture):
        """Tokens [24, 24] that look most like an RGB picture of 384x384 of whatever it is."""
        m = SHAPE.patch // FINE
        flat = to_floats(patches(picture)).view(-1, m, FINE, m, FINE, 3).mean((2, 4)).flatten(1)
        return nearest((flat[:, ::3] + 1) / 2, self.solid)[0].view(SHAPE.grid, SHAPE.grid)


def main():
    """Reads the options, fits and saves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="codes.pt")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.save(fit(options.rounds), options.out)


if __name__ == "__main__":
    main()
