# SPDX-License-Identifier: Apache-2.0
"""Real io-engine processes for tests, and their gRPC services."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MAYASTOR_BUILD", ROOT / "build")).resolve()
sys.path.insert(0, str(ROOT / "tests" / "rpc"))

from stubs import load  # noqa: E402

pb = load()
NQN_PREFIX = "nqn.2019-05.io.openebs:"


def free_port(address="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def wait_until(condition, timeout=20, what="condition"):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


class Engine:
    """One io-engine; `launch` starts a process (subprocess.Popen or one in a namespace)."""

    def __init__(self, folder, name, address="127.0.0.1", launch=subprocess.Popen, ports=None,
                 options=(), env=None):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.address = address
        self.launch = launch
        self.grpc_port, self.port = ports or (free_port(address), free_port(address))
        self.options = list(options)
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.channel = None
        self.relay = None

    @property
    def command(self):
        return [str(BUILD / "src/engine/io-engine"), "-N", self.name, "--grpc-ip", self.address,
                "--grpc-port", str(self.grpc_port), "-T", f"ip:{self.address}", "--tgt-port",
                str(self.port), "--tgt-second-port", "0", "--state-dir",
                str(self.folder / "state"), "-F", "nocolor", *self.options]

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.process = self.launch(self.command, stdin=subprocess.DEVNULL, stdout=self.log,
                                   stderr=self.log, env=self.env)
        self.connect()
        return self

    def connect(self, place=None):
        host = f"[{self.address}]" if ":" in self.address else self.address
        self.channel = grpc.insecure_channel(place or f"{host}:{self.grpc_port}", options=[
            ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.enable_http_proxy", 0)])
        self.bdev = pb.bdev.BdevRpcStub(self.channel)
        self.nexus = pb.nexus.NexusRpcStub(self.channel)
        self.host = pb.host.HostRpcStub(self.channel)
        self.diagnostics = pb.diagnostics.DiagnosticsStub(self.channel)
        self.host.GetMayastorInfo(pb.empty.Empty(), wait_for_ready=True, timeout=20)

    def start_in(self, network):
        """In a network namespace of guest.Network: calls go through a relay from here to there.
        It runs in its folder, so a core file stands beside its log."""
        self.network = network
        self.log = open(self.folder / "log", "ab")
        self.process = network.popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log,
                                     stderr=self.log, env=self.env, cwd=self.folder)
        self.relay = Relay(lambda: network.connect(self.address, self.grpc_port))
        self.connect(f"127.0.0.1:{self.relay.port}")
        return self

    def text(self):
        return (self.folder / "log").read_text(errors="replace")

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(30)
        self.channel.close()
        if self.relay is not None:
            self.relay.close()
            self.relay = None
        return self.process.returncode

    def stop(self):
        """Orderly; the exit code."""
        return self.kill(signal.SIGTERM)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

    # What most tests do.
    def create_bdev(self, uri):
        return self.bdev.Create(pb.bdev.CreateBdevRequest(uri=uri)).bdev

    def share_bdev(self, name, hosts=()):
        return self.bdev.Share(pb.bdev.BdevShareRequest(
            name=name, protocol=pb.common.NVMF, allowed_hosts=hosts)).bdev

    def nexus_list(self, uuid=None):
        options = pb.nexus.ListNexusOptions()
        if uuid:
            options.uuid.value = uuid
        return list(self.nexus.ListNexus(options).nexus_list)

    def nexus_get(self, uuid):
        return self.nexus_list(uuid)[0]


class Relay:
    """Carries TCP connections to where `dial` leads; grpcio cannot open sockets in a namespace."""

    def __init__(self, dial):
        self.dial = dial
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = self.dial()
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def carry(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def error_of(call):
    """Status and text of a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the call succeeded")
