# SPDX-License-Identifier: MIT
# Reads the tensors of an exported model folder, to train on from the weights that are shipped.
"""`load(folder)` gives {name: float tensor}; the shards hold bf16, as export.py writes them."""

import json
import pathlib
import struct

import torch

WORDS = {"language_model.model.embed_tokens.weight", "language_model.lm_head.weight"}

def load_shard(path):
    """All tensors of one safetensors file of bf16 values."""
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = (8 + length + offset for offset in entry["data_offsets"])
        flat = torch.frombuffer(data[first:last], dtype=torch.bfloat16)
        tensors[name] = flat.view(entry["shape"]).float()
    return tensors


def load(folder):
    """All tensors of the folder."""
    tensors = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        tensors.update(load_shard(path))
    return tensors


def token_ids(folder):
    """{token text: id} of the folder's tokenizer."""
    content = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text("utf-8"))
    added = {entry["content"]: entry["id"] for entry in content["added_tokens"]}
    return {**content["model"]["vocab"], **added}


def regroup(table, start, folder, vocabulary):
    """`start` with the rows of those words that the folder's tokenizer knows too.

    A word that it knows only in small letters begins as that.
    """
    rows, ids = start.clone(), token_ids(folder)
    for text, new in {**vocabulary.base, **vocabulary.special}.items():
        old = ids.get(text, ids.get(text.lower()))
        if old is not None:
            rows[new] = table[old]
    return rows


def start_from(model, folder, prefix="", vocabulary=None):
    """Gives `model` those of the folder's tensors whose names are `prefix` and one of its own.

    With a vocabulary, embeddings follow their words, which may have other ids there.
    """
    tensors = load(folder)
    own = {name: tensors[prefix + name] for name, value in model.state_dict().items()
           if prefix + name in tensors
           and (name in WORDS or tensors[prefix + name].shape == value.shape)}
    if not own:
        raise SystemExit(f"{folder}: no tensor of the model is there")
    if vocabulary:
        for name in WORDS & own.keys():
            own[name] = regroup(own[name], model.state_dict()[name], folder, vocabulary)
    model.load_state_dict(own, strict=False)
