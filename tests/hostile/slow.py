# SPDX-License-Identifier: Apache-2.0
"""Hosts that stop in the middle or trickle, all at once, in one thread; when each was ended."""

import select
import struct
import threading
import time

from hosts import (H2C_DATA, ICREQ_PDU, KEEP_ALIVE, R2T, WRITE, Host, capsule, connect_pdu,
                   open_admin, open_io, sqe)

HANDSHAKE, STALL = 10, 60  # seconds; docs/internals/hostile-peers.md
BLOCK = bytes(512)


class Talk:
    """One conversation: `at_once` bytes of `stream`, then, trickling, one a second."""

    def __init__(self, host, stream, at_once, trickles, limit):
        self.host, self.stream, self.at, self.trickles = host, stream, at_once, trickles
        self.limit = limit
        host.send(stream[:at_once])
        self.start = time.monotonic()
        self.closed_after = None

    def trickle(self):
        if self.trickles and self.at < len(self.stream) - 1:
            try:
                self.host.socket.send(self.stream[self.at:self.at + 1])
            except OSError:
                pass  # what follows sees that it is closed
            self.at += 1


class Slow:
    def __init__(self, port, nqn):
        self.talks = {}
        self.admins = []
        self.is_stopping = False
        self.begin(port, nqn)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def begin(self, port, nqn):
        add = self.add
        add("nothing at all", Host(port, greet=False), b"x", 0, False, HANDSHAKE)
        add("half an ICReq", Host(port, greet=False), ICREQ_PDU, 64, False, HANDSHAKE)
        add("an ICReq that trickles", Host(port, greet=False), ICREQ_PDU, 0, True, HANDSHAKE)
        host = Host(port)
        connect = connect_pdu(1, nqn, host.nqn, host.host_id)
        add("nothing behind ICReq", host, b"x", 0, False, HANDSHAKE)
        add("half a Connect", Host(port), connect, 500, False, HANDSHAKE)
        add("a Connect that trickles", Host(port), connect, 0, True, HANDSHAKE)
        write = capsule(sqe(WRITE, 7, nsid=1, length=512, capsule=True), BLOCK)
        add("half a command's header", self.io(port, nqn), write, 40, False, STALL)
        add("half a command's data", self.io(port, nqn), write, 300, False, STALL)
        add("a command that trickles", self.io(port, nqn), write, 0, True, STALL)
        add("a command's data that trickle", self.io(port, nqn), write, 72, True, STALL)
        admin = open_admin(port, nqn, 200)
        add("half an admin command", admin, capsule(sqe(KEEP_ALIVE, 7)), 70, False, STALL)
        add("data that do not come", *self.asked(port, nqn), 0, False, STALL)
        add("half of the data", *self.asked(port, nqn), 2000, False, STALL)
        add("data that trickle", *self.asked(port, nqn), 24, True, STALL)

    def add(self, name, host, stream, at_once, trickles, limit):
        self.talks[name] = Talk(host, stream, at_once, trickles, limit)

    def io(self, port, nqn):
        admin = open_admin(port, nqn, 100 + len(self.admins))
        self.admins.append(admin)
        return open_io(port, nqn, admin)

    def asked(self, port, nqn):
        """An I/O queue that was asked for data, and the data PDU."""
        host = self.io(port, nqn)
        host.send(capsule(sqe(WRITE, 7, nsid=1, cdw12=15, length=8192)))
        kind, _, header, _ = host.pdu()
        assert kind == R2T
        cid, tag = struct.unpack_from("<HH", header)
        return host, struct.pack("<BBBBIHHII4x", H2C_DATA, 4, 24, 24, 24 + 8192, cid, tag, 0,
                                 8192) + bytes(8192)

    def run(self):
        poll = select.poll()
        left = {talk.host.socket.fileno(): talk for talk in self.talks.values()}
        for number in left:
            poll.register(number, select.POLLIN | select.POLLRDHUP)
        due = time.monotonic()
        while left and not self.is_stopping:
            for number, _ in poll.poll(100):
                try:
                    if left[number].host.socket.recv(65536):
                        continue
                except OSError:
                    pass
                poll.unregister(number)
                talk = left.pop(number)
                talk.closed_after = time.monotonic() - talk.start
            if time.monotonic() >= due:
                due += 1
                for talk in left.values():
                    talk.trickle()

    def closed_after(self, name):
        """Seconds until the target ended it; None when it did not in its time and a quarter."""
        talk = self.talks[name]
        while talk.closed_after is None:
            if time.monotonic() - talk.start > talk.limit * 1.25 + 2:
                return None
            time.sleep(0.1)
        return talk.closed_after

    def stop(self):
        self.is_stopping = True
        self.thread.join(5)
        for talk in self.talks.values():
            talk.host.close()
        for admin in self.admins:
            admin.close()
