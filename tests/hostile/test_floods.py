# SPDX-License-Identifier: Apache-2.0
"""Floods: as fast as a host can, for a moment each. The engine lives, its memory and descriptors
come back, and the bystander's data are right throughout."""

import os
import random
import struct
import threading
import time

import pytest

from hosts import (ABORT, ASYNC_EVENT, COMMAND, DISCOVERY, GET_LOG, H2C_TERM, IDENTIFY, ICREQ_PDU,
                   KEEP_ALIVE, R2T, SET_FEATURES, WRITE, Closed, Host, capsule, connect_pdu,
                   open_admin, open_io, sqe)
from stages import NQN

SECONDS = 2.0
EVENT_LIMIT = 0x105


def flood(work, seconds=SECONDS, threads=2):
    """Repeats it in some threads. How often it was done; the first error is raised."""
    errors, counts = [], [0] * threads
    end = time.monotonic() + seconds

    def run(index):
        try:
            while time.monotonic() < end:
                work(index * 1000 + counts[index] % 1000 + 1)
                counts[index] += 1
        except Exception as error:  # raised below, in the test's thread
            errors.append(error)

    running = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    return sum(counts)


def discovery(port, number):
    host = Host(port, number)
    assert host.connect(DISCOVERY) == 0
    host.enable()
    status, data = host.run(IDENTIFY, length=4096, cdw10=1)
    assert status == 0 and len(data) == 4096
    status, data = host.run(GET_LOG, length=4096, cdw10=0x70 | 1023 << 16)
    assert status == 0 and struct.unpack_from("<Q", data, 8)[0] >= 1
    host.close()


def test_discoveries(stage):
    assert flood(lambda number: discovery(stage.port, number)) > 20
    stage.settle()


def test_discoveries_that_go_away_in_the_middle(stage):
    def work(number):
        host = Host(stage.port, number)
        host.send(connect_pdu(1, DISCOVERY, host.nqn, host.host_id))
        if number % 3 == 0:
            assert host.response()[0] == 0
        host.send(capsule(sqe(IDENTIFY, 2, cdw10=1, length=4096)))
        host.reset() if number % 2 else host.close()

    assert flood(work) > 20
    stage.settle()


def pipelined(host, entries):
    """All of them at once; the statuses in the order of the answers."""
    host.send(b"".join(capsule(entry) for entry in entries))
    return [host.response()[0] for _ in entries]


def test_keep_alives(stage):
    host = open_admin(stage.port, NQN, kato=10000)
    count = flood(lambda _: pipelined(host, [sqe(KEEP_ALIVE, cid) for cid in range(30)]),
                  threads=1)
    assert count > 20
    host.close()
    stage.settle()


def test_keep_alive_timers_set_again_and_again(stage):
    def work(number):
        host = open_admin(stage.port, NQN, number, kato=1)
        pipelined(host, [sqe(SET_FEATURES, cid, cdw10=0x0F, cdw11=cid) for cid in range(30)])
        host.close()

    assert flood(work) > 5
    stage.settle()


def test_aborts(stage):
    host = open_admin(stage.port, NQN)
    generator = random.Random(1)

    def work(_):
        entries = [sqe(ABORT, cid, cdw10=generator.getrandbits(32)) for cid in range(30)]
        assert pipelined(host, entries) == [0] * 30

    assert flood(work, threads=1) > 20
    host.close()
    stage.settle()


def test_aborts_of_writes_that_wait_for_their_data(stage):
    """Each write is asked for its data and aborted; then the host goes."""
    def work(number):
        admin = open_admin(stage.port, NQN, number)
        host = open_io(stage.port, NQN, admin)
        host.send(b"".join(capsule(sqe(WRITE, cid, nsid=1, cdw12=255, length=131072))
                           for cid in range(31)))
        assert host.pdu()[0] == R2T
        admin.send(b"".join(capsule(sqe(ABORT, cid, cdw10=1 | cid << 16)) for cid in range(31)))
        for _ in range(31):
            assert admin.response()[0] == 0
        host.close()
        admin.close()

    assert flood(work) > 5
    stage.settle()


def test_event_requests_beyond_the_limit(stage):
    def work(number):
        host = open_admin(stage.port, NQN, number)
        host.send(b"".join(capsule(sqe(ASYNC_EVENT, cid)) for cid in range(32)))
        for _ in range(28):  # four wait
            assert host.response()[0] == EVENT_LIMIT
        host.close()

    assert flood(work) > 10
    stage.settle()


