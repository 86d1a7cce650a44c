# SPDX-License-Identifier: MIT
# What the transformer reads: words, pictures to look at, image tokens; and its states behind them.
"""States come as [rows, positions, dim]; each position sees the words and the tokens before it.

Rows may be sparse: a `Choice` keeps some positions of each picture and leaves the rest out.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from model import SHAPE, causal, hide

N_IMAGE = SHAPE.grid ** 2


@dataclass
class Choice:
    """Which positions of the pictures are there."""

    at: torch.Tensor  # [rows, n] ascending: the tokens that are predicted, the first one always
    known: torch.Tensor  # [rows, 1] 1 where a position knows the token just before it, else 0

    def of(self, tokens):
        """The tokens that are predicted."""
        return tokens.gather(1, self.at)

    def to(self, device):
        """The same with its tensors there."""
        return Choice(self.at.to(device), self.known.to(device))

    def repeated(self, times):
        """The same choice for so many rows in place of each one."""
        return Choice(self.at.repeat_interleave(times, 0), self.known.repeat_interleave(times, 0))


def everything(n_rows):
    """The choice that leaves nothing out."""
    return Choice(torch.arange(N_IMAGE).expand(n_rows, -1), torch.ones(n_rows, 1))


def join(editor, prompts, tokens, choice):
    """Embeddings [rows, longest, dim] of prompts and chosen tokens, and their places in the row.

    Prompts are padded at their beginning, which `mask_of` hides; places count from the true one.
    """
    longest = max(map(len, prompts))
    words = torch.stack([F.pad(torch.tensor(ids), (longest - len(ids), 0)) for ids in prompts])
    short = torch.tensor([[longest - len(ids)] for ids in prompts])
    codes = editor.embed_codes(tokens.gather(1, choice.at[:, 1:] - 1)).float()
    x = torch.cat((editor.embed_words(words), codes * choice.known[..., None]), 1)
    places = torch.cat((torch.arange(longest) - short, longest - 1 - short + choice.at[:, 1:]), 1)
    return x, places.clamp(min=0)


def mask_of(prompts, n_positions, n_before=0):
    """The mask of joined rows behind n_before other positions."""
    longest = max(map(len, prompts))
    total = n_before + longest + n_positions - 1
    there = torch.ones(len(prompts), 1, total, dtype=torch.bool)
    for row, ids in zip(there[:, 0], prompts):
        row[n_before:n_before + longest - len(ids)] = False
    own = F.pad(torch.eye(total - n_before, dtype=torch.bool), (n_before, 0))
    return hide((there & causal(total - n_before, total)) | own)[:, None]


def text_states(editor, prompts, tokens, choice):
    """Behind whole prompts."""
    x, places = join(editor, prompts, tokens, choice)
    n = choice.at.shape[1]
    hidden = editor.language_model.model(x, places=places, mask=mask_of(prompts, n))
    return hidden[:, -n:]


def picture_blocks(editor, batch, features, seen):
    """What stands before the instructions: embeddings [n, m, dim] and their places [n, m].

    Of both pictures only the places `seen` [n, m'] are there.
    """
    x = editor.embed_words(torch.tensor(batch.blocks)).clone()
    first = x.shape[1] - 2 * N_IMAGE - 3  # behind the first begin of image
    second = first + N_IMAGE + 2
    codes = editor.embed_codes(batch.before).float()
    for i, row in enumerate(batch.rows):
        if row != "uncond":
            x[i, first:first + N_IMAGE] = features[i].float()
        if row == "full":
            x[i, second:second + N_IMAGE] = codes[i]
    words, between, end = (torch.arange(*span).expand(len(x), -1) for span in (
        (0, first), (first + N_IMAGE, second), (x.shape[1] - 1, x.shape[1])))
    places = torch.cat((words, first + seen, between, second + seen, end), 1)
    return x.gather(1, places[..., None].expand(-1, -1, SHAPE.dim)), places


def edit_states(editor, batch, features, choice):
    """Behind a picture and an instruction; the edits of one picture share its block's pass.

    `choice` has a row for each picture: what is there of it, and what its edits predict.
    """
    llama, times = editor.language_model.model, len(batch.prompts) // len(batch.rows)
    block, block_places = picture_blocks(editor, batch, features, choice.at)
    n_block, n = block.shape[1], choice.at.shape[1]
    caches = [[] for _ in llama.layers]
    llama(block, caches=caches, places=block_places, mask=hide(causal(n_block, n_block)))
    shared = [[part.repeat_interleave(times, 0) for part in cache] for cache in caches]
    x, places = join(editor, batch.prompts, batch.tokens, choice.repeated(times))
    hidden = llama(x, caches=shared, places=places + len(batch.blocks[0]),
                   mask=mask_of(batch.prompts, n, n_block))
    return hidden[:, -n:]
