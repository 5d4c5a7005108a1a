# SPDX-License-Identifier: Apache-2.0
"""The page of planted bugs and their list in the sources say the same.

Run: /usr/bin/python3 -m pytest tests/docs
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "internals" / "planted-bugs.md").read_text(encoding="utf-8")


def bugs():
    text = (ROOT / "src" / "base" / "planted.h").read_text(encoding="utf-8").replace("\\\n", "")
    found = re.findall(r'\bbug\(\s*(\w+),\s*"(\w+)",\s*"([^"]*)",\s*"([^"]*)",\s*(\d+)\)',
                       text)
    assert len(found) == len(re.findall(r"\bbug\(", text)), "a row of the list is not understood"
    return found



def test_every_bug_has_its_row_and_every_row_its_bug():
    documented = re.findall(r"^\| `([A-Z_]+)` \| (\w+) \| (.*?) \| (\d+) \| .+ \|$", PAGE,
                            flags=re.M)
    listed = [(name, rule, what + (f" (`{hint}`)" if hint else ""), seeds)
              for name, rule, what, hint, seeds in bugs()]
    assert documented == listed


def test_every_rule_of_a_bug_is_explained_and_no_other():
    explained = re.findall(r"^\| ([A-H]\d+) \| .* \|$", PAGE, flags=re.M)
    assert sorted(explained, key=lambda rule: (rule[0], int(rule[1:]))) == explained
    assert set(explained) == {rule for _, rule, _, _, _ in bugs()}


def test_there_are_enough_bugs_and_each_is_planted_somewhere():
    names = [name for name, _, _, _, _ in bugs()]
    assert len(names) >= 50 and len(set(names)) == len(names)
    planted = set()
    for path in (ROOT / "src").rglob("*.c"):
        if path.parent.name != "base":
            planted |= set(re.findall(r"\bPLANTED\((\w+)\)", path.read_text(encoding="utf-8")))
    assert set(names) - planted == set()


def test_marks_of_rare_paths_are_many_and_have_names_of_their_own():
    names = []
    for path in sorted((ROOT / "src").rglob("*.c")):
        if path.name.endswith("_test.c"):
            continue
        text = path.read_text(encoding="utf-8")
        names += re.findall(r'\bREACHED(?:_IF)?\((?:[^;"]*,\s*)?"(\w+)"\)', text)
        names += re.findall(r'\bCOUNT_IF\([^;"]*,\s*"(\w+)"\)', text)
    assert len(names) >= 40
    assert sorted(set(names)) == sorted(names)
