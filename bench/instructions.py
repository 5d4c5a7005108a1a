# SPDX-License-Identifier: Apache-2.0
"""Instructions of one I/O, by folder, from two runs of mayastor-instructions under callgrind.

The program runs in the simulator's virtual time, so the counts repeat exactly, and set-up falls
out of the difference of two runs. What the simulator and the C library take is left out: in
production that is the kernel."""

import collections
import pathlib
import re
import shutil
import subprocess

from figures import fact_of

COUNTS = (2000, 6000)
# Who an instruction belongs to, by the folder of its source file.
PARTS = collections.OrderedDict([
    ("target", ("src/target",)), ("initiator", ("src/initiator",)), ("load", ("bench",)),
    ("shared", ("src/base", "src/nvme", "src/reactor", "src/block", "src/os"))])


def part_of(path):
    match = re.search(r"/(src/\w+|bench)/[^/]+$", path)
    return next((part for part, folders in PARTS.items() if match and match[1] in folders), None)


def instructions_by_part(text):
    """Exclusive cost of a callgrind profile by part; lines that follow calls= are inclusive."""
    names, cost = {}, collections.Counter()
    part, is_call = None, False
    for line in text.splitlines():
        match = re.match(r"(?:fl|fi|fe)=\((\d+)\)(?: (.*))?$", line)
        if match:
            if match[2]:
                names[match[1]] = match[2]
            part = part_of(names.get(match[1], ""))
            continue
        match = re.match(r"cfi=\((\d+)\) (.*)$|cfl=\((\d+)\) (.*)$", line)
        if match:  # the file of what is called may be named here for the first time
            names[match[1] or match[3]] = match[2] or match[4]
        elif line.startswith("calls="):
            is_call = True
        elif re.match(r"[+\-*]?\d* \d+$", line):
            if not is_call and part is not None:
                cost[part] += int(line.split()[1])
            is_call = False
    return cost


def profile(program, direction, count, out):
    subprocess.run(["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}",
                    str(program), direction, str(count)], check=True, timeout=120,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return instructions_by_part(pathlib.Path(out).read_text())


def facts(place):
    if shutil.which("valgrind") is None:
        raise RuntimeError("there is no valgrind")
    program = place.folder / "bench/mayastor-instructions"
    for direction in ("read", "write"):
        low, high = (profile(program, direction, count, place.scratch / "callgrind.out")
                     for count in COUNTS)
        parts = {part: (high[part] - low[part]) / (COUNTS[1] - COUNTS[0]) for part in PARTS}
        text = ", ".join(f"{part} {count:.1f}" for part, count in parts.items())
        yield {**fact_of(f"instructions of a 4 KiB QD32 {direction}", sum(parts.values()),
                         f"both sides: {text}"), "parts": parts}
