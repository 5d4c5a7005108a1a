# SPDX-License-Identifier: Apache-2.0
"""What the texts name must be there: links, paths, options, make targets, limits.

Run: MAYASTOR_BUILD=build /usr/bin/python3 -m pytest tests/docs
"""

import os
import pathlib
import re
import subprocess
import sys

import grpc
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MAYASTOR_BUILD", ROOT / "build"))
GUIDE = ROOT / "docs" / "guide.md"

sys.path[:0] = [str(ROOT / "tests" / "engine"), str(ROOT / "tests" / "rpc")]

from engines import Engine  # noqa: E402

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")
# Made by the build, or somebody else's.
NOT_IN_TREE = re.compile(r"^build|\.pb-c\.h$")


def texts():
    """Those of the project, not of build folders; also in a copy without its history."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT,
                             capture_output=True, text=True, check=False)
    names = listing.stdout.split()
    if listing.returncode != 0:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.md")
                 if not re.match(r"build|\.", path.relative_to(ROOT).parts[0])]
    return sorted({ROOT / name for name in names if (ROOT / name).is_file()})


def split(path):
    """Prose without code blocks, and the lines of the code blocks."""
    prose, code, is_fenced, was_blank, was_code = [], [], False, True, False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            is_fenced = not is_fenced
            continue
        is_indented = re.match(r"( {4}|\t)", line) is not None and (was_blank or was_code)
        is_code = is_fenced or is_indented
        (code if is_code else prose).append(line)
        was_code = is_code or (was_code and line == "")
        was_blank = line == ""
    return "\n".join(prose), code


def spans(prose):
    return re.findall(r"`([^`\n]+)`", prose)


def anchors(path):
    """As code hosts make them from headings."""
    prose, _ = split(path)
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose, flags=re.M):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-"))
    return found


def is_there(path, name):
    folders = (ROOT, ROOT / "src", path.parent)
    return any(any(folder.glob(name.rstrip("/"))) for folder in folders)


def looks_like_path(name):
    if not re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*/?", name) or "/" not in name:
        return False
    first = name.split("/")[0]
    if NOT_IN_TREE.search(name):
        return False
    return (ROOT / first).is_dir() or (ROOT / "src" / first).is_dir()


def help_of(*command):
    program = BUILD / command[0]
    if not program.exists():
        pytest.skip(f"{program} was not built")
    return subprocess.run([str(program), *command[1:]], capture_output=True, text=True,
                          check=True).stdout


def manual_options(name):
    manual = ROOT / "docs" / "man" / name
    if not manual.exists():
        pytest.skip(f"{name} is not written")
    return set(OPTION.findall(manual.read_text(encoding="utf-8").replace("\\-", "-")))


@pytest.mark.parametrize("path", texts(), ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path):
    prose, _ = split(path)
    broken = []
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path if name == "" else path.parent / name
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("path", texts(), ids=lambda p: str(p.relative_to(ROOT)))
def test_named_paths_exist(path):
    prose, _ = split(path)
    assert [name for name in spans(prose) if looks_like_path(name)
            and not is_there(path, name)] == []


def test_page_of_every_mechanism_opens_with_date_and_folder():
    pages = sorted((ROOT / "docs" / "internals").glob("*.md"))
    assert pages
    for page in pages:
        lines = page.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# "), page.name
        assert re.match(r"\d{4}-\d\d-\d\d · .*`", lines[2]), page.name


@pytest.mark.parametrize("name", ["README.md", "HACKING.md", "docs/guide.md",
                                  "docs/internals/simulator.md", "docs/internals/testing.md"])
def test_make_targets_exist(name):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.M))
    prose, code = split(ROOT / name)
    missing = []
    for text in spans(prose) + [line.strip() for line in code]:
        words = text.split()
        if not words or words[0] != "make":
            continue
        for word in words[1:]:
            if not re.fullmatch(r"[a-z][a-z-]*", word):
                break
            if word not in targets:
                missing.append(word)
    assert missing == []


def test_what_make_targets_run_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    tools = set(re.findall(r"(?<![\w/])tools/[\w.]+", makefile))
    assert [tool for tool in sorted(tools) if not (ROOT / tool).exists()] == []


@pytest.mark.parametrize("program, manual", [
    ("src/engine/io-engine", "io-engine.8"),
    ("src/attach/mayastor-attach", "mayastor-attach.8"),
])
def test_manual_has_the_options_of_the_program(program, manual):
    documented = manual_options(manual)
    options = set(OPTION.findall(help_of(program, "--help")))
    assert sorted(options - documented) == []
    assert sorted(documented - options) == []


def test_manual_of_dev_has_its_options():
    documented = manual_options("mayastor-dev.1")
    program = "src/cli/mayastor"
    overview = help_of(program, "dev", "--help")
    commands = re.findall(r"^  ([a-z]+) ", overview.split("Commands:")[1], flags=re.M)
    options = set()
    for command in commands:
        # Options stand in the first column; texts may name those of other programs.
        text = help_of(program, "dev", command, "--help")
        options |= set(re.findall(r"^  (?:-\w,|   ) (--[a-z-]+)", text, flags=re.M))
    assert "--dir" in options
    assert sorted(options - documented) == []


def test_guide_names_real_engine_options():
    section = re.search(r"^## Start an engine\n(.*?)^## ", GUIDE.read_text(encoding="utf-8"),
                        flags=re.M | re.S).group(1)
    options = set(OPTION.findall(help_of("src/engine/io-engine", "--help")))
    assert sorted(set(OPTION.findall(section)) - options) == []


@pytest.mark.parametrize("header, macro, value", [
    ("base/limits.h", "NEXUS_CHILDREN_MAX", "16"),
    ("base/limits.h", "REACTORS_MAX", "64"),
    ("base/limits.h", "NAME_BYTES_MAX", "512"),
    ("base/limits.h", "IO_BYTES_MAX", "(128 * 1024)"),
    ("nexus/nexus.h", "NEXUS_IO_MAX", "512"),
    ("nexus/nexus.h", "NEXUS_HISTORY_MAX", "32"),
    ("nexus/nexus.h", "NEXUS_DATA_OFFSET_BYTES", "(5ull << 20)"),
    ("nexus/nexus.h", "NEXUS_RECORD_WAIT_NS", "20000000000ull"),
    ("target/target.h", "TARGET_ALLOWED_HOSTS_MAX", "64"),
    ("target/target.h", "TARGET_CONTROLLERS_MAX", "1024"),
    ("target/target.h", "TARGET_IO_QUEUES_MAX", "31"),
    ("target/target.h", "TARGET_QUEUE_DEPTH_MAX", "1024"),
    ("target/reservation_store.h", "TARGET_REGISTRANTS_MAX", "64"),
    ("initiator/initiator.h", "INITIATOR_ADDRESSES_MAX", "8"),
    ("rebuild/rebuild.h", "REBUILD_TASKS_MAX", "16"),
    ("engine/slot_file.h", "SLOT_BYTES", "8192"),
])
def test_limits_are_those_that_the_guide_and_the_pages_tell(header, macro, value):
    text = (ROOT / "src" / header).read_text(encoding="utf-8")
    found = re.search(rf"^#define {macro}\s+(\(.*?\)|\S+)", text, flags=re.M)
    assert found is not None and found.group(1) == value


@pytest.fixture
def two_engines(tmp_path):
    if not (BUILD / "src/engine/io-engine").exists():
        pytest.skip("io-engine was not built")
    made = [Engine(tmp_path, f"node-{i}") for i in (1, 2)]
    try:
        yield [engine.start() for engine in made]
    finally:
        for engine in made:
            engine.close()


def test_calls_of_the_guide_work_as_they_stand(two_engines, tmp_path, capsys):
    """All of them in one run, on small files instead of disks."""
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"),
                        flags=re.M | re.S)
    names = {"__name__": "guide"}
    disks = iter(["two", "one"])  # the guide makes the remote copy first
    for block in blocks:
        for number, engine in enumerate(two_engines, 1):
            block = block.replace(f"192.0.2.{number}:10124", f"127.0.0.1:{engine.grpc_port}")
        if "aio:///dev/sdb" in block:
            disk = tmp_path / next(disks)
            with open(disk, "wb") as file:
                file.truncate(40 << 20)
            block = block.replace("/dev/sdb", str(disk)).replace("100 << 30", "32 << 20")
        if "Rebuild(" not in block:
            exec(block, names)  # pylint: disable=exec-used
            continue
        # Nothing is being rebuilt here: only that the calls exist and name the copy.
        for line in block.splitlines():
            try:
                exec(line, names)  # pylint: disable=exec-used
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL)
                assert names["children"][1] in error.details()
    out = capsys.readouterr().out
    assert f"nvmf+tcp://127.0.0.1:{two_engines[0].port}/nqn.2019-05.io.openebs:vol-1" in out
    assert out.count("CHILD_STATE_ONLINE CHILD_STATE_REASON_NONE -1") == 2
