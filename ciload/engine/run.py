"""The lifecycle of a run: setup, the load, teardown; watched every 50 ms, folded every second."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from ciload.engine.control import Control, Stop
from ciload.engine.executors import rule_for
from ciload.engine.health import Health
from ciload.engine.vus import Crew
from ciload.engine.watchdog import Watchdog
from ciload.errors import ExitCode
from ciload.http.client import Client
from ciload.http.session import Session, current
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.sinks import CounterSink
from ciload.metrics.snapshot import Second, Snapshot
from ciload.options.plan import Plan, Scenario
from ciload.script.failures import Abort, ScriptBlockedError, one_line, record_script_error
from ciload.script.loader import Function, Script
from ciload.script.vu import VU

LOOK_EVERY_S = 0.05
FOLD_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One second of the load: the timeline's row. `at_s` is the end of it, counted from the start of the load."""

    at_s: float
    span_s: float
    vus: int
    iterations: int
    script_errors: int
    brought: Second


@dataclass(slots=True)
class Outcome:
    """Everything that a run leaves behind. `stops` are failures of the run itself, in the order they happened."""

    started_at: float = 0.0  # seconds since the epoch
    setup_s: float = 0.0
    load_s: float = 0.0
    teardown_s: float = 0.0
    interrupted: int = 0
    setup_requests: int = 0  # requests of setup and teardown, kept out of every metric
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(dict(BUILTIN)))
    timeline: list[Moment] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    stops: list[Stop] = field(default_factory=list)


class Observer(Protocol):
    """Who watches the run while it goes on."""

    def tick(self, elapsed_s: float) -> None:
        """Called every 50 ms."""

    def second(self, moment: Moment) -> None:
        """Called once a second of load."""


