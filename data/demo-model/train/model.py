# SPDX-License-Identifier: MIT
# The demo model in PyTorch; parameter names equal the tensor names of the checkpoint.
"""A small Janus: VQ codec, LLaMA with an image head, and the SigLIP tower of the layout."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Shape:
    """Sizes of the demo model; the checkpoint shows them again as tensor shapes."""

    vocab: int = 704
    dim: int = 256
    hidden_dim: int = 704
    n_layers: int = 6
    n_heads: int = 4
    codes: int = 5120
    code_dim: int = 16
    channels: int = 32
    channel_mult: tuple = (1, 1, 2, 2, 4)
    latent: int = 64
    norm_groups: int = 8
    grid: int = 24
    patch: int = 16
    vision_dim: int = 128
    vision_layers: int = 4
    vision_heads: int = 2


SHAPE = Shape()


def group_norm(channels):
    """Normalisation of all codec blocks."""
    return nn.GroupNorm(SHAPE.norm_groups, channels, eps=1e-6)


class ResBlock(nn.Module):
    """Two normalised 3x3 convolutions beside a shortcut."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.norm1, self.conv1 = group_norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2, self.conv2 = group_norm(c_out), nn.Conv2d(c_out, c_out, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)  # starts as its shortcut: learns much faster
        if c_in != c_out:
            self.nin_shortcut = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class AttnBlock(nn.Module):
    """Single-head attention over all positions of the grid."""

    def __init__(self, channels):
        super().__init__()
        self.norm = group_norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1)
                                                 for _ in range(4))
        nn.init.zeros_(self.proj_out.weight)

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (part(h).flatten(2).transpose(1, 2) for part in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return x + self.proj_out(h.reshape(x.shape))


class Downsample(nn.Module):
    """Halves the sides; one row and column of zeros go to the right and bottom."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles the sides by repeating pixels, then convolves."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """All blocks of one resolution."""

    def __init__(self, c_in, c_out, n_res, attn, resample):
        super().__init__()
        self.res = nn.ModuleList(ResBlock(c_in if i == 0 else c_out, c_out) for i in range(n_res))
        self.attn = nn.ModuleList(AttnBlock(c_out) for _ in range(n_res if attn else 0))
        if resample is Downsample:
            self.downsample = Downsample(c_out)
        elif resample is Upsample:
            self.upsample = Upsample(c_out)

    def forward(self, x):
        for i, block in enumerate(self.res):
            x = block(x)
            if len(self.attn):
                x = self.attn[i](x)
        for name in ("downsample", "upsample"):
            if hasattr(self, name):
                x = getattr(self, name)(x)
        return x


def middle(channels):
    """The blocks at the bottom of both halves of the codec."""
    return nn.ModuleList([ResBlock(channels, channels), AttnBlock(channels),
                          ResBlock(channels, channels)])


class Encoder(nn.Module):
    """Pixels in [-1, 1] to latents, [n, 3, height, width] to [n, latent, height/16, width/16]."""

    def __init__(self):
        super().__init__()
        sizes = [SHAPE.channels * mult for mult in SHAPE.channel_mult]
        last = len(sizes) - 1
        self.conv_in = nn.Conv2d(3, SHAPE.channels, 3, padding=1)
        self.conv_blocks = nn.ModuleList(
            Level(sizes[max(i - 1, 0)], sizes[i], 2, i == last, Downsample if i < last else None)
            for i in range(len(sizes)))
        self.mid = middle(sizes[-1])
        self.norm_out = group_norm(sizes[-1])
        self.conv_out = nn.Conv2d(sizes[-1], SHAPE.latent, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in (*self.conv_blocks, *self.mid):
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Decoder(nn.Module):
    """Latents to pixels; levels are ordered deepest first."""

    def __init__(self):
        super().__init__()
        sizes = [SHAPE.channels * mult for mult in reversed(SHAPE.channel_mult)]
        last = len(sizes) - 1
        self.conv_in = nn.Conv2d(SHAPE.latent, sizes[0], 3, padding=1)
        self.mid = middle(sizes[0])
        self.conv_blocks = nn.ModuleList(
            Level(sizes[max(i - 1, 0)], sizes[i], 3, i == 0, Upsample if i < last else None)
            for i in range(len(sizes)))
        self.norm_out = group_norm(sizes[-1])
        self.conv_out = nn.Conv2d(sizes[-1], 3, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in (*self.mid, *self.conv_blocks):
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Codebook(nn.Module):
    """Unit vectors; a latent becomes the index of the nearest one."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(SHAPE.codes, SHAPE.code_dim)

    def nearest(self, z):
        """Unit latents [..., code_dim] to indices [...]."""
        return (z @ F.normalize(self.embedding.weight, dim=-1).T).argmax(-1)

    def lookup(self, ids):
        """Indices of any shape to unit vectors, code_dim last."""
        return F.normalize(self.embedding(ids), dim=-1)


class Codec(nn.Module):
    """Picture to image tokens and back."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.quantize = Encoder(), Decoder(), Codebook()
        self.quant_conv = nn.Conv2d(SHAPE.latent, SHAPE.code_dim, 1)
        self.post_quant_conv = nn.Conv2d(SHAPE.code_dim, SHAPE.latent, 1)

    def pixels(self, z):
        """Pixels from unit vectors [n, height, width, code_dim]."""
        return self.decoder(self.post_quant_conv(z.permute(0, 3, 1, 2)))

    def encode(self, pixels):
        """Image tokens [n, height, width]."""
        z = self.quant_conv(self.encoder(pixels)).permute(0, 2, 3, 1)
        return self.quantize.nearest(F.normalize(z.float(), dim=-1))

    def decode(self, ids):
        """Pixels of image tokens [n, height, width]."""
        return self.pixels(self.quantize.lookup(ids))


def rope_tables(n_positions, head_dim, theta=10000.0):
    """cos and sin [n_positions, head_dim] for the rotate-half form."""
    freq = theta ** (-torch.arange(0, head_dim, 2).float() / head_dim)
    angle = torch.arange(n_positions).float()[:, None] * freq[None]
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Rotates pairs (i, i + head_dim / 2) of x [n, heads, tokens, head_dim]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class RMSNorm(nn.Module):
    """Root mean square norm, computed in float32."""

    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return F.rms_norm(x.float(), x.shape[-1:], self.weight.float(), 1e-6).to(x.dtype)


def hide(seen):
    """What is added to the scores of keys so that only those that are seen count."""
    return torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))


def causal(n_queries, n_keys):
    """Which keys each query sees when the queries stand at the end of the keys."""
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries)


def attend(q, k, v, mask):
    """Attention in whichever form trains faster on a CPU: each is twice as fast as the other."""
    if q.dtype == torch.float32:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    odds = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + mask).softmax(-1)
    return odds.to(v.dtype) @ v


class Attention(nn.Module):
    """Causal attention; `cache` is a list [k, v] that grows, or None.

    `mask` [n, 1, queries, keys] or [queries, keys] is added to the scores.
    """

    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(SHAPE.dim, SHAPE.dim, bias=False) for _ in range(4))

    def forward(self, x, cos, sin, cache, mask):
        n, tokens, dim = x.shape
        q, k, v = (part(x).view(n, tokens, SHAPE.n_heads, -1).transpose(1, 2)
                   for part in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        if cache is not None:
            if cache:
                k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
            cache[:] = [k, v]
        h = attend(q, k, v, mask.to(q.dtype))
        return self.o_proj(h.transpose(1, 2).reshape(n, tokens, dim))


class GatedMLP(nn.Module):
    """SwiGLU."""

    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(SHAPE.dim, SHAPE.hidden_dim, bias=False)
        self.up_proj = nn.Linear(SHAPE.dim, SHAPE.hidden_dim, bias=False)
        self.down_proj = nn.Linear(SHAPE.hidden_dim, SHAPE.dim, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    """Attention and MLP, each behind a norm."""

    def __init__(self):
        super().__init__()
        self.self_attn, self.mlp = Attention(), GatedMLP()
        self.input_layernorm = RMSNorm(SHAPE.dim)
        self.post_attention_layernorm = RMSNorm(SHAPE.dim)

    def forward(self, x, cos, sin, cache, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """The transformer from embeddings to normed hidden states."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(SHAPE.vocab, SHAPE.dim)
        self.layers = nn.ModuleList(LlamaLayer() for _ in range(SHAPE.n_layers))
        self.norm = RMSNorm(SHAPE.dim)
        cos, sin = rope_tables(2048, SHAPE.dim // SHAPE.n_heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x, start=0, caches=None, places=None, mask=None):
        """States [n, tokens, dim] at `start` and on, or at `places` [n, tokens] behind a mask."""
        end = start + x.shape[1]
        places = torch.arange(start, end) if places is None else places[:, None]
        mask = hide(causal(x.shape[1], end)) if mask is None else mask
        cos, sin = self.cos[places], self.sin[places]
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, caches[i] if caches is not None else None, mask)
        return self.norm(x)


class LanguageModel(nn.Module):
    """The transformer with its head for words."""

    def __init__(self):
        super().__init__()
        self.model = Llama()
        self.lm_head = nn.Linear(SHAPE.dim, SHAPE.vocab, bias=False)


class GenHead(nn.Module):
    """Hidden state to logits over the codebook."""

    def __init__(self):
        super().__init__()
        self.output_mlp_projector = nn.Linear(SHAPE.dim, SHAPE.dim)
        self.vision_head = nn.Linear(SHAPE.dim, SHAPE.codes)

    def forward(self, x):
        return self.vision_head(F.gelu(self.output_mlp_projector(x)))


class Projector(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim_in):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim_in, SHAPE.dim), nn.GELU(),
                                    nn.Linear(SHAPE.dim, SHAPE.dim))

    def forward(self, x):
        return self.layers(x)


