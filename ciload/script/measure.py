"""`measure`: the time of anything that a script does, as an endpoint like those of requests."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

import anyio

from ciload.http.session import Session, current_session
from ciload.script.calling import has_abort

Function = TypeVar("Function", bound=Callable[..., Any])


class Operation:
    """What is being measured. A script may add what only it knows.

    Attributes:
        bytes_sent, bytes_received: on the network, if the script knows; they count in `data_sent` and `data_received`.
    """

    __slots__ = ("_began", "_began_at", "_failure", "_session", "bytes_received", "bytes_sent")

    def __init__(self, session: Session) -> None:
        self.bytes_sent = 0
        self.bytes_received = 0
        self._failure = ""
        self._session = session
        self._began_at = len(session.exchanges) if session.exchanges is not None else 0
        self._began = perf_counter()

    def fail(self, kind: str) -> None:
        """Count it as failed although nothing is raised; `kind` says why, in a few words, alike for alike reasons."""
        if not isinstance(kind, str) or not kind:
            raise ValueError(f"a kind of failure is text, not {kind!r}")
        self._failure = kind


class measure:  # noqa: N801  # reads as a verb: `async with measure("find user"):`
    """Measure what is done inside: its time, and whether it failed, under a name.

    As a context manager, asynchronous or not, and as a decorator of functions of either kind. What raises counts as
    failed, by the exception's class, and goes on its way. The metrics are `ops`, `op_failed` and `op_duration`, with
    the tags `name`, `error`, `protocol` and those given.

    Args:
        name: of the operation; few different ones, since each is an endpoint in all reports.
        protocol: what is spoken, such as "postgresql"; shown beside the name.
        tags: more tags for these samples.
    """

    __slots__ = ("_extra", "_name", "_operation", "_protocol")

    def __init__(self, name: str, /, *, protocol: str = "", **tags: object) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"an operation's name is text, not {name!r}")
        self._name = name
        self._protocol = str(protocol)
        self._extra = tuple((key, str(value)) for key, value in tags.items())
        self._operation: Operation | None = None

    def __enter__(self) -> Operation:
        if self._operation is not None:
            raise RuntimeError(
                f"measure({self._name!r}) is at work already: write `with measure(...)` where it begins, or use it as "
                "a decorator, so that each use is one of its own"
            )
        self._operation = Operation(current_session())
        return self._operation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = perf_counter()
        operation, self._operation = self._operation, None
        if operation is None or isinstance(error, GeneratorExit) or (error is not None and has_abort(error)):
            return
        seconds = ended - operation._began
        session = operation._session
        failure = operation._failure if error is None else _kind(error, session, seconds)
        key = (self._name, self._protocol, failure, self._extra)
        series = session.scope.operations.get(key) or session.scope.operation_series(key)
        series.times.append(seconds)
        series.bytes_sent += operation.bytes_sent
        series.bytes_received += operation.bytes_received
        if session.exchanges is not None:
            session.exchanges.add_operation(
                (self._name, "", 0, failure, self._extra), seconds, failed=bool(failure), began_at=operation._began_at
            )

    async def __aenter__(self) -> Operation:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Function) -> Function:
        """The function, each call of which is measured."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"measure({self._name!r}) cannot measure a generator: use `with measure(...)` inside of it")

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def measured_async(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return measured_async  # type: ignore[return-value]  # it is called as the function is

        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return measured  # type: ignore[return-value]

    def _again(self) -> measure:
        return measure(self._name, protocol=self._protocol, **dict(self._extra))


def _kind(error: BaseException, session: Session, seconds: float) -> str:
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return session.owner.cut_off(seconds)
    return type(error).__name__
