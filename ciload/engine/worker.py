"""A worker process: loads the script, does its segment of the plan, tells its parent every second."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import anyio

from ciload.child import SIGNALS
from ciload.engine.clients import clients_for
from ciload.engine.control import Control, Stop
from ciload.engine.load import SegmentEnd, SegmentLoad
from ciload.engine.messages import Assignment, Broken, Finish, FromWorker, Go, Ready
from ciload.engine.run import CANCELLED, will_not_end
from ciload.engine.watchdog import Watchdog
from ciload.errors import CiloadError, ExitCode
from ciload.metrics.blocks import Arm
from ciload.metrics.registry import Registry
from ciload.script.calling import call_plain
from ciload.script.event_loop import AbandonedError, CancelledByScriptError, EventLoop
from ciload.script.failures import one_line
from ciload.script.loader import Script, load_script
from ciload.script.unhandled import Unhandled
from ciload.streams import secure_streams


def main(descriptor: int) -> None:
    """What a worker process runs; `descriptor` is its end of the pipe to the parent."""
    secure_streams()
    for number in SIGNALS:  # the parent gets them too, and says what to do about them
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    pipe = ParentPipe(Connection(descriptor))
    assignment: Assignment = pipe.connection.recv()
    registry = Registry()
    try:
        script = load_script(assignment.script, registry)
    except CiloadError as error:
        pipe.send(Broken(error.exit_code, f"the script cannot be loaded in a worker process: {error}"))
        return
    loaded = call_plain(pickle.loads, assignment.data)  # from our parent, over a pipe that nobody else has
    if loaded.error is not None:
        reason = f"what setup() returned cannot be rebuilt in a worker process: {one_line(loaded.error)}"
        pipe.send(Broken(ExitCode.SCRIPT_ERROR, reason))
        return
    pipe.send(_run(assignment, script, registry, loaded.value, pipe))


def _run(
    assignment: Assignment, script: Script, registry: Registry, data: Mapping[Arm, Any], pipe: ParentPipe
) -> SegmentEnd:
    control = WorkerControl(pipe)

    def abandon(blocked: bool) -> None:
        if blocked:  # nothing of this process will ever go on
            pipe.send(end_of_abandoned())
            os._exit(ExitCode.PASSED)
        loop.abandon()

    def end_of_abandoned() -> SegmentEnd:
        ending = load.abandon(late=True)
        ending.stops.append(will_not_end(loop.place_in(script.path)))
        return ending

    with Unhandled(registry, script.path) as unhandled:
        loop = EventLoop(unhandled)
        watchdog = Watchdog(script.path, pipe.send, abandon)
        with watchdog:
            listener = ParentListener(pipe.connection, control, watchdog)
            threading.Thread(target=listener.listen, name="ciload-parent", daemon=True).start()
            clients = clients_for(assignment.plan.options)
            load = SegmentLoad(
                assignment.plan, script, assignment.segment, clients=clients, registry=registry, control=control,
                watchdog=watchdog, clock=time.perf_counter, report=pipe.send, look=lambda _: None,
            )  # fmt: skip

            async def when_ready() -> float | None:
                pipe.send(Ready())
                while listener.begins_at is None and control.stop is None:
                    watchdog.beat()
                    await anyio.sleep(0.01)
                return listener.begins_at

            async def run() -> SegmentEnd:
                try:
                    return await load.run(data, when_ready)
                finally:
                    for client in clients.values():
                        client.close()

            try:
                ending = loop.run(run)
            except AbandonedError:
                pipe.send(end_of_abandoned())
                os._exit(ExitCode.PASSED)  # whatever is left in the event loop must not run again
            except CancelledByScriptError:
                ending = load.abandon(late=False)
                ending.stops.append(CANCELLED)
    errors = registry.take()  # what came to light when the event loop was closed
    ending.measured.merge(errors)
    return ending


class ParentPipe:
    """The connection to the parent; threads may send at the same time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, message: FromWorker) -> None:
        with self._lock:
            try:
                self.connection.send(message)
            except OSError:  # nobody is left to work for
                os._exit(ExitCode.INTERNAL_ERROR)


class WorkerControl(Control):
    """Tells the parent when this worker's part of the script wants the whole run to stop."""

    def __init__(self, pipe: ParentPipe) -> None:
        super().__init__()
        self._pipe = pipe

    def request(self, code: ExitCode, reason: str) -> None:
        if self.stop is None:
            self._pipe.send(Stop(code, reason))
        super().request(code, reason)


class ParentListener:
    """Hears what the parent says, in a thread of its own."""

    def __init__(self, connection: Connection, control: Control, watchdog: Watchdog) -> None:
        self._connection = connection
        self._control = control
        self._watchdog = watchdog
        self.begins_at: float | None = None

    def listen(self) -> None:
        while True:
            try:
                message: Any = self._connection.recv()
            except (EOFError, OSError):  # the parent is gone, and its run with it
                os._exit(ExitCode.INTERNAL_ERROR)
            if isinstance(message, Go):
                self.begins_at = message.at
            elif isinstance(message, Stop) and self._control.stop is None:
                self._control.stop = message
                self._control.ending = True
                self._watchdog.stop_now()
            elif isinstance(message, Finish):
                self._control.finish()
