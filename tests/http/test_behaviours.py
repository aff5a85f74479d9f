"""A server that does each thing which servers should not do: the right words, no hang, nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import pytest

from ciload import http
from tests.http.behaviours import BEHAVIOURS, Behaviour
from tests.http.server import Elsewhere, Server, response
from tests.http.vu import PeakMemory, virtual_user

pytestmark = pytest.mark.anyio

TIMEOUT_S = 0.4
MOST_BYTES = 9_000_000  # of memory: kept bodies are a megabyte, uploads three, and the server is in the same process
DESCRIPTORS = Path("/proc/self/fd")


def open_sockets() -> int:
    """How many this process has; libuv keeps descriptors of other kinds."""
    found = 0
    for each in DESCRIPTORS.iterdir() if DESCRIPTORS.exists() else ():
        with suppress(OSError):  # closed since
            found += str(each.readlink()).startswith("socket:")
    return found


@pytest.fixture(scope="module")
def sound() -> Iterator[Server]:
    """Says which request it answers."""
    with Elsewhere(lambda: Server(lambda request: response(request.target.encode()))) as server:
        yield server


def test_there_are_enough_of_them() -> None:
    assert len(BEHAVIOURS) >= 80


@pytest.mark.parametrize("name", BEHAVIOURS)
async def test_a_request_to_a_server_that(name: str, sound: Server) -> None:
    """Twice, so that the second meets what the first has left; then a request to a sound server has its own answer."""
    behaviour = BEHAVIOURS[name]
    before, tasks = open_sockets(), asyncio.all_tasks()
    with Elsewhere(lambda: Server(behaviour.answer, when=behaviour.when)) as server:
        async with virtual_user(max_body_kept=1_000_000) as vu:
            # The first look at what is imported late is not this server's.
            await request(behaviour, server.url)
            with PeakMemory() as peak:
                began = perf_counter()
                reply = await request(behaviour, server.url)
                took = perf_counter() - began
            assert (reply.status_code, int(reply.error_code)) == (behaviour.status, behaviour.code), reply.error
            assert behaviour.words in (reply.text if behaviour.status else reply.error)
            assert bool(reply.error) is (behaviour.status == 0)
            assert took < TIMEOUT_S + 3  # a busy machine, and memory is counted
            assert peak.bytes < MOST_BYTES
            assert (await http.get(f"{sound.url}/{name.replace(' ', '-')}")).text == f"/{name.replace(' ', '-')}"
            assert not [each for each in vu.client.settings.open if each.busy]
            assert asyncio.all_tasks() == tasks
            assert (server.connections == 1) is behaviour.alive
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            while open_sockets() > before:  # the sound server has to see the end of its connection
                await asyncio.sleep(0.01)
    assert open_sockets() <= before


async def request(behaviour: Behaviour, url: str) -> http.Response:
    content = b"x" * 3_000_000 if behaviour.method == "POST" else None
    return await http.request(behaviour.method, f"{url}/", content=content, timeout=TIMEOUT_S)
