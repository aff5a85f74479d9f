"""The load, in this process or several, and what ends it whatever the script does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from ciload.engine.aggregator import IsClear, Recipient, RunOutcome
from ciload.engine.blocking import Blocked, remedy
from ciload.engine.control import Control
from ciload.engine.machine import usable_cores
from ciload.engine.run import CANCELLED, Run, will_not_end
from ciload.engine.watchdog import Watchdog
from ciload.engine.workers import WorkerProcesses, processes
from ciload.errors import ExitCode
from ciload.http.watching import WireLog
from ciload.metrics.blocks import Arm
from ciload.metrics.cpu_series import CpuSource
from ciload.metrics.registry import Registry
from ciload.options.plan import Plan
from ciload.runner.interface import Interface
from ciload.runner.signals import Signals
from ciload.script.event_loop import AbandonedError, CancelledByScriptError, EventLoop
from ciload.script.loader import Script
from ciload.script.unhandled import Unhandled


class Execution:
    """One load with its setup and teardown, whose outcome has whatever went wrong.

    A script that swallows its own cancellation is left where it stands, and `abandoned` is true: the process must then
    end without running any more of it. What is left to do, teardown above all, happens in another event loop.
    """

    def __init__(
        self,
        plan: Plan,
        script: Script,
        registry: Registry,
        signals: Signals,
        interface: Interface,
        finish: Callable[[RunOutcome], int],
        cpu_sources: Mapping[Arm, CpuSource],
        is_clear: IsClear | None = None,
        recipient: Recipient | None = None,
    ) -> None:
        """
        Args:
            plan: what to do.
            script: with what.
            registry: where samples go; knows the script's metrics.
            signals: that may come meanwhile.
            interface: is shown how it goes.
            finish: judges and publishes an outcome and answers the exit code, with which the process then ends: for a
                script that holds this very thread and will not let go of it.
            cpu_sources: of the targets whose CPU time is to be measured.
            is_clear: says when the load has shown what it is for.
            recipient: gets what is measured as it comes.
        """
        self._recipient = recipient
        self._plan = plan
        self._script = script
        self._registry = registry
        self._signals = signals
        self._interface = interface
        self._finish = finish
        self._cpu_sources = cpu_sources
        self._is_clear = is_clear
        self._loops: list[EventLoop] = []  # they hold what must not be thrown away
        self._blocking: set[str] = set()
        self.abandoned = False

    def run(self) -> RunOutcome:
        plan, script, control = self._plan, self._script, Control()
        self._signals.control = control
        watchdog = Watchdog(script.path, self._report_block, self._abandon)
        with Unhandled(self._registry, script.path) as unhandled, ExitStack() as stack:
            workers = None
            if (count := processes(plan, usable_cores())) > 1:
                workers = WorkerProcesses(plan, script.source, count, control, watchdog, self._report_block)
            observer = stack.enter_context(self._interface.progress(plan, script))
            self._run = Run(
                plan, script, self._registry, control, watchdog, observer, workers, cpu_sources=self._cpu_sources,
                is_clear=self._is_clear, show=self._wire_log(), recipient=self._recipient,
            )  # fmt: skip
            self._loops.append(EventLoop(unhandled))
            stack.enter_context(watchdog)
            self._signals.load_begins(watchdog)
            stack.callback(self._signals.load_ended)
            try:
                outcome = self._loops[-1].run(self._run.execute)
            except AbandonedError:
                outcome = self._resume()
            except CancelledByScriptError:
                outcome = self._resume(cancelled=True)
        self.abandoned |= self._loops[-1].holds_tasks
        outcome.snapshot.merge(self._registry.take())  # what came to light when the event loop was closed
        return outcome

    def _resume(self, *, cancelled: bool = False) -> RunOutcome:
        """Do what is left to do."""
        self.abandoned = True
        failure = CANCELLED if cancelled else will_not_end(self._loops[-1].place_in(self._script.path))
        self._loops.append(EventLoop())
        try:
            return self._loops[-1].run(lambda: self._run.resume(failure))
        except (AbandonedError, CancelledByScriptError):  # teardown as well: nothing of the script's is left to call
            return self._resume()

    def _wire_log(self) -> WireLog | None:
        how = self._plan.options.http_debug
        if how == "off":
            return None
        return WireLog(lambda text: self._interface.write("stderr", text), full=how == "full")

    def _report_block(self, block: Blocked) -> None:
        self._run.outcome.health.block(block)
        if block.where not in self._blocking and not block.sampled:
            self._blocking.add(block.where)
            waits = f", in {block.library}" if block.library else ""
            text = f"{block.where} blocks all virtual users{waits}; use {remedy(block.library)}"
            self._interface.say(text, "warning")

    def _abandon(self, blocked: bool) -> None:
        if blocked:  # we are a signal handler on top of the script, in an event loop that cannot be left
            self._interface.leave(_in_thread(lambda: self._finish(self._resume())))
        self._loops[-1].abandon()


def _in_thread(act: Callable[[], int]) -> int:
    """Do it in another thread and wait for it; answers the exit code."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(act()), name="ciload-finish", daemon=True)
    thread.start()
    thread.join()
    return codes[0] if codes else ExitCode.INTERNAL_ERROR
