# SPDX-License-Identifier: Apache-2.0
"""What the machine and single processes have used, for tools/bench."""

import os
import pathlib
import resource
import time

CORES = os.cpu_count() or 1
TICK = os.sysconf("SC_CLK_TCK")


def machine_cpu():
    """Seconds of CPU in use, and seconds stolen by the hypervisor, of all cores since boot."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(field) for field in stat.readline().split()[1:]]
    steal = fields[7]
    return (sum(fields[:7]) - fields[3] - fields[4]) / TICK, steal / TICK


def process_cpu(pid):
    """From schedstat (ns) where the kernel has it, else from stat (ticks)."""
    try:
        return sum(int((task / "schedstat").read_text().split()[0])
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9
    except (FileNotFoundError, IndexError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def own_cpu():
    """This process and those of its children that have ended."""
    return sum(used.ru_utime + used.ru_stime for used in (
        resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)))


class Window:
    """During a measurement: CPU and system calls of the row's engines, and the shares of the
    machine that others and the hypervisor took."""

    def __init__(self, all_engines, row_engines):
        self.all_engines, self.row_engines = all_engines, row_engines

    def __enter__(self):
        self.calls_before = sum(engine_calls(e) for e in self.row_engines)
        self.begin = time.monotonic()
        self.machine, self.stolen = machine_cpu()
        self.own = own_cpu()
        self.all = sum(process_cpu(e.process.pid) for e in self.all_engines)
        self.row = sum(process_cpu(e.process.pid) for e in self.row_engines)
        return self

    def __exit__(self, *_):
        seconds = time.monotonic() - self.begin
        self.engine_cpu = sum(process_cpu(e.process.pid) for e in self.row_engines) - self.row
        ours = own_cpu() - self.own - self.all + \
            sum(process_cpu(e.process.pid) for e in self.all_engines)
        busy, stolen = machine_cpu()
        whole = seconds * CORES / 100
        self.foreign = max(0.0, (busy - self.machine - ours) / whole)
        self.steal = (stolen - self.stolen) / whole
        self.engine_calls = sum(engine_calls(e) for e in self.row_engines) - self.calls_before


def engine_stats(engine):
    from engines import pb
    return engine.diagnostics.GetReactorStats(pb.empty.Empty())


def engine_calls(engine):
    return sum(reactor.enters for reactor in engine_stats(engine).reactors)
