"""Looks on the way: what each may spend, and that all together keep what was stated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from ciload.gate.sequential import at_look, levels, looks
from ciload.gate.side_by_side import compare_side_by_side
from ciload.gate.until_clear import UntilClear
from ciload.gate.verdicts import Terms
from ciload.metrics.blocks import BlockSeries
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.snapshot import Snapshot
from ciload.result.comparison import GateVerdict
from tests.gate.test_side_by_side import pair, run


def z(p_values: tuple[float, ...]) -> list[float]:
    return [-float(special.ndtri(each)) for each in p_values]


@pytest.mark.parametrize(
    ("limit_s", "times"),
    [(60, [10, 20, 40, 60]), (20, [10, 20]), (18, [10, 18]), (13, [13]), (12, [12]), (300, [10, 20, 40, 80, 160, 300])],
)
def test_looks_double(limit_s: float, times: list[float]) -> None:
    """The first after ten seconds, each next after twice as long, none just before the end."""
    assert looks(limit_s) == times


def test_published_boundaries() -> None:
    """Linear spending of 1% and 5% at 1/6, 1/3, 2/3 and all of the data, as z values."""
    assert z(levels(0.01, 60)) == pytest.approx([2.93, 2.88, 2.65, 2.58], abs=0.02)
    assert z(levels(0.05, 60)) == pytest.approx([2.39, 2.30, 2.02, 1.89], abs=0.02)


@pytest.mark.parametrize("limit_s", [15, 20, 60, 600])
def test_all_looks_together_keep_the_rate(limit_s: float) -> None:
    """A Brownian motion that is looked at alarms in 1% of runs, whatever the number of looks."""
    rng = np.random.default_rng(int(limit_s))
    state, before, alarmed = np.zeros(200_000), 0.0, np.zeros(200_000, bool)
    for time, level in zip(looks(limit_s), levels(0.01, limit_s), strict=True):
        state += rng.standard_normal(len(state)) * math.sqrt(time - before)
        alarmed |= special.ndtr(-state / math.sqrt(time)) < level
        before = time
    assert 100 * alarmed.mean() == pytest.approx(1.0, abs=0.07)


def test_one_look_is_no_look_on_the_way() -> None:
    """A load too short to be ended early spends everything at its end."""
    assert levels(0.01, 12) == pytest.approx([0.01], rel=0.02)


class TestUntilClear:
    """The load of a target and one that takes `factor` times as long, second by second."""

    def ended_after(self, factor: float, noise: float, limit_s: int = 60) -> float | None:
        rng = np.random.default_rng(5)
        blocks, is_clear = BlockSeries(), UntilClear(Terms(), limit_s)
        for second in range(limit_s):
            machine = math.exp(rng.normal(0, 0.2))
            snapshots: dict[Any, Snapshot] = {}
            for arm, times in (("new", factor), ("old", 1.0)):
                registry = Registry()
                series = Scope(registry).http_series(("/", "GET", 200, "", ()), 0)
                for each in rng.lognormal(0, noise, 100):
                    series.sending.append(0.0)
                    series.waiting.append(0.01 * machine * times * each)
                    series.receiving.append(0.0)
                snapshots[arm] = registry.take()
            blocks.add(second, snapshots)
            if is_clear(blocks, float(second + 1)):
                return float(second + 1)
        return None

    def test_what_is_clear_ends_it(self) -> None:
        """Equal targets with little noise are seen to be equal soon; so is a twofold one."""
        assert self.ended_after(1.0, 0.05) == 10
        assert self.ended_after(2.0, 0.05) == 10

    def test_what_is_not_goes_on_to_the_limit(self) -> None:
        """One that varies by half is not known well enough for ok or alarm."""
        assert self.ended_after(1.0, 0.8, 25) is None


def test_a_run_that_was_ended_is_judged_by_its_look() -> None:
    """Of the seconds up to the look, at what the look may spend; the promise in the document stays."""
    whole = run(*pair(40, 1.06))
    assert whole.old_arm is not None
    ended = whole.model_copy(
        update={"old_arm": whole.old_arm.model_copy(update={"limit_s": 60.0, "clear_after_s": 20.0})}
    )
    terms = Terms(tolerance=0.0)
    found = compare_side_by_side([ended], terms)

    assert found.blocks == 20
    assert found.false_alarm == 0.01
    assert at_look(terms, 60.0, 20.0).false_alarm == levels(0.01, 60.0)[1]
    assert found.verdict is GateVerdict.REGRESSION
