"""Where a series of runs has most likely moved, and which runs of it lie beside the others."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ciload.gate.metrics import RESOLUTION
from ciload.gate.statistics import noise_of_neighbours

FAR = 3.64  # standard deviations: of normal runs 3 in 10,000
LEAST_BEFORE = 4  # runs that tell how much runs differ
LEAST_AFTER = 3  # runs of which the middle one is not the odd one


Floats = NDArray[np.float64]


class Split(NamedTuple):
    """The first index after the move, and which of the series shows it best."""

    at: int
    shown_by: int


def best_split(series: Sequence[Sequence[float]], first: int, latest: int) -> Split:
    """The split into two levels that explains the runs best, in the series in which it explains most.

    Args:
        series: log values of the same runs in time order, one series for each metric.
        first: where the split is if no other explains more.
        latest: this run is at the new level, so the split is not after it. From 1 on, as one run at least is before.

    Source: the likelihood ratio of two means with one variance; Hawkins, Testing a Sequence of Observations for a Shift
    in Location, JASA 72(357), 1977.
    """
    found = (_best(np.asarray(values, dtype=float), first, latest, number) for number, values in enumerate(series))
    return max(found, key=lambda pair: pair[0])[1]


def _best(values: Floats, first: int, latest: int, number: int) -> tuple[float, Split]:
    noise = len(values) * RESOLUTION**2  # values that are equal to the last digit prove no more than the clock knows
    together = _squares(values) + noise
    gains = [together / (_squares(values[:at]) + _squares(values[at:]) + noise) for at in range(1, latest + 1)]
    best = max(range(1, latest + 1), key=lambda at: (gains[at - 1], at == first))
    return gains[best - 1], Split(best, number)


def _squares(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())


def strays(before: Sequence[float], after: Sequence[float]) -> list[int]:
    """Runs after a split, by index, that are further from the middle of the others than noise takes them.

    Nobody knows with few runs: then there are none.
    """
    if len(before) < LEAST_BEFORE or len(after) < LEAST_AFTER:
        return []
    middle = statistics.median(after)
    far = FAR * max(noise_of_neighbours(before), RESOLUTION)
    return [index for index, value in enumerate(after) if abs(value - middle) > far]
