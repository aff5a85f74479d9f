"""A virtual user for tests: what the engine sets up before it calls a script's function."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvloop

from ciload.errors import Abort
from ciload.http.client import Client
from ciload.http.session import Session, current
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.sinks import CounterSink, RateSink
from ciload.metrics.snapshot import Snapshot

LIMIT_S = 10.0  # a test that hangs fails instead

Result = TypeVar("Result")


class Nobody:
    """The owner of a session that no engine runs. Keeps what it is asked for."""

    def __init__(self) -> None:
        self.aborted: list[str] = []
        self.cut: list[float] = []
        self.random = random.Random(1)

    def abort(self, order: Abort) -> None:
        self.aborted.append(order.reason)

    def cut_off(self, waited_s: float, /) -> str:
        self.cut.append(waited_s)
        return "cut off"


class VirtualUser:
    """Its session, and what was measured so far."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._measured = Snapshot({})

    @property
    def client(self) -> Client:
        assert self.session.client is not None
        return self.session.client

    def snapshot(self) -> Snapshot:
        self._measured.merge(self.session.scope.registry.take())
        return self._measured

    def count(self, metric: str = "http_reqs", **tags: str) -> float:
        """The sum of a counter over the series with these tags."""
        sink = self.snapshot().select(metric, tags)
        assert sink is None or isinstance(sink, CounterSink)
        return sink.total if sink else 0

    def failed(self, **tags: str) -> tuple[int, int]:
        """Failed requests and all requests."""
        sink = self.snapshot().select("http_req_failed", tags)
        assert isinstance(sink, RateSink)
        return sink.passes, sink.total

    @property
    def names(self) -> set[str]:
        """The `name` tags that requests were measured under."""
        return {dict(tags)["name"] for tags in self.snapshot().series.get("http_reqs", {})}


class PeakMemory:
    """The most memory that Python's objects took within, beyond what there was before."""

    bytes: int = 0

    def __enter__(self) -> PeakMemory:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


@asynccontextmanager
async def virtual_user(**options: Any) -> AsyncIterator[VirtualUser]:
    """Make the running task a virtual user; `options` are those of `Client`."""
    client = Client(**options)
    session = Session(client, Scope(Registry(), "default"), Nobody())
    token = current.set(session)
    try:
        async with asyncio.timeout(LIMIT_S):
            yield VirtualUser(session)
    finally:
        current.reset(token)
        session.pool.close()
        client.close()
        async with asyncio.timeout(LIMIT_S):
            while client.settings.open:  # aborted connections say goodbye in the next turns of the loop
                await asyncio.sleep(0)


def run(scenario: Callable[[], Awaitable[Result]]) -> Result:
    """Run an async function under uvloop, for tests that call it many times (hypothesis)."""

    async def main() -> Result:
        return await scenario()

    return uvloop.run(main())
