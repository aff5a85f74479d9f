"""What side by side finds in recorded runs of two equal copies, on a machine that other work used as well.

To make runs that have not changed, which copy is called new is drawn for every five seconds, so that whatever one copy
had against the other cancels; to make changed ones, what is called new then takes so much longer.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ciload.gate.side_by_side import compare_blocks
from ciload.gate.verdicts import Terms
from ciload.result.comparison import GateVerdict
from ciload.result.document import BlockRow, Blocks

RUNS: list[Any] = json.loads((Path(__file__).parent / "pair-traces.json").read_text())["runs"]
CHUNK_S = 5


def blocks(seconds: list[Any], swapped: list[bool], change: float) -> Blocks:
    """Blocks of 1 s: the copy that is called new is the second one, or where it is swapped the first."""
    new, old, new_first, old_first = list[Any](), list[Any](), list[Any](), list[Any]()
    for (x, y, x_first, y_first), is_swapped in zip(seconds, swapped, strict=True):
        new.append(x if is_swapped else y)
        old.append(y if is_swapped else x)
        # Ratios of pairs are x to y: turned round where y is the new one.
        ours, theirs = (x_first, y_first) if is_swapped else (y_first, x_first)
        sign = 1 if is_swapped else -1
        for place, (count, ratio, spread) in ((new_first, ours), (old_first, theirs)):
            place.append((count, None if ratio is None else (1 + change) * math.exp(sign * ratio), spread))

    def row(arm: Any, rows: list[Any], factor: float, **more: Any) -> BlockRow:
        requests, avg, p5, p50, p95, p99 = (list(each) for each in zip(*rows, strict=True))
        times = {"avg": avg, "p5": p5, "p50": p50, "p95": p95, "p99": p99}
        scaled: dict[str, Any] = {name: [factor * each for each in values] for name, values in times.items()}
        return BlockRow(name="", arm=arm, requests=requests, failed=[0] * len(rows), **scaled, **more)

    pairs: dict[str, Any] = {
        f"{name}_{order}": [each[place] for each in rows]
        for order, rows in (("new_first", new_first), ("old_first", old_first))
        for place, name in enumerate(("pairs", "ratio", "spread"))
    }
    return Blocks(span_s=1.0, count=len(seconds), rows=[row("new", new, 1 + change, **pairs), row("old", old, 1.0)])


def alarms(length_s: int, change: float, draws: int) -> float:
    """The share of runs with a regression, all metrics together, without tolerance."""
    rng = np.random.default_rng(length_s)
    found = []
    for seconds in RUNS:
        for start in range(0, len(seconds), length_s):
            for _ in range(draws):
                coins = np.repeat(rng.random(length_s // CHUNK_S) < 0.5, CHUNK_S).tolist()
                metrics = compare_blocks(
                    [blocks(seconds[start : start + length_s], coins, change)], Terms(tolerance=0.0)
                )
                found.append(any(each.verdict is GateVerdict.REGRESSION for each in metrics))
    return float(np.mean(found))


@pytest.mark.parametrize(("length_s", "draws"), [(20, 10), (60, 25)])
def test_unchanged_runs_seldom_alarm(length_s: int, draws: int) -> None:
    """Of 360 and 300, at most 1.5% and what chance may add to 1%."""
    assert alarms(length_s, 0.0, draws) <= 0.02


@pytest.mark.parametrize(
    ("length_s", "change", "least"), [(20, 0.05, 0.45), (20, 0.10, 0.68), (60, 0.05, 0.78), (60, 0.10, 0.95)]
)
def test_changes_are_found(length_s: int, change: float, least: float) -> None:
    """On a noisy machine. A plain t test on the blocks' medians found 41, 62, 52 and 82%."""
    assert alarms(length_s, change, 6 if length_s == 20 else 12) >= least
