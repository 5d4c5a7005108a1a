# SPDX-License-Identifier: Apache-2.0
"""An engine with a disk and a bystander."""

import os

from engines import Engine, NQN_PREFIX, wait_until
from hosts import Bystander, descriptor_count, memory_kib

NQN = NQN_PREFIX + "disk0"
DISK = "malloc:///disk0?size_mb=64&blk_size=512"
BYSTANDER_BLOCK = 64 * 2048 - Bystander.SLOTS * Bystander.SIZE // 512
# On two cores connections move from one to the other with their Connect.
CORES = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))


class Stage:
    """An engine that serves one disk, and the bystander."""

    def __init__(self, folder, **options):
        self.engine = Engine(folder, "node-1", options=["-l", CORES], **options).start()
        self.engine.create_bdev(DISK)
        self.engine.share_bdev("disk0")
        self.port = self.engine.port
        self.bystander = Bystander(self.port, NQN, BYSTANDER_BLOCK)
        self.bystander.progress()
        self.descriptors = descriptor_count(self.engine.process)
        self.memory_kib = memory_kib(self.engine.process)

    @property
    def process(self):
        return self.engine.process

    def settle(self, growth_kib=20480):
        """All is as before: alive, descriptors, memory; and the bystander was never wrong. The
        receive buffers (8 MiB a core) stay in memory once they were all in use."""
        assert self.process.poll() is None, "the engine has ended"
        self.bystander.progress()
        wait_until(lambda: descriptor_count(self.process) <= self.descriptors, 15,
                   f"{self.descriptors} descriptors, has {descriptor_count(self.process)}")
        # The memory of the last ones is freed after their descriptors.
        wait_until(lambda: memory_kib(self.process) - self.memory_kib <= growth_kib, 15,
                   f"{growth_kib} KiB of memory more than before or less")

    def close(self):
        self.bystander.stop()
        assert self.engine.stop() == 0
