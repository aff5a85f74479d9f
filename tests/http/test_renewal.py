"""Connections of a virtual user that are exchanged for new ones while it rests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ciload.http.client import Client, renew_connections, request
from ciload.http.session import Session, current
from ciload.metrics.registry import Registry, Scope
from tests.http.vu import Nobody

pytestmark = pytest.mark.anyio
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Target:
    """Answers every request, and remembers on which connection it came."""

    def __init__(self, answer: bytes = ANSWER) -> None:
        self.answer = answer
        self.opened = 0
        self.closed = 0
        self.asked_on: list[int] = []
        self.leave: Callable[[], None] = lambda: None  # lets nobody in any more

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        number = self.opened
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked_on.append(number)
                writer.write(self.answer)
        except asyncio.IncompleteReadError:
            self.closed += 1
        finally:
            writer.close()


@asynccontextmanager
async def served(target: Target) -> AsyncIterator[tuple[Session, str]]:
    """A virtual user, and the address."""
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0)
    target.leave = server.close
    client = Client()
    session = Session(client, Scope(Registry()), Nobody())
    current.set(session)
    try:
        yield session, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        session.pool.close()
        client.close()
        server.close()


async def test_the_next_request_goes_over_another_connection() -> None:
    """One that was opened before it: nothing of that is in the request's times."""
    target = Target()
    async with served(target) as (session, url):
        await request("GET", url)
        await request("GET", url)
        await renew_connections(session)
        reply = await request("GET", url)

        assert target.asked_on == [1, 1, 2]
        assert reply.timings.blocked == reply.timings.connecting == 0
        await asyncio.sleep(0.05)
        assert (target.opened, target.closed) == (2, 1)


async def test_connections_that_are_not_kept_are_left_to_the_next_request() -> None:
    """A server that closes after every answer has no connection that could be renewed."""
    target = Target(ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
    async with served(target) as (session, url):
        await request("GET", url)
        await renew_connections(session)

        assert target.opened == 1


async def test_a_server_that_is_gone_is_for_the_next_request_to_find() -> None:
    """Renewing raises nothing; the request fails, and is counted."""
    target = Target()
    async with served(target) as (session, url):
        await request("GET", url)
        target.leave()
        await renew_connections(session)
        reply = await request("GET", url)

        assert (reply.status_code, target.opened) == (0, 1)
        assert "refused" in reply.error
