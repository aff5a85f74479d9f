"""HTTP/2 servers that refuse, go away, lie, flood or fall silent: a failed request each, and the next one is fine."""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import Literal

import pytest
from h2.settings import SettingCodes
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload import http
from ciload.http.target import parse_target
from tests.http.http2_server import Answerer, Asked, Http2Server, Peer, echo, ok
from tests.http.server import End, Server, Step, free_port
from tests.http.vu import PeakMemory, run, virtual_user

pytestmark = pytest.mark.anyio

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
OK = [(":status", "200")]
BEGIN = b"\0\0\0\x04\0\0\0\0\0"  # empty settings


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def head(*fields: tuple[str, str], end: bool = False, stream: int = 1) -> bytes:
    return frame(HEADERS, Encoder().encode(list(fields)), 5 if end else 4, stream)


def first_raw(data: bytes) -> Answerer:
    """Answers the first request with these bytes, and all others well."""

    async def answer(peer: Peer, asked: Asked) -> None:
        if asked.connection == 1 and asked.number == 1:
            peer.raw(data)
        else:
            await ok(peer, asked)

    return answer


STREAM_FAULTS = {
    "a reset": (frame(RST_STREAM, b"\0\0\0\x0b"), 1642, "stream error ENHANCE_YOUR_CALM: reset by the server"),
    "a reset that nobody knows": (frame(RST_STREAM, b"\0\0\x01\0"), 1630, "stream error error 256"),
    "a reset without an answer": (frame(RST_STREAM, b"\0\0\0\0"), 1631, "NO_ERROR"),
    "a wish for HTTP/1.1": (frame(RST_STREAM, b"\0\0\0\x0d"), 1644, "run with http2: off"),
    "a reset in the body": (head(*OK) + frame(DATA, b"x") + frame(RST_STREAM, b"\0\0\0\x02"), 1633, "INTERNAL_ERROR"),
    "a body that is too long": (head(*OK, ("content-length", "1")) + frame(DATA, b"xx", 1), 1632, "longer"),
    "a body that is too short": (head(*OK, ("content-length", "3")) + frame(DATA, b"xx", 1), 1632, "shorter"),
    "no body": (head(*OK, ("content-length", "3"), end=True), 1632, "shorter than its Content-Length"),
    "two lengths": (head(*OK, ("content-length", "3"), ("content-length", "4")), 1632, "Content-Length is"),
    "no head": (frame(DATA, b"x", 1), 1632, "a body without a head"),
    "no status": (head(("a", "b"), end=True), 1632, "its status is ''"),
    "two statuses": (head(*OK, *OK, end=True), 1632, "a header that cannot be one"),
    "a status behind headers": (head(("a", "b"), *OK, end=True), 1632, "a header that cannot be one"),
    "a status of letters": (head((":status", "abc"), end=True), 1632, "its status is 'abc'"),
    "a request's head": (head(*OK, (":path", "/"), end=True), 1632, "a header that cannot be one"),
    "a name in capitals": (head(*OK, ("Server", "x"), end=True), 1632, "a header that cannot be one"),
    "a line in a value": (head(*OK, ("a", "b\r\nc: d"), end=True), 1632, "a header that cannot be one"),
    "an interim end": (head((":status", "103"), end=True), 1632, "an interim response"),
    "status 101": (head((":status", "101")), 1632, "an interim response"),
    "two heads": (head(*OK) + head(*OK), 1632, "a second head"),
    "endless interim heads": (head((":status", "103"), ("a", "b" * 1000)) * 100, 1632, "an interim response"),
    "no increment": (frame(WINDOW_UPDATE, b"\0\0\0\0"), 1634, "a window update that cannot be"),
    "a window that is too large": (frame(WINDOW_UPDATE, b"\x7f\xff\xff\xff"), 1634, "a window update that cannot be"),
}


