# SPDX-License-Identifier: Apache-2.0
"""tools/planted and tools/shrink, each on a bug that is easy to find.

They need a build with planted bugs, by default build-planted:
MAYASTOR_PLANTED_BUILD=build-planted /usr/bin/python3 -m pytest tests/simulator
"""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MAYASTOR_PLANTED_BUILD", ROOT / "build-planted"))
CAMPAIGN = BUILD / "sim" / "sim_campaign"
BUG = "MISSED_WRITE_NOT_MARKED"

sys.path.insert(0, str(ROOT / "tools"))

import campaign_run  # noqa: E402

pytestmark = pytest.mark.skipif(not CAMPAIGN.exists(), reason=f"{CAMPAIGN} was not built")


def campaign(*arguments):
    return campaign_run.run(CAMPAIGN, arguments, 120)


def tool(name, *arguments):
    return subprocess.run([str(ROOT / "tools" / name), "--campaign", str(CAMPAIGN),
                           *map(str, arguments)], text=True, capture_output=True, check=False)


def statements(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines()
            if line and not line.startswith(("#", "seed "))]


def test_a_planted_bug_is_found_and_its_seed_passes_without_it():
    done = tool("planted", "--bug", BUG, "--seeds", 100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{BUG} +D22 +\d+ seeds", done.stdout, flags=re.M)
    assert "1 of 1 planted bugs found" in done.stdout


def test_a_bug_that_no_seed_shows_is_an_error():
    # Nothing happens in no seed.
    done = tool("planted", "--bug", BUG, "--seeds", 0)
    assert done.returncode == 1
    assert "NOT FOUND" in done.stdout and "0 of 1 planted bugs found" in done.stdout


def test_a_sample_of_one_salt_is_always_the_same():
    drawn = [tool("planted", "--sample", 3, "--salt", "x", "--seeds", 0).stdout for _ in range(2)]
    names = [sorted(re.findall(r"^([A-Z_]+) .*NOT FOUND", out, flags=re.M)) for out in drawn]
    assert len(names[0]) == 3 and names[0] == names[1]


def test_a_failing_seed_becomes_a_smaller_script_that_still_fails(tmp_path):
    first = campaign("--plant", BUG, "--seeds", 50)
    assert first.seed is not None
    whole, small = tmp_path / "whole.script", tmp_path / "small.script"
    ended = campaign("--plant", BUG, "--seed", first.seed, "--write-script", whole)
    done = tool("shrink", "--seed", first.seed, "--plant", BUG, "--out", small, "--seconds", 60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(statements(small)) < len(statements(whole))
    again = campaign("--plant", BUG, "--script", small)
    assert campaign_run.class_of(again.word) == campaign_run.class_of(ended.word)
    assert campaign("--script", small).code == 0


def test_a_seed_that_passes_is_not_made_smaller(tmp_path):
    done = tool("shrink", "--seed", 1, "--out", tmp_path / "none.script")
    assert done.returncode == 1 and "passes" in done.stderr
    assert not (tmp_path / "none.script").exists()
