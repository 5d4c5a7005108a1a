# SPDX-License-Identifier: Apache-2.0
"""NVMe/TCP hosts made of raw sockets, which do as they like, and one that verifies its data."""

import os
import random
import select
import socket
import struct
import threading
import time

ICREQ, ICRESP, H2C_TERM, C2H_TERM, COMMAND, RESPONSE, H2C_DATA, C2H_DATA, R2T = (
    0, 1, 2, 3, 4, 5, 6, 7, 9)
IDENTIFY, GET_LOG, ABORT, SET_FEATURES, ASYNC_EVENT, KEEP_ALIVE, FABRICS = (
    0x06, 0x02, 0x08, 0x09, 0x0C, 0x18, 0x7F)
WRITE, READ = 1, 2
DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
ICREQ_PDU = struct.pack("<BBBBI", ICREQ, 0, 128, 0, 128) + bytes(120)


class Closed(Exception):
    """The target has ended the connection."""


def sqe(opcode, cid, nsid=0, cdw10=0, cdw11=0, cdw12=0, length=0, capsule=False):
    """A submission entry; its SGL names capsule data or data by the transport."""
    return struct.pack("<BBHIIIQQI3xB6I", opcode, 0x40, cid, nsid, 0, 0, 0, 0, length,
                       0x01 if capsule else 0x5A, cdw10, cdw11, cdw12, 0, 0, 0)


def capsule(entry, data=b""):
    size = 72 + len(data)
    return struct.pack("<BBBBI", COMMAND, 0, 72, 72 if data else 0, size) + entry + data


def connect_pdu(cid, subnqn, hostnqn, host_id, qid=0, cntlid=0xFFFF, entries=32, kato=0):
    entry = (struct.pack("<BBHB19x", FABRICS, 0x40, cid, 1) +
             struct.pack("<QI3xB", 0, 1024, 0x01) +
             struct.pack("<HHHBBI12x", 0, qid, entries - 1, 0, 0, kato))
    data = (host_id + struct.pack("<H", cntlid) + bytes(238) +
            subnqn.encode().ljust(256, b"\0") + hostnqn.encode().ljust(256, b"\0") + bytes(256))
    return capsule(entry, data)


def property_set_pdu(cid, offset, value):
    entry = (struct.pack("<BBHB19x", FABRICS, 0x40, cid, 0) + struct.pack("<QI3xB", 0, 0, 0x5A) +
             struct.pack("<BxxxIQ8x", 0, offset, value))
    return capsule(entry)


