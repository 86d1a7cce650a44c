# SPDX-License-Identifier: MIT
"""Small files of torch.save(), good and refused ones: python torch_files.py OUTPUT_FOLDER.

Writes OUTPUT_FOLDER/torch/*.bin; tests/engine/test-torch-file.c knows what is in them.
"""

import argparse
import pathlib
from collections import OrderedDict

import torch


def kinds():
    """Tensors of every type and shape that matter."""
    ramp = torch.arange(12, dtype=torch.float32)
    shared = torch.arange(4, dtype=torch.float16)
    return OrderedDict([
        ("f32", ramp.reshape(3, 4)), ("bf16", ramp[:6].bfloat16().reshape(2, 3)),
        ("f16.middle", torch.arange(8, dtype=torch.float16)[2:6].reshape(2, 2)),
        ("tied.a", shared), ("tied.b", shared), ("i64", torch.tensor(7)),
        ("bool", torch.tensor([True, False])), ("empty", torch.zeros(0, 4)),
        ("five", ramp.reshape(1, 3, 1, 2, 2)), ("one.by.n", torch.ones(3, 1).t())])


def main():
    """Every file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=pathlib.Path)
    folder = parser.parse_args().output / "torch"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    linear = torch.nn.Linear(2, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.arange(6.0).reshape(3, 2))
    torch.save(kinds(), folder / "kinds.bin")
    torch.save(dict(kinds()), folder / "plain.bin")
    torch.save(linear.state_dict(), folder / "module.bin")
    torch.save(dict(linear.named_parameters()), folder / "parameters.bin")
    torch.save(linear, folder / "object.bin")
    torch.save({"model": linear.state_dict()}, folder / "nested.bin")
    torch.save({"t": torch.ones(3, 2).t()}, folder / "transposed.bin")
    torch.save(linear.state_dict(), folder / "old.bin", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
