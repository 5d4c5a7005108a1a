# SPDX-License-Identifier: Apache-2.0
"""The target against the Linux kernel's NVMe/TCP host, in a guest.

Run as root: MAYASTOR_BUILD=build /usr/bin/python3 -m pytest tests/kernel
"""

import json
import re
import time

import pytest

from conftest import PREFIX, Host

FIO = "fio --name=t --direct=1 --ioengine=io_uring --output-format=json"


def fio(host, device, *options, timeout=120):
    out = host.run(f"{FIO} --filename=/dev/{device} {' '.join(options)}", timeout)
    return json.loads(out[out.index("{"):])["jobs"][0]


def wait_for(condition, timeout=15):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def clean_host(request):
    yield
    if "host" in request.fixturenames:
        request.getfixturevalue("host").disconnect()


def test_discovery_lists_what_the_host_may_use(serve, host):
    server = serve("v0:64:512:0", "v1:64:4096:1")
    server.ask("hosts v1 nqn.2014-08.org.example:other")
    out = host.run(f"nvme discover -t tcp -a {server.address} -s {server.port} {host.identity()}")
    assert f"subnqn:  {PREFIX}:v0" in out
    assert f"{PREFIX}:v1" not in out
    assert server.address in out


def test_discovery_change_is_told_to_a_persistent_controller(serve, host):
    server = serve("v0:64:512:0", "v1:64:512:0")
    host.run(f"nvme discover -t tcp -a {server.address} -s {server.port} {host.identity()} -p")
    before = host.run(f"nvme discover -d nvme0 {host.identity()} -p -o json")
    server.ask("remove v1")
    host.run("sleep 0.3")
    after = host.run(f"nvme discover -d nvme0 {host.identity()} -p -o json")
    assert f"{PREFIX}:v1" in before
    assert f"{PREFIX}:v1" not in after


@pytest.mark.parametrize("block", [512, 4096])
@pytest.mark.parametrize("options", ["", "--hdr-digest", "--data-digest",
                                     "--hdr-digest --data-digest"])
def test_what_was_written_is_read(serve, host, block, options):
    server = serve(f"v0:64:{block}:0")
    device = host.connect(server, "v0", options)
    for size in ["4k", "64k", "128k", "1m"]:
        fio(host, device, "--rw=randwrite", f"--bs={size}", "--size=32M", "--iodepth=16",
            "--verify=crc32c", "--do_verify=1")


def test_without_flow_control(serve, host):
    server = serve("v0:64:512:0")
    device = host.connect(server, "v0", "--disable-sqflow")
    fio(host, device, "--rw=randwrite", "--bs=4k", "--size=32M", "--iodepth=31",
        "--verify=crc32c", "--do_verify=1")


@pytest.mark.parametrize("depth", ["16", "128", "1024"])
def test_queue_depths(serve, host, depth):
    server = serve("v0:64:512:0", TARGET_DEPTH=depth)
    device = host.connect(server, "v0", f"--queue-size={depth}")
    fio(host, device, "--rw=randrw", "--bs=4k", "--size=32M", f"--iodepth={depth}",
        "--verify=crc32c")


@pytest.mark.parametrize("make", ["mkfs.ext4 -q -F", "mkfs.xfs -q -f"])
def test_file_system(serve, host, make):
    server = serve("v0:512:512:1")
    device = host.connect(server, "v0")
    host.run(f"{make} /dev/{device} && mkdir -p /mnt && mount -o discard /dev/{device} /mnt")
    host.run("fio --name=t --directory=/mnt --size=32M --nrfiles=4 --rw=randwrite --bs=8k "
             "--ioengine=psync --fsync=32 --verify=crc32c --do_verify=1 && "
             "rm /mnt/t.* && sync && fstrim -v /mnt && umount /mnt", 180)
    check = "xfs_repair -n" if "xfs" in make else "fsck.ext4 -fn"
    host.run(f"{check} /dev/{device}", 120)


def test_trim_and_zeroes_read_back_as_zeroes(serve, host):
    server = serve("v0:64:512:0")
    device = host.connect(server, "v0")
    host.run(f"dd if=/dev/urandom of=/dev/{device} bs=1M count=16 oflag=direct")
    host.run(f"blkdiscard -f -o 1048576 -l 4194304 /dev/{device}")
    host.run(f"blkdiscard -f -z -o 8388608 -l 4194304 /dev/{device}")
    for offset in (1, 8):
        host.run(f"cmp -n 4194304 /dev/zero /dev/{device} -i 0:{offset * 1048576}")
    assert host.guest.run(f"cmp -n 1048576 /dev/zero /dev/{device} -i 0:0").status == 1


