# SPDX-License-Identifier: Apache-2.0
"""Hosts that load a volume and check every byte that they read.

`mayastor-load --verify` on a machine of its own, and fio on the kernel's NVMe/TCP host in a guest.
Both wait for a volume that is away and repeat what was in flight; an error that reaches them is a
failure of the round."""

import json
import re
import signal
import subprocess

from chaos_cluster import BUILD, Failure, wait_for

END_SECONDS = 90  # for what is in flight, and reading back all that was written
PROGRESS_SECONDS = 30
CONNECT_SECONDS = 30


class LoadHost:
    name = "load"

    def __init__(self, cluster, draw):
        self.cluster = cluster
        self.process = None
        self.machine = cluster.lab.host
        size_bytes = draw.choice((cluster.block_bytes, 4096, 32 << 10, 128 << 10))
        depth, connections = draw.choice((1, 4, 16)), draw.choice((1, 2))
        self.inflight_bytes = size_bytes * depth * connections
        self.options = [
            "--read", str(draw.choice((20, 50, 80))), "--size", str(size_bytes),
            "--depth", str(depth), "--connections", str(connections),
            "--flush-every", str(draw.choice((5, 50, 500))),
            "--seed", str(draw.getrandbits(32)),
            *draw.choice(([], [], ["--fua"], ["--digests"], ["--sequential"]))]

    def start(self):
        folder = self.cluster.folder
        command = [str(BUILD / "bench" / "mayastor-load"), self.cluster.device_uri, "--verify",
                   "--retry", "--seconds", "1000", *self.options, "-o", "json"]
        (folder / "load.command").write_text(" ".join(command) + "\n")
        with open(folder / "load.json", "w", encoding="utf-8") as out, \
                open(folder / "load.log", "w", encoding="utf-8") as log:
            self.process = self.machine.popen(command, stdout=out, stderr=log, cwd=folder)
        self.wait_progress()

    def cut(self, is_cut):
        self.machine.cut(is_cut)

    def write_new(self):
        """It writes all over the volume, and blocks that it never wrote before for long."""

    def progress(self):
        return self.machine.traffic_bytes()

    def wait_progress(self, seconds=PROGRESS_SECONDS):
        """More than what may have been answered before is carried."""
        target = self.progress() + 2 * self.inflight_bytes + (64 << 10)

        def is_past():
            self.check()
            return self.progress() > target

        wait_for(is_past, seconds, "progress of mayastor-load")

    def _failed(self):
        log = (self.cluster.folder / "load.log").read_text()
        report = (self.cluster.folder / "load.json").read_text()
        return Failure(f"mayastor-load ended with {self.process.returncode}:\n{log[-2000:]}"
                       f"{report[-2000:]}")

    def check(self):
        if self.process.poll() is not None:
            raise self._failed()

    def finish(self):
        """Return: how many blocks were compared."""
        self.check()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure("mayastor-load does not end: I/O is stuck") from None
        if self.process.returncode != 0:
            raise self._failed()
        result = json.loads((self.cluster.folder / "load.json").read_text())
        verify = result["verify"]
        if verify["checked_blocks"] == 0 or verify["unread"] > 0 or verify["doubtful"] > 0 or \
                result["error_count"] > 0:
            raise Failure(f"the load proves nothing: {verify}, {result['errors']}")
        return verify["checked_blocks"]

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


BEHIND_FIO_MIB = 60  # no pass writes there

# One pass writes a part of the volume in random order and reads it back; passes follow each other
# until they are told to end. The last one is broken off in the middle: its state tells a reader
# how much of it has to be there.
FIO = """
fio="fio --name=work --filename=/dev/nvme0n1 --direct=1 --ioengine={engine} --iodepth={depth} \\
    --bs={size_kib}k --size={pass_mib}M --offset={offset}M --verify=crc32c --verify_fatal=1 \\
    --allow_file_create=0 --output-format=json+"
cd /run
pass=0
while [ ! -e stop ]; do
    pass=$((pass + 1))
    $fio --rw={mix} --randseed={seed}$pass --do_verify=1 --output=/results/fio-$pass.json || exit 1
    echo "pass $pass"
done
$fio --rw=randwrite --randseed={seed} --do_verify=0 --verify_state_save=1 --number_ios={share} \\
    --output=/results/fio-state.json || exit 2
[ -e local-work-0-verify.state ] || exit 3
$fio --rw=randwrite --randseed={seed} --verify_only=1 --verify_state_load=1 \\
    --output=/results/fio-verify.json || exit 4
echo "passes $pass"
"""


