# SPDX-License-Identifier: Apache-2.0
"""The target server and one Linux guest, shared by the tests of a module."""

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "guest"))

from guest import Network  # noqa: E402

PREFIX = "nqn.2019-05.io.openebs"
PORT = 8420


def server_program():
    """MAYASTOR_BUILD names the build folder; default: build/ in the source folder."""
    build = Path(os.environ.get("MAYASTOR_BUILD", HERE.parent.parent / "build"))
    program = build / "src/target/target_server"
    if not program.exists():
        pytest.skip(f"{program} is missing: ninja -C {build} src/target/target_server")
    return program


class Server:
    """tests/kernel/target_server.c and its command line by line."""

    def __init__(self, net, *specs, reactors=2, port=PORT, address=None, more=(),
                 **environment):
        self.net = net
        self.address = address or net.address
        self.port = port
        self.log = open(f"/tmp/target_server.{os.getpid()}.log", "w+", encoding="utf-8")
        words = [server_program(), ",".join([self.address, *more]), str(port), str(reactors), *specs]
        self.process = net.popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=self.log, text=True, env={**os.environ, **environment})
        assert self.process.stdout.readline().startswith("ready"), self.errors()

    def errors(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()[-4000:]

    def ask(self, line):
        """Returns the answer's lines before its closing "ok"."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        lines = []
        while True:
            text = self.process.stdout.readline()
            assert text, f"the server died: {self.errors()}"
            if text.startswith("error"):
                raise RuntimeError(f"{line}: {text}")
            if text == "ok\n":
                return lines
            lines.append(text.strip())

    def stop(self):
        if self.process.poll() is None:
            self.ask("quit")
        status = self.process.wait(20)
        errors = self.errors()
        self.log.close()
        assert status == 0, errors

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


class Host:
    """A guest as an NVMe host with an identity of its own."""

    def __init__(self, net):
        self.guest = net.guest()
        self.id = str(uuid.uuid4())
        self.nqn = f"nqn.2014-08.org.nvmexpress:uuid:{self.id}"

    def run(self, cmd, timeout=60):
        return self.guest.run(cmd, timeout=timeout, check=True).stdout

    def identity(self):
        return f"--hostnqn {self.nqn} --hostid {self.id}"

    def connect_path(self, server, name, *options, address=None):
        self.run(f"nvme connect -t tcp -a {address or server.address} -s {server.port} "
                 f"-n {PREFIX}:{name} {self.identity()} {' '.join(options)}")

    def connect(self, server, name, *options):
        """Connects and returns the block device's name."""
        before = self.namespaces()
        self.connect_path(server, name, *options)
        for _ in range(100):
            new = self.namespaces() - before
            if new:
                return new.pop()
            self.run("sleep 0.05")
        raise AssertionError(f"no device of {name}: " + self.run("dmesg | tail -20"))

    def namespaces(self):
        """Block devices of namespaces, without the hidden ones of single paths."""
        return {name for name in self.run("ls /sys/block").split()
                if re.fullmatch(r"nvme\d+n\d+", name)}

    def disconnect(self):
        self.run("nvme disconnect-all")


@pytest.fixture(scope="module")
def net():
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def host(net):
    return Host(net)


@pytest.fixture
def serve(net):
    """Starts servers that must end well at the end of the test."""
    servers = []

    def start(*specs, **options):
        servers.append(Server(net, *specs, **options))
        return servers[-1]

    yield start
    try:
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            server.kill()
