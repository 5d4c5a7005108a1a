# SPDX-License-Identifier: Apache-2.0
"""Machines of one network, each in a network namespace of its own, and faults of their links.

A machine is a Network that hangs on the bridge of another one (the hub) by a pair of virtual
interfaces. Like every Network it ends with the test process, however that ends. Faults:

    cut     frames are dropped in both directions; no end is told
    unplug  the interface goes down; the machine sees it
    deaf    what this machine sends to another one is dropped; the way back works
    slow    a token bucket on the way out of the machine
    reset   all its TCP connections to NVMe/TCP ports are reset at once"""

import json
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "guest"))

from guest import Network, host_command  # noqa: E402

NVME_PORT = 8420
NOWHERE = "02:de:ad:00:00:01"  # nobody on the bridge has it


class Machine(Network):
    """One machine at `hub`; `number` makes its name on the bridge and its address."""

    def __init__(self, hub, number):
        self.hub = hub
        self.port = f"m{number}"
        self.address = f"10.77.0.{100 + number}"
        super().__init__()

    def _create(self):
        self.folder.mkdir(mode=0o755)
        host_command("ip", "netns", "add", self.name)
        self._ip("link", "set", "lo", "up")
        host_command("ip", "-n", self.hub.name, "link", "add", self.port, "type", "veth", "peer",
                     "name", "eth0", "netns", self.name)
        host_command("ip", "-n", self.hub.name, "link", "set", self.port, "master", "br0", "up")
        self._ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self._ip("link", "set", "eth0", "up")

    def command(self, cmd):
        """Whoever crashes in here leaves a core file in the folder that it runs in."""
        words = super().command(cmd)
        place = words.index("--") + 1
        return [*words[:place], "prlimit", "--core=unlimited", "--", *words[place:]]

    def cut(self, is_cut):
        host_command("bridge", "-n", self.hub.name, "link", "set", "dev", self.port, "state",
                     "disabled" if is_cut else "forwarding")

    def unplug(self, is_out):
        self._ip("link", "set", "eth0", "down" if is_out else "up")

    def deaf(self, other, is_deaf):
        """Frames to `other` go to an address that nobody has."""
        if is_deaf:
            self._ip("neigh", "replace", other.address, "lladdr", NOWHERE, "dev", "eth0", "nud",
                     "permanent")
        else:
            self._ip("neigh", "flush", "to", other.address, "dev", "eth0", "nud", "permanent")

    def slow(self, kbit):
        """So many kilobits a second out of here; None: as fast as it goes."""
        if kbit is None:
            subprocess.run(["tc", "-n", self.name, "qdisc", "del", "dev", "eth0", "root"],
                           stderr=subprocess.DEVNULL, check=False)
        else:
            host_command("tc", "-n", self.name, "qdisc", "replace", "dev", "eth0", "root", "tbf",
                         "rate", f"{kbit}kbit", "burst", "64kbit", "latency", "400ms")

    def reset(self):
        """Management goes on."""
        host_command(*self.command(["ss", "-K", "-t", f"( sport = :{NVME_PORT} or "
                                    f"dport = :{NVME_PORT} )"]))

    def is_free(self, port):
        """Nobody listens. The kernel closes what a killed process had in io_uring after its end."""
        with self.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.address, port))
            except OSError:
                return False
        return True

    def traffic_bytes(self):
        shown = host_command("ip", "-n", self.name, "-s", "-j", "link", "show", "dev", "eth0")
        stats = json.loads(shown)[0]["stats64"]
        return stats["rx"]["bytes"] + stats["tx"]["bytes"]

    def mend(self):
        """All faults of its link gone."""
        self.cut(False)
        self.unplug(False)
        self.slow(None)
        self._ip("neigh", "flush", "dev", "eth0", "nud", "permanent")


class Lab:
    """A hub, the machines of three engines, and one for a host; serves many rounds in turn."""

    def __init__(self):
        self.hub = Network()
        self.machines = []
        try:
            for number in range(4):
                self.machines.append(Machine(self.hub, number))
        except BaseException:
            self.close()
            raise

    @property
    def nodes(self):
        return self.machines[:3]

    @property
    def host(self):
        return self.machines[3]

    def mend(self):
        for machine in self.machines:
            machine.mend()

    def close(self):
        for machine in self.machines:
            machine.close()
        self.hub.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
