"""The lifecycle of a run: setup, the load, teardown."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Protocol

import anyio

from ciload.engine.aggregator import Aggregator, Observer, RunOutcome
from ciload.engine.control import Control, Stop
from ciload.engine.load import SegmentLoad, keep_watch
from ciload.engine.machine import withheld
from ciload.engine.segment import WHOLE
from ciload.engine.watchdog import Watchdog
from ciload.errors import ExitCode
from ciload.http.client import Client
from ciload.http.session import Session, current
from ciload.metrics.blocks import Arm
from ciload.metrics.registry import Registry, Scope
from ciload.options.model import Options
from ciload.options.plan import Plan
from ciload.script.failures import Abort, ScriptBlockedError, one_line, record_script_error
from ciload.script.loader import Function, Script
from ciload.script.vu import VU
from ciload.secrets import without_secrets


class WorkerPool(Protocol):
    """Processes that do the load instead of this one."""

    count: int

    async def play(self, data: Mapping[Arm, Any], aggregator: Aggregator, look: Callable[[float], None]) -> None:
        """The load, from vu_start() to vu_stop(); `aggregator` gets everything."""


class Run:
    """One run of a plan, with the load in this process or handed to a worker_pool."""

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
    ) -> None:
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

    async def execute(self) -> RunOutcome:
        """Setup, load, teardown. Failures of the script are in the outcome, never raised."""
        outcome, clients = self.outcome, clients_for(self.plan.options)
        data: dict[Arm, Any] = {}  # of each target that was set up
        outcome.started_at = time.time()
        try:
            for arm, client in clients.items():
                returned = await self._stage("setup", client, None, arm)
                outcome.note(self.control.stop)
                if not outcome.stops:
                    self._check_copies(returned)
                if outcome.stops:
                    break
                data[arm] = returned
            if not outcome.stops:
                await self._load(clients, data)
                outcome.note(self.control.stop)
            for arm, client in clients.items():
                if arm in data or self.script.hook("setup") is None:  # a setup that failed left nothing to tear down
                    await self._stage("teardown", client, data.get(arm), arm)
                    outcome.note(self.control.stop)  # a signal or an abort counts when it came, whenever that is
        finally:
            for client in clients.values():
                client.close()
        outcome.aside.merge(self.aside.take())
        for part in (outcome.aside, outcome.warmup):
            outcome.snapshot.errors.merge(part.errors)
            outcome.snapshot.marked_failed |= part.marked_failed
        return outcome

    def _check_copies(self, data: Any) -> None:
        try:
            deepcopy(data)
        except Exception as error:  # noqa: BLE001  # whatever the script's objects raise
            reason = f"setup() returned what cannot be copied for each virtual user: {one_line(error)}"
            self.outcome.note(Stop(ExitCode.SCRIPT_ERROR, reason))

    async def _load(self, clients: Mapping[Arm, Client], data: Mapping[Arm, Any]) -> None:
        workers = self.worker_pool.count if self.worker_pool else 1
        aggregator = Aggregator(self.plan, workers, self.outcome, self.control, self.observer)
        before = withheld()
        if self.worker_pool is not None:
            await self.worker_pool.play(data, aggregator, self.observer.tick)
        else:
            load = SegmentLoad(
                self.plan, self.script, WHOLE, clients=clients, registry=self.registry, control=self.control,
                watchdog=self.watchdog, clock=self.clock, report=lambda report: aggregator.receive(0, report),
                look=self.observer.tick,
            )  # fmt: skip
            aggregator.end(0, await load.run(data, self._now))
        self.outcome.health.withheld = withheld().since(before)

    async def _now(self) -> float:
        return self.clock()

    # --- setup and teardown

    async def _stage(self, name: str, client: Client, data: Any, arm: Arm) -> Any:
        """Run `setup` or `teardown` at one target under its timeout; what it returned."""
        function = self.script.hook(name)
        if function is None:
            return None
        timeout_s = getattr(self.plan.options, f"{name}_timeout")
        session = Session(client, Scope(self.aside, group=f"::{name}"))
        token = current.set(session)
        started = self.clock()
        result, finished = None, False
        where = f" at {without_secrets(self.plan.options.compare_url)}" if arm == "old" else ""
        try:
            async with anyio.create_task_group() as background:
                stoppable = background.cancel_scope if name == "setup" else None
                background.start_soon(keep_watch, self.watchdog, self.control, stoppable)
                self.watchdog.stop_by = time.monotonic() + timeout_s
                with anyio.move_on_after(timeout_s):
                    result, finished = await self._call(f"{name}(){where}", function, VU(0, session), data)
                background.cancel_scope.cancel()
        finally:
            current.reset(token)
            session.pool.close()
            before_s = getattr(self.outcome, f"{name}_s")
            setattr(self.outcome, f"{name}_s", before_s + self.clock() - started)
        if not finished and (self.control.stop is None or name == "teardown"):
            code = ExitCode.SETUP_TIMEOUT if name == "setup" else ExitCode.TEARDOWN_TIMEOUT
            reason = f"{name}(){where} did not finish within {timeout_s:g} s; --{name}-timeout sets the limit"
            self.outcome.note(Stop(code, reason))
        return result

    async def _call(self, name: str, function: Function, vu: VU, data: Any) -> tuple[Any, bool]:
        """What the function returned, and whether it came to an end of its own."""
        try:
            return await function.call(*function.arguments(vu=vu, data=data)), True
        except Abort as order:
            self.control.abort(order)
        except ScriptBlockedError as error:  # it did not even let its timeout happen
            record_script_error(Scope(self.aside), error)
            return None, False
        except Exception as error:  # noqa: BLE001  # whatever the script raises is reported
            record_script_error(Scope(self.aside), error)
            self.outcome.note(Stop(ExitCode.SCRIPT_ERROR, f"{name} raised {one_line(error)}"))
        return None, True


def clients_for(options: Options) -> dict[Arm, Client]:
    """An HTTP client for the target, and side by side another for the old one."""
    clients: dict[Arm, Client] = {"new": _client(options, options.base_url)}
    if options.compare_url:
        clients["old"] = _client(options, options.compare_url)
    return clients


def _client(options: Options, base_url: str) -> Client:
    return Client(
        base_url=base_url,
        verify=not options.insecure_skip_tls_verify,
        max_body_kept=int(options.max_body_kept),
        discard_bodies=options.discard_response_bodies,
        batch=options.batch,
        batch_per_host=options.batch_per_host,
    )
