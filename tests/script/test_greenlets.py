"""Plain functions of a script: they wait, are measured and are interrupted like asynchronous ones."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import httpx
import pytest
import trio

import ciload
from ciload import http, sync
from ciload.http.session import NoVirtualUserError
from ciload.script.greenlets import NotAwaitedError, NotInAPlainFunctionError, PlainFunction, wait_for
from ciload.script.vu import VU
from tests.engine.conftest import VirtualRun
from tests.http.server import Pause, Server, Step, in_turn, response
from tests.http.vu import virtual_user

Runner = Callable[..., VirtualRun]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"use_uvloop": True})


class TestWithServers:
    """Against real sockets, on the event loop that runs everything else."""

    pytestmark = pytest.mark.anyio

    async def test_requests_are_measured_as_ever(self) -> None:
        """One by one, several at once, in groups and operations; while one waits, others go on."""
        turns: list[str] = []

        def default() -> None:
            with sync.group("shop"):
                turns.append(sync.http.get("/a").text)
                with sync.measure("both"):
                    replies = sync.http.batch({"b": "/b", "c": sync.http.Request("POST", "/c", json={})})
            turns.append("".join(each.text for each in replies.values()))
            sync.sleep(0.001)

        async with Server(response(b"ok")) as server, virtual_user(base_url=server.url) as vu:

            async def others() -> None:
                turns.append("other")

            other = asyncio.create_task(others())
            await PlainFunction(default, "default")
            await other
            names = {key for key, _ in vu.snapshot().grouped("http_reqs", "method", "name", "group")}
            assert names == {("GET", "/a", "::shop"), ("GET", "/b", "::shop"), ("POST", "/c", "::shop")}
            assert vu.count("ops", name="both") == 1
            assert vu.snapshot().select("group_duration", {"group": "::shop"}) is not None
        assert turns == ["other", "ok", "okok"]

    async def test_streams_are_read_as_they_come(self) -> None:
        """By pieces, lines and events, or as a whole; leaving early is no failure."""
        body = b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n"
        steps: list[Step] = [body, b"data: one\n\n", Pause(0.02), b"data: two\n\nno"]
        seen: list[Any] = []

        def default() -> None:
            with sync.http.get("/", stream=True) as reply:
                seen.append([event.data for event in reply.iter_sse()])
            with sync.http.get("/", stream=True) as reply:
                seen.append(next(iter(reply.iter_lines())))
            seen.append(sync.http.get("/", stream=True).read())
            with sync.http.get("/") as reply:
                seen.append(b"".join(reply.iter_bytes()))

        async with Server(steps) as server, virtual_user(base_url=server.url) as vu:
            await PlainFunction(default, "default")
            assert vu.failed() == (0, 4)
        whole = b"data: one\n\ndata: two\n\nno"
        assert seen == [["one", "two"], "data: one", whole, whole]

    async def test_uploads_and_failures(self) -> None:
        """Bodies from generators go as they come; whatever the target does is in the response."""

        def default() -> None:
            assert sync.http.post("/", content=(part for part in (b"a", b"b"))).status_code == 200
            assert sync.http.get("http://127.0.0.1:1/").error
            with pytest.raises(ValueError, match="invalid method"):
                sync.http.request("G E T", "/")

        async with Server(response(b"ok")) as server, virtual_user(base_url=server.url):
            await PlainFunction(default, "default")

    async def test_cancellation_comes_to_where_it_waits(self) -> None:
        """The request is counted as failed, `finally` is done, and the function can be called again."""
        seen: list[str] = []

        def default() -> None:
            try:
                sync.http.get("/")
                seen.append("answered")
            finally:
                seen.append("left")

        function = PlainFunction(default, "default")
        async with Server(in_turn([Pause(60.0)], response(b"ok"))) as server, virtual_user(base_url=server.url) as vu:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(function, 0.05)
            assert vu.failed() == (1, 1)
            await function
            assert vu.failed() == (1, 2)
        assert seen == ["left", "answered", "left"]

    async def test_httpx_without_await(self) -> None:
        """Its synchronous client waits in a plain function, and what it sends is measured; streams as well."""
        seen: list[str] = []

        def default() -> None:
            with httpx.Client(transport=sync.httpx_transport(), base_url=url) as client:
                seen.append(client.post("/a", json={}).text)
                with client.stream("GET", "/b") as reply:
                    seen.append("".join(reply.iter_text()))
                with pytest.raises(httpx.ConnectError):
                    client.get("http://127.0.0.1:1/")

        async with Server(response(b"ok")) as server, virtual_user() as vu:
            url = server.url
            await PlainFunction(default, "default")
            assert vu.failed() == (1, 3)
        assert seen == ["ok", "ok"]


class TestWhereItIsNone:
    """What cannot wait says why, and what to write."""

    pytestmark = pytest.mark.anyio

    async def test_in_an_asynchronous_function(self) -> None:
        """The event loop would have to wait for itself."""
        async with virtual_user():
            with pytest.raises(NotInAPlainFunctionError, match="from ciload import http"):
                sync.http.get("/")

    def test_at_the_top_level_and_in_threads(self) -> None:
        """No virtual user is at work there."""
        raised: list[BaseException] = []

        def work() -> None:
            try:
                sync.http.get("/")
            except NoVirtualUserError as error:
                raised.append(error)

        with pytest.raises(NoVirtualUserError):
            sync.http.get("/")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert len(raised) == 1

    async def test_a_plain_function_that_makes_coroutines(self) -> None:
        """It took its verbs from the wrong place."""
        async with virtual_user():
            with pytest.raises(NotAwaitedError, match=r"from ciload\.sync import http"):
                await PlainFunction(lambda: http.get("/"), "default")


class TestInTheEngine:
    """In virtual time, on another event loop: the bridge knows none of them."""

    def test_iterations_and_hooks_without_await(self, run_virtually: Runner) -> None:
        """As often, and at the same times, as asynchronous ones; mixed with these as a script likes."""
        at: list[tuple[int, float]] = []

        def setup() -> dict[str, int]:
            sync.sleep(1)
            return {"n": 7}

        def vu_start(vu: VU) -> None:
            vu.number = 0

        def default(vu: VU, data: dict[str, int]) -> None:
            at.append((vu.id, trio.current_time()))
            sync.sleep(2)
            vu.number += data["n"]

        async def vu_stop(vu: VU) -> None:
            assert vu.number == 21

        hooks = {"setup": setup, "vu_start": vu_start, "vu_stop": vu_stop}
        run = run_virtually(default, functions=hooks, vus=2, duration="6s")

        assert run.total("script_errors") == 0
        assert sorted(at) == pytest.approx([(vu, 1.0 + 2 * n) for vu in (1, 2) for n in range(3)])
        assert run.outcome.snapshot.trend("iteration_duration").smallest == pytest.approx(2_000)

    def test_what_a_function_raises_is_a_script_error(self, run_virtually: Runner) -> None:
        """With its own traceback; the next iteration begins as ever."""

        def default(vu: VU) -> None:
            sync.sleep(1)
            if vu.iteration == 1:
                raise KeyError("of mine")

        run = run_virtually(default, vus=1, iterations=3)
        assert (run.total("iterations"), run.total("script_errors")) == (2, 1)
        [(source, message)] = run.outcome.snapshot.errors.entries
        assert message == "KeyError: 'of mine'"
        assert "sync.sleep(1)" not in run.outcome.snapshot.errors.entries[(source, message)].detail

    def test_the_end_of_the_load_interrupts_it(self, run_virtually: Runner) -> None:
        """When its graceful stop is over, whatever it waits for."""
        left: list[float] = []

        def default() -> None:
            try:
                sync.sleep(3600)
            finally:
                left.append(trio.current_time())

        run = run_virtually(default, vus=1, duration="5s", graceful_stop="3s")
        assert run.outcome.interrupted == 1
        assert left == pytest.approx([8.0])

    def test_abort_ends_the_run(self, run_virtually: Runner) -> None:
        """Wherever it is called."""

        def default() -> None:
            sync.sleep(1)
            sync.abort("enough")

        run = run_virtually(default, vus=3, duration="1h")
        assert run.control.stop is not None
        assert "enough" in run.control.stop.reason


@pytest.fixture
def run_virtually() -> Runner:
    from tests.engine import conftest

    runner: Runner = conftest.run_virtually.__wrapped__()  # type: ignore[attr-defined]
    return runner


def test_every_verb_has_its_counterpart() -> None:
    """With the same parameters: what works with `await` works without."""
    verbs = [name for name in http.__all__ if isinstance(getattr(http, name), FunctionType | MethodType)]
    assert len(verbs) == 9
    for name in verbs:
        assert (
            inspect.signature(getattr(sync.http, name)).parameters == inspect.signature(getattr(http, name)).parameters
        )
    assert set(http.__all__) <= set(sync.http.__all__)
    assert set(ciload.__all__) - {"__version__"} == set(sync.__all__)


def test_what_is_thrown_away_is_gone() -> None:
    """Greenlets that rest do not keep what they worked with, and end silently."""

    class Kept:
        alive = 0

        def __init__(self) -> None:
            Kept.alive += 1

        def __del__(self) -> None:
            Kept.alive -= 1

    async def main() -> None:
        async def nothing() -> None:
            await asyncio.sleep(0)

        def default() -> Kept:
            kept = Kept()
            wait_for(nothing())
            return kept

        function = PlainFunction(default, "default")
        await function
        gc.collect()
        assert Kept.alive == 0
        await function

    asyncio.run(main())
    gc.collect()
    assert Kept.alive == 0
