"""Responses that are read while they come: `http.get(url, stream=True)`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from ciload.http.answer_samples import sample_if_first, trace_of
from ciload.http.connection import IDLE
from ciload.http.decoding import Decoding
from ciload.http.failure import ErrorCode, RequestFailedError
from ciload.http.incoming import Incoming
from ciload.http.request import Prepared
from ciload.http.response import Response
from ciload.http.session import Channel, Session
from ciload.http.timings import REUSED, Dialed
from ciload.metrics.registry import Labels

ONCE = "the body was taken already: keep what you need of it, or await aread() in place of it"


class StreamedResponse(Response):
    """A response whose head is there. Its request is counted when the body has been read, or is given up."""

    __slots__ = ("_counted", "_exchange", "_incoming", "_keep_bytes", "_released", "_taken", "_whole")

    def __init__(self, exchange: OpenExchange, incoming: Incoming, keep_bytes: int) -> None:
        head, prepared = exchange.connection.head, exchange.prepared
        super().__init__(
            head.status_code, head, b"", prepared.method, prepared.target.url, exchange.dialed, exchange.phases
        )
        if self.status_code >= 400:
            self.error_code = 1000 + self.status_code
        self._exchange = exchange
        self._incoming = incoming
        self._keep_bytes = keep_bytes
        self._taken = self._whole = False  # by whom: one of the iterators, or `aread`
        self._counted = self._released = False
        exchange.session.pool.streams[self] = None
        incoming.on_end = self._release
        if incoming.ended:
            self._release()

    # --- reading

    def pieces(self) -> AsyncIterator[tuple[bytes, float]]:
        return super().pieces() if self._whole else self.take(self.head.codings)

    async def take(self, codings: tuple[bytes, ...] = ()) -> AsyncIterator[tuple[bytes, float]]:
        """The body as it comes, with these codings undone, and how many ms after the request was sent each piece came.

        Raises:
            RuntimeError: somebody has taken it already.
        """
        if self._taken:
            raise RuntimeError(ONCE)
        self._taken = True
        sent_at = self._exchange.sent_at
        try:
            decoding = Decoding(codings)
            while (got := await self._incoming.get()) is not None:
                for piece in decoding.feed(got[0]):
                    yield piece, (got[1] - sent_at) * 1e3
            if self._incoming.failure is not None:
                raise self._incoming.failure
            if not decoding.complete:
                raise RequestFailedError(ErrorCode.DECOMPRESSION, "decompression failed: the body ends too early")
        except RequestFailedError as failure:
            self._fail(failure)
        except asyncio.CancelledError:  # nobody has given it up: it was cut off
            waited_s = perf_counter() - self._exchange.started
            self._fail(RequestFailedError(ErrorCode.TIMEOUT, self._exchange.session.owner.cut_off(waited_s)))
            raise
        finally:
            self.close()

    async def aread(self) -> bytes:
        """Read the body and keep it as `content`, as far as `max_body_kept` goes.

        Raises:
            RuntimeError: an iterator has taken some of it.
        """
        if not self._whole:
            kept: list[bytes] = []
            room = self._keep_bytes
            async for piece, _ in self.pieces():
                self.truncated |= len(piece) > room > 0
                kept.append(piece[:room])
                room -= len(kept[-1])
            self.content = b"".join(kept)
            self._whole = True
        return self.content

    @property
    def text(self) -> str:
        self._see_that_it_was_read()
        return super().text

    def json(self, **options: Any) -> Any:
        self._see_that_it_was_read()
        return super().json(**options)

    def _see_that_it_was_read(self) -> None:
        if not self._whole:
            raise ValueError("nobody has kept the body: await reply.aread() first")

    async def aclose(self) -> None:
        """Want no more of the body. What has come counts, and is no failure."""
        self.close()

    def close(self) -> None:
        """As `aclose`, for whoever cannot wait."""
        self._release()
        self._incoming.stop()
        if not self._counted:
            self._counted = True
            self._exchange.session.pool.streams.pop(self, None)
            self._exchange.count(self)

    # --- the end

    def _release(self) -> None:
        """The last byte has come, or nobody waits for it: take the times, and give the connection back."""
        if not self._released:
            self._released = True
            self._phases = self._exchange.phases
            self._exchange.release()

    def _fail(self, failure: RequestFailedError) -> None:
        """It is no response any more, but what has come of it stays."""
        if not self._counted:
            self.status_code = 0
            self.error, self.error_code = failure.text, failure.code


@dataclass(slots=True)
class OpenExchange:
    """A request whose response is read while it comes: what is measured of it, and where that goes."""

    session: Session
    prepared: Prepared
    connection: Channel
    started: float
    dialed: Dialed
    lost_s: float
    bytes_sent: int  # by a first attempt, and in the end by this one as well
    name: str
    labels: Labels
    raw: bytes
    bytes_received: int = 0
    sent_at: float = field(init=False)  # or when the answer began, if that was before
    first_byte_at: float = field(init=False)

    def __post_init__(self) -> None:
        sent, self.first_byte_at = self.connection.sent_at, self.connection.first_byte_at
        self.sent_at = sent if self.started <= sent <= self.first_byte_at else self.first_byte_at

    @property
    def phases(self) -> tuple[float, float, float]:
        """Sending, waiting and receiving until something came last, in seconds; as long as the connection is ours."""
        receiving = max(0.0, self.connection.done_at - self.first_byte_at)
        return self.sent_at - self.started, self.first_byte_at - self.sent_at + self.lost_s, receiving

    def release(self) -> None:
        """Give the connection back, which the next request may use at once."""
        connection = self.connection
        self.bytes_received = connection.bytes_received
        self.bytes_sent += connection.bytes_sent
        if connection.state is IDLE and not self.prepared.closes and connection.idle is not None:
            connection.idle.append(connection)
        else:
            connection.abort()

    def count(self, response: Response) -> None:
        """Record the sample."""
        session, status = self.session, response.status_code
        key = (self.name, self.prepared.method, status, response.error, self.labels)
        series = session.scope.http.get(key)
        if series is None:
            series = session.scope.http_series(key, response.error_code)
            sample_if_first(session.scope.registry, series, response, self.prepared, self.raw)
        if session.late or self.dialed is not REUSED:
            series.add_wait(session.late, self.dialed)
        sending, waiting, receiving = response.phases
        series.sending.append(sending)
        series.waiting.append(waiting)
        series.receiving.append(receiving)
        if trace := trace_of(self.prepared, self.raw):
            series.add_trace(trace)
        series.bytes_sent += self.bytes_sent
        series.bytes_received += self.bytes_received
        if session.exchanges is not None:
            session.exchanges.append((key, 0.0 if series.failed else sending + waiting + receiving))
