"""The border to the script: whatever it raises, wherever it is called, is settled here.

A call into the script ends in one of four ways: it *finished*, it *raised*, it *aborted* the run, or it was
*interrupted* by the engine. Callers differ in what they do about it; what it was, they ask `settle`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import anyio

from ciload.script.failures import Abort


class Ended(Enum):
    """How a call into the script ended."""

    FINISHED = auto()
    RAISED = auto()
    ABORTED = auto()  # the script called abort(), which has told the engine already
    INTERRUPTED = auto()  # the engine has cancelled it: the exception must go on its way


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has ended: what it returned, or what it raised."""

    ended: Ended
    value: Any = None
    error: BaseException | None = None


def settle(error: BaseException) -> Ended:
    """What an exception that came out of the script means.

    Cancellation is the engine's if a scope around this task is cancelled; any other is the script's own mistake, as
    after `task.cancel(); await task`. SystemExit and KeyboardInterrupt are the script's: no signal handler of ours
    raises one of them while it runs.
    """
    if has_abort(error):
        return Ended.ABORTED
    try:
        cancelled = anyio.get_cancelled_exc_class()
    except RuntimeError:  # no event loop is running: an abandoned coroutine is being closed
        return Ended.INTERRUPTED
    if isinstance(error, cancelled):
        if anyio.current_effective_deadline() == float("-inf"):
            return Ended.INTERRUPTED
        _forget_cancellation()
    return Ended.RAISED


async def call(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Call:
    """Await a function of the script.

    Raises:
        Only the engine's own cancellation.
    """
    try:
        return Call(Ended.FINISHED, await function(*arguments))
    except BaseException as error:
        ended = settle(error)
        if ended is Ended.INTERRUPTED:
            raise
        return Call(ended, error=error)


def call_plain(function: Callable[..., Any], *arguments: Any) -> Call:
    """Call a function of the script that is not asynchronous, or its top level. It cannot be interrupted."""
    try:
        return Call(Ended.FINISHED, function(*arguments))
    except BaseException as error:  # noqa: BLE001  # whatever the script raises is settled
        return Call(Ended.ABORTED if has_abort(error) else Ended.RAISED, error=error)


def has_abort(error: BaseException) -> bool:
    """Whether it is the exception of `abort()`, or a group with one in it."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(has_abort, error.exceptions))
    return isinstance(error, Abort)


def _forget_cancellation() -> None:
    """A task that the script has cancelled goes on, so nobody may think that it is still to be cancelled."""
    with suppress(RuntimeError):  # not asyncio, where there is no such count
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()
