"""Which connection takes a request: one that is open already, or the one that everybody waits for."""

from __future__ import annotations

import asyncio
from time import perf_counter

from ciload.http.connection import Connection
from ciload.http.dial import Dialer
from ciload.http.failure import ErrorCode, RequestFailedError
from ciload.http.http2.connection import Http2Connection
from ciload.http.http2.stream import Http2Stream
from ciload.http.target import Origin
from ciload.http.timings import REUSED, Dialed


class Dial:
    """One that is under way, for all who wait for it."""

    __slots__ = ("done", "failure")

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.failure: RequestFailedError | None = None


class OriginConnections:
    """The HTTP/2 connections of one virtual user to one origin.

    Another one is opened when the server takes no more streams on those that there are, as Go does, and so k6.
    """

    __slots__ = ("_connections", "_dial", "_http1")

    def __init__(self) -> None:
        self._connections: list[Http2Connection] = []
        self._dial: Dial | None = None
        self._http1 = False  # the server has chosen that: nothing is shared

    async def channel(self, dialer: Dialer, origin: Origin, deadline: float) -> Connection | Http2Stream:
        """A place on a connection, or one of its own where the server speaks HTTP/1.1.

        Raises:
            RequestFailedError: there is none to be had, or `deadline` has passed.
        """
        began = perf_counter()
        waited = False
        while not self._http1:
            connection = self._with_room()
            if connection is not None and connection.settled.is_set():
                place = connection.place()
                place.dialed = Dialed(perf_counter() - began) if waited else REUSED
                return place
            waited, dial = True, self._dial
            if connection is not None:
                await _wait(connection.settled, began, deadline)
            elif dial is None:
                break
            else:
                await _wait(dial.done, began, deadline)
                if dial.failure is not None:
                    raise _waited(dial.failure.code, dial.failure.text, began)
        return await self._open(dialer, origin, deadline)

    def _with_room(self) -> Http2Connection | None:
        self._connections = [each for each in self._connections if each.available]
        return next((each for each in self._connections if each.has_room), None)

    async def _open(self, dialer: Dialer, origin: Origin, deadline: float) -> Connection | Http2Stream:
        dial = self._dial = Dial()
        try:
            opened = await dialer.dial(origin, deadline)
        except RequestFailedError as failure:
            if failure.code != ErrorCode.TIMEOUT:  # that is this request's own
                dial.failure = failure
            raise
        finally:
            dial.done.set()
            if self._dial is dial:
                self._dial = None
        self._http1 = isinstance(opened, Connection)
        if isinstance(opened, Connection):
            return opened
        self._connections.append(opened)
        place = opened.place()
        place.dialed = opened.dialed
        return place

    def retire(self) -> None:
        """Let no request use these connections any more."""
        for connection in self._connections:
            connection.retire()

    def abort(self) -> None:
        for connection in self._connections:
            connection.abort()


async def _wait(ready: asyncio.Event, began: float, deadline: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, deadline - perf_counter())):
            await ready.wait()
    except TimeoutError:
        raise _waited(ErrorCode.TIMEOUT, "request timeout", began) from None


def _waited(code: int, text: str, began: float) -> RequestFailedError:
    failure = RequestFailedError(code, text)
    failure.dialed = Dialed(perf_counter() - began)
    return failure
