"""HTTP/2 against a server that answers as it should: what is sent, what comes back, and what is measured of it."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from time import perf_counter

import pytest
from h2.settings import SettingCodes

from ciload import http
from ciload.http.client import renew_connections
from tests.http.certificates import Authority
from tests.http.http2_server import Asked, Http2Server, Peer, echo, ok
from tests.http.server import Server, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("trusted"), "HTTP2 Test CA")


@pytest.fixture
def tls(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    return authority.server_context("127.0.0.1")


async def test_over_tls_it_is_found_by_asking(tls: ssl.SSLContext) -> None:
    """`auto`: TLS says what the server speaks; the dialing is in the first request's times alone."""
    async with Http2Server(ok, tls=tls) as server, virtual_user(http2="auto") as vu:
        replies = [await http.get(server.url) for _ in range(3)]
        assert [(reply.text, reply.http_version, reply.reason_phrase) for reply in replies] == [("ok", "2", "OK")] * 3
        first, second, _ = [reply.timings for reply in replies]
        assert first.tls_handshaking > 0
        assert first.connecting > 0
        assert first.blocked >= first.tls_handshaking + first.connecting
        assert (second.blocked, second.connecting, second.tls_handshaking) == (0, 0, 0)
        assert second.waiting > 0
        assert vu.failed() == (0, 3)
    assert [asked.number for asked in server.asked] == [1, 3, 5]


async def test_a_server_of_http1_is_spoken_to_as_before(tls: ssl.SSLContext) -> None:
    """`auto`: requests at once have a connection each, and keep it."""
    tls.set_alpn_protocols(["http/1.1"])
    async with Server(response(b"ok"), tls=tls) as server, virtual_user(http2="auto") as vu:
        for _ in range(2):
            replies = await http.batch([server.url] * 4)
            assert [(reply.text, reply.http_version) for reply in replies] == [("ok", "1.1")] * 4
        assert vu.failed() == (0, 8)
    assert server.connections == 4


async def test_without_tls_auto_is_http1() -> None:
    """Nobody can be asked there."""
    async with Server(response(b"ok")) as server, virtual_user(http2="auto"):
        assert (await http.get(server.url)).http_version == "1.1"


async def test_prior_knowledge_and_the_head_as_it_is_sent() -> None:
    """`only` over http://; names are in lower case, and what is HTTP/1's own is not sent."""
    async with Http2Server(ok) as server, virtual_user(http2="only"):
        url = f"{server.url}/a%20b?c=d"
        headers = {"X-One": "1", "TE": "gzip", "Keep-Alive": "x", "Authorization": "secret", "X-Empty": ""}
        assert (await http.get(url, headers=headers, cookies={"a": "b"})).text == "ok"
        assert (await http.post(url, json={}, headers={"Host": "other", "te": "trailers"})).text == "ok"
    sent, posted = [asked.headers for asked in server.asked]
    host = server.url.removeprefix("http://")
    assert sent[:4] == [(":method", "GET"), (":scheme", "http"), (":path", "/a%20b?c=d"), (":authority", host)]
    assert dict(sent[4:]) == {
        "x-one": "1", "authorization": "secret", "x-empty": "", "user-agent": dict(sent)["user-agent"], "cookie": "a=b",
    }  # fmt: skip
    assert (dict(posted)[":authority"], dict(posted)["te"]) == ("other", "trailers")
    assert (dict(posted)["content-length"], bytes(server.asked[1].body)) == ("2", b"{}")


async def test_long_values_and_many_of_them() -> None:
    """Heads beyond one frame go on in the next; lengths beyond a byte are told rightly."""
    headers = {f"x-{number}": "v" * number for number in (126, 127, 128, 254, 255, 256, 16_511, 30_000)}
    async with Http2Server(ok) as server, virtual_user(http2="only"):
        assert (await http.get(f"{server.url}/{'p' * 500}", headers=headers)).text == "ok"
    assert headers.items() <= dict(server.asked[0].headers).items()


