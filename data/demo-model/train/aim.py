# SPDX-License-Identifier: MIT
# Points idle attention heads at the same place of the picture to edit, before edits are learned.
"""Usage: aim.py --codes codes.pt --state FOLDER/painter.pt

Most of an edit is a copy of the picture, from a place some 600 positions back. Found by training
alone that takes longer than all the rest; here heads that captions hardly need are set to look
there, and what they see is left for training to use. Run it on a state of train_model.py that
paints captions, train edits for some minutes, and run it again: once the image tokens can be told
from their embeddings (the loss "codes"), what the heads see is also passed on to the image head.
"""

import argparse
import pathlib
import random

import torch
import torch.nn.functional as F

from codes import Codes
from data import Data
from model import SHAPE, Editor
from sequences import N_IMAGE, edit_states, text_states
from train_model import Recall, entropy, some_places

HEAD_DIM = SHAPE.dim // SHAPE.n_heads
IS_SEEN = (False, True, False)  # which of three heads looks at what was seen of the picture
LAYERS = (2, 3)  # the length of the words can be told from the states before these
FREQUENCIES = slice(1, 22)  # of the rotary pairs: the fastest are too sharp, the slowest too blunt
FOCUS = 20.0  # score of the right place
SEEN = 0.07  # size of what a head passes on, as a share of the final state
HINGES, NEW = 2.5, 96  # steepness of the new image token embeddings' kinks; directions they add


def solve(x, y, ridge):
    """Least squares x @ w = y with a small penalty on w."""
    gram = x.T @ x + ridge * x.pow(2).mean() * len(x) * torch.eye(x.shape[1])
    return torch.linalg.solve(gram, x.T @ y)


def spread(painter):
    """Adds directions to the image tokens' embeddings in which like tokens lie apart.

    The embeddings that captions teach keep little but the colours of a token; to copy it exactly,
    its neighbours must differ too. What was there stays.
    """
    codes, layers = painter.gen_embed.weight, painter.gen_aligner.layers
    old = painter.embed_codes(torch.arange(SHAPE.codes))
    rays = F.normalize(torch.randn(SHAPE.dim, SHAPE.code_dim), dim=1)
    steep = HINGES / (codes @ rays.T).std()
    kinks = (codes[torch.randint(0, SHAPE.codes, (SHAPE.dim,))] * rays).sum(1)
    hidden = F.gelu((codes @ rays.T - kinks) * steep)
    mean, varied = hidden.mean(0), hidden - hidden.mean(0)
    same = solve(varied, old - old.mean(0), 1e-5)
    _, sizes, ways = torch.linalg.svd(varied, full_matrices=False)
    taken = torch.linalg.svd(old - old.mean(0), full_matrices=False).Vh[:12]
    free = torch.linalg.qr(torch.cat((taken, old.mean(0, True), torch.randn(NEW, SHAPE.dim))).T)
    gain = (old - old.mean(0)).norm() / NEW ** 0.5
    mapping = same + (ways[:NEW].T / sizes[:NEW]) @ free.Q.T[13:] * gain
    layers[0].weight.copy_(rays * steep)
    layers[0].bias.copy_(-kinks * steep)
    layers[2].weight.copy_(mapping.T)
    layers[2].bias.copy_(old.mean(0) - mean @ mapping)


class Examples:
    """Edits by sparse places, and the normed states before each layer when they are read."""

    def __init__(self, painter, data, n_pictures=24, n_edits=8):
        rng = random.Random(1)
        self.batch = data.edits(rng, n_pictures, n_edits, "full")
        self.choice = some_places(n_pictures)
        self.n, self.times = self.choice.at.shape[1], n_edits
        self.blocks, self.rows, self.final = {}, {}, None
        hooks = [layer.input_layernorm.register_forward_hook(self.keep(i))
                 for i, layer in enumerate(painter.language_model.model.layers)]
        hooks.append(painter.language_model.model.norm.register_forward_pre_hook(self.end))
        edit_states(painter, self.batch, painter.look(self.batch.pixels), self.choice)
        for hook in hooks:
            hook.remove()

    def keep(self, layer):
        """Takes the states of the first pass as the pictures', those of the second as the rows'."""
        def take(_layer, _inputs, states):
            (self.rows if layer in self.blocks else self.blocks)[layer] = states
        return take

    def end(self, _norm, inputs):
        """Takes the last states."""
        self.final = inputs[0][:, -self.n:]

    def queries(self, layer):
        """States [n, dim] that predict tokens."""
        return self.rows[layer][:, -self.n:].flatten(0, 1)

    def keys(self, layer, is_seen):
        """States [n, dim] of the pictures' tokens, or of what was seen of them."""
        first = self.blocks[layer].shape[1] - 2 * self.n - 3
        start = first if is_seen else first + self.n + 2
        return self.blocks[layer][:, start:start + self.n].flatten(0, 1)

    def lengths(self):
        """Number of the tokens between picture and place, for each query."""
        lengths = torch.tensor([len(ids) for ids in self.batch.prompts])
        return lengths.repeat_interleave(self.n)


def head_rows(head):
    """Rows of the projections that belong to a head."""
    return slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)


