# SPDX-License-Identifier: MIT
"""What tests/gpu/run found as dated JSON, and its measurements as a short table.

Arguments: the stages' table, the measurements (a JSON object a line), the folder to write to.
"""

import csv
import datetime
import json
import pathlib
import sys


def read_lines(path):
    """The measurements; what is none is left out."""
    found = []
    for line in pathlib.Path(path).read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def read_stages(path):
    with open(path, newline='') as file:
        return [{'stage': row[0], 'result': row[1], 'seconds': int(row[2]), 'detail': row[3]}
                for row in csv.reader(file, delimiter='\t') if len(row) == 4]


def describe(run):
    """One line of a measurement."""
    if 'error' in run:
        return 'error: ' + run['error'][:90]
    if 'engine' in run:
        kind = 'compiled' if run['compiled'] else 'eager'
        return (f"{run['engine']} {kind}, {run['layers']} layers, {run['rows']} rows: "
                f"{run['step_s'] * 1e3:.2f} ms a step")
    return (f"{run['model']}, {run['layers']} layers, {run['weights']}, {run['rows']} rows: "
            f"{run['step_ms']:.2f} ms a step, {run['fraction']:.3f} of the stream of "
            f"{run['stream'] / 1e9:.0f} GB/s (spread {run['spread']:.2f})"
            f"{'' if run['overlap'] else ', launches one after another'}")


def main():
    stages, runs = read_stages(sys.argv[1]), read_lines(sys.argv[2])
    now = datetime.datetime.now(datetime.timezone.utc)
    path = pathlib.Path(sys.argv[3]) / f'gpu-{now:%Y%m%d-%H%M}.json'
    report = {'date': f'{now:%Y-%m-%d}', 'stages': stages, 'runs': runs}
    path.write_text(json.dumps(report, indent=1) + '\n')
    for run in runs:
        print(describe(run))


if __name__ == '__main__':
    main()