@pytest.mark.parametrize("fault", STREAM_FAULTS)
async def test_one_response_is_wrong(fault: str) -> None:
    """k6's code and the name that HTTP/2 has for it; the connection goes on."""
    data, code, words = STREAM_FAULTS[fault]
    async with Http2Server(first_raw(data)) as server, virtual_user(http2="only") as vu:
        reply = await http.get(server.url, timeout=2)
        assert (reply.status_code, reply.content, reply.error_code) == (0, b"", code)
        assert reply.error.startswith("http2: stream error ")
        assert words in reply.error
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (1, 2)
        assert vu.failed(error_code=str(code)) == (1, 1)
        server.violations.clear()  # h2 does not know what it has said
    assert len(server.peers) == 1


CONNECTION_FAULTS = {
    "a frame that is too large": (frame(DATA, b"x" * 16_385), 1657, "FRAME_SIZE_ERROR: a frame that is too large"),
    "more padding than payload": (frame(DATA, b"\x09x", 8), 1652, "more padding than there is payload"),
    "a head of padding": (frame(HEADERS, b"", 0x0C), 1652, "more padding than there is payload"),
    "a head without its priority": (frame(HEADERS, b"x", 0x24), 1657, "too short"),
    "a stream that nobody opened": (head(*OK, stream=9), 1652, "a stream that nobody opened"),
    "a stream of the server's": (frame(DATA, b"x", stream=2), 1652, "a stream that nobody opened"),
    "data on no stream": (frame(DATA, b"x", stream=0), 1652, "a stream that nobody opened"),
    "a push": (frame(PUSH_PROMISE, b"\0\0\0\x02\x88", 4), 1652, "a push"),
    "the end of a head": (frame(CONTINUATION, b"\x88", 4), 1652, "without its beginning"),
    "something within a head": (frame(HEADERS, b"\x88") + frame(PING, b"x" * 8, stream=0), 1652, "within a head"),
    "an index that is not there": (frame(HEADERS, b"\xff\xff\x7f", 4), 1660, "COMPRESSION_ERROR"),
    "a number without end": (frame(HEADERS, b"\xff" * 50, 4), 1660, "COMPRESSION_ERROR"),
    "a string without end": (frame(HEADERS, b"\0\x05ab", 4), 1660, "COMPRESSION_ERROR"),
    "a table that is too large": (frame(HEADERS, b"\x3f\xff\x7f", 4), 1660, "COMPRESSION_ERROR"),
    "a head that swells": (
        frame(HEADERS, b"\x88\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 8_000, 4), 1662, "larger than 64 KiB"
    ),
    "a head without end": (
        frame(HEADERS, b"\x88") + frame(CONTINUATION, b"\0\x01a\x7f\x01" + b"x" * 128) * 1000,
        1662,
        "larger than 64 KiB",
    ),
    "a head of nothing": (frame(HEADERS, b"\x88") + frame(CONTINUATION) * 10_000, 1662, "larger than 64 KiB"),
    "a flood of pings": (frame(PING, b"x" * 8, stream=0) * 11_000, 1662, "too many frames that bring nothing"),
    "a flood of settings": (frame(SETTINGS, stream=0) * 11_000, 1662, "too many frames that bring nothing"),
    "a flood of empty data": (head(*OK) + frame(DATA) * 11_000, 1662, "too many frames that bring nothing"),
    "a flood of unknown frames": (frame(99, b"x") * 11_000, 1662, "too many frames that bring nothing"),
    "a flood of priorities": (frame(2, b"x" * 5) * 11_000, 1662, "too many frames that bring nothing"),
    "a flood of windows": (frame(WINDOW_UPDATE, b"\0\0\0\1") * 11_000, 1662, "too many frames that bring nothing"),
    "a window of the connection": (frame(WINDOW_UPDATE, b"\x7f\xff\xff\xff", stream=0), 1654, "window update"),
    "no increment of the connection": (frame(WINDOW_UPDATE, b"\0\0\0\0", stream=0), 1654, "window update"),
    "a short ping": (frame(PING, b"x", stream=0), 1652, "of the wrong size"),
    "a short reset": (frame(RST_STREAM, b"x"), 1652, "of the wrong size"),
    "a short goodbye": (frame(GOAWAY, b"x", stream=0), 1652, "of the wrong size"),
    "half a setting": (frame(SETTINGS, b"xxx", stream=0), 1652, "of the wrong size"),
    "settings of a stream": (frame(SETTINGS), 1652, "on the wrong stream"),
    "an initial window": (frame(SETTINGS, b"\0\4\xff\xff\xff\xff", stream=0), 1654, "a window that is too large"),
    "a frame size": (frame(SETTINGS, b"\0\5\0\0\0\1", stream=0), 1652, "of the wrong size"),
}  # fmt: skip


@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
async def test_the_connection_is_wrong(fault: str) -> None:
    """It is left, with a word to the server; all that is under way fails, and the next request has another one."""
    data, code, words = CONNECTION_FAULTS[fault]

    async def answer(peer: Peer, asked: Asked) -> None:
        if asked.connection > 1:
            await ok(peer, asked)
        elif asked.path == "/wrong":
            peer.raw(data)

    async with Http2Server(answer) as server, virtual_user(http2="only") as vu:
        silent = asyncio.create_task(http.get(f"{server.url}/silent"))
        await asyncio.sleep(0.02)
        replies = [await http.get(f"{server.url}/wrong", timeout=5), await silent]
        for reply in replies:
            assert (reply.status_code, reply.content, reply.error_code) == (0, b"", code)
            assert reply.error.startswith("http2: connection error ")
            assert words in reply.error
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (2, 3)
        await asyncio.sleep(0.02)
        server.violations.clear()
    assert len(server.peers) == 2


async def test_a_server_that_sends_more_than_there_is_room_for() -> None:
    """A stream that nobody reads cannot fill the memory: it is ended, and the connection goes on."""
    data = head(*OK) + frame(DATA, b"x" * 16_384) * 200
    async with Http2Server(first_raw(data)) as server, virtual_user(http2="only") as vu:
        reply = await http.get(server.url, stream=True)
        await asyncio.sleep(0.1)
        assert len(await reply.aread()) < 2.2 * 1024 * 1024
        assert (reply.status_code, reply.error_code) == (0, 1634)
        assert "more than there was room for" in reply.error
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (1, 2)
        server.violations.clear()
    assert len(server.peers) == 1


@pytest.mark.parametrize("when", ["bytes", "connect"])
async def test_another_protocol_is_told_by_name(when: Literal["bytes", "connect"]) -> None:
    """HTTP/1.1 that answers the preface, and whatever else begins wrongly."""
    for said in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 smtp.example ESMTP\r\n"):
        async with Server([said, End.CLOSE], when=when) as server, virtual_user(http2="only") as vu:
            reply = await http.get(server.url)
            assert (reply.status_code, reply.error_code) == (0, 1652)
            assert reply.error.startswith("the server does not speak HTTP/2: it begins with '")
            assert vu.failed() == (1, 1)


@pytest.mark.parametrize(
    "said", [BEGIN, frame(SETTINGS, b"\0\3\0\0\0\x64", stream=0), frame(GOAWAY, b"\0" * 8, stream=0)]
)
@pytest.mark.parametrize("when", ["bytes", "connect"])
async def test_a_server_of_http2_alone_is_told_by_name(said: bytes, when: Literal["bytes", "connect"]) -> None:
    """HTTP/1.1 was spoken to it."""
    async with Server([said, End.CLOSE], when=when) as server, virtual_user():
        reply = await http.get(server.url)
        assert (reply.status_code, reply.error_code) == (0, 1000)
        assert reply.error == "the server speaks only HTTP/2: run with http2: only"


@pytest.mark.parametrize(("said", "words"), [
    ([End.CLOSE], "connection (closed|reset) by the server before any response"),
    ([BEGIN, End.CLOSE], "connection (closed|reset) by the server before any response"),
    ([BEGIN + frame(GOAWAY, b"\0" * 8, stream=0), End.CLOSE], "http2: the server ended the connection: NO_ERROR"),
    ([BEGIN + frame(PUSH_PROMISE), End.CLOSE], "http2: connection error PROTOCOL_ERROR: a push, "),
])  # fmt: skip
async def test_a_server_that_ends_it_before_it_is_asked(said: list[Step], words: str) -> None:
    """Whether the request has been written by then or not, the words are the same."""
    async with Server(said, when="connect") as server, virtual_user(http2="only") as vu:
        assert re.match(words, (await http.get(server.url)).error)
        place = await vu.client.dial(parse_target(server.url).origin, perf_counter() + 5, vu.session.pool)
        await asyncio.sleep(0.05)
        await place.send(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n", perf_counter() + 5, is_head=False)
        assert place.failure is not None
        assert re.match(words, place.failure.text)


@pytest.mark.parametrize("code", [0, 11])
async def test_goaway_sends_what_was_not_begun_elsewhere(code: int) -> None:
    """Streams up to the last one finish, those behind it are asked for again, POSTs too, and so are new ones."""

    async def leave(peer: Peer, asked: Asked) -> None:
        if asked.connection > 1 or asked.number == 1:
            await asyncio.sleep(0.05 if asked.connection == 1 else 0)
            await echo(peer, asked)
        elif asked.number == 7:
            peer.goaway(1, code)

    async with Http2Server(leave) as server, virtual_user(http2="only") as vu:
        replies = await http.batch([http.Request("POST", f"{server.url}/{number}") for number in range(4)])
        assert [(reply.text, reply.error) for reply in replies] == [(f"/{number}", "") for number in range(4)]
        assert vu.failed() == (0, 4)
        await http.get(server.url)
    assert [asked.connection for asked in server.asked] == [1] * 4 + [2] * 4
    assert len(server.peers) == 2


async def test_goaway_with_an_error_names_it() -> None:
    """What was processed and never answered fails with the code and the words of the server."""

    async def leave(peer: Peer, asked: Asked) -> None:
        peer.goaway(asked.number, 11, b"too_many_pings")
        peer.close()

    async with Http2Server(leave) as server, virtual_user(http2="only") as vu:
        reply = await http.get(server.url)
        assert (reply.status_code, reply.error_code) == (0, 1622)
        assert reply.error == "http2: the server ended the connection: ENHANCE_YOUR_CALM ('too_many_pings')"
        assert vu.failed() == (1, 1)


async def test_a_server_that_always_goes_away() -> None:
    """Once more is enough."""

    async def leave(peer: Peer, asked: Asked) -> None:
        peer.goaway(0)
        peer.close()

    async with Http2Server(leave) as server, virtual_user(http2="only") as vu:
        assert (await http.get(server.url)).error_code == 1611
        assert vu.failed() == (1, 1)
    assert len(server.asked) == 2


@pytest.mark.parametrize("times", [1, 2])
async def test_a_refused_stream_is_asked_for_once_more(times: int) -> None:
    """The server says that it has not begun with it, so a POST is safe as well; its time and bytes count."""

    async def refuse(peer: Peer, asked: Asked) -> None:
        if asked.number < 2 * times:
            await asyncio.sleep(0.02)
            peer.reset(asked, 7)
        else:
            await ok(peer, asked)

    async with Http2Server(refuse) as server, virtual_user(http2="only") as vu:
        reply = await http.post(server.url, content=b"x" * 1000)
        assert (reply.text, reply.error_code) == (("ok", 0) if times == 1 else ("", 1638))
        assert reply.timings.waiting > 15 * times
        assert vu.count("data_sent") > 2000
        assert (await http.get(server.url)).text == "ok"
        assert [len(each.places) for each in vu.client.settings.open] == [1]  # type: ignore[attr-defined]
    assert len(server.peers) == 1


async def test_places_that_the_server_takes_back() -> None:
    """A connection that allows fewer streams than before gets fewer: others go over another one."""

    async def shrink(peer: Peer, asked: Asked) -> None:
        await asyncio.sleep(0.02)  # h2 takes the answer to its first settings for one to these
        peer.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        peer.flush()
        await asyncio.sleep(0.03)
        await echo(peer, asked)

    async with Http2Server(shrink) as server, virtual_user(http2="only") as vu:
        for _ in range(3):
            replies = await http.batch([f"{server.url}/{number}" for number in range(4)])
            assert [reply.text for reply in replies] == [f"/{number}" for number in range(4)]
        assert vu.failed() == (0, 12)
    assert 2 <= len(server.peers) <= 5


@pytest.mark.parametrize("stream", [False, True])
async def test_a_timeout_ends_its_stream_alone(stream: bool) -> None:
    """The server is told to stop; what is answered at the same time comes, over the same connection."""

    async def stall(peer: Peer, asked: Asked) -> None:
        if asked.path == "/slow":
            peer.head(asked)
            await peer.body(asked, b"x", end=False)
        else:
            await asyncio.sleep(0.15)
            await ok(peer, asked)

    async with Http2Server(stall) as server, virtual_user(http2="only") as vu:
        other = asyncio.create_task(http.get(server.url))
        await asyncio.sleep(0.01)
        reply = await http.get(f"{server.url}/slow", timeout=0.1, stream=stream)
        if stream:
            await reply.aread()
        assert (reply.status_code, reply.error_code, reply.error) == (0, 1050, "request timeout")
        assert (await other).text == "ok"
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (1, 3)
    assert server.resets == [(3, 8)]
    assert len(server.peers) == 1


async def test_a_silent_connection_is_left() -> None:
    """When nothing at all comes any more, the next request has another connection."""

    async def silent(peer: Peer, asked: Asked) -> None:
        if asked.path == "/":
            await ok(peer, asked)

    async with Http2Server(silent) as server, virtual_user(http2="only"):
        assert (await http.get(server.url)).text == "ok"
        assert (await http.get(f"{server.url}/silent", timeout=0.1)).error_code == 1050
        assert (await http.get(server.url)).text == "ok"
    assert [asked.connection for asked in server.asked] == [1, 1, 2]
    assert server.resets == [(3, 8)]


async def test_a_server_that_takes_nothing() -> None:
    """An upload without room runs into its deadline, and costs no more memory than the upload."""
    server = Http2Server(ok, acknowledge=False)
    async with server, virtual_user(http2="only") as vu:
        started = perf_counter()
        reply = await http.post(server.url, content=b"x" * 1_000_000, timeout=0.2)
        assert reply.error_code == 1050
        assert 0.19 < perf_counter() - started < 0.5
        assert vu.count("data_sent") < 67_000


async def test_a_lost_connection_fails_all_its_streams() -> None:
    """With the words and codes of HTTP/1; the next request has a new one."""

    async def drop(peer: Peer, asked: Asked) -> None:
        if asked.number < 5:
            return
        if asked.path == "/abort":
            peer.writer.transport.abort()
        else:
            peer.close()

    async with Http2Server(drop) as server, virtual_user(http2="only") as vu:
        for path in ("/close", "/abort"):
            replies = await http.batch([server.url + path] * 3)
            assert {reply.status_code for reply in replies} == {0}
            assert all(reply.error.startswith("connection ") for reply in replies)
            assert {reply.error_code for reply in replies} <= {1000, 1220}
        server.answer = ok
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (6, 7)
    assert len(server.peers) == 3


async def test_a_connection_that_ended_while_it_rested() -> None:
    """Nobody notices; and one that ends as it is used again is asked for once more, if that is safe."""

    async def last(peer: Peer, asked: Asked) -> None:
        if asked.path == "/now":
            peer.writer.transport.abort()
            return
        await ok(peer, asked)
        if asked.path == "/rest":
            peer.close()

    async with Http2Server(last) as server, virtual_user(http2="only") as vu:
        for _ in range(3):
            assert (await http.get(f"{server.url}/rest")).text == "ok"
            await asyncio.sleep(0.02)
        assert vu.failed() == (0, 3)
        assert len(server.peers) == 3
        await http.get(server.url)
        assert (await http.post(f"{server.url}/now")).status_code == 0
        assert len(server.peers) == 4
        await http.get(server.url)
        assert (await http.get(f"{server.url}/now")).status_code == 0  # asked twice
        assert len(server.peers) == 6


async def test_nobody_listens() -> None:
    """One dial for all, and its failure is each one's."""
    async with virtual_user(http2="only") as vu:
        replies = await http.batch([f"http://127.0.0.1:{free_port()}"] * 5)
        assert [reply.error_code for reply in replies] == [1212] * 5
        assert vu.failed() == (5, 5)


async def test_a_cancelled_request_ends_its_stream_alone() -> None:
    """The iteration is cut off: its request counts as failed, the connection stays."""

    async def stall(peer: Peer, asked: Asked) -> None:
        if asked.path != "/slow":
            await ok(peer, asked)

    async with Http2Server(stall) as server, virtual_user(http2="only") as vu:
        slow = asyncio.create_task(http.get(f"{server.url}/slow"))
        await asyncio.sleep(0.02)
        slow.cancel()
        await asyncio.wait([slow])
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (1, 2)
        assert [len(each.streams) for each in vu.client.settings.open] == [0]  # type: ignore[attr-defined]
    assert server.resets == [(1, 8)]
    assert len(server.peers) == 1


async def test_a_flood_costs_little_memory() -> None:
    """Of a server that sends on and on and reads nothing."""

    async def flood(peer: Peer, asked: Asked) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        data = frame(PING, b"x" * 8, stream=0) * 1000
        for _ in range(100):
            peer.raw(data)
            await asyncio.sleep(0)

    async with Http2Server(flood) as server, virtual_user(http2="only"):
        with PeakMemory() as peak:
            assert (await http.get(server.url)).error_code == 1662
        assert peak.bytes < 8 * 1024 * 1024


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=60) | st.sampled_from([head(*OK), frame(DATA, b"x", 1)]), max_size=5))
def test_no_bytes_crash_it(pieces: list[bytes]) -> None:
    """Anything may come behind the settings: a response or a failure with words, never an exception or a hang."""

    async def scenario() -> None:
        steps: list[Step] = [BEGIN, *pieces, End.CLOSE]
        async with Server(steps, when="bytes") as server, virtual_user(http2="only"):
            reply = await http.get(server.url, timeout=2)
            assert reply.status_code == 200 or reply.error

    run(scenario)


async def test_priorities_are_read_over() -> None:
    """Nobody uses them any more (RFC 9113 5.3)."""
    block = Encoder().encode([*OK, ("content-length", "2")])
    data = (
        frame(HEADERS, b"\x02" + b"\0\0\0\0\x10" + block + b"\0\0", 0x2C)
        + frame(2, b"\0\0\0\0\x10")
        + frame(DATA, b"ok", 1)
    )
    async with Http2Server(first_raw(data)) as server, virtual_user(http2="only"):
        assert (await http.get(server.url)).text == "ok"


async def test_a_response_in_every_split() -> None:
    """However its bytes come, it says the same."""
    whole = BEGIN + head(*OK, ("content-length", "2")) + frame(DATA, b"o") + frame(PING, b"x" * 8, stream=0)
    whole += frame(DATA, b"\x01k\0", 9)
    for cut in range(len(whole)):
        steps: list[Step] = [whole[:cut], whole[cut:]] if cut else [bytes([each]) for each in whole]
        async with Server([*steps, End.STALL], when="bytes") as server, virtual_user(http2="only"):
            assert (await http.get(server.url, timeout=2)).text == "ok"
