"""Results that somebody else wrote: refused in one line, or as good as our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciload.ci.sticky import comment_text, marker_of
from ciload.errors import BaselineError, UsageError
from ciload.reports.console import console_summary
from ciload.result.document import RunResult
from ciload.result.reader import read_result
from ciload.runner.report_files import REPORTS
from tests.reports.results import result

GOOD = result()
NUMBERS: list[object] = [0, -1, 1e308, -1e308, 5e-324, 1 << 62, 10**25, 1e999]
EXTREMES = [*NUMBERS, None, "", "\x1b[2J\n::error::", [], {}, True]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, as the keys that lead there."""
    if at:
        yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in parts:
        yield from places(each, (*at, key))


PLACES = list(places(json.loads(GOOD.to_json())))


def changed(at: tuple[Any, ...], value: object) -> bytes:
    document = json.loads(GOOD.to_json())
    part = document
    for key in at[:-1]:
        part = part[key]
    part[at[-1]] = value
    return json.dumps(document).encode()


def test_our_own_is_read(tmp_path: Path) -> None:
    """What was written comes back."""
    (tmp_path / "result.json").write_text(GOOD.to_json())
    assert read_result(tmp_path / "result.json") == GOOD


@given(at=st.sampled_from(PLACES), value=st.sampled_from(EXTREMES))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_breaks_what_is_made_of_it(tmp_path: Path, at: tuple[Any, ...], value: object) -> None:
    """One wrong value anywhere: an error in one harmless line, or a result that every report can be made of."""
    path = tmp_path / "result.json"
    path.write_bytes(changed(at, value))
    try:
        read = read_result(path)
    except BaselineError as error:
        complaint = str(error)
    else:
        render_all(read)
        return
    assert complaint.isprintable()


def render_all(read: RunResult) -> None:
    assert comment_text(read, marker_of(read, "load", "test"), None)
    assert "\x1b" not in console_summary(read, [], color=False)
    for report in REPORTS.values():
        assert report.render(read)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(("load", "load_s"), 1e999), "numbers that are infinite"),
        (changed(("load", "load_s"), float("nan")), "numbers that are infinite"),
        (changed(("load", "iterations"), 10**25), "beyond any count"),
        (changed(("thresholds", 0, "operator"), "=~"), "operators that there are not"),
        (changed(("timeline", 0, "at_s"), -1e308), "runs backwards"),
        (changed(("timeline",), 5), "timeline: "),
        (b'{"options": ' + b"[" * 100_000, "is no result"),
        (b"[" + b"{}," * 2_000_000 + b"{}]", "more values than a result can"),
        (b" " * ((64 << 20) + 1), "larger than the 64 MiB"),
    ],
    ids=["infinite", "NaN", "count", "operator", "timeline", "type", "deep", "values", "bytes"],
)
def test_what_is_no_result_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    """With the file and the first mistake."""
    path = tmp_path / "result.json"
    path.write_bytes(data)
    with pytest.raises(BaselineError, match=message) as error:
        read_result(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A misspelt name is wrong usage."""
    with pytest.raises(UsageError, match="no such file"):
        read_result(tmp_path / "none.json")