class Host:
    """One connection. Everything blocks, at most `timeout` seconds."""

    def __init__(self, port, number=1, timeout=10, greet=True):
        self.number = number
        self.nqn = f"nqn.2014-08.org.example:h{number}"
        self.host_id = struct.pack("<IIII", number, 1, 2, 3)
        self.cid = 0
        self.cntlid = 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if greet:
            self.greet()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends it with RST, without the four-way farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self, size):
        parts = []
        while size > 0:
            try:
                part = self.socket.recv(size)
            except ConnectionResetError as error:
                raise Closed from error
            if not part:
                raise Closed
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def pdu(self):
        """(type, flags, header, data) of the next one."""
        kind, flags, hlen, pdo, plen = struct.unpack("<BBBBI", self.receive(8))
        header = self.receive(hlen - 8)
        rest = self.receive(plen - hlen)
        return kind, flags, header, rest[pdo - hlen:] if pdo > hlen else rest

    def greet(self):
        self.send(ICREQ_PDU)
        assert self.pdu()[0] == ICRESP

    def next_cid(self):
        self.cid = self.cid % 60000 + 1
        return self.cid

    def connect(self, subnqn, qid=0, **options):
        self.send(connect_pdu(self.next_cid(), subnqn, self.nqn, self.host_id, qid, **options))
        status, result = self.response()
        self.cntlid = result & 0xFFFF
        return status

    def enable(self):
        self.send(property_set_pdu(self.next_cid(), 0x14, 0x460001))
        status, _ = self.response()
        assert status == 0

    def response(self):
        """(status, result) of a command without data."""
        kind, _, header, _ = self.pdu()
        assert kind == RESPONSE, f"PDU of type {kind}"
        return completion(header)

    def run(self, opcode, data=b"", length=0, **fields):
        """(status, what was read). Data to be written goes into the capsule, or by R2T."""
        in_capsule = 0 < len(data) <= 4096
        entry = sqe(opcode, self.next_cid(), length=len(data) or length, capsule=in_capsule,
                    **fields)
        self.send(capsule(entry, data if in_capsule else b""))
        got = b""
        while True:
            kind, _, header, rest = self.pdu()
            if kind == C2H_DATA:
                got += rest
            elif kind == R2T:
                cid, tag, offset, size = struct.unpack_from("<HHII", header)
                self.send(struct.pack("<BBBBIHHII4x", H2C_DATA, 4, 24, 24, 24 + size, cid, tag,
                                      offset, size) + data[offset:offset + size])
            else:
                assert kind == RESPONSE, f"PDU of type {kind}"
                return completion(header)[0], got

    def write(self, block, data):
        return self.run(WRITE, data, nsid=1, cdw10=block, cdw12=len(data) // 512 - 1)[0]

    def read(self, block, size):
        return self.run(READ, length=size, nsid=1, cdw10=block, cdw12=size // 512 - 1)

    def is_closed(self, seconds):
        """Whether the target ends it within the time; what comes before is thrown away."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65536):
                    return True
            except ConnectionResetError:
                return True
            except TimeoutError:
                return False
        return False


def completion(header):
    result, _, _, _, _, status = struct.unpack("<IIHHHH", header[:16])
    return status >> 1 & 0x7FF, result


def open_admin(port, subnqn, number=1, **options):
    host = Host(port, number)
    assert host.connect(subnqn, **options) == 0
    host.enable()
    return host


def open_io(port, subnqn, admin, qid=1, **options):
    host = Host(port, admin.number)
    assert host.connect(subnqn, qid, cntlid=admin.cntlid, **options) == 0
    return host


class Bystander:
    """Another host, in a thread of its own: writes patterns, reads them back, compares."""

    SLOTS, SIZE = 32, 16384

    def __init__(self, port, subnqn, first_block):
        self.admin = open_admin(port, subnqn, 9999)
        self.host = open_io(port, subnqn, self.admin)
        self.first_block = first_block
        self.random = random.Random(first_block)
        self.written = {}
        self.rounds = 0
        self.slowest = 0
        self.error = None
        self.is_stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.is_stopping:
                start = time.monotonic()
                self.round()
                self.slowest = max(self.slowest, time.monotonic() - start)
                self.rounds += 1
                time.sleep(0.001)  # the others of this process are to get their turn
        except Exception as error:  # told by stop(), in the test's thread
            self.error = repr(error)

    def round(self):
        slot = self.random.randrange(self.SLOTS)
        size = self.random.choice((512, 4096, self.SIZE))
        data = self.random.randbytes(size)
        block = self.first_block + slot * (self.SIZE // 512)
        assert self.host.write(block, data) == 0
        self.written[block] = data
        block, data = self.random.choice(list(self.written.items()))
        status, got = self.host.read(block, len(data))
        assert status == 0 and got == data, f"block {block}: status {status:03x} or other data"

    def progress(self, rounds=5, seconds=20):
        """Waits for some more good rounds."""
        wanted, end = self.rounds + rounds, time.monotonic() + seconds
        while self.rounds < wanted and self.error is None and time.monotonic() < end:
            time.sleep(0.01)
        assert self.error is None, self.error
        assert self.rounds >= wanted, f"only {self.rounds} rounds"

    def stop(self):
        self.is_stopping = True
        self.thread.join(20)
        assert self.error is None, self.error
        self.host.close()
        self.admin.close()


def memory_kib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as lines:
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def descriptor_count(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def closed_count(hosts, seconds):
    """How many of them the target has ended, as soon as the time is over or all are."""
    left = {host.socket.fileno(): host for host in hosts}
    total, end = len(left), time.monotonic() + seconds
    poll = select.poll()
    for number in left:
        poll.register(number, select.POLLIN | select.POLLRDHUP)
    while left and (rest := end - time.monotonic()) > 0:
        for number, _ in poll.poll(rest * 1000):
            try:
                if left[number].socket.recv(65536, socket.MSG_DONTWAIT):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            poll.unregister(number)
            del left[number]
    return total - len(left)
