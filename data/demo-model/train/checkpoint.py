# SPDX-License-Identifier: MIT
# Reads the tensors of an exported model folder, to train on from the weights that are shipped.
"""`load(folder)` gives {name: float tensor}; the shards hold bf16, as export.py writes them."""

import json
import pathlib
import struct

import torch


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
    """`start` with the rows of those words that the folder's tokenizer knows too."""
    rows = start.clone()
    for text, old in token_ids(folder).items():
        new = vocabulary.base.get(text, vocabulary.special.get(text))
        if new is not None:
            rows[new] = table[old]
    return rows


def start_from(model, folder, prefix="", vocabulary=None):
    """Gives `model` those of the folder's tensors whose names are `prefix` and one of its own.

    With a vocabulary, embeddings follow their words, which may have other ids there.
    """
    tensors, words = load(folder), "language_model.model.embed_tokens.weight"
    own = {name: tensors[prefix + name] for name in model.state_dict() if prefix + name in tensors}
    if not own:
        raise SystemExit(f"{folder}: no tensor of the model is there")
    if vocabulary and words in own:
        own[words] = regroup(own[words], model.state_dict()[words], folder, vocabulary)
    model.load_state_dict(own, strict=False)
