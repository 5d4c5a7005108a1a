"""The guests themselves: everything other tests rely on, tried for real."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from guest import (  # noqa: E402
    NAME_PREFIX,
    PYTHON,
    TEMPORARY,
    CommandFailed,
    GuestDied,
    GuestTimeout,
    Network,
    namespace_path,
    namespace_pids,
    process_state,
    wait_until,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces and taps")

NQN = "nqn.2019-05.io.openebs:guest-test"
FIO_VERIFY = ("fio --name=verify --rw=randwrite --bs=4k --iodepth=32 --ioengine=io_uring "
              "--direct=1 --verify=crc32c --verify_fatal=1 --output-format=json ")


@pytest.fixture(scope="module")
def net():
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def guest(net):
    return net.guest()


@pytest.fixture
def target(guest):
    made = guest.kernel_target(NQN, size=64 << 20)
    yield made
    guest.run("nvme disconnect-all", check=True)
    made.remove()


def connect(guest, address, port=4420, nqn=NQN, options=""):
    """Connects the kernel's initiator and returns the namespace's device."""
    guest.run(f"nvme connect -t tcp -a {address} -s {port} -n {nqn} {options}", check=True)
    device = guest.wait_until(
        f"for s in /sys/class/nvme-subsystem/*; do "
        f"[ $(cat $s/subsysnqn) = {nqn} ] && (cd $s && ls -d nvme*n1) && exit; done; exit 1")
    return "/dev/" + device.strip()


def assert_gone(name, pids=()):
    assert not namespace_path(name).exists()
    assert not (TEMPORARY / name).exists()
    # a zombie is gone as well: who inherited it may be slow to reap
    assert not [pid for pid in pids if process_state(pid) not in (None, "Z", "X")]


# --- the machine

def test_build_script_is_quick_when_cached(net):
    net.kernel()
    started = time.monotonic()
    path = subprocess.run([HERE / "build_kernel.sh"], check=True, capture_output=True,
                          text=True).stdout.strip()
    assert time.monotonic() - started < 1
    assert os.access(path, os.X_OK)


def test_boot_time(guest):
    print(f"booted in {guest.boot_seconds:.2f} s")
    assert guest.boot_seconds < 20  # a loaded machine; 0.4 s on an idle one


def test_kernel_has_what_tests_need(guest):
    assert "nvme version 2." in guest.run("nvme version", check=True).stdout
    guest.run("test -c /dev/nvme-fabrics && test -d /sys/class/nvme-fabrics", check=True)
    guest.run("test -d /sys/kernel/config/nvmet && test -d /sys/kernel/config/nullb", check=True)
    assert guest.run("cat /sys/module/nvme_core/parameters/multipath").stdout == "Y\n"
    systems = guest.run("cat /proc/filesystems").stdout.split()
    assert {"ext4", "xfs", "overlay", "tmpfs"} <= set(systems)
    assert guest.run("cat /etc/nvme/hostnqn").stdout.strip() == guest.hostnqn


def test_random_numbers_come_at_once(guest):
    guest.run("head -c 64 /dev/random | wc -c", timeout=5, check=True)


def test_kernel_log_is_clean(guest):
    assert not re.search(r"WARNING:|BUG:|Oops|Call Trace", guest.run("dmesg").stdout)


# --- commands

def test_status_and_both_outputs(guest):
    assert guest.run("echo out; echo err >&2; exit 7") == (7, "out\n", "err\n")
    assert guest.run(["printf", "%s|", "a b", "$c"]).stdout == "a b|$c|"
    assert guest.run("kill -TERM $$").status == -signal.SIGTERM
    assert guest.run(["/no/such/program"]).status == 127
    with pytest.raises(CommandFailed, match="status 3"):
        guest.run("exit 3", check=True)


def test_large_input_and_output(guest):
    data = "".join(f"{n}\n" for n in range(200_000))
    assert guest.run("cat", input=data).stdout == data


def test_many_commands_at_once(guest):
    jobs = [guest.spawn(f"sleep 0.5; echo {n}") for n in range(50)]
    assert [guest.wait(job).stdout for job in jobs] == [f"{n}\n" for n in range(50)]


def test_output_of_a_running_command(guest):
    job = guest.spawn("echo started; exec sleep 1000")
    job.wait_output("started")
    assert job.running()
    job.signal(signal.SIGTERM)
    assert job.wait().status == -signal.SIGTERM


def test_late_command_is_killed_and_reported(guest):
    with pytest.raises(GuestTimeout, match="it was killed\nso far"):
        guest.run("echo so far; sleep 1000", timeout=0.5)
    assert guest.run("pgrep -x sleep").status == 1


def test_background_process_does_not_hold_its_command(guest):
    assert guest.run("sleep 1000 & echo $!", timeout=5).status == 0
    guest.run("pkill -x sleep", check=True)


def test_results_folder_is_fresh_both_ways(guest):
    for turn in range(3):
        guest.run(f"echo guest {turn} >from-guest", check=True)
        assert (guest.results / "from-guest").read_text() == f"guest {turn}\n"
        (guest.results / "from-host").write_text(f"host {turn}\n")
        assert guest.run("cat /results/from-host").stdout == f"host {turn}\n"


def test_host_is_read_only_for_the_guest(guest):
    guest.run("echo mine >/etc/hostname && rm /usr/bin/env && ! test -e /usr/bin/env", check=True)
    assert Path("/usr/bin/env").exists()
    assert Path("/etc/hostname").read_text() != "mine\n"
    uid = os.stat(f"/proc/{guest.pid}").st_uid
    assert uid != 0


# --- network

def test_both_sides_reach_each_other(net, guest):
    server = guest.spawn([PYTHON, "-c", f"""
