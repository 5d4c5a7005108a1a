# SPDX-License-Identifier: Apache-2.0
"""`mayastor dev` and mayastor-attach as a user meets them: real processes, real engines.

MAYASTOR_BUILD names the build folder. What needs a block device needs root."""

import concurrent.futures
import fcntl
import hashlib
import json
import mmap
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

# Shells ignore SIGINT for what they start in the background, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MAYASTOR_BUILD", ROOT / "build")).resolve()
MAYASTOR = BUILD / "src/cli/mayastor"
ATTACH = BUILD / "src/attach/mayastor-attach"
ENGINE = BUILD / "src/engine/io-engine"
COMMANDS = ["up", "status", "down", "attach", "detach", "start", "kill", "heal",
            "reactors"]
MIB = 1 << 20
SIZE = 32 * MIB
COPY_HEAD = 5 * MIB
OK, FAILED, USAGE, NOT_RUNNING = 0, 1, 2, 3

if not MAYASTOR.exists():
    pytest.exit(f"{MAYASTOR} is not there: build first, or name the build in MAYASTOR_BUILD", 2)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="block devices need root")


def processes_of(folder):
    """Engines and servers whose command line names @folder."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and str(folder).encode() in b" ".join(words) and \
                words[0].endswith((b"io-engine", b"mayastor-attach")):
            found.append(int(entry.name))
    return found


def await_true(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Cluster:
    def __init__(self, folder):
        self.folder = folder

    def run(self, *arguments, env=None, **options):
        return subprocess.run([str(MAYASTOR), "dev", *map(str, arguments), "--dir",
                               str(self.folder)], text=True, capture_output=True, timeout=120,
                              check=False, env={**os.environ, **(env or {})}, **options)

    def ok(self, *arguments, **options):
        done = self.run(*arguments, **options)
        assert done.returncode == OK, (arguments, done.stdout, done.stderr)
        return done.stdout

    def up(self, *arguments):
        return self.ok("up", "--size", SIZE, *arguments)

    def status(self):
        done = self.run("status", "-o", "json")
        assert done.returncode in (OK, NOT_RUNNING), done.stderr
        return json.loads(done.stdout)

    def pids(self):
        return {node["name"]: node["pid"] for node in self.status()["nodes"] if "pid" in node}

    def copy_digests(self, size=SIZE):
        digests = set()
        for device in sorted(self.folder.glob("node-*/disk-0.img")):
            with open(device, "rb") as file:
                file.seek(COPY_HEAD)
                digests.add(hashlib.sha256(file.read(size)).hexdigest())
        return digests

    def attach(self):
        return self.ok("attach").strip()


@pytest.fixture(name="cluster")
def fixture_cluster():
    place = pathlib.Path(tempfile.mkdtemp(prefix="mayastor-dev-test-", dir="/var/tmp"))
    cluster = Cluster(place / "cluster")
    yield cluster
    done = cluster.run("down", "--force", "--purge")
    left = processes_of(cluster.folder)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    mounts = [line.split()[1] for line in open("/proc/mounts", encoding="utf-8")
              if str(place) in line]
    for mount in reversed(mounts):
        subprocess.run(["umount", "-l", mount], check=False)
    shutil.rmtree(place, ignore_errors=True)
    assert done.returncode in (OK, NOT_RUNNING), done.stderr
    assert not left, "engines were left behind"
    assert not mounts, "mounts were left behind"


def block_write(path, offset, data):
    """Durably, past the page cache."""
    memory = mmap.mmap(-1, len(data))
    memory.write(data)
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    try:
        assert os.pwrite(fd, memory, offset) == len(data)
        os.fsync(fd)
    finally:
        os.close(fd)


def block_read(path, offset, length):
    memory = mmap.mmap(-1, length)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        assert os.preadv(fd, [memory], offset) == length
    finally:
        os.close(fd)
    return bytes(memory)


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    done = subprocess.run([MAYASTOR, "dev", command, "--help"], text=True, capture_output=True,
                          check=False)
    assert done.returncode == OK
    assert f"mayastor dev {command}" in done.stdout
    assert "--dir" in done.stdout and "Exit status" in done.stdout


@pytest.mark.parametrize("page, commands", [
    ("mayastor.1", [[MAYASTOR]]),
    ("mayastor-dev.1", [[MAYASTOR, "dev", command] for command in COMMANDS]),
    ("mayastor-attach.8", [[ATTACH]]),
    ("io-engine.8", [[ENGINE]]),
])
def test_man_pages_have_every_option_of_the_help(page, commands):
    text = (ROOT / "docs/man" / page).read_text(encoding="utf-8").replace("\\-", "-")
    words = set()
    for command in commands:
        done = subprocess.run([*command, "--help"], text=True, capture_output=True, check=True)
        words |= set(re.findall(r"--[a-z][a-z-]+", done.stdout))
    assert words, "the help names options"
    assert {word for word in words if word not in text} == set()


@pytest.mark.parametrize("words, reason", [
    (["dev"], "command is missing"),
    (["dev", "up", "--nodes", "99"], "--nodes '99'"),
    (["dev", "up", "--replicas", "4"], "as many nodes"),
    (["dev", "up", "--size", "soon"], "is no size"),
    (["dev", "kill"], "needs the name of a node"),
    (["dev", "status", "-o", "xml"], "'xml'"),
    (["dev", "attach", "--via", "rope"], "'rope'"),
    (["dev", "down", "--purge", "now"], "'now' is not expected"),
    (["sing"], "'sing' is unknown"),
    ([], "command is missing"),
])
def test_wrong_arguments_exit_2_with_a_reason(words, reason):
    done = subprocess.run([MAYASTOR, *words], text=True, capture_output=True, check=False)
    assert done.returncode == USAGE
    assert reason in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", [["status"], ["down"], ["attach"], ["detach"], ["heal"],
                                     ["kill", "node-1"], ["start", "node-1"]])
def test_without_a_cluster_commands_exit_3_and_say_how_to_start_one(cluster, command):
    done = cluster.run(*command)
    assert done.returncode == NOT_RUNNING
    assert "mayastor dev up" in done.stderr
    assert not cluster.folder.exists(), "looking must make nothing"


# --- life cycle ----------------------------------------------------------------------------------


def test_up_status_down(cluster):
    out = cluster.up("--nodes", 3)
    assert "online" in out and "nvmf+tcp://" in out
    status = cluster.status()
    assert [node["state"] for node in status["nodes"]] == ["running"] * 3
    assert [copy["state"] for copy in status["volume"]["copies"]] == ["online"] * 3
    assert status["volume"]["size_bytes"] == SIZE
    assert "attachment" not in status
    pids = list(cluster.pids().values())
    assert sorted(pids) == sorted(processes_of(cluster.folder))
    reactors = json.loads(cluster.ok("reactors", "-o", "json"))["reactors"]
    assert [reactor["node"] for reactor in reactors] == ["node-1", "node-2", "node-3"]
    assert all(reactor["enters"] > 0 and reactor["cpu_ns"] > 0 for reactor in reactors)
    assert "SYSCALLS" in cluster.ok("reactors")
    cluster.ok("down")
    assert cluster.run("reactors").returncode == NOT_RUNNING
    assert processes_of(cluster.folder) == []
    done = cluster.run("status")
    assert done.returncode == NOT_RUNNING
    assert "stopped" in done.stdout
    cluster.ok("down")  # again is fine
    cluster.ok("down", "--purge")
    assert not cluster.folder.exists()


def test_one_node_one_copy(cluster):
    cluster.up("--nodes", 1)
    assert len(cluster.status()["volume"]["copies"]) == 1


def test_more_nodes_than_copies(cluster):
    cluster.up("--nodes", 4, "--replicas", 2, "--volume", "data", "--device-size", "64MiB")
    status = cluster.status()
    assert len(status["nodes"]) == 4
    assert [copy["node"] for copy in status["volume"]["copies"]] == ["node-1", "node-2"]
    assert status["volume"]["name"] == "data"
    for node in status["nodes"]:
        assert os.stat(node["device"]).st_size == 64 * MIB


def test_a_second_up_changes_nothing(cluster):
    cluster.up()
    pids = cluster.pids()
    volume = cluster.status()["volume"]["uuid"]
    assert "runs" in cluster.up()
    cluster.ok("up")
    assert cluster.pids() == pids
    assert cluster.status()["volume"]["uuid"] == volume


def test_an_up_that_asks_for_another_cluster_is_refused(cluster):
    cluster.up()
    for option, value in (("--nodes", 2), ("--replicas", 1), ("--size", "1GiB"),
                          ("--volume", "other"), ("--device-size", "1GiB")):
        words = ["up", "--size", SIZE, option, value] if option == "--device-size" else \
                ["up", option, value]
        done = cluster.run(*words)
        assert done.returncode == FAILED, option
        assert option in done.stderr and "--purge" in done.stderr
    assert len(cluster.pids()) == 3


def test_two_ups_at_once_make_one_cluster(cluster):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        outs = list(pool.map(lambda _: cluster.run("up", "--size", str(SIZE)), range(3)))
    assert [done.returncode for done in outs] == [OK] * 3, [done.stderr for done in outs]
    assert len(processes_of(cluster.folder)) == 3


@pytest.mark.parametrize("milliseconds", [1, 5, 10, 20, 40, 80, 120, 160, 200, 300])
def test_down_finds_everything_after_up_was_killed(cluster, milliseconds):
    command = [MAYASTOR, "dev", "up", "--size", str(SIZE), "--dir", str(cluster.folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        time.sleep(milliseconds / 1000)
        up.kill()
    done = cluster.run("down")
    assert done.returncode in (OK, NOT_RUNNING), done.stderr
    assert processes_of(cluster.folder) == []


@pytest.mark.parametrize("milliseconds", [10, 40, 100, 200])
def test_up_completes_what_a_killed_up_began(cluster, milliseconds):
    command = [MAYASTOR, "dev", "up", "--size", str(SIZE), "--dir", str(cluster.folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        time.sleep(milliseconds / 1000)
        up.kill()
    cluster.up()
    status = cluster.status()
    assert status["volume"]["state"] == "online"
    assert len(processes_of(cluster.folder)) == 3


def test_down_and_up_after_all_engines_were_killed(cluster):
    cluster.up()
    for pid in cluster.pids().values():
        os.kill(pid, signal.SIGKILL)
    await_true(lambda: processes_of(cluster.folder) == [])
    assert cluster.run("status").returncode == NOT_RUNNING
    cluster.ok("down")
    cluster.up()
    assert cluster.status()["volume"]["state"] == "online"
    assert [copy["state"] for copy in cluster.status()["volume"]["copies"]] == ["online"] * 3


def test_a_stopped_engine_is_killed_by_down(cluster):
    cluster.up("--nodes", 1)
    cluster.ok("kill", "node-1", "--signal", "STOP")
    cluster.ok("kill", "node-1", "--signal", "CONT")
    assert len(processes_of(cluster.folder)) == 1
    cluster.ok("down")
    assert processes_of(cluster.folder) == []


# --- failure and healing -------------------------------------------------------------------------


def test_kill_and_start_heal_the_volume(cluster):
    cluster.up()
    assert "has ended" in cluster.ok("kill", "node-2")
    assert "node-2" not in cluster.pids()
    assert cluster.run("kill", "node-2").returncode == NOT_RUNNING
    cluster.ok("start", "node-2")
    status = cluster.status()
    assert status["volume"]["state"] == "online"
    assert [copy["state"] for copy in status["volume"]["copies"]] == ["online"] * 3
    cluster.ok("down")
    assert len(cluster.copy_digests()) == 1


def test_a_node_that_does_not_exist_is_told(cluster):
    cluster.up("--nodes", 1)
    for command in ("kill", "start"):
        done = cluster.run(command, "node-9")
        assert done.returncode == NOT_RUNNING
        assert "node-9" in done.stderr and "node-1" in done.stderr


def test_heal_says_which_copy_stays_out(cluster):
    cluster.up()
    assert "online" in cluster.ok("heal")
    cluster.ok("kill", "node-1")
    done = cluster.run("heal")
    assert done.returncode == NOT_RUNNING
    assert "mayastor dev start node-1" in done.stderr
    cluster.ok("start", "node-1")
    assert cluster.status()["volume"]["state"] == "online"


@needs_root
def test_data_survives_the_loss_of_each_engine_in_turn(cluster):
    cluster.up()
    device = cluster.attach()
    written = {}
    for number, node in enumerate(("node-2", "node-3", "node-1")):
        data = os.urandom(MIB)
        if node == "node-1":
            block_write(device, number * MIB, data)
            cluster.ok("kill", node)
        else:
            cluster.ok("kill", node)
            block_write(device, number * MIB, data)
            assert cluster.status()["volume"]["state"] == "degraded"
            done = cluster.run("heal")
            assert f"mayastor dev start {node}" in done.stdout
        written[number] = data
        out = cluster.ok("start", node)
        assert "in sync" in out and "100%" in out
        assert cluster.status()["volume"]["state"] == "online"
        for place, expected in written.items():
            assert block_read(device, place * MIB, MIB) == expected
    cluster.ok("detach")
    cluster.ok("down")
    assert len(cluster.copy_digests()) == 1


@needs_root
def test_start_without_heal_leaves_the_copy_out(cluster):
    cluster.up()
    device = cluster.attach()
    cluster.ok("kill", "node-3")
    block_write(device, 0, os.urandom(MIB))
    cluster.ok("start", "node-3", "--no-heal")
    assert cluster.status()["volume"]["state"] == "degraded"
    cluster.ok("heal")
    status = cluster.status()
    assert status["volume"]["state"] == "online"
    rebuild = status["volume"]["copies"][2]["last_rebuild"]
    assert 0 < rebuild["copied_bytes"] <= rebuild["total_bytes"]


# --- ports ---------------------------------------------------------------------------------------


def test_ports_of_others_are_avoided(cluster):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        cluster.up()
        first = cluster.status()["nodes"][0]["grpc"]
    cluster.ok("down")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(first.split(":")[1])))
        other.listen()
        cluster.up()
        assert cluster.status()["nodes"][0]["grpc"] != first
        assert cluster.status()["volume"]["state"] == "online"


def test_a_chosen_port_that_is_taken_is_named(cluster):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = cluster.run("up", "--size", str(SIZE), "--base-port", str(port))
        assert done.returncode == FAILED
        assert str(port) in done.stderr and "taken" in done.stderr
    assert processes_of(cluster.folder) == []


# --- broken surroundings -------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', "\0\0\0\0", "x" * 100000])
def test_a_damaged_state_is_told_and_down_still_works(cluster, text):
    cluster.up("--nodes", 2)
    (cluster.folder / "state.json").write_text(text)
    for command in ("status", "up", "heal"):
        done = cluster.run(command)
        assert done.returncode == FAILED
        assert "state.json" in done.stderr
    done = cluster.run("down")
    assert done.returncode == OK
    assert "damaged" in done.stderr
    assert processes_of(cluster.folder) == []


def test_a_missing_state_with_running_engines_is_cleared_up(cluster):
    cluster.up("--nodes", 2)
    (cluster.folder / "state.json").unlink()
    cluster.ok("down", "--purge")
    assert not cluster.folder.exists()


def test_what_is_not_ours_is_not_removed(cluster):
    cluster.up("--nodes", 1)
    (cluster.folder / "mine.txt").write_text("precious")
    cluster.ok("down", "--purge")
    assert [path.name for path in cluster.folder.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("folder, reason", [
    ("/proc/nothing/here", "cannot be created"),
    ("/etc/passwd/here", "cannot be created"),
    ("/var/tmp/with space", "letters, digits"),
    ("/var/tmp/" + "x" * 200, "150 characters"),
])
def test_a_directory_that_cannot_be_used_is_told(folder, reason):
    done = subprocess.run([MAYASTOR, "dev", "up", "--dir", folder], text=True, capture_output=True,
                          check=False)
    assert done.returncode == FAILED
    assert reason in done.stderr and "--dir" in done.stderr
    if os.path.isdir(folder):
        os.rmdir(folder)


def test_an_engine_that_is_not_there_is_told(cluster):
    done = cluster.run("up", env={"MAYASTOR_IO_ENGINE": "/nowhere/io-engine"})
    assert done.returncode == FAILED
    assert "MAYASTOR_IO_ENGINE=/nowhere/io-engine" in done.stderr


def test_an_engine_that_ends_at_once_is_told_with_its_log(cluster):
    done = cluster.run("up", env={"MAYASTOR_IO_ENGINE": "/bin/false"})
    assert done.returncode == FAILED
    assert "node-1" in done.stderr and "io-engine.log" in done.stderr
    assert "Traceback" not in done.stderr
    cluster.ok("down")


@pytest.fixture(name="programs")
def fixture_programs():
    """The programs where everybody can execute them."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mayastor-dev-programs-", dir="/var/tmp"))
    folder.chmod(0o755)
    for program in (MAYASTOR, ATTACH, ENGINE):
        shutil.copy(program, folder)
    yield folder
    shutil.rmtree(folder)


