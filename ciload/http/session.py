"""What a virtual user's requests share: its connections, its cookies, and where its samples land."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from ciload.http.connection import Connection
from ciload.http.cookies import CookieJar
from ciload.metrics.registry import Scope

if TYPE_CHECKING:
    from ciload.http.client import Client


class Pool:
    """Idle keep-alive connections by origin (scheme://host:port), the most recently used last.

    `used` tells the virtual user's loop that an iteration has waited for the network, and so has let others run.
    """

    __slots__ = ("idle", "used")

    def __init__(self) -> None:
        self.idle: dict[str, list[Connection]] = {}
        self.used = False

    def close(self) -> None:
        for resting in self.idle.values():
            for connection in list(resting):
                connection.abort()
        self.idle.clear()


class Session:
    """The part of a virtual user that requests and samples need. A group makes a copy with another scope.

    `late` is how many seconds after it was due the running iteration has started: its requests were due so much
    earlier as well.
    """

    __slots__ = ("client", "jar", "late", "pool", "scope")

    def __init__(
        self, client: Client | None, scope: Scope, pool: Pool | None = None, jar: CookieJar | None = None
    ) -> None:
        self.client = client
        self.scope = scope
        self.pool = Pool() if pool is None else pool
        self.jar = CookieJar() if jar is None else jar
        self.late = 0.0

    def within(self, group: str) -> Session:
        inside = Session(self.client, self.scope.within(group), self.pool, self.jar)
        inside.late = self.late
        return inside


class NoVirtualUserError(RuntimeError):
    """A request, check, group or sample outside a scenario function, setup or teardown."""

    def __init__(self) -> None:
        super().__init__(
            "no virtual user is running here: requests, checks, groups and samples belong inside "
            "`async def default()`, `setup()` or `teardown()`, not at the top level of the script"
        )


# The one global: which virtual user the running task belongs to. Tasks that a script starts inherit it.
current: ContextVar[Session] = ContextVar("ciload_session")


def current_session() -> Session:
    """The session of the running virtual user.

    Raises:
        NoVirtualUserError: there is none.
    """
    session = current.get(None)
    if session is None or session.client is None:
        raise NoVirtualUserError
    return session
