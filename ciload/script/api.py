"""Checks, groups, sleeping and ending early: the verbs of a scenario script."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from time import perf_counter
from types import TracebackType
from typing import Any, NoReturn

import anyio

from ciload.durations import parse_duration
from ciload.errors import Abort
from ciload.http.answer_samples import sample_of
from ciload.http.expectations import Expect
from ciload.http.response import Response
from ciload.http.session import GroupSession, NoVirtualUserError, Session, current, current_session, end_run
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Scope
from ciload.script.calling import has_abort
from ciload.script.failures import ScriptBlockedError, record_script_error

GROUP_SEPARATOR = "::"


def check(
    value: Any, checks: Mapping[str, Callable[[Any], Any] | Any], *, tags: Mapping[str, str] | None = None
) -> bool:
    """Count, under each name, whether something holds for `value`; true when everything does.

    A check that raises counts as failed and as a script error, and the others still run. Checks alone never fail a
    run; a threshold such as `checks: ["rate>0.99"]` does.

    Args:
        value: what to look at, mostly a response.
        checks: name to function of `value`, or to a plain value; judged by truthiness.
        tags: more tags for these samples.
    """
    session = current.get(None)
    if session is None or session.client is None:
        raise NoVirtualUserError
    scope = session.scope
    all_hold = True
    for name, condition in checks.items():
        sink = None if tags else scope.checks.get(name)
        if sink is None:
            sink = scope.check_sink(_check_name(name), tags)
        try:
            result = condition(value) if callable(condition) else condition
            holds = result if result is True or result is False else _truth(f"check {name!r}", result)
        except BaseException as error:  # one frame less than `call_plain`: checks are part of every request
            if isinstance(error, ScriptBlockedError) or has_abort(error):
                raise
            record_script_error(session.scope, error)
            holds = False
        sink.total += 1
        if holds:
            sink.passes += 1
        else:
            all_hold = False
            _keep_sample(session, name, value)
    return all_hold


def _keep_sample(session: Session, check_name: str, value: Any) -> None:
    """Let the report show the first answer for which a check did not hold."""
    check, registry = (check_name, session.scope.group), session.scope.registry
    if isinstance(value, Response) and registry.wants_sample_of(check):
        registry.keep_sample(check, sample_of(value))


def is_as_expected(expect: Expect, reply: Response, scope: Scope) -> bool:
    """Ask the `expect=` of a request; if that raises, it is a script error, and the answer is not as expected."""
    try:
        return _truth("expect=", expect(reply))
    except BaseException as error:
        if isinstance(error, ScriptBlockedError) or has_abort(error):
            raise
        record_script_error(scope, error)
        return False


def _check_name(name: str) -> str:
    if not isinstance(name, str) or GROUP_SEPARATOR in name:
        raise ValueError(f"a check's name is text without '::', not {name!r}")
    return name


def _truth(asker: str, result: Any) -> bool:
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(f"{asker} is an async function; await first, then check the result")
    return bool(result)


class group:  # noqa: N801  # reads as a verb: `async with group("log in"):`
    """Name a part of an iteration: samples inside carry `group=::outer::inner`, `group_duration` its time.

    The name belongs to the task that entered it: tasks running at the same time keep their own, and may share this
    object.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name or GROUP_SEPARATOR in name:
            raise ValueError(f"a group's name is text without '::', not {name!r}")
        self.name = name

    async def __aenter__(self) -> None:
        current.set(GroupSession(current_session(), self.name))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        inside = current_session()
        if isinstance(inside, GroupSession):
            duration_ms = (perf_counter() - inside.began) * 1e3
            inside.scope.sink(BUILTIN["group_duration"]).add(duration_ms)
            current.set(inside.outer)


async def sleep(seconds: float | str) -> None:
    """Pause this virtual user; ends early when the run does. Takes seconds, or text such as "500ms"."""
    session = current.get(None)
    if session is not None:
        session.pool.used = True
    await anyio.sleep(parse_duration(seconds))


class IterationFailedError(Exception):
    """`fail()` was called."""


def fail(reason: str = "") -> NoReturn:
    """End this iteration as a script error."""
    raise IterationFailedError(reason)


def abort(reason: str = "") -> NoReturn:
    """End the whole run now: teardown and reports still happen, the exit code is 108.

    It may be called anywhere: in any task of the script's, and at its top level. The run ends even if somebody catches
    what this raises.
    """
    end_run(Abort(reason))


def fail_test(reason: str = "") -> None:
    """Let the run go on, and fail it at its end with exit code 110."""
    current_session().scope.registry.marked_failed.setdefault(reason or "fail_test() was called")
