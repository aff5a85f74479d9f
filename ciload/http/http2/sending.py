"""What goes out on an HTTP/2 connection: as much of the requests as the server has room for (RFC 9113 5.2)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ciload.http.connection import HIGH_WATER
from ciload.http.http2 import frames

if TYPE_CHECKING:
    from ciload.http.http2.stream import Http2Stream

DEFAULT_WINDOW = 65_535


class Sending:
    """Writes frames; keeps which streams wait for room, and which for the transport."""

    __slots__ = (
        "_leaving", "_socket", "_transport", "_waiting", "initial_window", "largest_frame", "paused", "window",
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(self, plain_socket: socket.socket | None) -> None:
        self._socket = plain_socket  # written to directly, as `Connection` does and for its reason
        self.window = self.initial_window = DEFAULT_WINDOW  # of the connection; of a new stream
        self.largest_frame = frames.LARGEST_FRAME
        self.paused = False  # the transport holds what is written
        self._waiting: dict[Http2Stream, None] = {}  # with something to send and no room for it, the oldest first
        self._leaving: list[tuple[Http2Stream, int]] = []  # whose last bytes the transport holds, and their numbers

    def begin(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER if self._socket is None else 0, low=0)

    def write(self, data: bytes) -> bool:
        """Whether it was written, or will be: not on a connection that has ended."""
        if self._socket is not None and not self.paused:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:  # the transport is about to find what the server has said before, and the end
                return False
            if sent == len(data):
                return True
            data = data[sent:]
        try:
            self._transport.write(data)
        except RuntimeError:  # uvloop has closed the connection and is about to say so
            return False
        return True

    def open(self, stream: Http2Stream, block: bytes, body: bytes) -> None:
        """Write the head of a request, and of its body what there is room for."""
        ends = not body and not stream.unsent
        data = frames.head_frames(stream.number, block, self.largest_frame, ends=ends)
        if body:
            stream.pending = memoryview(body)
            data += self._next_frames(stream)
        if self.write(data):
            stream.bytes_sent = len(data)
            if not ends:
                self.flush(stream)
            else:
                self._end(stream)

    def flush(self, stream: Http2Stream) -> None:
        """Write what there is room for."""
        while stream.pending and not self.paused:
            data = self._next_frames(stream)
            if not data:
                break
            if not self.write(data):
                return
            stream.bytes_sent += len(data)
        if stream.pending:
            self._waiting[stream] = None
            return
        self._waiting.pop(stream, None)
        stream.drained()
        if not stream.unsent and stream.busy and not stream.sent_at:
            self._end(stream)

    def finish(self, stream: Http2Stream) -> None:
        """There is no more to come of the request; all of it that there was has been written."""
        stream.unsent = False
        end = frames.frame(frames.DATA, frames.END_STREAM, stream.number)
        if self.write(end):
            stream.bytes_sent += len(end)
            self._end(stream)

    def _next_frames(self, stream: Http2Stream) -> bytes:
        """DATA frames for what is pending, as far as they may be sent and make sense at once."""
        room = min(self.window, stream.window, HIGH_WATER)
        parts = []
        while room > 0 and stream.pending:
            piece = stream.pending[: min(room, self.largest_frame)]
            stream.pending = stream.pending[len(piece) :]
            room -= len(piece)
            self.window -= len(piece)
            stream.window -= len(piece)
            last = not stream.pending and not stream.unsent
            parts.append(frames.frame(frames.DATA, frames.END_STREAM if last else 0, stream.number, piece))
        return b"".join(parts)

    def _end(self, stream: Http2Stream) -> None:
        if self.paused:
            self._leaving.append((stream, stream.number))
        else:
            stream.sent()

    def widen(self, size: int) -> None:
        """The connection takes more."""
        self.window += size
        self._go_on()

    def resize(self, initial_window: int, streams: Iterable[Http2Stream]) -> None:
        """Streams are to have another window, those under way as well (RFC 9113 6.9.2)."""
        more = initial_window - self.initial_window
        self.initial_window = initial_window
        for stream in streams:
            stream.window += more
        self._go_on()

    def resume(self) -> None:
        """The transport holds nothing any more."""
        self.paused = False
        leaving, self._leaving = self._leaving, []
        for stream, number in leaving:
            if stream.number == number and stream.busy:
                stream.sent()
        self._go_on()

    def _go_on(self) -> None:
        for stream in list(self._waiting):
            self.flush(stream)