def aim(attention, head, examples, layer, is_seen):
    """Lets a head look at the place that is predicted, whatever the number of words between."""
    pairs = HEAD_DIM // 2
    rates = 10000.0 ** (-torch.arange(pairs).float() / pairs)
    used = torch.zeros(pairs)
    used[FREQUENCIES] = 1
    size = (FOCUS * HEAD_DIM ** 0.5 / used.sum()) ** 0.5
    keys, rows = examples.keys(layer, is_seen), head_rows(head)
    towards = solve(keys, torch.ones(len(keys), 1), 0.02)
    key = torch.cat((used * size, torch.zeros(pairs)))
    attention.k_proj.weight[rows] = key[:, None] * towards.T
    back = examples.lengths() + N_IMAGE + (N_IMAGE + 2 if is_seen else 0)
    angles = back[:, None] * rates
    query = torch.cat((used * size * angles.cos(), -used * size * angles.sin()), 1)
    attention.q_proj.weight[rows] = solve(examples.queries(layer), query, 1e-3).T


def carry(attention, head, mapping):
    """Lets a head write x @ mapping of the state x that it looks at, as far as its size allows."""
    out = torch.linalg.svd(mapping, full_matrices=False).Vh[:HEAD_DIM]
    inner = mapping @ out.T
    gain = (inner.norm() / HEAD_DIM ** 0.5).clamp(min=1e-6)
    attention.v_proj.weight[head_rows(head)] = (inner / gain).T
    attention.o_proj.weight[:, head_rows(head)] = out.T * gain


def look_only(attention, head, keys):
    """Values are what differs most among the keys; they are written small, in random directions."""
    ways = torch.linalg.svd(keys - keys.mean(0), full_matrices=False).Vh
    attention.v_proj.weight[head_rows(head)] = ways[:HEAD_DIM]
    out = torch.linalg.qr(torch.randn(SHAPE.dim, HEAD_DIM)).Q
    attention.o_proj.weight[:, head_rows(head)] = out * 0.1


def tell_codes(painter, recall, ids):
    """What the image head wants to read for image tokens, before the last norm."""
    x = painter.embed_codes(ids)
    wanted = recall.code(F.rms_norm(x, x.shape[-1:])) / painter.language_model.model.norm.weight
    return wanted - wanted.mean(0)


def pass_on(painter, recall, examples, layer, head, is_seen):
    """Lets an aimed head tell the image head which token it sees."""
    x = examples.keys(layer, is_seen)
    goal = tell_codes(painter, recall, examples.choice.of(examples.batch.codes).flatten())
    goal = goal * SEEN * 0.7 * examples.final.pow(2).mean().sqrt() / goal.pow(2).mean().sqrt()
    level = 10 * len(x) ** 0.5 * x.mean(0, True)  # what all places share must add nothing
    mapping = solve(torch.cat((x, level)), torch.cat((goal, torch.zeros_like(level))), 1e-3)
    carry(painter.language_model.model.layers[layer].self_attn, head, mapping)


def least_needed(painter, data, count):
    """The heads (layer, head) without which captions are worded worst by the least."""
    batch, found = data.texts(random.Random(2), 12, 0), []
    choice = some_places(len(batch.prompts))
    for layer in LAYERS:
        weight = painter.language_model.model.layers[layer].self_attn.o_proj.weight
        for head in range(SHAPE.n_heads):
            columns = weight[:, head_rows(head)]
            kept = columns.clone()
            columns.zero_()
            states = text_states(painter, batch.prompts, batch.tokens, choice)
            logits = painter.gen_head(states)
            found.append((entropy(logits, choice.of(batch.tokens)).item(), layer, head))
            columns.copy_(kept)
    return sorted(place for _, *place in sorted(found)[:count])


def look(painter, recall, data):
    """The first run."""
    recall.aimed.copy_(torch.tensor(least_needed(painter, data, 3)))
    spread(painter)
    examples = Examples(painter, data)
    for (layer, head), is_seen in zip(recall.aimed.tolist(), IS_SEEN):
        attention = painter.language_model.model.layers[layer].self_attn
        aim(attention, head, examples, layer, is_seen)
        look_only(attention, head, examples.keys(layer, is_seen))
    print("aimed layer, head:", *recall.aimed.tolist())


def tell(painter, recall, data):
    """The second run."""
    examples = Examples(painter, data)
    for (layer, head), is_seen in zip(recall.aimed.tolist(), IS_SEEN):
        pass_on(painter, recall, examples, layer, head, is_seen)
    print("image tokens are told by layer, head:", *recall.aimed.tolist())


@torch.no_grad()
def main():
    """Reads the options and changes the state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", required=True)
    parser.add_argument("--state", required=True)
    options = parser.parse_args()
    torch.manual_seed(1)
    random.seed(1)
    state = torch.load(options.state, weights_only=True)
    painter, data = Editor(), Data(Codes(options.codes))
    painter.load_state_dict(state["model"])
    recall = Recall(painter, data.vocabulary.word_ids())
    recall.load_state_dict(state["recall"], strict=False)
    (look if recall.aimed[0, 0] < 0 else tell)(painter, recall, data)
    state["model"], state["recall"] = painter.state_dict(), recall.state_dict()
    state["average"] = {name: value.clone() for name, value in state["model"].items()}
    torch.save(state, pathlib.Path(options.state))


if __name__ == "__main__":
    main()
