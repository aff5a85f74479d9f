"""Notices a script that never lets the event loop run, says where, and gets the run out of it when it has to end."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ciload.engine.blocking import Blocked, library_in
from ciload.script.failures import ScriptBlockedError

LOOK_EVERY_S = 0.1
BLOCKED_S = 1.0
HARD_LIMIT_S = 5.0  # what does not end in this time after it had to, is abandoned
NEVER = float("inf")
INTERRUPT = getattr(signal, "SIGALRM", None)  # wakes the main thread even from time.sleep(); absent on Windows


class Watchdog:
    """A thread that expects a heartbeat from the event loop, and that what must end does end.

    A script that still blocks when it must have ended gets a ScriptBlockedError raised in its own frame, once a second.
    What has not ended HARD_LIMIT_S later, because the script swallows that or its cancellation, is abandoned.
    """

    def __init__(
        self, script: Path, report: Callable[[Blocked], None], abandon: Callable[[bool], None] | None = None
    ) -> None:
        """
        Args:
            script: whose frames are looked for.
            report: told where the script blocks.
            abandon: called by a signal handler in the main thread; true: on top of a script that does not let go of it,
                so that it must not return.
        """
        self._path = script
        self._script = str(script.resolve())
        self._report = report
        self._abandon = abandon
        self._thread = threading.Thread(target=self._watch, name="ciload-watchdog", daemon=True)
        self._main = threading.main_thread().ident
        self._ended = threading.Event()
        self.beat_at = time.monotonic()
        self._stop_by = NEVER

    def __enter__(self) -> Watchdog:
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        if INTERRUPT is not None and self._in_main_thread:
            self._previous = signal.signal(INTERRUPT, self._interrupt)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if INTERRUPT is not None and self._in_main_thread:
            signal.signal(INTERRUPT, self._previous)

    def beat(self) -> None:
        self.beat_at = time.monotonic()

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """What is inside must end in this time."""
        self._stop_by = time.monotonic() + seconds
        try:
            yield
        finally:
            self._stop_by = NEVER

    def stop_now(self) -> None:
        """What is going on must end now."""
        self._stop_by = min(self._stop_by, time.monotonic())

    @property
    def blocked_s(self) -> float:
        silent = time.monotonic() - self.beat_at
        return silent if silent > BLOCKED_S else 0.0

    def _watch(self) -> None:
        interrupted_at = 0.0
        while not self._ended.wait(LOOK_EVERY_S):
            now = time.monotonic()
            at = sys._current_frames().get(self._main or 0)
            library = library_in(at, self._script)
            frame = self._script_frame(at) if self.blocked_s or library else None
            if frame is not None:
                where = f"{self._path}:{frame.f_lineno} in {frame.f_code.co_name}()"
                brief = not self.blocked_s
                self._report(Blocked(where, LOOK_EVERY_S if brief else self.blocked_s, library, sampled=brief))
                frame = None if brief else frame
            del at
            urgent = frame is not None and now > self._stop_by
            if (urgent or self._is_overdue) and now - interrupted_at > BLOCKED_S and self._can_interrupt:
                interrupted_at = now
                assert INTERRUPT is not None
                assert self._main is not None
                signal.pthread_kill(self._main, INTERRUPT)

    @property
    def _can_interrupt(self) -> bool:
        return INTERRUPT is not None and self._main is not None and self._in_main_thread

    @property
    def _is_overdue(self) -> bool:
        return time.monotonic() > self._stop_by + HARD_LIMIT_S

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        if self._is_overdue and self._abandon is not None:
            blocking = bool(self.blocked_s) and self._script_frame(frame) is not None
            if blocking or not self.blocked_s:  # else it is we who are busy
                self._stop_by = NEVER
                self._abandon(blocking)
                return
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
