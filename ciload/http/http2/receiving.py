"""What comes on an HTTP/2 connection: frames, taken apart and handed to the streams, or to the connection itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ciload.http.failure import ErrorCode, RequestFailedError
from ciload.http.head import NO_HEAD
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
from ciload.http.http2.response_heads import ResponseHeads
from ciload.http.http2.sending import Sending

if TYPE_CHECKING:
    from ciload.http.http2.connection import Http2Connection
    from ciload.http.http2.stream import Http2Stream

CONNECTION_WINDOW = 16 * 1024 * 1024
MOST_IDLE_FRAMES = 10_000  # in a row, which bring no exchange any further: a server can make them endlessly
MOST_SAID = 60  # of what a server says to why it goes


class Receiving:
    """Reads frames; keeps what is there of one that has not come as a whole, and of a head in several of them."""

    __slots__ = ("_block", "_block_bytes", "_connection", "_heads", "_idle_frames", "_rest", "_sending", "_untold")

    def __init__(self, connection: Http2Connection, sending: Sending, heads: ResponseHeads) -> None:
        self._connection = connection
        self._sending = sending
        self._heads = heads
        self._rest = b""  # the beginning of a frame
        self._block: tuple[int, int, bytearray] | None = None  # a head that goes on: stream, flags, what there is of it
        self._block_bytes = 0  # of its frames
        self._untold = 0  # of what came: the server does not know yet that there is room again
        self._idle_frames = 0

    def take(self, data: bytes, now: float) -> None:
        """Raises BrokenConnectionError: the server has to be left."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        self._rest = data[self._read_frames(data, now) :]

    def _read_frames(self, data: bytes, now: float) -> int:
        """How far `data` has been read.

        Raises:
            BrokenConnectionError: the server has to be left.
        """
        at, size = 0, len(data)
        if not self._connection.settled.is_set():
            self._see_beginning(data)
        while size - at >= frames.HEADER_BYTES:
            high, low, kind, flags, number = frames.HEADER.unpack_from(data, at)
            start = at + frames.HEADER_BYTES
            end = start + (high << 16) + low
            if end - start > frames.LARGEST_FRAME:
                raise BrokenConnectionError(Http2Code.FRAME_SIZE_ERROR, "a frame that is too large")
            if end > size or self._connection.lost:
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
            self._heads.fields(block)  # so that the next is understood
            return
        self._idle_frames = 0
        ended = bool(flags & frames.END_STREAM)
        try:
            if stream.head is NO_HEAD:
                stream.take_head(self._heads.read(block), frame_bytes, now, ended=ended)
            else:
                self._heads.fields(block)
                stream.take_trailers(frame_bytes, now, ended=ended)
        except RequestFailedError as failure:
            self._refuse(stream, failure)

    def _data(self, flags: int, number: int, payload: bytes, now: float) -> None:
        frame_bytes = len(payload) + frames.HEADER_BYTES
        self._untold += len(payload)
        if self._untold > CONNECTION_WINDOW // 2:
            self._connection.give_room(0, self._untold)
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
        self._connection.fail(stream, failure, Http2Code.PROTOCOL_ERROR)

    def _stream(self, number: int) -> Http2Stream | None:
        """The one that is under way; None when it is over.

        Raises:
            BrokenConnectionError: we never opened it.
        """
        stream = self._connection.streams.get(number)
        if stream is None and (number % 2 == 0 or number >= self._connection.next):
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
                self._connection.fail(stream, from_reset(frames.NUMBER.unpack(payload)[0]))
        elif kind == frames.SETTINGS:
            self._check(number == 0 and len(payload) % 6 == 0 and not (flags & frames.ACK and payload))
            if not flags & frames.ACK:
                self._take_settings(payload)
        elif kind == frames.PING:
            self._check(number == 0 and len(payload) == 8)
            if not flags & frames.ACK:
                self._sending.write(frames.frame(frames.PING, frames.ACK, 0, payload))
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
        before = self._sending.window
        if number == 0:
            if size == 0 or before + size > frames.LARGEST_WINDOW:
                raise BrokenConnectionError(Http2Code.FLOW_CONTROL_ERROR, "a window update that cannot be")
            before += size
            self._sending.widen(size)
        elif stream is not None:
            if size == 0 or stream.window + size > frames.LARGEST_WINDOW:
                failure = broken_stream(Http2Code.FLOW_CONTROL_ERROR, "a window update that cannot be")
                self._connection.fail(stream, failure, Http2Code.FLOW_CONTROL_ERROR)
                return
            stream.window += size
            self._sending.flush(stream)
        if self._sending.window < before:  # something of a request has been waiting for it
            self._idle_frames = 0

    def _take_settings(self, payload: bytes) -> None:
        for setting, value in frames.SETTING.iter_unpack(payload):
            if setting == frames.MAX_CONCURRENT_STREAMS:
                self._connection.most_streams = value
            elif setting == frames.INITIAL_WINDOW_SIZE:
                if value > frames.LARGEST_WINDOW:
                    raise BrokenConnectionError(Http2Code.FLOW_CONTROL_ERROR, "a window that is too large")
                self._sending.resize(value, self._connection.streams.values())
            elif setting == frames.MAX_FRAME_SIZE:
                self._check(frames.LARGEST_FRAME <= value < 1 << 24)
                self._sending.largest_frame = value
        self._sending.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._connection.settled.set()

    def _go_away(self, payload: bytes) -> None:
        """The server takes no more streams, and names the last one that it answers (RFC 9113 6.8)."""
        last, code = frames.TWO_NUMBERS.unpack_from(payload)
        said = payload[8 : 8 + MOST_SAID].decode("latin-1")
        self._connection.goaway = code, said
        for number, stream in list(self._connection.streams.items()):
            if number > last & frames.LAST_STREAM:
                self._connection.fail(stream, from_goaway(code, said, processed=False))
        self._connection.retire()
