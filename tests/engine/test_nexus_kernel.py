# SPDX-License-Identifier: Apache-2.0
"""The Linux NVMe/TCP host on a volume that is mirrored over three engines, through failures.

Each engine has a file as its device, so the copies can be compared byte by byte at the end."""

import hashlib
import pathlib
import re
import signal
import sys
import uuid

import pytest

from engines import Engine, NQN_PREFIX, ROOT, pb, wait_until

sys.path.insert(0, str(ROOT / "tests" / "guest"))

from guest import Network  # noqa: E402

np = pb.nexus
MIB = 1 << 20
DATA_OFFSET = 5 * MIB
SIZE = 200 * MIB

FIO = ("fio --name=work --rw=randrw --bs=4k --size=24M --verify=crc32c --verify_fatal=1 "
       "--do_verify=1 --ioengine=psync --direct=1 --fallocate=none --loops={loops} "
       "--directory={directory} --output-format=terse --terse-version=3")


class Cluster:
    """Three engines with a file each, a mirror on the first, and a Linux host in a guest."""

    def __init__(self, folder, env=None):
        self.net = Network()
        self.folder = pathlib.Path(folder)
        self.engines = [Engine(folder, f"node-{i}", address=self.net.address,
                               launch=self.net.popen, ports=(10124 + i, 8420 + i),
                               env={"NEXUS_NVMF_ANA_ENABLE": "1", "NVME_TIMEOUT": "2s",
                                    "NVME_KATO": "4s", **(env or {})}) for i in range(3)]
        self.identities = [str(uuid.uuid4()) for _ in range(3)]
        self.nexus_uuid = str(uuid.uuid4())
        self.nqn = NQN_PREFIX + "vol"
        self.guest = None

    def disk(self, index):
        return self.engines[index].folder / "disk.img"

    def device_uri(self, index):
        return f"aio://{self.disk(index)}?blk_size=512&uuid={self.identities[index]}"

    def child_uri(self, index):
        engine = self.engines[index]
        if index == 0:
            return f"bdev:///{self.disk(0)}?uuid={self.identities[0]}"
        return (f"nvmf+tcp://{engine.address}:{engine.port}/{NQN_PREFIX}{self.disk(index)}"
                f"?uuid={self.identities[index]}")

    def start_engine(self, index):
        """The engine, its device, and for a remote one the share."""
        engine = self.engines[index]
        engine.start_in(self.net)
        made = engine.create_bdev(self.device_uri(index))
        if index > 0:
            engine.share_bdev(made.name)
        return made

    def child_name(self, index):
        return self.engines[index].bdev.List(pb.bdev.ListBdevOptions()).bdevs[0].name

    def start(self):
        self.children = []
        for index in range(3):
            with open(self.disk(index), "wb") as disk:
                disk.truncate(SIZE)
            made = self.start_engine(index)
            if index == 0:
                self.children.append(f"bdev:///{made.name}?uuid={made.uuid}")
            else:
                uri = self.engines[index].bdev.List(pb.bdev.ListBdevOptions()).bdevs[0]
                self.children.append(f"{uri.share_uri}?uuid={made.uuid}")
        self.create_nexus()
        self.guest = self.net.guest(mem="1024M")
        return self

    def create_nexus(self):
        self.engines[0].nexus.CreateNexus(np.CreateNexusRequest(
            name="vol", uuid=self.nexus_uuid, size=SIZE, minCntlId=1, maxCntlId=2,
            children=self.children))
        self.engines[0].nexus.PublishNexus(np.PublishNexusRequest(
            uuid=self.nexus_uuid, share=pb.common.NVMF))

    def connect(self, *options):
        self.guest.run(f"nvme connect -t tcp -a {self.net.address} -s {self.engines[0].port} "
                       f"-n {self.nqn} {' '.join(options)}", check=True)
        self.guest.wait_until("test -b /dev/nvme0n1")

    def make_file_system(self, kind="ext4"):
        self.guest.run(f"mkfs.{kind} -q /dev/nvme0n1 && mkdir -p /mnt/v && "
                       "mount /dev/nvme0n1 /mnt/v", timeout=60, check=True)

    def writes(self):
        """Answered to the host so far, over all its paths."""
        return int(self.guest.run("awk '{n += $5} END {print n}' /sys/block/nvme*/stat")[1])

    def wait_writes(self, count):
        start = self.writes()
        wait_until(lambda: self.writes() > start + count, what=f"{count} writes")

    def state(self):
        return self.engines[0].nexus_get(self.nexus_uuid)

    def wait_state(self, state, timeout=60):
        wait_until(lambda: self.state().state == state, timeout, f"state {state}")

    def bring_back(self, index):
        """A lost remote engine, its child added again and rebuilt."""
        self.start_engine(index)
        nexus = self.engines[0].nexus
        uri = self.children[index]
        nexus.RemoveChildNexus(np.RemoveChildNexusRequest(uuid=self.nexus_uuid, uri=uri))
        nexus.AddChildNexus(np.AddChildNexusRequest(uuid=self.nexus_uuid, uri=uri))
        self.wait_state(np.NEXUS_ONLINE)

    def disconnect(self):
        self.guest.run("umount /mnt/v 2>/dev/null; nvme disconnect -n " + self.nqn, timeout=60,
                       check=True)

    def copies(self):
        """Digests of the volume's bytes on the three devices."""
        block_count = int(re.search(r"\d+", self.guest_size).group())
        digests = []
        for index in range(3):
            with open(self.disk(index), "rb") as disk:
                disk.seek(DATA_OFFSET)
                digests.append(hashlib.sha256(disk.read(block_count * 512)).hexdigest())
        return digests

    @property
    def guest_size(self):
        return self.size_text

    def note_size(self):
        self.size_text = self.guest.run("cat /sys/block/nvme0n1/size", check=True)[1]

    def close(self):
        for engine in self.engines:
            engine.close()
        self.net.close()


