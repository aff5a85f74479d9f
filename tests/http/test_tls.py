"""HTTPS: trusted servers work, others are told apart by k6's codes, and a broken handshake is never a crash."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from datetime import timedelta
from time import perf_counter

import pytest

from ciload import http
from ciload.errors import TargetNotReadyError
from ciload.http.network import Network
from ciload.http.tls import TlsSettings
from ciload.options.model import Options
from ciload.runner.ready import wait_until_ready
from tests.http.certificates import Authority
from tests.http.server import Answer, End, Server, in_turn, pieces, redirect, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

OK = response(b"ok")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("trusted"), "Trusted Test CA")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("unknown"), "Unknown Test CA")


@pytest.fixture(autouse=True)
def trust(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the one authority, in the way that OpenSSL documents for every program."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@pytest.fixture
def good(authority: Authority) -> ssl.SSLContext:
    return authority.server_context("127.0.0.1", "localhost")


async def test_trusted_server_is_reached(good: ssl.SSLContext) -> None:
    """A certificate for the right address from a trusted authority: responses, keep-alive, handshake time once."""
    async with Server(in_turn(OK, OK, pieces(OK, 3, 20), OK), tls=good) as server, virtual_user() as vu:
        answers = [await http.get(server.url) for _ in range(4)]
        assert [answer.text for answer in answers] == ["ok"] * 4
        assert vu.failed() == (0, 4)
        handshakes = vu.snapshot().trend("http_req_tls_handshaking")
        assert (handshakes.count, handshakes.smallest) == (4, 0)
        assert handshakes.largest > 0
    first = answers[0].timings
    assert first.blocked >= first.connecting + first.tls_handshaking > first.tls_handshaking > 0
    assert [answer.timings.tls_handshaking for answer in answers[1:]] == [0] * 3
    assert server.connections == 1


async def test_host_name_in_the_certificate_is_enough(good: ssl.SSLContext) -> None:
    """The name in the URL is what the certificate must be for."""
    async with Server(OK, tls=good) as server, virtual_user():
        assert (await http.get(f"https://localhost:{server.port}/")).text == "ok"


async def test_unknown_authority_is_1310(stranger: Authority) -> None:
    """A certificate from an authority that is not trusted: code 1310, every time."""
    async with Server(OK, tls=stranger.server_context("127.0.0.1")) as server, virtual_user() as vu:
        for _ in range(2):
            answer = await http.get(server.url)
            assert (answer.status_code, answer.error_code) == (0, 1310)
            assert "certificate not trusted" in answer.error
        assert vu.failed(error_code="1310") == (2, 2)
        assert vu.snapshot().trend("http_req_duration").count == 0
    assert not server.requests


async def test_expired_certificate_is_not_trusted(authority: Authority) -> None:
    """An expired certificate fails like any that cannot be trusted, and the message says why."""
    expired = authority.server_context("127.0.0.1", age=timedelta(days=10))
    async with Server(OK, tls=expired) as server, virtual_user():
        answer = await http.get(server.url)
    assert (answer.status_code, answer.error_code) == (0, 1310)
    assert "expired" in answer.error


@pytest.mark.parametrize("names", [["other.test"], ["10.1.2.3"]])
async def test_wrong_host_name_is_1311(authority: Authority, names: list[str]) -> None:
    """A trusted certificate for another host: code 1311, by address and by name."""
    async with Server(OK, tls=authority.server_context(*names)) as server, virtual_user() as vu:
        for host in ("127.0.0.1", "localhost"):
            answer = await http.get(f"https://{host}:{server.port}/")
            assert (answer.status_code, answer.error_code) == (0, 1311)
        assert vu.failed(error_code="1311") == (2, 2)
    assert not server.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_verification_can_be_turned_off(stranger: Authority, host: str) -> None:
    """Without verification, an unknown authority and a wrong name are both accepted."""
    trusting = Network(tls=TlsSettings(verify=False))
    async with Server(OK, tls=stranger.server_context("other.test")) as server, virtual_user(network=trusting):
        assert (await http.get(f"https://{host}:{server.port}/")).text == "ok"


@pytest.mark.parametrize("when", ["bytes", "connect"])
async def test_plain_http_on_the_tls_port_is_1301(when: str) -> None:
    """A server that does not speak TLS is recognised: code 1301."""
    async with Server(response(b"no", status="400 Bad Request"), when=when) as server, virtual_user() as vu:  # type: ignore[arg-type]
        answer = await http.get(server.url.replace("http:", "https:"))
        assert (answer.status_code, answer.error_code) == (0, 1301)
        assert vu.failed(error_code="1301") == (1, 1)


async def test_plain_request_to_a_tls_port_is_a_failed_request(good: ssl.SSLContext) -> None:
    """The opposite mistake is a failed request as well."""
    async with Server(OK, tls=good) as server, virtual_user() as vu:
        answer = await http.get(server.url.replace("https:", "http:"))
        assert answer.status_code == 0
        assert answer.error_code in (1000, 1220)
        assert vu.failed() == (1, 1)


@pytest.mark.parametrize(("how", "codes"), [(End.CLOSE, (1300, 1220)), (End.RESET, (1220,))])
async def test_server_that_hangs_up_during_the_handshake(how: End, codes: tuple[int, ...]) -> None:
    """A connection lost in the handshake is a TLS error or a reset, not a crash."""
    async with Server([how], when="bytes") as server, virtual_user() as vu:
        answer = await http.get(server.url.replace("http:", "https:"))
        assert answer.status_code == 0
        assert answer.error_code in codes
        assert answer.error.startswith("tls: ")
        assert vu.failed() == (1, 1)


async def test_handshake_that_stalls_times_out() -> None:
    """A server that accepts and says nothing runs into the request's timeout, and its connection is closed."""
    async with Server([End.STALL], when="bytes") as server, virtual_user():
        started = perf_counter()
        answer = await http.get(server.url.replace("http:", "https:"), timeout=0.15)
        assert (answer.status_code, answer.error_code) == (0, 1050)
        assert 0.14 < perf_counter() - started < 0.65
        await server.closed.wait()


