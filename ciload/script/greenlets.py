"""Plain functions of a script, run without `await`: in greenlets, on the event loop that runs everything else.

task of a virtual user ──switch──► greenlet: the script's function ──► a verb of `ciload.sync`
          ▲                                                                    │ drives the coroutine of `ciload`
          └──── what that waits for goes to the event loop ◄──────switch───────┘

So a plain function is measured, cancelled and interrupted like an asynchronous one, and there are no threads. A verb
whose coroutine has its answer at once switches nowhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

import greenlet

from ciload.http.session import NoVirtualUserError, current

T = TypeVar("T")


PLAIN_HINT = (
    "has made a coroutine that nobody awaits: take what it calls from ciload.sync (`from ciload.sync import http`), or "
    "write `async def` and `await`"
)


class NotAwaitedError(TypeError):
    """A plain function has used the verbs of asynchronous ones."""


class NotInAPlainFunctionError(RuntimeError):
    """A verb of `ciload.sync` where the event loop itself would have to wait for it."""


class _Ended:
    """How a function of the script ended. Whatever else a greenlet gives its task is for the event loop to see."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any, error: BaseException | None) -> None:
        self.value = value
        self.error = error


class _ScriptGreenlet(greenlet.greenlet):
    """Runs functions of the script, one after the other, for as long as its virtual user lives."""

    def run(self, function: Callable[[], Any]) -> None:
        task = self.parent
        assert task is not None
        while True:
            try:
                ended = _Ended(function(), None)
            except greenlet.GreenletExit:  # it is thrown away
                raise
            except BaseException as error:  # noqa: BLE001  # it is raised again where the function was called
                ended = _Ended(None, error)
            function = task.switch(ended)


class PlainFunction(Awaitable[Any]):
    """A function of the script, with its arguments, that can be awaited again and again."""

    __slots__ = ("_function", "_greenlet", "_name")

    def __init__(self, function: Callable[[], Any], name: str) -> None:
        self._function = function
        self._name = name
        self._greenlet: _ScriptGreenlet | None = None

    def __call__(self) -> PlainFunction:
        return self

    def __await__(self) -> Generator[Any, Any, Any]:
        runner, self._greenlet = self._greenlet or _ScriptGreenlet(), None  # another call may come meanwhile
        # The very context of the task, so that groups and virtual users are what they are there.
        runner.gr_context = greenlet.getcurrent().gr_context
        given = runner.switch(self._function)
        while given.__class__ is not _Ended:
            try:
                sent = yield given
            except BaseException as error:  # noqa: BLE001  # cancellation, or what the wait came to
                given = runner.throw(error)
            else:
                given = runner.switch(sent)
        self._greenlet = runner
        value, raised = given.value, given.error
        given.value = given.error = None  # a greenlet that rests holds on to how its last function ended
        if raised is not None:
            raise raised
        if inspect.iscoroutine(value):
            value.close()
            raise NotAwaitedError(f"`{self._name}` is a plain function and {PLAIN_HINT}")
        return value


def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
    """The value of a coroutine, in a plain function of a script; others go on meanwhile.

    Raises:
        NotInAPlainFunctionError: it is called in an asynchronous function.
        NoVirtualUserError: it is called at the top level of the script, or in a thread of its own.
    """
    here = greenlet.getcurrent()
    if here.__class__ is not _ScriptGreenlet:
        coroutine.close()
        raise _why_not()
    task = here.parent
    assert task is not None
    resume: Callable[[Any], Any] = coroutine.send
    with_: Any = None
    while True:
        try:
            waits_for = resume(with_)
        except StopIteration as end:
            value: T = end.value
            return value
        try:
            resume, with_ = coroutine.send, task.switch(waits_for)
        except greenlet.GreenletExit:
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001  # the coroutine settles it
            resume, with_ = coroutine.throw, error


def _why_not() -> Exception:
    if current.get(None) is None:
        return NoVirtualUserError()
    return NotInAPlainFunctionError(
        "ciload.sync is for plain functions: in `async def`, write `from ciload import http` and `await http.get(...)`"
    )
