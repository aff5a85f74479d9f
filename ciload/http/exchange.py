"""One hop of a request: take a connection, send, wait, record, give it back; once more when it was stale."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from ciload.http.answer_samples import sample_if_first, trace_of
from ciload.http.body import Body, Upload
from ciload.http.connection import IDLE
from ciload.http.decoding import decode
from ciload.http.expectations import Expectation
from ciload.http.failure import ConnectionLostError, ErrorCode, NotProcessedError, RequestFailedError
from ciload.http.head import NO_HEAD
from ciload.http.incoming import Incoming
from ciload.http.request import Prepared
from ciload.http.response import Response
from ciload.http.session import Channel, Session
from ciload.http.streaming import OpenExchange, StreamedResponse
from ciload.http.timings import REUSED
from ciload.metrics.registry import HttpKey, Labels
from ciload.metrics.series import HttpSeries

if TYPE_CHECKING:
    from ciload.http.client import Client


@dataclass(frozen=True, slots=True)
class Lost:
    """What a first attempt has cost, on a connection that the server closed: it is a part of the same request."""

    seconds: float = 0.0
    sent: int = 0


NOTHING = Lost()


class Transfer:
    """A request whose body goes, or whose response comes, piece by piece."""

    __slots__ = ("_stream", "_upload", "incoming")

    keeps_cookies = True  # of a streamed response, for the virtual user

    def __init__(self, upload: Upload | None, *, stream: bool) -> None:
        self._upload = upload
        self._stream = stream
        self.incoming: Incoming | None = None

    async def run(self, connection: Channel, raw: bytes, deadline: float, is_head: bool) -> None:
        """Send the request and wait for the response, or with a stream for its head.

        Raises:
            What the script's own generator or file raises.
        """
        if self._stream:
            self.incoming = self._receive(connection)
        waiter = connection.send(raw, deadline, is_head, self.incoming, more=self._upload is not None)
        if self._upload is not None:
            await self._send(connection, self._upload, waiter)
        await waiter

    def _receive(self, connection: Channel) -> Incoming:
        return Incoming(connection.transport)

    def _pieces(self, _connection: Channel, upload: Upload) -> AsyncIterator[bytes]:
        return upload.pieces()

    async def _send(self, connection: Channel, upload: Upload, waiter: asyncio.Future[None]) -> None:
        """Send the body, or what the server wants of it before it answers."""
        sending = asyncio.ensure_future(connection.send_pieces(self._pieces(connection, upload), upload.size))
        try:
            await asyncio.wait((waiter, sending), return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done():
                await sending
        finally:
            if not sending.done():  # the server has answered before it had all of it
                sending.cancel()
                await asyncio.wait((sending,))
            elif not sending.cancelled():
                sending.exception()

    @property
    def uploads(self) -> bool:
        return self._upload is not None

    def rewind(self) -> bool:
        return self._upload is None or self._upload.rewind()


def transfer(body: Body | None, *, stream: bool) -> Transfer | None:
    """What goes or comes piece by piece of a request, if anything does."""
    upload = body.content if body is not None and isinstance(body.content, Upload) else None
    return Transfer(upload, stream=stream) if stream or upload is not None else None


async def exchange(  # noqa: C901  # one piece: it is the hot path
    session: Session,
    client: Client,
    prepared: Prepared,
    raw: bytes,
    deadline: float,
    name: str | None,
    labels: Labels,
    special: Transfer | None = None,
    expect: Expectation | None = None,
) -> Response:
    """One hop: take a connection, send, wait, record, give the connection back.

    `special` is a request or a response that goes piece by piece; `expect` is asked about the answer.
    """
    idle = session.pool.idle.get(prepared.origin_key)
    if idle is None:
        idle = session.pool.idle[prepared.origin_key] = []
    connection = idle.pop() if idle else None
    started = perf_counter()
    # To look costs some microseconds: not between requests in a row.
    while connection is not None and started - connection.done_at > prepared.rest_s and connection.has_unread:
        if await connection.is_usable():
            break
        connection.abort()
        connection = idle.pop() if idle else None
    dialed, lost = REUSED, NOTHING
    try:
        while True:
            if connection is None:
                started = perf_counter()
                connection = await client.dial(prepared.target.origin, deadline, session.pool)
                connection.idle = idle
                dialed = connection.dialed
                started = perf_counter()
            if special is None:
                await connection.send(raw, deadline, prepared.is_head)
            else:
                await special.run(connection, raw, deadline, prepared.is_head)
            if connection.failure is None or not _went_stale(
                connection, prepared, special, reused=dialed is REUSED, again=lost is not NOTHING
            ):
                break
            lost = Lost(connection.done_at - started, connection.bytes_sent)
            connection = None
    except RequestFailedError as failure:
        target = prepared.target.if_unreachable
        return unsent(session, prepared.method, target.url, name or target.name, labels, failure, lost)
    except BaseException:  # the iteration is being interrupted: the response may still be on its way
        _cancelled(session, prepared, raw, name, labels, connection, started, lost)
        raise
    session.pool.used = True
    if special is not None and special.incoming is not None and connection.failure is None:
        if special.keeps_cookies:
            session.jar.store(connection.head.set_cookies, prepared.target)
        opened = OpenExchange(
            session, prepared, connection, started, dialed, lost.seconds, lost.sent, name or prepared.name, labels, raw
        )
        return StreamedResponse(opened, special.incoming, client.settings.keep_bytes)

    first, sent = connection.first_byte_at or connection.done_at, connection.sent_at
    if not started <= sent <= first:  # still writing when the answer began
        sent = first
    sending, waiting, receiving = sent - started, first - sent, connection.done_at - first
    if lost is not NOTHING:
        waiting += lost.seconds
    head = connection.head
    response = Response(
        head.status_code, head, connection.content, prepared.method, prepared.target.url, dialed,
        (sending, waiting, receiving),
    )  # fmt: skip
    connection.content = b""  # the script's from here on; an idle connection must not keep it
    if connection.failure is not None or head.codings or head.set_cookies or connection.truncated:
        _look_closer(response, connection, session, client, prepared)
    if expect is not None:
        _ask(expect, response, session, labels, connection)
    status = response.status_code
    if status >= 400:
        response.error_code = 1000 + status

    key = (name or prepared.name, prepared.method, status, response.error, labels)
    series = session.scope.http.get(key) or series_for(session, key, response, prepared, raw)
    if session.late or dialed is not REUSED:
        series.add_wait(session.late, dialed)
    series.sending.append(sending)
    series.waiting.append(waiting)
    series.receiving.append(receiving)
    series.bytes_sent += connection.bytes_sent + lost.sent
    series.bytes_received += connection.bytes_received
    if session.exchanges is not None:
        session.exchanges.append((key, 0.0 if series.failed else sending + waiting + receiving))

    if connection.state is IDLE and not prepared.closes:
        idle.append(connection)
    else:
        connection.abort()
    return response


def series_for(
    session: Session, key: HttpKey, response: Response, prepared: Prepared | None = None, raw: bytes = b""
) -> HttpSeries:
    """The series of a request that was not met here before. If it failed, what came is kept to be shown."""
    series = session.scope.http_series(key, response.error_code)
    sample_if_first(session.scope.registry, series, response, prepared, raw)
    return series


def _ask(
    expect: Expectation, response: Response, session: Session, labels: Labels, connection: Channel
) -> None:  # fmt: skip
    try:
        expect.judge(response, session.scope, labels)
    except BaseException:  # the run is to end
        connection.abort()
        raise


def _cancelled(
    session: Session,
    prepared: Prepared,
    raw: bytes,
    name: str | None,
    labels: Labels,
    connection: Channel | None,
    began: float,
    lost: Lost,
) -> None:
    """Count a request that somebody stopped waiting for: as failed, with the time that it has waited."""
    now = perf_counter()
    failure = RequestFailedError(ErrorCode.TIMEOUT, session.owner.cut_off(now - began + lost.seconds))
    if connection is None or not connection.bytes_sent:
        unsent(session, prepared.method, prepared.target.url, name or prepared.name, labels, failure, lost)
    else:
        response = _no_response(prepared.method, prepared.target.url, failure, lost)
        key = (name or prepared.name, prepared.method, 0, failure.text, labels)
        series = series_for(session, key, response, prepared, raw)
        sent = connection.sent_at or now  # 0: it was still being written
        first = connection.first_byte_at or now
        series.sending.append(sent - began)
        series.waiting.append(max(0.0, first - sent) + lost.seconds)
        series.receiving.append(now - first)
        if trace := trace_of(prepared, raw):
            series.add_trace(trace)
        series.bytes_sent += connection.bytes_sent + lost.sent
        series.bytes_received += connection.bytes_received
    if connection is not None:
        connection.abort()


def _went_stale(
    connection: Channel, prepared: Prepared, special: Transfer | None, *, reused: bool, again: bool
) -> bool:
    """The server closed an idle connection just as it was used again: ask once more on a fresh one (RFC 9112 9.3.1).

    So too if the server says that it has not begun with the request, whatever that is (RFC 9113 8.7).

    Raises:
        RequestFailedError: a fresh connection took nothing of the request.
    """
    assert connection.failure is not None
    nothing_sent = not connection.bytes_sent
    lost = isinstance(connection.failure, ConnectionLostError) and not connection.first_byte_at
    safe = isinstance(connection.failure, NotProcessedError) or (reused and (prepared.idempotent or nothing_sent))
    if lost and safe and not again and (special is None or special.rewind()):
        return True
    if nothing_sent:
        raise connection.failure
    return False


def _look_closer(response: Response, connection: Channel, session: Session, client: Client, prepared: Prepared) -> None:
    """What most responses do not need: failures, cookies, decoding."""
    if connection.failure is not None:
        _mark_failed(response, connection.failure)
        return
    session.jar.store(response.head.set_cookies, prepared.target)
    _decode(response, client, connection.truncated)


def _mark_failed(response: Response, failure: RequestFailedError) -> None:
    """Make it a response with status 0."""
    response.status_code = 0
    response.head = NO_HEAD
    response.content = b""
    response.error = failure.text
    response.error_code = failure.code


def _decode(response: Response, client: Client, truncated: bool) -> None:
    """Undo the codings of the body within the bound on kept ones."""
    response.truncated = truncated
    if not response.head.codings or not response.content:
        return
    keep = client.settings.keep_bytes
    try:
        content = decode(response.content, response.head.codings, keep + 1, whole=not truncated)
    except RequestFailedError as failure:
        _mark_failed(response, failure)
    else:
        response.truncated |= len(content) > keep
        response.content = content[:keep]


def unsent(
    session: Session,
    method: str,
    url: str,
    name: str | None,
    labels: Labels,
    failure: RequestFailedError,
    lost: Lost = NOTHING,
) -> Response:
    """The response to a request that reached no connection: counted as failed, without any time.

    If one that was reused took it and was closed, that is its time.
    """
    response = _no_response(method, url, failure, lost)
    key = (name or url, method, 0, failure.text, labels)
    series = session.scope.http.get(key) or series_for(session, key, response)
    if lost.sent:
        series.sending.append(0.0)
        series.waiting.append(lost.seconds)
        series.receiving.append(0.0)
        series.bytes_sent += lost.sent
    else:
        series.unsent += 1
    if session.exchanges is not None:
        session.exchanges.append((key, 0.0))
    return response


def _no_response(method: str, url: str, failure: RequestFailedError, lost: Lost) -> Response:
    response = Response(0, NO_HEAD, b"", method, url, failure.dialed, (0.0, lost.seconds, 0.0))
    _mark_failed(response, failure)
    return response
