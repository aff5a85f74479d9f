"""The way to the target: hosts, look-ups, blocked places, Unix sockets, local addresses; and what all requests say."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path

import pytest

from ciload import http
from ciload.http.network import AddressPolicy, Network, split_address
from ciload.http.request import USER_AGENT, RequestDefaults
from ciload.script.vu import VU
from tests.http.server import Received, Server, by_path, in_turn, redirect, response
from tests.http.test_addresses import named, resolve
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio
OK = response(b"ok")


# --- hosts


@pytest.mark.parametrize("entry", ["api.example.test", "api.example.test:80", "*.example.test", "*.test"])
async def test_a_host_is_where_it_is_said_to_be(entry: str) -> None:
    """No look-up; the server is asked by the name that the URL has."""
    async with Server(OK) as server:
        async with virtual_user(network=Network(hosts={entry: f"127.0.0.1:{server.port}"})) as vu:
            answer = await http.get("http://api.example.test/a")
            assert vu.names == {"http://api.example.test/a"}
        assert answer.text == "ok", answer.error
    assert server.requests[0].header("host") == "api.example.test"
    assert answer.timings.looking_up < 50


async def test_the_port_of_the_url_stays_if_no_other_is_said() -> None:
    """The most exact entry decides."""
    async with Server(OK) as server:
        hosts = {"*.test": "192.0.2.1", "a.test": "192.0.2.2", f"a.test:{server.port}": "127.0.0.1"}
        async with virtual_user(network=Network(hosts=hosts)):
            assert (await http.get(f"http://a.test:{server.port}/")).text == "ok"


def test_where_a_host_is_to_be_found() -> None:
    """The port's own entry first, then the name's, then the longest pattern; what nobody speaks of is itself."""
    network = Network(hosts={"a.test:81": "1.1.1.1", "a.test": "2.2.2.2:8", "*.test": "[::1]:9", "*.b.test": "::2"})
    asked = [("a.test", 81), ("a.test", 80), ("c.test", 80), ("x.b.test", 80), ("test", 80), ("a.example", 80)]
    assert [network.place_of(*each) for each in asked] == [
        ("1.1.1.1", 81), ("2.2.2.2", 8), ("::1", 9), ("::2", 80), ("test", 80), ("a.example", 80)
    ]  # fmt: skip
    assert split_address("[::1]", 7) == ("::1", 7)


# --- look-ups


@pytest.mark.parametrize(
    ("policy", "first"), [("preferIPv4", "4"), ("preferIPv6", "6"), ("onlyIPv4", "4"), ("onlyIPv6", "6")]
)
async def test_which_family_comes_first(monkeypatch: pytest.MonkeyPatch, policy: AddressPolicy, first: str) -> None:
    """Of a name with both, the preferred one is always asked when it answers."""
    async with Server(named("4")) as four, Server(named("6"), host="::1") as six:
        resolve(monkeypatch, {"both.test": [("::1", six.port), ("127.0.0.1", four.port)]})
        async with virtual_user(network=Network(policy=policy), defaults=RequestDefaults(reuse=False)):
            answers = [(await http.get("http://both.test/")).text for _ in range(4)]
    assert answers == [first] * 4


async def test_any_family_means_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are spread over all addresses."""
    async with Server(named("4")) as four, Server(named("6"), host="::1") as six:
        resolve(monkeypatch, {"both.test": [("::1", six.port), ("127.0.0.1", four.port)]})
        async with virtual_user(network=Network(policy="any"), defaults=RequestDefaults(reuse=False)):
            answers = [(await http.get("http://both.test/")).text for _ in range(6)]
    assert Counter(answers) == {"4": 3, "6": 3}


async def test_only_one_family_and_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"four.test": [("127.0.0.1", 1)]})
    async with virtual_user(network=Network(policy="onlyIPv6")):
        answer = await http.get("http://four.test/")
    assert (answer.error_code, answer.error) == (1101, "lookup: the host has no IPv6 address")


@pytest.mark.parametrize(("seconds", "look_ups"), [(0.0, 3), (60.0, 1)])
async def test_how_long_addresses_last(monkeypatch: pytest.MonkeyPatch, seconds: float, look_ups: int) -> None:
    """With 0, each connection looks its name up."""
    async with Server(OK) as server:
        asked = resolve(monkeypatch, {"a.test": [("127.0.0.1", server.port)]})
        async with virtual_user(network=Network(addresses_last_s=seconds), defaults=RequestDefaults(reuse=False)):
            for _ in range(3):
                assert (await http.get("http://a.test/")).text == "ok"
    assert len(asked) == look_ups


# --- blocked


