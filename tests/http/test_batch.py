"""`http.batch`: several requests at once, within limits that the server can rely on."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest

from ciload import http
from ciload.http import Request
from ciload.http.session import NoVirtualUserError
from tests.http.server import Answer, Meter, Pause, Received, Server, free_port, redirect, response
from tests.http.vu import run, virtual_user

pytestmark = pytest.mark.anyio


def echo(request: Received) -> bytes:
    return response(request.target.encode())


def slow_echo(request: Received) -> Answer:
    return [Pause(0.1), echo(request)]


async def test_list_gives_responses_in_order() -> None:
    """Responses come in the order of the requests, whichever is answered first."""

    def answer(request: Received) -> Answer:
        return [Pause(0.03 if request.target == "/0" else 0.0), echo(request)]

    async with Server(answer) as server, virtual_user() as vu:
        answers = await http.batch([f"{server.url}/{number}" for number in range(5)])
        assert [answer.text for answer in answers] == [f"/{number}" for number in range(5)]
        assert vu.count() == 5


async def test_mapping_keeps_its_keys() -> None:
    """A mapping gives a mapping with the same keys in the same order."""
    async with Server(echo) as server, virtual_user():
        answers = await http.batch(
            {"b": server.url + "/1", "a": Request("GET", server.url + "/2"), 3: server.url + "/3"}
        )
    assert {key: answer.text for key, answer in answers.items()} == {"b": "/1", "a": "/2", 3: "/3"}
    assert list(answers) == ["b", "a", 3]


async def test_empty_batch() -> None:
    """No requests, no responses."""
    async with virtual_user():
        assert await http.batch([]) == []
        assert await http.batch({}) == {}


async def test_entries_take_every_argument_of_a_request() -> None:
    """Method, body, headers, params, name, tags, timeout and redirects of an entry are its own."""

    def answer(request: Received) -> Answer:
        if request.target == "/slow":
            return [Pause(1), response(b"")]
        return redirect("/elsewhere") if request.target == "/go" else echo(request)

    async with Server(answer) as server, virtual_user() as vu:
        answers = await http.batch(
            [
                Request("POST", f"{server.url}/a", json={"x": 1}, headers={"X-A": "1"}, params={"q": 2}),
                Request("GET", f"{server.url}/b", name="b", tags={"team": "x"}),
                Request("GET", f"{server.url}/slow", timeout="50ms"),
                Request("GET", f"{server.url}/go", follow_redirects=False),
            ]
        )
        assert [answer.status_code for answer in answers] == [200, 200, 0, 302]
        assert answers[2].error_code == 1050
        assert vu.count(name="b", team="x") == 1
    posted = next(request for request in server.requests if request.method == "POST")
    assert (posted.target, posted.body, posted.header("x-a")) == ("/a?q=2", b'{"x":1}', "1")


async def test_failures_are_responses_like_any_other() -> None:
    """A refused and an invalid URL do not disturb the other requests of a batch."""
    async with Server(echo) as server, virtual_user() as vu:
        urls = [f"http://127.0.0.1:{free_port()}/", f"{server.url}/ok", "ftp://host/", "http://h:x/", "http://[::1/"]
        answers = await http.batch(urls)
        assert [answer.error_code for answer in answers] == [1212, 0, 1000, 1020, 1020]
        assert answers[1].text == "/ok"
        assert vu.failed() == (4, 5)


async def test_requests_run_at_the_same_time() -> None:
    """Six slow requests take about as long as one."""

    def answer(request: Received) -> Answer:
        return [Pause(0.1), echo(request)]

    async with Server(answer) as server, virtual_user():
        started = perf_counter()
        await http.batch([server.url] * 6)
        assert perf_counter() - started < 0.35
    assert server.in_flight.most == 6


@pytest.mark.parametrize(
    ("limits", "seen"),
    [
        ({}, 6),
        ({"batch_per_host": 3}, 3),
        ({"batch_per_host": 1}, 1),
        ({"batch_per_host": 0}, 20),
        ({"batch": 4}, 4),
        ({"batch": 0, "batch_per_host": 0}, 24),
    ],
)
async def test_limit_per_host(limits: dict[str, int], seen: int) -> None:
    """A server never sees more requests of one batch at once than the limits allow, and it sees that many."""
    async with Server(slow_echo) as server, virtual_user(**limits) as vu:
        answers = await http.batch([f"{server.url}/{number}" for number in range(24)])
        assert [answer.text for answer in answers] == [f"/{number}" for number in range(24)]
        assert vu.failed() == (0, 24)
    assert server.in_flight.most == seen
    assert server.connections == seen


async def test_limit_over_all_hosts() -> None:
    """Over several hosts, the total stays within the limit as well."""
    total = Meter()
    servers = [Server(slow_echo, in_flight=total) for _ in range(3)]
    async with servers[0], servers[1], servers[2], virtual_user(batch=7, batch_per_host=3) as vu:
        await http.batch([f"{server.url}/{number}" for number in range(8) for server in servers])
        assert vu.failed() == (0, 24)
    assert total.most == 7
    assert max(server.connections for server in servers) == 3


async def test_slow_host_does_not_hold_up_the_others() -> None:
    """Requests that wait for a slow host's turn leave the places of the batch to other hosts."""
    arrived: list[str] = []

    def slowly(request: Received) -> Answer:
        arrived.append("slow")
        return [Pause(0.1), echo(request)]

    def quickly(request: Received) -> Answer:
        arrived.append("quick")
        return echo(request)

    async with Server(slowly) as slow, Server(quickly) as quick, virtual_user(batch=4, batch_per_host=2) as vu:
        await http.batch([slow.url] * 6 + [quick.url] * 4)
        assert vu.failed() == (0, 10)
    assert arrived[:6].count("quick") == 4
    assert slow.in_flight.most == 2


