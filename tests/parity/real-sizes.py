# SPDX-License-Identifier: MIT
"""Compare the picture's encoders and decoder with the original code at their real dimensions.

    python real-sizes.py JANUS_CHECKOUT LIMNER_CLI [--threads N]

SigLIP-L (24 blocks of 1024, 384 pixels) and VQ-16 (128 channels, 16384 codes) get random weights,
the language model stays tiny. Nothing is kept: the checkpoint (0.8 GB) lies in a temporary folder.
Exits with 1 when an error exceeds its bound.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file

import cases
import checkpoints
import generate
import reference
import weights

SPEC = {
    **checkpoints.TINY_BF16,
    "seed": 5,
    "image_size": 384,
    "patch_size": 16,
    "siglip": {"width": 1024, "layers": 24, "heads": 16},
    "vq": {"ch": 128, "ch_mult": [1, 1, 2, 2, 4], "z_channels": 256, "norm_groups": None,
           "codes": 16384, "embed_dim": 8},
    "keep": [],
}
BOUNDS = {"siglip": 1e-4, "aligned": 1e-4, "vq_latent": 1e-4, "pixels": 1e-3}
TIE = 1e-4  # codes whose distances differ by less may go either way


def make_model(janus, folder):
    """Write the checkpoint and return its reference, with the weights as they are stored."""
    generate.write_configs(folder, SPEC)
    processor = janus.processing_vlm.VLChatProcessor.from_pretrained(str(folder))
    model = reference.build_model(janus, SPEC)
    weights.randomize(model, SPEC["seed"])
    weights.round_to(model, torch.bfloat16)
    generate.save_shards(folder, generate.stored_tensors(model, SPEC), 1)
    return reference.Reference(model, processor, SPEC)


def look(ref, picture, tokens):
    """What the original code computes, by the names of a trace."""
    seen = ref.look(picture)
    side = checkpoints.grid(SPEC)
    shape = [1, SPEC["vq"]["embed_dim"], side, side]
    pixels = ref.model.gen_vision_model.decode_code(torch.tensor([tokens]), shape)
    return {"pixel_values": seen.pixels[0], "siglip": seen.siglip, "aligned": seen.aligned,
            "vq_latent": seen.latent, "vq_ids": seen.vq_ids, "pixels": pixels[0]}


def run_engine(command, folder, picture, tokens):
    """The trace of an edit of `picture` with these forced tokens."""
    picture.save(folder / "picture.png")
    (folder / "tokens.json").write_text(json.dumps({"tokens": tokens}), encoding="utf-8")
    subprocess.run([*command, "--model", folder, "--prompt", "x", "--image",
                    folder / "picture.png", "--force-tokens", folder / "tokens.json", "--out",
                    folder / "trace.safetensors"], check=True, stdout=subprocess.DEVNULL)
    return load_file(folder / "trace.safetensors")


def relative(ours, theirs):
    """RMS of the difference over RMS, the worst row of a matrix."""
    dims = 1 if ours.dim() == 2 else tuple(range(ours.dim()))
    error, size = (ours - theirs).pow(2).mean(dims), theirs.pow(2).mean(dims)
    return (error / size).sqrt().max().item()


def wrong_codes(ref, ours, theirs):
    """Positions whose codes differ although the original's two best do not tie; all that differ."""
    z = torch.nn.functional.normalize(theirs["vq_latent"].flatten(1).T, dim=-1)
    book = ref.model.gen_vision_model.quantize.embedding.weight
    distance = 2 - 2 * z @ torch.nn.functional.normalize(book, dim=-1).T
    best = distance.topk(2, dim=-1, largest=False).values
    differs = ours["vq_ids"] != theirs["vq_ids"]
    return int((differs & (best[:, 1] - best[:, 0] > TIE)).sum()), int(differs.sum())


def compare(ref, ours, theirs):
    """Print every error; the number of those out of bounds."""
    n_failed = 0
    for name, bound in BOUNDS.items():
        error = (ours[name] - theirs[name]).abs().max().item() if name == "pixels" else relative(
            ours[name], theirs[name])
        print(f"{name:10} {error:.2e} (bound {bound:.0e}), largest value "
              f"{theirs[name].abs().max().item():.3g}")
        n_failed += not error <= bound
    n_wrong, n_differ = wrong_codes(ref, ours, theirs)
    n_codes = len(theirs["vq_ids"].unique())
    print(f"vq_ids     {n_differ} differ, {n_wrong} of them without a tie; {n_codes} distinct")
    same = torch.equal(ours["pixel_values"], theirs["pixel_values"])
    print("pixel_values", "equal" if same else "DIFFER")
    return n_failed + n_wrong + (not same)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("janus", type=pathlib.Path, help="checkout of deepseek-ai/Janus")
    parser.add_argument("cli", type=pathlib.Path, help="the program limner-cli")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    janus = reference.import_janus(args.janus)
    picture = cases.scene(640, 427)
    tokens = generate.random_tokens(SPEC, 1, checkpoints.grid(SPEC) ** 2)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        ref = make_model(janus, folder)
        start = time.monotonic()
        theirs = look(ref, picture, tokens)
        print(f"original: {time.monotonic() - start:.1f} s for the encoders and the decoder")
        start = time.monotonic()
        ours = run_engine([args.cli.resolve(), "trace", "--threads", str(args.threads)], folder,
                          picture, tokens)
        print(f"engine: {time.monotonic() - start:.1f} s with {len(tokens)} tokens of the small "
              "language model")
        sys.exit(compare(ref, ours, theirs) > 0)


if __name__ == "__main__":
    main()
