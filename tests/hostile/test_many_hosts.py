# SPDX-License-Identifier: Apache-2.0
"""Thousands of connections: little memory each, refused clearly beyond the limit, all given back,
and a host that is there already does not notice."""

import resource
import subprocess
import time

from engines import wait_until
from hosts import Closed, Host, closed_count, connect_pdu, descriptor_count, memory_kib, open_admin
from stages import NQN, Stage

CONTROLLERS, QUEUES, STRANGERS = 300, 31, 700  # 300 * 32 + 700 = 10300 connections
STRANGERS_MAX = 1024
BYTES_EACH_MAX = 64 * 1024


def open_controllers(port):
    """All queues of each controller, with several Connects under way at a time."""
    hosts = []
    for number in range(1, CONTROLLERS + 1):
        admin = open_admin(port, NQN, number)
        queues = [Host(port, number, greet=False) for _ in range(QUEUES)]
        for qid, host in enumerate(queues, 1):
            host.greet()
            host.send(connect_pdu(qid, NQN, host.nqn, host.host_id, qid, admin.cntlid))
        for host in queues:
            assert host.response()[0] == 0
        hosts += [admin, *queues]
    return hosts


def test_ten_thousand_connections_take_little_and_give_it_back(stage):
    rounds = stage.bystander.rounds
    hosts = open_controllers(stage.port)
    hosts += [Host(stage.port, greet=False) for _ in range(STRANGERS)]
    wait_until(lambda: descriptor_count(stage.process) >= stage.descriptors + len(hosts))
    assert len(hosts) > 10000
    used_kib = memory_kib(stage.process) - stage.memory_kib
    print(f"{len(hosts)} connections, {used_kib / len(hosts):.1f} KiB each")
    assert used_kib * 1024 <= len(hosts) * BYTES_EACH_MAX
    # Those that are there work, and so does the bystander.
    for index in range(1, CONTROLLERS * (QUEUES + 1), 31 * (QUEUES + 1)):
        status, data = hosts[index].read(0, 512)
        assert status == 0 and len(data) == 512
    stage.bystander.progress(20)
    for host in hosts:
        host.reset()
    stage.settle(growth_kib=used_kib // 4)
    assert stage.bystander.rounds > rounds + 50
    assert stage.bystander.slowest < 5


def test_strangers_beyond_the_limit_are_closed_and_hosts_still_come_in(stage):
    strangers = [Host(stage.port, greet=False) for _ in range(STRANGERS_MAX + 200)]
    # The youngest are refused, as long as the others are young too.
    assert closed_count(strangers[-100:], 5) == 100
    assert closed_count(strangers[:100], 0.2) == 0
    # Once they have sat there for a while, hosts get in all the same.
    time.sleep(1.2)
    for number in range(1, 20):
        open_admin(stage.port, NQN, number).close()
    for stranger in strangers:
        stranger.close()
    stage.settle()


def test_strangers_that_are_replaced_all_the_time_do_not_keep_hosts_out(stage):
    strangers, came_in, tries = [], 0, 0
    end = time.monotonic() + 6
    while time.monotonic() < end:
        strangers += [Host(stage.port, greet=False) for _ in range(60)]
        while len(strangers) > 3000:
            strangers.pop(0).close()
        tries += 1
        try:
            open_admin(stage.port, NQN, 77).close()
            came_in += 1
        except Closed:
            pass
        time.sleep(0.1)
    for stranger in strangers:
        stranger.close()
    assert came_in > tries / 2
    stage.settle()


def test_the_soft_limit_of_descriptors_is_no_limit(tmp_path):
    """Shells and service managers set a low soft limit; the hard one is what is meant."""
    def launch(command, **options):
        soft = (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        return subprocess.Popen(command, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, soft), **options)

    stage = Stage(tmp_path, launch=launch)
    try:
        hosts = [open_admin(stage.port, NQN, number) for number in range(1, 600)]
        for host in hosts:
            host.close()
        stage.settle(growth_kib=32768)
        stage.close()
    finally:
        stage.engine.close()
