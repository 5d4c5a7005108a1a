# SPDX-License-Identifier: Apache-2.0
"""Engines that hold copies for each other: what one has in work must not keep the other's waiting."""

import json
import os
import subprocess
import uuid

from engines import BUILD, pb

VOLUME_BYTES = 64 << 20
LOAD = BUILD / "bench" / "mayastor-load"


CORE = min(os.sched_getaffinity(0))


def on_one_core(command, **arguments):
    """Both on the same: then what each has in work piles up."""
    return subprocess.Popen(
        command, preexec_fn=lambda: os.sched_setaffinity(0, {CORE}), **arguments)


def copy_of(engine):
    identity = uuid.uuid4()
    made = engine.create_bdev(f"malloc:///{identity}?size_mb=80&uuid={identity}")
    return f"{engine.share_bdev(made.name).share_uri}?uuid={identity}"


def mirror(engine, name, other):
    identity = str(uuid.uuid4())
    local = f"malloc:///local?size_mb=80&uuid={uuid.uuid4()}"
    engine.nexus.CreateNexus(pb.nexus.CreateNexusRequest(
        name=name, uuid=identity, size=VOLUME_BYTES, minCntlId=1, maxCntlId=65519,
        children=[local, copy_of(other)]))
    return engine.nexus.PublishNexus(pb.nexus.PublishNexusRequest(
        uuid=identity, share=pb.common.NVMF)).nexus.device_uri


def test_two_engines_with_copies_of_each_other_never_starve_each_other_of_buffers(make_engine):
    engines = [make_engine(name, launch=on_one_core, options=["-l", str(CORE)])
               for name in ("node-1", "node-2")]
    uris = [mirror(engine, f"volume-{index}", engines[1 - index])
            for index, engine in enumerate(engines)]
    # More writes at once than an engine has large buffers, at both.
    loads = [subprocess.Popen([str(LOAD), uri, "-o", "json", "--read", "0", "--size", "64KiB",
                               "--depth", "64", "--connections", "8", "--count", "4000"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
             for uri in uris]
    for load in loads:
        out, errors = load.communicate(timeout=120)
        assert load.returncode == 0, errors[-300:]
        assert json.loads(out)["total"]["operations"] == 4000
    for engine in engines:
        states = [child.state for child in engine.nexus_list()[0].children]
        assert states == [pb.nexus.ChildState.CHILD_STATE_ONLINE] * 2