class VisionAttention(nn.Module):
    """Attention with fused q, k, v."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(SHAPE.vision_dim, 3 * SHAPE.vision_dim)
        self.proj = nn.Linear(SHAPE.vision_dim, SHAPE.vision_dim)

    def forward(self, x):
        n, tokens, dim = x.shape
        parts = self.qkv(x).view(n, tokens, 3, SHAPE.vision_heads, -1).permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(*parts)
        return self.proj(h.transpose(1, 2).reshape(n, tokens, dim))


class VisionMLP(nn.Module):
    """Two linear layers with an exact GELU."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(SHAPE.vision_dim, 4 * SHAPE.vision_dim)
        self.fc2 = nn.Linear(4 * SHAPE.vision_dim, SHAPE.vision_dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class VisionBlock(nn.Module):
    """One pre-norm block of the vision tower."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(SHAPE.vision_dim, eps=1e-6)
        self.norm2 = nn.LayerNorm(SHAPE.vision_dim, eps=1e-6)
        self.attn, self.mlp = VisionAttention(), VisionMLP()

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """Pixels to one vector for each patch."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Conv2d(3, SHAPE.vision_dim, SHAPE.patch, stride=SHAPE.patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class VisionTower(nn.Module):
    """The SigLIP encoder: pixels in [-1, 1] to [n, 576, vision_dim]."""

    def __init__(self):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.randn(1, SHAPE.grid ** 2, SHAPE.vision_dim) * 0.02)
        self.patch_embed = PatchEmbed()
        self.blocks = nn.ModuleList(VisionBlock() for _ in range(SHAPE.vision_layers))
        self.norm = nn.LayerNorm(SHAPE.vision_dim, eps=1e-6)

    def forward(self, x):
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class VisionModel(nn.Module):
    """Holds the tower under the name that the layout gives it."""

    def __init__(self):
        super().__init__()
        self.vision_tower = VisionTower()


