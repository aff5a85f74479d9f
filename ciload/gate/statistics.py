"""Is a difference larger than the noise? Tests and intervals on the log or logit scale, where a rise is positive.

Callers turn the sign of metrics where larger is better. Each formula also takes arrays with the runs on the last axis
and then answers for many windows at once: the simulations that back the rates below ask these very functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

LEAST_RUNS = 3
FEW_RUNS = 5  # below this, runs that happen to agree do not make an interval narrow
PRIOR_SD = 0.10
PRIOR_DF = 3
KNOWN = 1e6  # degrees of freedom of a spread that need not be estimated
RERUN_CREDIT = 0.7  # share of the spread between reruns that is credited: so few reruns overstate it too often
MAD_TO_SD = 1.4826
MOST_COUNTING_VARIANCE = 0.52  # of ln(count + 1/2), at a mean of 1.3


class TooFewRunsError(ValueError):
    """Too few runs or blocks to know their spread."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The noise of an effect: its standard error, and the degrees of freedom this was estimated with.

    Attributes:
        tail: the noise has the long right tail that high percentiles have, so a rise must be larger to count. Where a
            t value stands for q on the log scale, noise of q + q²/2 is expected instead: the first skewness term of
            Cornish and Fisher for a skewness of 3 se. The noisier the runs, the longer the tail; on quiet runners
            next to nothing changes.

    Source: Cornish and Fisher, Moments and Cumulants in the Specification of Distributions, Revue de l'Institut
    International de Statistique 5(4), 1938.
    """

    se: float
    df: float
    tail: bool = False

    def rise(self, effect: float) -> float:
        """Chance of noise above the effect."""
        return _chance_above(self._straight(effect), self.se, self.df)

    def fall(self, effect: float) -> float:
        """Chance of noise below the effect."""
        return _chance_above(-effect, self.se, self.df)

    def highest(self, probability: float) -> float:
        """What the noise stays below with this probability."""
        q = self.lowest(probability)
        return plain_number(q + np.maximum(q, 0) ** 2 / 2) if self.tail else q

    def lowest(self, probability: float) -> float:
        """How far below zero the noise stays above with this probability."""
        return plain_number(special.stdtrit(self.df, probability) * self.se)

    def detectable(self, alpha: float, power: float) -> float:
        """The smallest true rise that a test at this level finds with this power: t is noncentral then."""
        critical = special.stdtrit(self.df, 1 - alpha)
        beyond = special.nctdtrinc(self.df, 1 - power, critical) - critical
        return plain_number(self.highest(1 - alpha) + beyond * self.se)

    def _straight(self, effect: float) -> float:
        return plain_number(np.minimum(effect, np.sqrt(1 + 2 * np.maximum(effect, 0)) - 1)) if self.tail else effect


@dataclass(frozen=True, slots=True)
class Estimate:
    """A shift and how well it is known.

    Attributes:
        effect: the shift, on the log or logit scale; positive is a rise.
        noise: how far chance alone moves the effect.
        also: other views of the noise. A claim has to hold in all: p values are the largest and intervals the widest.
        widening: a view that only widens intervals: a few runs that happen to agree do not prove that nothing changed.
    """

    effect: float
    noise: Spread
    also: tuple[Spread, ...] = ()
    widening: tuple[Spread, ...] = ()

    @property
    def se(self) -> float:
        """The standard error of the effect."""
        return self.noise.se

    @property
    def df(self) -> float:
        """The degrees of freedom of the standard error."""
        return self.noise.df

    @property
    def rise(self) -> float:
        """Chance of so large a rise if nothing had changed."""
        return _largest(each.rise(self.effect) for each in self._views)

    @property
    def fall(self) -> float:
        """Chance of so large a fall if nothing had changed."""
        return _largest(each.fall(self.effect) for each in self._views)

    def interval(self, confidence: float = 0.90) -> tuple[float, float]:
        """Where the true shift is, with this two-sided confidence."""
        one_sided = (1 + confidence) / 2
        up = _largest(each.highest(one_sided) for each in (*self._views, *self.widening))
        down = _largest(each.lowest(one_sided) for each in (*self._views, *self.widening))
        return self.effect - up, self.effect + down

    def detectable(self, alpha: float, power: float = 0.80, tolerated: float = 0.0) -> float:
        """The smallest true rise that is found with this power: by a test at this level, and beyond what is tolerated.

        An estimate of a rise that is just as large as tolerated is below that every other time, so the rise has to be
        larger by as much as keeps the estimate above it that often.
        """
        found = _largest(each.detectable(alpha, power) for each in self._views)
        above = _largest(each.lowest(power) for each in self._views)
        return _largest((found, tolerated + above))

    @property
    def _views(self) -> tuple[Spread, ...]:
        return (self.noise, *self.also)


def against_history(
    levels: Sequence[Sequence[float]],
    fresh: Sequence[float],
    *,
    floor: float = 0.0,
    within: float | None = None,
    same_job: bool = True,
    tail: bool = False,
    prior: Prior | None = None,
) -> Estimate:
    """The shift of the fresh runs' mean from the accepted runs: a t prediction interval.

    At a nominal 1%, log-normal runs raise a false alarm in 0.9 to 1.1% of jobs from 3 accepted runs on, whatever their
    spread; t3-tailed runs in 1.9 to 2.2%. With runners of two classes, a quarter apart, it depends on how rare the
    slower ones are: with 5 runs 0.3, 1.0, 3.3 and 4.4% where 70, 50, 30 and 10 in 100 runs meet one, with 20 runs 0.0,
    0.1, 1.2 and 4.6%. A screening by the first run at 10% with up to two reruns in the same job raises at most 1.5%.
    With 3 or 4 runs, a prior of 10% widens the interval: three runs that agree by chance do not prove that all is well.
    It takes no part in alarms, since by itself it raises 2.5 to 4.6% where runs differ by 20 to 30%.

    Args:
        levels: log values of the accepted runs, oldest first; a level starts where somebody accepted a shift. All tell
            the spread, the last one tells the mean.
        fresh: log values of the runs to judge, all of one job.
        floor: the runs' standard deviation is known to be at least this: timer resolution, counting noise, standard
            error of a run.
        within: what reruns in one job are known to differ by at least, as a standard deviation.
        same_job: the fresh runs share a runner, so that their mean is only as much better as their spread shows. Runs
            on runners of their own are independent.
        tail: the metric is a high percentile, see `Spread`. At a nominal 1%, log-normal runs then alarm in 0.5 to 0.9%
            of jobs up to a spread of 10%, in 0.1 to 0.6% above it.
        prior: what metrics of the same sort say of the spread.

    Raises:
        TooFewRunsError: under 3 runs, or none at the last level. 3 runs at two levels count as 2.

    Source: Student, The Probable Error of a Mean, Biometrika 6(1), 1908; Hahn and Meeker, Statistical Intervals, Wiley,
    1991 (prediction of the mean of k further values). The rates: tests/gate/test_simulations.py.
    """
    accepted = [np.asarray(level, dtype=float) for level in levels]
    latest = np.asarray(fresh, dtype=float)
    df = sum(level.shape[-1] - 1 for level in accepted)
    if df + 1 < LEAST_RUNS or not accepted[-1].shape[-1]:
        raise TooFewRunsError(f"{max(df + 1, 0)} runs say too little about the noise: {LEAST_RUNS} are needed")
    effect = latest.mean(axis=-1) - accepted[-1].mean(axis=-1)
    squares = sum(sum_of_squares(level) for level in accepted)
    if prior is not None:
        squares, df = squares + prior.df * prior.variance, df + prior.df
    reruns = _between_reruns(latest, within) if same_job else np.inf

    def of_effect(variance: Any) -> Any:
        shared = np.minimum(reruns, variance) * (1 - 1 / latest.shape[-1])
        return variance * (1 + 1 / accepted[-1].shape[-1]) - shared

    return estimate(effect, squares, df, of_effect, floor=floor, tail=tail)


def estimate(
    effect: Any,
    squares: Any,
    df: float,
    of_effect: Callable[[Any], Any],
    *,
    floor: float = 0.0,
    tail: bool = False,
) -> Estimate:
    """An effect with its noise: by the spread of the runs, by what it is at least, and by what is likely.

    Args:
        effect: the shift.
        squares: sum of the squared deviations of the runs from their levels' means.
        df: degrees of freedom of that sum.
        of_effect: the variance of the effect for a variance of the runs.
        floor: see `against_history`, as `tail`.
    """

    def spread(variance: Any, known: float) -> Spread:
        return Spread(plain_number(np.sqrt(of_effect(variance))), known, tail)

    with_prior = (PRIOR_DF * PRIOR_SD**2 + squares) / (PRIOR_DF + df)
    return Estimate(
        plain_number(effect),
        spread(squares / df, df),
        also=(spread(floor**2, KNOWN),) if floor else (),
        widening=(spread(with_prior, PRIOR_DF + df),) if df + 1 < FEW_RUNS else (),
    )


@dataclass(frozen=True, slots=True)
class Prior:
    """What many metrics of a sort tell about the variance of each: a value, and the degrees of freedom it is worth."""

    variance: float
    df: float


def prior_of(squares: Sequence[float], dfs: Sequence[float]) -> Prior | None:
    """The prior distribution of variances, as the sample variances of the metrics themselves show it.

    A few runs know the spread of one metric badly, and those of twenty together well. The more alike the variances are,
    the more the common one is worth; if they differ no more than chance lets them, it is all there is.

    Args:
        squares: of each metric, the sum of its squared deviations.
        dfs: degrees of freedom of these sums.

    Returns:
        None if fewer than 3 metrics have a spread to tell. It is never worth more than the runs of the other metrics:
        there are few of them, where the paper has thousands of genes.

    Source: Smyth, Linear Models and Empirical Bayes Methods for Assessing Differential Expression in Microarray
    Experiments, Stat. Appl. Genet. Mol. Biol. 3(1), 2004, section 6.2.
    """
    pairs = [(each, df) for each, df in zip(squares, dfs, strict=True) if each > 0 and df > 0]
    if len(pairs) < LEAST_RUNS:
        return None
    sums, known = np.array(pairs, dtype=float).T
    logs = np.log(sums / known) - special.digamma(known / 2) + np.log(known / 2)
    excess = logs.var(ddof=1) - special.polygamma(1, known / 2).mean()
    most = float(known.sum() - known.mean())
    if excess <= 0:
        return Prior(float(sums.sum() / known.sum()), most)
    df = min(2 * _inverse_trigamma(float(excess)), most)
    return Prior(math.exp(logs.mean() + special.digamma(df / 2) - math.log(df / 2)), df)


def _inverse_trigamma(value: float) -> float:
    """Newton's method on 1/trigamma, which is convex and nearly linear; the appendix of the same paper."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if -step < 1e-8 * x:
            break
    return x


