"""Runs over time as CSV, for spreadsheets and for tools that look for changes in series, such as Apache Otava."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC

from ciload.result.trends import TrendKind, TrendRun
from ciload.text import one_line

ATTRIBUTES = ("time", "commit", "branch", "run", "alarm", "accepted", "level")
DIGITS = 7
# A spreadsheet takes a cell that begins with one of these for a formula, which may run programs.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def trends_csv(kind: TrendKind) -> str:
    """A row for each run that is a measure, oldest first, and a column for each metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{each.label} {each.metric}" if each.endpoint or each.method else each.metric for each in kind.series]
    writer.writerow([*ATTRIBUTES, *_each_once(map(_text, names))])
    for number, run in enumerate(kind.runs):
        if run.state != "tainted":
            values = (each.values[number] for each in kind.series)
            writer.writerow([*_attributes(run), *("" if value is None else f"{value:.{DIGITS}g}" for value in values)])
    return text.getvalue()


def _attributes(run: TrendRun) -> list[str]:
    accepted = "yes" if run.state in ("level", "accepted") else "no"
    at = run.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    level = str(run.level) if run.level else ""
    return [at, _text(run.commit), _text(run.branch), _text(run.run_id), run.alarm, accepted, level]


def _text(text: str) -> str:
    """Text of others: one line, and no formula. An apostrophe is how spreadsheets are told that a cell is text."""
    line = one_line(text)
    return f"'{line}" if line.startswith(FORMULA) else line


def _each_once(names: Iterable[str]) -> Iterator[str]:
    """Columns are known by name, so none has the name of another, as two that were cut to one length might."""
    seen = set(ATTRIBUTES)
    for name in names:
        each, count = name, 1
        while each in seen:
            count += 1
            each = f"{name} ({count})"
        seen.add(each)
        yield each
