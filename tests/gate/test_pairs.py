"""Side by side with pairs of requests: what they find, on real traces as well, and what else shows in blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ciload.gate.side_by_side import compare_blocks, compare_side_by_side, steady_part
from ciload.gate.verdicts import Terms
from ciload.result.comparison import GatedMetric, GateVerdict
from ciload.result.document import BlockRow, Blocks
from tests.gate.test_side_by_side import pair, row, run

STRICT = Terms(tolerance=0.0)
REGRESSION, INCONCLUSIVE = GateVerdict.REGRESSION, GateVerdict.INCONCLUSIVE


def paired(
    new_first: Sequence[float],
    old_first: Sequence[float],
    *,
    levels: tuple[float, float] = (100.0, 100.0),
    spread: Sequence[float] | float = 0.4,
    slow: float = 1.0,
) -> Blocks:
    """Blocks with 100 pairs each, whose median ratios are given by which target was asked first.

    Args:
        new_first: of each block, new to old.
        old_first: likewise.
        levels: p50 of both targets, as blocks alone tell it.
        spread: of the logarithms of the ratios.
        slow: how much more the mean of the new target is than its p50.
    """
    count = len(new_first)
    spreads = [spread] * count if isinstance(spread, float) else list(spread)
    facts: dict[str, Any] = {
        "pairs_new_first": [50] * count, "ratio_new_first": list(new_first), "spread_new_first": spreads,
        "pairs_old_first": [50] * count, "ratio_old_first": list(old_first), "spread_old_first": spreads,
    }  # fmt: skip
    new, old = (row(arm, [level] * count, requests=100) for arm, level in zip(("new", "old"), levels, strict=True))
    new = new.model_copy(update=facts | {"avg": [slow * levels[0]] * count})
    return Blocks(span_s=1.0, count=count, rows=[new, old])


def ratios(count: int, change: float = 0.0, noise: float = 0.03, seed: int = 1) -> list[float]:
    return [math.exp(math.log1p(change) + each) for each in np.random.default_rng(seed).normal(0, noise, count)]


def of(name: str, blocks: Blocks, terms: Terms = STRICT) -> GatedMetric:
    return next(each for each in compare_blocks([blocks], terms) if each.metric == name)


class TestMiddle:
    def test_pairs_tell_the_change(self) -> None:
        """Medians of ratios find 5% where the medians of both targets are too coarse to differ."""
        p50 = of("p50", paired(ratios(20, 0.05), ratios(20, 0.05, seed=2)))

        assert p50.verdict is REGRESSION
        assert p50.change == pytest.approx(0.05, abs=0.015)
        assert p50.new == pytest.approx(105, abs=1.5)

    def test_being_first_means_nothing(self) -> None:
        """A cache that both share makes the second target a third faster, whichever that is: no change at all."""
        p50 = of("p50", paired(ratios(20, 0.5), ratios(20, 1 / 1.5 - 1, seed=2)))

        assert p50.verdict is not REGRESSION
        assert p50.change == pytest.approx(0, abs=0.02)

    def test_wild_seconds_do_not_hide_a_change(self) -> None:
        """Three seconds in twenty in which anything may happen; 10% is found, and told as 10%."""
        wild = [0.2, 4.0, 9.0]
        new_first, old_first = [*ratios(17, 0.10), *wild], [*ratios(17, 0.10, seed=2), *reversed(wild)]
        p50 = of("p50", paired(new_first, old_first))

        assert p50.verdict is REGRESSION
        assert p50.change == pytest.approx(0.10, abs=0.03)

    def test_seconds_that_are_known_badly_count_less(self) -> None:
        """Half of the seconds are restless, as their own pairs show; the others have the say."""
        calm, restless = ratios(10, 0.10, 0.02), ratios(10, -0.10, 0.6, seed=4)
        mixed = [each for both in zip(calm, restless, strict=True) for each in both]
        known = of("p50", paired(mixed, mixed, spread=[0.2, 2.0] * 10))
        unknown = of("p50", paired(mixed, mixed))

        assert known.low is not None
        assert unknown.low is not None
        assert known.high is not None
        assert unknown.high is not None
        assert known.high - known.low < unknown.high - unknown.low

    def test_blocks_without_pairs_are_compared_by_themselves(self) -> None:
        """Targets that were loaded apart from the third second on are compared from there on, and it is said."""
        count = 22
        blocks = paired(ratios(count), ratios(count), levels=(120.0, 100.0))
        new, old = blocks.rows
        none: list[Any] = [9.0, 9.0] + [None] * 20
        changes = {
            "pairs_new_first": [50, 50] + [0] * 20, "ratio_new_first": none, "spread_new_first": none,
            "pairs_old_first": [50, 50] + [0] * 20, "ratio_old_first": none, "spread_old_first": none,
            "p50": [each * 120 for each in ratios(count)],
        }  # fmt: skip
        apart = run(new.model_copy(update=changes), old)
        found = compare_side_by_side([apart], STRICT)

        p50 = found.metrics[0]
        assert (p50.metric, p50.verdict) == ("p50", REGRESSION)
        assert p50.change == pytest.approx(0.20, abs=0.03)
        assert found.blocks == 19
        assert any("each target got the load for itself" in note for note in found.notes)


class TestRareSlowness:
    def test_the_mean_finds_what_no_percentile_sees(self) -> None:
        """A few requests in a thousand that take ten times as long raise the mean by a fifth."""
        same = paired(ratios(20, noise=0.01), ratios(20, noise=0.01))
        slow = paired(ratios(20, noise=0.01), ratios(20, noise=0.01), slow=1.2)

        assert of("mean", same).verdict is not REGRESSION
        assert of("mean", slow).verdict is REGRESSION
        assert of("p50", slow).verdict is not REGRESSION

    def test_p99_is_judged_where_it_has_data(self) -> None:
        """100 requests a block are enough, and 50 are merged until they are."""
        assert of("p99", Blocks(span_s=1, count=20, rows=pair(20, 1.3, requests=100))).verdict is REGRESSION
        assert of("p99", Blocks(span_s=1, count=40, rows=pair(40, 1.3, requests=50))).verdict is REGRESSION
        assert not of("p99", Blocks(span_s=1, count=20, rows=pair(20, 1.3, requests=40))).decides


class TestWarmUp:
    def warming(self, seconds: int, count: int = 30, extra: float = 1.0, change: float = 0.0) -> list[BlockRow]:
        """The new copy takes longer in the beginning, less and less."""
        rng = np.random.default_rng(3)
        cold = [1 + extra * max(0.0, 1 - at / seconds) for at in range(count)]
        new = [100 * (1 + change) * each * math.exp(rng.normal(0, 0.03)) for each in cold]
        return [row("new", new), row("old", [100 * math.exp(rng.normal(0, 0.03)) for _ in range(count)])]

    def test_it_is_left_out_and_said(self) -> None:
        """Five seconds of warming up are no regression of a copy that is as fast afterwards."""
        found = compare_side_by_side([run(*self.warming(5))], STRICT)

        assert found.verdict not in (REGRESSION, INCONCLUSIVE)
        assert any("left out: a target was still warming up" in note for note in found.notes)
        assert found.blocks is not None
        assert 20 <= found.blocks <= 24

    def test_it_hides_no_regression(self) -> None:
        """A copy that warms up and is 15% slower afterwards is found, by its 15%."""
        found = compare_side_by_side([run(*self.warming(5, change=0.15))], STRICT)

        assert found.metrics[0].verdict is REGRESSION
        assert found.metrics[0].change == pytest.approx(0.15, abs=0.03)

    def test_a_run_that_is_too_short_says_how_long_it_should_be(self) -> None:
        """Warming up for as long as the run lasts leaves nothing to judge."""
        found = compare_side_by_side([run(*self.warming(14, 14))], STRICT)

        assert found.verdict is INCONCLUSIVE
        assert "14 s are too short: load it for 42 s or longer" in found.reason

    def test_a_target_that_gets_slower_is_not_warming_up(self) -> None:
        """A leak: nothing is left out, and it is found."""
        rng = np.random.default_rng(3)
        new = [100 * (1 + 0.02 * at) * math.exp(rng.normal(0, 0.03)) for at in range(30)]
        old = [100 * math.exp(rng.normal(0, 0.03)) for _ in range(30)]
        found = compare_side_by_side([run(row("new", new), row("old", old))], STRICT)

        assert found.verdict is REGRESSION
        assert found.blocks == 30

    def test_steady_runs_are_left_whole(self) -> None:
        """On a machine that is restless itself, hardly one of 200 runs is said to be unsteady or to warm up all along."""
        cut = 0
        rng = np.random.default_rng(8)
        for _ in range(200):
            machine = 100 * np.exp(np.cumsum(rng.normal(0, 0.1, 20)))
            new, old = (list(machine * np.exp(rng.normal(0, 0.05, 20))) for _ in range(2))
            blocks = Blocks(span_s=1, count=20, rows=[row("new", new), row("old", old)])
            part = steady_part(blocks)
            cut += bool(part.unsteady) or (part.warm_up.blocks > 0 and part.warm_up.unfinished)
        assert cut <= 4


class TestQueues:
    def test_a_difference_that_wanders_is_not_judged(self) -> None:
        """Queues that come and go at both targets tell one story many times over."""
        at = np.arange(30)
        new, old = 100 * np.exp(np.sin(at / 5)), 100 * np.exp(np.cos(at / 6))
        found = compare_side_by_side([run(row("new", list(new)), row("old", list(old)))], STRICT)

        assert found.verdict is INCONCLUSIVE
        assert "the load is near what a target can take" in found.reason

    def test_a_new_target_that_falls_behind_is_a_regression(self) -> None:
        """It answers later every second, while the old one takes the same requests with ease."""
        rng = np.random.default_rng(2)
        new = [150.0 + 40 * at for at in range(20)]
        old = [100 * math.exp(rng.normal(0, 0.03)) for _ in range(20)]

        assert compare_side_by_side([run(row("new", new), row("old", old))], STRICT).verdict is REGRESSION
