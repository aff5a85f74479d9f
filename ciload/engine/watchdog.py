"""Notices a script that never lets the event loop run, says where, and gets the run out of it when it has to end."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ciload.script.failures import ScriptBlockedError

LOOK_EVERY_S = 0.1
BLOCKED_S = 1.0
INTERRUPT = getattr(signal, "SIGALRM", None)  # wakes the main thread even from time.sleep(); absent on Windows


class Watchdog:
    """A thread that expects a heartbeat from the event loop.

    `stop_by` is when everything must be over (`time.monotonic`): a script that still blocks then gets a
    ScriptBlockedError raised in its own frame, once a second, until it gives up.
    """

    def __init__(self, script: Path, report: Callable[[str, float], None]) -> None:
        self._path = script
        self._script = str(script.resolve())
        self._report = report
        self._thread = threading.Thread(target=self._watch, name="ciload-watchdog", daemon=True)
        self._main = threading.main_thread().ident
        self._ended = threading.Event()
        self.beat_at = time.monotonic()
        self.stop_by = float("inf")

    def __enter__(self) -> Watchdog:
        if INTERRUPT is not None:
            self._previous = signal.signal(INTERRUPT, self._interrupt)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if INTERRUPT is not None:
            signal.signal(INTERRUPT, self._previous)

    def beat(self) -> None:
        self.beat_at = time.monotonic()

    @property
    def blocked_s(self) -> float:
        silent = time.monotonic() - self.beat_at
        return silent if silent > BLOCKED_S else 0.0

    def _watch(self) -> None:
        interrupted_at = 0.0
        while not self._ended.wait(LOOK_EVERY_S):
            now = time.monotonic()
            if not self.blocked_s:
                continue
            frame = self._script_frame(sys._current_frames().get(self._main or 0))
            if frame is None:
                continue
            self._report(f"{self._path}:{frame.f_lineno} in {frame.f_code.co_name}()", self.blocked_s)
            if now > self.stop_by and now - interrupted_at > BLOCKED_S and INTERRUPT is not None and self._main:
                interrupted_at = now
                signal.pthread_kill(self._main, INTERRUPT)

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        self.break_out(frame)

    def break_out(self, frame: FrameType | None) -> None:
        """Called from a signal handler: raise inside the script when it is what blocks.

        Raises:
            ScriptBlockedError: the event loop has not run for a while and `frame` belongs to the script.
        """
        if self.blocked_s and self._script_frame(frame) is not None:
            raise ScriptBlockedError(f"the script blocked the event loop for {self.blocked_s:.1f} s and had to stop")

    def _script_frame(self, frame: FrameType | None) -> FrameType | None:
        while frame is not None and frame.f_code.co_filename != self._script:
            frame = frame.f_back
        return frame
