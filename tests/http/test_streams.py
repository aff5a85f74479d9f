"""Responses that are read while they come: pieces, lines, events, their times, and every way in which they end."""

from __future__ import annotations

import asyncio
import gzip
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload import http
from ciload.http.connection import Connection
from ciload.http.events import events, lines
from tests.http.server import Answer, End, Pause, Server, Step, in_turn, pieces, redirect, response
from tests.http.vu import run, virtual_user

pytestmark = pytest.mark.anyio

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"


async def test_pieces_come_when_they_are_sent() -> None:
    """The reply is there with its head; each piece when it comes; the sample when the last one has come."""
    steps: list[Step] = [CHUNKED, Pause(0.1), chunk(b"one"), Pause(0.1), chunk(b"two") + END]
    async with Server(steps) as server, virtual_user() as vu:
        started = perf_counter()
        reply = await http.get(server.url, stream=True)
        assert perf_counter() - started < 0.09
        assert reply.headers["content-type"] == "text/event-stream"
        assert vu.count() == 0
        seen = [(piece, perf_counter() - started) async for piece in reply.aiter_bytes()]
        assert [piece for piece, _ in seen] == [b"one", b"two"]
        assert 0.09 < seen[0][1] < 0.19 < seen[1][1]
        assert vu.failed() == (0, 1)
        assert vu.count("data_received") == len(CHUNKED) + len(chunk(b"one") + chunk(b"two") + END)
        assert reply.timings.waiting < 90 < 190 < reply.timings.receiving
        assert vu.snapshot().trend("http_req_receiving").largest > 190
        assert (await http.get(server.url)).content == b"onetwo"
    assert server.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        response(b"hello"),
        response(b""),
        CHUNKED + chunk(b"hello") + END,
        CHUNKED + END,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        response(gzip.compress(b"hello"), "Content-Encoding: gzip"),
    ],
)
async def test_a_streamed_response_is_the_same(raw: bytes) -> None:
    """Whatever frames it and however it is cut, known head or not; the connection goes on."""
    answers: list[Answer] = [raw, raw, raw, *(pieces(raw, cut) for cut in range(1, len(raw), 7))]
    async with Server(in_turn(*answers, *answers)) as server, virtual_user() as vu:
        plain = [(await http.get(server.url)).content for _ in answers]
        streamed = [await (await http.get(server.url, stream=True)).aread() for _ in answers]
        assert streamed == plain
        assert vu.failed() == (0, 2 * len(answers))
    assert server.connections == 1


async def test_a_body_until_the_end_of_the_connection() -> None:
    """It ends when the connection does."""
    async with (
        Server([b"HTTP/1.1 200 OK\r\n\r\nhello", Pause(0.01), b" world", End.CLOSE]) as server,
        virtual_user() as vu,
    ):
        reply = await http.get(server.url, stream=True)
        assert await reply.aread() == b"hello world"
        assert reply.text == "hello world"
        assert vu.failed() == (0, 1)
        assert not any(vu.session.pool.idle.values())


async def test_what_had_come_is_kept_on_a_time_out() -> None:
    """The pieces are there, the error is in the reply, and the request has failed."""
    async with Server([CHUNKED + chunk(b"one"), End.STALL]) as server, virtual_user() as vu:
        reply = await http.get(server.url, stream=True, timeout=0.2)
        assert (reply.status_code, reply.error) == (200, "")
        seen = [piece async for piece in reply.aiter_bytes()]
        assert seen == [b"one"]
        assert (reply.status_code, reply.error, reply.error_code) == (0, "request timeout", 1050)
        assert vu.failed(error_code="1050") == (1, 1)
        again = await http.get(server.url, stream=True, timeout=0.2)
        assert await again.aread() == b"one"
        assert again.content == b"one"
        assert again.error == "request timeout"


@pytest.mark.parametrize(("end", "code"), [(End.CLOSE, 1000), (End.RESET, 1220)])
async def test_a_body_that_breaks_off(end: End, code: int) -> None:
    """What has come is there; the request has failed."""
    async with Server([CHUNKED + chunk(b"one"), Pause(0.02), end]) as server, virtual_user() as vu:
        reply = await http.get(server.url, stream=True)
        assert await reply.aread() == b"one"
        assert (reply.status_code, reply.error_code) == (0, code)
        assert vu.failed() == (1, 1)


