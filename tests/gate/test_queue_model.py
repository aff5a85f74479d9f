"""The queueing model that the gate is tried on, against what queueing theory says of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.gate.queue_model import NEW, OLD, Arrivals, QueueModel, QueueRun, Reach, closed_throughput

# Nothing but what the theorems speak of: exponential times, and a machine whose speed does not change.
PLAIN = QueueModel(service_cv=None, drift=0.0, seconds=60, warmup_s=3.0, exponential_pauses=True)


def mean_s(run: QueueRun, arm: int) -> float:
    return float(run.durations[run.arms == arm].mean())


def waiting_chance(workers: int, load: float) -> float:
    """Erlang's C: the chance that all workers are busy."""
    offered = load * workers
    terms = [offered**n / math.factorial(n) for n in range(workers)]
    last = offered**workers / math.factorial(workers) / (1 - load)
    return last / (sum(terms) + last)


class TestTheory:
    @pytest.mark.parametrize(("workers", "load"), [(1, 0.3), (1, 0.6), (2, 0.6), (4, 0.6), (8, 0.8)])
    def test_open_model_waits_as_long_as_erlang_says(self, workers: int, load: float) -> None:
        """Random starts at two stations one after the other: each is as if it were alone, M/M/k (Burke 1956)."""
        model = replace(PLAIN, workers=workers, load=load, reach="shared", arrivals="poisson", pairs_per_s=800)
        free = workers * (1 - load)
        expected = model.service_s * (1 + waiting_chance(workers, load) / free)

        found = model.run(seed=3)

        assert mean_s(found, OLD) == pytest.approx(expected, rel=0.05)
        assert mean_s(found, NEW) == pytest.approx(expected, rel=0.05)
        assert list(found.utilisation) == pytest.approx([load, load], rel=0.03)

    @pytest.mark.parametrize("load", [0.3, 0.6, 0.95])
    def test_closed_model_of_one_worker_has_the_throughput_of_its_product_form(self, load: float) -> None:
        """Virtual users that pause and visit two stations: Gordon and Newell 1967, by mean value analysis."""
        model = replace(PLAIN, load=load, pairs_per_s=400)

        found = model.run(seed=4)

        assert len(found.durations) / 2 / model.seconds == pytest.approx(
            closed_throughput(model, model.pause_s), rel=0.03
        )

    @pytest.mark.parametrize("workers", [1, 2, 8])
    @pytest.mark.parametrize("load", [0.3, 0.6])
    @pytest.mark.parametrize("reach", ["pinned", "shared"])
    def test_pauses_make_the_load(self, workers: int, load: float, reach: Reach) -> None:
        """Workers are as busy as the model was told, whichever way requests find them."""
        model = QueueModel(workers=workers, load=load, reach=reach)

        assert list(model.run(seed=5).utilisation) == pytest.approx([load, load], abs=0.05)


class TestWhatTheGateIsGiven:
    def test_blocks_hold_all_requests(self) -> None:
        """Percentiles, means and counts of a block are those of the requests that were answered in it."""
        found = QueueModel(workers=2, load=0.6, failing_new=0.05).run(seed=6)
        new, old = found.blocks.rows
        durations = 1e3 * found.durations[(found.arms == NEW) & (found.ends.astype(int) == 7)]

        assert sum(new.requests) + sum(old.requests) == len(found.durations)
        assert new.requests[7] == len(durations)
        assert new.avg[7] == pytest.approx(durations.mean())
        assert [new.p50[7], new.p95[7], new.p99[7]] == pytest.approx(np.percentile(durations, [50, 95, 99]))
        assert sum(old.failed) == 0 < sum(new.failed)
        assert sum(new.pairs_new_first) + sum(new.pairs_old_first) == pytest.approx(sum(new.requests), abs=10)

    def test_long_runs_have_no_more_blocks_than_documents(self) -> None:
        """A minute is cut into 30 blocks of 2 s."""
        blocks = QueueModel(seconds=60).run(seed=1).blocks

        assert (blocks.span_s, blocks.count, len(blocks.rows[0].requests)) == (2.0, 30, 30)

    def test_a_cache_that_both_share_shows_in_the_order_alone(self) -> None:
        """Whoever is asked second is faster, so ratios of the two orders are one another's inverse."""
        new = QueueModel(cache=0.7, drift=0.0).run(seed=2).blocks.rows[0]
        ratios = [np.mean([each for each in row if each]) for row in (new.ratio_new_first, new.ratio_old_first)]

        assert ratios == pytest.approx([1 / 0.7, 0.7], rel=0.05)

    def test_copies_loaded_apart_have_times_of_their_own(self) -> None:
        """Saturated, users who visit both pile up at the slower one; with a load of its own each takes its time."""
        model = QueueModel(workers=2, reach="shared", load=1.0, shift=0.1)
        both, apart = replace(model, apart=False).run(seed=1), model.run(seed=1)

        assert mean_s(both, NEW) > 2 * mean_s(both, OLD)
        assert mean_s(apart, NEW) == pytest.approx(1.1 * mean_s(apart, OLD), rel=0.03)
        assert (apart.apart, both.apart) == (True, False)

    @pytest.mark.parametrize("arrivals", ["closed", "poisson"])
    def test_copies_are_loaded_together_below_saturation(self, arrivals: Arrivals) -> None:
        """Virtual users that pause, or that are more than the starts need, do not part."""
        assert not QueueModel(workers=2, load=0.6, arrivals=arrivals).run(seed=1).apart

    def test_a_full_open_model_drops_at_both_copies(self) -> None:
        """With starts for more than the copies can answer, each has its own schedule and answers what it can."""
        found = QueueModel(workers=2, load=1.2, arrivals="poisson", shift=0.2).run(seed=1)
        new, old = (int((found.arms == arm).sum()) for arm in (NEW, OLD))

        assert found.apart
        assert found.dropped > 1_000
        assert list(found.utilisation) == pytest.approx([1, 1], abs=0.05)
        assert old == pytest.approx(1.2 * new, rel=0.05)

    @pytest.mark.parametrize(
        "trouble",
        [
            {"gc_pause_s": 0.1},
            {"slow_new": 0.02},
            {"warm_new": 1.0, "warm_decay_s": 20.0},
            {"shift": 0.5},
            {"first_s": 3.0, "warmup_s": 0.0},
        ],
    )
    def test_troubles_show(self, trouble: dict[str, Any]) -> None:
        """Each makes the mean of the new copy longer than it is without."""
        model = QueueModel(workers=2, load=0.3)
        calm, troubled = model.run(seed=8), replace(model, **trouble).run(seed=8)

        assert mean_s(troubled, NEW) > 1.1 * mean_s(calm, NEW)

    def test_the_seed_decides(self) -> None:
        """The same seed gives the same run, another seed another one."""
        model = QueueModel(workers=2, load=0.6, renew=True, gc_pause_s=0.02)

        assert model.run(seed=1).blocks == model.run(seed=1).blocks != model.run(seed=2).blocks
