"""Runs over time: what is marked is what the gate says, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ciload.gate.against_history import compare_with_history
from ciload.gate.document import Acceptance, Baseline, StoredRun
from ciload.gate.levels import accept
from ciload.gate.trends import trends
from ciload.gate.verdicts import Terms
from ciload.result.trends import TrendKind, TrendSeries
from tests.gate.runs import START, endpoint, fingerprint, stored_runs

P50S = [10.0, 10.2, 9.9, 10.1, 10.0, 9.8]


def alarmed(run: StoredRun, alarm: str = "worse") -> StoredRun:
    return run.model_copy(update={"accepted": False, "alarm": alarm})


def only(baseline: Baseline) -> TrendKind:
    [kind] = trends(baseline, Terms())
    return kind


def series(kind: TrendKind, metric: str, endpoint: str = "") -> TrendSeries:
    return next(each for each in kind.series if (each.endpoint, each.metric) == (endpoint, metric))


def test_each_run_says_what_became_of_it() -> None:
    """Alarms are ended, out for good or open; what somebody accepted begins a level, with who and why."""
    runs = stored_runs([*P50S, 14, 10, 15, 15, 15, 10, 20, 20, 20, 30], branch=None)
    for index in (6, 8, 9, 10, 15):
        runs[index] = alarmed(runs[index])
    runs[1] = runs[1].model_copy(update={"tainted": ["it lost a worker process"]})
    runs[12] = runs[12].model_copy(update={"alarm": "worse"})
    acceptance = Acceptance(at=START, by="ann", reason="TLS", run_ids=["run-13", "run-14"])
    kind = only(Baseline(runs=runs, acceptances=[acceptance]))

    assert [run.state for run in kind.runs] == [
        "level", "tainted", *["level"] * 4, "ended", "level", *["excluded"] * 3, "level", "accepted", "level", "level",
        "open",
    ]  # fmt: skip
    assert kind.runs[1].why == "it lost a worker process"
    assert [(each.first, each.last, each.by, each.reason) for each in kind.levels] == [
        (0, 11, "", ""),
        (12, 14, "ann", "TLS"),
    ]
    assert [run.level for run in kind.runs][11:] == [1, 2, 2, 2, 0]


def test_a_level_that_began_by_itself() -> None:
    """Three better runs are the level, and are told as such."""
    runs = stored_runs([*P50S, 5, 5, 5, 5])
    runs[6:9] = [alarmed(run, "better") for run in runs[6:9]]
    kind = only(Baseline(runs=runs))

    assert {run.state for run in kind.runs} == {"level"}
    assert [(each.first, each.by_itself) for each in kind.levels] == [(0, False), (6, True)]


def test_where_the_level_moved_is_what_accept_takes() -> None:
    """One that raised no alarm at first, too."""
    runs = stored_runs([*P50S, 13, 13.1, 13.2, 13, 13.1])
    runs[7:] = [alarmed(run) for run in runs[7:]]
    baseline = Baseline(runs=runs)
    kind = only(baseline)
    taken = accept(baseline, by="ann", reason="x", at=START)

    assert kind.moved is not None
    assert kind.runs[kind.moved].run_id == taken.runs[0].run_id == "run-7"
    assert kind.shifted
    assert only(Baseline(runs=runs[:7])).moved is None


def test_drift_and_old_values_are_those_of_the_gate() -> None:
    """The page and the report of the newest run cannot disagree."""
    endpoints = [endpoint(f"/{name}") for name in "abcde"]
    runs = stored_runs([10 * 1.012**number for number in range(40)], endpoints=endpoints)
    baseline = Baseline(runs=runs)
    gate = compare_with_history(runs[-1], [], baseline, "", Terms())
    kind = only(baseline)

    assert gate.drift
    assert [each.found for each in kind.drifts] == gate.drift
    assert (kind.drifts[0].first, kind.drifts[0].last) == (list(range(10)), [36, 37, 38, 39])
    compared = {(each.endpoint, each.metric): each.old for each in gate.metrics if each.metric != "median endpoint p50"}
    assert {key: series(kind, key[1], key[0]).old for key in compared} == compared
    assert series(kind, "p99").old is None


def test_drift_of_another_script_is_not_shown() -> None:
    """The first run of a new version is compared with the runs of the old one, which have a page of their own."""
    runs = stored_runs([10 * 1.012**number for number in range(40)])
    runs[-1] = runs[-1].model_copy(update={"fingerprint": fingerprint(scenario="sha256:b0b0")})
    newest, _ = trends(Baseline(runs=runs), Terms())

    assert compare_with_history(runs[-1], [], Baseline(runs=runs), "", Terms()).drift
    assert newest.drifts == []


def test_all_runs_are_shown() -> None:
    """Also those that the gate no longer compares with, and numbers of too few requests to judge."""
    kind = only(Baseline(runs=stored_runs([10.0] * 100, requests=50)))

    assert len(kind.runs) == 100
    assert kind.levels[0].first == 0
    assert series(kind, "p50").means[0] == pytest.approx(10)
    assert set(series(kind, "p95").values) == {20.0}
    assert series(kind, "p95").means == [None]
    assert {each.metric for each in kind.series} == {"p50", "mean", "p95", "p99", "failed requests", "requests/s"}


def test_an_endpoint_that_comes_and_goes() -> None:
    """It has gaps, not zeros."""
    runs = stored_runs([10.0] * 4)
    runs[2] = runs[2].model_copy(update={"endpoints": [*runs[2].endpoints, endpoint("/new", p50=3.0)]})
    kind = only(Baseline(runs=runs))

    assert series(kind, "p50", "/new").values == [None, None, 3.0, None]


def test_kinds_are_kept_apart() -> None:
    """Another machine is another page of runs; that of the newest run comes first."""
    ours = stored_runs([10.0, 10.0])
    later = START + timedelta(days=9)
    theirs = [
        run.model_copy(update={"run_id": f"arm-{run.run_id}", "fingerprint": fingerprint(runner="arm"), "at": later})
        for run in stored_runs([50.0, 50.0])
    ]
    kinds = trends(Baseline(runs=[*ours, *theirs]), Terms())

    assert [(kind.fingerprint.runner, series(kind, "p50").values) for kind in kinds] == [
        ("arm", [50.0, 50.0]), (fingerprint().runner, [10.0, 10.0]),
    ]  # fmt: skip
