# SPDX-License-Identifier: MIT
# Fresh scenes, their image tokens, and words for them: what the painter is trained on.
"""`Data(codes)` draws batches without end."""

import random
from dataclasses import dataclass, replace

import numpy as np
import torch

import edits
import grammar
import scenes
import strange
import trials
from codes import FIRST_BACKDROP
from model import SHAPE
from vocabulary import Vocabulary

PLAIN = 0.7  # share of captions in the plainest wording, from which words are learned soonest
# Drawing takes as long as a sparse step, so that most of what is drawn is used again.
SCENES = {"size": 4000, "again": 0.8}
STARTS = {"size": 2000, "again": 0.9}  # of edits
ORDERS = 12  # edits kept of each start
# Share of an input's tokens that are another code near the right one; as the encoder errs.
NEAR_THINGS, NEAR_BACKDROPS = 0.2, 0.05
EXACT = 0.4  # share of the inputs without such errors
# Share of the full rows in which some places hold any token, in the picture and where an edit keeps
# them: nothing but an exact copy tells those, and rare tokens are copied as often as others.
ANY, ANY_PLACES = 0.15, 0.05
EMPTY = 0.1  # share of edits that put the first thing into an empty scene
STRANGE = 0.08  # share of pictures to edit that are not of this world; a scene answers them
ROWS = ("full", "part", "uncond")  # of guidance for edits
ROW_WEIGHTS = (5, 3, 1)


def to_tensor(image):
    """An RGB picture to [3, height, width] in [-1, 1]."""
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 127.5 - 1


def is_held_out(scene):
    """Whether the exam may ask for something in the scene."""
    return any(trials.is_held_out(thing.kind, thing.color, scene.ground, scene.time)
               for thing in scene.things)


class Pool:
    """Keeps what was made and mostly gives one of those again."""

    def __init__(self, size, again):
        self.size, self.again, self.kept = size, again, []

    def take(self, rng, make):
        """What `make` gives, or something it gave before."""
        if len(self.kept) > self.size // 20 and rng.random() < self.again:
            return rng.choice(self.kept)
        found = make(rng)
        if len(self.kept) < self.size:
            self.kept.append(found)
        else:
            self.kept[rng.randrange(self.size)] = found
        return found


@dataclass
class Texts:
    """Captions and pictures."""

    prompts: list  # [n] ids up to the picture's start
    tokens: torch.Tensor  # [n, 576]

    def to(self, device):
        """The same with its tensors there."""
        return replace(self, tokens=self.tokens.to(device))


@dataclass
class Descriptions:
    """Pictures and sentences that describe them."""

    pixels: torch.Tensor  # [n, 3, 384, 384]
    texts: list  # [n]


@dataclass
class Edits:
    """n pictures and k edits of each."""

    rows: list  # [n] which row of guidance
    blocks: list  # [n] ids of what stands before the instruction
    pixels: torch.Tensor  # [n, 3, 384, 384]
    codes: torch.Tensor  # [n, 576] image tokens of the pictures
    before: torch.Tensor  # [n, 576] what an encoder that errs a little takes them for
    prompts: list  # [n * k] ids of the instructions up to the picture's start
    tokens: torch.Tensor  # [n * k, 576] the pictures asked for

    def to(self, device):
        """The same with its tensors there."""
        return replace(self, **{name: getattr(self, name).to(device)
                                for name in ("pixels", "codes", "before", "tokens")})