async def test_requests_at_once_share_one_connection(tls: ssl.SSLContext) -> None:
    """The first of them dials; that the others have waited for it is their `blocked`, and nothing else."""

    async def slowly(peer: Peer, asked: Asked) -> None:
        await asyncio.sleep(0.05)
        await echo(peer, asked)

    async with Http2Server(slowly, tls=tls) as server, virtual_user(http2="auto") as vu:
        started = perf_counter()
        replies = await http.batch([f"{server.url}/{number}" for number in range(6)])
        assert perf_counter() - started < 0.2
        assert [reply.text for reply in replies] == [f"/{number}" for number in range(6)]
        dialed = [reply.timings for reply in replies if reply.timings.connecting]
        waited = [reply.timings for reply in replies if not reply.timings.connecting]
        assert len(dialed) == 1
        assert all(timings.blocked > 0 and timings.tls_handshaking == 0 for timings in waited)
        again = await http.batch([f"{server.url}/{number}" for number in range(6)])
        assert all(reply.timings.blocked == 0 for reply in again)
        assert vu.failed() == (0, 12)
    assert len(server.peers) == 1
    assert server.streams_most == 6


async def test_a_full_connection_gets_another_beside_it() -> None:
    """No more streams than the server takes; what is too much for one connection goes over others, as in Go."""
    busy: dict[int, int] = {}

    async def slowly(peer: Peer, asked: Asked) -> None:
        busy[peer.number] = busy.get(peer.number, 0) + 1
        assert busy[peer.number] <= 2
        await asyncio.sleep(0.02)
        busy[peer.number] -= 1
        await echo(peer, asked)

    settings: dict[SettingCodes | int, int] = {SettingCodes.MAX_CONCURRENT_STREAMS: 2}
    async with Http2Server(slowly, settings=settings) as server, virtual_user(http2="only") as vu:
        for _ in range(2):
            replies = await http.batch([f"{server.url}/{number}" for number in range(6)])
            assert [reply.text for reply in replies] == [f"/{number}" for number in range(6)]
        assert vu.failed() == (0, 12)
    assert 3 <= len(server.peers) <= 4  # before it has said so, one more may have been taken for free


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3 * MIB])
@pytest.mark.parametrize("window", [1, 65_535, 8 * MIB])
async def test_bodies_in_both_directions(size: int, window: int) -> None:
    """Whatever room the server has for them, bodies arrive whole."""
    if window == 1:
        size = min(size, 500)
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    settings: dict[SettingCodes | int, int] = {SettingCodes.INITIAL_WINDOW_SIZE: window}

    async def back(peer: Peer, asked: Asked) -> None:
        await peer.answer(asked, bytes(asked.body))

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, size, 100_000):
            yield body[at : at + 100_000]

    async with Http2Server(back, settings=settings) as server, virtual_user(http2="only") as vu:
        assert (await http.post(server.url, content=body)).content == body
        assert (await http.post(server.url, content=pieces())).content == body
        assert (await http.post(server.url, content=pieces(), headers={"Content-Length": str(size)})).content == body
        assert 3 * size < vu.count("data_sent") < 3 * size * (1.01 if window > 1 else 11) + 1500
        assert 3 * size < vu.count("data_received") < 3 * size * 1.01 + 500
    assert ["content-length" in dict(asked.headers) for asked in server.asked] == [True, False, True]


async def test_settings_that_change_in_the_middle_of_an_upload() -> None:
    """The window of streams under way moves with it, below zero as well, and larger frames are used."""

    async def wavering(peer: Peer, asked: Asked) -> None:
        await asyncio.sleep(0.02)
        for window in (10, 50_000, 2 * MIB):
            peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.MAX_FRAME_SIZE: 50_000})
            peer.flush()
            await asyncio.sleep(0.02)
        peer.h2.increment_flow_control_window(MIB)
        peer.flush()
        await asked.ended.wait()
        await peer.answer(asked, str(len(asked.body)).encode())

    server = Http2Server(wavering, whole=False, acknowledge=False)
    async with server, virtual_user(http2="only"):
        assert (await http.post(server.url, content=b"x" * MIB)).text == str(MIB)


