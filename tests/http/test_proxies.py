"""Requests through real proxies, and which requests go through one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from ciload import http
from ciload.http.network import Network
from ciload.http.proxies import Proxies, ProxyServer, find_proxies, parse_proxy
from ciload.http.target import parse_target
from ciload.http.tls import TlsSettings
from tests.http.certificates import Authority
from tests.http.proxy_servers import HTTP_PASSWORD, SOCKS_PASSWORD, USER, http_proxy, socks_proxy
from tests.http.server import End, Server, free_port, redirect, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio
OK = response(b"ok")


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with http_proxy(tmp_path_factory.mktemp("open")) as port:
        yield port


@pytest.fixture(scope="module")
def careful_tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with http_proxy(tmp_path_factory.mktemp("careful"), signing_in=True) as port:
        yield port


@pytest.fixture(scope="module")
def microsocks() -> Iterator[int]:
    with socks_proxy() as port:
        yield port


@pytest.fixture(scope="module")
def careful_microsocks() -> Iterator[int]:
    with socks_proxy(signing_in=True) as port:
        yield port


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path, "Test CA")


def through(url: str, authority: Authority | None = None) -> Network:
    return Network(
        proxies=find_proxies(url, {}), tls=TlsSettings(ca_bundle=str(authority.path) if authority else "")
    )  # fmt: skip


async def test_an_http_proxy_reads_plain_requests(tinyproxy: int) -> None:
    """The request goes to the proxy, which sends it on under its own name."""
    async with Server(OK) as server, virtual_user(network=through(f"127.0.0.1:{tinyproxy}")) as vu:
        answers = [await http.post(f"{server.url}/a?b=c", json={"n": 0})]
        answers += [await http.get(f"{server.url}/a?b=c") for _ in range(2)]  # tinyproxy has closed the connection
        assert [each.text for each in answers] == ["ok"] * 3
        assert vu.names == {f"{server.url}/a"}
    assert [each.target for each in server.requests] == ["/a?b=c"] * 3
    assert "tinyproxy" in (server.requests[0].header("via") or "")
    assert server.requests[0].body == b'{"n":0}'
    assert server.requests[0].header("host") == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_tls_goes_through_a_tunnel(tinyproxy: int, microsocks: int, authority: Authority, scheme: str) -> None:
    """Nobody but the server reads what is encrypted; connecting has the tunnel in it, the handshake comes after it."""
    proxy = f"{scheme}://127.0.0.1:{tinyproxy if scheme == 'http' else microsocks}"
    async with (
        Server(OK, tls=authority.server_context("localhost")) as server,
        virtual_user(network=through(proxy, authority)) as vu,
    ):
        answers = [await http.get(f"https://localhost:{server.port}/x") for _ in range(3)]
        assert [each.text for each in answers] == ["ok"] * 3, answers[0].error
        assert vu.failed() == (0, 3)
    assert server.connections == 1
    assert server.requests[0].header("via") is None
    assert answers[0].timings.connecting > 0 < answers[0].timings.tls_handshaking
    assert answers[1].timings.blocked == 0


async def test_socks_carries_plain_requests_as_well(microsocks: int) -> None:
    """The server's name is the SOCKS proxy's to look up."""
    async with Server(OK) as server, virtual_user(network=through(f"socks5://127.0.0.1:{microsocks}")):
        answer = await http.get(f"http://localhost:{server.port}/y")
    assert (answer.text, server.targets) == ("ok", ["/y"])


@pytest.mark.parametrize("kind", ["requests", "tunnel", "socks5"])
async def test_proxies_that_want_to_know_who_is_asking(
    careful_tinyproxy: int, careful_microsocks: int, authority: Authority, kind: str
) -> None:
    """With name and password, which the server never sees; without, it is told what the proxy said."""
    port = careful_microsocks if kind == "socks5" else careful_tinyproxy
    scheme = "socks5" if kind == "socks5" else "http"
    tls = None if kind == "requests" else authority.server_context("localhost")
    async with Server(OK, tls=tls) as server:
        url = f"{'http' if tls is None else 'https'}://localhost:{server.port}/"
        password = quote(SOCKS_PASSWORD if kind == "socks5" else HTTP_PASSWORD, safe="")
        async with virtual_user(network=through(f"{scheme}://{USER}:{password}@127.0.0.1:{port}", authority)):
            answer = await http.get(url)
            assert answer.text == "ok", answer.error
        assert server.requests[0].header("proxy-authorization") is None
        async with virtual_user(network=through(f"{scheme}://127.0.0.1:{port}", authority)) as vu:
            answer = await http.get(url)
            assert vu.failed() == (1, 1)
    if kind == "requests":
        assert answer.status_code in (401, 407)
    else:
        assert (answer.status_code, answer.error_code) == (0, 1210)
        assert answer.error.startswith(f"proxy {scheme}://127.0.0.1:{port}: ")
    assert len(server.requests) == 1


async def test_a_wrong_password_is_told_without_it(careful_microsocks: int) -> None:
    """Nothing that is shown has the password."""
    network = through(f"socks5://{USER}:wrong-password@127.0.0.1:{careful_microsocks}")
    async with virtual_user(network=network):
        answer = await http.get("http://example.test/")
    assert "proxy socks5" in answer.error
    assert "wrong-password" not in answer.error + repr(network)


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks4"])
async def test_a_proxy_that_is_not_there(scheme: str) -> None:
    """The proxy is named, and the code is that of a refused connection."""
    async with virtual_user(network=through(f"{scheme}://127.0.0.1:{free_port()}")) as vu:
        answer = await http.get("https://example.test/")
        assert vu.snapshot().trend("http_req_duration").count == 0
    assert (answer.status_code, answer.error_code) == (0, 1212)
    assert f"proxy {scheme}://127.0.0.1" in answer.error
    assert "refused" in answer.error


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [(End.CLOSE, 1210, "no connection to the target"), (End.RESET, 1220, "connection lost"),
     ([b"HTTP/1.1 503 Busy\r\n\r\n", End.CLOSE], 1210, "503"), ([b"\x00\x01garbage\r\n\r\n", End.CLOSE], 1210, "proxy"),
     (End.STALL, 1050, "request timeout")],
)  # fmt: skip
async def test_a_proxy_that_misbehaves(how: End | list[bytes | End], code: int, words: str) -> None:
    """No hang beyond the time-out, and no traceback."""
    steps = [how] if isinstance(how, End) else how
    async with Server(steps, when="bytes") as proxy, virtual_user(network=through(proxy.url)) as vu:
        answer = await http.get("https://example.test/", timeout=0.5)
        assert vu.failed() == (1, 1)
    assert words in answer.error
    assert (answer.status_code, answer.error_code) == (0, code)


async def test_a_redirect_to_another_scheme_takes_the_other_way(tinyproxy: int, authority: Authority) -> None:
    """From http, which the proxy reads, to https, which it tunnels."""
    async with Server(OK, tls=authority.server_context("localhost")) as secure:
        location = f"https://localhost:{secure.port}/there"
        network = through(f"http://127.0.0.1:{tinyproxy}", authority)
        async with Server(redirect(location)) as plain, virtual_user(network=network):
            answer = await http.get(f"{plain.url}/here")
    assert (answer.text, secure.targets) == ("ok", ["/there"])


@pytest.mark.parametrize(
    ("text", "proxy"),
    [("proxy.test:3128", ProxyServer("http", "proxy.test", 3128)), ("http://p", ProxyServer("http", "p", 80)),
     ("socks5://[::1]:9", ProxyServer("socks5", "::1", 9)), ("SOCKS5H://p", ProxyServer("socks5", "p", 1080)),
     ("socks4a://p/", ProxyServer("socks4", "p", 1080)),
     ("http://a%40b:c%3Ad@p:1", ProxyServer("http", "p", 1, "a@b", "c:d"))],
)  # fmt: skip
def test_how_a_proxy_is_written(text: str, proxy: ProxyServer) -> None:
    """As curl and Go take it."""
    assert parse_proxy(text) == proxy


@pytest.mark.parametrize(
    "text", ["", "http://", "ftp://p", "http://p:0", "http://p:x", "http://p/path", "https://p", "://"]
)
def test_what_is_no_proxy(text: str) -> None:
    """The message does not quote it: it may hold a password."""
    with pytest.raises(ValueError, match="prox"):
        parse_proxy(text)


P, Q = parse_proxy("p:1"), parse_proxy("socks5://q:2")


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("http://a.test", {"HTTP_PROXY": "p:1"}, P),
        ("https://a.test", {"HTTP_PROXY": "p:1"}, None),
        ("https://a.test", {"https_proxy": "p:1", "HTTPS_PROXY": "x"}, P),
        ("https://a.test", {"ALL_PROXY": "socks5://q:2", "HTTP_PROXY": "p:1"}, Q),
        ("http://localhost", {"HTTP_PROXY": "p:1"}, None),
        ("http://app.localhost", {"HTTP_PROXY": "p:1"}, None),
        ("http://127.0.0.2", {"HTTP_PROXY": "p:1"}, None),
        ("http://[::1]", {"HTTP_PROXY": "p:1"}, None),
        ("http://a.test", {"HTTP_PROXY": "p:1", "NO_PROXY": "b.test, a.test"}, None),
        ("http://x.a.test", {"HTTP_PROXY": "p:1", "NO_PROXY": "a.test"}, None),
        ("http://xa.test", {"HTTP_PROXY": "p:1", "NO_PROXY": "a.test"}, P),
        ("http://x.a.test", {"HTTP_PROXY": "p:1", "no_proxy": ".a.test"}, None),
        ("http://x.a.test", {"HTTP_PROXY": "p:1", "NO_PROXY": "*.A.test"}, None),
        ("http://a.test", {"HTTP_PROXY": "p:1", "NO_PROXY": "*"}, None),
        ("http://a.test:81", {"HTTP_PROXY": "p:1", "NO_PROXY": "a.test:81"}, None),
        ("http://a.test:82", {"HTTP_PROXY": "p:1", "NO_PROXY": "a.test:81"}, P),
        ("http://10.1.2.3", {"HTTP_PROXY": "p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://11.1.2.3", {"HTTP_PROXY": "p:1", "NO_PROXY": "10.0.0.0/8"}, P),
        ("http://[fd00::1]:8", {"HTTP_PROXY": "p:1", "NO_PROXY": "[fd00::1]:8"}, None),
        ("http://[fd00::1]:9", {"HTTP_PROXY": "p:1", "NO_PROXY": "[fd00::1]:8"}, P),
        ("http://[fd00::1]", {"HTTP_PROXY": "p:1", "NO_PROXY": "fd00::1"}, None),
        ("http+unix://%2Fa", {"HTTP_PROXY": "p:1"}, None),
        ("http://a.test", {"HTTP_PROXY": "  "}, None),
        ("http://a.test", {"HTTP_PROXY": "p:1", "NO_PROXY": ", ,"}, P),
    ],
)  # fmt: skip
def test_which_requests_go_through_the_proxy_of_the_environment(
    url: str, environment: dict[str, str], proxy: ProxyServer | None
) -> None:
    """As Go reads the variables; this machine's own addresses are never a proxy's business."""
    assert find_proxies("", environment).proxy_for(parse_target(url).origin) == proxy


def test_a_proxy_that_was_asked_for() -> None:
    """It is used for this machine too; NO_PROXY still holds; `none` is none."""
    environment = {"HTTP_PROXY": "q:2", "NO_PROXY": "other.test"}
    asked = find_proxies("p:1", environment)
    assert asked.proxy_for(parse_target("http://127.0.0.1").origin) == P
    assert asked.proxy_for(parse_target("https://a.test").origin) == P
    assert asked.proxy_for(parse_target("https://other.test").origin) is None
    assert find_proxies("none", environment) == Proxies()
    with pytest.raises(ValueError, match="HTTP_PROXY: not a proxy"):
        find_proxies("", {"HTTP_PROXY": "ftp://x"})


def test_ipv6_is_shown_in_brackets() -> None:
    assert parse_proxy("socks5://[::1]:9").shown == "socks5://[::1]:9"
