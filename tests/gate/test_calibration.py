"""What a gate would have said of a history, and what it could have seen."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest

from ciload.gate.alarms import Terms, compare_with_history
from ciload.gate.calibration import KindCalibration, MetricCalibration, calibrate
from ciload.gate.document import Acceptance, Baseline
from ciload.result.comparison import GateVerdict
from tests.gate.runs import START, endpoint, fingerprint, stored_run, stored_runs

TERMS = Terms()


def lognormal(count: int, spread: float, middle: float = 10.0, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [middle * math.exp(chance.gauss(0, spread)) for _ in range(count)]


def only(baseline: Baseline, terms: Terms = TERMS) -> KindCalibration:
    (kind,) = calibrate(baseline, terms)
    return kind


def p50(kind: KindCalibration) -> MetricCalibration:
    return next(each for each in kind.metrics if (each.metric, each.endpoint) == ("p50", ""))


def test_every_run_is_replayed_against_the_others() -> None:
    """Thirty unchanged runs raise next to no alarms, and their spread is found again."""
    kind = only(Baseline(runs=stored_runs(lognormal(30, 0.05))))

    assert (kind.runs, kind.family, kind.left_out.tried, kind.rolling.tried) == (30, 3, 30, 27)
    assert kind.left_out.alarms <= 2
    assert kind.left_out_tolerated.alarms <= kind.left_out.alarms
    assert p50(kind).spread == pytest.approx(0.05, abs=0.015)
    assert p50(kind).alone.tried == 30


def test_more_runs_see_more() -> None:
    """The smallest change that is found shrinks with the number of runs, and never below the tolerance."""
    found = p50(only(Baseline(runs=stored_runs(lognormal(12, 0.05)))))

    sizes = [found.detectable[size] for size in (5, 10, 20, 30)]
    assert sizes == sorted(sizes, reverse=True)
    assert found.now is not None
    assert sizes[1] > found.now > sizes[2] > TERMS.tolerance
    assert found.confirmed is not None
    assert found.confirmed < found.now


def test_quiet_runs_need_few_for_the_tolerance() -> None:
    """Where runs differ by one percent, a handful finds twice the tolerance; where by 20%, no number does.

    What is just tolerated is found every other time, so more than that has to be asked for.
    """
    quiet = p50(only(Baseline(runs=stored_runs(lognormal(20, 0.01)))))
    noisy = p50(only(Baseline(runs=stored_runs(lognormal(20, 0.2)))))

    assert quiet.needed is not None
    assert quiet.needed <= 10
    assert TERMS.tolerance < quiet.detectable[30] < TERMS.tolerance + 0.02
    assert quiet.noise_alone < 0.05
    assert noisy.needed is None
    assert noisy.detectable[30] > 0.5


def test_ten_percent_over_the_last_run_cries_wolf() -> None:
    """The gate that people write first alarms often where runs differ by 10%."""
    found = p50(only(Baseline(runs=stored_runs(lognormal(30, 0.1)))))

    assert found.naive.tried == 29
    assert found.naive.alarms >= 4
    assert found.tolerated.alarms <= 1


def test_an_accepted_level_is_no_alarm() -> None:
    """Runs of two levels are each judged by their own level, and both tell the noise."""
    runs = stored_runs([*lognormal(10, 0.02), *lognormal(10, 0.02, middle=20.0)])
    change = Acceptance(at=START + timedelta(days=1), by="me", reason="new index", run_ids=["run-11"])
    kind = only(Baseline(runs=runs, acceptances=[change]))

    assert (kind.runs, kind.left_out.alarms, kind.rolling.alarms) == (20, 0, 0)
    assert p50(kind).spread == pytest.approx(0.02, abs=0.01)


def test_kinds_are_told_apart_and_need_four_runs() -> None:
    """Each fingerprint has a table of its own; with three runs there is nothing to leave out."""
    many = stored_runs(lognormal(6, 0.05))
    others = stored_runs(lognormal(4, 0.05), fingerprint=fingerprint(runner="other"), at=START - timedelta(days=1))
    few = stored_runs(lognormal(3, 0.05), fingerprint=fingerprint(runner="third"))
    runs = [run.model_copy(update={"run_id": f"{n}"}) for n, run in enumerate([*many, *others, *few])]

    kinds = calibrate(Baseline(runs=runs), TERMS)

    assert [(kind.fingerprint.runner, kind.runs) for kind in kinds] == [("other", 4), ("Linux x86_64 4 cores", 6)]
    assert calibrate(Baseline(), TERMS) == []


def test_a_long_tail_is_told() -> None:
    """Runs of which one in ten is far slower are skewed even after the logarithm."""
    found = p50(only(Baseline(runs=stored_runs([*lognormal(18, 0.02), 30.0, 40.0]))))

    assert found.skew is not None
    assert found.skew > 1


def test_alarms_that_ended_are_false_ones_and_replayed() -> None:
    """What alarmed and went away is counted as it was, and is among the runs that are judged again."""
    runs = stored_runs([*lognormal(10, 0.02), 14.0, *lognormal(10, 0.02, seed=2)])
    runs[10] = runs[10].model_copy(update={"accepted": False, "alarm": "worse"})
    kind = only(Baseline(runs=runs))

    assert (kind.runs, kind.ended.tried, kind.ended.alarms) == (21, 21, 1)
    assert (kind.left_out.tried, kind.left_out.alarms) == (21, 1)
    low, high = kind.ended.interval
    assert low < 1 / 21 < high


def test_found_as_often_as_told() -> None:
    """A run that is slower by what is told to be found 8 times in 10 is found that often, with the tolerance."""
    chance = random.Random(4)
    calibrated = p50(only(Baseline(runs=stored_runs(lognormal(30, 0.03)))))
    spread, told, found, tried = calibrated.spread or 0.0, calibrated.detectable[10], 0, 150
    for _ in range(tried):
        earlier = [10 * math.exp(chance.gauss(0, spread)) for _ in range(10)]
        slower = 10 * (1 + told) * math.exp(chance.gauss(0, spread))
        new = stored_run(p50=slower, p95=20.0, run_id="new", at=START + timedelta(days=9))
        comparison = compare_with_history(new, [], Baseline(runs=stored_runs(earlier, p95=20.0)), "b.json", TERMS)
        found += comparison.metrics[0].verdict is GateVerdict.REGRESSION

    assert 0.7 < found / tried < 0.9


def test_endpoints_are_calibrated_each() -> None:
    """The family has all metrics of all endpoints."""
    kind = only(Baseline(runs=stored_runs(lognormal(6, 0.05), endpoints=[endpoint("/a"), endpoint("/b")])))

    assert kind.family == 9
    assert {each.endpoint for each in kind.metrics} == {"", "/a", "/b"}
    shares = [each for each in kind.metrics if each.metric == "failed requests"]
    assert all(each.spread is None and 0 < each.detectable[30] < each.detectable[5] < 1 for each in shares)
