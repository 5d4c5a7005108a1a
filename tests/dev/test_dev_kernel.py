# SPDX-License-Identifier: Apache-2.0
"""`mayastor dev attach --via kernel`: a whole cluster in a guest whose kernel has nvme-tcp."""

import json
import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MAYASTOR_BUILD", ROOT / "build")).resolve()
MAYASTOR = BUILD / "src/cli/mayastor"
MIB = 1 << 20
SIZE = 64 * MIB

sys.path.insert(0, str(ROOT / "tests/guest"))

from guest import Network  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces and taps")


@pytest.fixture(name="guest", scope="module")
def fixture_guest():
    with Network() as network:
        yield network.guest()


def dev(guest, words, check=True):
    result = guest.run(f"{MAYASTOR} dev {words} --dir /tmp/cluster", timeout=60)
    if check:
        assert result.status == 0, (words, result.stdout, result.stderr)
    return result


@pytest.fixture(name="cluster")
def fixture_cluster(guest):
    dev(guest, f"up --size {SIZE}")
    yield guest
    dev(guest, "down --force --purge")
    assert guest.run("ls /sys/class/nvme").stdout.strip() == ""


def test_attach_via_kernel(cluster):
    device = dev(cluster, "attach").stdout.strip()
    assert device.startswith("/dev/nvme"), "the kernel's host is preferred"
    status = json.loads(dev(cluster, "status -o json").stdout)
    assert status["attachment"] == {"via": "kernel", "device": device, "state": "attached"}
    assert int(cluster.run(f"blockdev --getsize64 {device}", check=True).stdout) == SIZE
    assert dev(cluster, "attach").stdout.strip() == device, "again is the same"
    cluster.run(f"dd if=/dev/urandom of=/tmp/data bs=1M count=8 && "
                f"dd if=/tmp/data of={device} bs=1M oflag=direct && "
                f"dd if={device} bs=1M count=8 iflag=direct | cmp - /tmp/data", check=True,
                timeout=60)
    dev(cluster, "detach")
    assert cluster.run(f"test -e {device}").status != 0
    assert dev(cluster, "detach", check=False).status == 3
    device = dev(cluster, "attach").stdout.strip()
    cluster.run(f"dd if={device} bs=1M count=8 iflag=direct | cmp - /tmp/data", check=True)


def test_a_mounted_kernel_device_is_not_taken_away_unasked(cluster):
    device = dev(cluster, "attach --via kernel").stdout.strip()
    cluster.run(f"mkfs.ext4 -q {device} && mkdir -p /tmp/mnt && mount {device} /tmp/mnt",
                check=True, timeout=60)
    result = dev(cluster, "detach", check=False)
    assert result.status == 1
    assert "umount /tmp/mnt" in result.stderr
    cluster.run("umount /tmp/mnt", check=True)
    dev(cluster, "detach")


def test_the_kernel_waits_for_a_killed_engine(cluster):
    device = dev(cluster, "attach").stdout.strip()
    dev(cluster, "kill node-1")
    job = cluster.spawn(f"dd if=/dev/zero of={device} bs=64k count=16 oflag=direct")
    dev(cluster, "start node-1")
    assert job.wait(60).status == 0
    status = json.loads(dev(cluster, "status -o json").stdout)
    assert status["volume"]["state"] == "online"
    assert status["attachment"]["state"] == "attached"
