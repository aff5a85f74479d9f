"""httpx on our connections: what is measured, how requests are named, time-outs, errors, and how streams end."""

from __future__ import annotations

import asyncio
import gc
import gzip
import ssl
import weakref
from collections.abc import AsyncIterator, Coroutine
from time import perf_counter
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload import http, httpx_transport
from ciload.errors import NoTargetError
from ciload.http.httpx_sync import SyncHttpxTransport
from ciload.http.network import Network
from ciload.http.proxies import find_proxies
from ciload.http.request import RequestDefaults
from ciload.http.session import NoVirtualUserError
from tests.http.certificates import Authority
from tests.http.http2_server import Http2Server, ok
from tests.http.server import Answer, End, Pause, Received, Server, Step, free_port, in_turn, response
from tests.http.vu import run, virtual_user

pytestmark = pytest.mark.anyio

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ONE = b"3\r\none\r\n"
OK = response(b"ok")


def client(**options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx_transport(), **options)


def echo(request: Received) -> bytes:
    return response(request.body)


# --- what is sent, and what is measured


async def test_it_is_a_transport_of_httpx() -> None:
    """Whoever asks is told so."""
    assert isinstance(httpx_transport(), httpx.AsyncBaseTransport)


async def test_the_same_goes_out_as_from_httpx() -> None:
    """All headers, once each and as httpx gives them; nothing of ours besides."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    seen = []
    async with Server(echo) as server, virtual_user() as vu:
        vu.session.jar.store(["ours=1; Path=/"], vu.client.preparer.prepare(("GET", server.url, ())).target)
        for transport in (httpx.AsyncHTTPTransport(), httpx_transport()):
            async with httpx.AsyncClient(transport=transport, base_url=server.url, cookies={"own": "1"}) as own:
                await own.get("/a?b=%20c&d=ä#e", headers=[(b"X-Twice", b"1"), (b"X-Twice", b"2"), (b"x", b"\xe4")])
                await own.post("/", json={"a": 1})
                await own.post("/")
                await own.request("DELETE", "/", content=b"x")
                await own.put("/", content=pieces())
            seen.append([(each.method, each.target, sorted(each.headers), each.body) for each in server.requests])
            server.requests.clear()
    assert seen[0] == seen[1]


async def test_it_is_measured_as_other_requests_are() -> None:
    """Endpoints, statuses, bytes, phases; connections are those of the virtual user, whatever client is used."""
    answers = in_turn(OK, OK, response(b"no", status="404 Not Found"), OK)
    async with Server(answers) as server, virtual_user(base_url=server.url) as vu:
        async with client(base_url=server.url) as first:
            await first.get("/a?b=1")
        async with client() as second:
            await second.get(f"{server.url}/a?b=2")
            assert (await second.post(f"{server.url}/b", content=b"xyz")).text == "no"
        await http.get("/a")
        assert vu.names == {"/a", "/b"}
        assert vu.count(name="/a", method="GET", status="200") == 3
        assert vu.failed(name="/b", error_code="1404") == (1, 1)
        assert vu.count("data_received") == 3 * len(OK) + len(response(b"no", status="404 Not Found"))
        assert vu.count("data_sent") == sum(len(each.head + each.body) for each in server.requests)
        dialed = vu.snapshot().trend("http_req_connecting")
        assert (dialed.count, dialed.smallest, dialed.largest > 0) == (4, 0, True)
    assert server.connections == 1


async def test_names_and_tags() -> None:
    """Of a request, in its extensions; of all requests of a client, by a function and tags of the transport."""
    transport = httpx_transport(
        name=lambda request: "/users/{id}" if request.url.path.startswith("/users/") else None, tags={"sdk": "own"}
    )
    async with Server(OK) as server, virtual_user(base_url=server.url) as vu:
        async with httpx.AsyncClient(transport=transport, base_url=server.url) as own:
            await own.get("/users/1")
            await own.get("/orders")
            await own.get("/users/2", extensions={"ciload": {"name": "one user", "tags": {"tier": "read"}}})
            await own.get("/users/3", extensions={"ciload": {"tags": {"tier": "read"}}})
            with pytest.raises(ValueError, match='"name", "tags" or both'):
                await own.get("/users/4", extensions={"ciload": {"nmae": "x"}})
        assert vu.names == {"/users/{id}", "/orders", "one user"}
        assert vu.count(sdk="own") == 4
        assert vu.count(tier="read") == 2


async def test_cookies_are_the_clients_alone() -> None:
    """What a server sets is known to that client, and to nobody else."""
    async with Server(response(b"", "Set-Cookie: a=1")) as server, virtual_user() as vu:
        async with client() as own:
            for _ in range(2):
                await own.get(server.url)
            async with own.stream("GET", server.url) as reply:
                await reply.aread()
            assert dict(own.cookies) == {"a": "1"}
        assert not vu.session.jar
        await http.get(server.url)
    assert [each.header("cookie") for each in server.requests] == [None, "a=1", "a=1", None]


async def test_what_the_run_says_holds() -> None:
    """Addresses of hosts, headers of all requests unless the client has its own, and connections that are not kept."""
    defaults = RequestDefaults((("x-run", "1"), ("accept", "text/plain")), "ciload", reuse=False)
    async with Server(OK) as server:
        network = Network(hosts={"api.test": f"127.0.0.1:{server.port}"})
        async with virtual_user(network=network, defaults=defaults), client() as own:
            for _ in range(2):
                await own.get("http://api.test/")
        seen = server.requests[0]
        assert (seen.header("host"), seen.header("x-run"), seen.header("accept")) == ("api.test", "1", "*/*")
        assert seen.header("connection") == "close"
        assert seen.header("user-agent") == own.headers["user-agent"]
    assert server.connections == 2


async def test_http2(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All requests of the virtual user share one connection; a time-out ends a stream alone."""
    authority = Authority.create(tmp_path, "httpx Test CA")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    tls: ssl.SSLContext = authority.server_context("127.0.0.1")
    async with Http2Server(ok, tls=tls) as server, virtual_user(http2="auto") as vu, client() as own:
        replies = await asyncio.gather(*(own.get(server.url) for _ in range(5)))
        assert [(reply.text, reply.http_version) for reply in replies] == [("ok", "HTTP/2")] * 5
        async with own.stream("POST", server.url, content=b"x" * 200_000) as reply:
            assert await reply.aread() == b"ok"
        assert vu.failed() == (0, 6)
    assert {asked.connection for asked in server.asked} == {1}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=12))