@needs_root
def test_an_unreadable_directory_is_told(cluster, programs):
    cluster.up("--nodes", 1)
    cluster.folder.parent.chmod(0o755)
    for command in ("status", "up", "down"):
        done = subprocess.run([programs / "mayastor", "dev", command, "--dir", cluster.folder],
                              text=True, capture_output=True, check=False, user="nobody")
        assert done.returncode == FAILED, command
        assert "cannot be read" in done.stderr or "cannot be opened" in done.stderr
    assert len(processes_of(cluster.folder)) == 1


@needs_root
def test_all_but_attach_works_without_root(cluster, programs):
    place = cluster.folder.parent
    shutil.chown(place, "nobody")

    def dev(*words):
        return subprocess.run([programs / "mayastor", "dev", *words, "--dir", cluster.folder],
                              text=True, capture_output=True, check=False, user="nobody",
                              group="nogroup", extra_groups=[])
    done = dev("up", "--size", str(SIZE))
    assert done.returncode == OK, done.stderr
    done = dev("attach")
    assert done.returncode == FAILED
    assert "root" in done.stderr and f"--dir {cluster.folder}" in done.stderr
    # Root attaches, and leaves files that the user can go on with.
    device = cluster.attach()
    assert stat.S_ISBLK(os.stat(device).st_mode)
    assert dev("status").returncode == OK
    assert dev("down").returncode == FAILED  # a block device is not the user's to take away
    cluster.ok("detach")
    done = dev("down", "--purge")
    assert done.returncode == OK, done.stderr
    assert not cluster.folder.exists()


