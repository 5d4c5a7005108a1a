# SPDX-License-Identifier: Apache-2.0
"""Every kind of fault on real processes, under a host that verifies what it reads.

Numbers are drawn from a seed: MAYASTOR_CHAOS_SEED, or a new one each run."""

import pytest

from chaos_rounds import all_rounds


@pytest.mark.parametrize("kind,host", all_rounds())
def test_host_sees_no_error_and_copies_end_equal(rounds, kind, host):
    if (kind, host) not in rounds:
        pytest.skip("the kernel of this machine cannot do that")
    done = rounds[kind, host].result()
    assert done.episodes > 0
    assert done.blocks > 0
