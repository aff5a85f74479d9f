"""Slow drift against the first runs of a level."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ciload.gate.drift import LATEST, drift_of, drifts
from ciload.gate.levels import ANCHOR
from ciload.gate.metrics import readings
from tests.gate.runs import stored_run, stored_runs


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.05])
def test_a_percent_a_run_is_found(spread: float) -> None:
    """After 30 runs that each are 1% slower, the last ones are far from the first, whatever the noise."""
    rng = np.random.default_rng(1)
    series = spread * rng.standard_normal(30) + 0.01 * np.arange(30)

    risen = drift_of(list(series))
    assert risen is not None
    assert risen == pytest.approx(0.01 * (28 - 4.5), abs=2 * spread)


def test_noise_is_no_drift() -> None:
    """Of a thousand quiet projects hardly one is warned at a time."""
    rng = np.random.default_rng(2)
    found = [drift_of(list(0.05 * rng.standard_normal(30))) for _ in range(1_000)]

    assert sum(each is not None for each in found) <= 5


def test_getting_faster_is_no_drift() -> None:
    """Only what becomes slower is warned of."""
    assert drift_of([-0.01 * number for number in range(30)]) is None


def test_few_runs_say_nothing() -> None:
    """The first runs and the last ones must not be the same."""
    steps = [0.1 * number for number in range(ANCHOR + LATEST)]
    assert drift_of(steps[:-1]) is None
    assert drift_of(steps) is not None


@pytest.mark.parametrize(("slower", "metrics"), [(1.3, ["p50", "p95"]), (1.09, [])])
def test_what_is_tolerated_is_no_drift(slower: float, metrics: list[str]) -> None:
    """The tolerance holds here as well; values are geometric means of what was measured."""
    level = stored_runs([10 * slower ** (number / 30) for number in range(30)])
    found = drifts(level, [readings(stored_run(p50=10 * slower, p95=20 * slower))], 0.10)

    assert [each.metric for each in found] == metrics
    for each in found:
        assert each.last / each.first - 1 == pytest.approx(each.change)
        assert each.change == pytest.approx(slower ** (24 / 30) - 1, abs=0.01)


def test_what_has_no_reading_does_not_drift() -> None:
    """A run with too few requests for p95 is told of p50 alone."""
    level = stored_runs([10 * math.exp(0.01 * number) for number in range(30)])
    new = stored_run(p50=10 * math.exp(0.3), requests=100)

    assert [each.metric for each in drifts(level, [readings(new)], 0.10)] == ["p50"]