@pytest.fixture
def cluster(tmp_path, request):
    made = Cluster(tmp_path)
    request.node.engines = made.engines
    try:
        yield made.start()
    finally:
        made.close()


def errors_in(cluster):
    """Lines of the guest's kernel that tell of failed I/O."""
    _, out, _ = cluster.guest.run("dmesg")
    return [line for line in out.splitlines()
            if re.search(r"I/O error|Buffer I/O|EXT4-fs error|critical", line)]


def test_engine_of_a_copy_dies_under_verified_io_without_the_host_noticing(cluster):
    cluster.connect()
    cluster.note_size()
    cluster.make_file_system()
    job = cluster.guest.spawn(FIO.format(loops=6, directory="/mnt/v"))
    cluster.wait_writes(300)
    cluster.engines[2].kill(signal.SIGKILL)
    cluster.wait_state(np.NEXUS_DEGRADED)
    status, out, err = job.wait(120)
    assert status == 0, out + err
    cluster.bring_back(2)
    assert not errors_in(cluster)
    cluster.disconnect()
    assert cluster.engines[0].stop() == 0
    assert len(set(cluster.copies())) == 1


def test_engine_of_the_nexus_dies_and_the_host_goes_on_after_its_return(cluster):
    cluster.connect("--ctrl-loss-tmo=120", "--reconnect-delay=1")
    cluster.note_size()
    cluster.make_file_system()
    job = cluster.guest.spawn(FIO.format(loops=4, directory="/mnt/v"))
    cluster.wait_writes(300)
    cluster.engines[0].kill(signal.SIGKILL)
    cluster.start_engine(0)
    cluster.create_nexus()
    status, out, err = job.wait(180)
    assert status == 0, out + err
    cluster.wait_state(np.NEXUS_ONLINE)
    assert not errors_in(cluster)
    cluster.disconnect()
    assert cluster.engines[0].stop() == 0
    assert len(set(cluster.copies())) == 1


def test_frozen_engine_is_retired_within_its_time_and_the_host_goes_on(cluster):
    cluster.connect()
    cluster.make_file_system("xfs" if SIZE >= 300 * MIB else "ext4")
    cluster.engines[1].process.send_signal(signal.SIGSTOP)
    try:
        status, out, err = cluster.guest.run(FIO.format(loops=1, directory="/mnt/v"), timeout=120)
        assert status == 0, out + err
        assert cluster.state().state == np.NEXUS_DEGRADED
    finally:
        cluster.engines[1].process.send_signal(signal.SIGCONT)
    assert not errors_in(cluster)


