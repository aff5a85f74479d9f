"""The one table that everybody reads: what changed or failed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ciload.reports.comparison import NONE, changes_of, interval_cell, label
from ciload.reports.findings import limit_value, measured, old_name
from ciload.reports.format import format_share, format_short
from ciload.reports.gfm import KIB, Row, code, prose, rows_within
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import Check, RunResult, ThresholdResult

MOST_ROWS = 10
BUDGET = 12 * KIB
LONGEST_LABEL = 36
RED, YELLOW, GREEN = "🔴", "🟡", "🟢"
MARKS = {GateVerdict.REGRESSION: RED, GateVerdict.SUSPICIOUS: YELLOW, GateVerdict.IMPROVED: GREEN}
SIDE_BY_SIDE = "side by side"
LIMIT = "limit "
NO_BREAK = "\u00a0"


@dataclass(frozen=True, slots=True)
class Change:
    """A row, as markdown. `before` is the old value, or what was asked for."""

    mark: str
    what: str
    before: str
    now: str
    change: str = ""
    plausible: str = ""


def changes_table(result: RunResult, share: float = 1.0) -> str:
    """The table, and how many rows there are besides; "" if nothing changed or failed."""
    compared = [each for each in result.comparisons if any(metric.verdict in MARKS for metric in each.metrics)]
    found = [*_changes(result, compared)]
    now = "this PR" if result.ci.pull_request else "this run"
    rows: Iterator[Row]
    if compared:
        before = prose(old_name(compared[0]).removeprefix("the ")) if len(compared) == 1 else "before"
        columns: Row = ("<", "Metric", f">{before}", f">{now}", ">Change", "<plausible range")
        rows = ((each.mark, each.what, each.before, each.now, each.change, each.plausible) for each in found)
    else:
        columns = ("<", "What", ">limit", f">{now}")
        rows = ((each.mark, each.what, each.before.removeprefix(LIMIT), each.now) for each in found)
    table, more = rows_within(columns, rows, len(found), MOST_ROWS, int(BUDGET * share))
    note = f"… and {more:,} more below" if more else ""
    return "\n\n".join(filter(None, [table, note]))


def _changes(result: RunResult, compared: list[Comparison]) -> Iterator[Change]:
    """What failed the run, then what may have got worse, then what got better; all requests before endpoints."""
    yield from (_threshold(each, RED) for each in result.thresholds if each.fails)
    yield from _metrics(compared, GateVerdict.REGRESSION)
    yield from _metrics(compared, GateVerdict.SUSPICIOUS)
    yield from (_threshold(each, YELLOW) for each in result.thresholds if each.warns)
    yield from (_check(each) for each in sorted(result.checks, key=lambda each: -each.fails) if each.fails)
    yield from _metrics(compared, GateVerdict.IMPROVED)


def _metrics(compared: list[Comparison], verdict: GateVerdict) -> Iterator[Change]:
    for comparison in compared:
        which = f", {SIDE_BY_SIDE}" if len(compared) > 1 and comparison.gate == SIDE_BY_SIDE else ""
        found = [each for each in comparison.metrics if each.verdict is verdict]
        yield from (_metric(each, which) for each in sorted(found, key=_first_of_all))


def _first_of_all(metric: GatedMetric) -> tuple[bool, float]:
    return metric.endpoint != "", -abs(metric.change or 0.0)


def _metric(metric: GatedMetric, which: str) -> Change:
    of_all = not metric.endpoint
    change, now = _number(changes_of(metric, metric.change)[0]), _number(format_short(metric.new, metric.unit))
    return Change(
        MARKS[metric.verdict],
        f"{'**all requests**' if of_all else code(label(metric, LONGEST_LABEL))} {metric.metric}{which}",
        _number(format_short(metric.old, metric.unit)),
        f"**{now}**" if of_all else now,
        f"**{change}**" if of_all and change != NONE else change,
        _number(interval_cell(metric)),
    )


def _threshold(threshold: ThresholdResult, mark: str) -> Change:
    window = "" if threshold.window_s is None else f" over {threshold.window_s:g} s"
    what = f"{code(threshold.metric, LONGEST_LABEL)} {prose(threshold.aggregation)}{window}"
    asked = f"{LIMIT}{_number(f'{threshold.operator} {limit_value(threshold)}')}"
    return Change(mark, what, asked, f"**{_number(measured(threshold))}**")


def _check(check: Check) -> Change:
    total = check.passes + check.fails
    failed = f"{format_share(check.fails, total)} failed"
    return Change(YELLOW, f"check {code(check.name, LONGEST_LABEL)}", "", _number(failed))


def _number(text: str) -> str:
    """What is not to be torn apart at a space: cells are narrow."""
    return prose(text).replace(" ", NO_BREAK)
