# SPDX-License-Identifier: MIT
# The optimisers of both trainings: Muon for matrices, AdamW for everything else.
"""Muon makes each update of a matrix orthogonal; small models then need fewer steps."""

from contextlib import nullcontext

import torch
from torch.optim import _muon


def has_fast_bf16():
    """Whether products in bfloat16 are faster here than in float32, not many times slower."""
    if torch.get_default_device().type == "cpu":
        return torch.cpu.get_capabilities().get("avx512_bf16", False)
    return True


def fast_products():
    """Products in bfloat16 on whatever device new tensors are made, if that is fast there."""
    device = torch.get_default_device().type
    return torch.autocast(device, torch.bfloat16) if has_fast_bf16() else nullcontext()


def orthogonal(grad, coefficients, rounds, eps):
    """PyTorch's own step of Muon, but in float32."""
    a, b, c = coefficients
    x = grad.T if grad.shape[0] > grad.shape[1] else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(rounds):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if grad.shape[0] > grad.shape[1] else x


class Optimizers:
    """Steps both optimisers; a convolution counts as the matrix [out, in * height * width]."""

    def __init__(self, named, is_inner, peak, decay):
        if not has_fast_bf16():
            _muon._zeropower_via_newtonschulz = orthogonal
        named = [(name, p) for name, p in named if p.requires_grad]
        self.inner = [p for name, p in named if p.ndim > 1 and is_inner(name)]
        known = set(map(id, self.inner))
        outer = [p for _, p in named if id(p) not in known]
        self.matrices = [p.detach().view(len(p), -1) for p in self.inner]
        self.parameters = self.inner + outer
        muon = torch.optim.Muon(self.matrices, peak * 10, weight_decay=decay, momentum=0.95)
        adam = torch.optim.AdamW(outer, peak, (0.9, 0.97), weight_decay=decay)
        self.parts = ((muon, peak * 10), (adam, peak))

    def step(self, share):
        """One clipped step at that share of the peak rates; gradients are gone afterwards."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for matrix, p in zip(self.matrices, self.inner):
            matrix.grad = None if p.grad is None else p.grad.view(matrix.shape)
        for optimizer, peak in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = peak * share
            optimizer.step()
        for p in (*self.parameters, *self.matrices):
            p.grad = None

    def state_dict(self):
        """What a later run needs."""
        return [optimizer.state_dict() for optimizer, _ in self.parts]

    def load_state_dict(self, state):
        """Takes over what `state_dict` gave."""
        for (optimizer, _), part in zip(self.parts, state):
            optimizer.load_state_dict(part)
