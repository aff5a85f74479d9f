"""HTTP/2 against servers that are used: hypercorn, nginx; and thousands of requests, none with another's answer."""

from __future__ import annotations

import asyncio
import random
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from ciload import http
from ciload.http.http2.connection import Http2Connection
from tests.http.certificates import Authority
from tests.http.http2_server import Asked, Http2Server, Peer
from tests.http.server import free_port
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("servers"), "HTTP2 Servers CA")


@pytest.fixture
def pem(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Certificate and key of a server at 127.0.0.1, whose authority is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    authority.server_context("127.0.0.1")
    return authority.path.with_name(f"{authority.path.stem}-127.0.0.1-0.pem")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body of the request, or with its path."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    version = scope["http_version"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-version", version)]})
    await send({"type": "http.response.body", "body": body or scope["path"].encode()})


@asynccontextmanager
async def hypercorn(pem: Path | None, alpn: list[str]) -> AsyncIterator[str]:
    config, port = Config(), free_port()
    config.bind, config.alpn_protocols, config.errorlog = [f"127.0.0.1:{port}"], alpn, None
    if pem is not None:
        config.certfile = config.keyfile = str(pem)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    await asyncio.sleep(0.05)
    try:
        yield f"{'https' if pem else 'http'}://127.0.0.1:{port}"
    finally:
        stop.set()
        await serving


@pytest.mark.parametrize(("mode", "secure"), [("auto", True), ("only", True), ("only", False)])
async def test_hypercorn(pem: Path, mode: str, secure: bool) -> None:
    """Requests in a row and at once, bodies of all sizes, streams, over TLS and without."""
    async with hypercorn(pem if secure else None, ["h2", "http/1.1"]) as url, virtual_user(http2=mode) as vu:
        for number in range(5):
            reply = await http.get(f"{url}/{number}")
            assert (reply.text, reply.headers["x-version"], reply.http_version) == (f"/{number}", "2", "2")
        replies = await http.batch([f"{url}/{number}" for number in range(30)])
        assert [reply.text for reply in replies] == [f"/{number}" for number in range(30)]
        for size in (1, 70_000, 3_000_000):
            assert (await http.post(url, content=b"x" * size)).content == b"x" * size
        async with await http.post(url, content=b"x" * 3_000_000, stream=True) as streamed:
            assert sum([len(piece) async for piece in streamed.aiter_bytes()]) == 3_000_000
        assert vu.failed() == (0, 39)


async def test_hypercorn_that_speaks_http1(pem: Path) -> None:
    """`auto` takes what there is, `only` says that it is not enough."""
    async with hypercorn(pem, ["http/1.1"]) as url:
        async with virtual_user(http2="auto"):
            assert [reply.http_version for reply in await http.batch([url] * 3)] == ["1.1"] * 3
        async with virtual_user(http2="only") as vu:
            reply = await http.get(url)
            assert (reply.status_code, reply.error_code) == (0, 1300)
            assert reply.error == "tls: the server does not speak HTTP/2: run without http2: only"
            assert reply.timings.tls_handshaking > 0
            assert vu.failed() == (1, 1)


