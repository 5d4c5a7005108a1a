# SPDX-License-Identifier: Apache-2.0
"""The rows of tools/bench: what is set up, what is measured against what, and the bars.

Each section is a generator: it starts its engines, yields rows, and is closed when they are
measured. A row is a title and its sides, functions that measure one window each."""

import collections
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time
import uuid

from figures import at_least, at_most, fact_of, nexus_write_bar
from machine import Window, engine_stats, process_cpu, resident_kib

CORE, LOAD_CORE = (0, 1) if (os.cpu_count() or 1) > 1 else (0, 0)
MEMORY_MB = 256
NEXUS_BYTES = 192 << 20
FILE_BYTES = 256 << 20
REBUILD_MB = 512
REBUILD_DEPTH = 16  # segments that a rebuild has in flight
SEGMENT_BYTES = 128 << 10
THROTTLE_MIB_S = 64
TAIL_SECONDS = "250ms"
IDLE_CONNECTIONS = 100
DIRECTIONS = (("read", 100), ("write", 0))
DISK_FOREIGN = 15  # interrupts of the disk are nobody's CPU

# sides: {"subject": function, "reference": function, ...}; bars: a list or a function of figures;
# foreign: a limit of its own; times: so many times the usual number of rounds.
Row = collections.namedtuple("Row", "title against sides bars foreign times", defaults=(None, 1))


def new_uuid():
    return str(uuid.uuid4())


def run_json(command, timeout=60):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        text = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise RuntimeError(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: "
                           f"{text[-1][:200]}")
    return json.loads(done.stdout)