def test_ana_change_under_io_holds_the_host_and_lets_it_go_on(cluster):
    cluster.connect()
    cluster.make_file_system()
    job = cluster.guest.spawn(FIO.format(loops=3, directory="/mnt/v"))
    for state in (np.NVME_ANA_INACCESSIBLE_STATE, np.NVME_ANA_NON_OPTIMIZED_STATE,
                  np.NVME_ANA_INACCESSIBLE_STATE, np.NVME_ANA_OPTIMIZED_STATE):
        cluster.engines[0].nexus.SetNvmeAnaState(np.SetNvmeAnaStateRequest(
            uuid=cluster.nexus_uuid, ana_state=state))
        wanted = {np.NVME_ANA_INACCESSIBLE_STATE: "inaccessible",
                  np.NVME_ANA_NON_OPTIMIZED_STATE: "non-optimized",
                  np.NVME_ANA_OPTIMIZED_STATE: "optimized"}[state]
        cluster.guest.wait_until(f"grep -qx {wanted} /sys/class/nvme/nvme0/nvme*n*/ana_state")
    status, out, err = job.wait(120)
    assert status == 0, out + err
    assert not errors_in(cluster)


@pytest.fixture
def lone(tmp_path, request):
    """Makes one engine with options, in a network with a Linux host."""
    with Network() as net:
        made = []

        def make(*options, env=None):
            engine = Engine(tmp_path, "node-1", address=net.address, launch=net.popen,
                            ports=(10124, 8420), options=options, env=env)
            made.append(engine)
            return engine.start_in(net), net.guest()

        request.node.engines = made
        try:
            yield make
        finally:
            for engine in made:
                engine.close()


def publish_nexus(engine, name, children, identity=None, **fields):
    request = np.CreateNexusRequest(name=name, uuid=identity or str(uuid.uuid4()), size=64 * MIB,
                                    minCntlId=1, maxCntlId=4, children=children, **fields)
    made = engine.nexus.CreateNexus(request).nexus
    engine.nexus.PublishNexus(np.PublishNexusRequest(uuid=made.uuid, share=pb.common.NVMF))
    return made


def nvme_connect(guest, engine, name):
    guest.run(f"nvme connect -t tcp -a {engine.address} -s {engine.port} -n {NQN_PREFIX}{name}",
              check=True)


def test_volumes_on_both_cores_serve_at_the_same_time(lone):
    engine, guest = lone("-l", "0,1")
    for i in range(4):
        publish_nexus(engine, f"v{i}", [f"malloc:///v{i}a?size_mb=72",
                                        f"malloc:///v{i}b?size_mb=72"])
        nvme_connect(guest, engine, f"v{i}")
    guest.wait_until("test $(ls -d /dev/nvme?n1 | wc -l) = 4")
    status, out, err = guest.run(
        "fio --rw=randrw --bs=8k --size=12M --verify=crc32c --verify_fatal=1 --direct=1 "
        "--ioengine=libaio --iodepth=16 --thread " + " ".join(
            f"--name=v{i} --filename=/dev/nvme{i}n1" for i in range(4)), timeout=120)
    assert status == 0, out + err
    for i in range(4):
        guest.run(f"nvme disconnect -n {NQN_PREFIX}v{i}", check=True)
    assert engine.stop() == 0


def test_reservations_survive_the_death_of_the_engine(lone, tmp_path):
    engine, guest = lone("--ptpl-dir", str(tmp_path / "ptpl"))
    identity = str(uuid.uuid4())
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"")
    with open(disk, "wb") as image:
        image.truncate(72 * MIB)
    child = f"aio://{disk}?blk_size=512&uuid={uuid.uuid4()}"
    publish_nexus(engine, "vol", [child], identity)
    nvme_connect(guest, engine, "vol")
    guest.wait_until("test -b /dev/nvme0n1")
    for command in ("resv-register /dev/nvme0n1 -n 1 --nrkey=0xabc --rrega=0 --cptpl=3",
                    "resv-acquire /dev/nvme0n1 -n 1 --crkey=0xabc --rtype=1 --racqa=0"):
        guest.run("nvme " + command, check=True)
    before = guest.run("nvme resv-report /dev/nvme0n1 -n 1 -e -o json", check=True)[1]
    guest.run(f"nvme disconnect -n {NQN_PREFIX}vol", check=True)
    engine.kill(signal.SIGKILL)
    engine.start_in(engine.network)
    publish_nexus(engine, "vol", [child], identity)
    nvme_connect(guest, engine, "vol")
    guest.wait_until("test -b /dev/nvme0n1")
    after = guest.run("nvme resv-report /dev/nvme0n1 -n 1 -e -o json", check=True)[1]
    assert "abc" in before or "2748" in before
    assert after == before