def noise_of_neighbours(values: Sequence[float]) -> float:
    """The standard deviation of runs, by what each differs from the one before it: neither drift nor outliers widen it.

    Returns:
        0 for fewer than two.

    Source: von Neumann et al., The Mean Square Successive Difference, Ann. Math. Statist. 12(2), 1941; made robust with
    the median absolute deviation.
    """
    differences = np.diff(np.asarray(values, dtype=float))
    if not differences.size:
        return 0.0
    deviation = np.median(np.abs(differences - np.median(differences)))
    return MAD_TO_SD * float(deviation) / math.sqrt(2)


def binomial_interval(count: int, total: int, confidence: float = 0.90) -> tuple[float, float]:
    """Where the true share is, given that so many of so many were counted: the exact interval.

    Source: Clopper and Pearson, The Use of Confidence or Fiducial Limits, Biometrika 26(4), 1934.
    """
    outside = (1 - confidence) / 2
    low = float(special.betaincinv(count, total - count + 1, outside)) if count else 0.0
    high = float(special.betaincinv(count + 1, total - count, 1 - outside)) if count < total else 1.0
    return low, high


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Adjusted p values, in the order given: claiming those under alpha keeps the chance of any false claim at alpha.

    Args:
        p_values: one of each test.
        weights: how much of alpha each test is given at first, relative to the others; all the same unless set.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statist. 6(2), 1979; there as well
    with weights.
    """
    shares = [1.0] * len(p_values) if weights is None else weights
    adjusted = [0.0] * len(p_values)
    highest, left = 0.0, math.fsum(shares)
    for index in sorted(range(len(p_values)), key=lambda each: p_values[each] / shares[each]):
        highest = max(highest, min(1.0, max(1.0, left / shares[index]) * p_values[index]))
        adjusted[index] = highest
        left -= shares[index]
    return adjusted


def logit(failures: float, total: float) -> float:
    """The log odds of failing, finite even when nothing or everything fails.

    Source: Haldane, The Estimation and Significance of the Logarithm of a Ratio of Frequencies, Ann. Hum. Genet. 20,
    1956.
    """
    return plain_number(np.log((failures + 0.5) / (total - failures + 0.5)))


def counting_noise(failures: float, total: float) -> float:
    """The standard deviation that counting alone gives the logit of a run's failures.

    Args:
        failures: of a run, the mean of several.
        total: requests of a run.

    Returns:
        With rare failures the deviation that exact sums over the Poisson distribution give, or up to a tenth more. With
        fewer than one failure it is the largest there is: what is rarer has not been counted often enough to tell.

    Source: Gart and Zweifel, On the Bias of Various Estimators of the Logit and Its Variance, Biometrika 54, 1967, for
    the terms of first order. The second order is fitted to the exact sums, which the tests repeat.
    """
    return math.sqrt(
        min(MOST_COUNTING_VARIANCE, _rare(failures)) + min(MOST_COUNTING_VARIANCE, _rare(total - failures))
    )


def skewness(values: Sequence[float]) -> float:
    """The sample skewness corrected for bias (G1), 0 without any spread.

    Raises:
        TooFewRunsError: under 3 values.

    Source: Joanes and Gill, Comparing Measures of Sample Skewness and Kurtosis, The Statistician 47(1), 1998.
    """
    sample = np.asarray(values, dtype=float)
    n = sample.shape[-1]
    if n < LEAST_RUNS:
        raise TooFewRunsError(f"{n} values say nothing about skewness: {LEAST_RUNS} are needed")
    cubes = ((sample - sample.mean(axis=-1, keepdims=True)) ** 3).sum(axis=-1)
    return plain_number(quotient(cubes, (sum_of_squares(sample) / (n - 1)) ** 1.5) * n / ((n - 1) * (n - 2)))


def sum_of_squares(values: Any) -> Any:
    """Of the deviations from the mean, along the last axis."""
    return ((values - values.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)


def quotient(above: Any, below: Any) -> Any:
    """0/0 is 0: values without any spread lean to neither side."""
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)


def plain_number(value: Any) -> float:
    """A plain float of what numpy made of floats."""
    number: float = float(value) if np.ndim(value) == 0 else value
    return number


def _rare(count: float) -> float:
    """The variance of ln(count + 1/2) with this mean."""
    return 1 / count + 0.7 / count**2 if count > 0 else math.inf


def _between_reruns(fresh: Any, within: float | None) -> Any:
    """The variance that reruns in one job do not share."""
    seen = sum_of_squares(fresh) / (fresh.shape[-1] - 1) if fresh.shape[-1] > 1 else 0.0
    return RERUN_CREDIT * np.maximum(seen, (within or 0.0) ** 2)


def _chance_above(effect: Any, se: Any, df: float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.divide(effect, se)
    return plain_number(special.stdtr(df, -np.where(np.isnan(t), 0.0, t)))


def _largest(values: Iterable[float]) -> float:
    return plain_number(np.max(list(values), axis=0))