async def test_no_head_is_a_failed_request_as_ever() -> None:
    """There is nothing to read then."""
    async with Server(in_turn([End.CLOSE], [End.STALL])) as server, virtual_user() as vu:
        for code in (1000, 1050):
            reply = await http.get(server.url, stream=True, timeout=0.2)
            assert (reply.status_code, reply.error_code) == (0, code)
            assert [piece async for piece in reply.aiter_bytes()] == []
        assert vu.failed() == (2, 2)


async def test_broken_compression_fails_the_request() -> None:
    """What could be decoded was handed out."""
    async with Server(response(b"no gzip", "Content-Encoding: gzip")) as server, virtual_user() as vu:
        reply = await http.get(server.url, stream=True)
        assert await reply.aread() == b""
        assert (reply.status_code, reply.error_code) == (0, 1701)
        assert vu.failed(error_code="1701") == (1, 1)


async def test_leaving_early_is_no_failure() -> None:
    """A script that has seen enough closes the connection; what had come counts."""
    endless: list[Step] = [CHUNKED, *([chunk(b"x"), Pause(0.01)] * 200), End.STALL]  # type: ignore[list-item]
    async with Server(endless) as server, virtual_user() as vu:
        async with await http.get(server.url, stream=True) as reply:
            async for _ in reply.aiter_bytes():
                break
        assert vu.failed(status="200") == (0, 1)
        assert reply.timings.receiving < 1_000
        reply = await http.get(server.url, stream=True)
        vu.session.pool.close_streams()  # the iteration is over
        assert vu.failed(status="200") == (0, 2)
        await asyncio.wait_for(server.closed.wait(), 2)
        assert not vu.client.settings.open


async def test_thinking_is_not_receiving() -> None:
    """Nothing came while the script did something else: that time is no part of the request."""
    async with Server([CHUNKED + chunk(b"x"), End.STALL]) as server, virtual_user() as vu:
        async for _ in (await http.get(server.url, stream=True)).aiter_bytes():
            break
        await asyncio.sleep(0.2)
        assert vu.failed(status="200") == (0, 1)  # to leave the loop is to leave the stream
        await http.get(server.url, stream=True)
        await asyncio.sleep(0.2)
        vu.session.pool.close_streams()
        assert vu.failed(status="200") == (0, 2)
        assert vu.snapshot().trend("http_req_duration").largest < 100


async def test_closed_while_somebody_reads() -> None:
    """Whoever waits for the next piece is told that there is none, and the request is counted once."""
    async with Server([CHUNKED + chunk(b"x"), End.STALL]) as server, virtual_user() as vu:
        reply = await http.get(server.url, stream=True)
        reading = asyncio.create_task(reply.aread())
        await asyncio.sleep(0.05)
        await reply.aclose()
        assert await asyncio.wait_for(reading, 2) == b"x"
        assert vu.failed(status="200") == (0, 1)
        assert (reply.status_code, reply.error) == (200, "")


