"""The load on several processes: start them, tell them when, take in what they report, notice when one is lost."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import anyio

from ciload.child import how_it_ended, start_child
from ciload.engine.aggregator import Aggregator
from ciload.engine.blocking import Blocked
from ciload.engine.control import Control, Stop
from ciload.engine.load import LOOK_EVERY_S, SegmentEnd, SegmentReport
from ciload.engine.messages import Assignment, Broken, Finish, FromWorker, Go, Ready, ToWorker
from ciload.engine.segment import Segment
from ciload.engine.watchdog import Watchdog
from ciload.errors import ExitCode
from ciload.options.plan import Plan
from ciload.script.failures import one_line
from ciload.script.page import Page

HEAD_START_S = 0.1  # between telling the workers to start and the start, so that it finds all of them waiting
PATIENCE_S = 15.0  # for a worker that should have ended by now

Received = SimpleQueue[tuple[int, FromWorker | None]]  # which worker, and what it says; None: it is gone


class Worker:
    """One process and what is known about it."""

    def __init__(self, index: int, assignment: Assignment, received: Received) -> None:
        self.index = index
        self.ready = False
        self.process, self.connection = start_child("ciload.engine.worker")
        threading.Thread(target=self._listen, args=(self.connection, received), daemon=True).start()
        self.send(assignment)

    def _listen(self, connection: Connection, received: Received) -> None:
        while True:
            try:
                received.put((self.index, connection.recv()))
            except (EOFError, OSError):
                received.put((self.index, None))
                return

    def send(self, message: Assignment | ToWorker) -> None:
        with suppress(OSError):  # it is gone, which `_listen` finds out
            self.connection.send(message)

    def end(self) -> str:
        """See that the process is over; how it ended, in words."""
        try:
            code = self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "did not end and was killed"
        finally:
            self.connection.close()
        return how_it_ended(code)


class WorkerProcesses:
    """`count` processes, each with its segment of the plan."""

    def __init__(
        self,
        plan: Plan,
        script: Path | Page,
        count: int,
        control: Control,
        watchdog: Watchdog,
        report_block: Callable[[Blocked], None],
    ) -> None:
        self.count = count
        self._plan = plan
        self._script = script
        self._control = control
        self._watchdog = watchdog
        self._report_block = report_block
        self._received: Received = SimpleQueue()
        self._workers: dict[int, Worker] = {}  # those that are still at it
        self._begins_at: float | None = None

    async def play(self, data: Any, aggregator: Aggregator, look: Callable[[float], None]) -> None:
        """The load, from vu_start() to vu_stop(); `aggregator` gets everything."""
        try:
            pickled = pickle.dumps(data)
        except Exception as error:  # noqa: BLE001  # whatever the script's objects raise
            reason = f"setup() returned what cannot be handed to worker processes: {one_line(error)}"
            self._control.request(ExitCode.SCRIPT_ERROR, reason)
            return
        try:
            for index in range(self.count):
                assignment = Assignment(self._plan, self._script, Segment(index, self.count), pickled)
                self._workers[index] = Worker(index, assignment, self._received)
            await self._follow(aggregator, look)
        finally:
            for worker in self._workers.values():
                worker.process.kill()
                worker.end()

    async def _follow(self, aggregator: Aggregator, look: Callable[[float], None]) -> None:
        options = self._plan.options
        overdue_at = time.monotonic() + options.setup_timeout + PATIENCE_S
        stop_sent = finish_sent = False
        while self._workers:
            self._watchdog.beat()
            for index, message in self._drain():
                self._handle(index, message, aggregator)
            if self._begins_at is None and all(worker.ready for worker in self._workers.values()):
                self._begins_at = time.perf_counter() + HEAD_START_S
                self._send_all(Go(self._begins_at))
                overdue_at = time.monotonic() + self._plan.ends_s + options.teardown_timeout + PATIENCE_S
            if self._control.stop is not None and not stop_sent:
                stop_sent = True
                self._send_all(self._control.stop)
                overdue_at = time.monotonic() + options.teardown_timeout + PATIENCE_S
            if self._control.finished and not finish_sent:
                finish_sent = True
                self._send_all(Finish())
            if time.monotonic() > overdue_at:
                for worker in self._workers.values():
                    worker.process.kill()
                overdue_at += PATIENCE_S
            if self._begins_at is not None:
                look(max(0.0, time.perf_counter() - self._begins_at))
            await anyio.sleep(LOOK_EVERY_S)

    def _drain(self) -> list[tuple[int, FromWorker | None]]:
        found = []
        try:
            while True:
                found.append(self._received.get_nowait())
        except Empty:
            return found

    def _send_all(self, message: ToWorker) -> None:
        for worker in self._workers.values():
            worker.send(message)

    def _handle(self, index: int, message: FromWorker | None, aggregator: Aggregator) -> None:
        if index not in self._workers:
            return
        match message:
            case Ready():
                self._workers[index].ready = True
            case SegmentReport():
                aggregator.receive(index, message)
            case Stop():
                self._control.request(message.code, message.reason)
            case Blocked():
                self._report_block(message)
            case SegmentEnd():
                self._workers.pop(index).end()
                aggregator.end(index, message)
            case Broken():
                self._control.request(message.code, message.reason)
            case None:
                why = self._workers.pop(index).end()
                if self._begins_at is None:  # a load that cannot start whole does not start
                    self._control.request(ExitCode.THRESHOLDS_FAILED, f"no data: a worker {why} before the load began")
                else:
                    aggregator.lose(index, why)


def processes(plan: Plan, cores: int) -> int:
    """How many processes share the load: as many as were asked for, but none without a virtual user."""
    wanted = (cores if sys.platform != "win32" else 1) if plan.options.workers == "auto" else plan.options.workers
    return min(wanted, max(scenario.most_vus for scenario in plan.scenarios.values()))
