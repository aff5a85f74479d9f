"""httpx's time-outs and exceptions for one exchange: a limit for each step instead of one for the whole request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from time import perf_counter
from typing import Any, NamedTuple, Self

from ciload.http.body import Upload
from ciload.http.exchange import Transfer
from ciload.http.failure import ErrorCode
from ciload.http.incoming import Incoming
from ciload.http.session import Channel

NEVER = float("inf")
TIMED_OUT = {ErrorCode.TIMEOUT, ErrorCode.DIAL_TIMEOUT}
NETWORK = {ErrorCode.TCP, ErrorCode.RESET, ErrorCode.TLS}


class Timeouts(NamedTuple):
    """httpx's, in seconds: for a connection, for each piece of a body to go out, and for each to come."""

    connect: float = NEVER
    write: float = NEVER
    read: float = NEVER

    @classmethod
    def of(cls, given: Mapping[str, float | None]) -> Self:
        """None is no limit. The fourth, for a place in a pool, has nothing to limit: no request waits for one."""
        return cls(*(NEVER if (seconds := given.get(each)) is None else seconds for each in cls._fields))


class TimedTransfer(Transfer):
    """Sends and receives under httpx's time-outs, each of which starts anew with every piece."""

    __slots__ = ("_timeouts", "channel")

    keeps_cookies = False

    def __init__(self, upload: Upload | None, timeouts: Timeouts) -> None:
        super().__init__(upload, stream=True)
        self._timeouts = timeouts
        self.channel: Channel | None = None  # once there is a connection

    async def run(self, connection: Channel, raw: bytes, _deadline: float, is_head: bool) -> None:
        self.channel = connection
        await super().run(connection, raw, perf_counter() + self._timeouts.read, is_head)
        assert self.incoming is not None
        if not self.incoming.ended:
            connection.expect_by(NEVER)  # until somebody wants the body

    def _receive(self, connection: Channel) -> Incoming:
        return TimedIncoming(connection, self._timeouts.read)

    async def _pieces(self, connection: Channel, upload: Upload) -> AsyncIterator[bytes]:
        async for piece in super()._pieces(connection, upload):
            connection.expect_by(perf_counter() + self._timeouts.write)
            yield piece
            connection.expect_by(NEVER)  # the next one takes as long as it takes to make

    async def _send(self, connection: Channel, upload: Upload, waiter: asyncio.Future[None]) -> None:
        connection.expect_by(NEVER)
        await super()._send(connection, upload, waiter)
        left_s = 0.0 if connection.sent_at else self._timeouts.write  # for what the kernel had no room for
        connection.expect_by(perf_counter() + left_s + self._timeouts.read)

    def rewind(self) -> bool:
        self.channel = None
        return super().rewind()

    def error(self, library: Any, code: int, text: str) -> Exception:
        """The exception of httpx (or httpx2) for a request that got no response, or no whole one."""
        return getattr(library, self._error(code, text))(text)  # type: ignore[no-any-return]

    def _error(self, code: int, text: str) -> str:
        if self.channel is None:
            if code in TIMED_OUT:
                return "ConnectTimeout"
            return "ProxyError" if text.startswith("proxy ") else "ConnectError"
        sending = not self.channel.sent_at
        if code in TIMED_OUT:
            return "WriteTimeout" if sending else "ReadTimeout"
        if code == ErrorCode.BROKEN_PIPE or (sending and code in NETWORK):
            return "WriteError"
        return "ReadError" if code in NETWORK else "RemoteProtocolError"


class TimedIncoming(Incoming):
    """A body whose reader has a time-out for each piece, which runs only while it waits."""

    __slots__ = ("_channel", "_timeout_s")

    def __init__(self, channel: Channel, timeout_s: float) -> None:
        super().__init__(channel.transport)
        self._channel = channel
        self._timeout_s = timeout_s

    async def get(self) -> tuple[bytes, float] | None:
        if not self.ended:  # afterwards, the connection may be somebody else's
            self._channel.expect_by(perf_counter() + self._timeout_s)
        piece = await super().get()
        if not self.ended:
            self._channel.expect_by(NEVER)
        return piece

    @property
    def whole(self) -> bytes | None:
        """The body, if all of it is there already."""
        if not self.ended or self.failure is not None:
            return None
        return b"".join(piece for piece, _ in self._pieces)
