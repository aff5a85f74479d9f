"""One HTTP/2 connection: its own asyncio protocol, which takes frames apart and hands them to its streams."""

from __future__ import annotations

import asyncio
import socket
from time import perf_counter
from typing import cast

from ciload.http.connection import ConnectionSettings
from ciload.http.failure import ConnectionLostError, ErrorCode, RequestFailedError, from_loss
from ciload.http.head import HEAD_END, NO_HEAD
from ciload.http.http2 import frames
from ciload.http.http2.errors import (
    AnotherProtocolError,
    BrokenConnectionError,
    Http2Code,
    broken_stream,
    from_goaway,
    from_reset,
)
from ciload.http.http2.field_decoder import LARGEST_LIST
from ciload.http.http2.request_heads import HTTP, HTTPS, NO_TABLE, RequestHeads
from ciload.http.http2.response_heads import Known, ResponseHeads
from ciload.http.http2.sending import DEFAULT_WINDOW, Sending
from ciload.http.http2.stream import WINDOW, Http2Stream
from ciload.http.timings import REUSED, Dialed

CONNECTION_WINDOW = 16 * 1024 * 1024
UNKNOWN_LIMIT = 100  # of streams at once, until the server has said its own: Go's
MOST_IDLE_FRAMES = 10_000  # in a row, which bring no exchange any further: a server can make them endlessly
MOST_SAID = 60  # of what a server says to why it goes
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
        self._response_heads = ResponseHeads(heads.responses)
        self._scheme = HTTPS if plain_socket is None else HTTP
        self.sending = Sending(plain_socket)
        self.streams: dict[int, Http2Stream] = {}  # under way
        self.places: set[Http2Stream] = set()  # in use and resting
        self.most_streams = UNKNOWN_LIMIT
        self.settled = asyncio.Event()  # the server has said how many streams it takes, or has gone
        self.available = True  # for more streams
        self.deadline = NEVER  # none of the streams has an earlier one
        self._next = 1
        self._rest = b""  # the beginning of a frame
        self._block: tuple[int, int, bytearray] | None = None  # a head that goes on: stream, flags, what there is of it
        self._block_bytes = 0  # of its frames
        self._untold = 0  # of what came: the server does not know yet that there is room again
        self._idle_frames = 0
        self._received_at = 0.0
        self._goaway: tuple[int, str] | None = None
        self._lost = False
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
        if self._rest:
            data, self._rest = self._rest + data, b""
        try:
            at = self._read_frames(data, now)
        except BrokenConnectionError as broken:
            self._break(broken)
        else:
            self._rest = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._settings.open.discard(self)
        self.retire()
        self.settled.set()
        for stream in list(self.streams.values()):
            if self._goaway is not None and self._goaway[0] != Http2Code.NO_ERROR:
                self._fail(stream, from_goaway(*self._goaway, processed=True))
            else:
                self._fail(stream, from_loss(exc, received=bool(stream.bytes_received)))

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
            self._reset(stream, Http2Code.CANCEL, RequestFailedError(ErrorCode.TIMEOUT, "request timeout"))
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
        number = self._next
        if not self.available or (len(self.streams) >= self.most_streams and number > 1):
            # The server has taken back some of the places, or all: there is room on another connection.
            stream.fail(ConnectionLostError(ErrorCode.UNKNOWN, "http2: the connection takes no more streams"))
            return
        self._next += 2
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
        if closes or self._next > frames.LAST_STREAM:
            self.retire()

    def give_room(self, number: int, size: int) -> None:
        self.sending.write(frames.window_update(number, size))

    def end_stream(self, stream: Http2Stream, code: Http2Code | None) -> None:
        """It is over; `code` tells the server, if it does not know."""
        if self.streams.get(stream.number) is stream:
            del self.streams[stream.number]
            if code is not None and not self._lost:
                self.sending.write(frames.reset(stream.number, code))
            self._end_if_idle()

    def leave(self, place: Http2Stream) -> None:
        self.places.discard(place)

    def _end_if_idle(self) -> None:
        if not self.available and not self.streams and not self._lost:
            self._lost = True
            self.sending.write(frames.goaway(Http2Code.NO_ERROR))
            self.transport.close()

    def _fail(self, stream: Http2Stream, failure: RequestFailedError) -> None:
        self.end_stream(stream, None)
        stream.fail(failure)

    def _reset(self, stream: Http2Stream, code: Http2Code, failure: RequestFailedError) -> None:
        self.end_stream(stream, code)
        stream.fail(failure)

    def _break(self, broken: BrokenConnectionError) -> None:
        """The server cannot be understood any more."""
        self._lost = True
        self.retire()
        self.sending.write(frames.goaway(broken.code))
        self.transport.close()
        for stream in list(self.streams.values()):
            self._fail(stream, broken.failure)

    # --- frames

    def _read_frames(self, data: bytes, now: float) -> int:
        """How far `data` has been read.

        Raises:
            BrokenConnectionError: the server has to be left.
        """
        at, size = 0, len(data)
        if not self.settled.is_set():
            self._see_beginning(data)
        while size - at >= frames.HEADER_BYTES:
            high, low, kind, flags, number = frames.HEADER.unpack_from(data, at)
            start = at + frames.HEADER_BYTES
            end = start + (high << 16) + low
            if end - start > frames.LARGEST_FRAME:
                raise BrokenConnectionError(Http2Code.FRAME_SIZE_ERROR, "a frame that is too large")
            if end > size or self._lost:
                break
            number &= frames.LAST_STREAM
            payload = data[start:end]
            if self._block is not None:
                self._continue(kind, flags, number, payload, now)
            elif kind == frames.DATA:
                self._data(flags, number, payload, now)
            elif kind == frames.HEADERS:
                self._headers(flags, number, payload, now)
            else:
                self._control(kind, flags, number, payload)
            at = end
        return at

    def _see_beginning(self, data: bytes) -> None:
        """Before anything else, a server sends its settings; whatever else it begins with is no HTTP/2."""
        kind = data[3:4]
        if kind and kind[0] != frames.SETTINGS:
            raise AnotherProtocolError(data)

    def _headers(self, flags: int, number: int, payload: bytes, now: float) -> None:
        block = frames.block_in(flags, payload) if flags & (frames.PADDED | frames.WITH_PRIORITY) else payload
        frame_bytes = len(payload) + frames.HEADER_BYTES
        if flags & frames.END_HEADERS:
            self._head(number, flags, block, frame_bytes, now)
        else:
            self._block, self._block_bytes = (number, flags, bytearray(block)), frame_bytes

    def _continue(self, kind: int, flags: int, number: int, payload: bytes, now: float) -> None:
        assert self._block is not None
        begun, first_flags, block = self._block
        if kind != frames.CONTINUATION or number != begun:
            raise BrokenConnectionError(Http2Code.PROTOCOL_ERROR, "something else within a head")
        block += payload
        self._block_bytes += len(payload) + frames.HEADER_BYTES
        if self._block_bytes > LARGEST_LIST:
            why = f"response headers larger than {LARGEST_LIST // 1024} KiB"
            raise BrokenConnectionError(Http2Code.ENHANCE_YOUR_CALM, why)
        if flags & frames.END_HEADERS:
            self._block = None
            self._head(begun, first_flags, bytes(block), self._block_bytes, now)

    def _head(self, number: int, flags: int, block: bytes, frame_bytes: int, now: float) -> None:
        """A complete head, or trailers."""
        stream = self._stream(number)
        if stream is None:
            self._count_idle()
            self._response_heads.fields(block)  # so that the next is understood
            return
        self._idle_frames = 0
        ended = bool(flags & frames.END_STREAM)
        try:
            if stream.head is NO_HEAD:
                stream.take_head(self._response_heads.read(block), frame_bytes, now, ended=ended)
            else:
                self._response_heads.fields(block)
                stream.take_trailers(frame_bytes, now, ended=ended)
        except RequestFailedError as failure:
            self._refuse(stream, failure)

    def _data(self, flags: int, number: int, payload: bytes, now: float) -> None:
        frame_bytes = len(payload) + frames.HEADER_BYTES
        self._untold += len(payload)
        if self._untold > CONNECTION_WINDOW // 2:
            self.give_room(0, self._untold)
            self._untold = 0
        if flags & frames.PADDED:
            payload = frames.without_padding(payload)
        stream = self._stream(number)
        if stream is None or not (payload or flags & frames.END_STREAM):
            self._count_idle()
        else:
            self._idle_frames = 0
        if stream is not None:
            try:
                stream.take_data(payload, frame_bytes, now, ended=bool(flags & frames.END_STREAM))
            except RequestFailedError as failure:
                self._refuse(stream, failure)

    def _refuse(self, stream: Http2Stream, failure: RequestFailedError) -> None:
        """A response that cannot be one: of this stream, nothing more is wanted."""
        if failure.code == ErrorCode.UNKNOWN:  # its head says so
            failure = broken_stream(Http2Code.PROTOCOL_ERROR, failure.text)
        self._reset(stream, Http2Code.PROTOCOL_ERROR, failure)

    def _stream(self, number: int) -> Http2Stream | None:
        """The one that is under way; None when it is over.

        Raises:
            BrokenConnectionError: we never opened it.
        """
        stream = self.streams.get(number)
        if stream is None and (number % 2 == 0 or number >= self._next):
            raise BrokenConnectionError(Http2Code.PROTOCOL_ERROR, "a stream that nobody opened")
        return stream

    def _count_idle(self) -> None:
        self._idle_frames += 1
        if self._idle_frames > MOST_IDLE_FRAMES:
            raise BrokenConnectionError(Http2Code.ENHANCE_YOUR_CALM, "too many frames that bring nothing")

    # --- frames about the connection

    def _control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        self._count_idle()
        if kind == frames.WINDOW_UPDATE:
            self._window_update(number, payload)
        elif kind == frames.RST_STREAM:
            self._check(number != 0 and len(payload) == 4)
            stream = self._stream(number)
            if stream is not None:
                self._fail(stream, from_reset(frames.NUMBER.unpack(payload)[0]))
        elif kind == frames.SETTINGS:
            self._check(number == 0 and len(payload) % 6 == 0 and not (flags & frames.ACK and payload))
            if not flags & frames.ACK:
                self._take_settings(payload)
        elif kind == frames.PING:
            self._check(number == 0 and len(payload) == 8)
            if not flags & frames.ACK:
                self.sending.write(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.GOAWAY:
            self._check(number == 0 and len(payload) >= 8)
            self._go_away(payload)
        elif kind in (frames.PUSH_PROMISE, frames.CONTINUATION):
            raise BrokenConnectionError(Http2Code.PROTOCOL_ERROR, "a push, or the end of a head without its beginning")
        # All others are ignored: PRIORITY, and those that nobody knows (RFC 9113 5.5).

    def _check(self, right: bool) -> None:
        if not right:
            raise BrokenConnectionError(Http2Code.PROTOCOL_ERROR, "a frame of the wrong size, or on the wrong stream")

    def _window_update(self, number: int, payload: bytes) -> None:
        self._check(len(payload) == 4)
        size = frames.NUMBER.unpack(payload)[0] & frames.LARGEST_WINDOW
        stream = self._stream(number) if number else None
        before = self.sending.window
        if number == 0:
            if size == 0 or before + size > frames.LARGEST_WINDOW:
                raise BrokenConnectionError(Http2Code.FLOW_CONTROL_ERROR, "a window update that cannot be")
            before += size
            self.sending.widen(size)
        elif stream is not None:
            if size == 0 or stream.window + size > frames.LARGEST_WINDOW:
                failure = broken_stream(Http2Code.FLOW_CONTROL_ERROR, "a window update that cannot be")
                self._reset(stream, Http2Code.FLOW_CONTROL_ERROR, failure)
                return
            stream.window += size
            self.sending.flush(stream)
        if self.sending.window < before:  # something of a request has been waiting for it
            self._idle_frames = 0

    def _take_settings(self, payload: bytes) -> None:
        for setting, value in frames.SETTING.iter_unpack(payload):
            if setting == frames.MAX_CONCURRENT_STREAMS:
                self.most_streams = value
            elif setting == frames.INITIAL_WINDOW_SIZE:
                if value > frames.LARGEST_WINDOW:
                    raise BrokenConnectionError(Http2Code.FLOW_CONTROL_ERROR, "a window that is too large")
                self.sending.resize(value, self.streams.values())
            elif setting == frames.MAX_FRAME_SIZE:
                self._check(frames.LARGEST_FRAME <= value < 1 << 24)
                self.sending.largest_frame = value
        self.sending.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self.settled.set()

    def _go_away(self, payload: bytes) -> None:
        """The server takes no more streams, and names the last one that it answers (RFC 9113 6.8)."""
        last, code = frames.TWO_NUMBERS.unpack_from(payload)
        said = payload[8 : 8 + MOST_SAID].decode("latin-1")
        self._goaway = code, said
        for number, stream in list(self.streams.items()):
            if number > last & frames.LAST_STREAM:
                self._fail(stream, from_goaway(code, said, processed=False))
        self.retire()
