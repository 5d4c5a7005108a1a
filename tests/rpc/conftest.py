# SPDX-License-Identifier: Apache-2.0
"""Fixtures: our server and client programs, and an Echo server in Python.

The programs are looked for in MAYASTOR_BUILD (a meson build directory), else in build/.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from concurrent import futures

import grpc
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import stubs  # noqa: E402

BUILD = pathlib.Path(os.environ.get("MAYASTOR_BUILD", stubs.REPOSITORY / "build"))


def program(name):
    path = BUILD / "src" / "rpc" / name
    if not path.exists():
        pytest.skip(f"{path} is not built (set MAYASTOR_BUILD)")
    return str(path)


@pytest.fixture(scope="session")
def echo():
    """Messages and stubs of rpc_test.proto."""
    return stubs.load_file(stubs.REPOSITORY / "src" / "rpc" / "rpc_test.proto")


class Server:
    """rpc_test_server; its end is checked: exit status, leaks, open calls."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([program("rpc_test_server"), *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("port "), line + self.process.stderr.read()
        self.port = int(line.split()[1])
        self.address = f"127.0.0.1:{self.port}"
        self.log = ""

    def stop(self):
        """The counters that it prints at its end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        out, self.log = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, self.log
        assert "Sanitizer" not in self.log, self.log
        assert "runtime error" not in self.log, self.log
        return {name: int(number) for name, number in re.findall(r"(\w+) (\d+)", out)}


@pytest.fixture
def start_server():
    servers = []

    def start(*arguments):
        servers.append(Server(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_server):
    return start_server()


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address) as opened:
        yield opened


@pytest.fixture
def stub(channel, echo):
    return echo.EchoStub(channel)


class PythonEcho:
    """The Echo service as grpcio serves it."""

    def __init__(self, echo):
        self.echo = echo
        self.seen = []

    def Unary(self, request, context):
        self.seen.append((dict(context.invocation_metadata()), context.time_remaining()))
        time.sleep(request.delay_ms / 1000)
        if request.with_metadata:
            context.set_trailing_metadata((("gtm-602", "0"),))
        if request.status:
            codes = {code.value[0]: code for code in grpc.StatusCode}
            context.abort(codes[request.status], request.text)
        payload = b"r" * request.reply_bytes if request.reply_bytes else request.payload
        return self.echo.EchoReply(text=request.text, payload=payload)

    def Stream(self, request, context):
        for index in range(request.count):
            yield self.echo.EchoReply(text=request.text, index=index)


@pytest.fixture
def python_server(echo):
    service = PythonEcho(echo)

    def start(port=0):
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=16),
                             options=[("grpc.max_receive_message_length", 8 << 20),
                                      ("grpc.max_send_message_length", 8 << 20)])
        echo.add_Echo(server, service)
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        server.port = bound
        servers.append(server)
        return server

    servers = []
    start.service = service
    yield start
    for server in servers:
        server.stop(None)


@pytest.fixture
def call():
    """Runs rpc_test_client; returns a list of (status, text, reply text, reply bytes, gtm)."""

    def run(port, text="hello", method="/mayastor.rpctest.Echo/Unary", **numbers):
        arguments = [f"{name}={value}" for name, value in numbers.items()]
        done = subprocess.run([program("rpc_test_client"), str(port), method, text, *arguments],
                              capture_output=True, timeout=60, check=False)
        error = done.stderr.decode()
        assert done.returncode == 0 and "Sanitizer" not in error, error
        assert "runtime error" not in error, error
        outcomes = []
        for line in done.stdout.decode().splitlines():
            status, message, reply, size, gtm = line.split("|")
            outcomes.append((status, message, reply, int(size), gtm))
        return outcomes

    return run
