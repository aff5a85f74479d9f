"""Conformance with servers that nobody here wrote: nginx, uvicorn and hypercorn, over HTTP/1.1."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ciload import http
from ciload.http.network import Network
from ciload.http.tls import ClientCertificate, TlsSettings
from tests.http.proxy_servers import running
from tests.http.server import free_port
from tests.http.test_certificates import Company
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; default_type text/plain;
  gzip on; gzip_types text/plain; gzip_min_length 1000;
  server {{
    listen 127.0.0.1:{port}; listen unix:{folder}/nginx.sock;
    keepalive_requests 5; client_max_body_size 1m; root {folder}/www;
    location /id/ {{ return 200 "$request_method $request_uri"; }}
    location /short/ {{ keepalive_timeout 20ms; return 200 "$request_uri"; }}
    location /never {{ return 444; }}
    location /moved {{ return 301 /id/moved; }}
    location /hints {{ add_header X-A 1; add_header X-A 2; return 204; }}
    location /up {{ proxy_pass http://127.0.0.1:{upstream}; proxy_buffering off; }}
    location /gone {{ proxy_pass http://127.0.0.1:1; }}
  }}
  server {{
    listen 127.0.0.1:{secure} ssl; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    ssl_client_certificate {folder}/authority.pem; ssl_verify_client optional; ssl_protocols TLSv1.2;
    location / {{ return 200 "$ssl_protocol $ssl_client_verify"; }}
  }}
  server {{
    listen 127.0.0.1:{strict} ssl; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    ssl_client_certificate {folder}/authority.pem; ssl_verify_client on; ssl_protocols TLSv1.3;
    location / {{ return 200 "$ssl_protocol $ssl_client_verify"; }}
  }}
}}
"""

APP = '''
"""Says what it was asked, in pieces; for uvicorn and hypercorn."""
import asyncio, hashlib, json
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    about = {"method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode(),
             "headers": headers, "size": len(body), "sha": hashlib.sha256(body).hexdigest()}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    for piece in (json.dumps(about).encode(), b" " * 5000):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.001)
    await send({"type": "http.response.body", "body": b""})
'''


class Nginx:
    """Where a running nginx is."""

    def __init__(self, folder: Path, company: Company, ports: dict[str, int]) -> None:
        self.folder, self.company = folder, company
        self.url, self.secure, self.strict = (
            f"http{'s' if name != 'port' else ''}://127.0.0.1:{ports[name]}" for name in ("port", "secure", "strict")
        )
        self.trusting = company.trusting()


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, uvicorn: str) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("nginx")
    company = Company(folder)
    company.authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    (folder / "www").mkdir()
    (folder / "www" / "big.txt").write_bytes(b"0123456789" * 100_000)
    ports = {name: free_port() for name in ("port", "secure", "strict")}
    upstream = uvicorn.rpartition(":")[2]
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, upstream=upstream, **ports))
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
    assert program, "nginx is missing: see the Makefile"
    user = ["-g", "user root;"] if os.getuid() == 0 else []
    with running([program, "-p", str(folder), "-c", str(folder / "nginx.conf"), *user], ports["port"]):
        yield Nginx(folder, company, ports)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "conformance_app.py").write_text(APP)
    return folder


