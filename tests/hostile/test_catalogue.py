# SPDX-License-Identifier: Apache-2.0
"""The catalogues of wrong input are as large as is promised, and no two cases have one name."""

import collections
import subprocess

import pytest

from engines import BUILD

SHARES = {"target": 1060, "initiator": 638}  # docs/internals/testing.md
# docs/internals/hostile-peers.md: a case of each kind of flaw that others have had.
FLAW_KINDS = [
    "data outside the command", "several H2CData", "data for a command not expecting it",
    "data for a completed command", "header length trusted", "teardown", "unterminated names",
    "keep-alive against delete", "registrants beyond the array", "reply longer than its buffer",
    "in-capsule size is not the SGL's", "in-capsule data behind an offset",
    "data before its r2t was sent", "abort while data arrives", "terminate status index",
    "auth payload",
]


def names_of(folder):
    found = []
    for program in sorted((BUILD / "src" / folder).glob(f"{folder}_malformed_*_test")):
        listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True,
                                timeout=20)
        names = listed.stdout.splitlines()
        assert names and not any("RUN" in name for name in names), f"{program} cannot list"
        found += names
    return found


@pytest.mark.parametrize("folder", SHARES)
def test_catalogue_is_as_large_as_promised(folder):
    names = names_of(folder)
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    assert not twice
    assert len(names) >= SHARES[folder]


def test_catalogues_have_sixteen_hundred_cases_together():
    assert sum(len(names_of(folder)) for folder in SHARES) >= 1600  # README.md


@pytest.mark.parametrize("kind", FLAW_KINDS)
def test_each_kind_of_flaw_has_a_case_of_its_name(kind):
    names = [name.replace("_", " ").replace("-", " ") for name in names_of("target")]
    assert any(kind.replace("-", " ") in name for name in names)