@pytest.mark.parametrize("secure", [False, True])
async def test_a_server_that_gives_room_and_does_not_read(tls: ssl.SSLContext, secure: bool) -> None:
    """What the kernel has no room for is sent later, and `sending` lasts until then, for a head behind it as well."""

    async def slow(peer: Peer, asked: Asked) -> None:
        if asked.path == "/":
            peer.h2.increment_flow_control_window(64 * MIB)
            peer.h2.increment_flow_control_window(64 * MIB, asked.number)
            peer.flush()
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(0.2)
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await asked.ended.wait()
        await peer.answer(asked, str(len(asked.body)).encode())

    server = Http2Server(slow, tls=tls if secure else None, whole=False, acknowledge=False)
    async with server, virtual_user(http2="only") as vu:
        upload = asyncio.create_task(http.post(server.url, content=b"x" * 16 * MIB))
        await asyncio.sleep(0.15)
        behind = await http.get(f"{server.url}/behind")
        reply = await upload
        assert reply.text == str(16 * MIB)
        assert reply.timings.sending > 180
        assert behind.text == "0"
        assert behind.timings.sending > 30
        assert vu.failed() == (0, 2)


async def test_a_server_without_room_for_a_table_of_headers() -> None:
    """Requests use none, and say so before the server has asked for it."""
    async with Http2Server(ok, settings={SettingCodes.HEADER_TABLE_SIZE: 0}) as server, virtual_user(http2="only"):
        for _ in range(3):
            assert (await http.get(server.url)).text == "ok"


async def test_an_early_answer_is_kept() -> None:
    """The server has read enough: its answer counts, it wants no more of the upload, and the connection goes on."""

    async def early(peer: Peer, asked: Asked) -> None:
        await peer.answer(asked, b"enough", status="413")
        if asked.path == "/" and not asked.ended.is_set():
            peer.reset(asked, 0)

    async def forever() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000
            await asyncio.sleep(0)

    async with Http2Server(early, whole=False, acknowledge=False) as server, virtual_user(http2="only"):
        for content in (b"x" * MIB, forever(), b"x"):
            reply = await http.post(server.url, content=content)
            assert (reply.status_code, reply.text, reply.error) == (413, "enough", "")
        for content in (b"x" * MIB, forever()):
            assert (await http.post(f"{server.url}/quiet", content=content)).status_code == 413
        await http.get(server.url)
        assert [code for number, code in server.resets if number > 5] == [8, 8]
    assert len(server.peers) == 1


async def test_what_may_come_around_a_response() -> None:
    """Interim responses, trailers, padding, HEAD, 204 and 304."""

    async def odd(peer: Peer, asked: Asked) -> None:
        if asked.path == "/empty":
            peer.head(asked, ("content-length", "5"), status="304", end=True)
        elif asked.path == "/head":
            peer.head(asked, ("content-length", "5"), end=True)
        else:
            peer.head(asked, ("link", "</a>"), status="103")
            peer.head(asked, ("content-type", "a/b"), ("x-twice", "1"), ("x-twice", "2"))
            await peer.body(asked, b"x" * 40_000, end=False, padding=200)
            peer.h2.send_headers(asked.number, [("x-checksum", "1")], end_stream=True)
            peer.flush()

    async with Http2Server(odd) as server, virtual_user(http2="only") as vu:
        for _ in range(2):
            reply = await http.get(server.url)
            assert (reply.status_code, reply.content, reply.error) == (200, b"x" * 40_000, "")
            assert reply.headers["X-Twice"] == "1, 2"
            assert "x-checksum" not in reply.headers
            assert (await http.head(f"{server.url}/head")).headers["content-length"] == "5"
            assert (await http.get(f"{server.url}/empty")).status_code == 304
        assert vu.failed() == (0, 6)


