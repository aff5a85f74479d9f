"""One HTTP/1 connection: its own asyncio protocol and its own parser.

A response that comes in one piece, with a head that was met before (`heads.py`), needs no parsing. What a head says is
a pure function of its bytes, so nothing can go out of step.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from enum import Enum
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, cast

from ciload.http.body import sized
from ciload.http.failure import ErrorCode, RequestFailedError, from_loss
from ciload.http.framing import Chunked, Framing, Sized, UntilClose
from ciload.http.head import HEAD_END, NO_HEAD, UNSIZED, Head, read_head
from ciload.http.heads import Heads
from ciload.http.incoming import Incoming
from ciload.http.timings import REUSED, Dialed

if TYPE_CHECKING:
    from ciload.http.session import Channel

LARGEST_HEAD = 256 * 1024
MOST_INTERIM = 100  # responses with a status of 1xx in one piece: all of them would take the event loop's time
HIGH_WATER = 64 * 1024
NEVER = float("inf")
LINE_ENDS = b"\r\n"
TURNS_TO_READ = 2  # of the event loop: it looks at its sockets, then it calls
PEEK = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)


class State(Enum):
    """What a connection is doing. A response may begin before the request is written: that is READING as well."""

    IDLE = "idle"
    SENDING = "sending"
    WAITING = "waiting"
    READING = "reading"
    CLOSED = "closed"


IDLE, SENDING, WAITING, READING, CLOSED = State
BUSY = (SENDING, WAITING, READING)


class Open(Protocol):
    """What is connected: a `Connection`, or what carries several exchanges at once."""

    deadline: float

    @property
    def busy(self) -> bool: ...

    def expire(self, now: float) -> None:
        """Fail the exchanges whose deadline has passed."""

    def abort(self) -> None: ...


class ConnectionSettings:
    """What every connection of a client shares: known heads and the bound on kept bodies."""

    __slots__ = ("heads", "keep_bytes", "open", "uncut_bytes")

    def __init__(self, keep_bytes: int) -> None:
        self.keep_bytes = keep_bytes  # 0: bodies are read and dropped
        self.uncut_bytes = keep_bytes or NEVER  # the longest body that is not cut
        self.heads = Heads()
        self.open: set[Open] = set()


class Kept:
    """A body in memory, as far as it may be kept: of none at all (0) nothing is missed."""

    __slots__ = ("_most_bytes", "_pieces", "_room", "truncated")

    def __init__(self, most_bytes: int) -> None:
        self._pieces: list[bytes] = []
        self._most_bytes = self._room = most_bytes
        self.truncated = False

    def put(self, piece: bytes) -> None:
        if self._most_bytes == 0:
            return
        if len(piece) > self._room:
            piece, self.truncated = piece[: self._room], True
        if piece:
            self._pieces.append(piece)
            self._room -= len(piece)

    @property
    def content(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class Connection(asyncio.Protocol):
    """Sends one request at a time and collects the response.

    `send` answers a future that ends when the response is complete or the connection has failed; the outcome stands in
    the attributes: `head`, `content`, `failure` and the time stamps (seconds, `perf_counter`).
    """

    __slots__ = (
        "_body", "_drained", "_framing", "_into", "_is_head", "_known", "_long_way", "_loop", "_lost", "_more",
        "_peeked", "_rest", "_settings", "_waiter", "bytes_received", "bytes_sent", "content", "deadline",
        "dialed", "done_at", "failure", "first_byte_at", "head", "idle", "sent_at", "socket", "spare", "state",
        "transport", "truncated",
    )  # fmt: skip

    bytes_received: int
    first_byte_at: float  # 0 until the first byte of the response has come
    sent_at: float  # 0 until the whole request was written
    _is_head: bool
    _long_way: bool  # a known head is not all that a response needs

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: ConnectionSettings, sock: socket.socket, *, encrypted: bool
    ) -> None:
        self._loop = loop
        self._peeked = sock
        # Requests go straight to a socket that needs no encryption. uvloop would write at the end of its turn, after
        # everything else that is ready, and that wait would be told as the server's.
        self.socket = None if encrypted else sock
        self.spare: socket.socket | None = None  # the same, for what the transport leaves unread when a write fails
        self.state = IDLE
        self._settings = settings
        self._known = settings.heads.known
        self._waiter: asyncio.Future[None] | None = None
        self._framing: Framing | None = None  # of the body, once its head is complete
        self._body: Kept | Incoming | None = None
        self._into: Incoming | None = None  # a response that is read while it comes
        self._more = False  # of the request is to be written
        self._drained: asyncio.Future[None] | None = None  # ends when there is room for it
        self._rest = b""  # the beginning of a head
        self._lost: Exception | None = None
        self.idle: list[Channel] | None = None  # the pool's list that this connection rests in
        self.dialed: Dialed = REUSED
        self.deadline = NEVER
        self.done_at = 0.0
        self.bytes_sent = 0  # of the request under way
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
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        self._go_on()
        if not self._more:
            self._sent()

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if self.state is not WAITING:
            self._read_more(data, now)
            return
        self.first_byte_at = now
        self.bytes_received = len(data)
        end = data.find(HEAD_END)
        settings = self._settings
        block = data[:end]
        head = self._known.get(block) or settings.heads.look_up(block) if end > 0 else None
        if head is None:
            self.state = READING
            self._read(data, now)
        elif len(data) - end - 4 == head.body_bytes <= settings.uncut_bytes and not self._long_way:
            self.head = head
            self.content = data[end + 4 : end + 4 + settings.keep_bytes]
            self.done_at = now
            self.state = IDLE if head.keep_alive else CLOSED
            waiter, self._waiter = self._waiter, None
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        else:
            self.state = READING
            self._begin_body(head)
            self._read(data[end + 4 :], now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settings.open.discard(self)
        self._leave_pool()
        if self.spare is not None:
            self._read_the_rest(self.spare)
        self._lost = exc
        self._over(exc)

    # --- one exchange

    def send(
        self, request: bytes, deadline: float, is_head: bool, into: Incoming | None = None, more: bool = False
    ) -> asyncio.Future[None]:
        """Write a request. The future ends when the exchange has; look at `failure` then.

        Args:
            request: all of it, or with `more` what comes before the pieces that `send_pieces` writes.
            deadline: when to give up.
            is_head: the response has no body.
            into: where its body goes while it comes; then the future ends with the head.
            more: see `request`.
        """
        self.failure = None
        self.content = b""
        self.truncated = False
        self.head = NO_HEAD
        self.first_byte_at = 0.0
        self.bytes_received = 0
        self._is_head = is_head
        self._long_way = is_head or into is not None
        self._into = into
        self._more = more
        self.deadline = deadline
        self._waiter = waiter = self._loop.create_future()
        if self._rest or self.state is CLOSED:
            self._answered_before()
        elif self.socket is None:
            self._write(request, 0)
        else:
            try:
                self.bytes_sent = sent = self.socket.send(request)
            except BlockingIOError:
                self._write(request, 0)
            except OSError as error:
                self.bytes_sent = 0
                self._fail(from_loss(error, received=False))
            else:
                if sent == len(request) and not more:
                    self.sent_at = perf_counter()
                    self.state = WAITING
                else:
                    with suppress(OSError):  # no descriptor left
                        self.spare = self.socket.dup()
                    self._write(request, sent)
        return waiter

    def _write(self, request: bytes, sent: int) -> None:
        """Leave it to the transport: encryption, and what the kernel had no room for."""
        self.state = SENDING
        self.bytes_sent = sent
        self.sent_at = perf_counter()  # unless pause_writing is called now: then resume_writing will tell
        try:
            self.transport.write(request[sent:])
        except RuntimeError:  # uvloop has closed the connection and is about to say so
            self._fail(from_loss(None, received=False))
            return
        self.bytes_sent = len(request)
        if self._more:
            self.sent_at = 0.0
        elif self.sent_at and not self.transport.is_closing():  # else it was not written, and connection_lost is next
            self._sent()

    async def send_pieces(self, pieces: AsyncIterator[bytes], size: int | None) -> None:
        """Write the body behind a head that was sent with `more`; stops when the server has answered.

        Args:
            pieces: of the body.
            size: what the head says; None: chunks.

        Raises:
            ValueError: it is another one.
            Whatever `pieces` raises.
        """
        async for piece in sized(pieces, size):
            if not await self._send_more(piece if size is not None else b"%x\r\n%b\r\n" % (len(piece), piece)):
                return
        if size is None and not await self._send_more(b"0\r\n\r\n"):
            return
        self._more = False
        if self.state is SENDING and self._drained is None:
            self._sent()

    async def _send_more(self, data: bytes) -> bool:
        """Whether it makes sense to go on."""
        if self._drained is not None:
            await self._drained
        if self.state is not SENDING:
            return False
        try:
            self.transport.write(data)
        except RuntimeError:  # as in `_write`
            self._fail(from_loss(None, received=False))
            return False
        self.bytes_sent += len(data)
        return True

    def _go_on(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _sent(self) -> None:
        """The whole request is written."""
        self.sent_at = perf_counter()
        if self.state is SENDING:
            self.state = WAITING
        self._close_spare()

    def _answered_before(self) -> None:
        """A server that is full says so before it is asked, and closes: that is its answer. The request is not sent."""
        early, self._rest = self._rest, b""
        lost = self.state is CLOSED
        self.state, self.sent_at, self.bytes_sent = SENDING, 0.0, 0
        if early:
            self.data_received(early)
        if lost:
            self._over(self._lost)

    def _over(self, error: Exception | None) -> None:
        """The connection has ended, orderly or with `error`."""
        if self.state in BUSY:
            if error is None and self._framing is not None and self._framing.connection_ended():
                self.done_at = perf_counter()
                self._end_body(CLOSED)
            else:
                self._fail(from_loss(error, received=bool(self.bytes_received)))
        self.state = CLOSED

    def _read_more(self, data: bytes, now: float) -> None:
        """What is not the beginning of a response to a request that was written as a whole."""
        if self.state is READING:
            self.bytes_received += len(data)
            self._read(data, now)
        elif self.state is SENDING:
            self.state = READING
            self.first_byte_at = now
            self.bytes_received = len(data)
            self._read(data, now)
        else:
            self._unasked(data)

    def _unasked(self, data: bytes) -> None:
        """Bytes that no request has asked for: on a new connection, the server does not wait for one.

        Anywhere else they are what follows a response that was complete, and the next could not be trusted.
        """
        if self.done_at or len(self._rest) > LARGEST_HEAD:
            self.abort()
        elif self.state is IDLE:
            self._rest += data

    def _read_the_rest(self, spare: socket.socket) -> None:
        """A server that refuses a long request answers and closes: when writing fails, its answer lies there."""
        try:
            while self.state in BUSY and (data := spare.recv(HIGH_WATER)):
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
        """Whether something lies in the socket that the event loop has not come to yet."""
        try:
            self._peeked.recv(1, PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    async def is_usable(self) -> bool:
        """Whether what lies in the socket leaves the connection usable.

        No request has asked for it: it is an answer too many, or the end. Only encryption has messages of its own, and
        the event loop has to read them.
        """
        if self.socket is not None:
            return False
        for _ in range(TURNS_TO_READ):
            await asyncio.sleep(0)
        return self.state is IDLE and not self._rest and not self.has_unread

    @property
    def busy(self) -> bool:
        return self.state in BUSY

    def expect_by(self, deadline: float) -> None:
        """Give the exchange under way another deadline."""
        self.deadline = deadline

    def abort(self) -> None:
        """Drop the connection at once; nothing of it can be used again."""
        self.state = CLOSED
        self._waiter = self._into = None
        self._go_on()
        self._leave_pool()
        self._close_spare()
        self.transport.abort()

    def _leave_pool(self) -> None:
        if self.idle is not None and self in self.idle:
            self.idle.remove(self)

    def expire(self, _now: float) -> None:
        self.give_up(RequestFailedError(ErrorCode.TIMEOUT, "request timeout"))

    def give_up(self, failure: RequestFailedError) -> None:
        """End the exchange under way with a failure of our own making (a deadline, a broken response)."""
        self._fail(failure)
        self.abort()

    def _fail(self, failure: RequestFailedError) -> None:
        self.failure = failure
        self.done_at = perf_counter()
        self._framing = self._body = None
        self._settle(CLOSED)

    def _settle(self, state: State) -> None:
        """The exchange is over."""
        self.state = state
        self._go_on()
        if self._into is not None:
            into, self._into = self._into, None
            into.end(self.failure)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- the response

    def _read(self, data: bytes, now: float) -> None:
        self.done_at = now  # if this is the end of it
        try:
            if self._framing is None:
                self._read_head(data)
            else:
                self._read_body(self._framing, data)
        except RequestFailedError as failure:
            self.give_up(failure)

    def _read_head(self, data: bytes) -> None:
        """Heads of interim responses are read over (RFC 9110 15.2)."""
        first = not self._rest and len(data) == self.bytes_received
        searched = max(0, len(self._rest) - len(HEAD_END))
        if self._rest:
            data, self._rest = self._rest + data, b""
        for _ in range(MOST_INTERIM):
            if data[:1] in LINE_ENDS:
                data = data.lstrip(LINE_ENDS)
            head, end = read_head(data, searched)
            if head is None:
                self._rest = data
                if self.bytes_received > LARGEST_HEAD:
                    text = f"response headers larger than {LARGEST_HEAD // 1024} KiB"
                    raise RequestFailedError(ErrorCode.UNKNOWN, text)
                return
            if head.status_code >= 200:
                break
            if head.status_code == 101:
                raise RequestFailedError(ErrorCode.UNKNOWN, "unsupported response status 101")
            data, first, searched = data[end:], False, 0
        else:
            raise RequestFailedError(ErrorCode.UNKNOWN, f"more than {MOST_INTERIM} interim responses at once")
        if first and end == data.find(HEAD_END) + len(HEAD_END):
            self._settings.heads.remember(data[: end - len(HEAD_END)], head)
        if len(data) - end == head.body_bytes <= self._settings.uncut_bytes and not self._long_way:
            self.head = head
            self.content = data[end : end + self._settings.keep_bytes]
            self._settle(self._state_behind(b""))
        else:
            self._begin_body(head)
            assert self._framing is not None
            self._read_body(self._framing, data[end:])

    def _begin_body(self, head: Head) -> None:
        """The head is complete, and what comes now is the body, if there is one (RFC 9112 6.3)."""
        self.head = head
        if self._is_head:  # its headers are those of a body that does not come
            self._framing = Sized(0)
        elif head.chunked:
            self._framing = Chunked()
        else:
            self._framing = UntilClose() if head.body_bytes == UNSIZED else Sized(head.body_bytes)
        if self._into is None:
            self._body = Kept(self._settings.keep_bytes)
        else:
            self._body = self._into
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    def _read_body(self, framing: Framing, data: bytes) -> None:
        assert self._body is not None
        if payload := framing.feed(data):
            self._body.put(payload)
        if framing.ended:
            self._end_body(self._state_behind(framing.surplus))

    def _end_body(self, state: State) -> None:
        if isinstance(self._body, Kept):
            self.content, self.truncated = self._body.content, self._body.truncated
        # Thousands of idle connections must not each keep their last response.
        self._framing = self._body = None
        self._settle(state)

    def _state_behind(self, surplus: bytes) -> State:
        """Whether the connection goes on: not if more has come than was asked for, blank lines aside (RFC 9112 2.2)."""
        goes_on = self.head.keep_alive and self.sent_at and not surplus.strip(LINE_ENDS)
        return IDLE if goes_on else CLOSED


def sweep(settings: ConnectionSettings, now: float) -> None:
    """Fail every exchange whose deadline has passed: one timer for all connections instead of one each."""
    for connection in [each for each in settings.open if each.deadline < now and each.busy]:
        connection.expire(now)