# --- attach --------------------------------------------------------------------------------------


@needs_root
def test_attach_and_detach(cluster):
    cluster.up()
    device = cluster.attach()
    assert stat.S_ISBLK(os.stat(device).st_mode)
    assert cluster.attach() == device, "again is the same"
    attachment = cluster.status()["attachment"]
    assert attachment["state"] == "attached" and attachment["device"] == device
    fd = os.open(device, os.O_RDONLY)
    assert os.lseek(fd, 0, os.SEEK_END) == SIZE
    os.close(fd)
    data = os.urandom(3 * MIB)
    block_write(device, SIZE - 3 * MIB, data)
    assert block_read(device, SIZE - 3 * MIB, 3 * MIB) == data
    cluster.ok("detach")
    assert cluster.run("detach").returncode == NOT_RUNNING
    assert "attachment" not in cluster.status()
    device = cluster.attach()
    assert block_read(device, SIZE - 3 * MIB, 3 * MIB) == data
    cluster.ok("down")  # detaches by itself
    cluster.up()
    device = cluster.attach()
    assert block_read(device, SIZE - 3 * MIB, 3 * MIB) == data


@needs_root
def test_discard_leaves_zeroes(cluster):
    cluster.up()
    device = cluster.attach()
    block_write(device, 0, b"\xaa" * (2 * MIB))
    fd = os.open(device, os.O_RDWR)
    fcntl.ioctl(fd, 0x1277, MIB.to_bytes(8, "little") * 2)  # BLKDISCARD: 1 MiB from 1 MiB
    os.close(fd)
    assert block_read(device, 0, MIB) == b"\xaa" * MIB
    assert block_read(device, MIB, MIB) == bytes(MIB)


