"""Slow drift on the default branch: the anchor beside Apache Otava's change points. `python -m benchmarks.drift`.

Otava (https://otava.apache.org) is the field's own tool: E-divisive splits with a t test. It is measured if it can be
imported, from an environment of its own, since it pins NumPy and brings clients of BigQuery, PostgreSQL and Slack:

    python -m venv other && other/bin/pip install apache-otava . && other/bin/python -m benchmarks.drift
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ciload.gate.document import WINDOW
from ciload.gate.drift import drift_of
from ciload.gate.levels import ANCHOR

Floats = NDArray[np.float64]
Found = Callable[[Sequence[float]], bool]

SERIES = 200
RUNS = 60
TOLERANCE = 0.10
SPREADS = (0.01, 0.02, 0.03, 0.05, 0.10)


def drifting(rng: np.random.Generator, spread: float, every: int, runs: int = RUNS) -> Floats:
    """Log values of runs that become 8% slower after every so many; never with 0."""
    noise = spread * rng.standard_normal(runs)
    return noise + math.log(1.08) * (np.arange(runs) // every if every else 0)


def by_the_anchor(series: Sequence[float]) -> bool:
    """What the gate warns of, with the runs that a baseline keeps."""
    kept = [*series[:ANCHOR], *series[max(ANCHOR, len(series) - WINDOW) :]]
    risen = drift_of(kept)
    return risen is not None and risen >= math.log1p(TOLERANCE)


def by_otava(least: float) -> Found | None:
    """Change points for the worse of this size at least, with Otava's own settings else; None if it is not there."""
    try:
        compute = importlib.import_module("otava.analysis").compute_change_points
    except ImportError:
        return None

    def found(series: Sequence[float]) -> bool:
        points, _ = compute(np.exp(series).tolist(), window_len=50, max_pvalue=0.001, min_magnitude=least)
        return any(each.stats.mean_2 > each.stats.mean_1 for each in points)

    return found


def first_warning(series: Floats, found: Found) -> int | None:
    """After how many runs it is found, when it is asked after each."""
    return next((runs for runs in range(3, len(series) + 1) if found(series[:runs].tolist())), None)


def main() -> None:
    """Print how often each rule warns."""
    rules = {"anchor": by_the_anchor, "otava": by_otava(0.0), "otava, 10% or more": by_otava(TOLERANCE)}
    print(f"{'':20} {'spread':>7} {'found by run 30':>16} {'middle':>7} {'false in 60 runs':>17}")
    for name, found in rules.items():
        if found is None:
            print(f"{name:20} not installed")
            continue
        for spread in SPREADS:
            seeds = [np.random.default_rng(seed) for seed in range(SERIES)]
            drift = [first_warning(drifting(rng, spread, 10, 40), found) for rng in seeds]
            none = [first_warning(drifting(rng, spread, 0), found) for rng in seeds]
            by_30 = sum(each is not None and each <= 30 for each in drift) / SERIES
            middle = float(np.median([math.inf if each is None else each for each in drift]))
            false = sum(each is not None for each in none) / SERIES
            print(f"{name:20} {spread:7.0%} {by_30:16.1%} {middle:7g} {false:17.1%}")


if __name__ == "__main__":
    main()
