"""One segment of a plan's load in this process: every scenario's share, watched every 50 ms, reported every second."""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from ciload.engine.control import Control, Stop
from ciload.engine.executors import GRAIN_S, run_scenario
from ciload.engine.segment import Segment
from ciload.engine.virtual_users import LoadContext, ScenarioSinks, ScenarioVUs, Unanswered
from ciload.engine.watchdog import Watchdog
from ciload.errors import ExitCode
from ciload.http.client import Client
from ciload.metrics.blocks import Arm
from ciload.metrics.expected import parse_statuses
from ciload.metrics.folding import Folding
from ciload.metrics.recording import Samples
from ciload.metrics.registry import Registry
from ciload.metrics.sinks import TrendSink
from ciload.metrics.snapshot import Snapshot
from ciload.options.outputs import OF_SAMPLES
from ciload.options.plan import Plan
from ciload.script.failures import one_line
from ciload.script.loader import Script

LOOK_EVERY_S = 0.05
REPORT_EVERY_S = 1.0


@dataclass(slots=True)
class SegmentReport:
    """What a segment has measured since it last reported. Times are seconds; `at_s` counts from the load's start."""

    at_s: float
    span_s: float
    active: int  # the most virtual users that were at work
    made: int  # virtual users that there are
    measured: Snapshot
    warmup: Snapshot  # what began before the warm-up was over, and counts for nothing
    old: Snapshot  # side by side: what was measured at the old target
    cpu_s: float
    lag: TrendSink  # ms that the event loop was late
    samples: list[Samples] = field(default_factory=list)  # every one of them, if an output wants that


@dataclass(slots=True)
class SegmentEnd:
    """How a segment's load ended. `aside` is what the virtual users' hooks measured, `measured` what no report has."""

    ended_s: float = 0.0  # since the load's start; 0 when it never started
    interrupted: int = 0
    not_started: int = 0  # virtual users whose vu_start() raised
    ended_early: list[str] = field(default_factory=list)  # scenarios that nobody stopped and that were not done
    unanswered: Unanswered = field(default_factory=Unanswered)
    measured: Snapshot = field(default_factory=lambda: Snapshot({}))
    old: Snapshot = field(default_factory=lambda: Snapshot({}))
    aside: Snapshot = field(default_factory=lambda: Snapshot({}))
    stops: list[Stop] = field(default_factory=list)
    servers: dict[Arm, set[str]] = field(default_factory=dict)  # that each arm's requests went to
    samples: list[Samples] = field(default_factory=list)  # as in reports


