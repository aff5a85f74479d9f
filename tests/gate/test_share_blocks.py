"""Failures at two targets: found when they are more, not when they only come in bursts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ciload.gate.counts import Count
from ciload.gate.metrics import FAILED_REQUESTS
from ciload.gate.paired_blocks import Pair
from ciload.gate.share_blocks import ShareEstimate, share_estimate
from ciload.gate.side_by_side import compare_side_by_side
from ciload.gate.verdicts import Terms
from ciload.result.comparison import GatedMetric, GateVerdict
from tests.gate.test_side_by_side import noisy, row, run

OK, REGRESSION = GateVerdict.OK, GateVerdict.REGRESSION


def failed(new: Sequence[int] | int, old: Sequence[int] | int, requests: int = 200) -> GatedMetric:
    """Twenty blocks with so many failures at each target."""
    fast, slow = noisy(20)
    rows = [row("new", fast, failed=new, requests=requests), row("old", slow, failed=old, requests=requests)]
    metrics = compare_side_by_side([run(*rows)], Terms()).metrics
    return next(each for each in metrics if each.metric == "failed requests")


def estimated(new: Sequence[int], old: Sequence[int], requests: int = 200) -> ShareEstimate:
    none = [1.0] * len(new)
    return share_estimate(
        FAILED_REQUESTS,
        [Pair(row("new", none, failed=new, requests=requests), row("old", none, failed=old, requests=requests))],
    )


def test_a_few_failures_where_there_were_none_are_never_ok() -> None:
    """17 of 4,000 requests against none is far beyond chance, although it is less than a percentage point."""
    assert failed([1] * 17 + [0] * 3, 0).verdict is REGRESSION
    assert failed([1, 0, 0] * 6 + [0, 0], 0).verdict is not OK


def test_failures_that_are_as_many_are_fine() -> None:
    """5% at both targets."""
    found = failed(10, 10)

    assert found.verdict is not REGRESSION
    assert found.change == 0.0
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


def test_nothing_failed_is_no_change_at_all() -> None:
    """Zero stays zero, to the last bit, and the interval has it."""
    found = failed(0, 0)

    assert (found.verdict, found.change, found.old, found.new) == (OK, 0.0, 0.0, 0.0)
    assert found.low is not None
    assert found.low <= 0


def test_a_burst_counts_for_less_than_its_failures() -> None:
    """40 failures spread over the run are a regression; in one second they may be an accident."""
    spread, burst = estimated([2] * 20, [0] * 20), estimated([40] + [0] * 19, [0] * 20)

    assert spread.dispersion.factor == 1.0
    assert spread.rise < 1e-10
    assert burst.dispersion.factor > 10
    assert burst.rise > 0.01


def test_twice_the_failures_are_found() -> None:
    """1% to 2% of 8,000 requests."""
    rng = np.random.default_rng(1)
    found = sum(
        estimated(rng.binomial(400, 0.02, 20).tolist(), rng.binomial(400, 0.01, 20).tolist(), 400).rise < 0.001
        for _ in range(200)
    )
    assert found > 180


@pytest.mark.parametrize("bursts", [False, True])
def test_equal_targets_seldom_alarm(bursts: bool) -> None:
    """At 1%, independent failures alarm in at most that; bursts of two seconds in at most twice that."""
    rng = np.random.default_rng(2)

    def failures() -> list[int]:
        share = np.full(40, 0.01)
        if bursts:
            share = np.repeat(np.where(rng.random(20) < 0.2, 0.05, 0.0), 2)
        return [int(each) for each in rng.binomial(200, share)]

    alarms = sum(estimated(failures(), failures()).rise < 0.01 for _ in range(2_000))
    assert alarms <= (2_000 * 0.025 if bursts else 2_000 * 0.014)


def test_unequal_numbers_of_requests_are_no_difference() -> None:
    """A target that was asked twice as often has twice the failures."""
    estimate = ShareEstimate(Count(20, 2_000), Count(10, 1_000))

    assert estimate.effect == pytest.approx(0, abs=0.05)
    assert 0.3 < estimate.rise < 0.7


def test_what_could_have_been_found_is_found() -> None:
    """Eight times in ten, as it says."""
    rng = np.random.default_rng(3)
    seen = ShareEstimate(Count(40, 4_000), Count(40, 4_000))
    share = 0.01 * np.exp(seen.detectable(0.01))
    pairs = zip(rng.binomial(4_000, share, 1_000).tolist(), rng.binomial(4_000, 0.01, 1_000).tolist(), strict=True)
    found = np.mean([ShareEstimate(Count(new, 4_000), Count(old, 4_000)).rise < 0.01 for new, old in pairs])
    assert 0.72 < found < 0.88
