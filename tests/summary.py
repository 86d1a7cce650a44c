# SPDX-License-Identifier: MIT
# Counts the TAP points of a meson test log and prints "N passed, N failed, N skipped".
"""A program that died or ran out of time before its plan was done counts as one failure more."""

import json
import re
import sys

POINT = re.compile(r"^(not )?ok\b(.*)$", re.MULTILINE)


def count(test):
    """(passed, failed, skipped) of one test program."""
    passed = failed = skipped = 0
    for negative, rest in POINT.findall(test.get("stdout") or ""):
        if re.search(r"#\s*skip", rest, re.IGNORECASE):
            skipped += 1
        elif negative:
            failed += 1
        else:
            passed += 1
    if test["result"] == "SKIP" and not skipped:
        skipped = 1
    if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and not failed:
        failed = 1
    return passed, failed, skipped


def main(path):
    with open(path, encoding="utf-8") as log:
        counts = [count(json.loads(line)) for line in log if line.strip()]
    passed, failed, skipped = (sum(column) for column in zip(*counts)) if counts else (0, 0, 0)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
