"""--trace and --http-debug: what is sent with each request, and what is shown of it."""

from __future__ import annotations

import random
import re

import pytest

from ciload import http
from ciload.http.watching import LONGEST_BODY, MOST_SHOWN, MOST_SHOWN_BYTES, WireLog, watch_for
from tests.http.http2_server import Asked, Http2Server, Peer
from tests.http.server import Answer, End, Server, by_path, redirect, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

OK = response(b'{"token": "Geheim7"}', "Content-Type: application/json", "Set-Cookie: sid=Geheim7Geheim7")
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


async def test_every_hop_has_a_trace_of_its_own() -> None:
    """GETs, bodies, streams and redirects: each goes out with another valid header, whatever a script has seeded."""
    answers: dict[str, Answer] = {"/a": redirect("/b"), "/b": OK}
    async with Server(by_path(answers)) as server, virtual_user(watch=watch_for(trace=True, show=None)) as vu:
        random.seed(1)
        replies = [await http.get(f"{server.url}/a"), await http.post(f"{server.url}/b", json={"a": 1})]
        random.seed(1)
        async with await http.get(f"{server.url}/b", stream=True) as reply:
            await reply.aread()
        sent = [TRACEPARENT.fullmatch(each.header("traceparent") or "") for each in server.requests]
        ids = [match[1] for match in sent if match]
        assert len(sent) == len(set(ids)) == len({match[2] for match in sent if match}) == 4
        assert [each.trace for each in (replies[0].history[0], replies[0], replies[1])] == ids[:3]
        assert server.requests[2].body == b'{"a":1}'
        slowest = vu.session.scope.registry.take().slowest
        assert sorted(each.trace for each in slowest) == sorted(ids)


async def test_requests_over_http2_have_traces_too() -> None:
    """Each stream has its own, though heads are remembered there; what is shown is the head as HTTP/1 would have it."""

    async def answer(peer: Peer, asked: Asked) -> None:
        await peer.answer(asked, b"ok")

    shown = Shown()
    watch = watch_for(trace=True, show=shown.log)
    async with Http2Server(answer) as server, virtual_user(http2="only", watch=watch) as vu:
        await http.batch([server.url] * 3)
        ids = {dict(asked.headers)["traceparent"][3:35] for asked in server.asked}
        assert {each.trace for each in vu.session.scope.registry.take().slowest} == ids
    assert len(ids) == 3
    assert all(f"> traceparent: 00-{each}-" in shown.text for each in ids)
    assert shown.text.count("< #") == 3


async def test_without_trace_nothing_is_sent() -> None:
    """It is off unless somebody asks for it."""
    async with Server(OK) as server, virtual_user():
        reply = await http.get(server.url)
        assert (server.requests[0].header("traceparent"), reply.trace) == (None, "")


async def test_a_trace_of_the_script_is_left_alone() -> None:
    """Its own id is sent, once, and is the one that the report knows."""
    own = f"00-{'a' * 32}-{'b' * 16}-00"
    async with Server(OK) as server, virtual_user(watch=watch_for(trace=True, show=None)) as vu:
        await http.get(server.url, headers={"Traceparent": own})
        assert server.requests[0].header("traceparent") == own
        assert [each.trace for each in vu.session.scope.registry.take().slowest] == ["a" * 32]


async def test_failed_requests_can_be_looked_up() -> None:
    """The sample of an error has the id of its own request, also when there was no answer."""
    answers: dict[str, Answer] = {"/a": response(b"oh", status="500 Oh"), "/b": [End.STALL]}
    async with Server(by_path(answers)) as server, virtual_user(watch=watch_for(trace=True, show=None)) as vu:
        await http.get(f"{server.url}/a")
        await http.get(f"{server.url}/b", timeout="50ms")
        snapshot = vu.session.scope.registry.take()
        sent = [TRACEPARENT.fullmatch(each.header("traceparent") or "") for each in server.requests]
        samples = [entry.sample for entry in snapshot.request_errors.entries.values()]
        assert [each.trace for each in samples if each] == [match[1] for match in sent if match]


