"""A server on a free loopback port that sends exactly the bytes it is told to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

import h11

GREEDY_BYTES = 64 * 1024
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close with a RST


class End(Enum):
    """How a connection ends, other than by staying open for the next request."""

    CLOSE = "close"  # an orderly FIN
    RESET = "reset"  # a RST: SO_LINGER with 0 seconds
    STALL = "stall"  # nothing more, but the connection stays open
    HALF_CLOSE = "half close"  # no more bytes from here, and none are read


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for a while."""

    seconds: float


Step = bytes | Pause | End
Answer = bytes | Sequence[Step]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived. `connection` counts from 1."""

    connection: int
    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        return self._lines[0].split(" ")[0]

    @property
    def target(self) -> str:
        return self._lines[0].split(" ")[1]

    @property
    def _lines(self) -> list[str]:
        return self.head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case, in the order of the wire."""
        pairs = (line.split(": ", 1) for line in self._lines[1:])
        return [(name.lower(), value) for name, value in pairs]

    def header(self, name: str) -> str | None:
        """The value of a header; "a | b" when it was sent twice, None when it was not sent."""
        return " | ".join(value for found, value in self.headers if found == name) or None


Answerer = Callable[[Received], Answer]


class Meter:
    """Counts what is in flight; several servers may share one."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    def __enter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        self.now -= 1


class Server:
    """Answers every request with what `answer` says; an async context manager.

    Args:
        answer: bytes, or steps, or a function of the request.
        when: "request" answers a whole request, "head" does not read its body, "bytes" answers the first bytes that
            come, whatever they are, and "connect" does not wait for any.
        tls: speak TLS with this context.
        path: of a Unix socket to listen on, instead of a port.
    """

    def __init__(
        self,
        answer: Answer | Answerer,
        *,
        when: Literal["request", "head", "bytes", "connect"] = "request",
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        path: Path | None = None,
        in_flight: Meter | None = None,
    ) -> None:
        self.answer = answer
        self._when = when
        self._tls = tls
        self._host = host
        self._path = path
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0
        self.requests: list[Received] = []
        self.in_flight = in_flight or Meter()
        self.closed = asyncio.Event()  # set whenever a client has ended a connection

    async def __aenter__(self) -> Server:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._accept, self._path)
            return self
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self.drop_connections()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        if self._path is not None:
            return f"http+unix://{quote(str(self._path), safe='')}"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    async def connections_ended(self) -> None:
        """Wait until there is no connection here any more, and clients have had time to see it."""
        while self._writers:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.002)

    def stop_listening(self) -> None:
        """Refuse new connections; those that are open stay."""
        self._server.close()

    async def drop_connections(self) -> None:
        """Close every connection there is, as a server does that restarts."""
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # for the client to notice

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            await self._talk(self.connections, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, RuntimeError):  # uvloop's, of a closed one
            self.closed.set()
        except asyncio.CancelledError:
            pass  # the server is stopping
        finally:
            writer.transport.abort()
            self._tasks.discard(task)
            self._writers.discard(writer)

    async def _talk(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await self._read(number, reader)
            self.requests.append(request)
            with self.in_flight:
                answer = self.answer(request) if callable(self.answer) else self.answer
                for step in [answer] if isinstance(answer, bytes) else answer:
                    if isinstance(step, End):
                        await self._end(step, reader, writer)
                        return
                    if isinstance(step, Pause):
                        await asyncio.sleep(step.seconds)
                    else:
                        writer.write(step)
                        await writer.drain()
            if self._when in ("bytes", "connect"):
                await self._end(End.STALL, reader, writer)

    async def _read(self, number: int, reader: asyncio.StreamReader) -> Received:
        if self._when == "connect":
            return Received(number, b"", b"")
        if self._when == "bytes":
            return Received(number, await reader.read(GREEDY_BYTES), b"")
        request = Received(number, await reader.readuntil(b"\r\n\r\n"), b"")
        if self._when == "request" and request.header("transfer-encoding") == "chunked":
            return Received(number, request.head, await _chunks(reader))
        length = int(request.header("content-length") or 0)
        if self._when == "head" or not length:
            return request
        return Received(number, request.head, await reader.readexactly(length))

    async def _end(self, how: End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if how is End.CLOSE:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        elif how is End.RESET:
            await asyncio.sleep(0.01)  # a RST may overtake bytes that the client has not read yet
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            writer.transport.abort()
        elif how is End.HALF_CLOSE:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write_eof()
            await asyncio.Event().wait()
        else:
            while await reader.read(GREEDY_BYTES):
                pass
            self.closed.set()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """The body that comes in chunks, as h11 reads it."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.next_event()
    body = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            data = await reader.read(GREEDY_BYTES)
            if not data:
                raise ConnectionResetError
            connection.receive_data(data)
        else:
            assert isinstance(event, h11.Data)
            body += event.data
    assert connection.trailing_data == (b"", False)
    return body


class Elsewhere:
    """A server in a thread with an event loop of its own, for clients whose loop is blocked."""

    def __init__(self, make: Callable[[], Server]) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Server:
        self._thread.start()
        self._server = self._make()
        return asyncio.run_coroutine_threadsafe(self._server.__aenter__(), self._loop).result(10)

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class HangingUp:
    """Ends every connection at once, from a thread of its own: before, while or after the client writes."""

    def __init__(self, how: End) -> None:
        self._how = how
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._stopping = False

    def __enter__(self) -> HangingUp:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._stopping:
            connection, _ = self._listener.accept()
            if self._how is End.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            connection.close()


def in_turn(*answers: Answer) -> Answerer:
    """One answer per request; the last one is for all that follow."""
    waiting = list(answers)
    return lambda _request: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def by_path(answers: dict[str, Answer]) -> Answerer:
    """Answers by the path of the request, 404 for others."""
    return lambda request: answers.get(request.target.split("?")[0], response(b"", status="404 Not Found"))


def response(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """A response with Content-Length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def redirect(location: str, *headers: str, status: str = "302 Found") -> bytes:
    return response(b"", f"Location: {location}", *headers, status=status)


def pieces(data: bytes, *cuts: int) -> list[Step]:
    """`data` in pieces that leave one by one, cut at these positions."""
    steps: list[Step] = []
    for start, stop in zip((0, *cuts), (*cuts, len(data)), strict=True):
        steps += [data[start:stop], Pause(0.001)]
    return steps[:-1]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