@pytest.mark.parametrize(("pattern", "blocked"), [("a.test", True), ("*.test", True), ("*.a.test", False)])
async def test_blocked_hosts(monkeypatch: pytest.MonkeyPatch, pattern: str, blocked: bool) -> None:
    """k6's code 1111; nothing is looked up or connected to, also by a redirect."""
    async with Server(by_path({"/": OK, "/away": redirect("http://a.test/")})) as server:
        asked = resolve(monkeypatch, {"a.test": [("127.0.0.1", server.port)]})
        async with virtual_user(network=Network(blocked_hosts=(pattern,))):
            direct, redirected = await http.get("http://a.test/"), await http.get(f"{server.url}/away")
    if blocked:
        assert (direct.error_code, direct.error) == (1111, "the host a.test is blocked (block_hostnames)")
        assert (redirected.error_code, asked, server.targets) == (1111, [], ["/away"])
    else:
        assert (direct.text, redirected.text) == ("ok", "ok")


async def test_blocked_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """k6's code 1110, for names and numbers; an address beside it that is free is used."""
    async with Server(OK) as server, Server(OK, host="::1") as free:
        names = {"a.test": [("127.0.0.1", server.port)], "b.test": [("127.0.0.1", server.port), ("::1", free.port)]}
        resolve(monkeypatch, names)
        async with virtual_user(network=Network(blocked_networks=("127.0.0.0/8", "2001:db8::/32"))):
            answers = [await http.get(url) for url in ("http://a.test/", server.url, "http://[2001:db8::1]/")]
            allowed = await http.get("http://b.test/")
    assert [each.error_code for each in answers] == [1110] * 3
    assert answers[0].error == "the address 127.0.0.1 is blocked (block_ips)"
    assert (allowed.text, server.connections, free.connections) == ("ok", 0, 1)


# --- Unix sockets


async def test_a_unix_socket_by_its_url(tmp_path: Path) -> None:
    """Names, redirects, cookies and keep-alive are as everywhere; the host is localhost."""
    answers = by_path(
        {"/a": redirect("/b", "Set-Cookie: sid=1"), "/b": redirect("c?d=e"), "/c": response(b"there")}
    )  # fmt: skip
    async with Server(answers, path=tmp_path / "App.sock") as server, virtual_user(base_url=server.url) as vu:
        replies = [await http.get(f"{server.url}/a"), await http.get("/a")]
        assert vu.failed() == (0, 6)
        assert vu.names == {"/a", "/b", "/c"}
    assert [each.text for each in replies] == ["there", "there"]
    assert replies[0].url == f"{server.url}/c?d=e"
    assert server.connections == 1
    assert server.requests[0].header("host") == "localhost"
    assert server.requests[1].header("cookie") == "sid=1"


async def test_one_unix_socket_for_everything(tmp_path: Path) -> None:
    """As curl's --unix-socket: the URL says only who is asked."""
    network = Network(unix_socket=str(tmp_path / "s"))
    async with Server(OK, path=tmp_path / "s") as server, virtual_user(network=network):
        assert (await http.get("http://api.test/x")).text == "ok"
    assert server.requests[0].header("host") == "api.test"


