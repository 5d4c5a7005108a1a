# SPDX-License-Identifier: Apache-2.0
"""All chosen rounds run in the background, two at a time; each test waits for its own."""

import os
import random

import pytest

from chaos_rounds import Pool, is_possible

SEED = int(os.environ.get("MAYASTOR_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
WIDTH = 2


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"rounds were drawn from MAYASTOR_CHAOS_SEED={SEED}")


@pytest.fixture(scope="session")
def rounds(request):
    """Futures by (kind, host)."""
    chosen = [(item.callspec.params["kind"], item.callspec.params["host"])
              for item in request.session.items if "rounds" in item.fixturenames]
    pool = Pool(WIDTH)
    try:
        yield {what: pool.submit(*what, SEED) for what in chosen if is_possible(what[0])}
    finally:
        pool.close()
