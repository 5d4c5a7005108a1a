# SPDX-License-Identifier: Apache-2.0
"""What an engine tells of its reactors, by real I/O of mayastor-load."""

import json
import os
import subprocess
import time

from engines import BUILD, pb, wait_until

IO_COUNT = 20000


def stats(engine):
    return engine.diagnostics.GetReactorStats(pb.empty.Empty())


def load(uri, *arguments):
    done = subprocess.run([str(BUILD / "bench/mayastor-load"), uri, "-o", "json", *arguments],
                          capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_reactors_are_told_in_order_and_none_twice(make_engine):
    engine = make_engine(options=["-l", "0,1"] if os.cpu_count() > 1 else ["-l", "0"])
    indices = [reactor.index for reactor in stats(engine).reactors]
    assert indices == list(range(min(2, os.cpu_count())))


def test_an_idle_engine_uses_no_cpu_and_makes_few_system_calls(engine):
    wait_until(lambda: stats(engine).reactors[0].sleeps > 0, what="the engine sleeps")
    before = stats(engine).reactors[0]
    time.sleep(1)
    after = stats(engine).reactors[0]
    assert after.enters - before.enters < 200
    assert after.cpu_ns - before.cpu_ns < 200e6


def test_io_costs_neither_messages_nor_locks_and_few_system_calls(engine):
    made = engine.create_bdev("null:///n?size_mb=1024&uuid=f3a1a5e0-5a5c-4b8e-9d3d-000000000009")
    uri = engine.share_bdev(made.name).share_uri
    load(uri, "--count", "1000")
    # Connecting and leaving cost a little, the same for any number of I/Os.
    spent = []
    for count in (IO_COUNT, 3 * IO_COUNT):
        before = stats(engine)
        load(uri, "--count", str(count), "--depth", "32")
        after = stats(engine)
        spent.append({
            "messages": after.reactors[0].messages - before.reactors[0].messages,
            "enters": after.reactors[0].enters - before.reactors[0].enters,
            "completions": after.reactors[0].completions - before.reactors[0].completions,
            "cpu_ns": after.reactors[0].cpu_ns - before.reactors[0].cpu_ns,
            "locks": after.device_locks - before.device_locks})
    assert spent[0]["messages"] == spent[1]["messages"]
    assert spent[0]["locks"] == spent[1]["locks"]
    assert 0 < spent[1]["enters"] < 3 * IO_COUNT
    assert spent[1]["completions"] > 0
    assert spent[1]["cpu_ns"] > spent[0]["cpu_ns"] > 0