@pytest.mark.parametrize(("protocols", "mode", "words"), [
    ("h2", "off", "tls: the server speaks only HTTP/2: run with http2: auto"),
    ("http/1.1", "only", "tls: the server does not speak HTTP/2: run without http2: only"),
])  # fmt: skip
async def test_a_server_that_insists(pem: Path, protocols: str, mode: str, words: str) -> None:
    """It ends the handshake when nothing that it speaks is offered, as OpenSSL's own server does: told by name."""
    port = free_port()
    command = [
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-cert",
        str(pem),
        "-key",
        str(pem),
        "-alpn",
        protocols,
    ]
    with subprocess.Popen([*command, "-www"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            await _listens(port)
            async with virtual_user(http2=mode):
                reply = await http.get(f"https://127.0.0.1:{port}")
                assert (reply.status_code, reply.error_code, reply.error) == (0, 1300, words)
        finally:
            server.kill()


async def _listens(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise AssertionError("the server does not start")


NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{ worker_connections 100; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; client_max_body_size 1m;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl http2; ssl_certificate "{pem}"; ssl_certificate_key "{pem}";
    keepalive_requests 7; http2_max_concurrent_streams 3; root {folder};
    location /id/ {{ return 200 $uri; }}
    location /gone {{ return 444; }}
  }}
}}
"""


@pytest.fixture
def nginx(pem: Path, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, pem=pem), encoding="utf-8")
    (tmp_path / "big").write_bytes(b"x" * 5_000_000)
    tmp_path.chmod(0o755)
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
    assert program is not None
    with subprocess.Popen([program, "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-g", "user root;"]) as server:
        yield f"https://127.0.0.1:{port}"
        server.terminate()


async def test_nginx(nginx: str) -> None:
    """It goes away after each seven requests, and takes three at once: no request is lost, and no POST sent twice."""
    await _listens(int(nginx.rpartition(":")[2]))
    async with virtual_user(http2="auto") as vu:
        for number in range(30):
            reply = await http.request("POST" if number % 2 else "GET", f"{nginx}/id/{number}")
            assert (reply.text, reply.http_version) == (f"/id/{number}", "2")
        for _ in range(10):
            replies = await http.batch([f"{nginx}/id/{number}" for number in range(10)])
            assert [reply.text for reply in replies] == [f"/id/{number}" for number in range(10)]
        assert len((await http.get(f"{nginx}/big")).content) == 5_000_000
        assert (await http.post(f"{nginx}/big", content=b"x" * 2_000_000)).status_code == 413
        gone = await http.get(f"{nginx}/gone")
        assert (gone.status_code, gone.error_code // 10) == (0, 163)
        assert (await http.get(f"{nginx}/id/last")).text == "/id/last"
        assert vu.failed() == (2, 134)


async def test_no_answer_is_anybody_elses(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are cut off, some too slow, some refused, some sent elsewhere: each answer has its own id."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    chance = random.Random(7)

    async def answer(peer: Peer, asked: Asked) -> None:
        fate = chance.random()
        if fate < 0.02:
            peer.reset(asked, 7 if fate < 0.01 else 2)
        elif fate < 0.025:
            peer.goaway(max(0, asked.number - 2))
        else:
            await asyncio.sleep(chance.choice([0, 0, 0.001, 0.03]))
            await peer.answer(asked, asked.path.encode() * chance.choice([1, 1, 300]), ("x-id", asked.path))

    async def ask(url: str, number: int) -> str:
        path = f"/{number}"
        reply = await http.get(url + path, timeout=chance.choice([5, 5, 0.02]), name="/id")
        if reply.status_code:
            assert reply.headers["x-id"] == path
            assert reply.text.replace(path, "") == ""
        return reply.error

    tls: ssl.SSLContext = authority.server_context("127.0.0.1")
    async with Http2Server(answer, tls=tls) as server, virtual_user(http2="auto") as vu:
        outcomes: list[str] = []
        cut = 0
        for number in range(0, 3000, 50):
            asking = [asyncio.create_task(ask(server.url, each)) for each in range(number, number + 50)]
            await asyncio.sleep(chance.choice([0, 0.001, 0.01]))
            for task in chance.sample(asking, 3):
                task.cancel()
            done = await asyncio.gather(*asking, return_exceptions=True)
            cut += sum(isinstance(each, asyncio.CancelledError) for each in done)
            outcomes += [each for each in done if isinstance(each, str)]
            assert [each for each in done if not isinstance(each, str | asyncio.CancelledError)] == []
        assert cut + len(outcomes) == 3000
        assert cut > 50
        assert outcomes.count("") > 1500
        assert "request timeout" in outcomes
        assert any("INTERNAL_ERROR" in outcome for outcome in outcomes)
        assert vu.failed()[1] == 3000
        left = [each for each in vu.client.settings.open if each.busy]
        assert left == []
        places = sum(
            len(each.places) for each in vu.client.settings.open if isinstance(each, Http2Connection) and each.available
        )
        assert places <= len(next(iter(vu.session.pool.idle.values()))) <= 100
        assert len(vu.client.settings.open) <= 2
