# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of tools/bench on windows whose figures are known."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import figures  # noqa: E402
import instructions  # noqa: E402


def window(iops, foreign=0.0, steal=0.0, **rest):
    return {"iops": iops, "p50": 10.0, "p99": 20.0, "cpu": 1.0, "calls": 0.5, "foreign": foreign,
            "steal": steal, **rest}


def rounds(*pairs):
    return [{"subject": window(s), "reference": window(r)} for s, r in pairs]


def test_paired_ratio_is_that_of_the_rounds_and_not_of_the_sides():
    # The machine halves its speed in the middle: each round still says 0.9.
    drifting = rounds((90, 100), (90, 100), (45, 50), (45, 50), (45, 50))
    found = figures.figures_of(drifting)
    assert found["iops_ratio"] == pytest.approx(0.9)
    assert found["iops_quartiles"] == pytest.approx(0.9)
    torn = rounds((90, 100), (45, 100), (90, 50))
    assert figures.figures_of(torn)["iops_ratio"] == pytest.approx(0.9)


def test_iops_are_upper_quartiles_and_costs_medians():
    found = figures.figures_of([{"subject": window(i, cpu=i), "reference": window(10)}
                                for i in (1, 2, 3, 4, 5)])
    assert found["iops"] == 4
    assert found["cpu"] == 3
    assert found["cpu_ratio"] == 3


def test_round_with_foreign_load_or_steal_on_either_side_is_dropped():
    quiet = {"subject": window(1), "reference": window(1)}
    loud = {"subject": window(1), "reference": window(1, foreign=5.1)}
    stolen = {"subject": window(1, steal=5.1), "reference": window(1)}
    kept, disturbed = figures.rounds_that_count([quiet] * 3 + [loud, stolen], 5, 5, 15)
    assert kept == [quiet] * 3 and not disturbed


def test_row_that_never_was_quiet_keeps_all_and_is_marked():
    loud = {"subject": window(1, foreign=9), "reference": window(1)}
    quiet = {"subject": window(1), "reference": window(1)}
    kept, disturbed = figures.rounds_that_count([loud, loud, quiet, quiet], 5, 5, 15)
    assert len(kept) == 4 and disturbed
    row = figures.row_of("x", "floor", kept, [], disturbed)
    assert figures.line_of(row).endswith("disturbed")


@pytest.mark.parametrize("value, bar, is_met", [
    (0.85, figures.at_least("iops_ratio", 0.85), True),
    (0.84, figures.at_least("iops_ratio", 0.85), False),
    (1.15, figures.at_most("iops_ratio", 1.15), True),
    (1.16, figures.at_most("iops_ratio", 1.15), False),
    (None, figures.at_most("iops_ratio", 1.15), False),
])
def test_bar_holds_at_its_bound_and_a_missing_figure_misses_it(value, bar, is_met):
    judged, = figures.judge({"iops_ratio": value}, [bar])
    assert judged["is_met"] is is_met
    assert ("ok" if is_met else "MISSED") in figures.bars_text([judged])


def test_side_without_system_calls_or_cpu_shows_none():
    row = figures.row_of("file", "fio", [
        {"subject": window(5), "reference": window(5, calls=None, cpu=0)}], [])
    assert row["figures"]["reference_calls"] is None
    assert row["figures"]["cpu_ratio"] is None
    assert " - " in figures.line_of(row)


def test_row_of_one_side_has_a_tail_and_no_ratio():
    found = figures.figures_of([{"subject": window(5, p99=p99)} for p99 in (30, 30, 30, 900, 900)])
    assert found["tail"] == 3
    assert figures.figures_of([{"subject": window(5, p99=None, p50=None)}])["tail"] is None
    assert "iops_ratio" not in found


def test_bar_of_a_nexus_is_the_same_share_of_a_slower_floor():
    def bound(**floor):
        return figures.nexus_write_bar(floor)[0].bound

    assert bound() == 4.5
    # 0.54 + 3 * (0.57 + 0.54) = 3.87, below 3.9: the constants hold.
    assert bound(reference_cpu=0.54, reference_client_cpu=0.57) == 4.5
    assert bound(reference_cpu=1.0, reference_client_cpu=1.6) == pytest.approx(4.5 * 8.8 / 3.9,
                                                                              abs=0.01)
    # The cheaper of the two floors is the measure.
    assert bound(reference_cpu=9, reference_client_cpu=9, sleeping_cpu=1.0,
                 sleeping_client_cpu=1.6) == pytest.approx(4.5 * 8.8 / 3.9, abs=0.01)


def test_verdict_counts_bars_and_rows_without_figure():
    rows = [figures.fact_of("a", 1, "ms", [("<=", 2)]), figures.fact_of("b", 3, "ms", [("<=", 2)]),
            figures.error_of("c", "no fio")]
    assert figures.verdict(rows) == (1, 1, 1)
    assert "NOT MEASURED: no fio" in figures.line_of(rows[2])


PROFILE = """\
fl=(1) /a/src/target/io.c
fn=(1) io
10 5
fi=(2) /a/src/base/op.h
12 7
fe=(1)
cfi=(3) /a/sim/world.c
cfn=(2) turn
calls=1 0
13 900
+1 2
fl=(3)
fn=(2)
5 30
fl=(4) /a/src/initiator/io.c
fn=(3) x
* 11
fl=(5) /a/h-bench/sim/net.c
7 100
fl=(6) /a/h-bench/bench/load.c
+3 4
"""


def test_instructions_are_those_of_the_file_itself_and_not_of_what_it_calls():
    found = instructions.instructions_by_part(PROFILE)
    assert found == {"target": 7, "shared": 7, "initiator": 11, "load": 4}
