"""The lifecycle of a run: setup, the load, teardown."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from random import Random
from typing import Any, Literal, Protocol

import anyio

from ciload.engine.aggregator import Aggregator, IsClear, Observer, Recipient, RunOutcome
from ciload.engine.clients import clients_for
from ciload.engine.control import Control, Stop
from ciload.engine.load import SegmentLoad, keep_watch
from ciload.engine.machine import withheld
from ciload.engine.segment import WHOLE
from ciload.engine.target_cpu import CpuReader
from ciload.engine.watchdog import HARD_LIMIT_S, Watchdog
from ciload.errors import Abort, ExitCode
from ciload.http.client import Client
from ciload.http.session import Session, current
from ciload.http.watching import WireLog
from ciload.metrics.blocks import Arm
from ciload.metrics.cpu_series import CpuSource
from ciload.metrics.registry import Registry, Scope
from ciload.options.plan import Plan
from ciload.script.calling import Call, Ended, call
from ciload.script.failures import ScriptBlockedError, one_line, record_script_error
from ciload.script.loader import Script
from ciload.script.vu import VU
from ciload.secrets import without_secrets

COPYING_S = 1.0  # that copying what setup() returned may take, all virtual users together

Stage = Literal["setup", "load", "teardown"]


class WorkerPool(Protocol):
    """Processes that do the load instead of this one."""

    count: int

    async def play(self, data: Mapping[Arm, Any], aggregator: Aggregator, look: Callable[[float], None]) -> None:
        """The load, from vu_start() to vu_stop(); `aggregator` gets everything."""


class StageOwner:
    """Whose requests those of setup, teardown and handle_summary are."""

    def __init__(self, stage: str, control: Control) -> None:
        self.random = Random(stage)  # noqa: S311  # it guards nothing
        self._stage = stage
        self._control = control

    def abort(self, order: Abort) -> None:
        self._control.abort(order)

    def cut_off(self, _waited_s: float, /) -> str:
        return f"no answer when {self._stage}() ended"


class Run:
    """One run of a plan, with the load in this process or handed to a pool of workers."""

    def __init__(
        self,
        plan: Plan,
        script: Script,
        registry: Registry,
        control: Control,
        watchdog: Watchdog,
        observer: Observer,
        worker_pool: WorkerPool | None = None,
        clock: Callable[[], float] = time.perf_counter,
        cpu_sources: Mapping[Arm, CpuSource] | None = None,
        is_clear: IsClear | None = None,
        show: WireLog | None = None,
        recipient: Recipient | None = None,
    ) -> None:
        self._show = show
        self._recipient = recipient
        self.plan = plan
        self.script = script
        self.registry = registry
        self.control = control
        self.watchdog = watchdog
        self.observer = observer
        self.worker_pool = worker_pool
        self.clock = clock
        self.aside = Registry()  # what setup and teardown do
        self.outcome = RunOutcome()
        self._is_clear = is_clear
        self._cpu = CpuReader(cpu_sources or {}, plan.options.warmup, clock)
        self.outcome.target_cpu = self._cpu.measured
        self._stage: Stage = "setup"
        self._data: dict[Arm, Any] = {}  # of each target that was set up
        self._load: SegmentLoad | None = None
        self._aggregator: Aggregator | None = None

    async def execute(self) -> RunOutcome:
        """Setup, load, teardown. Failures of the script are in the outcome, never raised."""
        outcome, clients = self.outcome, clients_for(self.plan.options, self._show)
        outcome.started_at = time.time()
        try:
            for arm, client in clients.items():
                returned = await self._call_stage("setup", client, None, arm)
                outcome.note(self.control.stop)
                if not outcome.stops:
                    self._check_copies(returned)
                if outcome.stops:
                    break
                self._data[arm] = returned
            if not outcome.stops:
                self._stage = "load"
                await self._play(clients)
                outcome.note(self.control.stop)
            await self._tear_down(clients)
        finally:
            _close(clients)
        return self.finish()

    async def resume(self, failure: Stop) -> RunOutcome:
        """What is left to do when `execute` had to be abandoned. In another event loop, so with connections of its own.

        Args:
            failure: why, if nobody had stopped the run.
        """
        if self.control.stop is not None and self._stage != "teardown":
            self.outcome.note(self.control.stop)
        if self._stage == "load":
            if self._load is not None and self._aggregator is not None:
                self._aggregator.end(0, self._load.abandon(late=failure is not CANCELLED))
            self.outcome.note(failure)
            clients = clients_for(self.plan.options, self._show)
            try:
                await self._tear_down(clients)
            finally:
                _close(clients)
        else:
            if failure is not CANCELLED and (self.control.stop is None or self._stage == "teardown"):
                self._note_timeout(self._stage, "")
            self.outcome.note(failure)
        return self.finish()

    def finish(self) -> RunOutcome:
        """The outcome, when nothing more will happen."""
        outcome = self.outcome
        outcome.aside.merge(self.aside.take())
        for part in (outcome.aside, outcome.warmup):
            outcome.snapshot.errors.merge(part.errors)
            outcome.snapshot.marked_failed |= part.marked_failed
        return outcome

    # --- the load

    def _check_copies(self, data: Any) -> None:
        """See that virtual users can have copies of what setup() returned, and what these cost."""
        began = time.perf_counter()
        try:
            deepcopy(data)
        except Exception as error:  # noqa: BLE001  # whatever the script's objects raise
            reason = f"setup() returned what cannot be copied for each virtual user: {one_line(error)}"
            self.outcome.note(Stop(ExitCode.SCRIPT_ERROR, reason))
        copies, seconds = self.plan.most_vus, time.perf_counter() - began
        if copies * seconds > COPYING_S and self._copies_are_wanted():
            self.outcome.warnings.append(
                f"each of {copies} virtual users has a copy of what setup() returned, at {seconds * 1e3:.0f} ms each: "
                "let functions that do not need `data` not ask for it, or load it at the top level of the script, "
                "where all share it"
            )

    def _copies_are_wanted(self) -> bool:
        functions = [self.script.function(each.exec) for each in self.plan.scenarios.values()]
        hooks = [self.script.hook(name) for name in ("vu_start", "vu_stop")]
        return any(each is not None and each.asks_for("data") for each in (*functions, *hooks))

    async def _play(self, clients: Mapping[Arm, Client]) -> None:
        workers = self.worker_pool.count if self.worker_pool else 1
        aggregator = Aggregator(
            self.plan, workers, self.outcome, self.control, self.observer, self._is_clear, self._recipient
        )
        before = withheld()
        if self.worker_pool is not None:
            await self.worker_pool.play(self._data, aggregator, self._look)
        else:
            self._aggregator = aggregator
            self._load = SegmentLoad(
                self.plan, self.script, WHOLE, clients=clients, registry=self.registry, control=self.control,
                watchdog=self.watchdog, clock=self.clock, report=lambda report: aggregator.receive(0, report),
                look=self._look,
            )  # fmt: skip
            aggregator.end(0, await self._load.run(self._data, self._now))
        self._cpu.end()
        self.outcome.warnings += self._cpu.warnings()
        self.outcome.health.withheld = withheld().since(before)

    async def _now(self) -> float:
        self._cpu.look(0.0)
        return self.clock()

    def _look(self, elapsed_s: float) -> None:
        self._cpu.look(elapsed_s)
        self.observer.tick(elapsed_s)

    # --- setup and teardown

    async def _tear_down(self, clients: Mapping[Arm, Client]) -> None:
        self._stage = "teardown"
        for arm, client in clients.items():
            if arm in self._data or self.script.hook("setup") is None:  # a failed setup left nothing to tear down
                await self._call_stage("teardown", client, self._data.get(arm), arm)
                self.outcome.note(self.control.stop)  # a signal or an abort counts when it came, whenever that is

    async def _call_stage(self, name: Literal["setup", "teardown"], client: Client, data: Any, arm: Arm) -> Any:
        """Run `setup` or `teardown` at one target under its timeout; what it returned."""
        function = self.script.hook(name)
        if function is None:
            return None
        timeout_s = getattr(self.plan.options, f"{name}_timeout")
        session = Session(client, Scope(self.aside, group=f"::{name}"), StageOwner(name, self.control))
        token = current.set(session)
        started = self.clock()
        made = None
        where = f" at {without_secrets(self.plan.options.compare_url)}" if arm == "old" else ""
        try:
            async with anyio.create_task_group() as background:
                stoppable = background.cancel_scope if name == "setup" else None
                background.start_soon(keep_watch, self.watchdog, self.control, stoppable)
                with self.watchdog.limit(timeout_s), anyio.move_on_after(timeout_s):
                    made = await call(function.bind(vu=VU(0, session), data=data))
                background.cancel_scope.cancel()
        finally:
            current.reset(token)
            session.pool.close()
            before_s = getattr(self.outcome, f"{name}_s")
            setattr(self.outcome, f"{name}_s", before_s + self.clock() - started)
        return self._settle(name, where, made)

    def _settle(self, name: Literal["setup", "teardown"], where: str, made: Call | None) -> Any:
        """Note what went wrong; answers what it returned."""
        if made is not None and made.error is not None and made.ended is Ended.RAISED:
            record_script_error(Scope(self.aside), made.error)
            if not isinstance(made.error, ScriptBlockedError):
                self.outcome.note(Stop(ExitCode.SCRIPT_ERROR, f"{name}(){where} raised {one_line(made.error)}"))
                return None
        elif made is not None:
            return made.value
        if self.control.stop is None or name == "teardown":  # else it was ended because of that
            self._note_timeout(name, where)
        return None

    def _note_timeout(self, name: Literal["setup", "teardown"], where: str) -> None:
        timeout_s = getattr(self.plan.options, f"{name}_timeout")
        code = ExitCode.SETUP_TIMEOUT if name == "setup" else ExitCode.TEARDOWN_TIMEOUT
        reason = f"{name}(){where} did not finish within {timeout_s:g} s; --{name}-timeout sets the limit"
        self.outcome.note(Stop(code, reason))


CANCELLED = Stop(ExitCode.SCRIPT_ERROR, "the script has cancelled tasks that are not its own, and the load with them")


def will_not_end(where: str) -> Stop:
    """Why a run was abandoned: something of the script's goes on whatever is done about it."""
    return Stop(
        ExitCode.SCRIPT_ERROR,
        f"{where or 'the script'} did not end within {HARD_LIMIT_S:g} s after it had to, and was abandoned: whoever "
        "catches BaseException, or CancelledError, must raise it again",
    )


def _close(clients: Mapping[Arm, Client]) -> None:
    for client in clients.values():
        client.close()
