"""`ciload.asgi(app)`: the target is an application in the same process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ciload.http.session import current
from ciload.script.loader import TopLevel

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def asgi(app: App) -> None:
    """Make an ASGI application the target, unless the run has a `base_url`; for small tests that start no server.

    uvicorn serves it while the run lasts, on a free port of loopback, in another thread of this process: so it shares
    the CPU with the load, and its times are those of both. Its lifespan is that of the run.

    Raises:
        RuntimeError: this is not the top level of a script, or it has called this before.
        TypeError: it is no application.
    """
    session = current.get(None)
    owner = None if session is None else session.owner
    if not isinstance(owner, TopLevel):
        raise RuntimeError("asgi() belongs at the top level of a script that `ciload run` loads")
    if not callable(app):
        raise TypeError(f"asgi() takes an ASGI application, not {type(app).__name__}")
    if owner.app is not None:
        raise RuntimeError("asgi() was called before: there is one target")
    owner.app = app
