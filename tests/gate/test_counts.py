"""Shares against history: what counting explains, and what failures that cluster explain."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ciload.gate.counts import Count, counts_against_history
from ciload.gate.statistics import TooFewRunsError

RUNS = 1_000


def level(failures: list[int], whole: int = 8_000) -> list[Count]:
    return [Count(each, whole) for each in failures]


def alarms(before: float, after: float, whole: int, bursts: float = 0.0) -> float:
    """The share of jobs with a p value below 1% after ten runs; `bursts` is by how much rates of runs differ."""
    rng = np.random.default_rng(7)

    def draw(share: float, size: int) -> list[Count]:
        rates = rng.gamma(1 / bursts**2, share * whole * bursts**2, size) if bursts else np.full(size, share * whole)
        return [Count(int(each), whole) for each in rng.poisson(rates)]

    return sum(counts_against_history([draw(before, 10)], draw(after, 1)).rise <= 0.01 for _ in range(RUNS)) / RUNS


@pytest.mark.parametrize(("share", "bursts", "most"), [(0.001, 0.0, 0.01), (0.01, 0.0, 0.01), (0.01, 0.3, 0.02)])
def test_unchanged_shares_alarm_seldom(share: float, bursts: float, most: float) -> None:
    """Failures that are independent keep the rate, and so do those that cluster somewhat."""
    assert alarms(share, share, 2_000, bursts) <= most


@pytest.mark.parametrize(
    ("before", "after", "whole", "least"),
    [(0, 0.002, 8_000, 0.99), (0.01, 0.02, 2_000, 0.6), (0.001, 0.004, 8_000, 0.95)],
)
def test_rises_that_are_found(before: float, after: float, whole: int, least: float) -> None:
    """Twice as many failures are seen when there are some dozens of them."""
    assert alarms(before, after, whole) >= least


def test_is_the_exact_binomial_test() -> None:
    """Five failures in each of ten runs, then fifteen: the chance that so many of all 65 fall to the last of eleven."""
    found = counts_against_history([level([5, 4, 6, 5, 5, 4, 6, 5, 5, 5])], level([15]))
    exact = sum(math.comb(65, k) * (1 / 11) ** k * (10 / 11) ** (65 - k) for k in range(15, 66))

    assert found.rise == pytest.approx(exact, rel=1e-3)
    assert found.fall > 0.99
    low, high = found.interval()
    assert 0 < low < math.log(3) < high


def test_failures_that_cluster_prove_less() -> None:
    """Where runs had none or many, many are no news."""
    steady = counts_against_history([level([5] * 10)], level([15]))
    clustered = counts_against_history([level([0, 15, 0, 0, 14, 0, 1, 17, 2, 1])], level([15]))

    assert steady.rise < 0.001
    assert clustered.rise > 0.05


def test_without_any_failure_one_hiccup_is_allowed_for() -> None:
    """Nobody knows how failures cluster that were never seen: a pair at once counts as one."""
    none = [level([0] * 10, 1_000)]

    assert counts_against_history(none, level([3], 1_000)).rise > 0.01
    assert counts_against_history(none, level([6], 1_000)).rise < 0.01


@pytest.mark.parametrize(("share", "whole"), [(0.002, 2_000), (0.01, 2_000), (0.2, 500)])
def test_what_is_detectable_is_found(share: float, whole: int) -> None:
    """A rise to the share that is told to be found 8 times in 10 is found about that often."""
    rng = np.random.default_rng(5)
    histories = [level([int(each) for each in rng.binomial(whole, share, 10)], whole) for _ in range(RUNS)]
    unchanged = level([round(share * whole)], whole)
    told = float(np.mean([counts_against_history([each], unchanged).detectable(0.01) for each in histories]))
    odds = share / (1 - share) * math.exp(told)
    after = odds / (1 + odds)
    worse = level([int(each) for each in rng.binomial(whole, after, RUNS)], whole)
    pairs = zip(histories, worse, strict=True)
    found = sum(counts_against_history([earlier], [new]).rise <= 0.01 for earlier, new in pairs)

    assert 0.65 < found / RUNS < 0.92


def test_fewer_failures_are_a_fall() -> None:
    """The same test, the other way round."""
    found = counts_against_history([level([50] * 10)], level([10]))

    assert found.effect < 0
    assert found.fall < 1e-6


def test_too_few_runs() -> None:
    """Two runs do not tell how failures cluster; three at one level, or two each at two, do."""
    with pytest.raises(TooFewRunsError):
        counts_against_history([level([5, 6])], level([5]))
    assert counts_against_history([level([5, 6]), level([9, 8])], level([9])).rise > 0.05