@pytest.mark.parametrize("exists", [True, False])
async def test_a_unix_socket_that_nobody_listens_on(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "s"
    if exists:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    async with virtual_user(network=Network(unix_socket=str(path))):
        answer = await http.get("http://api.test/")
    assert (answer.error_code, answer.error) == (
        (1212, "dial: connection refused") if exists else (1210, "dial: no such socket")
    )


@pytest.mark.parametrize("url", ["http+unix://", "http+unix:///run/app.sock/path", "http+unix://user@x/"])
async def test_a_unix_socket_that_is_none(url: str) -> None:
    """The message shows how it is written."""
    async with virtual_user():
        answer = await http.get(url)
    assert answer.error_code == 1020
    assert "http+unix://%2Frun%2Fapp.sock/path" in answer.error


# --- local addresses


async def test_connections_come_from_the_addresses_in_turn() -> None:
    """All of 127.0.0.0/8 is this machine; those of another family are passed over."""
    peers: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    network = Network(local_addresses=("127.0.0.2", "::1", "127.0.0.3"))
    async with server, virtual_user(network=network, defaults=RequestDefaults(reuse=False)):
        for _ in range(4):
            assert (await http.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")).text == "ok"
    assert peers == ["127.0.0.2", "127.0.0.3"] * 2


async def test_no_local_address_of_the_servers_family() -> None:
    async with Server(OK) as server, virtual_user(network=Network(local_addresses=("::1",))):
        answer = await http.get(server.url)
    assert (answer.error_code, answer.error) == (1210, "dial: none of local_ips is an IPv4 address")


async def test_a_local_address_that_this_machine_does_not_have() -> None:
    async with Server(OK) as server, virtual_user(network=Network(local_addresses=("192.0.2.1",))):
        answer = await http.get(server.url)
    assert answer.error_code == 1210
    assert answer.error == "dial: cannot assign requested address"


# --- what all requests have


async def test_headers_of_a_run() -> None:
    """They go to the base URL's server alone, also by redirect; a request's own header takes their place."""
    defaults = RequestDefaults(headers=(("X-Api-Key", "secret"), ("Accept", "text/plain")))
    async with (
        Server(OK) as other,
        Server(by_path({"/": OK, "/away": redirect(other.url)})) as server,
        virtual_user(base_url=server.url, defaults=defaults),
    ):
        await http.get("/", headers={"accept": "application/json"})
        await http.get(other.url)
        await http.get("/away")
    assert (server.requests[0].header("x-api-key"), server.requests[0].header("accept")) == (
        "secret",
        "application/json",
    )
    assert server.requests[1].header("accept") == "text/plain"
    assert [each.header("x-api-key") for each in other.requests] == [None, None]


async def test_headers_of_a_run_without_a_base_url() -> None:
    async with Server(OK) as server, virtual_user(defaults=RequestDefaults(headers=(("X-Run", "7"),))):
        await http.get(server.url)
    assert server.requests[0].header("x-run") == "7"


@pytest.mark.parametrize(
    ("agent", "own", "sent"),
    [(USER_AGENT, None, USER_AGENT), ("tester/1", None, "tester/1"), ("", None, None), ("tester/1", "mine", "mine")],
)
async def test_user_agent(agent: str, own: str | None, sent: str | None) -> None:
    """Of the run, unless a request has one; "" sends none."""
    async with Server(OK) as server, virtual_user(defaults=RequestDefaults(user_agent=agent)):
        await http.get(server.url, headers={} if own is None else {"User-Agent": own})
    assert server.requests[0].header("user-agent") == sent


async def test_a_connection_for_each_request() -> None:
    """The server is told, and nothing is kept."""
    async with Server(OK) as server, virtual_user(defaults=RequestDefaults(reuse=False)) as vu:
        for _ in range(3):
            await http.get(server.url)
        assert vu.snapshot().trend("http_req_connecting").smallest > 0
        assert not any(vu.session.pool.idle.values())
    assert server.connections == 3
    assert server.requests[0].header("connection") == "close"


@pytest.mark.parametrize("most", [0, 2, 12])
async def test_how_many_redirects_are_followed(most: int) -> None:
    """One more is a failed request; with 0 a redirect is the answer."""

    def onwards(request: Received) -> bytes:
        number = int(request.target[1:])
        return redirect(f"/{number + 1}") if number < 12 else OK

    async with Server(onwards) as server, virtual_user(max_redirects=most) as vu:
        answer = await http.get(f"{server.url}/0")
        failed = vu.failed()[0]
    if most == 12:
        assert (answer.text, len(answer.history), failed) == ("ok", 12, 0)
    elif most == 0:
        assert (answer.status_code, answer.error, failed, len(server.requests)) == (302, "", 0, 1)
    else:
        assert (answer.status_code, answer.error, failed) == (0, "too many redirects: more than 2", 1)
        assert len(server.requests) == 3


# --- cookies of the script's own


async def test_the_cookies_of_a_virtual_user() -> None:
    """Those that servers have set can be read, and others set, for the base URL's server unless said otherwise."""
    answers = in_turn(response(b"", "Set-Cookie: sid=abc; Path=/", "Set-Cookie: deep=1; Path=/x"), OK)
    async with Server(answers) as server, virtual_user(base_url=server.url) as user:
        cookies = VU(1, user.session).cookies
        await http.get("/x/y")
        assert dict(cookies) == {"sid": "abc", "deep": "1"}
        cookies["theme"] = "dark"
        cookies.set("far", "away", domain="example.test")
        cookies.set("old", "x", max_age=0)
        del cookies["deep"]
        assert "old" not in cookies
        assert "deep" not in cookies
        await http.get("/x/y")
        cookies.clear()
        await http.get("/")
        assert len(cookies) == 0
    assert server.requests[1].header("cookie") == "sid=abc; theme=dark"
    assert server.requests[2].header("cookie") is None
    assert "abc" not in repr(cookies)


async def test_a_cookie_for_a_domain_is_one_for_what_is_below_it() -> None:
    """As a server's Domain attribute; without one, and for addresses, it is that host's alone."""
    async with Server(OK) as server:
        hosts = {"example.test": f"127.0.0.1:{server.port}", "*.example.test": f"127.0.0.1:{server.port}"}
        async with virtual_user(base_url="http://example.test", network=Network(hosts=hosts)) as user:
            cookies = VU(1, user.session).cookies
            cookies.set("all", "1", domain=".example.test")
            cookies.set("own", "2", path="/in")
            cookies.set("tls", "3", secure=True)
            for url in ("/in", "/", "http://www.example.test/in"):
                await http.get(url)
    assert [each.header("cookie") for each in server.requests] == ["own=2; all=1", "all=1", "all=1"]


async def test_cookies_that_cannot_be() -> None:
    async with virtual_user() as user:
        cookies = VU(1, user.session).cookies
        with pytest.raises(ValueError, match="say domain="):
            cookies["a"] = "b"
        with pytest.raises(ValueError, match="begins with /"):
            cookies.set("a", "b", domain="x.test", path="in")
        for name, value in (("a b", "c"), ("a", "b\r\nx: y"), ("", "c"), ("a", "b;c")):
            with pytest.raises(ValueError, match="cannot be sent"):
                cookies.set(name, value, domain="x.test")
        with pytest.raises(KeyError):
            cookies["a"]
        with pytest.raises(KeyError):
            del cookies["a"]
