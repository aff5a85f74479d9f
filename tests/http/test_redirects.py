"""Redirects are followed as browsers and Go do it, and each hop is a request of its own in the measurements."""

from __future__ import annotations

from time import perf_counter
from urllib.parse import urlsplit

import pytest

from ciload import http
from tests.http.server import Answer, End, Pause, Received, Server, by_path, in_turn, redirect, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

OK = response(b"ok")


async def test_each_hop_is_measured_on_its_own() -> None:
    """Two redirects and a page are three requests by name and status; the response is the last one's."""
    answers: dict[str, Answer] = {"/a": redirect("/b?x=1"), "/b": redirect("c", status="301 Moved"), "/c": OK}
    async with Server(by_path(answers)) as server, virtual_user() as vu:
        answer = await http.get(f"{server.url}/a")
        assert (answer.status_code, answer.text, answer.url) == (200, "ok", f"{server.url}/c")
        assert [(hop.status_code, hop.url) for hop in answer.history] == [
            (302, f"{server.url}/a"),
            (301, f"{server.url}/b?x=1"),
        ]
        for name, status in (("/a", "302"), ("/b", "301"), ("/c", "200")):
            assert vu.failed(name=server.url + name, status=status, expected_response="true") == (0, 1)
        assert vu.count() == 3
        assert vu.snapshot().trend("http_req_duration").count == 3
    assert server.connections == 1


async def test_name_and_tags_are_for_every_hop() -> None:
    """A request's name and tags stay with it through its redirects."""
    async with Server(by_path({"/a": redirect("/b"), "/b": OK})) as server, virtual_user() as vu:
        await http.get(f"{server.url}/a", name="log in", tags={"team": "x"})
        assert vu.count(name="log in", team="x") == 2
        assert vu.names == {"log in"}


async def test_redirect_loop_ends_at_ten() -> None:
    """Ten redirects are followed; that the page is not there after them is a failure."""
    async with Server(redirect("/again")) as server, virtual_user() as vu:
        answer = await http.get(f"{server.url}/")
        assert (answer.status_code, answer.error, answer.error_code) == (0, "too many redirects: more than 10", 1000)
        assert len(answer.history) == 11
        assert vu.failed() == (1, 12)
    assert len(server.requests) == 11


async def test_ten_redirects_are_followed() -> None:
    """The tenth redirect still arrives."""
    async with Server(in_turn(*[redirect("/next")] * 10, OK)) as server, virtual_user():
        answer = await http.get(server.url)
    assert (answer.status_code, len(answer.history)) == (200, 10)


async def test_redirects_can_be_left_alone() -> None:
    """`follow_redirects=False` gives the redirect."""
    async with Server(redirect("/elsewhere")) as server, virtual_user() as vu:
        answer = await http.get(server.url, follow_redirects=False)
        assert (answer.status_code, answer.is_redirect, answer.history) == (302, True, ())
        assert answer.has_redirect_location
        assert answer.headers["location"] == "/elsewhere"
        assert vu.failed() == (0, 1)


@pytest.mark.parametrize("status", ["300 Choices", "304 Not Modified", "305 Use Proxy", "302 Found"])
async def test_redirect_that_leads_nowhere_is_the_response(status: str) -> None:
    """Statuses that are no redirect, and one without Location, are not followed."""
    location = [] if status.startswith("302") else ["Location: /elsewhere"]
    raw = f"HTTP/1.1 {status}\r\n" + "".join(f"{line}\r\n" for line in location) + "Content-Length: 0\r\n\r\n"
    async with Server(raw.encode()) as server, virtual_user():
        answer = await http.get(server.url)
    assert answer.status_code == int(status[:3])
    assert len(server.requests) == 1


REWRITES = [
    # status, method, method of the next request, whether the body goes along
    (301, "POST", "GET", False),
    (302, "POST", "GET", False),
    (303, "POST", "GET", False),
    (303, "PUT", "GET", False),
    (303, "DELETE", "GET", False),
    (303, "HEAD", "HEAD", False),
    (301, "PUT", "PUT", True),
    (302, "PATCH", "PATCH", True),
    (302, "GET", "GET", False),
    (307, "POST", "POST", True),
    (308, "POST", "POST", True),
    (308, "PUT", "PUT", True),
]


