"""How much of a side-by-side run's beginning is a target's warm-up, as its blocks show it.

A copy that was just started is slower until its caches are filled and its code is compiled. That is no regression; but
it lasts as long as it lasts, whatever `--warmup` says. The beginning is left out as far as it differs from the rest by
more than chance explains: at one target alone, or in the difference between the two. Only what comes down counts as
warm-up of a target, so that a target that becomes slower later on is not taken for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ciload.gate.metrics import RESOLUTION

Floats = NDArray[np.float64]

LEAST_AFTER = 5  # blocks that a beginning is compared with
CERTAIN = 0.001
LEAST_DRIFT = 0.05  # of the logarithm of the ratio of both, from the beginning to the end
LEAST_FALL = 0.25  # of the logarithm of a target's latency


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The first blocks of a run.

    Attributes:
        blocks: that are to be left out.
        unfinished: it had not come to an end when half of the run was over, or still goes on at the end.
    """

    blocks: int = 0
    unfinished: bool = False


def find_warm_up(
    new: Sequence[float], old: Sequence[float], difference: Sequence[float], certain: float = CERTAIN
) -> WarmUp:
    """Look for the warm-up of either target.

    Args:
        new: logarithm of a typical latency of each block, at the new target.
        old: likewise.
        difference: new against old, of the same blocks.
        certain: chance of taking a part of a steady run for its warm-up.

    Source: the split with the largest standardised difference of means (Hinkley, Inference about the Change-Point in a
    Sequence of Random Variables, Biometrika 57(1), 1970), tested with an error that allows for neighbours being alike.
    """
    series = [np.asarray(each, dtype=float) for each in (new, old, difference)]
    count, cut, apart = len(difference), 0, 0
    while count - cut >= 2 * LEAST_AFTER:
        new_falls, old_falls, falls = (_Falls(each[cut:], certain) for each in series)
        # The difference shows a target that comes down even while the machine draws both up and down.
        found = max(
            falls.beginning((falls.heights > 0) & (new_falls.heights > 0)),
            falls.beginning((falls.heights < 0) & (old_falls.heights > 0)),
        )
        of_new, of_old, between = (each[cut:] for each in series)
        # One target comes down towards the other, by its own doing: what a split leaves of a curve.
        if not found and (_both_fall(between, of_new, certain) or _both_fall(-between, of_old, certain)):
            found = 1
        apart += found
        if not found:
            # What both have in common does no harm to the comparison: it is left out when it is large and short.
            found = max(each.beginning(each.heights > LEAST_FALL) for each in (new_falls, old_falls))
            found = found if 2 * (cut + found) <= count else 0
        if not found:
            break
        cut += found
    # What is left of a warm-up where it can no longer be seen is still a few percent: after as long again, it is not.
    return WarmUp(min(cut + apart, count), unfinished=2 * cut + apart > count)


def _both_fall(difference: Floats, target: Floats, certain: float) -> bool:
    return _falls_on(difference, certain) and _falls_on(target, certain)


def _falls_on(values: Floats, certain: float) -> bool:
    """Whether a series comes down from its beginning to its end, all the time and by more than chance explains."""
    n = len(values)
    if n < 2 * LEAST_AFTER:
        return False
    at = np.arange(n) - (n - 1) / 2
    slope = float((at * values).sum() / (at**2).sum())
    if -slope * n < LEAST_DRIFT:
        return False
    rest = values - values.mean() - slope * at
    kept, squares = _kept(rest), float((rest**2).sum())
    df = max((n - 2) * kept, 1.0)
    error = float(np.sqrt(squares / df / (at**2).sum()))
    return error == 0 or float(special.stdtr(df, slope / error * np.sqrt(kept))) < certain


def _kept(rest: Floats) -> float:
    """What part of so many values counts, given that neighbours are alike: 1 where they are not."""
    squares = float((rest**2).sum())
    likeness = float((rest[1:] * rest[:-1]).sum()) / squares if squares > 0 else 0.0
    return (1 - likeness) / (1 + likeness) if likeness > 0 else 1.0


class _Falls:
    """How far the first values of a series lie above the others, for every number of first values."""

    def __init__(self, values: Floats, certain: float) -> None:
        self._values = values
        self._certain = certain
        self._sizes = np.arange(1, len(values) - LEAST_AFTER + 1)
        before = np.cumsum(values)[self._sizes - 1]
        self.heights = before / self._sizes - (values.sum() - before) / (len(values) - self._sizes)

    def beginning(self, wanted: NDArray[np.bool_]) -> int:
        """How many of the first values differ from the others by more than chance explains; 0 for none."""
        n, sizes = len(self._values), self._sizes
        weights = np.sqrt(sizes * (n - sizes) / n)
        standardised = np.where(wanted, np.abs(self.heights) * weights, 0.0)
        at = int(np.argmax(standardised))
        size = int(sizes[at])
        parts = self._values[:size], self._values[size:]
        rest = np.concatenate([part - part.mean() for part in parts])
        squares = float((rest**2).sum())
        kept = _kept(rest)
        df = (n - 2) * kept
        error = float(np.sqrt(squares / max(df, 1.0)))
        t = float(standardised[at]) / error if error > 0 else float(np.inf if standardised[at] > RESOLUTION else 0)
        chance = special.stdtr(max(df, 1.0), -t * np.sqrt(kept)) * len(sizes)
        return size if chance < self._certain else 0
