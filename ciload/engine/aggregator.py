"""The whole run as far as it is known: what all segments have reported, merged; and what has to be done about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ciload.engine.control import Control, Stop
from ciload.engine.health import Health, WorkerHealth
from ciload.engine.load import SegmentEnd, SegmentReport, folding_for
from ciload.engine.virtual_users import Unanswered
from ciload.errors import ExitCode
from ciload.metrics.blocks import Arm, BlockSeries
from ciload.metrics.cpu_series import MeasuredCpu
from ciload.metrics.metric import BUILTIN
from ciload.metrics.operations import COUNT, DURATION, FAILED
from ciload.metrics.recording import Samples
from ciload.metrics.sinks import CounterSink, GaugeSink, RateSink
from ciload.metrics.snapshot import Snapshot, merged
from ciload.options.plan import Plan
from ciload.result.thresholds import Threshold, measure
from ciload.result.windows import Windows

SHORTEST_ROW_S = 0.05  # what comes after the last full second is a row of its own when it is longer


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One second of the load: the timeline's row. `at_s` is its end, counted from where measuring began.

    Numbers of iterations, script errors and dropped starts are of the run so far; rates and times are of this second.
    """

    at_s: float
    vus: int
    iterations: int
    script_errors: int
    dropped: int
    failed: int
    requests_per_s: float
    failed_per_s: float
    bytes_per_s: float
    p50_ms: float | None
    p95_ms: float | None


# Whether the blocks of the first so many measured seconds have shown what the load is for.
HTTP = ("http_reqs", "http_req_failed", "http_req_duration")
OPERATIONS = (COUNT, FAILED, DURATION)

IsClear = Callable[[BlockSeries, float], bool]


class Observer(Protocol):
    """Who watches the run while it goes on."""

    def tick(self, elapsed_s: float) -> None:
        """Called every 50 ms, with the time since the load's start."""

    def second(self, point: TimelinePoint) -> None:
        """Called once a second of load that is measured."""


@dataclass(slots=True)
class RunOutcome:
    """Everything that a run leaves behind. `stops` are failures of the run itself, in the order they happened."""

    started_at: float = 0.0  # seconds since the epoch
    setup_s: float = 0.0
    load_s: float = 0.0  # what was measured, without the warm-up
    teardown_s: float = 0.0
    interrupted: int = 0
    not_started: int = 0  # virtual users whose vu_start() raised
    ended_early: list[str] = field(default_factory=list)  # scenarios that nobody stopped and that were not done
    unanswered: Unanswered = field(default_factory=Unanswered)
    warnings: list[str] = field(default_factory=list)
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(dict(BUILTIN)))
    warmup: Snapshot = field(default_factory=lambda: Snapshot(dict(BUILTIN)))
    old: Snapshot = field(default_factory=lambda: Snapshot(dict(BUILTIN)))  # side by side: of the old target
    servers: dict[Arm, set[str]] = field(default_factory=dict)  # that each arm's requests went to
    blocks: BlockSeries = field(default_factory=BlockSeries)
    target_cpu: dict[Arm, MeasuredCpu] = field(default_factory=dict)  # of targets whose process is known
    aside: Snapshot = field(default_factory=lambda: Snapshot(dict(BUILTIN)))  # setup, teardown and the users' hooks
    clear_after_s: float | None = None  # measured seconds after which the load had shown what it was for
    windows: dict[Threshold, float | None] = field(default_factory=dict)
    timeline: list[TimelinePoint] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    stops: list[Stop] = field(default_factory=list)

    def note(self, stop: Stop | None) -> None:
        if stop is not None and stop not in self.stops:
            self.stops.append(stop)


class Recipient(Protocol):
    """Whoever is given what was measured while the load runs."""

    def take(self, measured: Snapshot, samples: Sequence[Samples], at: float) -> None: ...