@pytest.mark.parametrize("is_rough", [False, True], ids=["close", "reset"])
def test_connects_and_disconnects(stage, is_rough):
    def work(number):
        admin = open_admin(stage.port, NQN, number)
        queues = [open_io(stage.port, NQN, admin, qid) for qid in range(1, 4)]
        for host in (*queues, admin):
            host.reset() if is_rough else host.close()

    assert flood(work) > 10
    stage.settle()


def test_sockets_that_only_come_and_go(stage):
    def work(number):
        host = Host(stage.port, greet=False)
        if number % 2:
            host.send(ICREQ_PDU[:number % 128])
        host.reset() if number % 3 else host.close()

    assert flood(work) > 200
    stage.settle()


def test_terminate_requests(stage):
    term = struct.pack("<BBBBIHI", H2C_TERM, 0, 24, 0, 24, 1, 8) + bytes(10)

    def work(number):
        hosts = [Host(stage.port, number, greet=number % 2 == 0)]
        if number % 4 == 0:
            assert hosts[0].connect(NQN) == 0
        hosts[0].send(term)
        assert hosts[0].is_closed(5)
        hosts[0].close()

    assert flood(work) > 50
    stage.settle()


def test_errors_that_are_answered_by_terminate_requests(stage):
    """The target gives each half a second to read why; they must not pile up."""
    hosts = []

    def work(number):
        host = Host(stage.port, number)
        host.send(struct.pack("<BBBBI", 0x0B, 0, 24, 0, 24) + bytes(16))
        hosts.append(host)
        if len(hosts) > 500:
            hosts.pop(0).close()

    assert flood(work) > 100
    for host in hosts[-50:]:
        assert host.is_closed(2)
    for host in hosts:
        host.close()
    stage.settle()


def test_garbage(stage):
    generator = random.Random(2)

    def work(number):
        host = Host(stage.port, number, greet=number % 2 == 0)
        if number % 4 == 0:
            assert host.connect(NQN) == 0
        try:
            host.send(generator.randbytes(generator.randrange(1, 20000)))
        except Closed:
            pass
        host.close()

    assert flood(work) > 50
    stage.settle()


def test_wrong_commands(stage):
    """Thirty a time, of any opcode and any numbers, without data."""
    admin = open_admin(stage.port, NQN)
    generator = random.Random(3)

    def work(_):
        entries = []
        for cid in range(30):
            # No events that wait, no changes of the keep-alive, nothing that asks for data.
            opcode = generator.choice([0x02, 0x06, 0x08, 0x0A, 0x0D, 0x10, 0x18, 0x80, 0xC1, 0xFE])
            entries.append(sqe(opcode, cid, *(generator.getrandbits(32) for _ in range(4))))
        pipelined(admin, entries)

    assert flood(work, threads=1) > 20
    admin.close()
    stage.settle()


def test_connects_of_nobody(stage):
    """Refused and tried again on the same connection, as fast as it goes."""
    def work(number):
        host = Host(stage.port, number)
        for i in range(20):
            assert host.connect(f"nqn.2019-05.io.openebs:nobody-{i}") == 0x182
        assert host.connect(NQN) == 0
        host.close()

    assert flood(work) > 5
    stage.settle()


def test_data_nobody_sends_for_many_writes(stage):
    """Three controllers hold all that they can get; the bystander's I/O goes on within a bound."""
    hosts = []
    for number in range(1, 4):
        admin = open_admin(stage.port, NQN, number)
        hosts.append(admin)
        for qid in range(1, 4):
            host = open_io(stage.port, NQN, admin, qid)
            host.send(b"".join(capsule(sqe(WRITE, cid, nsid=1, cdw12=255, length=131072))
                               for cid in range(31)))
            hosts.append(host)
    stage.bystander.progress(20, seconds=10)
    for host in hosts:
        host.close()
    stage.settle()


def test_a_header_a_segment(stage):
    """Every byte its own segment: the stream is the same."""
    admin = open_admin(stage.port, NQN)
    for _ in range(3):
        for octet in capsule(sqe(KEEP_ALIVE, 5)):
            admin.send(bytes([octet]))
        assert admin.response()[0] == 0
    admin.close()
    assert COMMAND == 4 and os.path.exists(f"/proc/{stage.process.pid}")
    stage.settle()