@needs_root
def test_a_mounted_device_is_not_taken_away_unasked(cluster):
    cluster.up()
    device = cluster.attach()
    mount = cluster.folder.parent / "mnt"
    mount.mkdir()
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    subprocess.run(["mount", device, mount], check=True)
    for command in (["detach"], ["down"], ["down", "--purge"]):
        done = cluster.run(*command)
        assert done.returncode == FAILED
        assert f"umount {mount}" in done.stderr
    assert len(cluster.pids()) == 3, "nothing was stopped"
    subprocess.run(["umount", mount], check=True)
    cluster.ok("detach")


@needs_root
def test_force_takes_a_mounted_device_away(cluster):
    cluster.up()
    device = cluster.attach()
    mount = cluster.folder.parent / "mnt"
    mount.mkdir()
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    subprocess.run(["mount", device, mount], check=True)
    cluster.ok("down", "--force")
    assert not os.path.ismount(mount)
    assert processes_of(cluster.folder) == []


@needs_root
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_attachment_is_shown_and_repaired(cluster, number):
    cluster.up()
    device = cluster.attach()
    data = os.urandom(MIB)
    block_write(device, 0, data)
    pid = int((cluster.folder / "attach/process").read_text().split()[0])
    os.kill(pid, number)
    await_true(lambda: pid not in processes_of(cluster.folder))
    assert cluster.status()["attachment"]["state"] == "broken"
    device = cluster.attach()
    assert cluster.status()["attachment"]["state"] == "attached"
    assert block_read(device, 0, MIB) == data
    cluster.ok("detach")
    assert str(cluster.folder) not in open("/proc/mounts", encoding="utf-8").read()


