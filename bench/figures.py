# SPDX-License-Identifier: Apache-2.0
"""The arithmetic and the table of tools/bench: windows in, rows and bars out. Pure.

A window is what one short measurement said: a dictionary with iops, p50, p99 (microseconds), cpu
and calls (CPU in microseconds and system calls an I/O, of the side that is measured), foreign and
steal (percent of the machine). A round is one window of each side, taken by turns: a dictionary by
side, "subject" and mostly "reference" among them."""

import collections
import statistics

QUIET_ROUNDS_LEAST = 3

# A bar: the row's figure `what` must be at most, or at least, `bound`.
Bar = collections.namedtuple("Bar", "what rule bound")


def at_most(what, bound):
    return Bar(what, "<=", bound)


def at_least(what, bound):
    return Bar(what, ">=", bound)


def upper_quartile(values):
    return statistics.quantiles(values, n=4, method="inclusive")[2] if len(values) > 1 \
        else values[0]


def lower_quartile(values):
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 \
        else values[0]


def is_quiet(windows, foreign, steal):
    """Nobody else had more than so many percent of the machine in any window of the round."""
    return all(window["foreign"] <= foreign and window["steal"] <= steal
               for window in windows.values())


def rounds_that_count(rounds, foreign, steal, wanted):
    """The quiet ones; all when too few are. Returns them and whether the row is disturbed."""
    quiet = [each for each in rounds if is_quiet(each, foreign, steal)]
    if len(quiet) >= min(QUIET_ROUNDS_LEAST, wanted):
        return quiet, False
    return rounds, True


def middle(rounds, side, key):
    values = [each[side][key] for each in rounds if each[side].get(key) is not None]
    return statistics.median(values) if values else None


def paired(rounds, key, side="reference"):
    """Median over the rounds of subject / reference, which drifts of the machine leave alone."""
    ratios = [each["subject"][key] / each[side][key] for each in rounds
              if each["subject"].get(key) is not None and each[side].get(key)]
    return statistics.median(ratios) if ratios else None


def figures_of(rounds):
    """All that a bar may be about."""
    sides = sorted(rounds[0])
    figures = {"iops": upper_quartile([each["subject"]["iops"] for each in rounds])}
    tails = [each["subject"]["p99"] / each["subject"]["p50"] for each in rounds
             if each["subject"].get("p50")]
    # What the machine does now and then only adds to it: as IOPS are upper quartiles.
    figures["tail"] = lower_quartile(tails) if tails else None
    figures["tail_median"] = statistics.median(tails) if tails else None
    for key in ("p50", "p99", "cpu", "calls"):
        figures[key] = middle(rounds, "subject", key)
    if "reference" not in sides:
        return figures
    figures["reference_iops"] = upper_quartile([each["reference"]["iops"] for each in rounds])
    figures["iops_quartiles"] = figures["iops"] / figures["reference_iops"]
    for key in ("p50", "p99", "cpu", "calls"):
        figures["reference_" + key] = middle(rounds, "reference", key)
    for key in ("iops", "p50", "p99", "cpu"):
        figures[key + "_ratio"] = paired(rounds, key)
    for side in sides:
        if side != "subject":
            figures[side + "_client_cpu"] = middle(rounds, side, "client_cpu")
        if side not in ("subject", "reference"):
            figures[side + "_cpu_ratio"] = paired(rounds, "cpu", side)
            figures[side + "_cpu"] = middle(rounds, side, "cpu")
            figures[side + "_iops_ratio"] = paired(rounds, "iops", side)
    return figures


def judge(figures, bars):
    """Each bar with its value; a figure that is missing is a bar missed."""
    judged = []
    for bar in bars:
        value = figures.get(bar.what)
        is_met = value is not None and (value <= bar.bound if bar.rule == "<="
                                        else value >= bar.bound)
        judged.append({"what": bar.what, "rule": bar.rule, "bound": bar.bound, "value": value,
                       "is_met": is_met})
    return judged