async def test_redirects_cookies_and_codings() -> None:
    """Heads say the same as in HTTP/1."""

    async def moved(peer: Peer, asked: Asked) -> None:
        if asked.path == "/":
            await peer.answer(asked, b"", ("location", "/next"), ("set-cookie", "a=b"), status="302")
        else:
            await peer.answer(asked, b"\x03\x00", ("content-encoding", "deflate"))

    async with Http2Server(moved) as server, virtual_user(http2="only"):
        reply = await http.get(server.url)
        assert (reply.url, reply.content, reply.error) == (f"{server.url}/next", b"", "")
    assert dict(server.asked[1].headers)["cookie"] == "a=b"


async def test_long_bodies_are_cut() -> None:
    """As much as may be kept, and a flag; nothing at all where bodies are discarded."""

    async def long(peer: Peer, asked: Asked) -> None:
        await peer.answer(asked, b"x" * 100_000)

    async with Http2Server(long) as server:
        async with virtual_user(http2="only", max_body_kept=70_000):
            reply = await http.get(server.url)
            assert (len(reply.content), reply.truncated) == (70_000, True)
        async with virtual_user(http2="only", discard_bodies=True):
            reply = await http.get(server.url)
            assert (reply.content, reply.truncated) == (b"", False)


async def test_a_stream_that_is_not_read_makes_the_server_wait() -> None:
    """It gets no room for more than two MiB; the other streams go on, and what is read at last is all there."""
    sent: list[int] = []

    async def endless(peer: Peer, asked: Asked) -> None:
        if asked.path == "/other":
            await peer.answer(asked, b"x" * 4 * MIB)
            return
        peer.head(asked)
        for number in range(80):
            await peer.body(asked, b"y" * (MIB // 10), end=number == 79)
            sent.append(number)

    async with Http2Server(endless) as server, virtual_user(http2="only") as vu:
        reply = await http.get(server.url, stream=True)
        for _ in range(6):
            assert len((await http.get(f"{server.url}/other")).content) == 4 * MIB
        assert 9 <= len(sent) <= 20
        assert vu.session.pool.streams
        assert sum([len(piece) async for piece in reply.aiter_bytes()]) == 80 * (MIB // 10)
        assert vu.failed() == (0, 7)
    assert len(server.peers) == 1


async def test_a_stream_that_nobody_reads_on_is_ended_alone() -> None:
    """The server is told, and the connection goes on."""

    async def endless(peer: Peer, asked: Asked) -> None:
        peer.head(asked)
        await peer.body(asked, b"y" * 8 * MIB)

    async with Http2Server(endless) as server, virtual_user(http2="only") as vu:
        async with await http.get(server.url, stream=True) as reply:
            assert [len(piece) > 0 async for piece in _first(reply.aiter_bytes())] == [True]
        server.answer = ok
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (0, 2)
    assert server.resets == [(1, 8)]
    assert len(server.peers) == 1


async def _first(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
        return


async def test_connection_close_of_the_script_is_kept_to() -> None:
    """The connection ends with that request, and the next one has another."""
    async with Http2Server(ok) as server, virtual_user(http2="only"):
        for _ in range(3):
            assert (await http.get(server.url, headers={"Connection": "close"})).text == "ok"
    assert [asked.connection for asked in server.asked] == [1, 2, 3]
    assert "connection" not in dict(server.asked[0].headers)


async def test_connections_are_renewed_and_closed_with_the_virtual_user() -> None:
    """Side by side, a virtual user begins each pair on new connections; in the end none is left."""
    async with Http2Server(ok) as server:
        async with virtual_user(http2="only") as vu:
            await http.get(server.url)
            await renew_connections(vu.session)
            reply = await http.get(server.url)
            assert reply.timings.blocked == 0
        await asyncio.sleep(0.05)
        assert all(peer.writer.is_closing() for peer in server.peers)
    assert [asked.connection for asked in server.asked] == [1, 2]


def test_http2_costs_nothing_where_it_is_off() -> None:
    """Its modules are not even imported."""
    code = "import sys, ciload.engine.run; assert not {'hpack', 'h2', 'ciload.http.http2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