@pytest.fixture(scope="module")
def uvicorn(app: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(app), "--port", str(port), "conformance_app:app"]
    with running(command, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def hypercorn(app: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "-b", f"127.0.0.1:{port}", f"{app}/conformance_app.py:app"]
    with running(command, port):
        yield f"http://127.0.0.1:{port}"


# --- nginx


async def test_a_server_that_ends_connections_after_some_requests(nginx: Nginx) -> None:
    """It says so in its last answer; no request is lost to it."""
    async with virtual_user() as vu:
        for number in range(23):
            reply = await http.post(f"{nginx.url}/id/{number}", content=b"x")
            assert (reply.text, reply.error) == (f"POST /id/{number}", "")
        connecting = vu.snapshot().trend("http_req_connecting")
        assert vu.failed() == (0, 23)
    assert connecting.count == 23


async def test_a_server_that_ends_resting_connections(nginx: Nginx) -> None:
    """Nothing is lost when its time-out has passed before the next request."""
    async with virtual_user() as vu:
        for number in range(8):
            assert (await http.post(f"{nginx.url}/short/{number}")).text == f"/short/{number}"
            await asyncio.sleep(0.06)
        assert vu.failed() == (0, 8)


async def test_compressed_and_chunked(nginx: Nginx) -> None:
    """A file of a megabyte, plain and compressed, of known and of unknown length, and a part of it."""
    async with virtual_user():
        for coding in ("identity", "gzip"):
            reply = await http.get(f"{nginx.url}/big.txt", headers={"Accept-Encoding": coding})
            assert reply.content == b"0123456789" * 100_000
            assert reply.headers.get("transfer-encoding") == ("chunked" if coding == "gzip" else None)
        part = await http.get(f"{nginx.url}/big.txt", headers={"Range": "bytes=999990-"})
        again = await http.get(f"{nginx.url}/big.txt", headers={"If-None-Match": part.headers["etag"]})
    assert (part.status_code, part.content, again.status_code) == (206, b"0123456789", 304)


async def test_refused_uploads(nginx: Nginx) -> None:
    """413, whether it is noticed by the length or while it comes; the next request is answered."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b"x" * 10_000

    async with virtual_user():
        for content in (b"x" * 5_000_000, endless(), io.BytesIO(b"x" * 5_000_000)):
            reply = await http.post(f"{nginx.url}/up", content=content)
            assert reply.status_code == 413, reply.error
            assert (await http.get(f"{nginx.url}/id/1")).text == "GET /id/1"


async def test_odd_ends(nginx: Nginx) -> None:
    """A server that hangs up, one whose own server is gone, a redirect, no content with a header twice."""
    async with virtual_user():
        never = await http.get(f"{nginx.url}/never")
        gone = await http.get(f"{nginx.url}/gone")
        moved = await http.get(f"{nginx.url}/moved")
        hints = await http.get(f"{nginx.url}/hints")
    assert (never.status_code, never.error) == (0, "connection closed by the server before any response")
    assert (gone.status_code, gone.error_code, moved.text) == (502, 1502, "GET /id/moved")
    assert (hints.status_code, hints.headers.get_list("x-a")) == (204, ["1", "2"])


async def test_many_at_once(nginx: Nginx) -> None:
    async with virtual_user():
        replies = await http.batch([f"{nginx.url}/id/{number}" for number in range(200)])
    assert [each.text for each in replies] == [f"GET /id/{number}" for number in range(200)]


async def test_a_unix_socket(nginx: Nginx) -> None:
    async with virtual_user(network=Network(unix_socket=str(nginx.folder / "nginx.sock"))):
        assert (await http.get("http://any.test/id/7")).text == "GET /id/7"


async def test_versions_of_tls_and_client_certificates(nginx: Nginx) -> None:
    """Of two servers one speaks 1.2 alone, and the other 1.3 alone and wants a certificate."""
    certificate = ClientCertificate(nginx.company.both)
    bundle = str(nginx.company.bundle)
    async with virtual_user(network=Network(tls=TlsSettings(ca_bundle=bundle))):
        assert (await http.get(f"{nginx.secure}/")).text == "TLSv1.2 NONE"
        assert (await http.get(f"{nginx.strict}/")).status_code == 400  # nginx says it in HTTP
    async with virtual_user(network=Network(tls=TlsSettings(ca_bundle=bundle, certificates=(certificate,)))):
        assert (await http.get(f"{nginx.secure}/")).text == "TLSv1.2 SUCCESS"
        assert (await http.get(f"{nginx.strict}/")).text == "TLSv1.3 SUCCESS"
    bounded = TlsSettings(ca_bundle=bundle, certificates=(certificate,), lowest=ssl.TLSVersion.TLSv1_3)
    async with virtual_user(network=Network(tls=bounded)):
        refused = await http.get(f"{nginx.secure}/")
        assert (await http.get(f"{nginx.strict}/")).text == "TLSv1.3 SUCCESS"
    assert (refused.status_code, refused.error_code) == (0, 1300)
    assert "tls: handshake failed" in refused.error


async def test_plain_requests_to_a_port_that_speaks_tls(nginx: Nginx) -> None:
    """And the other way round."""
    async with virtual_user():
        reply = await http.get(nginx.secure.replace("https", "http"))
        assert (reply.status_code, "plain HTTP request was sent to HTTPS port" in reply.text) == (400, True)
        reply = await http.get(nginx.url.replace("http", "https"))
        assert (reply.status_code, reply.error_code) == (0, 1301)


# --- ASGI servers, also through nginx


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "nginx"])
async def test_what_is_sent_is_what_arrives(server: str, request: pytest.FixtureRequest) -> None:
    """Bodies of all kinds and sizes, and answers in chunks; a hundred requests on few connections."""
    where = request.getfixturevalue(server)
    url = f"{where.url}/up" if isinstance(where, Nginx) else str(where)
    sizes = [0, 1, 1000, 65_536, 700_000]

    async def pieces(size: int) -> AsyncIterator[bytes]:
        for start in range(0, size, 9_999):
            yield b"x" * min(9_999, size - start)

    async with virtual_user() as vu:
        for size in sizes:
            for content in (b"x" * size, pieces(size), io.BytesIO(b"x" * size)):
                about = (await http.put(f"{url}/a%2Fb?c=%20d", content=content)).json()
                assert (about["method"], about["size"], about["query"]) == ("PUT", size, "c=%20d")
        replies = await http.batch([http.Request("GET", f"{url}/{n}", headers={"X-N": str(n)}) for n in range(100)])
        assert [each.json()["headers"]["x-n"] for each in replies] == [str(n) for n in range(100)]
        head = await http.head(f"{url}/h")
        assert (head.status_code, head.content) == (200, b"")
        assert vu.failed() == (0, 116)


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
async def test_expectations(server: str, request: pytest.FixtureRequest) -> None:
    """A server that is asked to say 100 first, and one answer all the same."""
    url = request.getfixturevalue(server)
    async with virtual_user() as vu:
        reply = await http.post(url, content=b"x" * 100, headers={"Expect": "100-continue"})
        assert json.loads(reply.text)["size"] == 100
        assert (await http.get(url)).json()["method"] == "GET"
        assert vu.failed() == (0, 2)