@pytest.mark.parametrize(("status", "method", "then", "kept"), REWRITES)
async def test_method_and_body_after_a_redirect(status: int, method: str, then: str, kept: bool) -> None:
    """303, and 301/302 after POST, become GET without a body; everything else is sent again as it was."""
    body = None if method in ("GET", "HEAD") else b"payload"
    last = OK[:-2] if then == "HEAD" else OK
    async with Server(in_turn(redirect("/next", status=f"{status} Go"), last)) as server, virtual_user():
        answer = await http.request(method, server.url, content=body, headers={"Content-Type": "a/b", "X-Kept": "1"})
        assert answer.status_code == 200
        assert answer.request.method == then
    second = server.requests[1]
    assert (second.method, second.target) == (then, "/next")
    assert second.body == (b"payload" if kept else b"")
    assert second.header("x-kept") == "1"
    if method != then:
        assert second.header("content-type") is None
        assert second.header("content-length") is None
    if kept:
        assert second.header("content-type") == "a/b"


async def test_json_keeps_its_type_through_a_307() -> None:
    """The Content-Type that `json=` implies is sent again with the body."""
    async with Server(in_turn(redirect("/next", status="307 Go"), OK)) as server, virtual_user():
        await http.post(server.url, json={"a": 1})
    assert [request.header("content-type") for request in server.requests] == ["application/json"] * 2
    assert server.requests[1].body == b'{"a":1}'


# --- what one server must not know about another


@pytest.mark.parametrize("same", [True, False])
async def test_secrets_stay_with_their_origin(same: bool) -> None:
    """Authorization and Cookie headers go along on the same origin only; others go along everywhere."""
    headers = {"Authorization": "Bearer secret", "cookie": "session=secret", "Proxy-Authorization": "x", "X-A": "1"}
    async with Server(OK) as other, Server(OK) as server, virtual_user():
        server.answer = in_turn(redirect("/next" if same else f"{other.url}/next"), OK)
        await http.get(server.url, headers=headers)
    second = (server if same else other).requests[-1]
    assert second.target == "/next"
    assert second.header("authorization") == ("Bearer secret" if same else None)
    assert second.header("cookie") == ("session=secret" if same else None)
    assert second.header("proxy-authorization") == ("x" if same else None)
    assert second.header("x-a") == "1"


async def test_host_header_is_not_carried_to_another_origin() -> None:
    """A Host header set by the script is for the server it was meant for."""
    async with Server(OK) as other, Server(redirect(f"{other.url}/next")) as server, virtual_user():
        await http.get(server.url, headers={"Host": "shop.test"})
    assert server.requests[0].header("host") == "shop.test"
    assert other.requests[0].header("host") == urlsplit(other.url).netloc


@pytest.mark.parametrize("where", ["relative", "same origin", "other origin"])
async def test_credentials_in_the_url_stay_with_their_origin(where: str) -> None:
    """Userinfo of the URL is still known after a redirect on the same origin, and unknown elsewhere."""
    async with Server(OK) as other, Server(OK) as server, virtual_user():
        location = {"relative": "", "same origin": server.url, "other origin": other.url}[where] + "/b"
        server.answer = by_path({"/a": redirect(location), "/b": OK})
        await http.get(server.url.replace("//", "//ann:pw@") + "/a")
    first, second = [*server.requests, *other.requests]
    assert first.header("authorization") == "Basic YW5uOnB3"
    assert second.target == "/b"
    assert second.header("authorization") == (None if where == "other origin" else "Basic YW5uOnB3")


async def test_cookie_set_by_a_hop_is_sent_to_the_next() -> None:
    """A login that sets a cookie and redirects works, and cookies of one host do not reach another."""
    async with Server(OK) as server, virtual_user():
        there = f"http://localhost:{server.port}/there"
        server.answer = by_path(
            {
                "/login": redirect("/home", "Set-Cookie: session=1; Path=/"),
                "/home": redirect(there, "Set-Cookie: seen=yes; Path=/"),
                "/there": OK,
            }
        )
        answer = await http.get(f"{server.url}/login")
        assert answer.status_code == 200
    assert [request.header("cookie") for request in server.requests] == [None, "session=1", None]


