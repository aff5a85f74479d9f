"""Failures at two targets that were loaded in the same run: do more requests fail at the new one?

Given that some requests failed, each of them was as likely at either target if nothing has changed. But failures come
in bursts, so they count for less than their number: how much less, the spread between parts of the run tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy import special

from ciload.gate.metrics import FAILED_REQUESTS, LARGEST, Measure
from ciload.gate.paired_blocks import LEAST_BLOCKS, Pair
from ciload.gate.statistics import logit
from ciload.result.document import BlockRow

LEAST_WHOLE = 100  # requests, or checks, at each target: fewer say nothing about rare failures

Parts = Sequence[tuple[int, int]]  # of each part of a run: how many failed, of how many


@dataclass(frozen=True, slots=True)
class Counts:
    """Failures among all, at both targets."""

    new: int
    new_whole: int
    old: int
    old_whole: int


@dataclass(frozen=True, slots=True)
class ShareEstimate:
    """How much more of all fails at the new target, as a logarithm of the odds ratio: a quasi-binomial test.

    Attributes:
        counts: of failures.
        dispersion: how many failures count for one: 1 when they come independently.
        df: degrees of freedom that the dispersion was estimated with.

    Source: conditioning on the total, Przyborowski and Wilenski, Homogeneity of Results in Testing Samples from Poisson
    Series, Biometrika 31(3/4), 1940; exact intervals, Clopper and Pearson, Biometrika 26(4), 1934; dispersion by
    Pearson's X², McCullagh and Nelder, Generalized Linear Models, 4.5, 1989.
    """

    counts: Counts
    dispersion: float = 1.0

    @property
    def effect(self) -> float:
        each = self.counts
        return logit(each.new, each.new_whole) - logit(each.old, each.old_whole)

    @property
    def rise(self) -> float:
        """Chance of so many failures at the new target if nothing had changed."""
        return _at_least(self._new, self._old, self._expected)

    @property
    def fall(self) -> float:
        """Chance of so few."""
        return _at_least(self._old, self._new, 1 - self._expected)

    def interval(self, confidence: float = 0.90) -> tuple[float, float]:
        """Where the true effect is, with this two-sided confidence."""
        one_sided = (1 + confidence) / 2
        low = special.betaincinv(self._new, self._old + 1, 1 - one_sided) if self._new else 0.0
        high = special.betaincinv(self._new + 1, self._old, one_sided) if self._old else 1.0
        return _odds(low, self._expected), _odds(high, self._expected)

    def detectable(self, alpha: float, power: float = 0.80, tolerated: float = 0.0) -> float:
        """The smallest true effect that is found with this power.

        Square roots of counts have a variance of about 1/4 whatever their size (Anscombe, Biometrika 35(3/4), 1948).
        """
        beyond = -(special.ndtri(alpha) + special.ndtri(1 - power)) / math.sqrt(2)
        before = max(self._old, 0.5)
        found = 2 * math.log((math.sqrt(before) + beyond) / math.sqrt(before))
        return max(found, tolerated)

    @property
    def _new(self) -> float:
        return self.counts.new / self.dispersion

    @property
    def _old(self) -> float:
        return self.counts.old / self.dispersion

    @property
    def _expected(self) -> float:
        """The share of failures that are the new target's if nothing has changed."""
        return self.counts.new_whole / (self.counts.new_whole + self.counts.old_whole)


def share_estimate(measure: Measure, pairs: Sequence[Pair]) -> ShareEstimate:
    """Of all runs together, each cut into ten parts: bursts last longer than blocks."""
    parts = [(_in_tenths(_parts(measure, pair.new)), _in_tenths(_parts(measure, pair.old))) for pair in pairs]
    new, old = total(measure, *(pair.new for pair in pairs)), total(measure, *(pair.old for pair in pairs))
    arms = [each for pair in parts for each in pair]
    squares, df = map(sum, zip(*map(_pearson, arms), strict=True))
    return ShareEstimate(Counts(*new, *old), max(1.0, squares / df) if df else 1.0)


def total(measure: Measure, *rows: BlockRow) -> tuple[int, int]:
    """Failures, and among how many."""
    parts = [part for row in rows for part in _parts(measure, row)]
    return sum(part for part, _ in parts), sum(whole for _, whole in parts)


def _parts(measure: Measure, row: BlockRow) -> Parts:
    if measure is FAILED_REQUESTS:
        return list(zip(row.failed, row.requests, strict=False))
    return [(bad, good + bad) for good, bad in zip(row.checks_passed, row.checks_failed, strict=False)]


def _in_tenths(parts: Parts) -> Parts:
    return [(sum(part for part, _ in span), sum(whole for _, whole in span)) for span in _tenths(parts)]


def _tenths(parts: Parts) -> Iterator[Parts]:
    for index in range(LEAST_BLOCKS):
        yield parts[index * len(parts) // LEAST_BLOCKS : (index + 1) * len(parts) // LEAST_BLOCKS]


def _pearson(parts: Parts) -> tuple[float, int]:
    """Pearson's X² of the parts around their common share, and its degrees of freedom; 0 where nothing varies."""
    part, whole = sum(each for each, _ in parts), sum(each for _, each in parts)
    if not 0 < part < whole:
        return 0.0, 0
    share = part / whole
    filled = [(failed, count) for failed, count in parts if count]
    squares = sum((failed - count * share) ** 2 / (count * share * (1 - share)) for failed, count in filled)
    return squares, len(filled) - 1


def _at_least(mine: float, other: float, expected: float) -> float:
    """The chance that `mine` or more of them all are mine."""
    return float(special.betainc(mine, other + 1, expected)) if mine > 0 else 1.0


def _odds(share: float, expected: float) -> float:
    if share <= 0 or share >= 1:
        return -LARGEST if share <= 0 else LARGEST
    return max(-LARGEST, min(LARGEST, math.log(share / (1 - share)) - math.log(expected / (1 - expected))))