class Run:
    """One run of a plan in this process."""

    def __init__(
        self,
        plan: Plan,
        script: Script,
        registry: Registry,
        control: Control,
        watchdog: Watchdog,
        observer: Observer,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.plan = plan
        self.script = script
        self.registry = registry
        self.control = control
        self.watchdog = watchdog
        self.observer = observer
        self.clock = clock
        self.aside = Registry()  # what setup and teardown do
        self.outcome = Outcome()

    async def execute(self) -> Outcome:
        """Setup, load, teardown. Failures of the script are in the outcome, never raised."""
        options, outcome = self.plan.options, self.outcome
        client = Client(
            base_url=options.base_url,
            verify=not options.insecure_skip_tls_verify,
            max_body_kept=int(options.max_body_kept),
            discard_bodies=options.discard_response_bodies,
            batch=options.batch,
            batch_per_host=options.batch_per_host,
        )
        outcome.started_at = time.time()
        try:
            data = await self._stage("setup", client, self.script.setup, None)
            self._note_stop()
            if not outcome.stops:
                self._check_copies(data)
            if not outcome.stops:
                await self._load(client, data)
                self._note_stop()
            if outcome.load_s or not self.script.setup:  # a setup that failed left nothing to tear down
                await self._stage("teardown", client, self.script.teardown, data)
                self._note_stop()
        finally:
            client.close()
        self._collect()
        return outcome

    def _note_stop(self) -> None:
        """A signal or an abort may come at any time, and counts when it came."""
        if self.control.stop is not None and self.control.stop not in self.outcome.stops:
            self.outcome.stops.append(self.control.stop)

    def _check_copies(self, data: Any) -> None:
        try:
            deepcopy(data)
        except Exception as error:  # noqa: BLE001  # whatever the script's objects raise
            reason = f"setup() returned what cannot be copied for each virtual user: {one_line(error)}"
            self.outcome.stops.append(Stop(ExitCode.SCRIPT_ERROR, reason))

    # --- setup and teardown

    async def _stage(self, name: str, client: Client, function: Function | None, data: Any) -> Any:
        """Run `setup` or `teardown` under its timeout; what it returned."""
        if function is None:
            return None
        timeout_s = getattr(self.plan.options, f"{name}_timeout")
        scope = Scope(self.aside, group=f"::{name}")
        session = Session(client, scope)
        token = current.set(session)
        started = self.clock()
        result, finished = None, False
        try:
            async with anyio.create_task_group() as background:
                background.start_soon(self._keep_watch, background.cancel_scope if name == "setup" else None)
                self.watchdog.stop_by = time.monotonic() + timeout_s
                with anyio.move_on_after(timeout_s):
                    result, finished = await self._call(name, function, VU(0, session), data)
                background.cancel_scope.cancel()
        finally:
            current.reset(token)
            session.pool.close()
            setattr(self.outcome, f"{name}_s", self.clock() - started)
        if not finished and (self.control.stop is None or name == "teardown"):
            code = ExitCode.SETUP_TIMEOUT if name == "setup" else ExitCode.TEARDOWN_TIMEOUT
            reason = f"{name}() did not finish within {timeout_s:g} s; --{name}-timeout sets the limit"
            self.outcome.stops.append(Stop(code, reason))
        return result

    async def _call(self, name: str, function: Function, vu: VU, data: Any) -> tuple[Any, bool]:
        """What the function returned, and whether it came to an end of its own."""
        try:
            return await function.call(*function.arguments(vu=vu, data=data)), True
        except Abort as order:
            self.control.abort(str(order))
        except ScriptBlockedError as error:  # it did not even let its timeout happen
            record_script_error(Scope(self.aside), error)
            return None, False
        except Exception as error:  # noqa: BLE001  # whatever the script raises is reported
            record_script_error(Scope(self.aside), error)
            self.outcome.stops.append(Stop(ExitCode.SCRIPT_ERROR, f"{name}() raised {one_line(error)}"))
        return None, True

    async def _keep_watch(self, scope: anyio.CancelScope | None) -> None:
        """Heartbeats for the watchdog outside the load; cancels `scope` when the run must stop."""
        while True:
            self.watchdog.beat()
            if scope is not None and self.control.stop is not None:
                scope.cancel()
            await anyio.sleep(LOOK_EVERY_S)

    # --- the load

    async def _load(self, client: Client, data: Any) -> None:
        [scenario] = self.plan.scenarios
        crew = Crew(Scope(self.registry, scenario.name), client, self.control, self.clock)
        outcome = self.outcome
        with _quiet_collector():
            outcome.health.start()
            started = self.clock()
            async with anyio.create_task_group() as background:
                load = anyio.CancelScope(deadline=anyio.current_time() + scenario.duration_s + scenario.graceful_stop_s)
                self.watchdog.stop_by = time.monotonic() + scenario.duration_s + scenario.graceful_stop_s
                background.start_soon(self._tick, crew, scenario, started, load)
                with load:
                    await self._iterate(crew, scenario, data, started)
                background.cancel_scope.cancel()
            self._second(crew, scenario, self.clock() - started)
            outcome.load_s = self.clock() - started
            outcome.health.end()
        outcome.interrupted = crew.interrupted

    async def _iterate(self, crew: Crew, scenario: Scenario, data: Any, started: float) -> None:
        rule = rule_for(scenario, self.clock, started)
        try:
            async with anyio.create_task_group() as virtual_users:
                for number in range(1, scenario.vus + 1):
                    own = deepcopy(data)
                    virtual_users.start_soon(crew.run, number, self.script.default, own, rule)
        finally:
            if rule.left and self.control.stop is None:
                dropped = crew.scope.sink(BUILTIN["dropped_iterations"])
                assert isinstance(dropped, CounterSink)
                dropped.total += rule.left

    async def _tick(self, crew: Crew, scenario: Scenario, started: float, load: anyio.CancelScope) -> None:
        """Look around every 50 ms, fold every second, on a schedule that does not drift."""
        due = next_fold = started
        next_fold += FOLD_EVERY_S
        while True:
            due += LOOK_EVERY_S
            await anyio.sleep(max(0.0, due - self.clock()))
            now = self.clock()
            self.watchdog.beat()
            self.outcome.health.lag.add((now - due) * 1e3)
            if self.control.stop is not None:
                load.cancel()
            if now >= next_fold:
                self._second(crew, scenario, now - started)
                next_fold += FOLD_EVERY_S * max(1, int((now - next_fold) // FOLD_EVERY_S) + 1)
            self.observer.tick(now - started)
            due = max(due, self.clock() - LOOK_EVERY_S)

    def _second(self, crew: Crew, scenario: Scenario, at_s: float) -> None:
        span_s = at_s - (self.outcome.timeline[-1].at_s if self.outcome.timeline else 0.0)
        for name, value in (("vus", crew.active), ("vus_max", scenario.vus)):
            if crew.active or not self.outcome.timeline:
                crew.scope.sink(BUILTIN[name]).add(value)
        errors = sum(entry.count for entry in self.registry.errors.entries.values())
        moment = Moment(at_s, span_s, crew.active, int(crew.completed.total), errors, self.registry.fold())
        self.outcome.timeline.append(moment)
        self.observer.second(moment)

    def _collect(self) -> None:
        snapshot = self.outcome.snapshot = self.registry.snapshot()
        aside = self.aside.snapshot()
        snapshot.errors.merge(aside.errors)
        snapshot.marked_failed |= aside.marked_failed
        requests = aside.select("http_reqs")
        self.outcome.setup_requests = int(requests.total) if isinstance(requests, CounterSink) else 0


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
