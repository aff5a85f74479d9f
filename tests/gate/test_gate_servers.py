"""The campaign of real runs: what it does next, and how it counts."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from benchmarks.counted import add, read, wilson
from benchmarks.gate_servers import CELLS, KINDS, Cell, alarms, judge_again, next_cell, table
from tests.gate.test_side_by_side import pair, run


def line(cell: Cell, **changes: Any) -> dict[str, Any]:
    """A run that found nothing."""
    facts = {
        "run": f"1-{cell}", "kind": cell.kind, "workers": cell.workers, "server": cell.server, "of_most": 0.3,
        "verdict": "ok", "metrics": [["p50", "", "ok", 0.01, 0.4, 0.05]],
    }  # fmt: skip
    return facts | changes


def test_cells_take_turns() -> None:
    """Whichever is furthest behind its goal is next, until all are there."""
    lines: list[dict[str, Any]] = []
    while cell := next_cell(CELLS, lines):
        lines.append(line(cell))
        done = [sum(each["kind"] == name for each in lines) / KINDS[name].goal / 6 for name in KINDS]
        assert max(done) - min(done) < 0.11  # one run of those that are to be made ten times is a tenth

    assert len(lines) == 6 * sum(kind.goal for kind in KINDS.values())


def test_a_line_that_was_cut_off_is_not_there(tmp_path: Path) -> None:
    """A campaign that was killed while it wrote goes on after the last whole line."""
    file = tmp_path / "lines.jsonl"
    add(file, {"run": 1})
    with file.open("a") as cut:
        cut.write('{"ru')

    assert read(file) == [{"run": 1}]
    add(file, {"run": 2})
    assert read(file) == [{"run": 1}, {"run": 2}]
    assert read(tmp_path / "none") == []


def test_alarms_by_tolerance() -> None:
    """A regression of 5% is one without a tolerance alone; one whose size is not told is always one."""
    small, untold, failures = (
        line(CELLS[0], metrics=[[metric, "", "regression", change, 0.001, 0.05]])
        for metric, change in (("p50", 0.05), ("p50", None), ("failed requests", 0.01))
    )

    assert [alarms(each, 0.0) for each in (line(CELLS[0]), small, untold, failures)] == [False, True, True, True]
    assert [alarms(each, 0.1) for each in (line(CELLS[0]), small, untold, failures)] == [False, False, True, True]
    assert any("1 of 3" in row for row in table([line(CELLS[0]), line(CELLS[0]), small]))


def test_kept_runs_are_judged_again(tmp_path: Path) -> None:
    """With this gate's verdict instead of that of the day; runs that were not kept stay as they are."""
    kept, lost = line(CELLS[0], run="kept"), line(CELLS[0], run="lost")
    (tmp_path / "kept.json.gz").write_bytes(
        gzip.compress(run(*pair(factor=1.5)).model_dump_json(by_alias=True).encode())
    )

    again = list(judge_again([kept, lost], tmp_path))

    assert again[0]["verdict"] == "regression"
    assert alarms(again[0], 0.1)
    assert again[1] == lost


@pytest.mark.parametrize(("found", "among", "interval"), [(0, 40, (0.0, 0.0876)), (3, 40, (0.0258, 0.1986))])
def test_wilson(found: int, among: int, interval: tuple[float, float]) -> None:
    """As in Brown, Cai and DasGupta, Statistical Science 16(2), 2001."""
    assert wilson(found, among) == pytest.approx(interval, abs=1e-3)
