# SPDX-License-Identifier: MIT
"""tests/bench/pytorch_loop.py on a GPU: the same loop, its tensors and its clock on the card.

Arguments are that script's. With --compile its steps are also captured into CUDA graphs.
"""

import functools
import pathlib
import runpy
import sys
import time

import torch

LOOP = pathlib.Path(__file__).resolve().parent.parent / 'bench' / 'pytorch_loop.py'


def on_card(clock):
    """A clock that first waits for the card."""
    def read():
        torch.cuda.synchronize()
        return clock()
    return read


def main():
    if not torch.cuda.is_available():
        sys.exit('no card')
    torch.set_default_device('cuda')
    time.perf_counter = on_card(time.perf_counter)
    torch.compile = functools.partial(torch.compile, mode='reduce-overhead')
    runpy.run_path(str(LOOP), run_name='__main__')


if __name__ == '__main__':
    main()
