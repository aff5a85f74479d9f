"""Errors of the script that no caller of ours sees: in threads, tasks that nobody awaits, coroutines that never run."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ciload.metrics.registry import Registry, Scope
from ciload.script.calling import has_abort
from ciload.script.failures import OUR_CODE, record_script_error

NEVER_AWAITED = "was never awaited"
AWAIT_IT = "write `await` before the call, or in a plain `def` take it from ciload.sync"
FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+), in ', re.MULTILINE)


class NeverAwaitedError(Exception):
    """The script has made a coroutine and not awaited it: what it should have done did not happen."""


class SwallowedCancellationError(Exception):
    """A task of the script's goes on although it was cancelled."""


class Unhandled:
    """Counts them as script errors while it is entered.

    Coroutines are counted once for each place: Python warns of them when they are thrown away, which is slow, and they
    tend to come in thousands. The first one may be thrown away where the place of its making is no longer known; from
    then on Python is asked to remember it.
    """

    def __init__(self, registry: Registry, script: Path) -> None:
        self._scope = Scope(registry)
        self._script = str(script.resolve())
        self._shown = str(script)
        self._places: set[str] = set()
        self._unplaced = ""  # the name of a coroutine whose place nobody knows, if there has been one
        self._seen: list[BaseException] = []

    def __enter__(self) -> Unhandled:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("always", f".*{NEVER_AWAITED}", RuntimeWarning)
        self._show_others = warnings.showwarning
        warnings.showwarning = self._on_warning
        self._of_threads, threading.excepthook = threading.excepthook, self._on_thread_error
        return self

    def __exit__(self, *_: object) -> None:
        """Look for what is left, and let others have the warnings again."""
        if self._unplaced and not self._places:
            self._count(NeverAwaitedError(f"{self._unplaced} {NEVER_AWAITED}"))
        self._warnings.__exit__(None, None, None)
        threading.excepthook = self._of_threads
        sys.set_coroutine_origin_tracking_depth(0)

    # --- tasks and threads

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """The event loop's exception handler: a task or future has failed and is thrown away without a look at it."""
        error = context.get("exception")
        if error is not None and ("task" in context or "future" in context):
            self._count(error)
        elif error is not None:  # in a callback or a transport, so it is nothing of the script's
            loop.default_exception_handler(dict(context))

    def _on_thread_error(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._count(arguments.exc_value)

    def stray(self, error: BaseException) -> None:
        """SystemExit or KeyboardInterrupt left a task of the script's by way of the event loop itself."""
        self._count(error)

    def never_ended(self, tasks: int) -> None:
        """So many tasks of the script's did not end although the event loop has cancelled them."""
        what = "a task of the script's" if tasks == 1 else f"{tasks} tasks of the script's"
        self._count(SwallowedCancellationError(f"{what} did not end when the load was over and it was cancelled"))

    def collect(self) -> None:
        """Count what failed in tasks that the script still holds and has not looked at."""
        kind = asyncio.Task  # a look at every object that there is should cost no more than it must
        for each in [found for found in gc.get_objects() if type(found) is kind]:
            if each.done() and getattr(each, "_log_traceback", False):
                error = None if each.cancelled() else each.exception()
                if error is not None:
                    self._count(error)

    def _count(self, error: BaseException) -> None:
        if has_abort(error) or any(error is each for each in self._seen):
            return
        self._seen = [*self._seen[-9:], error]
        record_script_error(self._scope, error)

    # --- coroutines

    def _on_warning(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any, **more: Any
    ) -> None:
        text = str(message)
        if not (issubclass(category, RuntimeWarning) and NEVER_AWAITED in text):
            self._show_others(message, category, filename, lineno, *rest, **more)
            return
        name = text.splitlines()[0].removesuffix(f" {NEVER_AWAITED}")
        place = self._place(text, filename, lineno)
        if place is None:
            self._unplaced = self._unplaced or name
            sys.set_coroutine_origin_tracking_depth(10)
        elif place not in self._places:
            self._places.add(place)
            self._count(NeverAwaitedError(f"{place}: {name} {NEVER_AWAITED}; {AWAIT_IT}"))

    def _place(self, text: str, filename: str, lineno: int) -> str | None:
        """`file:line` of the script, from where the coroutine was made if Python knows, else from where it ended."""
        made = [(found["file"], found["line"]) for found in FRAME.finditer(text)]
        theirs = [frame for frame in made if not frame[0].startswith(OUR_CODE)]
        for file, line in [frame for frame in theirs if frame[0] == self._script] or theirs:
            return f"{self._shown if file == self._script else file}:{line}"
        return f"{self._shown}:{lineno}" if filename == self._script else None