async def test_one_host_in_two_spellings_is_one_host() -> None:
    """The limit per host counts servers, not the ways to write their URL."""
    async with Server(slow_echo) as server, virtual_user(base_url=f"http://localhost:{server.port}") as vu:
        host = f"localhost:{server.port}"
        urls = [f"http://{host}/", f"http://{host.upper()}/", f"http://ann:pw@{host}/", "/"] * 3
        answers = await http.batch(urls)
        assert all(answer.status_code == 200 for answer in answers)
        assert vu.failed() == (0, 12)
    assert server.in_flight.most == 6


BAD: dict[str, tuple[Any, type[Exception]]] = {
    "no request": (5, TypeError),
    "None": (None, TypeError),
    "tuple": (("GET", "http://host/"), TypeError),
    "method": (Request("GET /", "http://host/"), ValueError),
    "url": (Request("GET", None), TypeError),  # type: ignore[arg-type]
    "header": (Request("GET", "http://host/", headers={"X-A": "1\r\nX-B: 2"}), ValueError),
    "header type": (Request("GET", "http://host/", headers={"X-A": None}), TypeError),  # type: ignore[dict-item]
    "two bodies": (Request("POST", "http://host/", json=1, data="x"), ValueError),
    "body type": (Request("POST", "http://host/", content=5), TypeError),  # type: ignore[arg-type]
    "json": (Request("POST", "http://host/", json={1, 2}), TypeError),
    "timeout": (Request("GET", "http://host/", timeout="soon"), ValueError),
    "params": (Request("GET", "http://host/", params=5), TypeError),  # type: ignore[arg-type]
    "tags": (Request("GET", "http://host/", tags=["a"]), TypeError),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("bad", "error"), BAD.values(), ids=BAD.keys())
async def test_bad_entry_fails_the_batch_before_anything_is_sent(bad: Any, error: type[Exception]) -> None:
    """One entry that can never be sent is the script's mistake; the good entries are not sent either."""
    async with Server(echo) as server, virtual_user() as vu:
        with pytest.raises(error):
            await http.batch([server.url, server.url, bad])
        with pytest.raises(error):
            await http.batch({"good": server.url, "bad": bad})
        assert vu.count() == 0
    assert server.connections == 0


async def test_bad_entry_is_named() -> None:
    """The message says which entry is wrong."""
    async with virtual_user():
        with pytest.raises(TypeError, match=r"'pay'.*int"):
            await http.batch({"pay": 5})  # type: ignore[dict-item]


def test_batch_needs_a_virtual_user() -> None:
    """Outside a virtual user a batch is refused like a request."""
    with pytest.raises(NoVirtualUserError):
        run(lambda: http.batch([]))
