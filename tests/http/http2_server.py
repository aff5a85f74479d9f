"""An HTTP/2 server on a free loopback port that does what a test says, and watches whether clients keep to the rules.

What it reads goes through h2, which finds every mistake of the client. What it says may be anything.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError, StreamIDTooLowError
from h2.settings import SettingCodes

Header = tuple[str, str]


class Asked:
    """A request, as far as it has come."""

    def __init__(self, number: int, connection: int, headers: list[Header]) -> None:
        self.number = number
        self.connection = connection  # counts from 1
        self.headers = headers
        self.body = bytearray()
        self.ended = asyncio.Event()

    @property
    def path(self) -> str:
        return dict(self.headers)[":path"]


class Peer:
    """One connection, as the server sees it."""

    def __init__(self, server: Http2Server, number: int, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.number = number
        self.writer = writer
        # What is sent wrong on purpose must not be put right.
        config = H2Configuration(client_side=False, header_encoding="latin-1", validate_outbound_headers=False)
        self.h2 = H2Connection(config)
        self.room = asyncio.Event()
        self.left = False  # by the client: h2 lets nobody answer it any more

    def flush(self) -> None:
        if not self.writer.is_closing():
            self.writer.write(self.h2.data_to_send())

    def raw(self, data: bytes) -> None:
        self.flush()
        self.writer.write(data)

    def head(self, asked: Asked, *headers: Header, status: str = "200", end: bool = False) -> None:
        self.h2.send_headers(asked.number, [(":status", status), *headers], end_stream=end)
        self.flush()

    async def body(self, asked: Asked, body: bytes, *, end: bool = True, padding: int | None = None) -> None:
        """As fast as the client takes it."""
        while body:
            room = min(self.h2.local_flow_control_window(asked.number), self.h2.max_outbound_frame_size)
            room -= 0 if padding is None else padding + 1
            if room <= 0:
                self.room.clear()
                await self.room.wait()
                continue
            piece, body = body[:room], body[room:]
            self.h2.send_data(asked.number, piece, end_stream=end and not body, pad_length=padding)
            self.flush()
            await self.writer.drain()

    async def answer(self, asked: Asked, body: bytes = b"", *headers: Header, status: str = "200") -> None:
        self.head(asked, *headers, ("content-length", str(len(body))), status=status, end=not body)
        await self.body(asked, body)

    def reset(self, asked: Asked, code: int) -> None:
        self.h2.reset_stream(asked.number, code)
        self.flush()

    def goaway(self, last: int, code: int = 0, said: bytes = b"") -> None:
        """Say so; what may still be answered is."""
        frame = b"\0\0%c\x07\0\0\0\0\0" % (8 + len(said))
        self.raw(frame + last.to_bytes(4, "big") + int(code).to_bytes(4, "big") + said)

    def close(self) -> None:
        self.flush()
        self.writer.close()


Answerer = Callable[[Peer, Asked], Awaitable[None]]


class Http2Server:
    """Calls `answer` with every request as soon as its head is there; an async context manager.

    Args:
        answer: says what to do.
        tls: speak TLS with this context, which chooses h2.
        settings: what the server says of itself, by h2's names.
        whole: call `answer` with whole requests.
        acknowledge: give the client room again for what it has sent.
    """

    def __init__(
        self,
        answer: Answerer,
        *,
        tls: ssl.SSLContext | None = None,
        settings: dict[SettingCodes | int, int] | None = None,
        whole: bool = True,
        acknowledge: bool = True,
    ) -> None:
        self.answer = answer
        self.tls = tls
        self.settings = settings or {}
        self.whole = whole
        self.acknowledge = acknowledge
        self.asked: list[Asked] = []
        self.peers: list[Peer] = []
        self.resets: list[tuple[int, int]] = []  # streams that the client has ended, and the codes
        self.violations: list[str] = []
        self.streams_now = self.streams_most = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Http2Server:
        if self.tls is not None:
            self.tls.set_alpn_protocols(["h2"])
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self.tls)
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for peer in self.peers:
            peer.writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if kind is None:
            assert not self.violations, self.violations[0]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(self, len(self.peers) + 1, writer)
        self.peers.append(peer)
        peer.h2.initiate_connection()
        if self.settings:
            peer.h2.update_settings(self.settings)
        peer.flush()
        streams: dict[int, Asked] = {}
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65_536):
                try:
                    events = peer.h2.receive_data(data)
                except ProtocolError as error:
                    self.violations.append(repr(error))
                    break
                for event in events:
                    self._take(event, peer, streams)
                peer.flush()
        writer.transport.abort()

    def _take(self, event: object, peer: Peer, streams: dict[int, Asked]) -> None:
        if isinstance(event, RequestReceived):
            assert event.headers is not None
            asked = Asked(event.stream_id, peer.number, [(str(n), str(v)) for n, v in event.headers])
            streams[asked.number] = asked
            self.asked.append(asked)
            self.streams_now += 1
            self.streams_most = max(self.streams_most, self.streams_now)
            if not self.whole:
                self._start(peer, asked)
        elif isinstance(event, DataReceived):
            streams[event.stream_id].body += event.data or b""
            if self.acknowledge:
                peer.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, StreamEnded):
            streams[event.stream_id].ended.set()
            if self.whole:
                self._start(peer, streams[event.stream_id])
        elif isinstance(event, StreamReset):
            self.resets.append((event.stream_id, int(event.error_code or 0)))
            peer.room.set()
        elif isinstance(event, WindowUpdated):
            peer.room.set()
        elif isinstance(event, ConnectionTerminated):
            peer.left = True
        else:
            assert not isinstance(event, TrailersReceived)

    def _start(self, peer: Peer, asked: Asked) -> None:
        async def run() -> None:
            try:
                await self.answer(peer, asked)
            except (StreamClosedError, StreamIDTooLowError, ConnectionError):  # the client has ended it
                pass
            except Exception as error:  # what a test finds wrong within an answer  # noqa: BLE001
                if not (peer.left and isinstance(error, ProtocolError)):
                    self.violations.append(repr(error))
            finally:
                self.streams_now -= 1

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def ok(peer: Peer, asked: Asked) -> None:
    await peer.answer(asked, b"ok")


async def echo(peer: Peer, asked: Asked) -> None:
    await peer.answer(asked, bytes(asked.body) or asked.path.encode(), ("x-path", asked.path))


__all__ = ["Answerer", "Asked", "ErrorCodes", "Http2Server", "Peer", "echo", "ok"]
