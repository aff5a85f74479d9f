"""Two results side by side, as they are: what a comparison begins with that cannot tell a change from noise."""

from __future__ import annotations

from collections.abc import Iterator

from ciload.reports.comparison import NONE, short
from ciload.reports.format import format_share, format_value
from ciload.reports.terminal import Grid, Printable, grid, heading, line
from ciload.result.comparison import points, relative
from ciload.result.document import Distribution, Endpoint, RunResult
from ciload.text import request_label

COLUMNS = ("", "", "old", "new", "change")
MOST_ENDPOINTS = 12
LONGEST_LABEL, LONGEST_NAME = 48, 60
ALL = "all requests"


def describe_difference(old: RunResult, new: RunResult, old_name: str, new_name: str) -> Iterator[Printable]:
    """Times, failures and rates of all requests and of each endpoint, the busiest first."""
    yield heading("DIFFERENCE", f"  {short(old_name, LONGEST_NAME)} → {short(new_name, LONGEST_NAME)}")
    table = grid(COLUMNS, right_from=2)
    _add_all_requests(table, old, new)
    before = {(each.method, each.name): each for each in old.endpoints}
    shared = [(before[key], each) for each in new.endpoints if (key := (each.method, each.name)) in before]
    if len(before) > 1 or len(new.endpoints) > 1:  # a single one would be all requests once more
        for one, other in shared[:MOST_ENDPOINTS]:
            _add_endpoint(table, one, other)
    yield table
    if (more := len(shared) - MOST_ENDPOINTS) > 0:
        yield line(f"    … and {more} more endpoints")
    for where, count in ((old_name, len(before) - len(shared)), (new_name, len(new.endpoints) - len(shared))):
        if count:
            yield line(f"    {count} endpoint{'s' * (count > 1)} in {short(where, LONGEST_NAME)} only")


def _add_all_requests(table: Grid, old: RunResult, new: RunResult) -> None:
    trends = [_trend(each) for each in (old, new)]
    for index, (name, part) in enumerate((("mean", "avg"), ("p50", "med"), ("p95", "p95"))):
        times = [getattr(each, part) if each else None for each in trends]
        _add(table, ALL if index == 0 else "", name, times[0], times[1], "ms")
    if _failures(old)[0] or _failures(new)[0]:
        _add_shares(table, "failed", _failures(old), _failures(new))
    rates = [counted.rate if (counted := each.counted) else None for each in (old, new)]
    _add(table, "", "operations/s" if new.of_operations else "requests/s", rates[0], rates[1], "/s")


def _trend(result: RunResult) -> Distribution | None:
    duration = result.duration
    return duration.trend if duration else None


def _failures(result: RunResult) -> tuple[int, int]:
    failed = result.failed
    passes, fails = (failed.passes or 0, failed.fails or 0) if failed else (0, 0)
    return passes, passes + fails  # a "pass" of this metric is a failed request


def _add_endpoint(table: Grid, old: Endpoint, new: Endpoint) -> None:
    label = short(request_label(new.method, new.name), LONGEST_LABEL)
    for name, part in (("p50", "med"), ("p95", "p95")):
        times = [getattr(each.duration, part) if each.duration else None for each in (old, new)]
        _add(table, label if name == "p50" else "", name, times[0], times[1], "ms")
    if old.failed or new.failed:
        _add_shares(table, "failed", (old.failed, old.requests), (new.failed, new.requests))


def _add(table: Grid, label: str, name: str, old: float | None, new: float | None, unit: str) -> None:
    table.add_row("", label, name, format_value(old, unit), format_value(new, unit), _change(old, new))


def _add_shares(table: Grid, name: str, old: tuple[float, float], new: tuple[float, float]) -> None:
    known = old[1] and new[1]
    change = points(new[0] / new[1] - old[0] / old[1]) if known else NONE
    table.add_row("", "", name, format_share(*old), format_share(*new), change)


def _change(old: float | None, new: float | None) -> str:
    return NONE if old is None or new is None or old <= 0 or new < 0 else relative(new / old - 1)
