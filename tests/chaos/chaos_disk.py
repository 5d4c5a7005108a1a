# SPDX-License-Identifier: Apache-2.0
"""Disks for engines, with faults. None of these faults changes a byte of what was stored: without
checksums a mirror can not survive silent damage of a copy that is in sync.

Each is under one path for the engine's whole life, and nothing of it survives the test process:
a tmpfs is unmounted and a loop device detached at once, and live on through open descriptors."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import struct
import subprocess
import tempfile

LOOP_SET_STATUS64, LOOP_GET_STATUS64 = 0x4C04, 0x4C05
LOOP_INFO_BYTES, LOOP_LIMIT_AT = 232, 32
MARGIN_BYTES = 4 << 20  # of a tmpfs over its disk
THROTTLE = pathlib.Path("/sys/fs/cgroup/blkio")


def command(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout


class FileDisk:
    """A sparse file."""

    def __init__(self, path, size_bytes):
        self.path = pathlib.Path(path)
        self.size_bytes = size_bytes
        self.content = self.path
        self._make()

    def _make(self):
        self._new_file(self.path)

    def _new_file(self, path):
        with open(path, "xb") as file:
            file.truncate(self.size_bytes)

    def attach(self):
        """Before its engine starts."""

    def digest(self, offset, length):
        if os.stat(self.content).st_size != self.size_bytes:
            raise OSError(f"{self.content} grew: a fault carried I/O to a wrong place")
        with open(self.content, "rb") as file:
            file.seek(offset)
            return hashlib.sha256(file.read(length)).hexdigest()

    def mend(self):
        pass

    def close(self):
        pass


class RoomDisk(FileDisk):
    """A sparse file on a file system of its own, which a ballast file fills."""

    def _make(self):
        with tempfile.TemporaryDirectory() as place:
            command("mount", "-t", "tmpfs", "-o", f"size={self.size_bytes + MARGIN_BYTES}",
                    "tmpfs", place)
            try:
                self._folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            finally:
                command("umount", "-l", place)
        self._inside = pathlib.Path(f"/proc/{os.getpid()}/fd/{self._folder}")
        self.content = self._inside / "disk"
        self._new_file(self.content)
        self.path.symlink_to(self.content)

    def fill(self, room_bytes):
        """Leaves room for so many bytes that are not stored yet."""
        with open(self._inside / "ballast", "wb") as ballast:
            while (more := self._room() - room_bytes) > 0:
                with contextlib.suppress(OSError):  # its engine was faster
                    os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, more)

    def _room(self):
        stat = os.fstatvfs(self._folder)
        return stat.f_bavail * stat.f_bsize

    def mend(self):
        (self._inside / "ballast").unlink(missing_ok=True)

    def close(self):
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None


class LoopDisk(FileDisk):
    """A block device. Its kernel device shrinks, vanishes or is slow, and comes back whole."""

    def _make(self):
        self.content = self.path.with_suffix(".img")
        self._new_file(self.content)
        self._device = None
        self._group = None

    def attach(self):
        """Detached at once: it stays while anybody has it open."""
        if self._device is not None:
            return
        name = command("losetup", "--find", "--show", str(self.content)).strip()
        self._device = os.open(name, os.O_RDONLY)
        command("losetup", "--detach", name)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(name)
        self._number = pathlib.Path(f"/sys/block/{pathlib.Path(name).name}/dev").read_text().strip()

    def _limit(self, size_bytes):
        """0: none. The offset stays: I/O on its way while that moves goes to wrong places."""
        info = bytearray(LOOP_INFO_BYTES)
        fcntl.ioctl(self._device, LOOP_GET_STATUS64, info, True)
        struct.pack_into("=Q", info, LOOP_LIMIT_AT, size_bytes)
        fcntl.ioctl(self._device, LOOP_SET_STATUS64, bytes(info))

    def shrink(self, size_bytes):
        """I/O beyond fails."""
        self._limit(size_bytes)

    def vanish(self):
        """A size of 0, what a pulled disk shows: the limit is rounded down to whole sectors."""
        self._limit(1)

    def slow(self, pid, operations_per_second):
        """What that process writes and reads here."""
        self._group = THROTTLE / f"mayastor-chaos-{os.getpid()}-{self._device}"
        self._group.mkdir(exist_ok=True)
        for name in ("write", "read"):
            (self._group / f"blkio.throttle.{name}_iops_device").write_text(
                f"{self._number} {operations_per_second}")
        (self._group / "cgroup.procs").write_text(str(pid))

    @staticmethod
    def can_be_slow():
        return (THROTTLE / "blkio.throttle.write_iops_device").exists()

    def mend(self):
        if self._device is None:
            return
        self._limit(0)
        if self._group is not None:
            for pid in (self._group / "cgroup.procs").read_text().split():
                (THROTTLE / "cgroup.procs").write_text(pid)
            self._group.rmdir()
            self._group = None

    def close(self):
        if self._device is not None:
            self.mend()
            os.close(self._device)
            self._device = None


KINDS = {"file": FileDisk, "room": RoomDisk, "loop": LoopDisk}