def test_paths_are_those_of_httpx(text: str) -> None:
    """Whatever httpx makes of a path and a query is what goes out."""

    async def scenario() -> None:
        async with Server(OK) as server, virtual_user(), client() as own:
            url = httpx.URL(f"{server.url}/{text}")
            await own.get(url)
            assert server.targets == [url.raw_path.decode()]

    run(scenario)


# --- streams


async def test_pieces_come_when_they_are_sent() -> None:
    """The reply is there with its head, bodies are as they were sent, and the sample has the time to the last byte."""
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    steps: list[Step] = [head, Pause(0.1), packed[:10], Pause(0.1), packed[10:]]
    async with Server(steps) as server, virtual_user() as vu, client() as own:
        started = perf_counter()
        async with own.stream("GET", server.url) as reply:
            assert perf_counter() - started < 0.09
            assert vu.count() == 0
            seen = [(piece, perf_counter() - started) async for piece in reply.aiter_raw()]
        assert b"".join(piece for piece, _ in seen) == packed
        assert 0.09 < seen[0][1] < 0.19 < seen[-1][1]
        assert vu.failed() == (0, 1)
        assert vu.snapshot().trend("http_req_receiving").largest > 190
        assert (await own.get(server.url)).text == "hello"
    assert server.connections == 1


async def test_a_stream_that_is_left_early() -> None:
    """Its connection ends, what had come counts, and it is no failure; so too when nobody closes it."""
    async with Server([CHUNKED + ONE, End.STALL]) as server, virtual_user() as vu, client() as own:
        async with own.stream("GET", server.url) as reply:
            async for piece in reply.aiter_bytes():
                assert piece == b"one"
                break
        assert vu.failed() == (0, 1)
        assert not any(vu.session.pool.idle.values())
        left = await own.send(own.build_request("GET", server.url), stream=True)
        assert (left.status_code, vu.count()) == (200, 1)
        vu.session.pool.close_streams()  # as at the end of an iteration
        assert vu.failed() == (0, 2)
    assert server.connections == 2


async def test_the_rest_of_a_stream() -> None:
    """Whoever has enough of a body may read the rest for the sake of the connection, as openai's library does."""
    async with Server([CHUNKED + ONE, Pause(0.05), b"0\r\n\r\n"]) as server, virtual_user() as vu, client() as own:
        for _ in range(2):
            async with own.stream("GET", server.url) as reply:
                async for piece in reply.aiter_raw():
                    assert piece == b"one"
                    break
                assert isinstance(reply.stream, httpx.AsyncByteStream)
                assert [piece async for piece in reply.stream] == []
        assert vu.failed() == (0, 2)
    assert server.connections == 1


