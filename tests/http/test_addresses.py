"""Names with several addresses: connections are spread over them, and one that is down costs nobody a request."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ciload import http
from tests.http.server import End, Server, free_port, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

Address = tuple[str, int]


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[Address]], seconds: float = 0) -> list[str]:
    """Let the event loop find these addresses, after a while; the names that were looked up."""
    asked: list[str] = []
    kind = type(asyncio.get_running_loop())
    original = kind.getaddrinfo

    async def getaddrinfo(loop: Any, host: str, *more: Any, **options: Any) -> list[Any]:
        if host not in names:  # uvloop asks for numeric addresses as well
            return await original(loop, host, *more, **options)
        asked.append(host)
        await asyncio.sleep(seconds)
        if not names[host]:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            (socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in names[host]
        ]

    monkeypatch.setattr(kind, "getaddrinfo", getaddrinfo)
    return asked


def named(name: str) -> bytes:
    return response(name.encode())


async def servers(stack: AsyncExitStack, count: int) -> list[Server]:
    return [await stack.enter_async_context(Server([named(str(n)), End.CLOSE])) for n in range(count)]


async def test_connections_are_spread_over_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12 connections to a name with three servers behind it, each gets 4."""
    async with AsyncExitStack() as stack:
        found = await servers(stack, 3)
        asked = resolve(monkeypatch, {"three.test": [("127.0.0.1", each.port) for each in found]})
        await stack.enter_async_context(virtual_user())
        answers = [(await http.get("http://three.test/")).text for _ in range(12)]
    assert Counter(answers) == {"0": 4, "1": 4, "2": 4}
    assert asked == ["three.test"]


async def test_each_name_is_spread_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that alternate between two names with two servers each reach all four."""
    async with AsyncExitStack() as stack:
        found = await servers(stack, 4)
        addresses = [("127.0.0.1", each.port) for each in found]
        resolve(monkeypatch, {"a.test": addresses[:2], "b.test": addresses[2:]})
        await stack.enter_async_context(virtual_user())
        answers = [(await http.get(f"http://{name}.test/")).text for _ in range(4) for name in "ab"]
    assert Counter(answers) == {"0": 2, "1": 2, "2": 2, "3": 2}


async def test_an_address_that_refuses_falls_through_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two servers is down: no request fails."""
    async with Server([named("up"), End.CLOSE]) as server, virtual_user() as vu:
        resolve(monkeypatch, {"half.test": [("127.0.0.1", free_port()), ("127.0.0.1", server.port)]})
        assert {(await http.get("http://half.test/")).text for _ in range(4)} == {"up"}
        assert vu.failed() == (0, 4)


async def test_ipv4_comes_first_and_ipv6_is_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """k6's policy: an IPv6 address is asked when no IPv4 address answers."""
    async with Server([named("four"), End.CLOSE]) as server, virtual_user():
        resolve(monkeypatch, {"both.test": [("::1", free_port()), ("127.0.0.1", server.port)]})
        assert {(await http.get("http://both.test/")).text for _ in range(3)} == {"four"}


async def test_when_all_addresses_fail_the_first_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what happened at the server that was meant, not at one that this machine cannot even ask."""
    async with virtual_user():
        resolve(monkeypatch, {"none.test": [("127.0.0.1", free_port()), ("::ffff:0:0:1", 1)]})
        answer = await http.get("http://none.test/")
        assert (answer.error_code, answer.error) == (1212, "dial: connection refused")


async def test_an_address_that_is_found_twice_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolvers repeat themselves; the share of each server stays even."""
    async with AsyncExitStack() as stack:
        one, two = [("127.0.0.1", each.port) for each in await servers(stack, 2)]
        resolve(monkeypatch, {"twice.test": [one, two, one]})
        await stack.enter_async_context(virtual_user())
        answers = [(await http.get("http://twice.test/")).text for _ in range(4)]
    assert Counter(answers) == {"0": 2, "1": 2}