async def test_an_unread_body_makes_the_server_wait() -> None:
    """Memory stays bounded when the script takes its time."""
    sent = 0

    def answer(_: object) -> Answer:
        return [b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", *([b"x" * 1_000_000] * 100)]

    async with Server(answer) as server, virtual_user(max_body_kept=1_000) as vu:
        reply = await http.get(server.url, stream=True)
        await asyncio.sleep(0.3)
        connection = next(iter(vu.client.settings.open))
        assert isinstance(connection, Connection)
        assert connection.bytes_received < 10_000_000
        async for piece in reply.aiter_bytes():
            sent += len(piece)
        assert sent == 100_000_000
        assert vu.count("data_received") > 100_000_000
        long = await http.get(server.url, stream=True)
        assert len(await long.aread()) == 1_000
        assert long.truncated


async def test_a_stream_is_read_once() -> None:
    """The second time it says what to do; after aread() it is kept."""
    async with Server(response(b"hello")) as server, virtual_user():
        reply = await http.get(server.url, stream=True)
        with pytest.raises(ValueError, match="aread"):
            reply.json()
        with pytest.raises(ValueError, match="aread"):
            _ = reply.text
        assert [piece async for piece in reply.aiter_bytes()] == [b"hello"]
        with pytest.raises(RuntimeError, match="was taken already"):
            [piece async for piece in reply.aiter_bytes()]
        with pytest.raises(RuntimeError, match="was taken already"):
            await reply.aread()
        kept = await http.get(server.url, stream=True)
        assert await kept.aread() == await kept.aread() == b"hello"
        assert [line async for line in kept.aiter_lines()] == ["hello"]
        assert kept.text == "hello"


async def test_a_stream_behind_a_redirect() -> None:
    """Each hop is measured, and the last one is streamed; its cookies and those before count."""
    last = response(b"there", "Set-Cookie: b=2")
    async with Server(in_turn(redirect("/b", "Set-Cookie: a=1"), last)) as server, virtual_user() as vu:
        reply = await http.get(server.url, stream=True)
        assert [hop.status_code for hop in reply.history] == [302]
        assert await reply.aread() == b"there"
        assert len(vu.session.jar) == 2
        assert vu.count() == 2
    assert server.connections == 1


async def test_cancelled_while_reading() -> None:
    """A request cut off while its body comes has failed, once."""
    async with Server([CHUNKED + chunk(b"one"), End.STALL]) as server, virtual_user() as vu:
        reply = await http.get(server.url, stream=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reply.aread(), 0.1)
        vu.session.pool.close_streams()
        assert vu.failed(error="cut off") == (1, 1)
        await asyncio.wait_for(server.closed.wait(), 2)


# --- lines and events


async def test_lines_of_a_stream() -> None:
    """Cut anywhere, with any line ends, in the charset of the response."""
    text = "eins\r\nzw\u00f6\n\ndrei\rvier".encode("latin-1")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=latin-1\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = head + b"".join(chunk(text[at : at + 1]) for at in range(len(text))) + END
    async with Server(in_turn(raw, raw)) as server, virtual_user():
        reply = await http.get(server.url, stream=True)
        assert [line async for line in reply.aiter_lines()] == ["eins", "zw\u00f6", "", "drei", "vier"]
        whole = await http.get(server.url)
        assert [line async for line in whole.aiter_lines()] == ["eins", "zw\u00f6", "", "drei", "vier"]


SSE = (
    b"\xef\xbb\xbf: welcome\n\n"
    b"data: first\n\n"
    b"event: tick\nid: 7\ndata: {\"n\":\ndata:  1}\nretry: 500\n\n"
    b"data\n\nevent: empty\n\nid: \0\nretry: x\ndata:last\r\n\r\n"
    b"data: cut off"
)  # fmt: skip


async def test_server_sent_events_and_when_they_came() -> None:
    """As the standard reads them; `at` is the time since the request was sent."""
    steps: list[Step] = [CHUNKED, Pause(0.1), chunk(SSE[:20]), chunk(SSE[20:50]), Pause(0.1), chunk(SSE[50:]) + END]
    async with Server(steps) as server, virtual_user():
        reply = await http.get(server.url, stream=True)
        seen = [event async for event in reply.aiter_sse()]
    assert [(event.event, event.data, event.id, event.retry) for event in seen] == [
        ("message", "first", "", None),
        ("tick", '{"n":\n 1}', "7", 500),
        ("message", "", "7", None),
        ("message", "last", "7", None),
    ]
    assert seen[1].json() == {"n": 1}
    assert 90 < seen[0].at < 190 < seen[1].at


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.lists(st.integers(1, 5)))
def test_lines_are_those_of_the_text(text: str, cuts: list[int]) -> None:
    """However its bytes are cut, in the middle of characters and line ends."""
    raw = text.encode()

    async def cut() -> list[str]:
        async def parts() -> object:
            at = 0
            for size in cuts:
                yield raw[at : at + size], 0.0
                at += size
            yield raw[at:], 0.0

        return [line async for line, _ in lines(parts(), "utf-8")]  # type: ignore[arg-type]

    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert run(cut) == (expected[:-1] if expected[-1] == "" else expected)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader_of_events(raw: bytes) -> None:
    """Whatever comes, there are events or none."""

    async def read() -> None:
        async def parts() -> object:
            yield raw, 0.0

        async for event in events(parts()):  # type: ignore[arg-type]
            assert isinstance(event.data, str)

    run(read)