@needs_root
def test_down_after_everything_was_killed_while_attached(cluster):
    cluster.up()
    cluster.attach()
    for pid in processes_of(cluster.folder):
        os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    cluster.run("down")  # may have to say that cached data is lost
    assert time.monotonic() - start < 30
    assert processes_of(cluster.folder) == []
    cluster.ok("down")
    assert str(cluster.folder) not in open("/proc/mounts", encoding="utf-8").read()
    assert str(cluster.folder) not in subprocess.run(["losetup", "-l"], text=True, check=True,
                                                     capture_output=True).stdout


@needs_root
def test_down_does_not_wait_for_a_dead_engine(cluster):
    cluster.up()
    device = cluster.attach()
    cluster.ok("kill", "node-1")
    with subprocess.Popen(["dd", "if=/dev/zero", f"of={device}", "bs=64k", "count=4",
                           "oflag=direct"], stderr=subprocess.DEVNULL) as writer:
        time.sleep(0.5)
        assert writer.poll() is None, "it waits for the engine"
        start = time.monotonic()
        done = cluster.run("down")
        assert time.monotonic() - start < 40, done.stderr
        writer.wait(20)
    assert processes_of(cluster.folder) == []


@needs_root
def test_io_goes_on_when_the_engine_of_the_volume_comes_back(cluster):
    cluster.up()
    device = cluster.attach()
    data = os.urandom(8 * MIB)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        cluster.ok("kill", "node-1")
        writing = pool.submit(block_write, device, 0, data)
        time.sleep(0.5)
        assert not writing.done()
        cluster.ok("start", "node-1")
        writing.result(60)
    assert block_read(device, 0, len(data)) == data


