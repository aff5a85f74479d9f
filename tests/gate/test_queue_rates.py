"""What side by side says of servers that are queues: a small part of `make gate-queues`. Every seed is fixed."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest

from benchmarks.queue_rates import TROUBLES, WITHOUT_TOLERANCE, count
from ciload.gate.side_by_side import compare_blocks
from ciload.result.comparison import GateVerdict
from tests.gate.queue_model import Arrivals, QueueModel


def alarms(model: QueueModel, runs: int) -> int:
    """How many of so many runs the gate calls a regression, without any tolerance."""
    return int(count(model, range(runs))["alarms"])


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_false_alarms_below_saturation(workers: int) -> None:
    """Whatever the workers, the load, the model of arrivals and the trouble: at most 1.5%, all metrics together."""
    arrivals: tuple[Arrivals, ...] = ("closed", "poisson")
    cells = [
        QueueModel(workers=workers, load=load, arrivals=each, **trouble)
        for load in (0.3, 0.6)
        for each in arrivals
        for trouble in TROUBLES.values()
    ]

    # 4 runs of each of 24 cells: 4 and more would come with a rate of 1.5% once in 17 such counts.
    assert sum(alarms(cell, 4) for cell in cells) <= 3


def test_connections_that_are_kept_are_one_draw_a_run() -> None:
    """Why they are renewed: which of two workers they lead to would be called a change in every fifth run."""
    renewed = QueueModel(workers=2, load=0.6)

    assert alarms(replace(renewed, renew=False), 40) > 8
    assert alarms(renewed, 40) <= 1


def test_confirmation_keeps_the_rate_with_several_workers() -> None:
    """A run that is suspicious and two more of it: what was 5 to 17% with connections that were kept."""
    model = QueueModel(workers=2, load=0.6)
    found = 0
    for seed in range(30):
        first, *reruns = (model.run(100 * seed + each).blocks for each in range(3))
        suspicious = any((each.p_value or 0) < 0.1 for each in compare_blocks([first], WITHOUT_TOLERANCE))
        metrics = compare_blocks([first, *reruns], WITHOUT_TOLERANCE) if suspicious else []
        found += any(each.verdict is GateVerdict.REGRESSION for each in metrics)
    assert found <= 1


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_ten_percent_are_found(workers: int) -> None:
    """In 20 s with 200 iterations a second, however many workers share the load."""
    assert alarms(QueueModel(workers=workers, shift=0.10), 20) >= 19


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_saturated_copies_tell_the_size(workers: int) -> None:
    """Loaded apart, a tenth is a tenth; virtual users who visit both would tell several times as much."""
    # The warm-up is long enough for virtual users to part in it: blocks from before tell what they tell together.
    saturated = QueueModel(workers=workers, load=1.0, shift=0.10, warmup_s=6.0)
    apart, together = (
        [
            change for seed in range(10) if (change := p50_change(replace(saturated, apart=each), seed)) is not None
        ]
        for each in (True, False)
    )  # fmt: skip

    assert len(apart) >= 8
    assert median(apart) == pytest.approx(0.10, abs=0.025)
    assert median(together) > 0.5


def p50_change(model: QueueModel, seed: int) -> float | None:
    """What the gate tells of the median; None where too few seconds are steady."""
    (change,) = [
        each.change for each in compare_blocks([model.run(seed).blocks], WITHOUT_TOLERANCE) if each.metric == "p50"
    ]
    return change
