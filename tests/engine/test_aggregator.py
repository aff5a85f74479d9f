"""What several segments tell becomes one timeline, one snapshot and one decision."""

from __future__ import annotations

from typing import Any

import pytest

from ciload.engine.aggregator import Aggregator, RunOutcome
from ciload.engine.control import Control
from ciload.engine.load import SegmentEnd, SegmentReport
from ciload.errors import ExitCode
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.sinks import TrendSink
from ciload.metrics.snapshot import Snapshot
from ciload.options.plan import make_plan
from ciload.options.sources import from_flags
from tests.engine.conftest import Recorder


class Watched:
    """A view of a run with so many workers, and what came of it."""

    def __init__(self, workers: int, **options: Any) -> None:
        plan = make_plan([from_flags({"vus": 4, "duration": "60s", **options})], BUILTIN, lambda _: None)
        self.control, self.recorder, self.outcome = Control(), Recorder(), RunOutcome()
        self.view = Aggregator(plan, workers, self.outcome, self.control, self.recorder)

    def tell(self, worker: int, at_s: float, *durations_ms: float, span_s: float = 1.0, vus: int = 2) -> None:
        """What a worker measured in the second that ended at `at_s`: requests that took so long."""
        registry = Registry()
        scope = Scope(registry, "default")
        for duration_ms in durations_ms:
            series = scope.http_series(("/a", "GET", 200, "", ()), 0)
            for phase, value in (("sending", 0.0), ("waiting", duration_ms / 1e3), ("receiving", 0.0)):
                getattr(series, phase).append(value)
            scope.sink(BUILTIN["iterations"]).add(1)
        nothing = Snapshot(dict(BUILTIN))
        self.view.receive(
            worker, SegmentReport(at_s, span_s, vus, vus, registry.take(), nothing, nothing, 0.5, TrendSink())
        )


def test_a_second_is_closed_when_all_have_told_theirs() -> None:
    """Its percentiles are those of all requests in it, its rates and users the sums."""
    run = Watched(2)
    run.tell(0, 1.0, 10, 20)
    run.tell(0, 2.0, 1000)
    assert run.recorder.points == []
    run.tell(1, 1.001, 30, 40, 50)
    [point] = run.recorder.points
    assert (point.requests_per_s, point.vus) == (5, 4)
    assert [point.p50_ms, point.p95_ms] == pytest.approx([30, 48], rel=0.001)
    run.tell(1, 2.0)
    assert [each.requests_per_s for each in run.recorder.points] == [5, 1]
    assert run.recorder.points[1].iterations == 6


def test_a_worker_that_was_held_up_tells_two_seconds_in_one() -> None:
    """Its rate is over the time it took, so no second looks twice as busy as it was."""
    run = Watched(1)
    run.tell(0, 1.5, *[10.0] * 30, span_s=1.5)
    run.tell(0, 2.0, *[10.0] * 10, span_s=0.5)
    assert [each.requests_per_s for each in run.recorder.points] == [20]


def test_the_rest_after_the_last_full_second_is_a_row_of_its_own() -> None:
    """Unless it is too short to say anything; its samples count either way."""
    run = Watched(1)
    run.tell(0, 1.0, 10)
    run.tell(0, 1.4, 10, span_s=0.4)
    run.tell(0, 1.401, 10, span_s=0.001)
    run.view.end(0, SegmentEnd(1.401))
    assert [each.at_s for each in run.outcome.timeline] == [1.0, 1.401]
    assert run.outcome.snapshot.trend("http_req_duration").count == 3
    assert run.outcome.load_s == 1.401


def test_a_lost_worker_holds_nobody_up() -> None:
    """The seconds of the others are closed, the result says since when it is missing, and that fails the run."""
    run = Watched(2)
    run.tell(0, 1.0, 10)
    run.tell(1, 1.0, 10)
    run.tell(0, 2.0, 10)
    run.view.lose(1, "was killed by SIGKILL")
    assert len(run.recorder.points) == 2
    [stop] = run.outcome.stops
    assert stop.code == ExitCode.THRESHOLDS_FAILED
    assert stop.reason == (
        "no data: worker 2 of 2 was killed by SIGKILL; its share of the load is missing after the first 1 s"
    )
    assert run.outcome.health.workers[1].lost == "was killed by SIGKILL"


@pytest.mark.parametrize(("told_s", "seconds"), [((), "0"), ((1.0, 2.0), "2")])
def test_a_worker_lost_in_the_warmup_is_missing_from_then_on(told_s: tuple[float, ...], seconds: str) -> None:
    """The time is what it has told of, not the end of the warm-up."""
    run = Watched(2, warmup="10s")
    for at_s in told_s:
        run.tell(1, at_s)
    run.view.lose(1, "was killed by SIGKILL")
    [stop] = run.outcome.stops
    assert stop.reason.endswith(f"is missing after the first {seconds} s, which were warm-up")


def test_virtual_users_of_all_workers_add_up() -> None:
    """`vus` is the run's number, not the largest of one process."""
    run = Watched(2)
    for second in (1.0, 2.0):
        run.tell(0, second, 10, vus=3)
        run.tell(1, second, 10, vus=2)
    vus: Any = run.outcome.snapshot.select("vus")
    assert (vus.last, vus.largest) == (5, 5)


def test_a_threshold_that_aborts_looks_at_the_whole() -> None:
    """Neither worker alone has crossed it; together they have."""
    limit = {"threshold": "count<4", "abortOnFail": True}
    run = Watched(2, thresholds={"http_reqs": [limit]})
    stops = []
    for worker in (0, 1):
        run.tell(worker, 1.0, 10, 10)
        stops.append(run.control.stop)
    alone, together = stops
    assert (alone, together and together.code) == (None, ExitCode.THRESHOLDS_FAILED)


def test_the_worst_window_decides() -> None:
    """Two slow seconds in a good minute fail a window of 2 s, and are found at the end."""
    run = Watched(1, thresholds={"http_req_duration": "p(95)<500 over 2s"})
    for second in range(1, 60):
        run.tell(0, float(second), *[900.0 if second in (30, 31) else 10.0] * 5)
    run.view.end(0, SegmentEnd(59.0))
    [value] = run.outcome.windows.values()
    assert value == pytest.approx(900, rel=0.001)
