"""One HTTP/2 connection: its own asyncio protocol, the streams on it, and its beginning and end."""

from __future__ import annotations

import asyncio
import socket
from time import perf_counter
from typing import cast

from ciload.http.connection import ConnectionSettings
from ciload.http.failure import ConnectionLostError, ErrorCode, RequestFailedError, from_loss
from ciload.http.head import HEAD_END
from ciload.http.http2 import frames
from ciload.http.http2.errors import BrokenConnectionError, Http2Code, from_goaway
from ciload.http.http2.field_decoder import LARGEST_LIST
from ciload.http.http2.receiving import CONNECTION_WINDOW, Receiving
from ciload.http.http2.request_heads import HTTP, HTTPS, NO_TABLE, RequestHeads
from ciload.http.http2.response_heads import Known, ResponseHeads
from ciload.http.http2.sending import DEFAULT_WINDOW, Sending
from ciload.http.http2.stream import WINDOW, Http2Stream
from ciload.http.timings import REUSED, Dialed

UNKNOWN_LIMIT = 100  # of streams at once, until the server has said its own: Go's
NEVER = float("inf")
OURS = frames.settings(
    (frames.ENABLE_PUSH, 0), (frames.INITIAL_WINDOW_SIZE, WINDOW), (frames.MAX_HEADER_LIST_SIZE, LARGEST_LIST)
)


class Heads:
    """What all connections of a client know of the heads of requests and responses."""

    __slots__ = ("requests", "responses")

    def __init__(self) -> None:
        self.requests = RequestHeads()
        self.responses = Known()


class Http2Connection(asyncio.Protocol):
    """Carries the streams of one virtual user to one origin.

    A body that nobody reads holds up its own stream alone: room on the connection is given back as soon as data come.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: ConnectionSettings,
        heads: Heads,
        plain_socket: socket.socket | None,
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._request_heads = heads.requests
        self._scheme = HTTPS if plain_socket is None else HTTP
        self.sending = Sending(plain_socket)
        self._receiving = Receiving(self, self.sending, ResponseHeads(heads.responses))
        self.streams: dict[int, Http2Stream] = {}  # under way
        self.places: set[Http2Stream] = set()  # in use and resting
        self.most_streams = UNKNOWN_LIMIT
        self.settled = asyncio.Event()  # the server has said how many streams it takes, or has gone
        self.available = True  # for more streams
        self.deadline = NEVER  # none of the streams has an earlier one
        self.next = 1
        self._received_at = 0.0
        self.goaway: tuple[int, str] | None = None
        self.lost = False
        self._loss: Exception | None = None
        self._broken: BrokenConnectionError | None = None
        self.dialed: Dialed = REUSED

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.sending.begin(self.transport)
        self._settings.open.add(self)
        self.sending.write(frames.PREFACE + OURS + frames.window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW))

    def pause_writing(self) -> None:
        self.sending.paused = True

    def resume_writing(self) -> None:
        self.sending.resume()

    def data_received(self, data: bytes) -> None:
        self._received_at = now = perf_counter()
        try:
            self._receiving.take(data, now)
        except BrokenConnectionError as broken:
            self._break(broken)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._loss = exc
        self._settings.open.discard(self)
        self.retire()
        self.settled.set()
        for stream in list(self.streams.values()):
            if self.goaway is not None and self.goaway[0] != Http2Code.NO_ERROR:
                self.fail(stream, from_goaway(*self.goaway, processed=True))
            else:
                self.fail(stream, from_loss(exc, received=bool(stream.bytes_received)))

    # --- for the client and the pool

    @property
    def has_room(self) -> bool:
        return self.available and len(self.streams) < self.most_streams

    def place(self) -> Http2Stream:
        """For one exchange at a time."""
        place = Http2Stream(self, self._loop, self._settings)
        self.places.add(place)
        return place

    @property
    def busy(self) -> bool:
        return bool(self.streams)

    def expire(self, now: float) -> None:
        """Fail the exchanges whose deadline has passed; the others go on."""
        for stream in [each for each in self.streams.values() if each.deadline < now]:
            if self._received_at < stream.sent_at:  # nobody knows whether there is anybody any more
                self.retire()
            self.fail(stream, RequestFailedError(ErrorCode.TIMEOUT, "request timeout"), Http2Code.CANCEL)
        self.deadline = min((each.deadline for each in self.streams.values()), default=NEVER)

    def retire(self) -> None:
        """Take no more streams, and end with the last of them."""
        if self.available:
            self.available = False
            for place in self.places:
                if place.idle is not None and place in place.idle:
                    place.idle.remove(place)
        self._end_if_idle()

    def abort(self) -> None:
        """Drop the connection at once, and everything on it."""
        for stream in self.streams.values():
            stream.forget()
        self.streams.clear()
        self.retire()
        self.transport.abort()

    # --- for its streams

    def open(self, stream: Http2Stream, request: bytes) -> None:
        """Begin another stream, and write as much of the request as there is room for."""
        number = self.next
        if not self.available or (len(self.streams) >= self.most_streams and number > 1):
            stream.fail(self._refusal())
            return
        self.next += 2
        self.streams[number] = stream
        stream.number = number
        stream.window = self.sending.initial_window
        if stream.deadline < self.deadline:
            self.deadline = stream.deadline
        end = request.find(HEAD_END)
        block, closes = self._request_heads.encode(request[:end], self._scheme)
        if number == 1:
            block = NO_TABLE + block
        self.sending.open(stream, block, request[end + 4 :])
        if closes or self.next > frames.LAST_STREAM:
            self.retire()

    def _refusal(self) -> RequestFailedError:
        """Why there can be no other stream: what has happened since the connection was chosen for it."""
        if self._broken is not None:
            return self._broken.failure
        if self.goaway is not None:
            return from_goaway(*self.goaway, processed=False)
        if self.lost:
            return from_loss(self._loss, received=False)
        # The server has taken back some of the places.
        return ConnectionLostError(ErrorCode.UNKNOWN, "http2: the connection takes no more streams")

    def give_room(self, number: int, size: int) -> None:
        self.sending.write(frames.window_update(number, size))

    def end_stream(self, stream: Http2Stream, code: Http2Code | None) -> None:
        """It is over; `code` tells the server, if it does not know."""
        if self.streams.get(stream.number) is stream:
            del self.streams[stream.number]
            if code is not None and not self.lost:
                self.sending.write(frames.reset(stream.number, code))
            self._end_if_idle()

    def leave(self, place: Http2Stream) -> None:
        self.places.discard(place)

    def _end_if_idle(self) -> None:
        if not self.available and not self.streams and not self.lost:
            self.lost = True
            self.sending.write(frames.goaway(Http2Code.NO_ERROR))
            self.transport.close()

    def fail(self, stream: Http2Stream, failure: RequestFailedError, code: Http2Code | None = None) -> None:
        self.end_stream(stream, code)
        stream.fail(failure)

    def _break(self, broken: BrokenConnectionError) -> None:
        """The server cannot be understood any more."""
        self.lost = True
        self._broken = broken
        self.retire()
        self.sending.write(frames.goaway(broken.code))
        self.transport.close()
        for stream in list(self.streams.values()):
            self.fail(stream, broken.failure)
