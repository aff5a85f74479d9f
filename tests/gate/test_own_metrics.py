"""Operations, and metrics that the gate was asked to judge: against history, and side by side."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ciload.gate.against_history import compare_with_history
from ciload.gate.document import Baseline, StoredMetric, StoredRun
from ciload.gate.metrics import measures_of
from ciload.gate.side_by_side import compare_side_by_side
from ciload.gate.stored_run import stored_run as stored_run_of
from ciload.gate.verdicts import Terms
from ciload.metrics.metric import Kind
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import BlockRow, Blocks, Endpoint, GatedKind, MetricResult, OldArm
from tests.gate.runs import endpoint, stored_run, stored_runs
from tests.reports.results import distribution, result

TOKENS = GatedKind(kind=Kind.TREND, unit="tokens", better="higher")
HITS = GatedKind(kind=Kind.RATE, better="higher")
JOBS = GatedKind(kind=Kind.COUNTER, better="higher")
DEPTH = GatedKind(kind=Kind.GAUGE, better="lower")
NOTHING = endpoint(requests=0, avg=None, p50=None, p95=None, p99=None)


def metric(name: str, gated: GatedKind, **values: Any) -> StoredMetric:
    return StoredMetric(name=name, gated=gated, **values)


def own(factor: float = 1.0, seed: int = 0, **changes: Any) -> list[StoredMetric]:
    """One of each kind, a little different in each run; all of them `factor` times as good."""
    noise = random.Random(seed).uniform(0.99, 1.01)
    better = factor * noise
    values = {
        "tokens": metric("tokens", TOKENS, samples=2_000, p50=40 * better, p95=80 * better),
        "hits": metric("hits", HITS, samples=10_000, failed=round(1_000 / better)),
        "jobs": metric("jobs", JOBS, value=300 * better),
        "depth": metric("depth", DEPTH, value=6 / better),
    }
    return list((values | changes).values())


def history(count: int = 8) -> Baseline:
    runs = stored_runs([1.0] * count, total=NOTHING)
    return Baseline(runs=[run.model_copy(update={"metrics": own(seed=n)}) for n, run in enumerate(runs)])


def compared(new: StoredRun, terms: Terms = Terms()) -> Comparison:  # noqa: B008  # it is frozen
    return compare_with_history(new, [], history(), "b.json", terms)


def of(comparison: Comparison, name: str, measure: str) -> GatedMetric:
    [found] = [each for each in comparison.metrics if (each.endpoint, each.metric) == (name, measure)]
    return found


def fresh(metrics: list[StoredMetric], **changes: Any) -> StoredRun:
    return stored_run(run_id="new", metrics=metrics, **{"total": NOTHING} | changes)


class TestAgainstHistory:
    def test_a_run_of_such_metrics_alone_is_compared(self) -> None:
        """Each is judged by what tells most of it; without requests, nothing is said of these."""
        comparison = compared(fresh(own(seed=99)))

        assert comparison.verdict in (GateVerdict.OK, GateVerdict.UNSUSPICIOUS)
        assert {(each.endpoint, each.metric) for each in comparison.metrics} == {
            ("tokens", "p50"), ("hits", "share of false"), ("jobs", "per second"), ("depth", "value"),
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("worse", "name", "measure"),
        [
            ({"tokens": metric("tokens", TOKENS, samples=2_000, p50=28, p95=56)}, "tokens", "p50"),
            ({"hits": metric("hits", HITS, samples=10_000, failed=2_500)}, "hits", "share of false"),
            ({"jobs": metric("jobs", JOBS, value=200)}, "jobs", "per second"),
            ({"depth": metric("depth", DEPTH, value=9)}, "depth", "value"),
        ],
    )
    def test_only_the_one_that_got_worse_is_named(
        self, worse: dict[str, StoredMetric], name: str, measure: str
    ) -> None:
        """Whatever kind it is, and in whichever direction it is better."""
        comparison = compared(fresh(list(({each.name: each for each in own()} | worse).values())))

        assert comparison.verdict is GateVerdict.REGRESSION
        found = [each.endpoint for each in comparison.metrics if each.verdict is GateVerdict.REGRESSION]
        assert found == [name]
        assert of(comparison, name, measure).verdict is GateVerdict.REGRESSION

    def test_what_got_better_is_no_regression(self) -> None:
        """More tokens, more hits, more jobs, a shorter queue."""
        comparison = compared(fresh(own(1.5)))

        assert comparison.verdict is GateVerdict.IMPROVED
        tokens = of(comparison, "tokens", "p50")
        assert tokens.change == pytest.approx(0.5, abs=0.03)

    def test_what_was_asked_for_and_is_not_there_leaves_it_open(self) -> None:
        """Too few samples, none at all, or values that have no ratios: nobody is to think that they were judged."""
        few = compared(fresh(own(tokens=metric("tokens", TOKENS, samples=3, p50=40, p95=80))))
        gone = compared(fresh([each for each in own() if each.name != "jobs"]))
        below = compared(fresh(own(depth=metric("depth", DEPTH, value=-1.0))))

        assert {each.verdict for each in (few, gone, below)} == {GateVerdict.INCONCLUSIVE}
        assert "3 samples" in of(few, "tokens", "p50").reason
        assert "not in this run" in of(gone, "jobs", "per second").reason
        assert "below 0" in of(below, "depth", "value").reason

    def test_operations_are_endpoints(self) -> None:
        """One that got slower is named, though there is no request, and no other."""
        runs = [
            run.model_copy(update={"endpoints": [NOTHING, endpoint("save", method="", p50=10 + n % 3 / 10)]})
            for n, run in enumerate(stored_runs([1.0] * 8))
        ]
        slower = stored_run(run_id="new", total=NOTHING, endpoints=[endpoint("save", method="", p50=15.0, p95=30.0)])
        comparison = compare_with_history(slower, [], Baseline(runs=runs), "b.json", Terms())

        assert comparison.verdict is GateVerdict.REGRESSION
        assert {each.label for each in comparison.metrics} == {"save"}


class TestTolerances:
    def test_one_metric_may_get_worse_by_more_than_others(self) -> None:
        """By its name, or by that of one of its measures, of which the narrower one counts."""
        worse = fresh(own(jobs=metric("jobs", JOBS, value=200)))

        assert compared(worse, Terms(tolerances={"jobs": 0.6})).verdict is not GateVerdict.REGRESSION
        assert (
            compared(worse, Terms(tolerances={"jobs": 0.6, "jobs per second": 0.1})).verdict is GateVerdict.REGRESSION
        )
        assert compared(worse, Terms(tolerances={"tokens": 0.6})).verdict is GateVerdict.REGRESSION

    def test_a_name_that_nothing_has_is_told(self) -> None:
        """It is more likely misspelt than meant."""
        notes = " ".join(compared(fresh(own()), Terms(tolerances={"tokns": 0.6})).notes)

        assert "'tokns'" in notes
        assert "did you mean 'tokens'?" in notes


class TestSideBySide:
    def rows(self, name: str, gated: GatedKind | None, new: float, old: float) -> list[BlockRow]:
        chance = random.Random(7)
        made = []
        for arm, value in (("new", new), ("old", old)):
            values: list[float | None] = [value * chance.uniform(0.97, 1.03) for _ in range(20)]
            made.append(
                BlockRow(
                    arm="new" if arm == "new" else "old", name=name, metric=gated, requests=[200] * 20, failed=[0] * 20,
                    avg=values, p50=values, p95=values, p99=values,
                )
            )  # fmt: skip
        return made

    def compare(self, *rows: BlockRow) -> Comparison:
        arm = OldArm(
            url="http://old.test", iterations=1, script_errors=0, requests=0, failed=0, duration=None, phases=None,
            endpoints=[operation(each.name) for each in rows if each.metric is None and each.arm == "old"],
        )  # fmt: skip
        empty = [
            BlockRow(arm=arm, name="", requests=[0] * 20, failed=[0] * 20, avg=[None] * 20, p50=[None] * 20,
                     p95=[None] * 20)
            for arm in ("new", "old")
        ]  # fmt: skip
        blocks = Blocks(span_s=1.0, count=20, of="operations", rows=[*empty, *rows])
        measured = {"own": MetricResult(kind=Kind.GAUGE, unit="", better="lower", value=1.0)}
        return compare_side_by_side([result(old_arm=arm, blocks=blocks, metrics=measured, endpoints=[])], Terms())

    @pytest.mark.parametrize("gated", [TOKENS, JOBS])
    def test_more_is_better_where_that_was_said(self, gated: GatedKind) -> None:
        """A fall is a regression with its true size, a rise none, and another metric is as it was."""
        same = self.rows("other", DEPTH, 5, 5)
        fallen = self.compare(*self.rows("own", gated, 30, 40), *same)
        risen = self.compare(*self.rows("own", gated, 40, 30), *same)

        assert (fallen.verdict, risen.verdict) == (GateVerdict.REGRESSION, GateVerdict.IMPROVED)
        first = next(each for each in fallen.metrics if each.endpoint == "own")
        assert first.change == pytest.approx(-0.25, abs=0.02)
        assert {each.endpoint for each in fallen.metrics if each.verdict is GateVerdict.REGRESSION} == {"own"}

    def test_an_operation_alone(self) -> None:
        """Slower at the new target: named, without a row for requests that there were none of."""
        comparison = self.compare(*self.rows("echo", None, 13, 10), *self.rows("other", None, 10, 10))

        assert comparison.verdict is GateVerdict.REGRESSION
        assert {each.label for each in comparison.metrics if each.verdict is GateVerdict.REGRESSION} == {"echo"}
        assert {each.label for each in comparison.metrics} == {"echo", "other"}

    def test_operations_that_all_failed_are_no_measure(self) -> None:
        """As with requests: a new target is not better than one that was down."""
        broken = operation("echo", failed=200)
        arm = OldArm(
            url="http://old.test", iterations=1, script_errors=0, requests=0, failed=0, duration=None, phases=None,
            endpoints=[broken],
        )  # fmt: skip
        blocks = Blocks(span_s=1.0, count=20, of="operations", rows=self.rows("echo", None, 10, 10))
        comparison = compare_side_by_side([result(old_arm=arm, blocks=blocks)], Terms())

        assert (comparison.verdict, comparison.reason) == (
            GateVerdict.MISSING, "no operation at the old target succeeded",
        )  # fmt: skip


def operation(name: str, failed: int = 0) -> Endpoint:
    return Endpoint(
        name=name, method="", requests=200, rate=10.0, failed=failed, statuses={}, duration=distribution(10.0),
        waiting_avg=None, bytes_received=0,
    )  # fmt: skip


def test_a_result_is_stored_with_operations_and_metrics() -> None:
    """A run of them alone is a measure for others, and what was not to be judged is not kept."""
    metrics = {
        "tokens": MetricResult(kind=Kind.TREND, unit="tokens", better="higher", trend=distribution(40.0)),
        "hits": MetricResult(kind=Kind.RATE, unit="", better="higher", rate=0.9, passes=90, fails=10),
        "other": MetricResult(kind=Kind.GAUGE, unit="", value=1.0),
    }
    stored = stored_run_of(result(metrics=metrics, endpoints=[operation("save")]))

    assert not stored.tainted
    assert [(each.name, each.method) for each in stored.endpoints] == [("", ""), ("save", "")]
    assert [(each.name, each.failed) for each in stored.metrics] == [("hits", 10), ("tokens", 0)]
    assert (
        "more than half of its requests failed"
        in stored_run_of(result(metrics={}, endpoints=[operation("save", failed=150)])).tainted
    )


def test_a_unit_called_share_is_none() -> None:
    """What a script calls its unit changes nothing of how it is judged."""
    assert {each.unit for each in measures_of(GatedKind(kind=Kind.TREND, unit="share"))} == {""}