def test_host_that_is_not_allowed_is_turned_away(lone):
    engine, guest = lone()
    made = publish_nexus(engine, "vol", ["malloc:///a?size_mb=72"])

    def allow(*hosts):
        engine.nexus.PublishNexus(np.PublishNexusRequest(
            uuid=made.uuid, share=pb.common.NVMF, allowed_hosts=hosts))

    connect = (f"nvme connect -t tcp -a {engine.address} -s {engine.port} -n {NQN_PREFIX}vol "
               "--reconnect-delay=1 ")
    allow(guest.hostnqn)
    status, _, err = guest.run(connect + f"--hostnqn={NQN_PREFIX}stranger")
    assert status != 0, err
    guest.run(connect, check=True)
    # A kernel that is still looking for namespaces takes a kick badly.
    guest.wait_until("test -b /dev/nvme0n1")
    allow(NQN_PREFIX + "somebody-else")
    guest.wait_until("! grep -qs live /sys/class/nvme/nvme0/state")
    allow(guest.hostnqn)
    guest.wait_until("grep -q live /sys/class/nvme/nvme0/state", timeout=20)
    guest.run(f"nvme disconnect -n {NQN_PREFIX}vol", check=True)


def test_host_with_several_io_queues(lone):
    engine, guest = lone()
    publish_nexus(engine, "vol", ["malloc:///a?size_mb=72", "malloc:///b?size_mb=72"])
    # One queue each for reads, writes and polling, whatever the number of CPUs.
    guest.run(f"nvme connect -t tcp -a {engine.address} -s {engine.port} -n {NQN_PREFIX}vol "
              "--nr-io-queues=1 --nr-write-queues=1 --nr-poll-queues=1", check=True)
    guest.wait_until("test -b /dev/nvme0n1")
    assert int(guest.run("cat /sys/class/nvme/nvme0/queue_count", check=True)[1]) == 4
    for hipri in (0, 1):
        status, out, err = guest.run(
            "fio --name=x --filename=/dev/nvme0n1 --rw=randrw --bs=4k --size=16M --direct=1 "
            f"--verify=crc32c --verify_fatal=1 --ioengine=pvsync2 --hipri={hipri}", timeout=120)
        assert status == 0, out + err


def test_grown_volume_is_seen_by_its_host(lone):
    engine, guest = lone()
    made = publish_nexus(engine, "vol", ["malloc:///a?size_mb=100", "malloc:///b?size_mb=100"])
    nvme_connect(guest, engine, "vol")
    guest.wait_until("test -b /dev/nvme0n1")
    before = int(guest.run("cat /sys/block/nvme0n1/size", check=True)[1])
    engine.nexus.ResizeNexus(np.ResizeNexusRequest(uuid=made.uuid, requested_size=80 * MIB))
    guest.wait_until(f"test $(cat /sys/block/nvme0n1/size) -gt {before}")


def test_kernel_target_serves_as_children_of_a_nexus(tmp_path, request):
    with Network() as net:
        guest = net.guest()
        target = guest.kernel_target("nqn.2019-05.io.openebs:disk", size=64 * MIB, port=4420)
        engine = Engine(tmp_path, "node-1", address=net.address, launch=net.popen,
                        ports=(10124, 8420))
        request.node.engines = [engine]
        try:
            engine.start_in(net)
            uri = f"nvmf+tcp://{guest.address}:{target.port}/{target.nqn}"
            engine.nexus.CreateNexus(np.CreateNexusRequest(
                name="vol", uuid=str(uuid.uuid4()), size=64 * MIB, minCntlId=1, maxCntlId=2,
                children=[uri, "malloc:///local?size_mb=64"]))
            nexus = engine.nexus_list()[0]
            engine.nexus.PublishNexus(np.PublishNexusRequest(
                uuid=nexus.uuid, share=pb.common.NVMF))
            guest.run(f"nvme connect -t tcp -a {net.address} -s 8420 -n {NQN_PREFIX}vol",
                      check=True)
            disk = guest.wait_until("ls -d /dev/nvme*n1 | tail -1").strip()
            status, out, err = guest.run(
                f"fio --name=x --filename={disk} --rw=randwrite --bs=16k --size=24M --direct=1 "
                "--verify=crc32c --verify_fatal=1 --ioengine=psync", timeout=120)
            assert status == 0, out + err
            assert engine.nexus_list()[0].state == np.NEXUS_ONLINE
            guest.run(f"nvme disconnect -n {NQN_PREFIX}vol", check=True)
            assert engine.stop() == 0
        finally:
            engine.close()