class Place:
    """Engines, programs and windows; one for the whole run."""

    def __init__(self, options, folder, scratch, library):
        self.options, self.folder, self.scratch = options, folder, scratch
        self.library = library
        self.pb = library.pb
        self.engines = []

    def engine(self, name, core=CORE, env=None):
        engine = self.library.Engine(self.scratch, f"{name}-{new_uuid()[:8]}", env=env,
                                     options=["-l", str(core), "--log-level", "warn"])
        self.engines.append(engine)
        engine.start()
        for task in pathlib.Path(f"/proc/{engine.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})
        return engine

    def release(self, *engines):
        for engine in engines:
            engine.close()
            self.engines.remove(engine)

    def close(self):
        self.release(*list(self.engines))

    def share(self, engine, uri):
        return engine.share_bdev(engine.create_bdev(uri).name).share_uri

    def null(self, engine, size_mb=65536):
        return self.share(engine, f"null:///{new_uuid()[:8]}?size_mb={size_mb}&uuid={new_uuid()}")

    def memory(self, engine, size_mb=MEMORY_MB):
        """Exported, and how a nexus names it."""
        identity = new_uuid()
        uri = self.share(engine, f"malloc:///{identity[:8]}?size_mb={size_mb}&uuid={identity}")
        return uri, f"{uri}?uuid={identity}"

    def file(self, name):
        path = self.scratch / name
        with open(path, "wb") as file:
            for _ in range(FILE_BYTES >> 20):
                file.write(os.urandom(1 << 12) * 256)
            os.fsync(file.fileno())
        return path

    def shared_file(self, engine, name):
        identity = new_uuid()
        uri = self.share(engine, f"aio://{self.file(name)}?uuid={identity}")
        return uri, f"{uri}?uuid={identity}"

    def nexus(self, engine, children, size_bytes=NEXUS_BYTES):
        identity = new_uuid()
        engine.nexus.CreateNexus(self.pb.nexus.CreateNexusRequest(
            name="n-" + identity[:8], uuid=identity, size=size_bytes, minCntlId=1,
            maxCntlId=65519, children=children))
        return identity, engine.nexus.PublishNexus(self.pb.nexus.PublishNexusRequest(
            uuid=identity, share=self.pb.common.NVMF)).nexus.device_uri

    def fill(self, uri, size_bytes):
        run_json([*self.load_command(uri), "--sequential", "--read", "0", "--size", "128KiB",
                  "--depth", "4", "--span", str(size_bytes), "--count", str(size_bytes >> 17)],
                 120)

    # One window each.

    def window(self, engines):
        return Window(self.engines, engines)

    def load_command(self, uri):
        return [str(self.folder / "bench/mayastor-load"), uri, "-o", "json", "--core",
                str(LOAD_CORE)]

    def load(self, uri, engines, *arguments):
        seconds = [] if "--seconds" in arguments else ["--seconds", f"{self.options.seconds}"]
        with self.window(engines) as window:
            result = run_json([*self.load_command(uri), *seconds, *map(str, arguments)])
        total = result["total"]
        operations = max(1, total["operations"])
        return {"iops": total["iops"], "p50": total["p50_us"], "p99": total["p99_us"],
                "p999": total["p999_us"], "max": total["max_us"],
                "cpu": window.engine_cpu * 1e6 / operations,
                "calls": window.engine_calls / operations,
                "client_cpu": result["cpu_us_per_io"], "client_calls": result["calls_per_io"],
                "behind": result["behind"], "foreign": window.foreign, "steal": window.steal}

    def floor(self, *arguments):
        command = [str(self.folder / "bench/mayastor-floor"), "-o", "json", "--seconds",
                   f"{self.options.seconds}"]
        if "--server-core" not in arguments:
            command += ["--server-core", str(CORE), "--client-core", str(LOAD_CORE)]
        with self.window([]) as window:
            result = run_json([*command, *map(str, arguments)])
        return {"iops": result["iops"], "p50": result["p50_us"], "p99": result["p99_us"],
                "p999": result["p999_us"], "max": result["max_us"],
                "cpu": result["server_cpu_us_per_io"], "calls": result["server_calls_per_io"],
                "client_cpu": result["client_cpu_us_per_io"],
                "client_calls": result["client_calls_per_io"],
                "foreign": window.foreign, "steal": window.steal}

    def fio(self, path, kind, depth):
        command = ["fio", "--name=x", "--ioengine=io_uring", "--direct=1", f"--rw=rand{kind}",
                   "--bs=4k", f"--iodepth={depth}", f"--runtime={self.options.seconds}",
                   "--time_based", "--output-format=json", f"--cpus_allowed={LOAD_CORE}",
                   f"--filename={path}", f"--size={FILE_BYTES}", "--thread"]
        with self.window([]) as window:
            job = run_json(command)["jobs"][0]
        side = job[kind]
        percentiles = side["clat_ns"]["percentile"]
        cpu = (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] * 1000
        return {"iops": side["iops"], "p50": percentiles["50.000000"] / 1000,
                "p99": percentiles["99.000000"] / 1000, "cpu": cpu / max(1, side["total_ios"]),
                "calls": None, "foreign": window.foreign, "steal": window.steal}


def against_floor(place, title, uri, engine, shape, bars, sleeping=False):
    """Rows for both directions; `shape` are options that load and floor have in common."""
    for kind, read in DIRECTIONS:
        flags = [*shape, *(["--write"] if kind == "write" else [])]
        sides = {"subject": lambda r=read: place.load(uri, [engine], "--read", r, *shape),
                 "reference": lambda f=flags: place.floor(*f)}
        if sleeping:
            sides["sleeping"] = lambda f=flags: place.floor(*f, "--spin", "0")
        yield Row(f"{title} {kind}", "floor", sides, bars)


def null_section(place):
    engine = place.engine("null")
    uri = place.null(engine)
    yield from against_floor(place, "null 4 KiB QD1", uri, engine, ["--depth", 1],
                             [at_most("p50_ratio", 1.15)])
    yield from against_floor(place, "null 4 KiB QD8", uri, engine, ["--depth", 8],
                             [at_least("iops_ratio", 0.85)])
    yield from against_floor(place, "null 4 KiB QD32", uri, engine, ["--depth", 32],
                             [at_least("iops_ratio", 0.85), at_most("cpu_ratio", 1.35)],
                             sleeping=True)
    yield from against_floor(place, "null 4 KiB 64 connections QD1", uri, engine,
                             ["--depth", 1, "--connections", 64], [at_least("iops_ratio", 0.70)])
    yield from against_floor(place, "null 128 KiB QD16", uri, engine,
                             ["--depth", 16, "--size", "128KiB"], [at_least("iops_ratio", 0.85)])
    place.release(engine)


def deep_section(place):
    """The default of 32 commands a queue is kept for the hosts that know it."""
    engine = place.engine("deep", env={"NVMF_TCP_MAX_QUEUE_DEPTH": "256"})
    uri = place.null(engine)
    yield from against_floor(place, "null 4 KiB QD128 (queues of 256)", uri, engine,
                             ["--depth", 128], [at_least("iops_ratio", 0.80)])
    place.release(engine)


def tail_section(place):
    """At 70 % of what a closed loop of 32 reached just before, by a schedule. Short windows, for
    one stall of the machine spoils the p99 of a whole one."""
    engine = place.engine("tail")
    uri = place.null(engine)
    for kind, read in DIRECTIONS:
        shape = ["--read", read, "--depth", 32]
        reached = sorted(place.load(uri, [engine], *shape)["iops"] for _ in range(5))[2]
        rate = max(1, int(reached * 0.7))
        yield Row(f"null 4 KiB {kind} at 70 % load ({rate:,}/s)", "-", {
            "subject": lambda s=shape, r=rate: place.load(uri, [engine], *s, "--rate", r,
                                                          "--seconds", TAIL_SECONDS)},
            [at_most("tail", 3.0)], times=2)
    place.release(engine)


def alike(place, title, subject, against, reference, bars, foreign=None):
    """Both by load at QD32; subject and reference are (uri, engines)."""
    for kind, read in DIRECTIONS:
        shape = ["--read", read, "--depth", 32, "--span", NEXUS_BYTES]
        yield Row(f"{title} QD32 {kind}", against, {
            "subject": lambda s=shape: place.load(*subject, *s),
            "reference": lambda s=shape: place.load(*reference, *s)}, bars[kind], foreign)


def memory_section(place):
    engine = place.engine("memory")
    null, (memory, _) = place.null(engine, MEMORY_MB), place.memory(engine)
    place.fill(memory, NEXUS_BYTES)
    bars = [at_least("iops_ratio", 0.80)]
    yield from alike(place, "memory 4 KiB", (memory, [engine]), "null", (null, [engine]),
                     {"read": bars, "write": bars})
    place.release(engine)


def file_section(place):
    engine = place.engine("file")
    uri, _ = place.shared_file(engine, "disk")
    path = place.scratch / "disk"
    for kind, read in DIRECTIONS:
        yield Row(f"file 4 KiB QD32 {kind}", "fio io_uring", {
            "subject": lambda r=read: place.load(uri, [engine], "--read", r, "--depth", 32),
            "reference": lambda k=kind: place.fio(path, k, 32)},
            [at_least("iops_ratio", 0.97)], DISK_FOREIGN)
    place.release(engine)


def local_nexus_section(place):
    engine = place.engine("local")
    _, uri = place.nexus(engine, [f"malloc:///c?size_mb={MEMORY_MB}&uuid={new_uuid()}"])
    alone, _ = place.memory(engine)
    for each in (uri, alone):
        place.fill(each, NEXUS_BYTES)
    bars = [at_least("iops_ratio", 0.95)]
    yield from alike(place, "nexus of one local child", (uri, [engine]), "the child",
                     (alone, [engine]), {"read": bars, "write": bars})
    place.release(engine)


def remote_nexus_section(place):
    """A nexus and, on the same core, an engine that exports its three copies. (One engine cannot
    be both: it refuses a device whose uuid it has already, or a copy could count twice.)"""
    engine, copies = place.engine("remote"), place.engine("copies")
    children = [place.memory(copies)[1] for _ in range(3)]
    _, uri = place.nexus(engine, children)
    place.fill(uri, NEXUS_BYTES)
    shape = ["--read", 0, "--depth", 32, "--span", NEXUS_BYTES]
    floor = ["--write", "--depth", 32]
    yield Row("nexus of 3 remote children, one core, QD32 write", "floor", {
        "subject": lambda: place.load(uri, [engine, copies], *shape),
        "reference": lambda: place.floor(*floor),
        "sleeping": lambda: place.floor(*floor, "--spin", "0")}, nexus_write_bar)
    place.release(engine, copies)


def mirror_section(place):
    """A local file and two of another engine on the same core, all three on the same disk."""
    engine, copies = place.engine("mirror"), place.engine("copies")
    local = f"aio://{place.file('mirror-0')}?uuid={new_uuid()}"
    remote = [place.shared_file(copies, f"mirror-{i}")[1] for i in (1, 2)]
    _, uri = place.nexus(engine, [local, *remote])
    alone, _ = place.shared_file(engine, "mirror-alone")
    bars = {"read": [at_least("iops_ratio", 0.9)], "write": [at_least("iops_ratio", 0.85)]}
    yield from alike(place, "nexus of 1 local, 2 remote files", (uri, [engine, copies]),
                     "one file", (alone, [engine]), bars, DISK_FOREIGN)
    place.release(engine, copies)


class Rebuilds:
    """A nexus over memory of its own engine, and a copy in another one that is made anew."""

    def __init__(self, place, replica_core, env=None):
        self.place = place
        self.np = place.pb.nexus
        self.replica = place.engine("replica", core=replica_core)
        self.engine = place.engine("rebuild", env=env)
        self.child = place.memory(self.replica, REBUILD_MB)[1]
        self.size_bytes = (REBUILD_MB - 16) << 20
        self.uuid, self.uri = place.nexus(
            self.engine, [f"malloc:///c?size_mb={REBUILD_MB}&uuid={new_uuid()}"], self.size_bytes)
        # Blocks of zeroes would be unmapped instead of copied.
        place.fill(self.uri, self.size_bytes)
        self.has_child = False

    def begin(self):
        if self.has_child:
            self.engine.nexus.RemoveChildNexus(self.np.RemoveChildNexusRequest(
                uuid=self.uuid, uri=self.child))
        self.engine.nexus.AddChildNexus(self.np.AddChildNexusRequest(
            uuid=self.uuid, uri=self.child))
        self.has_child = True

    def is_running(self):
        return self.engine.nexus_get(self.uuid).state == self.np.NEXUS_DEGRADED

    def last(self):
        return self.engine.nexus.GetRebuildHistory(
            self.np.RebuildHistoryRequest(uuid=self.uuid)).records[0]

    def whole(self):
        """One full rebuild as a window: its segments a second."""
        with self.place.window([self.engine, self.replica]) as window:
            self.begin()
            deadline = time.monotonic() + 60
            while self.is_running():
                if time.monotonic() > deadline:
                    raise RuntimeError("the rebuild does not end")
                time.sleep(0.005)
        last = self.last()
        seconds = (last.end_time.ToNanoseconds() - last.start_time.ToNanoseconds()) / 1e9
        segments = last.blocks_transferred * last.block_size / SEGMENT_BYTES
        if segments * SEGMENT_BYTES < 0.99 * self.size_bytes:  # the end may be of less than one
            raise RuntimeError(f"only {segments:.0f} segments were copied")
        return {"iops": segments / seconds, "p50": None, "p99": None,
                "cpu": window.engine_cpu * 1e6 / segments,
                "calls": window.engine_calls / segments, "foreign": window.foreign,
                "steal": window.steal}

    def call(self, method, request):
        getattr(self.engine.nexus, method)(getattr(self.np, request)(
            nexus_uuid=self.uuid, uri=self.child))

    def under(self, is_throttled_rebuild_on, *shape):
        """A window of load, with the rebuild at work or held; it is begun anew when it is over."""
        if not self.has_child or not self.is_running():
            self.begin()
            self.call("PauseRebuild", "PauseRebuildRequest")
        if is_throttled_rebuild_on:
            self.call("ResumeRebuild", "ResumeRebuildRequest")
        window = self.place.load(self.uri, [self.engine], *shape)
        if is_throttled_rebuild_on:
            if not self.is_running():  # it ended within the window: that one does not count
                return self.under(is_throttled_rebuild_on, *shape)
            self.call("PauseRebuild", "PauseRebuildRequest")
        return window

    def close(self):
        self.place.release(self.engine, self.replica)


def rebuild_section(place):
    full = Rebuilds(place, LOAD_CORE)
    full.whole()  # the first one meets memory that no page stands behind yet
    stream = ["--write", "--size", "128KiB", "--depth", REBUILD_DEPTH, "--server-core", LOAD_CORE,
              "--client-core", CORE]
    yield Row("full rebuild, memory to memory (128 KiB)", "floor", {
        "subject": full.whole, "reference": lambda: place.floor(*stream)},
        [at_least("iops_ratio", 0.70)])
    full.close()
    slow = Rebuilds(place, CORE, {"NEXUS_REBUILD_MIB_S": str(THROTTLE_MIB_S)})
    shape = ["--read", 70, "--depth", 8]
    yield Row(f"load QD8 during a rebuild of {THROTTLE_MIB_S} MiB/s", "without", {
        "subject": lambda: slow.under(True, *shape),
        "reference": lambda: slow.under(False, *shape)}, [at_most("p99_ratio", 1.5)])
    slow.close()


# What is not a window.

def start_facts(place):
    """Exec to the NVMe/TCP port listening; resident memory when all has settled."""
    times, memory = [], []
    for index in range(7):
        engine = place.library.Engine(place.scratch, f"start-{index}", options=["-l", str(CORE)])
        with open(engine.folder / "log", "ab") as log:
            begin = time.monotonic()
            process = subprocess.Popen(engine.command, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log)
        try:
            while True:
                try:
                    socket.create_connection((engine.address, engine.port), 1).close()
                    break
                except ConnectionRefusedError:
                    if time.monotonic() - begin > 10:
                        raise RuntimeError("the engine does not listen within 10 s") from None
                    time.sleep(0.0005)
            times.append(1000 * (time.monotonic() - begin))
            time.sleep(0.3)
            memory.append(resident_kib(process.pid) / 1024)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    yield fact_of("exec to listening (median of 7)", sorted(times)[3], "ms", [("<=", 50)])
    yield fact_of("resident memory at start", max(memory), "MiB", [("<=", 48)])


def idle_facts(place):
    """Hosts connected and silent: CPU, and memory of a connection. A host has two of them, for its
    admin queue and one I/O queue."""
    engine = place.engine("idle")
    uri = place.null(engine, 64)
    place.load(uri, [engine], "--count", 1000)
    before = resident_kib(engine.process.pid)
    load = subprocess.Popen(
        [*place.load_command(uri), "--connections", str(IDLE_CONNECTIONS), "--depth", "1",
         "--count", "1000", "--idle", "8"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True)
    time.sleep(2)
    grown = (resident_kib(engine.process.pid) - before) / IDLE_CONNECTIONS
    begin, used = time.monotonic(), process_cpu(engine.process.pid)
    time.sleep(5)
    used, seconds = process_cpu(engine.process.pid) - used, time.monotonic() - begin
    _, text = load.communicate(timeout=30)
    if load.returncode != 0:
        raise RuntimeError(f"{IDLE_CONNECTIONS} connections: {text.strip()[-200:]}")
    yield fact_of(f"idle CPU with {IDLE_CONNECTIONS} hosts, 5 s", 100 * used / seconds,
                  "% of a core", [("<=", 0.1)])
    yield fact_of("resident memory for an idle connection", grown / 2,
                  f"KiB; for a host with its two connections {grown:.1f} KiB", [("<=", 64)])
    yield fact_of("CPU given back after the end of load", given_back_ms(place, engine, uri),
                  "ms (median of 5)", [("<=", 100)])
    place.release(engine)


def given_back_ms(place, engine, uri):
    """From the end of the load program to the last 10 ms in which the engine had over 10 % of
    its core."""
    found = []
    for _ in range(5):
        run_json([*place.load_command(uri), "--seconds", "300ms"])
        begin = time.monotonic()
        last, before, used = 0.0, begin, process_cpu(engine.process.pid)
        while time.monotonic() - begin < 0.4:
            time.sleep(0.01)
            now, now_used = time.monotonic(), process_cpu(engine.process.pid)
            if now_used - used > 0.1 * (now - before):
                last = 1000 * (now - begin)
            before, used = now, now_used
        found.append(last)
    return sorted(found)[2]


STEADY_NAMES = ("allocations", "frees", "mappings", "locks")


def steady_facts(place):
    """Counted in the middle of a load by a library loaded before the C library; messages and locks
    of devices by the engine itself."""
    counts = place.scratch / "steady-counts"
    engine = place.engine("steady", env={
        "LD_PRELOAD": str(place.folder / "bench/libsteady_preload.so"),
        "STEADY_COUNTS": str(counts)})
    copies = place.engine("copies")
    memory, _ = place.memory(engine)
    _, mirror = place.nexus(engine, [
        f"malloc:///c?size_mb={MEMORY_MB}&uuid={new_uuid()}", place.memory(copies)[1]])
    for title, uri in (("null", place.null(engine)), ("memory", memory),
                       ("nexus, 1 local and 1 remote", mirror)):
        found, operations = steady_counts(place, engine, uri, counts)
        text = ", ".join(f"{name} {count}" for name, count in found.items() if count) or "none"
        yield fact_of(f"steady: {title}", sum(found.values()),
                      f"allocations, frees, mappings, locks, messages in {operations:,} I/Os: "
                      f"{text}", [("<=", 0)])
    place.release(engine, copies)


def steady_counts(place, engine, uri, counts):
    def read():
        return struct.unpack("4Q", counts.read_bytes()[:32])

    load = subprocess.Popen([*place.load_command(uri), "--read", "50", "--depth", "32",
                             "--seconds", "1600ms", "--span", str(NEXUS_BYTES)],
                            stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    # Calls allocate, and so do the pings of their connection: it is away between the two looks.
    stats_before = engine_stats(engine)
    engine.channel.close()
    time.sleep(0.15)
    before, begin = read(), time.monotonic()
    time.sleep(0.6)
    after, seconds = read(), time.monotonic() - begin
    engine.connect()
    stats_after = engine_stats(engine)
    text, _ = load.communicate(timeout=30)
    found = {name: b - a for name, a, b in zip(STEADY_NAMES, before, after)}
    found["messages"] = sum(b.messages - a.messages for a, b in zip(stats_before.reactors,
                                                                    stats_after.reactors))
    found["device locks"] = stats_after.device_locks - stats_before.device_locks
    return found, int(json.loads(text)["total"]["iops"] * seconds)


SECTIONS = [  # name, rows, what yields them
    ("null", 10, null_section),
    ("deep", 2, deep_section),
    ("tail", 2, tail_section),
    ("memory", 2, memory_section),
    ("file", 2, file_section),
    ("local-nexus", 2, local_nexus_section),
    ("remote-nexus", 1, remote_nexus_section),
    ("mirror", 2, mirror_section),
    ("rebuild", 2, rebuild_section),
]
FACTS = [("start", start_facts), ("idle", idle_facts), ("steady", steady_facts)]
