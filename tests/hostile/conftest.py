# SPDX-License-Identifier: Apache-2.0
"""An engine for each test, with a bystander whose verified I/O goes on; and at the end the engine
has as many descriptors as before and not much more memory."""

import pathlib
import resource
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "engine"))

from stages import NQN, Stage  # noqa: E402


def pytest_configure():
    """These tests, and the engines that they start, have thousands of connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        stage = item.funcargs.get("stage")
        if stage is not None:
            report.sections.append(("log of the engine", stage.engine.text()[-4000:]))


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path)
    yield made
    try:
        made.close()
    finally:
        made.engine.close()


@pytest.fixture(scope="session")
def slow_stage(tmp_path_factory):
    """The one of test_slow_hosts.py, whose hosts are slow while other tests run."""
    made = Stage(tmp_path_factory.mktemp("slow"))
    yield made
    try:
        made.close()
    finally:
        made.engine.close()


@pytest.fixture(scope="session", autouse=True)
def slow_hosts(request):
    """Begins the slow conversations before the first test, when their tests are among them."""
    if not any("slow_hosts" in item.nodeid for item in request.session.items):
        yield None
        return
    import slow
    running = slow.Slow(request.getfixturevalue("slow_stage").port, NQN)
    yield running
    running.stop()