import socket
for address in ("{guest.address}", "{guest.address6}"):
    s = socket.create_server((address, 9000), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    print("listening", flush=True)
    s.accept()[0].sendall(b"hello from " + address.encode())
"""])
    for address in (guest.address, guest.address6):
        server.wait_output("listening")

        def received(address=address):
            try:
                with net.connect(address, 9000) as line:
                    return line.recv(100)
            except ConnectionRefusedError:
                return b""

        assert wait_until(received, 10, "an answer") == b"hello from " + address.encode()
    assert server.wait().status == 0


def test_cable_can_be_pulled(net, guest, target):
    net.wait_port(target.port, guest.address)
    guest.link(False)
    with pytest.raises(OSError):
        net.connect(guest.address, target.port, timeout=0.5)
    assert guest.run("echo still here").stdout == "still here\n"
    guest.link(True)
    net.wait_port(target.port, guest.address)


def test_netem_delays_the_guest(net, guest, target):
    def connect_seconds():
        started = time.monotonic()
        net.connect(guest.address, target.port).close()
        return time.monotonic() - started

    net.wait_port(target.port, guest.address)
    guest.run("tc qdisc add dev vec0 root netem delay 200ms", check=True)
    assert connect_seconds() >= 0.19
    guest.run("tc qdisc delete dev vec0 root", check=True)


# --- NVMe/TCP, kernel against kernel

def test_initiator_and_target_over_loopback(guest, target):
    found = json.loads(guest.run(
        "nvme discover -t tcp -a 127.0.0.1 -s 4420 -o json", check=True).stdout)
    assert NQN in [record["subnqn"] for record in found["records"]]
    device = connect(guest, "127.0.0.1", options="--hdr-digest --data-digest")
    report = json.loads(guest.run(
        f"{FIO_VERIFY} --size=16M --filename={device}", timeout=120, check=True).stdout)
    assert report["jobs"][0]["error"] == 0
    assert report["jobs"][0]["read"]["total_ios"] == 4096
    guest.run(f"nvme disconnect -n {NQN}", check=True)
    assert guest.run(f"test -b {device}").status == 1


def test_target_is_reachable_from_the_host_side(net, guest, target):
    with net.connect(guest.address, 4420) as line:
        # ICReq: type 0, header length 128, PDU length 128
        line.sendall(bytes([0, 0, 128, 0, 128, 0, 0, 0]).ljust(128, b"\0"))
        answer = line.recv(128)
    assert answer[0] == 1 and answer[2] == 128  # ICResp


@pytest.mark.parametrize("mkfs", ["mkfs.ext4 -q", "mkfs.xfs -q"])
def test_file_systems(guest, mkfs):
    target = guest.kernel_target(f"{NQN}:fs", size=320 << 20, port=4430)
    device = connect(guest, "127.0.0.1", 4430, target.nqn)
    guest.run(f"""set -e
        {mkfs} {device}
        mkdir -p /run/fs
        mount {device} /run/fs
        {FIO_VERIFY} --size=16M --directory=/run/fs >/dev/null
        umount /run/fs""", timeout=120, check=True)
    guest.run(f"nvme disconnect -n {target.nqn}", check=True)
    target.remove()


def test_multipath_between_two_guests(net, guest):
    """Two paths to another guest's target; one goes away under I/O."""
    with_target = net.guest()
    target = with_target.kernel_target(f"{NQN}:far")
    target.add_port(4421)
    device = connect(guest, with_target.address, 4420, target.nqn)
    assert connect(guest, with_target.address, 4421, target.nqn) == device
    job = guest.spawn(f"{FIO_VERIFY} --size=16M --filename={device} --loops=2")
    target.remove_port(4420)
    assert guest.wait(job, timeout=120).status == 0
    guest.run(f"nvme disconnect -n {target.nqn}", check=True)
    with_target.poweroff()
    assert not with_target.alive()


# --- life and death

def test_paused_guest_answers_after_resume(net, guest):
    uptime = "cut -d ' ' -f 1 /proc/uptime"
    before = float(guest.run(uptime).stdout)
    guest.pause()
    frozen = time.monotonic()
    job = guest.spawn(uptime)
    with pytest.raises(OSError):
        net.connect(guest.address, 9, timeout=1)  # nobody even refuses it
    assert job.status is None
    frozen = time.monotonic() - frozen
    guest.resume()
    assert float(guest.wait(job, 10).stdout) - before >= frozen - 0.1
    with pytest.raises(ConnectionRefusedError):
        net.connect(guest.address, 9, timeout=5)


def test_death_is_noticed_and_reported(net):
    victim = net.guest(mem="256M")
    job = victim.spawn("sleep 1000")
    victim._line.sendall(b"nonsense\n")  # ends the agent, which is process 1
    with pytest.raises(GuestDied, match="Kernel panic"):
        job.wait()
    with pytest.raises(GuestDied):
        victim.run("true")


def test_failed_boot_is_reported(net):
    with pytest.raises(GuestDied, match="end of guest"):
        net.guest(kernel_args="init=/no/such/init")


def test_script_mode(net):
    result = net.run_guest("echo to stdout; echo kept >file; exit 5", mem="256M")
    assert result.status == 5 and result.stdout == "to stdout\n"
    assert (result.results / "file").read_text() == "kept\n"


def test_two_networks_at_once_and_teardown():
    with Network() as one, Network() as two:
        guests = [network.guest(mem="256M") for network in (one, two)]
        assert guests[0].address == guests[1].address
        engine = one.popen(["sleep", "1000"])
        stray = one.popen("setsid sleep 1000 & echo $!", stdout=subprocess.PIPE, text=True)
        stray_pid = int(stray.stdout.readline())
        pids = namespace_pids(one.name) | namespace_pids(two.name)
        assert {engine.pid, stray_pid, guests[0].pid, guests[1].pid} <= pids
        stray.stdout.close()
        stray.wait()
    assert engine.wait(5) == -signal.SIGKILL
    assert_gone(one.name, pids - {engine.pid})
    assert_gone(two.name)


CRASHING_TEST = """
import sys, time
sys.path.insert(0, sys.argv[1])
from guest import Network
net = Network()
guest = net.guest(mem="256M")
guest.spawn("while :; do :; done")
net.popen(["sleep", "1000"])
print(net.name, net._janitor.pid, flush=True)
time.sleep(1000)
"""


def start_crashing_test():
    process = subprocess.Popen([PYTHON, "-c", CRASHING_TEST, HERE], stdout=subprocess.PIPE,
                               text=True)
    name, janitor = process.stdout.readline().split()
    process.stdout.close()
    return process, name, int(janitor)


def test_nothing_outlives_a_killed_test_process():
    process, name, _ = start_crashing_test()
    pids = namespace_pids(name)
    assert len(pids) >= 3
    process.kill()
    process.wait()
    wait_until(lambda: not namespace_path(name).exists() and not (TEMPORARY / name).exists(),
               20, "teardown")
    assert_gone(name, pids)


def test_next_network_removes_what_even_the_janitor_left():
    process, name, janitor = start_crashing_test()
    pids = namespace_pids(name)
    os.kill(janitor, signal.SIGKILL)
    process.kill()
    process.wait()
    assert namespace_path(name).exists()
    Network().close()
    assert_gone(name, pids)
    assert name.startswith(NAME_PREFIX)