def test_compare_and_flush_and_features(serve, host):
    server = serve("v0:64:512:0")
    device = host.connect(server, "v0")
    host.run("head -c 4096 /dev/urandom > /run/a; head -c 4096 /dev/urandom > /run/b")
    host.run(f"nvme write /dev/{device} -s 8 -c 7 -z 4096 -d /run/a")
    host.run(f"nvme compare /dev/{device} -s 8 -c 7 -z 4096 -d /run/a")
    result = host.guest.run(f"nvme compare /dev/{device} -s 8 -c 7 -z 4096 -d /run/b")
    assert "Compare" in result.stdout + result.stderr
    host.run(f"nvme flush /dev/{device}")
    for feature in (1, 2, 4, 5, 6, 7, 11, 15):
        host.run(f"nvme get-feature /dev/nvme0 -f {feature}")
    assert host.guest.run("nvme get-feature /dev/nvme0 -f 8").status != 0
    for log in ("error-log", "smart-log", "fw-log", "changed-ns-list-log", "effects-log"):
        host.run(f"nvme {log} /dev/nvme0")


def test_namespace_identity(serve, host):
    server = serve("v0:64:512:1")
    device = host.connect(server, "v0")
    assert host.run(f"cat /sys/block/{device}/wwid").startswith("uuid.")
    assert "optimized" in host.run("nvme ana-log /dev/nvme0")
    assert host.run("cat /sys/class/nvme/nvme0/model").strip() == "Mayastor NVMe controller"
    serial = host.run("cat /sys/class/nvme/nvme0/serial").strip()
    assert re.fullmatch("DCS[0-9A-F]{17}", serial)


def test_growing_is_noticed(serve, host):
    server = serve("v0:64:512:0")
    device = host.connect(server, "v0")
    assert host.run(f"cat /sys/block/{device}/size").strip() == str(64 * 2048)
    server.ask("grow v0 96")
    wait_for(lambda: host.run(f"cat /sys/block/{device}/size").strip() == str(96 * 2048))
    fio(host, device, "--rw=write", "--bs=64k", "--offset=64M", "--size=32M", "--verify=crc32c",
        "--do_verify=1")


def test_reservations(serve, net, host):
    server = serve("v0:64:512:0")
    other = Host(net)
    one, two = host.connect(server, "v0"), other.connect(server, "v0")
    host.run(f"nvme resv-register /dev/{one} -n 1 --nrkey=0x11 --rrega=0 --cptpl=3")
    host.run(f"nvme resv-acquire /dev/{one} -n 1 --crkey=0x11 --rtype=1 --racqa=0")
    report = host.run(f"nvme resv-report /dev/{one} -n 1 --eds -o json")
    assert json.loads(report)["regctl"] == 1
    fio(other, two, "--rw=randread", "--bs=4k", "--size=1M")
    denied = other.guest.run(f"dd if=/dev/zero of=/dev/{two} bs=4k count=1 oflag=direct")
    assert denied.status != 0
    other.run(f"nvme resv-register /dev/{two} -n 1 --nrkey=0x22 --rrega=0")
    other.run(f"nvme resv-acquire /dev/{two} -n 1 --crkey=0x22 --prkey=0x11 --rtype=2 --racqa=1")
    assert server.ask("inspect v0")[0] == "controllers 2 registrants 1 type 2"
    assert host.guest.run(f"dd if=/dev/{one} of=/dev/null bs=4k count=1 iflag=direct").status != 0
    log = host.run("nvme resv-notif-log /dev/nvme0")
    assert "3" in log or "Preempted" in log
    other.run(f"dd if=/dev/zero of=/dev/{two} bs=4k count=1 oflag=direct")
    other.run(f"nvme resv-release /dev/{two} -n 1 --crkey=0x22 --rtype=2 --rrela=0")
    host.run(f"dd if=/dev/zero of=/dev/{one} bs=4k count=1 oflag=direct")
    other.disconnect()
    other.guest.poweroff()


def test_ana_change_under_io(serve, host):
    """Two paths of one namespace; I/O follows the optimized one and meets no error."""
    server = serve("v0:64:512:1")
    device = host.connect(server, "v0")
    job = host.guest.spawn(f"{FIO} --filename=/dev/{device} --rw=randwrite --bs=4k --size=32M "
                           "--iodepth=8 --time_based --runtime=6 --verify=crc32c")
    for state in (2, 1, 3, 1, 3, 2, 1):
        host.run("sleep 0.5")
        server.ask(f"ana v0 {state}")
    host.run("sleep 0.3")
    assert "optimized" in host.run("cat /sys/class/nvme/nvme0/nvme0*n1/ana_state")
    result = job.wait(60)
    assert result.status == 0, result.stdout[-2000:] + result.stderr