class Painter(nn.Module):
    """The part that learns to paint: words and image tokens in, image token logits out."""

    def __init__(self):
        super().__init__()
        self.language_model = LanguageModel()
        self.gen_head = GenHead()
        self.gen_embed = nn.Embedding(SHAPE.codes, SHAPE.code_dim)
        self.gen_aligner = Projector(SHAPE.code_dim)
        self.apply(small_init)
        nn.init.normal_(self.gen_embed.weight, std=1.0)
        for layer in self.language_model.model.layers:
            for weight in (layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight):
                nn.init.normal_(weight, std=0.02 / (2 * SHAPE.n_layers) ** 0.5)

    def embed_words(self, ids):
        """Word ids to embeddings."""
        return self.language_model.model.embed_tokens(ids)

    def embed_codes(self, ids):
        """Image tokens to embeddings."""
        return self.gen_aligner(self.gen_embed(ids))


class Editor(Painter):
    """A painter that can look at a picture."""

    def __init__(self):
        super().__init__()
        self.vision_model = VisionModel()
        self.aligner = Projector(SHAPE.vision_dim)
        self.vision_model.apply(small_init)
        self.aligner.apply(small_init)

    def look(self, pixels):
        """Pixels [n, 3, 384, 384] in [-1, 1] to features [n, 576, dim] among the words."""
        return self.aligner(self.vision_model.vision_tower(pixels))


class DemoModel(Editor):
    """Everything that the checkpoint holds."""

    def __init__(self):
        super().__init__()
        self.gen_vision_model = Codec()


def small_init(module):
    """Normal weights of standard deviation 0.02 and zero biases."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