async def test_a_body_that_nobody_reads_is_waited_with() -> None:
    """The read time-out runs while somebody waits for a piece, and not while the script does something else."""
    steps: list[Step] = [CHUNKED + ONE, Pause(0.3), b"3\r\ntwo\r\n0\r\n\r\n"]
    async with Server(steps) as server, virtual_user() as vu, client(timeout=0.2) as own:
        async with own.stream("GET", server.url) as reply:
            await asyncio.sleep(0.4)
            assert await reply.aread() == b"onetwo"
        assert vu.failed() == (0, 1)
        with pytest.raises(httpx.ReadTimeout):
            await own.get(server.url)
        assert vu.failed() == (1, 2)


async def test_uploads() -> None:
    """What is made while it is sent takes as long as it takes; an error in making it is the script's own."""

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.1)
            yield b"abc"

    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise LookupError("no more")

    async with Server(echo) as server, virtual_user() as vu, client(timeout=0.15) as own:
        assert (await own.post(server.url, content=slow())).content == b"abc" * 3
        assert (await own.post(server.url, content=b"x" * 3_000_000)).content == b"x" * 3_000_000
        with pytest.raises(LookupError, match="no more"):
            await own.post(server.url, content=broken())
        assert vu.failed() == (1, 3)


async def test_responses_leave_no_garbage() -> None:
    """Nobody has to wait for a collection: a response is gone with the last who knows it."""
    slow: Answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Pause(0.01), b"ok"]
    async with Server(in_turn(OK, slow)) as server, virtual_user(), client() as own:
        gc.disable()
        try:
            for _ in range(2):
                reply = await own.get(server.url)
                assert reply.text == "ok"
                known = weakref.ref(reply)
                del reply
                assert known() is None
        finally:
            gc.enable()


# --- what goes wrong


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        ([End.STALL], httpx.ReadTimeout, 1050),
        ([CHUNKED, End.STALL], httpx.ReadTimeout, 1050),
        ([CHUNKED + ONE, End.STALL], httpx.ReadTimeout, 1050),
        ([End.CLOSE], httpx.RemoteProtocolError, 1000),
        ([CHUNKED + ONE, Pause(0.02), End.CLOSE], httpx.RemoteProtocolError, 1000),
        ([End.RESET], httpx.ReadError, 1220),
        ([CHUNKED + ONE, Pause(0.02), End.RESET], httpx.ReadError, 1220),
        (b"SSH-2.0-OpenSSH\r\n\r\n", httpx.RemoteProtocolError, 1000),
        ([CHUNKED + b"x\r\n", End.STALL], httpx.RemoteProtocolError, 1000),
    ],
)
async def test_what_the_server_does_wrong(answer: Answer, error: type[Exception], code: int) -> None:
    """It is the exception that httpx's own transport raises, and one failed request with k6's code."""
    async with Server(answer) as server, virtual_user() as vu:
        for transport in (httpx.AsyncHTTPTransport(), httpx_transport()):
            async with httpx.AsyncClient(transport=transport, timeout=0.2) as own:
                with pytest.raises(error) as raised:
                    await own.get(f"{server.url}/a")
                assert isinstance(raised.value, httpx.TransportError)
                assert str(raised.value.request.url) == f"{server.url}/a"
        assert vu.failed(error_code=str(code), name=f"{server.url}/a") == (1, 1)
        assert vu.failed() == (1, 1)
        assert not any(vu.session.pool.idle.values())


async def test_nobody_is_there() -> None:
    """Refused, no such host, no TLS, a time-out of the connection: told apart, and counted without times."""
    nowhere = f"http://127.0.0.1:{free_port()}/"
    async with Server(OK, when="bytes") as server, virtual_user() as vu, client() as own:
        with pytest.raises(httpx.ConnectError, match="refused"):
            await own.get(nowhere)
        with pytest.raises(httpx.ConnectError, match="no such host"):
            await own.get("http://nobody.invalid/")
        with pytest.raises(httpx.ConnectError, match="does not speak TLS"):
            await own.get(server.url.replace("http", "https"))
        assert [vu.failed(error_code=code) for code in ("1212", "1101", "1301")] == [(1, 1)] * 3
    async with Server([End.STALL], when="connect") as silent, virtual_user() as vu, client(timeout=0.2) as own:
        with pytest.raises(httpx.ConnectTimeout):
            await own.get(silent.url.replace("http", "https"))
        assert vu.failed(error_code="1050") == (1, 1)


async def test_a_proxy_that_refuses() -> None:
    """httpx has a class for that."""
    proxies = find_proxies(f"socks5://127.0.0.1:{free_port()}", {})
    async with virtual_user(network=Network(proxies=proxies)), client() as own:
        with pytest.raises(httpx.ProxyError):
            await own.get("http://127.0.0.1:9/")


async def test_a_server_that_takes_nothing() -> None:
    """A piece that does not go out in time is a WriteTimeout."""
    async with Server(OK, when="connect") as server, virtual_user() as vu, client(timeout=0.2) as own:
        server.answer = [Pause(5)]
        with pytest.raises(httpx.WriteTimeout):
            await own.post(server.url, content=b"x" * 50_000_000)
        assert vu.failed(error_code="1050") == (1, 1)


