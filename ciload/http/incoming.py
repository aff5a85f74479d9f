"""The body of a response that is read while it comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from ciload.http.failure import RequestFailedError

MOST_WAITING = 1024 * 1024  # bytes that nobody has read yet; then the server has to wait


class Flow(Protocol):
    """Whoever sends a body, as far as it can be told to wait: the transport of HTTP/1, a stream of HTTP/2."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Incoming:
    """Pieces of a body, each with the time at which it came, from the connection to whoever reads them."""

    __slots__ = ("_arrived", "_flow", "_paused", "_pieces", "_waiting", "ended", "failure", "on_end")

    def __init__(self, flow: Flow) -> None:
        self._flow: Flow | None = flow
        self.on_end: Callable[[], None] | None = None  # called once, when the last byte has come or none will
        self._pieces: deque[tuple[bytes, float]] = deque()
        self._waiting = 0
        self._paused = False
        self._arrived: asyncio.Future[None] | None = None
        self.ended = False
        self.failure: RequestFailedError | None = None

    # --- the connection's side

    def put(self, piece: bytes) -> None:
        self._pieces.append((piece, perf_counter()))
        self._waiting += len(piece)
        if self._waiting > MOST_WAITING and self._flow is not None and not self._paused:
            self._paused = True
            self._flow.pause_reading()
        self._wake()

    def end(self, failure: RequestFailedError | None) -> None:
        self.ended, self.failure = True, failure
        self._flow = None
        self._wake()
        if self.on_end is not None:
            self.on_end()

    def stop(self) -> None:
        """Nobody reads on, and nobody who waits for a piece gets one."""
        self.ended, self.on_end, self._flow = True, None, None
        self._pieces.clear()
        self._wake()

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None and not arrived.done():
            arrived.set_result(None)

    # --- the reader's side

    async def get(self) -> tuple[bytes, float] | None:
        """The next piece and when it came; None: there is no more."""
        while not self._pieces:
            if self.ended:
                return None
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        piece = self._pieces.popleft()
        self._waiting -= len(piece[0])
        if self._paused and self._waiting < MOST_WAITING // 2:
            self._paused = False
            if self._flow is not None:
                self._flow.resume_reading()
        return piece
