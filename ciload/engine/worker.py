"""A worker process: loads the script, does its segment of the plan, tells its parent every second."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import anyio

from ciload.engine.control import Control, Stop
from ciload.engine.load import SegmentEnd, SegmentLoad
from ciload.engine.messages import Assignment, Blocked, Broken, FromWorker, Go, Ready
from ciload.engine.watchdog import Watchdog
from ciload.errors import CiloadError, ExitCode
from ciload.metrics.registry import Registry
from ciload.script.failures import one_line
from ciload.script.loader import load_script
from ciload.streams import secure_streams


def main(descriptor: int) -> None:
    """What a worker process runs; `descriptor` is its end of the pipe to the parent."""
    secure_streams()
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent gets them too, and says what to do about them
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    pipe = ParentPipe(Connection(descriptor))
    assignment: Assignment = pipe.connection.recv()
    registry = Registry()
    try:
        script = load_script(assignment.script, registry)
    except CiloadError as error:
        pipe.send(Broken(f"the script cannot be loaded in a worker process: {error}"))
        return
    try:
        data = pickle.loads(assignment.data)  # noqa: S301  # from our parent, over a pipe that nobody else has
    except Exception as error:  # noqa: BLE001  # whatever the script's objects raise
        pipe.send(Broken(f"what setup() returned cannot be rebuilt in a worker process: {one_line(error)}"))
        return
    control = WorkerControl(pipe)
    with Watchdog(script.path, lambda where, seconds: pipe.send(Blocked(where, seconds))) as watchdog:
        listener = ParentListener(pipe.connection, control, watchdog)
        threading.Thread(target=listener.listen, name="ciload-parent", daemon=True).start()

        async def run() -> SegmentEnd:
            from ciload.engine.run import clients_for

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

            try:
                return await load.run(data, when_ready)
            finally:
                for client in clients.values():
                    client.close()

        ending = anyio.run(run, backend_options={"use_uvloop": sys.platform != "win32"})
    pipe.send(ending)


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
                self._watchdog.stop_by = time.monotonic()