def row_of(name, reference_name, rounds, bars, disturbed=False, rounds_run=None):
    """`bars` is a list, or a function of the figures that makes one."""
    figures = figures_of(rounds)
    return {"name": name, "against": reference_name, "disturbed": disturbed,
            "rounds": len(rounds), "rounds_run": rounds_run or len(rounds), "figures": figures,
            "foreign": max(window["foreign"] for each in rounds for window in each.values()),
            "steal": max(window["steal"] for each in rounds for window in each.values()),
            "bars": judge(figures, bars(figures) if callable(bars) else bars),
            "windows": rounds}


def fact_of(name, value, unit, bars=()):
    """A single figure, not one of windows."""
    return {"name": name, "value": value, "unit": unit,
            "bars": judge({"value": value}, [Bar("value", rule, bound) for rule, bound in bars])}


def error_of(name, text):
    return {"name": name, "error": text, "bars": []}


def nexus_write_bar(figures):
    """CPU of one write to three remote copies where nexus and copies share a core. Ideal: the
    floor's server once for the host, and its client and server once for each copy. With the
    constants of the floor it is 3.9 us and the bar 4.5 us; on a slower machine the same share."""
    floors = [(figures.get(side + "_cpu"), figures.get(side + "_client_cpu"))
              for side in ("reference", "sleeping")]
    ideals = [server + 3 * (client + server) for server, client in floors
              if server is not None and client is not None]
    if not ideals:
        return [at_most("cpu", 4.5)]
    return [at_most("cpu", round(4.5 * max(1.0, min(ideals) / 3.9), 2))]


# The table.

COLUMNS = (("what", 40), ("against", 14), ("IOPS", 9), ("(ref)", 9), ("ratio", 6), ("of uq", 6),
           ("p50 us", 8), ("(ref)", 8), ("p99 us", 8), ("(ref)", 8), ("CPU us", 7), ("(ref)", 7),
           ("calls", 7), ("(ref)", 7), ("rounds", 7))
SHOWN = {"iops_ratio": "IOPS", "p50_ratio": "p50", "p99_ratio": "p99", "cpu_ratio": "CPU",
         "sleeping_cpu_ratio": "CPU/sleeping floor", "cpu": "CPU us", "tail": "p99/p50",
         "value": ""}


def head():
    cells = [text.ljust(width) if i < 2 else text.rjust(width)
             for i, (text, width) in enumerate(COLUMNS)]
    return " ".join(cells) + "  bar"


def number(value, digits, width):
    if value is None:
        return "-".rjust(width)
    return f"{value:,.{digits}f}".rjust(width)


def bars_text(bars):
    return "; ".join(
        f"{SHOWN.get(bar['what'], bar['what'])}{' ' if SHOWN.get(bar['what']) else ''}"
        + ("none" if bar["value"] is None else f"{bar['value']:.4g}")
        + f" {bar['rule']} {bar['bound']:g} {'ok' if bar['is_met'] else 'MISSED'}"
        for bar in bars)


def line_of(result):
    if "error" in result:
        return f"{result['name']:<40} NOT MEASURED: {result['error']}"
    if "value" in result:
        return (f"{result['name']:<40} {result['value']:>14,.4g} {result['unit']:<104} "
                f"{bars_text(result['bars'])}").rstrip()
    get = result["figures"].get
    cells = [result["name"].ljust(40), result["against"].ljust(14),
             number(get("iops"), 0, 9), number(get("reference_iops"), 0, 9),
             number(get("iops_ratio"), 2, 6), number(get("iops_quartiles"), 2, 6),
             number(get("p50"), 1, 8), number(get("reference_p50"), 1, 8),
             number(get("p99"), 1, 8), number(get("reference_p99"), 1, 8),
             number(get("cpu"), 2, 7), number(get("reference_cpu"), 2, 7),
             number(get("calls"), 3, 7), number(get("reference_calls"), 3, 7),
             f"{result['rounds']}/{result['rounds_run']}".rjust(7)]
    text = " ".join(cells) + "  " + bars_text(result["bars"])
    return text + ("  disturbed" if result["disturbed"] else "")


def verdict(results):
    """What the last line says: bars met, bars missed, rows without a figure."""
    bars = [bar for result in results for bar in result["bars"]]
    met = sum(bar["is_met"] for bar in bars)
    return met, len(bars) - met, sum("error" in result for result in results)
