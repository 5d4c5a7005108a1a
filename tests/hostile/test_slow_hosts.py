# SPDX-License-Identifier: Apache-2.0
"""A byte a second, half PDUs that never end: ended within the documented time-out, and nobody else
waits for them. All conversations run at once, from the session's beginning on (conftest.py)."""

import pytest

NAMES = ["nothing at all", "half an ICReq", "an ICReq that trickles", "nothing behind ICReq",
         "half a Connect", "a Connect that trickles", "half a command's header",
         "half a command's data", "a command that trickles", "a command's data that trickle",
         "half an admin command", "data that do not come", "half of the data",
         "data that trickle"]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_slow_host_does_not_end_is_ended_for_it(slow_hosts, name):
    seconds = slow_hosts.closed_after(name)
    assert seconds is not None, "not closed"
    assert seconds >= slow_hosts.talks[name].limit * 0.6, "a host may pause for a while"


def test_every_slow_conversation_has_its_test(slow_hosts):
    assert sorted(slow_hosts.talks) == sorted(NAMES)


def test_nobody_waited_for_the_slow_hosts(slow_hosts, slow_stage):
    slow_hosts.stop()
    slow_stage.settle()
    assert slow_stage.bystander.rounds > 100
    assert slow_stage.bystander.slowest < 5