async def test_a_name_is_looked_up_once_for_all_who_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five hundred virtual users that start together are one question to the resolver."""
    async with AsyncExitStack() as stack:
        [server] = await servers(stack, 1)
        asked = resolve(monkeypatch, {"one.test": [("127.0.0.1", server.port)]}, seconds=0.2)
        await stack.enter_async_context(virtual_user())
        answers = await asyncio.gather(*(http.get("http://one.test/") for _ in range(50)))
    assert {each.text for each in answers} == {"0"}
    assert asked == ["one.test"]


async def test_a_look_up_that_fails_has_failed_for_all_who_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told at the same time, not one after the other; the next who asks tries again."""
    async with virtual_user():
        asked = resolve(monkeypatch, {"none.test": []}, seconds=0.2)
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(http.get("http://none.test/") for _ in range(50)))
        assert asyncio.get_running_loop().time() - began < 2
        assert {each.error_code for each in answers} == {1101}
        assert asked == ["none.test"]
        await http.get("http://none.test/")
        assert len(asked) == 2


async def test_a_look_up_goes_on_when_who_began_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others still want to know."""
    async with AsyncExitStack() as stack:
        [server] = await servers(stack, 1)
        asked = resolve(monkeypatch, {"one.test": [("127.0.0.1", server.port)]}, seconds=0.2)
        await stack.enter_async_context(virtual_user())
        hasty, patient = await asyncio.gather(
            http.get("http://one.test/", timeout=0.05), http.get("http://one.test/", timeout=5)
        )
    assert (hasty.error_code, patient.text) == (1050, "0")
    assert len(asked) == 2


SILENT = ("192.0.2.1", 80)  # TEST-NET-1: nobody is there


def silent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let connects to `SILENT` hang; what became of them."""
    kind = type(asyncio.get_running_loop())
    original = kind.sock_connect
    ends: list[str] = []

    async def sock_connect(loop: Any, sock: Any, address: Any) -> None:
        if address != SILENT:
            await original(loop, sock, address)
            return
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    monkeypatch.setattr(kind, "sock_connect", sock_connect)
    return ends


async def test_a_silent_address_costs_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: the next address is tried beside it, and whoever answers first is taken."""
    async with Server([named("up"), End.CLOSE]) as server, virtual_user() as vu:
        ends = silent(monkeypatch)
        resolve(monkeypatch, {"half.test": [SILENT, ("127.0.0.1", server.port)]})
        answers = [await http.get("http://half.test/") for _ in range(2)]
        assert [answer.text for answer in answers] == ["up", "up"]
        took = sorted(answer.timings.connecting for answer in answers)
        assert took[0] < 200 < took[1] < 2_000
        assert vu.failed() == (0, 2)
        await asyncio.sleep(0)
        assert ends == ["cancelled"]


async def test_silent_addresses_end_with_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither answers: one request that timed out, and how long it looked up and tried to connect."""
    async with virtual_user():
        ends = silent(monkeypatch)
        resolve(monkeypatch, {"down.test": [SILENT, ("192.0.2.1", 80)]}, seconds=0.1)
        answer = await http.get("http://down.test/", timeout=0.6)
        assert (answer.error, answer.error_code) == ("request timeout", 1050)
        assert 90 < answer.timings.looking_up < 300
        assert 200 < answer.timings.connecting < 600
        assert answer.timings.blocked >= answer.timings.looking_up + answer.timings.connecting
        assert answer.timings.duration == 0
        await asyncio.sleep(0)
        assert ends


async def test_of_several_failures_the_first_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preferred address refuses, another one cannot be reached at all: it is the refusal that helps."""
    async with virtual_user():
        resolve(monkeypatch, {"down.test": [("127.0.0.1", free_port()), ("255.255.255.255", 80)]})
        errors = {(await http.get("http://down.test/")).error for _ in range(2)}
    assert "dial: connection refused" in errors


async def test_an_address_in_a_zone_that_is_not_here() -> None:
    """An interface that this machine does not have is told by name."""
    async with virtual_user():
        answer = await http.get("http://[fe80::1%25nowhere0]/")
    assert answer.error == "dial: no network interface 'nowhere0'"
