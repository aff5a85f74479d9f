"""Shares against history: failures are counted, so the noise is that of counting, and more where failures cluster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from scipy import special

from ciload.gate.statistics import FEW_RUNS, KNOWN, LEAST_RUNS, Estimate, Spread, TooFewRunsError, counting_noise, logit

BURSTS = 2.0  # failures at once: one hiccup of a target fails what several virtual users wait for
CLEAR = 0.1  # from this p value on, the exact test says little about the width of the noise


@dataclass(frozen=True, slots=True)
class CountNoise(Spread):
    """Noise of log odds that knows from which share it starts: the more there are, the better they are counted.

    Attributes:
        share: of failures in earlier runs.
        whole: requests of a run.
        width: the standard error on the arcsine scale, where counts vary by the same at any share.

    Source: Freeman and Tukey, Transformations Related to the Angular and the Square Root, Ann. Math. Statist. 21(4),
    1950.
    """

    share: float = 0.0
    whole: float = 1.0
    width: float = 0.0

    def detectable(self, alpha: float, power: float) -> float:
        """The smallest true rise of the log odds that a test at this level finds with this power, about."""
        critical = special.stdtrit(self.df, 1 - alpha)
        angle = math.asin(math.sqrt((self.share * self.whole + 3 / 8) / (self.whole + 3 / 4)))
        found = math.sin(min(angle + float(special.nctdtrinc(self.df, 1 - power, critical)) * self.width, math.pi / 2))
        return logit(found**2 * self.whole, self.whole) - logit(self.share * self.whole, self.whole)


class Dispersion(NamedTuple):
    """How many times as much counts vary between runs as those of independent failures do, and how well it is known."""

    factor: float
    df: float


class Count(NamedTuple):
    """So many of so many."""

    part: float
    whole: float


def counts_against_history(levels: Sequence[Sequence[Count]], fresh: Sequence[Count]) -> Estimate:
    """The shift of the log odds from the last level to the fresh runs: a quasi-binomial test.

    Were every request to fail by itself, the failures of the fresh runs would be binomial, given all failures of both
    sides. Failures that come in bursts vary more between runs, by a factor that the runs of all levels tell (Pearson's
    chi-squared by its degrees of freedom); it is estimated, so its test has the tails of t. The larger p value counts.
    At a nominal 1%, failures that are independent alarm in 0.1 to 0.7% of jobs; where runs' rates differ by 30% in
    0.6 to 1.4%, by 100% in 0.3 to 2.1%. After 10 runs of 1,000 requests, a rise from 1 to 2% is found in 41% of jobs,
    from 0.1 to 0.4% in 14%, from none to 0.4% in 63%. Log odds with a t test, instead, find 8, 2 and 62%.

    Args:
        levels: of the accepted runs, oldest first; all tell how failures cluster, the last one tells the share.
        fresh: of the run to judge and its reruns.

    Returns:
        An estimate whose standard error is the one with which a t test has the p value of the exact one.

    Raises:
        TooFewRunsError: as of `statistics.against_history`.

    Source: McCullagh and Nelder, Generalized Linear Models, Chapman and Hall, 1989, section 4.5 for the dispersion;
    Clopper and Pearson, Biometrika 26(4), 1934 for the binomial tail as a beta distribution.
    """
    df = sum(len(level) - 1 for level in levels)
    if df + 1 < LEAST_RUNS or not levels[-1]:
        raise TooFewRunsError(f"{max(df + 1, 0)} runs say too little about the noise: {LEAST_RUNS} are needed")
    old, new = _sum(levels[-1]), _sum(fresh)
    dispersion = dispersion_of(levels)
    effect = log_odds(fresh) - log_odds(levels[-1])
    if not old.part and not new.part:
        effect = 0.0  # log odds of nothing would differ by how many requests there were
    elif not new.part:
        effect = min(effect, 0.0)
    more, less = (new, old) if effect > 0 else (old, new)
    noise = noise_of_counts(levels[-1], dispersion, len(levels[-1]), len(fresh))
    p_value = chance_of(more, less, dispersion)
    if p_value < CLEAR and effect:
        noise = replace(noise, se=abs(effect) / -float(special.stdtrit(dispersion.df, p_value)))
    return Estimate(effect, noise)


def log_odds(level: Sequence[Count]) -> float:
    """Of the mean run."""
    part, whole = _sum(level)
    return logit(part / len(level), whole / len(level))


def noise_of_counts(level: Sequence[Count], dispersion: Dispersion, runs: int, fresh: int = 1) -> CountNoise:
    """About the noise of the log odds of so many runs like these against so many earlier ones."""
    part, whole = _sum(level)
    requests, more = whole / len(level), math.sqrt(dispersion.factor * (1 / fresh + 1 / runs))
    return CountNoise(
        counting_noise(part / len(level), requests) * more, dispersion.df,
        share=part / whole, whole=requests, width=more / (2 * math.sqrt(requests)),
    )  # fmt: skip


def dispersion_of(levels: Sequence[Sequence[Count]]) -> Dispersion:
    """How failures cluster; a factor of 1 at least.

    Runs that are few, or have hardly a failure, do not show how failures cluster: there it is `BURSTS` at least.
    """
    df = sum(len(level) - 1 for level in levels)
    seen = math.fsum(chi_squared(level) for level in levels) / df
    is_known = df + 1 >= FEW_RUNS and _sum(levels[-1]).part >= len(levels[-1])
    least = 1.0 if is_known else BURSTS
    return Dispersion(seen, df) if seen > least else Dispersion(least, KNOWN)


def chance_of(more: Count, less: Count, dispersion: Dispersion) -> float:
    """Chance of so large a share of all failures on one side."""
    clustered = float(special.stdtr(dispersion.df, special.ndtri(_binomial(more, less, dispersion.factor))))
    return max(clustered, _binomial(more, less, 1.0))


def _binomial(more: Count, less: Count, dispersion: float) -> float:
    if not more.part:
        return 1.0
    share = more.whole / (more.whole + less.whole)
    chance = float(special.betainc(more.part / dispersion, less.part / dispersion + 1, share))
    return max(chance, 1e-300)  # for quantiles


def chi_squared(level: Sequence[Count]) -> float:
    """Pearson's: squared deviations from the share of all, by their variance; 0 if nothing or everything failed."""
    part, whole = _sum(level)
    share = part / whole
    if not 0 < share < 1:
        return 0.0
    return math.fsum((each.part - each.whole * share) ** 2 / (each.whole * share * (1 - share)) for each in level)


def _sum(level: Sequence[Count]) -> Count:
    return Count(math.fsum(each.part for each in level), math.fsum(each.whole for each in level))
