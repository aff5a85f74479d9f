"""Checks, groups and custom metrics, as a script uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ciload.http.client import Client
from ciload.http.session import NoVirtualUserError, Session, current
from ciload.metrics.registry import MetricConflictError, Registry, Scope
from ciload.metrics.snapshot import Snapshot
from ciload.script.api import IterationFailedError, check, fail, group
from ciload.script.metrics import Counter, Gauge, Rate, Trend
from tests.http.vu import Nobody


def as_virtual_user(body: Callable[[], Awaitable[None]]) -> Snapshot:
    """Run `body` as an iteration would; what it measured."""
    registry = Registry()

    async def main() -> None:
        client = Client()
        current.set(Session(client, Scope(registry, "default"), Nobody()))
        await body()
        client.close()

    asyncio.run(main())
    return registry.take()


def checks(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    return {
        f"{group}/{name}": (getattr(sink, "passes", 0), getattr(sink, "total", 0))
        for (name, group), sink in snapshot.grouped("checks", "check", "group")
    }


def test_a_check_counts_truthiness_and_says_whether_all_hold() -> None:
    """Functions, plain values and truthy results all work; the answer is the conjunction."""
    answers = []

    async def body() -> None:
        answers.append(check([1], {"not empty": lambda v: v, "flag": True}))
        answers.append(check([], {"not empty": lambda v: v, "flag": 1}))

    assert checks(as_virtual_user(body)) == {"/not empty": (1, 2), "/flag": (2, 2)}
    assert answers == [True, False]


def test_a_check_that_raises_counts_as_failed_and_as_a_script_error() -> None:
    """The other checks still run, and the iteration goes on."""

    async def body() -> None:
        assert check({}, {"has x": lambda v: v["x"], "is dict": lambda v: isinstance(v, dict)}) is False

    snapshot = as_virtual_user(body)
    assert checks(snapshot) == {"/has x": (0, 1), "/is dict": (1, 1)}
    assert [message for _, message in snapshot.errors.entries] == ["KeyError: 'x'"]
    assert getattr(snapshot.select("script_errors"), "total", 0) == 1


def test_an_async_check_is_refused() -> None:
    """A coroutine is truthy: counting it as passed would be a check that cannot fail."""

    async def later(_: object) -> bool:
        return False

    async def body() -> None:
        assert check(1, {"later": later}) is False

    snapshot = as_virtual_user(body)
    assert checks(snapshot) == {"/later": (0, 1)}
    assert "async function" in next(iter(snapshot.errors.entries))[1]


def test_concurrent_tasks_keep_their_own_group() -> None:
    """Two tasks of one virtual user in different groups do not mix up their samples."""

    async def in_group(name: str, turns: asyncio.Event, mine: asyncio.Event) -> None:
        async with group(name):
            mine.set()
            await turns.wait()
            check(1, {"seen": True})

    async def body() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(in_group("one", two, one), in_group("two", one, two))
        check(1, {"seen": True})

    assert set(checks(as_virtual_user(body))) == {"::one/seen", "::two/seen", "/seen"}


@pytest.mark.parametrize("name", ["", "a::b", None])
def test_a_group_needs_a_usable_name(name: str) -> None:
    """`::` separates groups, so no name contains it."""
    with pytest.raises(ValueError, match="group"):
        group(name)


def test_custom_metrics_add_up_by_kind_and_tags() -> None:
    """Each kind sums up as its name says; tags make series of their own."""
    counter, gauge, rate, trend = Counter("bytes", unit="bytes"), Gauge("depth"), Rate("bad"), Trend("wait", unit="ms")

    async def body() -> None:
        for value in (1, 2, 3):
            counter.add(value)
            gauge.add(value)
            rate.add(value > 2)
            trend.add(value, {"kind": "odd" if value % 2 else "even"})

    snapshot = as_virtual_user(body)
    assert getattr(snapshot.select("bytes"), "total", 0) == 6
    assert getattr(snapshot.select("depth"), "last", 0) == 3
    assert getattr(snapshot.select("bad"), "rate", 0) == pytest.approx(1 / 3)
    assert snapshot.trend("wait", {"kind": "odd"}).mean == 2.0
    assert snapshot.trend("wait").count == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "abc"])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    """One NaN would poison every sum it is part of."""
    metric = Counter("c")

    async def body() -> None:
        with pytest.raises(ValueError, match=r"not a number|could not convert"):
            metric.add(value)

    as_virtual_user(body)


def test_one_name_has_one_kind() -> None:
    """A metric cannot be a rate in one place and a trend in another, nor shadow a built-in one."""
    token = current.set(Session(None, Scope(Registry()), Nobody()))
    try:
        Rate("share")
        with pytest.raises(MetricConflictError, match="already a rate"):
            Trend("share")
        with pytest.raises(MetricConflictError, match="already a counter"):
            Trend("http_reqs")
    finally:
        current.reset(token)


@pytest.mark.parametrize("name", ["", " ", "a{b}", "x" * 129, "tab\t", None])
def test_a_metric_needs_a_printable_name_without_braces(name: str) -> None:
    """Any text fit for a report will do, but thresholds must be able to name it."""
    with pytest.raises(ValueError, match="metric's name"):
        Trend(name)


def test_outside_of_a_virtual_user_there_is_nothing_to_measure() -> None:
    """The error says where such calls belong."""
    with pytest.raises(NoVirtualUserError, match="top level"):
        check(1, {"x": True})
    with pytest.raises(NoVirtualUserError, match="top level"):
        Counter("c").add(1)


def test_fail_ends_the_iteration() -> None:
    """`fail()` raises, with its reason."""
    with pytest.raises(IterationFailedError, match="no token"):
        fail("no token")
