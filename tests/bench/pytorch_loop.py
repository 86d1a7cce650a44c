# SPDX-License-Identifier: MIT
"""The reference's decode loop on PyTorch, with random bf16 weights of Janus-Pro's dimensions.

LlamaModel of transformers where it can be imported, else the same layers in plain torch. Prints one
JSON object: seconds of a step (median, least, most), and the bytes a second that torch reads.
"""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn.functional as functional
from torch import nn

SIZES = {
    'janus-pro-1b': {'dim': 2048, 'hidden_dim': 5632, 'n_layers': 24, 'n_heads': 16},
    'janus-pro-7b': {'dim': 4096, 'hidden_dim': 11008, 'n_layers': 30, 'n_heads': 32},
}
N_CODES, CODE_DIM, IMAGE_TOKENS = 16384, 8, 576


class RmsNorm(nn.Module):
    """In f32, then rounded, as LlamaRMSNorm."""

    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * wide.to(x.dtype)


def rotate(x, cos, sin):
    """First half with second half of each head."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Layer(nn.Module):
    """One layer of LLaMA over new positions [rows, n, dim] and a cache."""

    def __init__(self, dim, hidden_dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.attention_norm, self.ffn_norm = RmsNorm(dim), RmsNorm(dim)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(dim, hidden_dim, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden_dim, dim, bias=False)

    def forward(self, x, cos, sin, cache, place, mask):
        rows, n, dim = x.shape
        normed = self.attention_norm(x)
        q, k, v = (layer(normed).view(rows, n, self.n_heads, -1).transpose(1, 2)
                   for layer in (self.q, self.k, self.v))
        k, v = cache.add(rotate(k, cos, sin), v, place)
        mixed = functional.scaled_dot_product_attention(
            rotate(q, cos, sin), k, v, attn_mask=mask, is_causal=mask is None and n > 1)
        x = x + self.o(mixed.transpose(1, 2).reshape(rows, n, dim))
        normed = self.ffn_norm(x)
        return x + self.down(functional.silu(self.gate(normed)) * self.up(normed))


class GrowingCache:
    """Keys and values that are joined with the new ones at every step, as DynamicCache does."""

    def __init__(self):
        self.k = self.v = None

    def add(self, k, v, place):
        self.k = k if self.k is None else torch.cat((self.k, k), dim=2)
        self.v = v if self.v is None else torch.cat((self.v, v), dim=2)
        return self.k, self.v


class FixedCache:
    """Keys and values in memory of the full length, as StaticCache has them."""

    def __init__(self, rows, n_heads, length, head_dim):
        self.k = torch.zeros(rows, n_heads, length, head_dim, dtype=torch.bfloat16)
        self.v = torch.zeros_like(self.k)

    def add(self, k, v, place):
        self.k.index_copy_(2, place, k)
        self.v.index_copy_(2, place, v)
        return self.k, self.v


class PlainLlama(nn.Module):
    """LlamaModel without its embedding."""

    def __init__(self, dim, hidden_dim, n_layers, n_heads):
        super().__init__()
        self.head_dim, self.n_heads = dim // n_heads, n_heads
        self.layers = nn.ModuleList(Layer(dim, hidden_dim, n_heads) for _ in range(n_layers))
        self.norm = RmsNorm(dim)

    def forward(self, x, caches, place, mask):
        half = torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim
        angles = place.float()[:, None] * (10000.0 ** -half)[None]
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        for layer, cache in zip(self.layers, caches):
            x = layer(x, cos, sin, cache, place, mask)
        return self.norm(x)


class PlainRun:
    """Feeds embeddings to PlainLlama, keeping the caches."""

    def __init__(self, sizes, rows, length, is_fixed):
        self.model = PlainLlama(**sizes)
        self.is_fixed, self.length, self.n_done = is_fixed, length, 0
        self.call = self.model
        self.caches = [FixedCache(rows, sizes['n_heads'], length, sizes['dim'] // sizes['n_heads'])
                       if is_fixed else GrowingCache() for _ in range(sizes['n_layers'])]

    def feed(self, x):
        place = torch.arange(self.n_done, self.n_done + x.shape[1])
        mask = None
        if self.is_fixed:
            mask = torch.arange(self.length)[None] <= place[:, None]
        self.n_done += x.shape[1]
        return self.call(x, self.caches, place, mask)


class LlamaRun:
    """The same with transformers' LlamaModel."""

    def __init__(self, sizes, transformers):
        config = transformers.LlamaConfig(
            hidden_size=sizes['dim'], intermediate_size=sizes['hidden_dim'],
            num_hidden_layers=sizes['n_layers'], num_attention_heads=sizes['n_heads'],
            max_position_embeddings=16384, vocab_size=1)
        self.model = transformers.LlamaModel(config)
        self.call, self.past = self.model, None

    def feed(self, x):
        out = self.call(inputs_embeds=x, use_cache=True, past_key_values=self.past)
        self.past = out.past_key_values
        return out.last_hidden_state


