"""From a coroutine function to one that waits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ciload.script.greenlets import wait_for

P = ParamSpec("P")
T = TypeVar("T")


def waiting(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """The same function for plain functions of a script, which waits and returns what the other one is awaited for."""

    @wraps(function)
    def wait(*args: P.args, **kwargs: P.kwargs) -> T:
        return wait_for(function(*args, **kwargs))

    return wait