def test_two_paths_and_one_is_lost(serve, net, host):
    """Two controllers over two addresses; I/O goes on while one of them is unreachable."""
    server = serve("v0:64:512:1", more=["fd77::1"])
    options = ["--keep-alive-tmo=1", "--reconnect-delay=1"]
    device = host.connect(server, "v0", *options)
    host.connect_path(server, "v0", *options, address="fd77::1")
    assert server.ask("inspect v0")[0].startswith("controllers 2")
    job = host.guest.spawn(f"{FIO} --filename=/dev/{device} --rw=randwrite --bs=4k --size=32M "
                           "--iodepth=8 --time_based --runtime=20 --verify=crc32c")
    host.run("sleep 1")
    net.remove_address("10.77.0.1/24")
    try:
        host.run("sleep 1")
        server.ask("ana v0 2")
        result = job.wait(90)
    finally:
        net.add_address("10.77.0.1/24")
    assert result.status == 0, result.stdout[-2000:] + result.stderr


def test_pause_delays_and_loses_nothing(serve, host):
    server = serve("v0:64:512:0")
    device = host.connect(server, "v0")
    job = host.guest.spawn(f"{FIO} --filename=/dev/{device} --rw=randwrite --bs=4k --size=32M "
                           "--iodepth=16 --time_based --runtime=3 --verify=crc32c")
    for _ in range(5):
        host.run("sleep 0.3")
        server.ask("pause v0")
        server.ask("pause v0")
        server.ask("resume v0")
        host.run("sleep 0.2")
        server.ask("resume v0")
    result = job.wait(60)
    assert result.status == 0, result.stdout[-2000:] + result.stderr


def test_reset_under_io(serve, host):
    server = serve("v0:64:512:0")
    device = host.connect(server, "v0")
    job = host.guest.spawn(f"{FIO} --filename=/dev/{device} --rw=randwrite --bs=16k --size=32M "
                           "--iodepth=16 --time_based --runtime=5 --verify=crc32c")
    for _ in range(6):
        host.run("sleep 0.4; nvme reset /dev/nvme0")
    result = job.wait(60)
    assert result.status == 0, result.stdout[-2000:] + result.stderr


def test_reconnect_after_the_link_was_cut(serve, host):
    server = serve("v0:64:512:0")
    device = host.connect(server, "v0", "--keep-alive-tmo=1", "--reconnect-delay=1")
    job = host.guest.spawn(f"{FIO} --filename=/dev/{device} --rw=randwrite --bs=4k --size=32M "
                           "--iodepth=8 --time_based --runtime=25 --verify=crc32c")
    host.run("sleep 1")
    host.guest.link(False)
    time.sleep(13)  # longer than the keep-alive time-out that is granted
    assert server.ask("connections") == ["0"]
    host.guest.link(True)
    result = job.wait(90)
    assert result.status == 0, result.stdout[-2000:] + result.stderr


def test_hosts_that_are_not_allowed_go_and_stay_out(serve, host):
    server = serve("v0:64:512:0")
    host.connect(server, "v0", "--reconnect-delay=1", "--ctrl-loss-tmo=2")
    server.ask("hosts v0 nqn.2014-08.org.example:other")
    wait_for(lambda: server.ask("inspect v0")[0].startswith("controllers 0"))
    refused = host.guest.run(f"nvme connect -t tcp -a {server.address} -s {server.port} "
                             f"-n {PREFIX}:v0 {host.identity()}")
    assert refused.status != 0
    server.ask(f"hosts v0 {host.nqn}")
    host.disconnect()
    host.connect(server, "v0")


def test_unknown_subsystem_is_refused(serve, host):
    server = serve("v0:64:512:0")
    refused = host.guest.run(f"nvme connect -t tcp -a {server.address} -s {server.port} "
                             f"-n {PREFIX}:nothing {host.identity()}")
    assert refused.status != 0
    assert "subsysnqn" in host.run("dmesg | tail -3") or refused.stderr


def test_connections_are_gone_after_disconnect(serve, host):
    server = serve("v0:64:512:0", "v1:64:512:0")
    for _ in range(5):
        host.connect(server, "v0")
        host.connect(server, "v1")
        host.disconnect()
    wait_for(lambda: server.ask("connections") == ["0"])


def test_removal_under_io(serve, host):
    server = serve("v0:64:512:0", "v1:64:512:0")
    device = host.connect(server, "v0", "--reconnect-delay=1", "--ctrl-loss-tmo=1")
    job = host.guest.spawn(f"{FIO} --filename=/dev/{device} --rw=randwrite --bs=4k --size=32M "
                           "--iodepth=16 --time_based --runtime=10")
    host.run("sleep 1")
    server.ask("remove v0")
    job.wait(60)
    fio(host, host.connect(server, "v1"), "--rw=randwrite", "--bs=4k", "--size=8M", "--verify=crc32c")


def test_ipv6(serve, host):
    server = serve("v0:64:512:0", address="fd77::1")
    device = host.connect(server, "v0")
    fio(host, device, "--rw=randwrite", "--bs=4k", "--size=8M", "--verify=crc32c")
    out = host.run(f"nvme discover -t tcp -a {server.address} -s {server.port} {host.identity()}")
    assert "ipv6" in out and "fd77::1" in out
