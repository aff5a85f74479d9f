"""SIGINT and SIGTERM: once to stop cleanly, twice to leave at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ciload.engine.control import Control
from ciload.engine.watchdog import Watchdog
from ciload.errors import ExitCode


@contextmanager
def signals_deferred() -> Iterator[list[int]]:
    """While inside, the first SIGINT or SIGTERM is only noted, since what was measured is not written yet."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def stop_on_signals(control: Control, watchdog: Watchdog) -> Iterator[None]:
    """While inside, the first signal asks `control` to stop and the second one ends the process with 105.

    The handler only sets a flag, unless the script itself keeps the event loop from seeing that flag.
    """
    received = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received += 1
        name = signal.Signals(number).name
        if received > 1:
            sys.stderr.write(f"\nciload: {name} again, leaving at once: no teardown, no reports\n")
            sys.stderr.flush()
            os._exit(ExitCode.INTERRUPTED)
        control.request(ExitCode.INTERRUPTED, f"interrupted by {name}")
        watchdog.stop_by = time.monotonic()
        watchdog.break_out(frame)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
