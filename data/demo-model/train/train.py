# SPDX-License-Identifier: MIT
# The whole training of the demo model in one command, phase after phase.
"""Usage: train.py --setting cpu|gpu --state FOLDER [--from MODEL] [--out FOLDER] [--share S]
                [--call-minutes M] [--carry-in FOLDER] [--carry-out FOLDER]

Started again it goes on where it stopped. `cpu` is meant for two cores and three hours, `gpu` for
25 minutes of a large GPU and 16 cores, after which the model is written to --out. --from goes on
from weights of the same image tokens and keeps their codec. --share takes that share of every
phase's minutes: to try the plan, or where fewer are left.

A machine that is lent for minutes only: --call-minutes stops before that many are over, --carry-out
then writes what the next call needs, 24 MiB in files of less than 16, which that call takes with
--carry-in. The codec's phases are not cut. Optimisers begin anew with each call. `gpu` has not run
on a GPU yet.
"""

import argparse
import io
import json
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass

import torch

HERE = pathlib.Path(__file__).resolve().parent
CODES = HERE / "codes.pt"
PART_BYTES = 15 << 20  # of a packed state
SPARE_MINUTES = 1.0  # of a call, for what is done besides training


@dataclass(frozen=True)
class Phase:
    """A program with its options, until a minute of its training (0: it has no end)."""

    program: str
    until: float = 0
    options: tuple = ()


def paint(until, edits, sparse, sparse_edits):
    """A phase of the painter: shares of steps."""
    return Phase("train_model.py", until, ("--edits", edits, "--sparse", sparse,
                                           "--sparse-edits", sparse_edits))


AIM = Phase("aim.py")
SETTINGS = {
    "cpu": {
        "machine": ("--threads", 1),
        "minutes": {"train_decoder.py": 22, "train_encoder.py": 18, "train_model.py": 140},
        "phases": (Phase("train_decoder.py", 22), Phase("train_encoder.py", 18),
                   paint(50, 0, 0.8, 0), AIM, paint(56, 0.9, 0.9, 1), AIM, paint(90, 0.7, 0.7, 1),
                   paint(115, 0.4, 0.5, 0.75), paint(140, 0.35, 0.3, 0.65)),
    },
    "gpu": {
        "machine": ("--device", "cuda", "--workers", 8, "--batch", 8),
        "minutes": {"train_decoder.py": 3, "train_encoder.py": 2, "train_model.py": 19},
        "phases": (Phase("train_decoder.py", 3), Phase("train_encoder.py", 2),
                   paint(5, 0, 0.3, 0), AIM, paint(6.5, 0.9, 0.9, 1), AIM,
                   paint(13, 0.5, 0.3, 0.5), paint(19, 0.45, 0.1, 0.2)),
    },
}


CARRIED = {  # of what each state holds, and where that is taught elsewhere
    "painter.pt": (("model", "recall", "step", "spent"), ()),
    "codec.pt": (("codec",), ("encoder.", "quant_conv.")),
    "encoder.pt": (("trainee",), ("codec.decoder.", "codec.quantize.", "codec.post_quant_conv.")),
}


def half(content, left_out):
    """Weights in bfloat16, without those whose names begin so; what else there is as it is."""
    if not isinstance(content, dict):
        return content
    return {name: value.bfloat16() if value.is_floating_point() else value
            for name, value in content.items() if not name.startswith(left_out)}


def pack(state, folder):
    """Writes the weights in bfloat16, and where the plan is, in parts."""
    kept = {"next": next_phase(state)}
    for name, (parts, left_out) in CARRIED.items():
        if (state / name).exists():
            whole = torch.load(state / name, map_location="cpu", weights_only=True)
            kept[name] = {part: half(whole[part], left_out) for part in parts}
    content = io.BytesIO()
    torch.save(kept, content)
    folder.mkdir(parents=True, exist_ok=True)
    for i, at in enumerate(range(0, content.tell(), PART_BYTES)):
        (folder / f"carry-{i}").write_bytes(content.getbuffer()[at:at + PART_BYTES])


