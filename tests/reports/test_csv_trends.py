"""Runs as CSV."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ciload.reports.csv_trends import trends_csv
from ciload.result.document import Fingerprint
from ciload.result.trends import TrendKind, TrendRun, TrendSeries

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
RUN = TrendRun("run-1", AT, "0123abc", "main", "", "level", "", 1, "")
SERIES = TrendSeries("", "", "p95", "ms", 1, [10.25], [10.0], None)
FINGERPRINT = Fingerprint(scenario="name:shop", load="", target="", runner="", ciload="")


def rows(*runs: TrendRun, series: list[TrendSeries] | None = None) -> list[dict[str, str]]:
    kind = TrendKind(FINGERPRINT, runs, [], series or [SERIES], None, False, [])
    return list(csv.DictReader(trends_csv(kind).splitlines()))


def test_a_row_for_each_run() -> None:
    """Its time, what it is of, what became of it, and its numbers."""
    assert rows(RUN) == [
        {
            "time": "2026-11-30T12:00:00Z", "commit": "0123abc", "branch": "main", "run": "run-1", "alarm": "",
            "accepted": "yes", "level": "1", "p95": "10.25",
        }
    ]  # fmt: skip
    [alarm] = rows(replace(RUN, state="open", alarm="worse", level=0))
    assert (alarm["alarm"], alarm["accepted"], alarm["level"]) == ("worse", "no", "")


def test_runs_that_are_no_measure_are_left_out() -> None:
    """They would be change points of whoever looks for some."""
    assert rows(replace(RUN, state="tainted")) == []


def test_gaps_are_empty() -> None:
    """An endpoint that a run did not have is no 0."""
    [row] = rows(RUN, series=[SERIES, replace(SERIES, endpoint="/x", method="GET", values=[None])])
    assert row["GET /x p95"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(text: str) -> None:
    """Names, commits and branches are others' text; a spreadsheet must not run them."""
    hostile = replace(SERIES, endpoint=text)
    [row] = rows(replace(RUN, commit=text, branch=text, run_id=text), series=[hostile])

    assert [row[name] for name in ("commit", "branch", "run")] == [f"'{text}"] * 3
    assert f"'{text} p95" in row


def test_text_stays_in_its_cell() -> None:
    """Quotes, commas and line breaks are no structure."""
    hostile = replace(SERIES, endpoint='a,"b"\n=c')
    [row] = rows(replace(RUN, branch='x",\r\n=1'), series=[SERIES, hostile])

    assert row["branch"] == 'x", =1'
    assert row['a,"b" =c p95'] == "10.25"


def test_columns_have_different_names() -> None:
    """Otherwise one would hide the other; none hides an attribute."""
    twice = replace(SERIES, endpoint="x" * 300)
    names = list(rows(RUN, series=[twice, replace(twice, endpoint="x" * 301)])[0])

    assert len(names) == len(set(names)) == 9
    assert names[-1].endswith("(2)")


def test_times_are_in_utc() -> None:
    """Whatever zone they come in."""
    [row] = rows(replace(RUN, at=AT.astimezone(timezone(timedelta(hours=2)))))
    assert row["time"] == "2026-11-30T12:00:00Z"
