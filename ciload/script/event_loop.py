"""The event loop that a script runs in, which the script can neither end nor hold."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from ciload.script.unhandled import Unhandled

Result = TypeVar("Result")

LEFTOVERS_S = 1.0  # for tasks of the script's to end when everything else has


class AbandonedError(Exception):
    """`abandon` was called: what ran is left where it stands."""


class CancelledByScriptError(Exception):
    """The script has cancelled a task that is not its own, such as all of the event loop's."""


class EventLoop:
    """Runs one coroutine function to its end, with uvloop where there is one.

    Keep it as long as the process lives if `run` has raised: it holds what is left, and tasks that are thrown away run
    their `finally` clauses.
    """

    def __init__(self, unhandled: Unhandled | None = None) -> None:
        self._unhandled = unhandled
        self._loop = _new_loop()
        self._abandoned = False
        self._left: list[object] = []  # tasks that did not end
        if unhandled is not None:
            self._loop.set_exception_handler(unhandled.on_loop_error)

    def run(self, main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What `main` returns.

        Raises:
            AbandonedError: somebody has abandoned it.
            CancelledByScriptError: the script has cancelled it.
        """
        asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(main())
        result = self._drive(task)
        self._close()
        return result

    def abandon(self) -> None:
        """Let `run` raise now, whatever its tasks do. For signal handlers, and threads that hold the loop's own."""
        self._abandoned = True
        self._loop.stop()

    @property
    def holds_tasks(self) -> bool:
        """Whether it has tasks that did not end when they were cancelled."""
        return bool(self._left)

    def place_in(self, script: Path) -> str:
        """Where tasks are in the script, for one of them: `file:line in function()`; "" if none is."""
        of_script = str(script.resolve())
        for task in asyncio.all_tasks(self._loop):
            found = [frame for frame in _frames(task) if frame.f_code.co_filename == of_script]
            if found:  # the innermost one is where it waits
                return f"{script}:{found[-1].f_lineno} in {found[-1].f_code.co_name}()"
        return ""

    def _drive(self, task: asyncio.Task[Result]) -> Result:
        while True:
            try:
                return self._loop.run_until_complete(task)
            except (asyncio.CancelledError, GeneratorExit):
                raise CancelledByScriptError from None
            except (KeyboardInterrupt, SystemExit) as error:  # asyncio lets these out of any task
                if task.done() or self._unhandled is None:
                    raise
                self._unhandled.stray(error)
            except RuntimeError as error:
                if self._abandoned:
                    self._left.append(task)
                    raise AbandonedError from None
                if "ignored GeneratorExit" in str(error):  # a future of the script's ended with that
                    raise CancelledByScriptError from None
                raise

    def _close(self) -> None:
        """As `asyncio.run` does, but for tasks that do not end when they are cancelled."""
        loop = self._loop
        if self._unhandled is not None:
            self._unhandled.collect()
        left = asyncio.all_tasks(loop)
        for each in left:
            each.cancel()
        with suppress(BaseException):
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=LEFTOVERS_S))
            loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), LEFTOVERS_S))
        self._left += [each for each in left if not each.done()]
        if self._unhandled is not None and self._left:
            self._unhandled.never_ended(len(self._left))
        loop.set_exception_handler(lambda *_: None)
        asyncio.set_event_loop(None)
        if not self._left:
            loop.close()


def _frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Of a task that waits, from its beginning to the place where it does; its own stack has the first one only."""
    coroutine: Any = task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        yield frame
        coroutine = coroutine.cr_await


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()