async def test_url_of_a_hop_may_carry_credentials() -> None:
    """A Location with userinfo is followed with Basic auth, and shown without."""
    async with Server(OK) as server, virtual_user() as vu:
        there = server.url.replace("//", "//ann:pw@") + "/b"
        server.answer = by_path({"/a": redirect(there), "/b": OK})
        answer = await http.get(f"{server.url}/a")
        assert answer.url == f"{server.url}/b"
        assert vu.names == {f"{server.url}/a", f"{server.url}/b"}
    assert server.requests[1].header("authorization") == "Basic YW5uOnB3"


# --- odd places to be sent to


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b#part", "/b"),
        ("?page=2", "/a/x?page=2"),
        ("../c d", "/c%20d"),
        ("//{host}/b", "/b"),
        ("/b%20c?q=%C3%A9", "/b%20c?q=%C3%A9"),
        ("/caf\u00e9".encode().decode("latin-1"), "/caf%C3%A9"),  # UTF-8 on the wire, as most servers send it
    ],
)
async def test_location_is_resolved_against_the_request(location: str, target: str) -> None:
    """Relative, scheme-relative, unescaped and non-ASCII locations lead where a browser would go."""
    async with Server(OK) as server, virtual_user():
        there = location.replace("{host}", urlsplit(server.url).netloc)
        server.answer = in_turn(redirect(there), OK)
        assert (await http.get(f"{server.url}/a/x")).text == "ok"
    assert server.targets[1] == target


@pytest.mark.parametrize(
    ("location", "code"),
    [("http://[::1", 1020), ("https:///x", 1020), ("ftp://host/", 1000), ("http://host:port/", 1020)],
)
async def test_location_that_cannot_be_followed_is_a_failed_request(location: str, code: int) -> None:
    """A server that redirects to nonsense has not answered: two requests, the second of them failed."""
    async with Server(redirect(location)) as server, virtual_user() as vu:
        answer = await http.get(server.url)
        assert (answer.status_code, answer.error_code) == (0, code)
        assert [hop.status_code for hop in answer.history] == [302]
        assert vu.failed() == (1, 2)


async def test_redirect_to_a_dead_server() -> None:
    """A hop that is refused fails the request, and keeps the history."""
    async with Server(OK) as dead:
        location = dead.url
    async with Server(redirect(f"{location}/x")) as server, virtual_user() as vu:
        answer = await http.get(server.url)
        assert (answer.status_code, answer.error_code) == (0, 1212)
        assert len(answer.history) == 1
        assert vu.failed() == (1, 2)
        assert vu.names == {f"{server.url}/", f"{location}/x"}


async def test_timeout_covers_all_hops() -> None:
    """A chain of redirects, each quick enough, is given up when their sum is too long."""
    async with Server([Pause(0.06), redirect("/again")]) as server, virtual_user() as vu:
        started = perf_counter()
        answer = await http.get(server.url, timeout=0.2)
        assert (answer.status_code, answer.error_code) == (0, 1050)
        assert 0.19 < perf_counter() - started < 0.7
        failed, total = vu.failed()
        assert (failed, total) == (1, len(answer.history) + 1)


async def test_hop_may_close_the_connection() -> None:
    """A redirect with `Connection: close` is followed on a new connection."""
    closing: Answer = [redirect("/next", "Connection: close"), End.CLOSE]
    async with Server(in_turn(closing, OK)) as server, virtual_user():
        assert (await http.get(server.url)).text == "ok"
    assert server.connections == 2


async def test_base_url_is_kept_through_redirects() -> None:
    """A relative request resolves against the base URL, its redirect against the request."""

    def answer(request: Received) -> Answer:
        return redirect("../b") if request.target == "/v1/a/x" else OK

    async with Server(answer) as server, virtual_user(base_url=f"{server.url}/v1/") as vu:
        assert (await http.get("a/x")).url == f"{server.url}/v1/b"
        assert vu.names == {"/a/x", "/b"}