class SegmentLoad:
    """A segment's load: virtual users made ready, let loose, and dismissed."""

    def __init__(
        self,
        plan: Plan,
        script: Script,
        segment: Segment,
        *,
        clients: Mapping[Arm, Client],
        registry: Registry,
        control: Control,
        watchdog: Watchdog,
        clock: Callable[[], float],
        report: Callable[[SegmentReport], None],
        look: Callable[[float], None],
    ) -> None:
        """
        Args:
            plan: the whole plan.
            script: the script, loaded in this process.
            segment: which part of it to do.
            clients: of this process's event loop, one for each target.
            registry: where samples go; knows the script's metrics.
            control: says when to stop.
            watchdog: gets its heartbeats from here.
            clock: seconds; one clock for all segments.
            report: gets a report every second and at the end.
            look: called every 50 ms of the load, with the seconds since its start.
        """
        self.plan = plan
        self.script = script
        self.segment = segment
        self.clients = clients
        self.registry = registry
        self.control = control
        self.watchdog = watchdog
        self.clock = clock
        self.report = report
        self.look = look
        self.registry.folding = folding = folding_for(plan)
        self.registry.expected = expected = parse_statuses(plan.options.expected)
        for metric in plan.gated_metrics(registry.metrics):
            registry.gate(metric)
        self.aside = Registry()
        self.warmup = Registry(registry.metrics, folding, expected)
        self.old = Registry(registry.metrics, folding, expected)
        if any(each.kind in OF_SAMPLES for each in plan.options.output):
            registry.record()
            self.old.record()
        self.old_warmup = Registry(registry.metrics, folding, expected)
        self.scenarios: list[ScenarioVUs] = []
        self.lag = TrendSink()
        self.ending = SegmentEnd()
        self._begins_at: float | None = None
        self._finished_at: float | None = None  # when the load had shown what it was for
        self._if_late: Stop | None = None  # what it means if the hooks that are called do not end

    async def run(self, data: Mapping[Arm, Any], when_ready: Callable[[], Awaitable[float | None]]) -> SegmentEnd:
        """The load from vu_start() to vu_stop().

        Args:
            data: what setup() returned at each target.
            when_ready: called when all virtual users are ready; answers when to start (on the clock), or None.
        """
        options = self.plan.options
        context = LoadContext(
            clients=self.clients, script=self.script, control=self.control, clock=self.clock,
            registries={"new": self.registry, "old": self.old}, aside=self.aside, data=data,
            rest_s=options.min_iteration_duration, stage_tag=options.stage_tag,
        )  # fmt: skip
        self.scenarios = [
            ScenarioVUs(
                name, scenario, self.segment, self.plan.vus_before(name),
                self._sinks(name, warmup=bool(options.warmup)), context,
            )
            for name, scenario in self.plan.scenarios.items()
        ]  # fmt: skip
        reason = f"vu_start() did not finish within {options.setup_timeout:g} s; --setup-timeout sets the limit"
        self._if_late = Stop(ExitCode.SETUP_TIMEOUT, reason)
        if not await self._hooks(ScenarioVUs.prepare, options.setup_timeout, stoppable=True):
            self.control.request(self._if_late.code, self._if_late.reason)
        self._if_late = None
        begins_at = await when_ready() if self.control.stop is None else None
        if begins_at is not None:
            with _quiet_collector():
                await self._play(begins_at)
        reason = f"vu_stop() did not finish within {options.teardown_timeout:g} s; --teardown-timeout sets the limit"
        self._if_late = Stop(ExitCode.TEARDOWN_TIMEOUT, reason)
        if not await self._hooks(ScenarioVUs.stop, options.teardown_timeout, stoppable=False):
            self.ending.stops.append(self._if_late)
        self._if_late = None
        for vus in self.scenarios:
            vus.close()
        return self.finish()

    def abandon(self, *, late: bool) -> SegmentEnd:
        """Take stock of a load that does not end, because it is late or was cancelled, whatever becomes of it."""
        if self._begins_at is not None:
            self._report()
            self.ending.ended_s = self.clock() - self._begins_at
        self.ending.interrupted = sum(vus.active for vus in self.scenarios)
        if late and self._if_late is not None and self.control.stop is None:
            self.ending.stops.append(self._if_late)
        return self.finish()

    def finish(self) -> SegmentEnd:
        """What is left to tell when it is over."""
        ending = self.ending
        ending.measured = self.registry.take(max(0.0, ending.ended_s - self.plan.options.warmup))
        ending.old = self.old.take()
        ending.samples = self._take_samples()
        ending.servers = {arm: client.preparer.servers for arm, client in self.clients.items()}
        ending.aside = self.aside.take()
        for vus in self.scenarios:
            ending.interrupted += vus.interrupted
            ending.not_started += vus.not_started
            ending.unanswered.merge(vus.unanswered)
        ending.ended_early = [vus.name for vus in self.scenarios if vus.ended_early]
        return ending

    def _sinks(self, name: str, *, warmup: bool) -> dict[Arm, ScenarioSinks]:
        """Where a scenario's samples go; side by side, they carry the tag `arm`."""
        tags = self.plan.options.tags | self.plan.scenarios[name].tags
        registries: dict[Arm, Registry] = {
            "new": self.warmup if warmup else self.registry,
            "old": self.old_warmup if warmup else self.old,
        }
        if len(self.clients) == 1:
            return {"new": ScenarioSinks(registries["new"], name, tuple(tags.items()))}
        return {arm: ScenarioSinks(registries[arm], name, tuple((tags | {"arm": arm}).items())) for arm in self.clients}

    async def _hooks(
        self, step: Callable[[ScenarioVUs], Coroutine[Any, Any, None]], timeout_s: float, *, stoppable: bool
    ) -> bool:
        """Let every scenario's virtual users do `step`; false when that took too long."""
        async with anyio.create_task_group() as background:
            scope = anyio.CancelScope(deadline=anyio.current_time() + timeout_s)
            background.start_soon(keep_watch, self.watchdog, self.control, scope if stoppable else None)
            with self.watchdog.limit(timeout_s), scope:
                async with anyio.create_task_group() as hooks:
                    for vus in self.scenarios:
                        hooks.start_soon(step, vus)
            background.cancel_scope.cancel()
        return not scope.cancelled_caught or (stoppable and self.control.stop is not None)

    # --- the load itself

    async def _play(self, begins_at: float) -> None:
        ends_s = self.plan.ends_s
        self._begins_at = self._reported_at = begins_at
        self._cpu_s = time.process_time()
        self._next_report = begins_at + REPORT_EVERY_S
        async with anyio.create_task_group() as background:
            load = anyio.CancelScope()
            background.start_soon(self._tick, load)
            background.start_soon(self._end_warmup)
            with self.watchdog.limit(max(0.0, begins_at - self.clock()) + ends_s), load:
                try:
                    async with anyio.create_task_group() as scenarios:
                        for vus in self.scenarios:
                            scenarios.start_soon(run_scenario, vus, begins_at + vus.scenario.start_time)
                except BaseExceptionGroup as errors:
                    # Futures that end with GeneratorExit take the task with them that awaits them, whoever it is.
                    self.control.request(ExitCode.SCRIPT_ERROR, f"the load was broken by {one_line(errors)}")
            background.cancel_scope.cancel()
        self._report()
        self.ending.ended_s = self.clock() - begins_at

    async def _tick(self, load: anyio.CancelScope) -> None:
        """Look around every 50 ms, report every second, on a schedule that does not drift."""
        begins_at = due = self._start()
        await anyio.sleep(max(0.0, due - self.clock()))
        while True:
            due += LOOK_EVERY_S
            await anyio.sleep(max(0.0, due - self.clock()))
            now = self.clock()
            self.watchdog.beat()
            self.lag.add(max(0.0, now - due) * 1e3)  # timers may be early by a clock's grain
            if self.control.stop is not None:
                load.cancel()
                self.watchdog.stop_now()
            elif self.control.finished and self._at_rest(now):
                load.cancel()
            for vus in self.scenarios:
                if vus.drop_missed is not None:
                    vus.drop_missed(now)
            if now >= self._next_report:
                self._report()
                late = (now - self._next_report) // REPORT_EVERY_S
                self._next_report += REPORT_EVERY_S * (late + 1)
            self.look(self.clock() - begins_at)  # reporting may have taken a while
            due = max(due, self.clock() - LOOK_EVERY_S)

    def _at_rest(self, now: float) -> bool:
        """Whether no iteration runs any more, or those that do had the time that they were promised."""
        if self._finished_at is None:
            self._finished_at = now
        return all(
            not vus.active or now > self._finished_at + (vus.scenario.graceful_stop or 0.0) for vus in self.scenarios
        )

    async def _end_warmup(self) -> None:
        """From here on, iterations that begin are measured."""
        warmup_s = self.plan.options.warmup
        if warmup_s:
            # A moment before, so that what is due when it is over does not race with this.
            await anyio.sleep(max(0.0, self._start() + warmup_s - GRAIN_S - self.clock()))
            for vus in self.scenarios:
                vus.sinks = self._sinks(vus.name, warmup=False)
            self._report()
            self._next_report = self._start() + warmup_s + REPORT_EVERY_S

    def _take_samples(self) -> list[Samples]:
        """Of what was measured and has been taken, at both targets."""
        return [*self.registry.take_samples(), *self.old.take_samples()]

    def _start(self) -> float:
        """When the load began, on its clock."""
        assert self._begins_at is not None
        return self._begins_at

    def _report(self) -> None:
        now, cpu_s = self.clock(), time.process_time()
        for vus in self.scenarios:
            vus.look_at_pacing(now - self._reported_at, now - self._start())
        lag, self.lag = self.lag, TrendSink()
        at_s = now - self._start()
        report = SegmentReport(
            at_s=at_s,
            span_s=now - self._reported_at,
            active=sum(vus.take_peak() for vus in self.scenarios),
            made=sum(vus.made for vus in self.scenarios),
            measured=self.registry.take(at_s - self.plan.options.warmup),
            warmup=self.warmup.take(),
            old=self.old.take(),
            cpu_s=cpu_s - self._cpu_s,
            lag=lag,
        )
        report.samples = self._take_samples()
        self.old_warmup.take()  # counts for nothing, and would grow
        self._reported_at, self._cpu_s = now, cpu_s
        self.report(report)


def folding_for(plan: Plan) -> Folding:
    """What may become of series when there are too many, given what the plan's thresholds select."""
    return Folding((tag for threshold in plan.thresholds for tag in threshold.selector.tags), plan.scenarios)


async def keep_watch(watchdog: Watchdog, control: Control, scope: anyio.CancelScope | None) -> None:
    """Heartbeats for the watchdog outside the load; cancels `scope` when the run must stop."""
    while True:
        watchdog.beat()
        if scope is not None and control.stop is not None:
            scope.cancel()
            watchdog.stop_now()
        await anyio.sleep(LOOK_EVERY_S)


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Garbage collection that leaves alone what exists already and runs seldom: requests make no cycles."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