def unpack(folder, state):
    """Makes a state of what `pack` wrote."""
    parts = sorted(folder.glob("carry-*"))
    content = torch.load(io.BytesIO(b"".join(part.read_bytes() for part in parts)),
                         weights_only=True)
    go_to(state, content.pop("next"))
    for name, kept in content.items():
        torch.save(kept, state / name)


def next_phase(state):
    """Index of the phase to go on with."""
    path = state / "plan.json"
    return json.loads(path.read_text("utf-8"))["next"] if path.exists() else 0


def go_to(state, index):
    """Notes the phase to go on with."""
    (state / "plan.json").write_text(json.dumps({"next": index}) + "\n", "utf-8")


def minutes_spent(state):
    """Of the painter's training."""
    path = state / "painter.pt"
    return torch.load(path, mmap=True, weights_only=True)["spent"] / 60 if path.exists() else 0


def command_of(phase, options, setting):
    """The command of a phase, but for the minute to stop at."""
    state = options.state
    if phase.program == "aim.py":
        return [phase.program, "--codes", CODES, "--state", state / "painter.pt"]
    total = setting["minutes"][phase.program] * options.share
    command = [phase.program, "--codes", CODES, "--out", state, "--minutes", total, *phase.options]
    command += setting["machine"]
    if phase.program == "train_encoder.py":
        return [*command, "--start", state / "start"]
    if phase.program == "train_model.py" and options.start:
        return [*command, "--start", options.start]
    return command


def run(command):
    """Runs one of the programs beside this one."""
    print("running", *command, flush=True)
    subprocess.run([sys.executable, "-B", HERE / command[0], *map(str, command[1:])], check=True)


def run_phase(phase, options, setting, minutes_left):
    """Runs a phase as far as time allows; gives whether it is done."""
    command = command_of(phase, options, setting)
    if phase.program == "train_encoder.py":  # which starts from a model folder with the decoder
        run(["export.py", "--codec", options.state / "codec.pt", "--out", options.state / "start"])
    if phase.program != "train_model.py":
        run(command)
        return True
    end = phase.until * options.share
    until = min(end, minutes_spent(options.state) + minutes_left)
    run([*command, "--until", until])
    return until == end


def phases_of(setting, start):
    """The phases; a model to go on from brings its codec."""
    codec = ("train_decoder.py", "train_encoder.py")
    return [phase for phase in setting["phases"] if not (start and phase.program in codec)]


def train(options):
    """Goes through the plan; gives whether it reached its end."""
    setting, begun = SETTINGS[options.setting], time.monotonic()
    phases = phases_of(setting, options.start)
    for index in range(next_phase(options.state), len(phases)):
        left = options.call_minutes - SPARE_MINUTES - (time.monotonic() - begun) / 60
        if left <= 0 or not run_phase(phases[index], options, setting, left):
            return False
        go_to(options.state, index + 1)
    return True


def export(options):
    """Writes the model folder."""
    state, given = options.state, ["--base", options.start] if options.start else []
    if not options.start:
        given = ["--codec", state / "codec.pt", "--encoder", state / "encoder.pt"]
    run(["export.py", *given, "--painter", state / "painter.pt", "--out", options.out,
         "--cfg", 1.5, "--image-cfg", 1, "--temperature", 0.5])


def main():
    """Reads the options and trains."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setting", required=True, choices=SETTINGS)
    parser.add_argument("--state", required=True, type=pathlib.Path)
    parser.add_argument("--from", dest="start", help="model folder to go on from")
    parser.add_argument("--out", default=HERE.parent, help="folder for the trained model")
    parser.add_argument("--share", type=float, default=1, help="of all minutes, to try the plan")
    parser.add_argument("--call-minutes", type=float, default=float("inf"))
    parser.add_argument("--carry-in", type=pathlib.Path)
    parser.add_argument("--carry-out", type=pathlib.Path)
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    if options.carry_in and any(options.carry_in.glob("carry-*")):
        unpack(options.carry_in, options.state)
    if train(options):
        export(options)
    elif options.carry_out:
        pack(options.state, options.carry_out)


if __name__ == "__main__":
    main()
