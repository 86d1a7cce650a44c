# SPDX-License-Identifier: MIT
# Paints pictures with the PyTorch model, to look at what training has reached.
"""Usage: sample.py --codec codec.pt --painter painter.pt --out sheet.png [--cfg 2 4]
                 --prompt TEXT...

The sheet has one row for each prompt and guidance weight, and --count pictures in a row.
"""

import argparse
import pathlib

import torch
from PIL import Image

import edits
from export import build
from model import SHAPE
from vocabulary import Vocabulary

N_IMAGE = SHAPE.grid ** 2
SHEET_SIDE = 192


def load_rounded(codec, painter):
    """The model with weights rounded to bfloat16, as exported, computing in float32."""
    return build(codec=codec, painter=painter).bfloat16().float().eval()


@torch.inference_mode()
def paint(model, prompt_ids, pad_ids, count, cfg, temperature, seed):
    """Image tokens [count, 576]: conditional rows first, then unconditional ones."""
    generator = torch.Generator().manual_seed(seed)
    llama = model.language_model.model
    caches = [[] for _ in llama.layers]
    x = model.embed_words(torch.tensor([prompt_ids] * count + [pad_ids] * count))
    start, drawn = 0, []
    for _ in range(N_IMAGE):
        hidden = llama(x, start, caches)[:, -1]
        start += x.shape[1]
        cond, free = model.gen_head(hidden).chunk(2)
        logits = free + cfg * (cond - free)
        if temperature > 0:
            odds = torch.softmax(logits / temperature, dim=-1)
            ids = torch.multinomial(odds, 1, generator=generator)[:, 0]
        else:
            ids = logits.argmax(-1)
        drawn.append(ids)
        x = model.embed_codes(ids.repeat(2))[:, None]
    return torch.stack(drawn, dim=1)


@torch.inference_mode()
def to_images(model, ids):
    """RGB pictures of image tokens [n, 576]."""
    images = []
    for row in ids:
        y = model.gen_vision_model.decode(row.view(1, SHAPE.grid, SHAPE.grid))[0]
        pixels = ((y + 1) / 2 * 255).clamp(0, 255).byte().permute(1, 2, 0)
        images.append(Image.fromarray(pixels.numpy()))
    return images


def main():
    """Reads the options and paints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", required=True)
    parser.add_argument("--painter", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--cfg", type=float, nargs="+", default=[3.0])
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompt", nargs="+", required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, vocabulary = load_rounded(options.codec, options.painter), Vocabulary(edits.words())
    rows = [(prompt, cfg) for prompt in options.prompt for cfg in options.cfg]
    sheet = Image.new("RGB", (options.count * SHEET_SIDE, len(rows) * SHEET_SIDE))
    for y, (prompt, cfg) in enumerate(rows):
        words = vocabulary.prompt(prompt)
        ids = paint(model, words, vocabulary.unconditional(len(words)), options.count, cfg,
                    options.temperature, options.seed)
        for x, image in enumerate(to_images(model, ids)):
            small = image.resize((SHEET_SIDE, SHEET_SIDE))
            sheet.paste(small, (x * SHEET_SIDE, y * SHEET_SIDE))
        print(f"row {y}: cfg {cfg} {prompt}", flush=True)
    sheet.save(pathlib.Path(options.out))


if __name__ == "__main__":
    main()
