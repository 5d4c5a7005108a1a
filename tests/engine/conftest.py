# SPDX-License-Identifier: Apache-2.0
"""Engines end with their test, whatever it did; a failed test shows their logs."""

import pytest

from engines import Engine


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for engine in getattr(item, "engines", []):
            report.sections.append((f"log of {engine.name}", engine.text()[-4000:]))


@pytest.fixture
def make_engine(tmp_path, request):
    request.node.engines = []

    def make(name="node-1", **options):
        engine = Engine(tmp_path, name, **options)
        request.node.engines.append(engine)
        return engine.start()

    yield make
    for engine in request.node.engines:
        engine.close()


@pytest.fixture
def engine(make_engine):
    return make_engine()
