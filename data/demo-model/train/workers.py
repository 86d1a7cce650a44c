# SPDX-License-Identifier: MIT
# Draws scenes and edits in processes of their own, for a trainer that is faster than one can draw.
"""`drawn(data, codes, n, seed)` lets n processes draw what `data` batches."""

import random

import torch
from torch import multiprocessing

from codes import Codes
from data import Data

READY = 64  # drawn things that wait to be taken, of each kind and process
SHARING = "file_system"  # of tensors; the other way keeps a file open for each


def draw(codes, seed, kind, queue):
    """A process: draws one kind of thing for ever; seeds differ, so what it draws is new."""
    torch.set_num_threads(1)
    multiprocessing.set_sharing_strategy(SHARING)
    data, rng = Data(Codes(codes)), random.Random(seed)
    make = getattr(data, kind)
    while True:
        queue.put(make(rng))


def drawn(data, codes, n_workers, seed):
    """`data`, whose scenes and edits come out of queues that n processes fill; with 0 as it is."""
    multiprocessing.set_sharing_strategy(SHARING)
    context = multiprocessing.get_context("spawn")
    for kind in ("scene", "start") if n_workers else ():
        queue = context.Queue(READY * n_workers)
        for worker in range(n_workers):
            arguments = (codes, f"{seed} {kind} {worker}", kind, queue)
            context.Process(target=draw, args=arguments, daemon=True).start()
        setattr(data, kind, lambda _rng, queue=queue: queue.get())
    return data