class KernelHost:
    name = "kernel"

    def __init__(self, cluster, draw):
        self.cluster = cluster
        self.guest = None
        self.job = None
        self.new_count = 0
        size_kib, pass_mib = draw.choice(((4, 4), (16, 12), (64, 24)))
        self.state_ios = draw.randrange(50, 300)
        self.script = FIO.format(
            engine=draw.choice(("psync", "libaio", "io_uring")), depth=draw.choice((1, 8)),
            size_kib=size_kib, pass_mib=pass_mib, offset=draw.randrange(0, 36),
            mix=draw.choice(("randrw", "randwrite", "write")), seed=draw.randrange(1, 10000),
            share=self.state_ios)
        self.connect_options = draw.choice(("", "", "--hdr-digest --data-digest"))

    def start(self):
        cluster = self.cluster
        self.guest = cluster.lab.hub.guest(mem="512M")
        address, port, nqn = re.fullmatch(r"nvmf(?:\+tcp)?://([^:]+):(\d+)/([^?]+)",
                                          cluster.device_uri).groups()
        self.nqn = nqn
        self.guest.run(f"nvme connect -t tcp -a {address} -s {port} -n {nqn} --ctrl-loss-tmo=600 "
                       f"--reconnect-delay=1 --keep-alive-tmo=3 {self.connect_options}",
                       timeout=CONNECT_SECONDS, check=True)
        self.guest.wait_until("test -b /dev/nvme0n1")
        (cluster.folder / "fio.script").write_text(self.script)
        self.job = self.guest.spawn(self.script)
        self.wait_progress()

    def cut(self, is_cut):
        self.guest.link(not is_cut)

    def write_new(self):
        """Blocks never written before: a pass of fio that has come around writes old ones only."""
        self.guest.run("dd if=/dev/urandom of=/dev/nvme0n1 oflag=direct bs=64k count=1 "
                       f"seek={(BEHIND_FIO_MIB << 4) + self.new_count}", timeout=60, check=True)
        self.new_count += 1

    def progress(self):
        return int(self.guest.run("awk '{n += $3 + $7} END {print n}' /sys/block/nvme*/stat")[1])

    def wait_progress(self, seconds=PROGRESS_SECONDS):
        target = self.progress() + 128

        def is_past():
            self.check()
            return self.progress() > target

        wait_for(is_past, seconds, "progress of fio")

    def check(self):
        if self.job.status is not None:
            raise Failure(f"fio ended with {self.job.status}:\n{self.job.stdout}{self.job.stderr}"
                          f"{self.complaints()}")

    def complaints(self):
        lines = self.guest.run("dmesg")[1].splitlines()
        return "\n".join(line for line in lines
                         if re.search(r"I/O error|Buffer I/O|critical|hung task", line))

    def is_settled(self):
        """Told to disconnect while it reconnects or scans, a kernel may hang."""
        return self.guest.run("grep -qx live /sys/class/nvme/nvme0/state && "
                              "test -b /dev/nvme0n1").status == 0

    def finish(self):
        self.check()
        self.guest.run("touch /run/stop", check=True)
        status, out, err = self.job.wait(END_SECONDS)
        if status != 0:
            raise Failure(f"fio ended with {status}:\n{out}{err}{self.complaints()}")
        if self.complaints():
            raise Failure(f"the guest's kernel saw errors:\n{self.complaints()}")
        reads = {path.stem: json.loads(path.read_text())["jobs"][0]["read"]["total_ios"]
                 for path in self.guest.results.glob("fio-*.json")}
        if reads["fio-verify"] < self.state_ios or reads["fio-1"] == 0:
            raise Failure(f"fio did not verify what it wrote: {reads}")
        wait_for(self.is_settled, 30, "a connection that is at rest")
        self.guest.run(f"nvme disconnect -n {self.nqn}", timeout=60, check=True)
        return sum(reads.values())

    def close(self):
        if self.guest is None:
            return
        (self.cluster.folder / "guest.console").write_text(self.guest.console())
        if self.job is not None:
            (self.cluster.folder / "fio.log").write_text(self.job.stdout + self.job.stderr)
        self.guest.kill()


HOSTS = {"load": LoadHost, "kernel": KernelHost}
