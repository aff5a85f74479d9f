"""Failures at two targets that were loaded in the same run: do more requests fail at the new one?

Given that some requests failed, each of them was as likely at either target if nothing has changed. But failures come
in bursts, so they count for less than their number: how much less, the spread between parts of the run tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scipy import special

from ciload.gate.counts import Count, Dispersion, chance_of, chi_squared
from ciload.gate.metrics import FAILED_CHECKS, LARGEST, Measure
from ciload.gate.paired_blocks import LEAST_BLOCKS, Pair
from ciload.gate.statistics import KNOWN, logit
from ciload.result.document import BlockRow

INDEPENDENT = Dispersion(1.0, KNOWN)
LEAST_WHOLE = 100  # requests, or checks, at each target: fewer say nothing about rare failures


@dataclass(frozen=True, slots=True)
class ShareEstimate:
    """How much more of all fails at the new target, as a logarithm of the odds ratio: a quasi-binomial test.

    Attributes:
        new: failures at the new target, of all.
        old: at the old one.
        dispersion: how many failures count for one: 1 when they come independently.

    Source: conditioning on the total, Przyborowski and Wilenski, Homogeneity of Results in Testing Samples from Poisson
    Series, Biometrika 31(3/4), 1940; exact intervals, Clopper and Pearson, Biometrika 26(4), 1934; dispersion by
    Pearson's X², McCullagh and Nelder, Generalized Linear Models, 4.5, 1989.
    """

    new: Count
    old: Count
    dispersion: Dispersion = INDEPENDENT

    @property
    def effect(self) -> float:
        return logit(*self.new) - logit(*self.old)

    @property
    def rise(self) -> float:
        """Chance of so many failures at the new target if nothing had changed."""
        return chance_of(self.new, self.old, self.dispersion)

    @property
    def fall(self) -> float:
        """Chance of so few."""
        return chance_of(self.old, self.new, self.dispersion)

    def interval(self, confidence: float = 0.90) -> tuple[float, float]:
        """Where the true effect is, with this two-sided confidence."""
        one_sided = (1 + confidence) / 2
        new, old = self.new.part / self.dispersion.factor, self.old.part / self.dispersion.factor
        expected = self.new.whole / (self.new.whole + self.old.whole)
        low = special.betaincinv(new, old + 1, 1 - one_sided) if new else 0.0
        high = special.betaincinv(new + 1, old, one_sided) if old else 1.0
        # Where nothing failed at the old target, any ratio may be true; the share at the new one is known all the same.
        most = special.betaincinv(self.new.part + 1, self.new.whole - self.new.part, one_sided)
        within = logit(most * self.new.whole, self.new.whole) - logit(*self.old)
        return _odds(low, expected), max(self.effect, min(_odds(high, expected), within))

    def detectable(self, alpha: float, power: float = 0.80, tolerated: float = 0.0) -> float:
        """The smallest true effect that is found with this power.

        Square roots of counts have a variance of about 1/4 whatever their size (Anscombe, Biometrika 35(3/4), 1948).
        """
        beyond = -(special.ndtri(alpha) + special.ndtri(1 - power)) / math.sqrt(2)
        before = max(self.old.part / self.dispersion.factor, 0.5)
        found = 2 * math.log((math.sqrt(before) + beyond) / math.sqrt(before))
        return max(found, tolerated)


def share_estimate(measure: Measure, pairs: Sequence[Pair]) -> ShareEstimate:
    """Of all runs together, each cut into ten parts: bursts last longer than blocks."""
    rows = [row for pair in pairs for row in (pair.new, pair.old)]
    tenths = [list(_tenths(_parts(measure, row))) for row in rows]
    df = sum(len(each) - 1 for each in tenths if sum(part for part, _ in each))
    factor = math.fsum(chi_squared(each) for each in tenths if each) / df if df else 1.0
    dispersion = Dispersion(factor, df) if factor > 1 else INDEPENDENT
    return ShareEstimate(
        total(measure, *(pair.new for pair in pairs)), total(measure, *(pair.old for pair in pairs)), dispersion
    )


def total(measure: Measure, *rows: BlockRow) -> Count:
    """Failures of all."""
    return _sum(part for row in rows for part in _parts(measure, row))


def _parts(measure: Measure, row: BlockRow) -> list[Count]:
    if measure is FAILED_CHECKS:
        return [Count(bad, good + bad) for good, bad in zip(row.checks_passed, row.checks_failed, strict=False)]
    return [Count(*each) for each in zip(row.failed, row.requests, strict=False)]


def _tenths(parts: Sequence[Count]) -> Iterator[Count]:
    """Tenths of a run; those without any request are left out."""
    for index in range(LEAST_BLOCKS):
        tenth = _sum(parts[index * len(parts) // LEAST_BLOCKS : (index + 1) * len(parts) // LEAST_BLOCKS])
        if tenth.whole:
            yield tenth


def _sum(counts: Iterable[Count]) -> Count:
    known = list(counts)
    return Count(sum(each.part for each in known), sum(each.whole for each in known))


def _odds(share: float, expected: float) -> float:
    if share <= 0 or share >= 1:
        return -LARGEST if share <= 0 else LARGEST
    return max(-LARGEST, min(LARGEST, math.log(share / (1 - share)) - math.log(expected / (1 - expected))))