@needs_root
def test_attach_without_the_engine_of_the_volume_is_told(cluster):
    cluster.up()
    cluster.ok("kill", "node-1")
    done = cluster.run("attach")
    assert done.returncode == NOT_RUNNING
    assert "mayastor dev start node-1" in done.stderr


@needs_root
def test_via_kernel_says_what_is_missing(cluster):
    if os.path.exists("/dev/nvme-fabrics"):
        pytest.skip("this kernel has an NVMe/TCP host")
    cluster.up("--nodes", 1)
    done = cluster.run("attach", "--via", "kernel")
    assert done.returncode == FAILED
    assert "nvme-tcp" in done.stderr and "--via fuse" in done.stderr


# --- mayastor-attach alone -----------------------------------------------------------------------


@pytest.fixture(name="served")
def fixture_served(cluster):
    """A volume served as a file in the background."""
    cluster.up("--nodes", 1)
    mount = cluster.folder.parent / "mnt"
    mount.mkdir()
    log = cluster.folder.parent / "attach.log"
    uri = cluster.status()["volume"]["uri"]
    done = subprocess.run([ATTACH, "--uri", uri, "--mount", mount, "--log", log], text=True,
                          capture_output=True, timeout=30, check=False)
    assert done.returncode == OK, done.stderr
    yield mount
    if os.path.ismount(mount):
        subprocess.run(["umount", mount], check=True)
    await_true(lambda: processes_of(mount) == [])


@needs_root
def test_the_file_is_there_when_attach_returns(served):
    assert os.listdir(served) == ["volume"]
    info = os.stat(served / "volume")
    assert info.st_size == SIZE and stat.S_ISREG(info.st_mode)
    assert stat.S_IMODE(info.st_mode) == 0o600


@needs_root
def test_the_file_reads_what_was_written(served):
    file = served / "volume"
    data = os.urandom(5 * MIB)
    block_write(file, 4096, data)
    assert block_read(file, 4096, len(data)) == data
    with open(file, "rb") as stream:
        stream.seek(SIZE)
        assert stream.read() == b"", "its end is its end"