async def test_time_outs_are_for_each_step() -> None:
    """A body may take longer than the read time-out, as long as something comes; None is no limit."""
    steps: list[Step] = [CHUNKED, *[step for _ in range(4) for step in (Pause(0.1), ONE)], b"0\r\n\r\n"]
    async with Server(steps) as server, virtual_user() as vu, client(timeout=0.25) as own:
        assert (await own.get(server.url)).content == b"one" * 4
        assert (await own.get(server.url, timeout=None)).content == b"one" * 4
        with pytest.raises(httpx.ReadTimeout):
            await own.get(server.url, timeout=httpx.Timeout(None, read=0.05))
        assert vu.failed() == (1, 3)


async def test_stale_connections_are_replaced() -> None:
    """A server that has closed a kept connection costs no request."""
    async with Server(OK) as server, virtual_user() as vu, client() as own:
        await own.get(server.url)
        await server.drop_connections()
        assert (await own.get(server.url)).text == "ok"
        assert vu.failed() == (0, 2)


async def test_cancellation() -> None:
    """A request that the script stops waiting for has failed, and its connection ends; before and within the body."""
    answers = in_turn([End.STALL], [CHUNKED + ONE, End.STALL], OK)
    async with Server(answers) as server, virtual_user() as vu, client() as own:
        for expected in (1, 2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await own.get(server.url)
            assert vu.failed(error_code="1050") == (expected, expected)
            assert not any(vu.session.pool.idle.values())
        assert (await own.get(server.url)).text == "ok"
    assert server.connections == 3


async def test_mistakes_of_the_script() -> None:
    """They send nothing and count nothing: httpx's exceptions, with words."""
    async with virtual_user(), client() as own:
        with pytest.raises(NoTargetError, match="/relative"):  # as of any other request
            await own.get("/relative")
    async with Server(OK) as server, virtual_user(base_url=server.url) as vu, client() as own:
        with pytest.raises(httpx.UnsupportedProtocol, match=r"base_url=vu\.base_url"):
            await own.get("/relative")
        with pytest.raises(httpx.LocalProtocolError, match="line break"):
            await own.get(server.url, headers={"x": "a\r\nb: c"})
        with pytest.raises(httpx.LocalProtocolError, match="invalid header name"):
            await own.get(server.url, headers={"x y": "a"})
        assert vu.count() == 0
        with pytest.raises(httpx.UnsupportedProtocol, match="'ftp'"):
            await own.get("ftp://example.test/a")
        assert vu.names == {"ftp://example.test/a"}
    assert server.requests == []


async def test_outside_of_a_virtual_user() -> None:
    """There is nobody whose request it could be."""
    async with client() as own:
        with pytest.raises(NoVirtualUserError):
            await own.get("http://127.0.0.1/")


# --- clients without await


async def test_a_client_without_await() -> None:
    """It sends, receives, streams and fails alike; here in a thread, whose calls wait for the event loop."""
    loop = asyncio.get_running_loop()

    def wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    def script(url: str) -> None:
        with httpx.Client(transport=SyncHttpxTransport(httpx_transport(), wait_for), base_url=url) as own:
            assert own.get("/").text == "ok"
            assert own.post("/", content=iter([b"a", b"b"])).text == "ok"
            with own.stream("GET", "/") as reply:
                assert list(reply.iter_raw()) == [b"one", b"two"]
            with own.stream("GET", "/") as reply:
                assert next(reply.iter_raw()) == b"one"
            with pytest.raises(httpx.ReadTimeout):
                own.get("/", timeout=0.1)

    streamed: Answer = [CHUNKED + ONE, Pause(0.05), b"3\r\ntwo\r\n0\r\n\r\n"]
    async with Server(in_turn(OK, OK, streamed, streamed, [End.STALL])) as server, virtual_user() as vu:
        await asyncio.to_thread(script, server.url)
        assert [each.body for each in server.requests] == [b"", b"ab", b"", b"", b""]
        assert vu.failed() == (1, 5)
    assert server.connections == 2


async def test_a_refusal_before_all_was_sent() -> None:
    """It is the answer, and the rest is not sent."""
    refusal = response(b"too long", "Connection: close", status="413 Content Too Large")
    async with Server([refusal, End.STALL], when="head") as server, virtual_user() as vu, client() as own:
        reply = await own.post(server.url, content=b"x" * 30_000_000)
        assert (reply.status_code, reply.text) == (413, "too long")
        assert vu.failed(error_code="1413") == (1, 1)
        assert not any(vu.session.pool.idle.values())