class Aggregator:
    """Takes in what the segments report, closes each second when all of them have reported it, checks thresholds."""

    def __init__(
        self,
        plan: Plan,
        workers: int,
        outcome: RunOutcome,
        control: Control,
        observer: Observer,
        is_clear: IsClear | None = None,
        recipient: Recipient | None = None,
    ) -> None:
        """
        Args:
            plan: what is done.
            workers: in how many processes.
            outcome: gets everything.
            control: told when the load is to end.
            observer: shown how it goes.
            is_clear: whether the blocks so far have shown what the load is for; asked once a second.
            recipient: gets everything as it comes.
        """
        self._recipient = recipient
        self._is_clear = is_clear
        self.outcome = outcome
        self._plan = plan
        self._control = control
        self._observer = observer
        self._folding = folding_for(plan)
        self._windows = Windows(plan.thresholds)
        self._watched = [each for each in plan.thresholds if each.abort_on_fail]
        # How far each worker that still runs has reported; the warm-up lies before 0.
        self._known_s = dict.fromkeys(range(workers), -plan.options.warmup)
        self._open: dict[int, dict[int, list[SegmentReport]]] = {}  # row → worker → its reports
        self._row = 0  # seconds that are closed
        outcome.health.workers = [WorkerHealth() for _ in range(workers)]

    def receive(self, worker: int, report: SegmentReport) -> None:
        """One second of one worker."""
        outcome, warmup_s = self.outcome, self._plan.options.warmup
        if self._recipient is not None:
            self._recipient.take(report.measured, report.samples, time.time())
        outcome.snapshot.merge(report.measured, self._folding)
        outcome.warmup.merge(report.warmup, self._folding)
        outcome.old.merge(report.old, self._folding)
        outcome.health.workers[worker].add(report.cpu_s, report.span_s, report.lag)
        self._known_s[worker] = report.at_s - warmup_s
        if report.at_s > warmup_s:
            row = max(self._row, int(report.at_s - warmup_s + 0.5) - 1)
            self._open.setdefault(row, {}).setdefault(worker, []).append(report)
        self._close_rows()

    def end(self, worker: int, ending: SegmentEnd) -> None:
        """A worker is through with its share."""
        outcome = self.outcome
        if self._recipient is not None:
            self._recipient.take(ending.measured, ending.samples, time.time())
        outcome.load_s = max(outcome.load_s, ending.ended_s - self._plan.options.warmup)
        outcome.interrupted += ending.interrupted
        outcome.not_started += ending.not_started
        outcome.ended_early += [each for each in ending.ended_early if each not in outcome.ended_early]
        outcome.unanswered.merge(ending.unanswered)
        outcome.snapshot.merge(ending.measured, self._folding)
        outcome.old.merge(ending.old, self._folding)
        outcome.aside.merge(ending.aside)
        for arm, servers in ending.servers.items():
            outcome.servers.setdefault(arm, set()).update(servers)
        for stop in ending.stops:
            outcome.note(stop)
        self._leave(worker)

    def lose(self, worker: int, why: str) -> None:
        """A worker is gone, and what it measured since its last second with it."""
        warmup_s = self._plan.options.warmup
        known_s = self._known_s.get(worker, -warmup_s) + warmup_s
        self.outcome.health.workers[worker].lost = why
        number = f"worker {worker + 1} of {len(self.outcome.health.workers)}"
        reason = f"no data: {number} {why}; its share of the load is missing after the first {known_s:.0f} s"
        reason += ", which were warm-up" if known_s <= warmup_s and warmup_s else ""
        self.outcome.note(Stop(ExitCode.THRESHOLDS_FAILED, reason))
        self.outcome.load_s = max(self.outcome.load_s, known_s - warmup_s)
        self._leave(worker)

    def _leave(self, worker: int) -> None:
        self._known_s.pop(worker, None)
        self._close_rows()
        if not self._known_s:
            self._look(self.outcome.load_s)
            self.outcome.windows = {each: self._windows.worst(each) for each in self._plan.thresholds if each.window_s}

    # --- seconds

    def _close_rows(self) -> None:
        while self._open:
            row = min(self._open)
            if any(known_s < row + 1 - SHORTEST_ROW_S for known_s in self._known_s.values()):
                return
            self._row = row + 1
            self._close(row, self._open.pop(row))

    def _close(self, row: int, reported: dict[int, list[SegmentReport]]) -> None:
        outcome = self.outcome
        reports = [report for each in reported.values() for report in each]
        if outcome.timeline and max(report.span_s for report in reports) < SHORTEST_ROW_S:
            return
        vus = sum(max(report.active for report in each) for each in reported.values())
        self._gauge("vus", vus)
        self._gauge("vus_max", sum(max(report.made for report in each) for each in reported.values()))
        whole = merged(report.measured for report in reports)
        outcome.blocks.add(row, {"new": whole, "old": merged(report.old for report in reports)})
        # Of operations, where a script makes no requests.
        of_requests = "http_reqs" in outcome.snapshot.series
        count, failed, duration = HTTP if of_requests else OPERATIONS
        durations = whole.trend(duration)
        p50, p95 = (None, None) if durations.empty else durations.percentiles([50, 95])
        point = TimelinePoint(
            at_s=max(report.at_s for report in reports) - self._plan.options.warmup,
            vus=vus,
            iterations=int(_total(outcome.snapshot, "iterations")),
            script_errors=int(_total(outcome.snapshot, "script_errors")),
            dropped=int(_total(outcome.snapshot, "dropped_iterations")),
            failed=int(_failed(outcome.snapshot, failed)),
            requests_per_s=_rate(reported, lambda each: _total(each, count)),
            failed_per_s=_rate(reported, lambda each: _failed(each, failed)),
            bytes_per_s=_rate(reported, lambda each: _total(each, "data_received")),
            p50_ms=p50,
            p95_ms=p95,
        )
        outcome.timeline.append(point)
        self._look(point.at_s)
        if self._is_clear is not None and not self._control.ending and self._is_clear(outcome.blocks, float(row + 1)):
            outcome.clear_after_s = float(row + 1)
            self._control.finish()
        self._observer.second(point)

    def _gauge(self, name: str, value: float) -> None:
        sink = self.outcome.snapshot.series.setdefault(name, {}).setdefault((), GaugeSink())
        assert isinstance(sink, GaugeSink)
        sink.add(value)

    # --- thresholds

    def _look(self, at_s: float) -> None:
        """Move the windows on, and end the run when a threshold that aborts does not hold."""
        snapshot = self.outcome.snapshot
        self._windows.look(at_s, snapshot)
        if self._control.stop is not None:
            return
        for threshold in self._watched:
            if at_s > threshold.delay_abort_eval_s:
                value = self._value(threshold, at_s)
                if value is not None and not threshold.holds(value):
                    reason = f"threshold failed: {threshold.key} {threshold.expression}, which ended the run"
                    self._control.request(ExitCode.THRESHOLDS_FAILED, reason)

    def _value(self, threshold: Threshold, at_s: float) -> float | None:
        if threshold.window_s is not None:
            return self._windows.latest(threshold)
        return measure(threshold, self.outcome.snapshot, at_s, int(_total(self.outcome.snapshot, "iterations")))


def _rate(reported: Mapping[int, Sequence[SegmentReport]], amount: Callable[[Snapshot], float]) -> float:
    """Per second, of all workers together."""
    return sum(
        sum(amount(report.measured) for report in reports) / max(sum(report.span_s for report in reports), 1e-9)
        for reports in reported.values()
    )


def _total(snapshot: Snapshot, name: str) -> float:
    sinks = snapshot.series.get(name, {}).values()
    return sum(sink.total for sink in sinks if isinstance(sink, CounterSink))


def _failed(snapshot: Snapshot, name: str) -> int:
    sinks = snapshot.series.get(name, {}).values()
    return sum(sink.passes for sink in sinks if isinstance(sink, RateSink))