async def test_a_refused_request_has_no_trace_of_another() -> None:
    """What was never sent has no time, so its id must not go to the request before."""
    async with virtual_user(watch=watch_for(trace=True, show=None)) as vu:
        await http.get("http://127.0.0.1:1/")
        assert vu.session.scope.registry.take().slowest == []


class Shown:
    """A log that remembers what it is told."""

    def __init__(self, *, full: bool = False) -> None:
        self.text = ""
        self.log = WireLog(self._write, full=full)
        self.watch = watch_for(trace=False, show=self.log)

    def _write(self, text: str) -> None:
        self.text += text


async def test_heads_are_shown_without_secrets() -> None:
    """Request line and headers, status and headers; no body, no token, no cookie, no query."""
    shown = Shown()
    async with Server(OK) as server, virtual_user(watch=shown.watch):
        await http.post(
            f"{server.url}/a?key=Geheim7", json={"password": "Geheim7"}, cookies={"sid": "Geheim7"},
            headers={"X-Tenant": "acme"}, auth=http.BearerAuth("Geheim7"),
        )  # fmt: skip
    assert "> POST /a?*** HTTP/1.1\n" in shown.text
    assert "> X-Tenant: acme\n" in shown.text
    assert re.search(r"< #1 200 OK after \d+\.\d ms\n", shown.text)
    assert "< Content-Type: application/json\n" in shown.text
    assert "Geheim7" not in shown.text
    assert "{" not in shown.text


async def test_in_full_bodies_are_shown_as_well() -> None:
    """Their beginnings, with secrets hidden by name, and those that the target repeats."""
    shown = Shown(full=True)
    echo = response(b'{"token": "Geheim7", "said": "Geheim7Geheim7"}' + b" " * 9_000 + b"end")
    async with Server(echo) as server, virtual_user(watch=shown.watch):
        await http.post(server.url, json={"password": "Geheim7", "n": 1}, auth=http.BearerAuth("Geheim7Geheim7"))
    assert '> {"password":"***","n":1}\n' in shown.text.replace('": "***"', '":"***"')
    assert '< {"token": "***", "said": "***"}' in shown.text
    assert "Geheim7" not in shown.text
    assert "end" not in shown.text


async def test_no_answer_is_shown() -> None:
    """Why there is none stands in the place of the status."""
    shown = Shown()
    async with Server([End.CLOSE]) as server, virtual_user(watch=shown.watch):
        await http.post(server.url)
    assert "< #1 no answer: connection closed by the server before any response\n" in shown.text


async def test_control_characters_of_a_target_stay_in_the_text() -> None:
    """No header or body gives commands to a terminal."""
    shown = Shown(full=True)
    hostile = response(b"\x1b[31mred\x1b[0m", "X-A: \x1b[2J")
    async with Server(hostile) as server, virtual_user(watch=shown.watch):
        await http.get(server.url)
    assert "\\x1b" in shown.text
    assert "\x1b" not in shown.text


async def test_it_ends_by_itself() -> None:
    """After so many requests it says that it ends, and shows no more; the load goes on."""
    shown = Shown()
    async with Server(OK) as server, virtual_user(watch=shown.watch) as vu:
        for _ in range(MOST_SHOWN + 20):
            await http.get(server.url)
        assert vu.count() == MOST_SHOWN + 20
    assert shown.text.endswith(f"http debug ends here, after {MOST_SHOWN} requests; the load goes on\n")
    assert f"#{MOST_SHOWN} " in shown.text
    assert f"#{MOST_SHOWN + 1}" not in shown.text


async def test_large_bodies_cannot_fill_a_log() -> None:
    """There is a bound in bytes as well."""
    shown = Shown(full=True)
    async with Server(response(b"x" * 2 * LONGEST_BODY)) as server, virtual_user(watch=shown.watch):
        for _ in range(MOST_SHOWN):
            await http.get(server.url)
    assert len(shown.text) < MOST_SHOWN_BYTES + 2 * LONGEST_BODY
    assert "http debug ends here" in shown.text
