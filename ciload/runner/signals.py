"""SIGINT and SIGTERM: the first asks the run to end, with reports; a second one while it ends leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from ciload.engine.control import Control
from ciload.engine.watchdog import Watchdog
from ciload.errors import CiloadError, ExitCode


class InterruptedRunError(CiloadError):
    """A signal came before there was a load."""

    exit_code = ExitCode.INTERRUPTED


class Signals:
    """From the first moment of a run to its last report there is one handler, so that no signal falls into a gap.

    Before the load, a signal interrupts whatever is waited for. During the load it asks `control` to stop; the handler
    only sets a flag, unless the script keeps the event loop from seeing that flag. After the load it waits: nothing of
    what was measured may get lost.
    """

    def __init__(self, control: Control, say: Callable[[str], None]) -> None:
        self.control = control
        self._say = say
        self.watchdog: Watchdog | None = None  # of the load that is going on
        self.received = 0  # since the load began, or since it ended
        self._act: Callable[[FrameType | None], None] = self._interrupt

    def __enter__(self) -> Signals:
        self._previous = {}
        if threading.current_thread() is threading.main_thread():
            self._previous = {each: signal.signal(each, self._handle) for each in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def load_begins(self, watchdog: Watchdog) -> None:
        self.watchdog, self.received, self._act = watchdog, 0, self._stop

    def load_ended(self) -> None:
        self.watchdog, self.received, self._act = None, 0, lambda _: None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received += 1
        name = signal.Signals(number).name
        if self.received > 1:
            self._say(f"{name} again, leaving at once: no teardown, no reports")
            os._exit(ExitCode.INTERRUPTED)
        self.control.request(ExitCode.INTERRUPTED, f"interrupted by {name}")
        self._act(frame)

    def _interrupt(self, _: FrameType | None) -> None:
        raise KeyboardInterrupt

    def _stop(self, frame: FrameType | None) -> None:
        assert self.watchdog is not None
        self.watchdog.stop_now()
        self.watchdog.break_out(frame)
