"""One exchange at a time on a connection that others share: what `Connection` is for HTTP/1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter
from typing import TYPE_CHECKING

from ciload.http.body import sized
from ciload.http.connection import BUSY, CLOSED, IDLE, READING, SENDING, WAITING, ConnectionSettings, Kept, State
from ciload.http.failure import RequestFailedError
from ciload.http.head import NO_HEAD, UNSIZED, Head
from ciload.http.http2.errors import Http2Code, broken_stream
from ciload.http.http2.field_decoder import LARGEST_LIST
from ciload.http.http2.frames import HEADER_BYTES
from ciload.http.incoming import Incoming
from ciload.http.timings import REUSED, Dialed

if TYPE_CHECKING:
    from ciload.http.http2.connection import Http2Connection
    from ciload.http.session import Channel

WINDOW = 1024 * 1024  # of a body that may come before its reader has taken any of it
NEVER = float("inf")


class Http2Stream:
    """A place on a connection: each `send` opens another stream of it. The outcome stands where `Connection` has it.

    `bytes_sent` and `bytes_received` are those of the frames with heads and bodies, without what TLS makes of them.
    """

    __slots__ = (
        "_body", "_drained", "_into", "_is_head", "_left", "_loop", "_paused", "_room", "_settings", "_untold",
        "_waiter", "bytes_received", "bytes_sent", "connection", "content", "deadline", "dialed", "done_at", "failure",
        "first_byte_at", "head", "idle", "number", "pending", "sent_at", "state", "truncated", "unsent", "window",
    )  # fmt: skip

    first_byte_at: float  # 0 until the first frame of the response has come
    sent_at: float  # 0 until the whole request was written
    truncated: bool
    number: int  # of the stream under way, or of the last one
    window: int  # what the server takes on this stream

    def __init__(
        self, connection: Http2Connection, loop: asyncio.AbstractEventLoop, settings: ConnectionSettings
    ) -> None:
        self.connection = connection
        self._loop = loop
        self._settings = settings
        self.state = IDLE
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None  # ends when `pending` has been written
        self._body: Kept | Incoming | None = None
        self._into: Incoming | None = None  # a response that is read while it comes
        self.pending = memoryview(b"")  # of the request's body: there is no room for it yet
        self.unsent = False  # more of the request is to come than `pending`
        self.idle: list[Channel] | None = None  # the pool's list that this place rests in
        self.dialed: Dialed = REUSED
        self.deadline = NEVER
        self.done_at = 0.0
        self.number = self.bytes_sent = self.bytes_received = 0
        self.content = b""
        self.head = NO_HEAD
        self.failure: RequestFailedError | None = None

    # --- what an exchange does

    def send(
        self, request: bytes, deadline: float, is_head: bool, into: Incoming | None = None, more: bool = False
    ) -> asyncio.Future[None]:
        """As `Connection.send`, of which `request` has the format."""
        self.failure = None
        self.content = b""
        self.truncated = False
        self.head = NO_HEAD
        self.first_byte_at = self.sent_at = 0.0
        self.bytes_sent = self.bytes_received = 0
        self.deadline = deadline
        self.unsent = more
        self._is_head = is_head
        self._into = into
        self._room = WINDOW  # for what the server may send
        self._untold = 0  # of what came and was taken: the server does not know yet that there is room again
        self._paused = False
        self.state = SENDING
        self._waiter = waiter = self._loop.create_future()
        self.connection.open(self, request)
        return waiter

    async def send_pieces(self, pieces: AsyncIterator[bytes], size: int | None) -> None:
        """Send the body behind a head that was sent with `more`; stops when the whole response has come.

        Args:
            pieces: of the body.
            size: what the head says; None: nothing.

        Raises:
            ValueError: it is another one.
            Whatever `pieces` raises.
        """
        async for piece in sized(pieces, size):
            if self.state not in BUSY:
                return
            self.pending = memoryview(piece)
            self.connection.sending.flush(self)
            while self.pending and self.state in BUSY:
                self._drained = self._loop.create_future()
                await self._drained
        if self.state in BUSY:
            self.connection.sending.finish(self)

    def drained(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def sent(self) -> None:
        """The whole request is written."""
        self.sent_at = perf_counter()
        if self.state is SENDING:
            self.state = WAITING

    @property
    def transport(self) -> Http2Stream:
        """What `Incoming` tells to wait: this stream alone."""
        return self

    def pause_reading(self) -> None:
        """The reader has enough: the server may fill the window that it knows of, and no more."""
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._tell_room()

    @property
    def has_unread(self) -> bool:
        """Streams have nothing between two exchanges; a connection that ends takes its places out of the pool."""
        return False

    async def is_usable(self) -> bool:
        return True

    @property
    def busy(self) -> bool:
        return self.state in BUSY

    def expect_by(self, deadline: float) -> None:
        """Give the exchange under way another deadline."""
        self.deadline = deadline
        self.connection.deadline = min(self.connection.deadline, deadline)

    def abort(self) -> None:
        """Give this place up, and the exchange under way with it; the connection goes on."""
        busy = self.state in BUSY
        self.forget()
        self.connection.leave(self)
        if busy:
            self.connection.end_stream(self, Http2Code.CANCEL)

    def forget(self) -> None:
        """Nobody waits for it any more."""
        self.state = CLOSED
        self._waiter = self._into = self._body = None
        self.pending = memoryview(b"")
        self.drained()

    # --- the connection's side

    def take_head(self, head: Head, frame_bytes: int, now: float, *, ended: bool) -> None:
        """Raises RequestFailedError: there cannot be such a head."""
        self._count(frame_bytes, now)
        if head.status_code < 200:
            if head.status_code == 101 or ended or self.bytes_received > LARGEST_LIST:
                raise broken_stream(Http2Code.PROTOCOL_ERROR, "an interim response that cannot be one")
            return
        self.state = READING
        self.head = head
        self._left = 0 if self._is_head else head.body_bytes
        if ended:
            self._body = self._into
            self._end()
        elif self._into is not None:
            self._body = self._into
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    def take_trailers(self, frame_bytes: int, now: float, *, ended: bool) -> None:
        """Raises RequestFailedError: the body is not complete."""
        self._count(frame_bytes, now)
        if not ended:
            raise broken_stream(Http2Code.PROTOCOL_ERROR, "a second head")
        self._end()

    def take_data(self, payload: bytes, frame_bytes: int, now: float, *, ended: bool) -> None:
        """Raises RequestFailedError: there cannot be such a body."""
        self._count(frame_bytes, now)
        if self.head is NO_HEAD:
            raise broken_stream(Http2Code.PROTOCOL_ERROR, "a body without a head")
        size = frame_bytes - HEADER_BYTES  # padding needs room as well
        self._room -= size
        if self._room < 0:
            raise broken_stream(Http2Code.FLOW_CONTROL_ERROR, "more than there was room for")
        if self._left != UNSIZED:
            self._left -= len(payload)
            if self._left < 0:
                raise broken_stream(Http2Code.PROTOCOL_ERROR, "the body is longer than its Content-Length")
        if ended and self._body is None and len(payload) <= self._settings.uncut_bytes:
            self.content = payload[: self._settings.keep_bytes]
        elif payload:
            if self._body is None:
                self._body = Kept(self._settings.keep_bytes)
            self._body.put(payload)
        if ended:
            self._end()
        else:
            self._untold += size
            self._tell_room()

    def _count(self, frame_bytes: int, now: float) -> None:
        if not self.first_byte_at:
            self.first_byte_at = now
        self.bytes_received += frame_bytes
        self.done_at = now  # if this is the end of it

    def _tell_room(self) -> None:
        """Not for each frame: half of the window is enough for a server not to wait."""
        if self._untold > WINDOW // 2 and not self._paused and self.state in BUSY:
            self.connection.give_room(self.number, self._untold)
            self._room += self._untold
            self._untold = 0

    def _end(self) -> None:
        if self._left > 0:
            raise broken_stream(Http2Code.PROTOCOL_ERROR, "the body is shorter than its Content-Length")
        if isinstance(self._body, Kept):
            self.content, self.truncated = self._body.content, self._body.truncated
        # A server may answer before it has the whole request, and then wants no more of it (RFC 9113 8.1).
        unfinished = self.unsent or self.pending
        self.connection.end_stream(self, Http2Code.CANCEL if unfinished else None)
        self._settle(IDLE if self.connection.available else CLOSED)

    def fail(self, failure: RequestFailedError) -> None:
        self.failure = failure
        self.done_at = perf_counter()
        self._settle(CLOSED)

    def _settle(self, state: State) -> None:
        """The exchange is over."""
        self.state = state
        if state is CLOSED:
            self.connection.leave(self)
        self._body = None
        self.pending = memoryview(b"")
        self.drained()
        if self._into is not None:
            into, self._into = self._into, None
            into.end(self.failure)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
