# SPDX-License-Identifier: MIT
"""Seeded random weights whose activations look like those of a trained model.

Norm weights and biases are random too, a few channels are outliers, and codebook rows are not of
unit length, so that a forgotten term shows.
"""

import torch

# (part of the name, gain): standard deviation of a weight = gain / sqrt(inputs).
GAINS = [
    ("self_attn.q_proj", 1.6), ("self_attn.k_proj", 1.6), ("self_attn.v_proj", 1.0),
    ("self_attn.o_proj", 0.8), ("mlp.down_proj", 1.0),
    ("attn.qkv", 1.3), ("attn.proj", 0.7), ("mlp.fc2", 0.8),
    ("gen_aligner.layers.2", 1.3), ("aligner.layers.2", 1.3),
    ("decoder.conv_out", 0.35), ("conv2", 0.5), ("proj_out", 0.6),
]


def gain_of(name):
    """Gain of the first matching entry."""
    return next((g for part, g in GAINS if part in name), 1.0)


def is_norm(name):
    """True for the scale of a normalisation layer."""
    parts = name.split(".")
    return len(parts) > 1 and "norm" in parts[-2]


def draw(name, shape, rng):
    """One random tensor."""
    noise = torch.randn(shape, generator=rng)
    if name.endswith("bias"):
        return 0.15 * noise
    if is_norm(name):
        scale = 1.0 + 0.25 * noise
        scale[rng_int(shape[0], rng)] = 3.0
        return scale
    if name.endswith("quantize.embedding.weight"):
        return noise * torch.exp(0.8 * torch.randn(shape[0], 1, generator=rng))
    if name.endswith("embed_tokens.weight"):
        noise[:, rng_int(shape[1], rng)] += 4.0
        return 0.6 * noise
    if name.endswith(("pos_embed", "attn_pool.latent")):
        return 0.3 * noise
    if name.endswith("gen_embed.weight"):
        return noise
    fan_in = noise[0].numel()
    weight = noise * gain_of(name) / fan_in ** 0.5
    if name.endswith(("down_proj.weight", "fc2.weight")):
        weight[rng_int(shape[0], rng)] *= 6.0
    return weight


def rng_int(limit, rng):
    """A random index below `limit`."""
    return int(torch.randint(limit, (1,), generator=rng))


def randomize(model, seed):
    """Fill every parameter in the order of the state dict; bookkeeping buffers stay zero."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not name.endswith("codebook_used"):
                tensor.copy_(draw(name, tuple(tensor.shape), rng))


def round_to(model, dtype):
    """Round all weights to the storage type, keeping them in f32."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(tensor.to(dtype).float())