@needs_root
def test_what_a_disk_cannot_do_is_refused(served):
    file = served / "volume"
    fd = os.open(file, os.O_RDWR)
    for action in (lambda: os.pread(fd, 100, 0), lambda: os.pwrite(fd, b"x" * 512, 100),
                   lambda: os.pwrite(fd, b"x" * 512, SIZE), lambda: os.ftruncate(fd, 0),
                   lambda: os.unlink(file), lambda: os.mkdir(served / "more"),
                   lambda: open(served / "other", "w", encoding="utf-8")):
        with pytest.raises(OSError):
            action()
    os.close(fd)
    assert os.stat(file).st_size == SIZE


@needs_root
def test_punched_holes_read_as_zeroes(served):
    file = served / "volume"
    block_write(file, 0, b"\xcc" * (4 * MIB))
    subprocess.run(["fallocate", "--punch-hole", "-o", str(MIB), "-l", str(MIB), file], check=True)
    subprocess.run(["fallocate", "--zero-range", "--keep-size", "-o", str(2 * MIB), "-l", "4096",
                    file], check=True)
    data = block_read(file, 0, 4 * MIB)
    assert data[:MIB] == b"\xcc" * MIB
    assert data[MIB:2 * MIB + 4096] == bytes(MIB + 4096)
    assert data[2 * MIB + 4096:] == b"\xcc" * (2 * MIB - 4096)


@needs_root
def test_unmounting_ends_the_server(served):
    assert len(processes_of(served)) == 1
    subprocess.run(["umount", served], check=True)
    await_true(lambda: processes_of(served) == [])


@needs_root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(served, number):
    os.kill(processes_of(served)[0], number)
    await_true(lambda: processes_of(served) == [])
    assert not os.path.ismount(served)


@needs_root
def test_many_readers_and_writers_at_once(served):
    """More requests than slots: whoever finds none waits, nothing is lost or mixed up."""
    file = served / "volume"

    def work(number):
        data = bytes([number]) * (128 * 1024)
        for _ in range(4):
            block_write(file, number * 128 * 1024, data)
            assert block_read(file, number * 128 * 1024, len(data)) == data
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        list(pool.map(work, range(100)))


@pytest.mark.parametrize("uri, reason", [
    ("nvmf+tcp://127.0.0.1:1/nqn.x", "127.0.0.1:1"),
    ("nvmf+tcp://no.such.host.invalid:8420/nqn.x", "no.such.host.invalid"),
])
def test_an_engine_that_cannot_be_reached_is_told(tmp_path, uri, reason):
    done = subprocess.run([ATTACH, "--uri", uri, "--mount", tmp_path], text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == FAILED
    assert reason in done.stderr


def test_attach_refuses_wrong_arguments():
    done = subprocess.run([ATTACH, "--uri", "x"], text=True, capture_output=True, check=False)
    assert done.returncode == USAGE
    assert "--uri 'x'" in done.stderr


# --- output --------------------------------------------------------------------------------------


def yaml_load(text):
    """The subset that status writes: maps, lists, JSON scalars and plain words."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines()]

    def scalar(word):
        try:
            return json.loads(word)
        except ValueError:
            return word

    def load(at, indent):
        container = [] if lines[at][1].startswith("-") else {}
        while at < len(lines) and lines[at][0] == indent:
            word = lines[at][1]
            key, _, rest = ("-", "", word[1:].strip()) if word.startswith("-") else \
                word.partition(":")
            rest = rest.strip()
            if rest == "":
                value, at = load(at + 1, lines[at + 1][0])
            else:
                value, at = scalar(rest), at + 1
            if isinstance(container, list):
                container.append(value)
            else:
                container[key] = value
        return container, at
    return load(0, 0)[0]


def test_yaml_and_json_say_the_same(cluster):
    cluster.up("--nodes", 2)
    cluster.ok("kill", "node-2")
    # The volume notices in its own time; until then two looks may differ.
    await_true(lambda: [copy["state"] for copy in cluster.status()["volume"]["copies"]] ==
               ["online", "faulted"])
    text = cluster.ok("status", "-o", "yaml")
    assert yaml_load(text) == cluster.status()


def test_the_table_names_nodes_and_copies(cluster):
    cluster.up("--nodes", 2)
    text = cluster.ok("status")
    assert "NODE " in text and "COPY ON" in text and "Not attached." in text
    assert all(line == line.rstrip() for line in text.splitlines())
