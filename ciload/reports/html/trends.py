"""The page of trends: every metric of every endpoint over the runs, with what the gate found marked in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ciload.reports.html.links import commit_link, commits_of, commits_of_run, plain_link
from ciload.reports.html.page import page
from ciload.result.trends import TrendDrift, TrendKind, TrendRun, TrendSeries
from ciload.text import one_line
from ciload.version import __version__

STYLES = ("vendored/uPlot.min.css", "style.css")
SCRIPTS = ("vendored/uPlot.iife.min.js", "charts.js", "trends.js")
DIGITS = 5  # more than any of these numbers has
SHORT_COMMIT = 8
LONGEST_REASON = 1_000


def trends_page(kinds: Sequence[TrendKind], *, repository: str = "", made: datetime) -> str:
    """The page.

    Args:
        kinds: in the order in which they are offered.
        repository: where commits can be looked at; by default where each run says that it was made.
        made: now, as it is shown.
    """
    names = list(dict.fromkeys(_name(kind) for kind in kinds))
    title = f"Trends: {', '.join(names[:3])}{' …' * (len(names) > 3)}" if names else "Trends"
    data = {
        "title": title,
        "made": f"{made:%Y-%m-%d %H:%M} UTC by ciload {__version__}",
        "kinds": [_kind(kind, repository) for kind in kinds],
    }
    return page(title, STYLES, SCRIPTS, data)


def _name(kind: TrendKind) -> str:
    return one_line(kind.fingerprint.scenario.removeprefix("name:"), 60)


def _kind(kind: TrendKind, repository: str) -> dict[str, Any]:
    facts = kind.fingerprint
    return {
        "name": _name(kind),
        "facts": [
            [name, one_line(value)]
            for name, value in facts
            if name != "scenario"
        ],
        "runs": [_run(run, repository) for run in kind.runs],
        "levels": [
            {
                "number": each.number, "first": each.first, "last": each.last, "byItself": each.by_itself,
                "by": one_line(each.by, 60), "reason": one_line(each.reason, LONGEST_REASON),
            }
            for each in kind.levels
        ],
        "moved": kind.moved,
        "shifted": kind.shifted,
        "drifts": [_drift(each) for each in kind.drifts],
        "series": [_series(each) for each in kind.series],
    }  # fmt: skip


def _run(run: TrendRun, repository: str) -> dict[str, Any]:
    commits = commits_of(repository) if repository else commits_of_run(run.url)
    return {
        "id": one_line(run.run_id, 12), "at": int(run.at.timestamp()), "commit": one_line(run.commit)[:SHORT_COMMIT],
        "commitLink": commit_link(run.commit, commits), "link": plain_link(run.url), "branch": one_line(run.branch, 60),
        "state": run.state, "alarm": run.alarm, "level": run.level, "why": one_line(run.why),
    }  # fmt: skip


def _drift(drift: TrendDrift) -> dict[str, Any]:
    found = drift.found
    return {
        "metric": found.metric, "from": _number(found.first), "to": _number(found.last), "change": found.change,
        "runs": found.runs, "first": drift.first, "last": drift.last,
    }  # fmt: skip


def _series(series: TrendSeries) -> dict[str, Any]:
    return {
        "endpoint": one_line(series.label) if series.endpoint or series.method else "", "metric": series.metric,
        "unit": series.unit, "worse": series.worse, "values": list(map(_number, series.values)),
        "means": list(map(_number, series.means)), "old": _number(series.old),
    }  # fmt: skip


def _number(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
