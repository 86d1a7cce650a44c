# SPDX-License-Identifier: MIT
# Draws in processes of their own, for a trainer that is faster than one can draw, and on the host.
"""`drawn(data, kinds, codes, n, seed)` lets n processes draw what `data` batches."""

import random

import torch
from torch import multiprocessing

from codes import Codes

READY = 64  # drawn things that wait to be taken, of each kind and process
SHARING = "file_system"  # of tensors; the other way keeps a file open for each


def draw(maker, codes, seed, kind, queue):
    """A process: draws one kind of thing for ever; seeds differ, so what it draws is new."""
    torch.set_num_threads(1)
    multiprocessing.set_sharing_strategy(SHARING)
    make, rng = getattr(maker(Codes(codes)), kind), random.Random(seed)
    while True:
        queue.put(make(rng))


def drawn(data, kinds, codes, n_workers, seed):
    """`data`, whose methods `kinds` take from queues that n processes fill; with 0 as it is.

    The processes make their own of `codes`, the file.
    """
    multiprocessing.set_sharing_strategy(SHARING)
    context = multiprocessing.get_context("spawn")
    for kind in kinds if n_workers else ():
        queue = context.Queue(READY * n_workers)
        for worker in range(n_workers):
            arguments = (type(data), codes, f"{seed} {kind} {worker}", kind, queue)
            context.Process(target=draw, args=arguments, daemon=True).start()
        setattr(data, kind, lambda _rng, queue=queue: queue.get())
    return data


def drawn_there(make, *arguments):
    """What `make` draws, which it does on the host, brought to where the model is."""
    with torch.device("cpu"):
        found = make(*arguments)
    return found.to(torch.get_default_device())


def add_common(parser):
    """The options of every trainer: its seed, and on what to train."""
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--workers", type=int, default=0, help="processes that draw")
    parser.add_argument("--batch", type=int, default=1, help="times the size that suits a CPU")
