"""What a virtual user's requests share: its connections, its cookies, and where its samples land."""

from __future__ import annotations

from contextvars import ContextVar
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeAlias

from ciload.errors import Abort
from ciload.http.connection import Connection
from ciload.http.cookies import CookieJar
from ciload.metrics.registry import HttpKey, Scope

if TYPE_CHECKING:
    from ciload.http.client import Client
    from ciload.http.http2.origin import OriginConnections
    from ciload.http.http2.stream import Http2Stream
    from ciload.http.streaming import StreamedResponse


# What carries one exchange at a time.
Channel: TypeAlias = "Connection | Http2Stream"
# A request or (without method) an operation: what it is measured under, and how many seconds it took; 0: it failed.
Exchange = tuple[HttpKey, float]


class Exchanges(list[Exchange]):
    """The requests and operations of an iteration, as they ended."""

    __slots__ = ("_alone",)

    def __init__(self) -> None:
        super().__init__()
        self._alone: dict[int, float] = {}  # of operations: seconds outside of the requests and operations in them

    def add_operation(self, key: HttpKey, seconds: float, *, failed: bool, began_at: int) -> None:
        """`began_at`: how many there were when it began."""
        self._alone[len(self)] = max(0.0, seconds - self.seconds(began_at))
        self.append((key, 0.0 if failed else seconds))

    def seconds(self, began_at: int = 0) -> float:
        """How long all of them took, or those from one on; what one of them has in it is counted once."""
        return sum(self._alone.get(index, self[index][1]) for index in range(began_at, len(self)))

    def clear(self) -> None:
        super().clear()
        self._alone.clear()


class Pool:
    """Idle keep-alive connections by origin (scheme://host:port), the most recently used last.

    Of HTTP/2, `idle` has places on connections, and `shared` the connections themselves.

    `used` tells the virtual user's loop that an iteration has waited for the network, and so has let others run.
    """

    __slots__ = ("idle", "shared", "streams", "used")

    def __init__(self) -> None:
        self.idle: dict[str, list[Channel]] = {}
        self.shared: dict[str, OriginConnections] = {}
        # Whose body nobody has read to its end; a dict, since an empty set takes 150 bytes more of every virtual user.
        self.streams: dict[StreamedResponse, None] = {}
        self.used = False

    def close_streams(self) -> None:
        """Nobody reads on in the next iteration."""
        for stream in list(self.streams):
            stream.close()

    def renounce(self, origin: str) -> None:
        """Use none of the connections to an origin again."""
        for connection in list(self.idle[origin]):
            connection.abort()
        self.idle[origin].clear()
        if origin in self.shared:
            self.shared[origin].retire()

    def close(self) -> None:
        self.close_streams()
        for resting in self.idle.values():
            for connection in list(resting):
                connection.abort()
        self.idle.clear()
        for connections in self.shared.values():
            connections.abort()
        self.shared.clear()


class Owner(Protocol):
    """Whoever runs the code that a session is for."""

    @property
    def random(self) -> Random:
        """What chance decides in that code."""
        ...

    def abort(self, order: Abort) -> None:
        """The whole run is to end."""

    def cut_off(self, waited_s: float, /) -> str:
        """A request is cancelled without an answer, so long after it began; answers why, in words."""


class Session:
    """The part of a virtual user that requests and samples need.

    `late` is how many seconds after it was due the running iteration has started: its requests were due so much
    earlier as well. `exchanges` has what the running iteration has done, when it is compared with that at another
    target.
    """

    __slots__ = ("client", "exchanges", "jar", "late", "owner", "pool", "scope")

    def __init__(
        self,
        client: Client | None,
        scope: Scope,
        owner: Owner,
        pool: Pool | None = None,
        jar: CookieJar | None = None,
    ) -> None:
        self.client = client
        self.scope = scope
        self.owner = owner
        self.pool = Pool() if pool is None else pool
        self.jar = CookieJar() if jar is None else jar
        self.late = 0.0
        self.exchanges: Exchanges | None = None


class GroupSession(Session):
    """The same virtual user within a group: another scope, and the way back."""

    __slots__ = ("began", "outer")

    def __init__(self, outer: Session, group: str) -> None:
        super().__init__(outer.client, outer.scope.within(group), outer.owner, outer.pool, outer.jar)
        self.late = outer.late
        self.exchanges = outer.exchanges
        self.outer = outer
        self.began = perf_counter()


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


def end_run(order: Abort) -> NoReturn:
    """Tell whoever runs this code, then end the code as well: the run ends even if somebody catches the exception."""
    session = current.get(None)
    if session is not None:
        session.owner.abort(order)
    raise order
