"""Connections are kept between requests, and one that the server has given up is never the script's problem."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ciload import http
from tests.http.server import Answer, Answerer, End, Pause, Received, Server, in_turn, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

CLOSING = response(b"bye", "Connection: close")


def drops_second_request(how: End) -> Answerer:
    """Every connection answers one request and drops the next: what a race with the idle timeout looks like."""
    seen: set[int] = set()

    def answer(request: Received) -> Answer:
        if request.connection in seen:
            return [how]
        seen.add(request.connection)
        return response(b"ok")[: -2 if request.method == "HEAD" else None]

    return answer


async def test_requests_in_a_row_share_a_connection() -> None:
    """A virtual user connects once, and only the first request shows time for it."""
    async with Server(response(b"ok")) as server, virtual_user() as vu:
        answers = [await http.get(server.url) for _ in range(20)]
        blocked = vu.snapshot().trend("http_req_blocked")
        assert blocked.count == 20
        assert blocked.percentiles([90]) == [0]
    assert server.connections == 1
    assert answers[0].timings.blocked >= answers[0].timings.connecting > 0
    assert [answer.timings.connecting for answer in answers[1:]] == [0] * 19


async def test_origins_do_not_share_connections() -> None:
    """Each server gets its own connection."""
    async with Server(response(b"a")) as one, Server(response(b"b")) as two, virtual_user():
        texts = [(await http.get(server.url)).text for server in (one, two, one, two)]
    assert texts == ["a", "b", "a", "b"]
    assert (one.connections, two.connections) == (1, 1)


async def test_requests_at_the_same_time_use_connections_of_their_own() -> None:
    """Tasks of one virtual user never share a connection at the same time, and all are kept for later."""
    async with Server(lambda request: response(request.target.encode())) as server, virtual_user():
        for _ in range(2):
            answers = await asyncio.gather(*(http.get(f"{server.url}/{number}") for number in range(5)))
            assert [answer.text for answer in answers] == [f"/{number}" for number in range(5)]
    assert server.connections == 5


async def test_server_that_restarts_between_requests_is_asked_again() -> None:
    """Idle connections that the server has closed are replaced, every time, without an error."""
    async with Server(response(b"ok")) as server, virtual_user() as vu:
        for _ in range(4):
            assert (await http.get(server.url)).text == "ok"
            assert (await http.post(server.url, content=b"x")).text == "ok"
            await server.drop_connections()
        assert vu.failed() == (0, 8)
    assert server.connections == 4


async def test_idle_connections_closed_by_the_server_are_forgotten() -> None:
    """Of several idle connections, all that the server has closed are dropped."""
    async with Server(response(b"ok")) as server, virtual_user() as vu:
        for _ in range(3):
            await asyncio.gather(*(http.get(server.url) for _ in range(4)))
            await server.drop_connections()
            assert [len(idle) for idle in vu.session.pool.idle.values()] == [0]
            assert not vu.client.settings.open


async def test_connection_close_is_obeyed_and_the_next_connection_is_kept() -> None:
    """`Connection: close` ends a connection; what follows is kept alive, closed and replaced like any other."""
    async with Server(in_turn(response(b"1"), CLOSING, response(b"3"))) as server, virtual_user():
        for _ in range(3):
            assert (await http.get(server.url)).status_code == 200
        await server.drop_connections()
        assert (await http.get(server.url)).text == "3"
    assert [request.connection for request in server.requests] == [1, 1, 2, 3]


@pytest.mark.parametrize("how", [End.CLOSE, End.RESET])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_stale_connection_is_retried_once(method: str, how: End) -> None:
    """A server that drops an idle connection as it is used again is asked once more; the script sees no error."""
    async with Server(drops_second_request(how)) as server, virtual_user() as vu:
        for _ in range(3):
            answer = await http.request(method, server.url)
            assert (answer.status_code, answer.error) == (200, "")
        assert vu.failed() == (0, 3)
        assert vu.count() == 3
    assert server.connections == 3
    assert len(server.requests) == 5


@pytest.mark.parametrize(("how", "code"), [(End.CLOSE, 1000), (End.RESET, 1220)])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_stale_connection_is_not_retried_for_post(method: str, how: End, code: int) -> None:
    """What might have happened already must not happen twice: a POST is a failed request instead."""
    async with Server(drops_second_request(how)) as server, virtual_user() as vu:
        assert (await http.request(method, server.url, content=b"pay")).text == "ok"
        answer = await http.request(method, server.url, content=b"pay")
        assert (answer.status_code, answer.error_code) == (0, code)
        assert vu.failed() == (1, 2)
    assert [request.connection for request in server.requests] == [1, 1]


async def test_retry_that_fails_is_one_failed_request() -> None:
    """When the fresh connection is dropped as well, that is the outcome: no third attempt."""
    async with Server(in_turn(response(b"ok"), [End.CLOSE])) as server, virtual_user() as vu:
        assert (await http.get(server.url)).text == "ok"
        answer = await http.get(server.url)
        assert (answer.status_code, answer.error_code) == (0, 1000)
        assert vu.failed() == (1, 2)
    assert [request.connection for request in server.requests] == [1, 1, 2]


async def test_first_request_on_a_connection_is_not_retried() -> None:
    """A server that drops fresh connections is reported, not asked again."""
    async with Server([End.CLOSE]) as server, virtual_user():
        assert (await http.get(server.url)).error_code == 1000
    assert len(server.requests) == 1


async def test_partial_response_is_not_retried() -> None:
    """Once a response has begun, a reused connection that breaks is an error."""
    async with Server(in_turn(response(b"ok"), [b"HTTP/1.1 2", End.CLOSE])) as server, virtual_user():
        await http.get(server.url)
        assert (await http.get(server.url)).error_code == 1000
    assert len(server.requests) == 2


async def test_server_gone_between_requests_is_refused() -> None:
    """When the server of a kept-alive connection is gone for good, the request says that nothing listens."""
    async with virtual_user() as vu:
        async with Server(drops_second_request(End.CLOSE)) as server:
            await http.get(server.url)
            server.stop_listening()
            answer = await http.get(server.url)
        assert (answer.status_code, answer.error_code) == (0, 1212)
        assert vu.failed() == (1, 2)


async def test_closing_the_pool_closes_its_connections() -> None:
    """A virtual user that ends leaves no connection open, and one that goes on connects anew."""
    async with Server(response(b"ok")) as server, virtual_user() as vu:
        await http.get(server.url)
        vu.session.pool.close()
        await asyncio.wait_for(server.closed.wait(), 2)
        assert (await http.get(server.url)).text == "ok"
    assert server.connections == 2


async def test_a_retry_hides_no_time_and_no_bytes() -> None:
    """A server that works on a request and then closes has taken that time, whatever the second attempt takes."""
    seen: set[int] = set()

    def answer(request: Received) -> Answer:
        if request.connection in seen:
            return [Pause(0.3), End.CLOSE]
        seen.add(request.connection)
        return response(b"ok")

    async with Server(answer) as server, virtual_user() as vu:
        await http.get(server.url)
        before = vu.count("data_sent")
        retried = await http.get(server.url)
        assert (retried.status_code, retried.text) == (200, "ok")
        assert 0.3 <= retried.timings.waiting / 1000 < 2
        assert vu.count("data_sent") - before == 2 * before
        assert vu.snapshot().trend("http_req_duration").count == 2
        assert vu.snapshot().trend("http_req_duration").percentiles([100])[0] >= 300


async def test_a_retry_that_finds_nobody_has_taken_the_time_before() -> None:
    """The server works, closes, and is gone: one failed request, with the time that it was waited for."""
    async with Server(response(b"ok")) as server, virtual_user() as vu:
        await http.get(server.url)

        def last(_: Received) -> Answer:
            server.stop_listening()
            return [Pause(0.3), End.CLOSE]

        server.answer = last
        failed = await http.get(server.url)
        assert (failed.status_code, failed.error_code) == (0, 1212)
        assert failed.timings.waiting / 1000 >= 0.29  # the clocks of the two are read at different moments
        assert vu.failed() == (1, 2)
        assert vu.snapshot().trend("http_req_duration").count == 2


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, CLOSE"])
async def test_who_asks_for_the_end_of_a_connection_gets_it(value: str) -> None:
    """RFC 9112 9.6: after `Connection: close` nothing more is sent on it, whatever the server says."""
    async with Server(response(b"ok", "Connection: keep-alive")) as server, virtual_user() as vu:
        for _ in range(3):
            await http.get(server.url, headers={"Connection": value})
        assert server.connections == 3
        assert not vu.session.pool.idle or not any(vu.session.pool.idle.values())
        await http.get(server.url)
        await http.get(server.url)
    assert server.connections == 4


async def test_no_connection_is_left_that_was_given_up_while_it_was_made() -> None:
    """Time-outs and cancellation at every moment of a connection's beginning: what is open afterwards is in use."""
    async with Server(response(b"ok")) as server, virtual_user() as vu:
        for number in range(400):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(number / 400 * 0.002):
                    await http.get(server.url)
            await http.get(server.url, timeout=0.00001 + number / 400 * 0.002, headers={"Connection": "close"})
        await asyncio.sleep(0.05)
        resting = {each for idle in vu.session.pool.idle.values() for each in idle}
        assert vu.client.settings.open == resting
