# SPDX-License-Identifier: Apache-2.0
"""One round: three engines, one volume, a host that verifies, faults of one kind, and the rules.

After each fault: the host goes on, and the volume is whole within bounded time. At the end: no
error and no wrong byte at the host; what the engines hold is back at its base level; told to stop,
they end with 0, with a clean record that calls all copies healthy; the copies are equal byte for
byte; no log tells of a broken rule and nobody left a core file."""

import concurrent.futures
import contextlib
import os
import pathlib
import random
import shutil
import tempfile
import threading
import time

from chaos_cluster import COPIES, VOLUME, Cluster, Failure, Shape, np
from chaos_faults import KINDS
from chaos_hosts import HOSTS
from chaos_net import Lab

# Kinds that are worth a kernel of their own in every check; the others get one in a soak.
KERNEL_KINDS = ("copy_killed", "volume_killed", "volume_paused", "copy_paused_too_long",
                "copy_disk_full", "volume_cut_off", "host_cut_off", "mixed")


def all_rounds():
    """What a check runs: (kind, host)."""
    return [(name, "load") for name in KINDS if not KINDS[name].is_long] + \
        [(name, "kernel") for name in KERNEL_KINDS]


def is_possible(kind):
    return KINDS[kind].is_possible()


class Round:
    def __init__(self, lab, kind, host, seed):
        self.lab, self.kind, self.seed = lab, KINDS[kind], seed
        self.name = f"{kind}-{host}-{seed}"
        self.draw = random.Random(self.name)
        base = os.environ.get("MAYASTOR_CHAOS_FOLDER", tempfile.gettempdir())
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"mayastor-chaos-{self.name}-",
                                                    dir=base))
        self.cluster = Cluster(lab, self.folder, self.draw, Shape(self.draw, self.kind.disks),
                               self.kind.env)
        self.host = HOSTS[host](self.cluster, self.draw)
        self.blocks = self.episodes = 0

    # For the faults.

    def hold(self, least, most):
        """How long a fault lasts."""
        seconds = self.draw.uniform(least, most)
        self.cluster.tell(f"for {seconds:.3f} s")
        time.sleep(seconds)

    def host_goes_on(self, seconds=30):
        self.host.wait_progress(seconds)
        self.cluster.tell("the host goes on")

    def mend_once(self):
        """One try to bring lost copies back, whatever comes of it."""
        with contextlib.suppress(Exception):
            self.cluster.mend_children(self.cluster.volume())

    def nothing_was_lost(self):
        volume = self.cluster.volume()
        if volume.state != np.NEXUS_ONLINE:
            raise Failure(f"a copy was given up for nothing:\n{volume}")

    # The round.

    def episode(self, kind):
        self.cluster.tell(f"--- {kind.name}")
        self.hold(0.1, 0.4)
        kind.run(self)
        self.cluster.heal(self.host.check)
        self.cluster.check_alive()
        self.host_goes_on()
        self.episodes += 1

    def run(self):
        cluster = self.cluster
        cluster.start()
        cluster.note_base()
        self.host.start()
        for _ in range(self.kind.repeats):
            self.episode(self.kind)
        self.blocks = self.host.finish()
        cluster.tell(f"host done, {self.blocks} compared")
        cluster.heal()
        cluster.check_base()
        for index in (VOLUME, *COPIES):
            cluster.stop_engine(index)
        self.check_record()
        cluster.check_logs()
        cluster.check_copies()

    def check_record(self):
        record = self.cluster.record()
        healthy = [child["uuid"] for child in record["children"] if child["healthy"]]
        if not record["clean_shutdown"] or len(healthy) != 3:
            raise Failure(f"a whole volume that ended in order has this record: {record}")

    def close(self, is_kept):
        self.host.close()
        self.cluster.close()
        if not is_kept:
            shutil.rmtree(self.folder, ignore_errors=True)


class Rounds:
    """Runs rounds in one lab; after a failure in a new one."""

    def __init__(self):
        self.lab = None
        self.is_keeping = "MAYASTOR_CHAOS_KEEP" in os.environ

    def run(self, kind, host, seed):
        """Return: the round. Raises Failure, which tells where logs and disks are kept."""
        if self.lab is None:
            self.lab = Lab()
        round_ = Round(self.lab, kind, host, seed)
        try:
            round_.run()
            round_.close(self.is_keeping)
        except BaseException as error:
            is_failure = isinstance(error, Exception)
            round_.cluster.tell(f"{type(error).__name__}: {error}")
            deaths = round_.cluster.deaths()
            with contextlib.suppress(Exception):
                round_.close(is_kept=is_failure)
            self.close()
            if not is_failure:
                raise
            raise Failure(f"{error}{deaths}\nround {kind} with {host}: repeat it with "
                          f"`tools/soak --kind {kind} --host {host} --seed {seed} --rounds 1`; "
                          f"logs and disks are kept in {round_.folder}") from error
        return round_

    def close(self):
        lab, self.lab = self.lab, None
        if lab is not None:
            lab.close()


class Pool:
    """Several rounds at a time, each in a lab of its own: most of a round is waiting."""

    def __init__(self, width):
        self.local = threading.local()
        self.all = []
        self.executor = concurrent.futures.ThreadPoolExecutor(width)

    def _run(self, *what):
        if not hasattr(self.local, "rounds"):
            self.local.rounds = Rounds()
            self.all.append(self.local.rounds)
        return self.local.rounds.run(*what)

    def submit(self, kind, host, seed):
        """Return: a future of the round."""
        return self.executor.submit(self._run, kind, host, seed)

    def close(self):
        """What has begun ends first."""
        self.executor.shutdown(cancel_futures=True)
        for rounds in self.all:
            rounds.close()
