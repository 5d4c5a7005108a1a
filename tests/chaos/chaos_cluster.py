# SPDX-License-Identifier: Apache-2.0
"""Three engines, each on a machine and with a disk of its own, and one volume mirrored over them.

`heal` stands in for the control plane: it asks for the state and brings lost copies back."""

import json
import pathlib
import re
import signal
import sys
import time
import uuid

import grpc

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "engine"))

from chaos_disk import KINDS  # noqa: E402
from chaos_net import NVME_PORT  # noqa: E402
from engines import BUILD, Engine, pb  # noqa: E402

np = pb.nexus
MIB = 1 << 20
DATA_OFFSET = 5 * MIB  # where a volume begins on its copies: see src/nexus/nexus_layout.c
VOLUME_BYTES = 64 * MIB
DEVICE_BYTES = 72 * MIB
HEAL_SECONDS = 60  # within which a volume has to be whole after the last fault
CALL_SECONDS = 20
STILL_LOOKS = 8  # so many equal ones, 20 ms apart: the base level
BASE_SECONDS = 30  # a target keeps the association of a host that went silently for 10
RSS_TOLERANCE_KIB = 16 << 10
VOLUME = 0  # the engine of the volume; 1 and 2 have copies only
COPIES = (1, 2)
BAD_LINES = re.compile(r"ASSERT failed|AddressSanitizer|LeakSanitizer|ThreadSanitizer|"
                       r"runtime error:|stack smashing|double free")


class Failure(Exception):
    """A rule that did not hold."""


