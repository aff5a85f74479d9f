"""One TCP connection: its own asyncio protocol and its own parser callback.

Two ways lead through a response. The first response of a kind goes through llhttp (httptools), event by event. Its
head is then remembered by its bytes: a server that answers the same request again mostly sends the same head, and a
complete response whose head is known byte for byte needs no parsing at all. Everything else (heads not seen before,
chunked or long bodies, HEAD, 1xx, 204, 304, garbage) takes the first way.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from time import perf_counter
from typing import cast

import httptools

from ciload.http.failure import ErrorCode, RequestFailedError, from_loss
from ciload.http.response import NO_HEAD, REUSED, Dialed, Head

MOST_HEADS = 512
LARGEST_HEAD = 256 * 1024
HIGH_WATER = 64 * 1024
NEVER = float("inf")
HEAD_END = b"\r\n\r\n"
PEEK = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)
BODILESS = frozenset({204, 304})


class ConnectionSettings:
    """What every connection of a client shares: known heads and the bound on kept bodies."""

    __slots__ = ("heads", "keep_bytes", "open")

    def __init__(self, keep_bytes: int) -> None:
        self.keep_bytes = keep_bytes  # 0: bodies are read and dropped
        self.heads: dict[bytes, Head] = {}
        self.open: set[Connection] = set()


class Connection(asyncio.Protocol):
    """Sends one request at a time and collects the response.

    `send` answers a future that ends when the response is complete or the connection has failed; the outcome stands in
    the attributes: `head`, `content`, `failure` and the time stamps (seconds, `perf_counter`).
    """

    __slots__ = (
        "_between_messages", "_body", "_data", "_in_body", "_is_head", "_kept", "_loop", "_pairs", "_parser",
        "_reason", "_settings", "_waiter", "bytes_received", "content", "deadline", "dialed", "done_at", "failure",
        "first_byte_at", "head", "idle", "reusable", "sent_at", "socket", "spare", "transport", "truncated",
    )  # fmt: skip

    bytes_received: int
    first_byte_at: float  # 0 until the first byte of the response has come
    sent_at: float  # below 0 when nothing was sent, 0 while a long request is still being written
    done_at: float
    _is_head: bool
    _in_body: bool

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: ConnectionSettings, plain_socket: socket.socket | None
    ) -> None:
        self._loop = loop
        # Requests go straight to a socket that needs no encryption. uvloop would write at the end of its turn, after
        # everything else that is ready, and that wait would be told as the server's.
        self.socket = plain_socket
        self.spare: socket.socket | None = None  # the same, for what the transport leaves unread when a write fails
        self._settings = settings
        self._waiter: asyncio.Future[None] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self.idle: list[Connection] | None = None  # the pool's list that this connection rests in
        self.dialed: Dialed = REUSED
        self.deadline = NEVER
        self.done_at = 0.0
        self.reusable = True
        self.failure: RequestFailedError | None = None

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        # pause_writing and resume_writing then tell when a long request has really left: beside a plain socket as soon
        # as the transport holds any of it.
        self.transport.set_write_buffer_limits(high=HIGH_WATER if self.socket is None else 0, low=0)
        self._settings.open.add(self)

    def pause_writing(self) -> None:
        self.sent_at = 0.0

    def resume_writing(self) -> None:
        self.sent_at = perf_counter()
        self._close_spare()

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        waiter = self._waiter
        if waiter is None:  # bytes that nobody asked for: the next response could not be trusted
            self.abort()
            return
        self.bytes_received += len(data)
        if not self.first_byte_at:
            self.first_byte_at = now
            end = data.find(HEAD_END) + 4
            head = self._settings.heads.get(data[:end])
            if head is not None and len(data) - end == head.body_bytes and not self._is_head:
                self.head = head
                self.content = data[end : end + self._settings.keep_bytes]
                self.reusable = head.keep_alive
                self.done_at = now
                self._waiter = None
                if not waiter.done():
                    waiter.set_result(None)
                return
        self._parse(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settings.open.discard(self)
        self.reusable = False
        self._leave_pool()
        if self.spare is not None:
            self._read_the_rest(self.spare)
        if self._waiter is not None:
            if self._in_body and exc is None and self.head.body_bytes is None and not self.head.chunked:
                self._finish(perf_counter())  # a body that ends with the connection
            else:
                self._fail(from_loss(exc, received=bool(self.bytes_received)))

    # --- one exchange

    def send(self, request: bytes, deadline: float, is_head: bool) -> asyncio.Future[None]:
        """Write a request. The future ends when the exchange has; look at `failure` then."""
        self.failure = None
        self.content = b""
        self.truncated = False
        self.head = NO_HEAD
        self.first_byte_at = 0.0
        self.bytes_received = 0
        self._is_head = is_head
        self._in_body = False
        self.deadline = deadline
        self._waiter = waiter = self._loop.create_future()
        self.sent_at = -1.0
        if self.socket is not None:
            try:
                sent = self.socket.send(request)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._fail(from_loss(error, received=False))
                return waiter
            if sent == len(request):
                self.sent_at = perf_counter()
                return waiter
            request = request[sent:]
            with suppress(OSError):  # no descriptor left
                self.spare = self.socket.dup()
        self._write(request)
        return waiter

    def _write(self, data: bytes) -> None:
        """Leave it to the transport: encryption, and what the kernel had no room for."""
        try:
            self.transport.write(data)
        except RuntimeError:  # uvloop has closed the connection and is about to say so
            self._fail(from_loss(None, received=False))
            return
        if self.sent_at:  # else pause_writing was called, and resume_writing will tell
            self.sent_at = perf_counter()
            if not self.transport.is_closing():  # else it could not be written, and connection_lost is next
                self._close_spare()

    def _read_the_rest(self, rested: socket.socket) -> None:
        """A server that refuses a long request answers and closes: when writing fails, its answer lies there."""
        try:
            while self._waiter is not None and (data := rested.recv(HIGH_WATER)):
                self.data_received(data)
        except OSError:  # nothing more
            pass
        finally:
            self._close_spare()

    def _close_spare(self) -> None:
        if self.spare is not None:
            self.spare.close()
            self.spare = None

    @property
    def has_unread(self) -> bool:
        """Whether something lies in the socket that no request has asked for: an answer too many, or the end.

        The event loop has not come to it yet. Only where there is no encryption, which has messages of its own.
        """
        if self.socket is None:
            return False
        try:
            self.socket.recv(1, PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    @property
    def busy(self) -> bool:
        return self._waiter is not None

    def abort(self) -> None:
        """Drop the connection at once; nothing of it can be used again."""
        self.reusable = False
        self._waiter = None
        self._leave_pool()
        self._close_spare()
        self.transport.abort()

    def _leave_pool(self) -> None:
        if self.idle is not None and self in self.idle:
            self.idle.remove(self)

    def give_up(self, failure: RequestFailedError) -> None:
        """End the exchange under way with a failure of our own making (a deadline, a broken response)."""
        self._fail(failure)
        self.abort()

    def _fail(self, failure: RequestFailedError) -> None:
        waiter, self._waiter = self._waiter, None
        self.failure = failure
        self.done_at = perf_counter()
        self.reusable = False
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _finish(self, now: float) -> None:
        waiter, self._waiter = self._waiter, None
        self.content = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self.done_at = now
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- httptools

    def _parse(self, data: bytes) -> None:
        if self.bytes_received == len(data):
            if self._parser is None:
                self._parser = httptools.HttpResponseParser(self)
            self._pairs: list[tuple[bytes, bytes]] = []
            self._body: list[bytes] = []
            self._kept = 0
            self._reason = b""
            self._between_messages = False
        assert self._parser is not None
        self._data = data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.give_up(RequestFailedError(ErrorCode.UNKNOWN, "unsupported response status 101"))
        except httptools.HttpParserError as error:
            if self._waiter is not None:
                self.give_up(RequestFailedError(ErrorCode.UNKNOWN, f"malformed HTTP response: {_reason(error)}"))
            else:  # the response was complete, and more came: the connection cannot be used again
                self.abort()
        else:
            if self._waiter is not None and not self._in_body and self.bytes_received > LARGEST_HEAD:
                text = f"response headers larger than {LARGEST_HEAD // 1024} KiB"
                self.give_up(RequestFailedError(ErrorCode.UNKNOWN, text))
        if self._waiter is None:
            # Thousands of idle connections must not each keep their last response.
            del self._data, self._body, self._pairs
            if not self._between_messages:  # llhttp still waits for the body of a HEAD, which does not come
                self._parser = None

    def on_message_begin(self) -> None:
        if self._waiter is None:  # a second response that nobody asked for
            self.reusable = False

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # else a trailer
            self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        if self._waiter is None:
            return
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        self._in_body = status >= 200
        self.head = Head(status, self._reason, parser.get_http_version(), self._pairs, keep_alive=False)
        if self._in_body and (self._is_head or status in BODILESS):
            # llhttp would wait for the body that Content-Length announces and that never comes.
            self.reusable = self.head.persistent and self._ends_with_the_head()
            self._finish(perf_counter())

    def _ends_with_the_head(self) -> bool:
        """Nothing follows the head, which would be taken for the next response. The head may have come in pieces."""
        if self.head.chunked and HEAD_END in self._data:
            return self._data.index(HEAD_END) + len(HEAD_END) == len(self._data)  # the last chunk ends like a head
        return HEAD_END.endswith(self._data[-len(HEAD_END) :])

    def on_body(self, body: bytes) -> None:
        if self._waiter is None or not self._settings.keep_bytes:
            return
        room = self._settings.keep_bytes - self._kept
        if len(body) > room:
            body, self.truncated = body[:room], True
        if body:
            self._body.append(body)
            self._kept += len(body)

    def on_message_complete(self) -> None:
        if self._waiter is None:
            return
        if not self._in_body:  # 1xx: the real response follows
            self._pairs, self._reason = [], b""
            return
        # Only here does llhttp know whether the connection goes on.
        assert self._parser is not None
        self.reusable = self.head.keep_alive = self._parser.should_keep_alive()
        self._between_messages = True
        self._remember()
        self._finish(perf_counter())

    def _remember(self) -> None:
        """Keep the head of a response that came in one piece, by its bytes."""
        data, head = self._data, self.head
        if head.body_bytes is None or len(data) != self.bytes_received or self.truncated:
            return
        end = data.find(HEAD_END) + 4
        if len(data) - end == head.body_bytes:
            heads = self._settings.heads
            if len(heads) >= MOST_HEADS:
                heads.clear()
            heads[data[:end]] = head


def _reason(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


def sweep(settings: ConnectionSettings, now: float) -> None:
    """Fail every exchange whose deadline has passed: one timer for all connections instead of one each."""
    for connection in [each for each in settings.open if each.deadline < now and each.busy]:
        connection.give_up(RequestFailedError(ErrorCode.TIMEOUT, "request timeout"))