class Data:
    """Batches of captions with pictures, and of pictures with edits."""

    def __init__(self, codes):
        self.codes = codes
        self.vocabulary = Vocabulary(edits.words())
        self.scenes, self.starts = Pool(**SCENES), Pool(**STARTS)
        self.near = torch.cdist(codes.vectors, codes.vectors).topk(5, largest=False).indices

    def encode(self, scene):
        """Image tokens [576] of a scene."""
        return self.codes.encode(scene).flatten()

    def scene(self, rng):
        """A random scene that the exam does not ask for, and its tokens."""
        scene = scenes.random_scene(rng)
        while is_held_out(scene):
            scene = scenes.random_scene(rng)
        return scene, self.encode(scene)

    def prompt(self, rng, scene, drop):
        """Ids of a fresh caption, or the padding that stands for none."""
        wording = grammar.Plainly() if rng.random() < PLAIN else rng
        ids = self.vocabulary.prompt(grammar.caption(wording, scene))
        return self.vocabulary.unconditional(len(ids)) if rng.random() < drop else ids

    def texts(self, rng, size, drop):
        """Random scenes; a share of `drop` has no caption."""
        found = [self.scenes.take(rng, self.scene) for _ in range(size)]
        return Texts([self.prompt(rng, scene, drop) for scene, _ in found],
                     torch.stack([tokens for _, tokens in found]))

    def held_out(self, size):
        """Always the same scenes, in plain words; other ones than in training, but of its kind."""
        rng = random.Random("held out")
        found = [self.scene(rng) for _ in range(size)]
        prompts = [self.vocabulary.prompt(grammar.caption(grammar.Plainly(), scene))
                   for scene, _ in found]
        return Texts(prompts, torch.stack([tokens for _, tokens in found]))

    def descriptions(self, rng, size):
        """Random scenes the other way round: seen, and put into words."""
        found = [self.scenes.take(rng, self.scene)[0] for _ in range(size)]
        return Descriptions(torch.stack([to_tensor(scenes.draw(scene)) for scene in found]),
                            [grammar.description(scene) for scene in found])

    def order(self, rng, scene):
        """Ids of one instruction, and the tokens of the picture that it asks for."""
        wording = grammar.Plainly() if rng.random() < PLAIN else rng
        text, after = edits.random_edit(rng, scene, wording)
        while is_held_out(after):
            text, after = edits.random_edit(rng, scene, wording)
        return self.vocabulary.instruction(text), self.encode(after)

    def start(self, rng):
        """A picture to change, its tokens, and orders for it."""
        scene = edits.random_start(rng, EMPTY)
        while is_held_out(scene):
            scene = edits.random_start(rng, EMPTY)
        orders = [self.order(rng, scene) for _ in range(ORDERS)]
        if rng.random() < STRANGE:
            picture = strange.draw(rng)
            return picture, self.codes.like(picture).flatten(), orders
        return scenes.draw(scene), self.encode(scene), orders

    def seen_tokens(self, rng, tokens):
        """Tokens as an encoder that errs a little gives them."""
        place = tokens.device
        other = self.near[tokens, torch.randint(0, self.near.shape[1], tokens.shape, device=place)]
        if rng.random() < EXACT:
            return tokens
        share = torch.where(tokens < FIRST_BACKDROP, NEAR_THINGS, NEAR_BACKDROPS)
        return torch.where(torch.rand(tokens.shape, device=place) < share, other, tokens)

    @staticmethod
    def mix(codes, before, targets):
        """Any tokens in some places of `before`, and of targets that are as `codes` there."""
        n_codes, place = SHAPE.codes, codes.device
        chosen = torch.rand(codes.shape, device=place) < ANY_PLACES
        other = torch.randint(0, n_codes, codes.shape, device=place)
        return (torch.where(chosen, other, before),
                [torch.where(chosen & (target == codes), other, target) for target in targets])

    def edits(self, rng, n_pictures, n_edits, rows=None):
        """Edits of random scenes; `rows` settles which row of guidance they are."""
        found = Edits([], [], [], [], [], [], [])
        for _ in range(n_pictures):
            row = rows or rng.choices(ROWS, ROW_WEIGHTS)[0]
            picture, codes, orders = self.starts.take(rng, self.start)
            block = self.vocabulary.picture_block()
            orders = rng.sample(orders, n_edits)
            prompts = [ids for ids, _ in orders]
            if row == "uncond":
                block = self.vocabulary.unconditional(len(block) + 1)[:-1]
                prompts = [self.vocabulary.unconditional(len(ids) + 1)[1:] for ids in prompts]
            found.rows.append(row)
            found.blocks.append(block)
            found.pixels.append(to_tensor(picture))
            found.codes.append(codes)
            before, targets = self.seen_tokens(rng, codes), [tokens for _, tokens in orders]
            if row == "full" and not rows and rng.random() < ANY:
                before, targets = self.mix(codes, before, targets)
            found.before.append(before)
            found.prompts.extend(prompts)
            found.tokens.extend(targets)
        found.pixels, found.codes, found.before, found.tokens = (torch.stack(part) for part in (
            found.pixels, found.codes, found.before, found.tokens))
        return found