def wait_for(condition, seconds, what):
    """By state, and with an end. Return: the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)
    return value


def is_sanitized():
    with open(BUILD / "src/engine/io-engine", "rb") as program:
        return b"__asan_init" in program.read()


class Resources:
    """What a process holds. Workers that the kernel makes for io_uring are its own business."""

    def __init__(self, pid):
        process = pathlib.Path(f"/proc/{pid}")
        names = [(task / "comm").read_text() for task in (process / "task").iterdir()]
        self.threads = sum(not name.startswith("iou-") for name in names)
        self.fds = len(list((process / "fd").iterdir()))
        self.rss_kib = int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())[1])

    def __str__(self):
        return f"{self.fds} fds, {self.threads} threads, {self.rss_kib} KiB"


class Shape:
    """Drawn for a round. A file on tmpfs has blocks of 4096 bytes, and all disks have the same."""

    def __init__(self, draw, wanted):
        self.block_bytes = 4096 if wanted == "room" else draw.choice((512, 512, 4096))
        fitting = ("file", "loop") if self.block_bytes == 512 else ("file", "loop", "room")
        self.disks = [wanted or draw.choice(fitting) for _ in range(3)]


class Cluster:
    def __init__(self, lab, folder, draw, shape, env):
        self.lab, self.draw = lab, draw
        self.folder = pathlib.Path(folder)
        self.events = open(self.folder / "events", "w", encoding="utf-8")
        self.begin = time.monotonic()
        self.uuid = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        self.identities = [str(uuid.UUID(int=draw.getrandbits(128), version=4)) for _ in range(3)]
        self.engines = [
            Engine(folder, f"node-{i + 1}", address=machine.address, ports=(10124, NVME_PORT),
                   env={"NEXUS_NVMF_ANA_ENABLE": "1", **env})
            for i, machine in enumerate(lab.nodes)]
        self.disks = [None] * 3
        self.children = [None] * 3
        self.base = [None] * 3
        self.block_bytes = shape.block_bytes
        for i in range(3):
            self.disks[i] = KINDS[shape.disks[i]](self.folder / f"disk-{i + 1}", DEVICE_BYTES)

    def tell(self, text):
        self.events.write(f"{time.strftime('%H:%M:%S')} {time.monotonic() - self.begin:8.3f} "
                          f"{text}\n")
        self.events.flush()

    # Engines.

    def start_engine(self, index):
        """With its device, and for a copy the share."""
        engine, disk = self.engines[index], self.disks[index]
        disk.attach()
        for port in (engine.port, engine.grpc_port):
            wait_for(lambda: self.lab.nodes[index].is_free(port), 10, f"port {port} free")
        engine.start_in(self.lab.nodes[index])
        self.tell(f"{engine.name} runs, pid {engine.process.pid}")
        self.make_device(index)

    def disk_uri(self, index):
        return (f"aio://{self.disks[index].path}?blk_size={self.block_bytes}&"
                f"uuid={self.identities[index]}")

    def make_device(self, index):
        engine, identity = self.engines[index], self.identities[index]
        made = engine.create_bdev(self.disk_uri(index))
        uri = f"bdev:///{made.name}" if index == VOLUME else \
            engine.share_bdev(made.name).share_uri
        if self.children[index] not in (None, f"{uri}?uuid={identity}"):
            raise Failure(f"child {self.children[index]} came back as {uri}")
        self.children[index] = f"{uri}?uuid={identity}"

    def remake_device(self, index):
        """Of a disk that was gone and is back: what an operator does."""
        engine = self.engines[index]
        uri = self.children[index]
        if index == VOLUME:  # the volume holds it open until the child is taken out
            wait_for(lambda: self.is_taken_out(uri), 10, f"{uri} taken out of the volume")
        else:
            engine.bdev.Unshare(pb.bdev.BdevUnshareRequest(name=str(self.disks[index].path)),
                                timeout=CALL_SECONDS)
        engine.bdev.Destroy(pb.bdev.DestroyBdevRequest(uri=self.disk_uri(index)),
                            timeout=CALL_SECONDS)
        self.make_device(index)
        if index == VOLUME:
            self.call("AddChildNexus", np.AddChildNexusRequest(uuid=self.uuid, uri=uri))
        self.tell(f"{engine.name} has its device again")

    def replace_disk(self, index):
        """Of an engine that is down: an empty disk with an identity of its own, as a new child."""
        uri = self.children[index]
        self.disks[index].close()
        path = self.disks[index].path.with_suffix(".new" + self.disks[index].path.suffix)
        self.disks[index] = KINDS["file"](path, DEVICE_BYTES)
        self.identities[index] = str(uuid.UUID(int=self.draw.getrandbits(128), version=4))
        self.children[index] = None
        self.start_engine(index)
        wait_for(lambda: self.is_taken_out(uri), 10, f"{uri} taken out of the volume")
        self.call("AddChildNexus", np.AddChildNexusRequest(uuid=self.uuid,
                                                           uri=self.children[index]))

    def kill(self, index):
        status = self.engines[index].kill(signal.SIGKILL)
        self.tell(f"{self.engines[index].name} killed")
        if status != -signal.SIGKILL:
            raise Failure(f"{self.engines[index].name} died by itself ({status})")

    def stop_engine(self, index):
        engine = self.engines[index]
        status = engine.stop()
        self.tell(f"{engine.name} told to stop: {status}")
        if status != 0:
            raise Failure(f"{engine.name} ended with {status} when told to stop")

    def signal(self, index, number):
        self.engines[index].process.send_signal(number)
        self.tell(f"{self.engines[index].name} gets {signal.Signals(number).name}")

    def is_running(self, index):
        process = self.engines[index].process
        return process is not None and process.poll() is None

    # The volume.

    def is_taken_out(self, uri):
        """Refused while the loss of that child is still being recorded."""
        try:
            self.call("RemoveChildNexus", np.RemoveChildNexusRequest(uuid=self.uuid, uri=uri))
        except grpc.RpcError as error:
            self.tell(f"not taken out: {error.details()}")
            return False
        return True

    def call(self, method, request):
        return getattr(self.engines[VOLUME].nexus, method)(request, timeout=CALL_SECONDS)

    def create_volume(self):
        self.call("CreateNexus", np.CreateNexusRequest(
            name="vol", uuid=self.uuid, size=VOLUME_BYTES, minCntlId=1, maxCntlId=65519,
            children=self.children))
        self.device_uri = self.call("PublishNexus", np.PublishNexusRequest(
            uuid=self.uuid, share=pb.common.NVMF)).nexus.device_uri
        self.tell("volume made")

    def start(self):
        for index in range(3):
            self.start_engine(index)
        self.create_volume()

    def volume(self):
        options = pb.nexus.ListNexusOptions()
        options.uuid.value = self.uuid
        return self.call("ListNexus", options).nexus_list[0]

    def child(self, index):
        return next((c for c in self.volume().children if c.uri == self.children[index]), None)

    def is_child_online(self, index):
        child = self.child(index)
        return child is not None and child.state == np.CHILD_STATE_ONLINE

    def wait_lost(self, index, seconds=15):
        """Until the volume has taken the copy out of service. Return: the reason."""
        wait_for(lambda: self.child(index).state in (np.CHILD_STATE_DEGRADED,
                                                     np.CHILD_STATE_FAULTED), seconds,
                 lambda: f"loss of {self.children[index]}:\n{self.volume()}")
        reason = self.child(index).state_reason
        self.tell(f"copy {index + 1} lost: {np.ChildStateReason.Name(reason)}")
        return reason

    # Healing.

    def heal(self, check=lambda: None, seconds=HEAL_SECONDS):
        """Until every copy is in sync. `check` raises when waiting has no sense any more."""
        deadline = time.monotonic() + seconds
        refusal = None
        while True:
            check()
            volume = self.volume()
            if volume.state == np.NEXUS_ONLINE and len(volume.children) == 3:
                self.tell("volume whole")
                return
            if time.monotonic() > deadline:
                raise Failure(f"the volume is not whole within {seconds} s (last refusal: "
                              f"{refusal}):\n{volume}")
            try:
                self.mend_children(volume)
            except grpc.RpcError as error:
                refusal = error.details()
            time.sleep(0.05)

    def mend_children(self, volume):
        """Online for what comes back as it was; sometimes out and in again, copied whole."""
        known = {child.uri: child for child in volume.children}
        for uri in self.children:
            child = known.get(uri)
            if child is None:
                self.call("AddChildNexus", np.AddChildNexusRequest(uuid=self.uuid, uri=uri))
                continue
            if child.state in (np.CHILD_STATE_ONLINE, np.CHILD_STATE_UNKNOWN) or \
                    child.rebuild_progress >= 0:
                continue
            if self.draw.random() < 0.7:
                self.tell(f"online {uri}")
                self.call("ChildOperation", np.ChildOperationRequest(
                    nexus_uuid=self.uuid, uri=uri, action=np.Online))
            else:
                self.tell(f"remove and add {uri}")
                self.call("RemoveChildNexus", np.RemoveChildNexusRequest(uuid=self.uuid, uri=uri))
                self.call("AddChildNexus", np.AddChildNexusRequest(uuid=self.uuid, uri=uri))

    # Rules.

    def resources(self):
        return [Resources(engine.process.pid) for engine in self.engines]

    def note_base(self):
        """What each engine holds with the volume whole and no host, when that has come to rest."""
        seen = []

        def is_at_rest():
            seen.append([(one.fds, one.threads) for one in self.resources()])
            return len(seen) >= STILL_LOOKS and seen[-STILL_LOOKS:] == [seen[-1]] * STILL_LOOKS

        wait_for(is_at_rest, 10, "engines at rest")
        self.base = self.resources()
        self.tell("base level: " + "; ".join(map(str, self.base)))

    def check_base(self):
        """Back at the base level, a moment after the hosts have gone."""
        for engine, base in zip(self.engines, self.base):
            def is_back():
                now = Resources(engine.process.pid)
                return now.fds <= base.fds and now.threads <= base.threads and (
                    is_sanitized() or now.rss_kib <= base.rss_kib + RSS_TOLERANCE_KIB)

            wait_for(is_back, BASE_SECONDS, lambda: f"{engine.name} back at its base level: "
                     f"{base}; now {Resources(engine.process.pid)}")
            self.tell(f"{engine.name}: {Resources(engine.process.pid)}")

    def check_alive(self):
        for index, engine in enumerate(self.engines):
            if not self.is_running(index):
                raise Failure(f"{engine.name} died by itself ({engine.process.returncode})")

    def deaths(self):
        """What engines that are gone said last, to stand beside a call that failed."""
        return "".join(f"\n{engine.name} ended with {engine.process.returncode}: "
                       f"{engine.text().splitlines()[-1:]}" for index, engine in
                       enumerate(self.engines)
                       if engine.process is not None and not self.is_running(index))

    def check_logs(self):
        for engine in self.engines:
            for line in engine.text().splitlines():
                if BAD_LINES.search(line):
                    raise Failure(f"{engine.name} says: {line}")
        for core in self.folder.rglob("core*"):
            raise Failure(f"a core file: {core}")

    def check_copies(self):
        """After the orderly end of all engines."""
        digests = [disk.digest(DATA_OFFSET, VOLUME_BYTES - self.block_bytes)
                   for disk in self.disks]
        if len(set(digests)) != 1:
            raise Failure(f"the copies differ after an orderly stop: {digests}")
        self.tell(f"copies equal: {digests[0][:16]}")

    def record(self):
        """The newest durable record of the volume."""
        path = next((self.engines[VOLUME].folder / "state" / "records").glob("*.record"))
        slots = re.findall(rb'\{"key".*\}', path.read_bytes().replace(b"\0", b"\n"))
        return max((json.loads(slot) for slot in slots), key=lambda slot: slot.get("sequence", 0))

    def close(self):
        for index, engine in enumerate(self.engines):
            if self.is_running(index):
                engine.process.send_signal(signal.SIGCONT)
            engine.close()
        for disk in self.disks:
            if disk is not None:
                disk.close()
        self.events.close()
