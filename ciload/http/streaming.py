"""Responses that are read while they come: `http.get(url, stream=True)`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

from ciload.http.connection import IDLE, Connection
from ciload.http.decoding import Decoding
from ciload.http.failure import ErrorCode, RequestFailedError
from ciload.http.incoming import Incoming
from ciload.http.request import Prepared
from ciload.http.response import Response
from ciload.http.session import Session
from ciload.http.timings import Dialed
from ciload.metrics.series import Tags


class StreamedResponse(Response):
    """A response whose head is there. Its request is counted when the body has been read, or is given up."""

    __slots__ = ("_counted", "_exchange", "_first_byte_at", "_incoming", "_keep_bytes", "_read", "_released",
                 "_sent_at")  # fmt: skip

    def __init__(self, exchange: Exchange, incoming: Incoming, dialed: Dialed, keep_bytes: int) -> None:
        connection, prepared = exchange.connection, exchange.prepared
        self._exchange = exchange
        self._incoming = incoming
        self._keep_bytes = keep_bytes
        self._sent_at = connection.sent_at or connection.first_byte_at
        self._first_byte_at = connection.first_byte_at
        self._counted = self._released = self._read = False
        phases = exchange.phases(self._first_byte_at)
        head = connection.head
        super().__init__(head.status_code, head, b"", prepared.method, prepared.target.url, dialed, phases)
        if self.status_code >= 400:
            self.error_code = 1000 + self.status_code
        exchange.session.pool.streams.add(self)
        incoming.on_end = self._release
        if incoming.ended:
            self._release()

    # --- reading

    async def pieces(self) -> AsyncIterator[tuple[bytes, float]]:
        """The body as it comes, decoded, and how many ms after the request was sent each piece came."""
        if self._read:
            raise RuntimeError("the body was read already: keep what you need of it, or await aread()")
        self._read = True
        try:
            decoding = Decoding(self.head.codings)
            while (got := await self._incoming.get()) is not None:
                for piece in decoding.feed(got[0]):
                    yield piece, (got[1] - self._sent_at) * 1e3
            if self._incoming.failure is None and not decoding.complete:
                raise RequestFailedError(ErrorCode.DECOMPRESSION, "decompression failed: the body ends too early")
        except RequestFailedError as failure:
            self._fail(failure)
        except asyncio.CancelledError:  # nobody has given it up: it was cut off
            waited_s = perf_counter() - self._exchange.started
            self._fail(RequestFailedError(ErrorCode.TIMEOUT, self._exchange.session.owner.cut_off(waited_s)))
            raise
        if self._incoming.failure is not None:
            self._fail(self._incoming.failure)
        self.close()

    async def aread(self) -> bytes:
        """Read the rest of the body, and keep it as `content`, as far as `max_body_kept` goes."""
        if not self._read:
            kept: list[bytes] = []
            room = self._keep_bytes
            async for piece, _ in self.pieces():
                self.truncated |= len(piece) > room > 0
                kept.append(piece[:room])
                room -= len(kept[-1])
            self.content = b"".join(kept)
        return self.content

    def json(self, **options: Any) -> Any:
        """See `Response.json`.

        Raises:
            ValueError: likewise, or nobody has called `aread()`.
        """
        if not self._read:
            raise ValueError("the body was not read: await reply.aread() before json()")
        return super().json(**options)

    async def aclose(self) -> None:
        """Want no more of the body. What has come counts, and is no failure."""
        self.close()

    def close(self) -> None:
        """See `aclose`; without an event loop's help."""
        if not self._released:
            self._release()
        self._count()

    # --- the end

    def _release(self) -> None:
        """The last byte has come, or nobody waits for it: take the times, and give the connection back."""
        if self._released:
            return
        self._released = True
        connection = self._exchange.connection
        over = self._incoming.ended
        self._phases = self._exchange.phases(connection.done_at if over else perf_counter())
        self._exchange.bytes_received = connection.bytes_received
        self._exchange.release()

    def _fail(self, failure: RequestFailedError) -> None:
        """It is no response any more, but what has come of it stays."""
        self.status_code = 0
        self.error, self.error_code = failure.text, failure.code
        self.close()

    def _count(self) -> None:
        if not self._counted:
            self._counted = True
            self._exchange.session.pool.streams.discard(self)
            self._exchange.count(self)


class Exchange:
    """A request whose response is read while it comes: what was measured of it, and where that goes."""

    __slots__ = ("_lost", "_name", "_tags", "bytes_received", "bytes_sent", "connection", "dialed", "prepared",
                 "session", "started")  # fmt: skip

    def __init__(
        self, session: Session, prepared: Prepared, connection: Connection, started: float, dialed: Dialed,
        lost: tuple[float, int], name: str | None, tags: Tags,
    ) -> None:  # fmt: skip
        self.session = session
        self.prepared = prepared
        self.connection = connection
        self.started = started
        self.dialed = dialed
        self.bytes_sent = connection.bytes_sent + lost[1]
        self.bytes_received = 0
        self._lost = lost[0]
        self._name = name or prepared.name
        self._tags = tags

    def phases(self, until: float) -> tuple[float, float, float]:
        """Sending, waiting and receiving, in seconds."""
        first = self.connection.first_byte_at
        sent = self.connection.sent_at
        if not self.started <= sent <= first:  # still writing when the answer began
            sent = first
        return sent - self.started, first - sent + self._lost, max(0.0, until - first)

    def release(self) -> None:
        connection = self.connection
        if connection.state is IDLE and not self.prepared.closes and connection.idle is not None:
            connection.idle.append(connection)
        else:
            connection.abort()

    def count(self, response: Response) -> None:
        """Record the sample."""
        session = self.session
        key = (self._name, self.prepared.method, response.status_code, response.error, self._tags)
        series = session.scope.http_series(key, response.error_code)
        series.add_wait(session.late, self.dialed)
        sending, waiting, receiving = response.phases
        series.sending.append(sending)
        series.waiting.append(waiting)
        series.receiving.append(receiving)
        series.bytes_sent += self.bytes_sent
        series.bytes_received += self.bytes_received
        if session.exchanges is not None:
            succeeded = 200 <= response.status_code < 400
            session.exchanges.append((key, sending + waiting + receiving if succeeded else 0.0))