PARTIAL = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
FAULTS: list[tuple[Answer, tuple[int, ...]]] = [
    ([End.CLOSE], (1000,)),
    ([PARTIAL, End.CLOSE], (1000,)),
    ([PARTIAL, End.RESET], (1220,)),
    ([PARTIAL, End.STALL], (1050,)),
    (b"garbage\r\n\r\n", (1000,)),
]


@pytest.mark.parametrize(("fault", "codes"), FAULTS)
async def test_faults_inside_tls(good: ssl.SSLContext, fault: Answer, codes: tuple[int, ...]) -> None:
    """What breaks a plain connection breaks an encrypted one with the same code, and the next request is fine."""
    async with Server(in_turn(fault, OK), tls=good) as server, virtual_user() as vu:
        answer = await http.get(server.url, timeout=0.3)
        assert (answer.status_code, answer.content) == (0, b"")
        assert answer.error_code in codes
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (1, 2)
    assert server.connections == 2


async def test_body_until_close_works_in_tls(good: ssl.SSLContext) -> None:
    """A response that ends with the connection is complete."""
    async with Server([b"HTTP/1.1 200 OK\r\n\r\nhello", End.CLOSE], tls=good) as server, virtual_user():
        assert (await http.get(server.url)).text == "hello"


async def test_stale_tls_connection_is_replaced(good: ssl.SSLContext) -> None:
    """Idle encrypted connections that the server closed are replaced, time after time."""
    async with Server(OK, tls=good) as server, virtual_user() as vu:
        for _ in range(3):
            assert (await http.get(server.url)).text == "ok"
            await server.drop_connections()
        assert vu.failed() == (0, 3)
    assert server.connections == 3


async def test_large_transfers_in_tls(good: ssl.SSLContext) -> None:
    """Megabytes go both ways through TLS unharmed."""
    body = bytes(range(256)) * 8_000
    async with Server(response(body), tls=good) as server, virtual_user():
        answer = await http.post(server.url, content=body)
    assert answer.content == body
    assert server.requests[0].body == body


async def test_secrets_do_not_follow_from_https_to_http(good: ssl.SSLContext) -> None:
    """A redirect that leaves TLS is another origin."""
    async with Server(OK) as plain, Server(redirect(plain.url), tls=good) as server, virtual_user():
        assert (await http.get(server.url, headers={"Authorization": "secret"})).text == "ok"
    assert server.requests[0].header("authorization") == "secret"
    assert plain.requests[0].header("authorization") is None


async def test_secure_cookies_stay_in_tls(good: ssl.SSLContext) -> None:
    """A cookie marked Secure is sent over HTTPS only."""
    raw = response(b"", "Set-Cookie: a=b; Secure")
    async with Server(OK) as plain, Server(raw, tls=good) as server, virtual_user():
        for url in (server.url, plain.url, server.url):
            await http.get(url)
    assert [request.header("cookie") for request in server.requests] == [None, "a=b"]
    assert plain.requests[0].header("cookie") is None


def waiting(server: Server, seconds: float, **options: bool) -> Options:
    return Options.model_validate({"wait_for": server.url, "wait_timeout": seconds, **options})


async def test_waiting_for_a_target_trusts_what_the_load_trusts(
    good: ssl.SSLContext, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--wait-for https://...` works with a private authority in SSL_CERT_FILE, and refuses one that is not there."""
    async with Server(OK, tls=good) as server:
        await wait_until_ready(waiting(server, 5))
        monkeypatch.setenv("SSL_CERT_FILE", str(stranger.path))
        with pytest.raises(TargetNotReadyError, match="certificate not trusted"):
            await wait_until_ready(waiting(server, 1.5))
        await wait_until_ready(waiting(server, 5, insecure_skip_tls_verify=True))


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (ssl.TLSVersion.TLSv1_3, "tls: the server wants a client certificate, or another one"),
        (ssl.TLSVersion.TLSv1_2, "no common cipher, or it wants a client certificate"),
    ],
)
async def test_a_server_that_wants_a_client_certificate_is_told(
    authority: Authority, good: ssl.SSLContext, version: ssl.TLSVersion, words: str
) -> None:
    """The handshake of TLS 1.3 is over when the server complains: the words say what it wants all the same."""
    good.verify_mode = ssl.CERT_REQUIRED
    good.load_verify_locations(authority.path)
    good.maximum_version = version

    def refuse(listener: socket.socket) -> None:  # asyncio's server would abort before its alert has left
        accepted, _ = listener.accept()
        with good.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as tls:
            with suppress(ssl.SSLError):
                tls.do_handshake()
            time.sleep(0.3)  # or a reset would overtake it

    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listener))
        async with virtual_user():
            answer = await http.get(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        await refusing
    assert (answer.status_code, answer.error_code) == (0, 1300)
    assert words in answer.error