class Borders(nn.Module):
    """gen_head, gen_embed and gen_aligner."""

    def __init__(self, dim):
        super().__init__()
        self.embed = nn.Embedding(N_CODES, CODE_DIM)
        self.aligner = nn.Sequential(nn.Linear(CODE_DIM, dim), nn.GELU(), nn.Linear(dim, dim))
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, N_CODES))


def randomize(module):
    """Uniform weights whose outputs are as large as the inputs; norms stay 1."""
    for name, parameter in module.named_parameters():
        if parameter.dim() > 1:
            bound = math.sqrt(3 / parameter.shape[-1])
            parameter.data.uniform_(-bound, bound)
        elif name.endswith('bias'):
            parameter.data.uniform_(-0.1, 0.1)
    return module.eval()


def make_run(args, sizes, rows, length):
    """The language model, and who made it."""
    transformers = None
    nn.Linear.reset_parameters = lambda layer: None  # the values come later
    if not args.plain and not args.compile:
        try:
            import transformers
        except ImportError:
            pass
    if transformers:
        return LlamaRun(sizes, transformers), 'transformers ' + transformers.__version__
    return PlainRun(sizes, rows, length, args.compile), 'plain'


def draw(logits, cfg):
    """One token a sample from rows that alternate conditional and unconditional."""
    cond, uncond = logits[0::2], logits[1::2]
    probabilities = torch.softmax(uncond + cfg * (cond - uncond), dim=-1)
    return torch.multinomial(probabilities, num_samples=1)


def step(run, borders, x, cfg):
    """One token of every sample, and the embeddings that are fed next."""
    hidden = run.feed(x)
    token = draw(borders.head(hidden[:, -1]), cfg)
    token = torch.cat((token, token), dim=1).view(-1)
    return borders.aligner(borders.embed(token))[:, None]


def read_rate(data):
    """Bytes a second that torch reads; the best of three."""
    best = math.inf
    for _ in range(3):
        begin = time.perf_counter()
        data.sum()
        best = min(best, time.perf_counter() - begin)
    return data.numel() * data.element_size() / best


def measure(args):
    """The answer as a dictionary."""
    sizes = dict(SIZES[args.size])
    sizes['n_layers'] = min(args.layers or sizes['n_layers'], sizes['n_layers'])
    rows = 2 * args.samples
    length = args.context + args.warm_up + args.steps
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    run, by = make_run(args, sizes, rows, length)
    borders = randomize(Borders(sizes['dim']))
    randomize(run.model)
    torch.set_default_dtype(torch.float32)
    data = torch.rand(1 << 28)
    x = torch.randn(rows, args.context, sizes['dim'], dtype=torch.bfloat16)
    begin = time.perf_counter()
    x = step(run, borders, x, args.cfg)
    prefill_s = time.perf_counter() - begin
    if args.compile:
        run.call = torch.compile(run.call)
    before, seconds = read_rate(data), []
    for _ in range(args.warm_up + args.steps):
        begin = time.perf_counter()
        x = step(run, borders, x, args.cfg)
        seconds.append(time.perf_counter() - begin)
    seconds = seconds[args.warm_up:]
    return {'engine': 'pytorch ' + torch.__version__, 'by': by, 'compiled': args.compile,
            'samples': args.samples, 'rows': rows, 'layers': sizes['n_layers'],
            'context': args.context + args.warm_up + args.steps // 2,
            'step_s': statistics.median(seconds), 'step_min_s': min(seconds),
            'step_max_s': max(seconds), 'prefill_s': prefill_s,
            'stream_before': before, 'stream_after': read_rate(data),
            'threads': torch.get_num_threads()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', choices=sorted(SIZES), default='janus-pro-7b')
    parser.add_argument('--layers', type=int, default=0, help='the first layers only')
    parser.add_argument('--samples', type=int, default=1)
    parser.add_argument('--context', type=int, default=328, help='positions before the steps')
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--warm-up', type=int, default=3)
    parser.add_argument('--cfg', type=float, default=5)
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--plain', action='store_true', help='without transformers')
    parser.add_argument('--compile', action='store_true', help='fixed caches and torch.compile')
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    with torch.inference_mode():
        print(json.dumps(measure(args)))


if __name__ == '__main__':
    main()
