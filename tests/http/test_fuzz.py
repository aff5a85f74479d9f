"""Responses by the thousand, sound and damaged, in random pieces: read as llhttp and h11 read them, no exception.

A minute of it is in the suite; `make fuzz MINUTES=60` goes on with other seeds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import h11
import httptools
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ciload.http.connection import IDLE, Connection, ConnectionSettings

EXAMPLES = int(os.environ.get("CILOAD_FUZZ_EXAMPLES", "4000"))


class Outcome(NamedTuple):
    """What became of a response; `status` 0: it failed, None: more is to come."""

    status: int | None
    body: bytes = b""
    reusable: bool = False


class Wire(asyncio.Transport):
    """Takes what is written, and can be closed."""

    closed = False

    def write(self, data: object) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Client:
    """Reads responses as ciload does, without a network."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._settings = ConnectionSettings(1 << 20)

    def read(self, raw: bytes, cuts: list[int], *, is_head: bool, closes: bool) -> Outcome:
        connection = Connection(self._loop, self._settings, None, encrypted=True)  # type: ignore[arg-type]
        connection.connection_made(Wire())
        waiter = connection.send(b"GET / HTTP/1.1\r\n\r\n", float("inf"), is_head)
        for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
            if start < stop and not waiter.done():
                connection.data_received(raw[start:stop])
        if closes and not waiter.done():
            connection.connection_lost(None)
        self._settings.open.clear()
        if not waiter.done():
            return Outcome(None)
        if connection.failure is not None:
            return Outcome(0)
        return Outcome(connection.head.status_code, connection.content, connection.state is IDLE)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    loop = asyncio.new_event_loop()
    yield Client(loop)
    loop.close()


# --- the oracles


class Llhttp:
    """What Node's parser makes of a response; interim ones are passed over."""

    def __init__(self, raw: bytes, *, closes: bool) -> None:
        self.outcome: Outcome | None = None  # None: refused, or not complete
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            if self.outcome is None:
                return
        if self.outcome is None and closes and self._status and not self._said:
            self.outcome = Outcome(self._status, b"".join(self._body))

    def on_message_begin(self) -> None:
        self._body.clear()
        self._said = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._said |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code() if self.outcome is None else self._status

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self.outcome is None and self._status >= 200:
            self.outcome = Outcome(self._status, b"".join(self._body))


def read_by_h11(raw: bytes, *, is_head: bool, closes: bool) -> Outcome | None:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="HEAD" if is_head else "GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    status, body = 0, b""
    with suppress(h11.RemoteProtocolError):
        connection.receive_data(raw)
        ended = False
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return Outcome(status, body)
            elif event is h11.NEED_DATA:
                if ended or not closes:
                    return None
                connection.receive_data(b"")
                ended = True
            elif not isinstance(event, h11.InformationalResponse):
                return None
    return None


# --- what servers send

bodies = st.binary(max_size=60)
names = st.sampled_from(["X-A", "Server", "ETag", "Set-Cookie", "Date", "Content-Type", "x_y", "Location"])
values = st.sampled_from(["", "a", "a, b", 'W/"x"', "a=b; Path=/", "text/html; charset=utf-8", "\xe4", "  padded "])
statuses = st.sampled_from(
    ["200 OK", "201 Created", "204 No Content", "304 Not Modified", "404 Not Found", "500", "302 "]
)
line_ends = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"])
interim = st.sampled_from([b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"])


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    raw, rest = b"", body
    while rest:
        size = draw(st.integers(1, len(rest)))
        extension = draw(st.sampled_from([b"", b"", b";a=b", b";a"]))
        number = draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % size
        raw += number + extension + b"\r\n" + rest[:size] + b"\r\n"
        rest = rest[size:]
    trailer = draw(st.sampled_from([b"", b"", b"X-T: 1\r\n"]))
    return raw + b"0\r\n" + trailer + b"\r\n"


@st.composite
def sound(draw: st.DrawFn) -> bytes:
    """A response as servers send them."""
    body = draw(bodies)
    lines = [f"{name}: {value}" for name, value in draw(st.lists(st.tuples(names, values), max_size=4))]
    framing = draw(st.sampled_from(["length", "length", "chunks", "close"]))
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunks":
        lines.append("Transfer-Encoding: chunked")
        body = draw(chunked(body))
    if draw(st.booleans()):
        lines.append("Connection: " + draw(st.sampled_from(["close", "keep-alive", "Keep-Alive, x"])))
    end = draw(line_ends)
    version = draw(st.sampled_from(["1.1", "1.1", "1.0"]))
    head = end.join([f"HTTP/{version} {draw(statuses)}", *draw(st.permutations(lines)), "", ""])
    return draw(interim) + head.encode("latin-1") + body


ODDITIES = st.sampled_from([b"\0", b"\r", b"\n", b"\r\n", b":", b" ", b"\t", b"-1", b"f", b"\xff", b"0\r\n\r\n"])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of them with bytes lost, doubled, exchanged or added."""
    raw = draw(sound())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        until = min(len(raw), at + draw(st.integers(0, 8)))
        kind = draw(st.sampled_from(["lose", "double", "exchange", "add", "end"]))
        odd = draw(
            st.sampled_from([b"\0", b"\r", b"\n", b"\r\n", b":", b" ", b"\t", b"-1", b"f", b"\xff", b"0\r\n\r\n"])
        )
        if kind == "lose":
            raw = raw[:at] + raw[until:]
        elif kind == "double":
            raw = raw[:until] + raw[at:]
        elif kind == "exchange":
            raw = raw[:at] + odd + raw[until:]
        elif kind == "add":
            raw = raw[:at] + odd + raw[at:]
        else:
            raw = raw[:at]
    return raw


@st.composite
def cut(draw: st.DrawFn, raw: bytes) -> list[int]:
    return sorted(draw(st.sets(st.integers(0, len(raw)), max_size=4)))


fuzzing = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(sound(), st.booleans(), st.data())
@fuzzing
def test_sound_responses_are_read_as_others_read_them(
    client: Client, raw: bytes, is_head: bool, data: st.DataObject
) -> None:
    """Status and body, in any pieces; what nobody says the end of, ends with the connection."""
    seen = client.read(raw, data.draw(cut(raw)), is_head=is_head, closes=True)
    by_h11 = read_by_h11(raw, is_head=is_head, closes=True)
    if by_h11 is not None:
        assert seen[:2] == by_h11[:2]
    if not is_head and (by_llhttp := Llhttp(raw, closes=True).outcome) is not None:
        assert seen[:2] == by_llhttp[:2]


@given(st.one_of(damaged(), st.binary(max_size=200)), st.booleans(), st.booleans(), st.data())
@example(b"HTTP/1.1 200 OK\r\n\r\n", False, False, None)
@fuzzing
def test_damaged_responses_are_the_same_in_any_pieces(
    client: Client, raw: bytes, is_head: bool, closes: bool, data: st.DataObject | None
) -> None:
    """A response or a failure, whichever; where both others see the same response, it is ours too."""
    whole = client.read(raw, [], is_head=is_head, closes=closes)
    if data is not None:
        for _ in range(2):
            pieces = client.read(raw, data.draw(cut(raw)), is_head=is_head, closes=closes)
            # What lies behind a response that is complete is not waited for.
            assert pieces[:2] == whole[:2]
    by_h11 = read_by_h11(raw, is_head=is_head, closes=closes)
    if not is_head and by_h11 is not None:
        by_llhttp = Llhttp(raw, closes=closes).outcome
        if by_llhttp is not None and by_llhttp[:2] == by_h11[:2]:
            assert whole[:2] == by_h11[:2]
