"""Checks, groups and custom metrics, as a script uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ciload.errors import Abort
from ciload.http.client import Client
from ciload.http.head import NO_HEAD
from ciload.http.response import HTTPStatusError, Response
from ciload.http.session import NoVirtualUserError, Session, current
from ciload.http.timings import REUSED
from ciload.metrics.errors_tally import AnswerSample
from ciload.metrics.registry import MetricConflictError, Registry, Scope
from ciload.metrics.snapshot import Snapshot
from ciload.script.api import IterationFailedError, check, fail, group, is_as_expected
from ciload.script.at_hand import answer_at_hand
from ciload.script.failures import record_script_error
from ciload.script.metrics import Counter, CustomMetric, Gauge, Rate, Trend
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


def test_the_first_answer_of_a_check_that_fails_is_kept() -> None:
    """By name and group, once, without secrets; other values than responses say nothing."""

    async def body() -> None:
        for number in range(3):
            reply = Response(200, NO_HEAD, b'{"token": "x%d"}' % number, "GET", "http://a/b?c=d", REUSED, (0, 0, 0))
            check(reply, {"good": True, "bad": lambda r: "id" in r.json()})
            check(number, {"number": False})

    kept = as_virtual_user(body).failed_checks
    assert kept == {("bad", ""): AnswerSample("GET http://a/b?***", 200, '{"token": "***"}')}


def reply_of(body: bytes) -> Response:
    return Response(200, NO_HEAD, body, "GET", "http://a/", REUSED, (0, 0, 0))


def test_the_answer_that_a_script_was_busy_with_is_kept() -> None:
    """Whatever raised: the line itself, what it calls, json(), or raise_for_status()."""
    first, second = reply_of(b"[1]"), reply_of(b"[2]")

    def id_of(reply: Response) -> object:
        value = reply.json()
        return value["id"]

    def not_json() -> object:
        return reply_of(b"<3>").json()

    def failed() -> object:
        return Response(500, NO_HEAD, b"four", "GET", "http://a/", REUSED, (0, 0, 0)).raise_for_status()

    acts: dict[bytes, Callable[[], object]] = {
        b"[1]": lambda: first.json()["one"], b"[2]": lambda: id_of(second), b"<3>": not_json, b"four": failed
    }  # fmt: skip
    for content, act in acts.items():
        with pytest.raises((TypeError, ValueError, HTTPStatusError)) as caught:
            act()
        met = answer_at_hand(caught.value)
        assert met is not None
        assert met.content == content
    assert answer_at_hand(ValueError("nobody raised it")) is None


def test_of_two_answers_the_line_that_raised_names_one() -> None:
    """And if it names none, it is the one that came last."""

    def names_one() -> None:
        wanted, other = reply_of(b'{"a": 1}'), reply_of(b"{}")
        assert other is not wanted
        raise KeyError(wanted.text)

    def names_none() -> None:
        wanted, other = reply_of(b'{"a": 1}'), reply_of(b"{}")
        assert other is not wanted
        fail("no id")

    def says_anything() -> None:
        odd = Odd()
        raise KeyError(odd)

    class Odd:
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise RuntimeError("do not ask")

        def __repr__(self) -> str:
            return "odd"

    for function, content in ((names_one, b'{"a": 1}'), (names_none, b"{}"), (says_anything, None)):
        scope = Scope(Registry(), "default")
        try:
            function()
        except Exception as error:  # noqa: BLE001  # as the engine does
            record_script_error(scope, error)
        [entry] = scope.registry.take().errors.entries.values()
        assert (entry.sample.body.encode() if entry.sample else None) == content


def test_an_expectation_that_raises_is_a_script_error() -> None:
    """The answer is then not as expected, and the iteration goes on; abort() and coroutines are what they are."""
    reply = Response(200, NO_HEAD, b"[]", "GET", "http://a/", REUSED, (0, 0, 0))
    scope = Scope(Registry(), "default")
    assert is_as_expected(lambda r: r.json() == [], reply, scope) is True
    assert is_as_expected(lambda r: r.json()["total"], reply, scope) is False

    async def later(_: Response) -> bool:
        return True

    assert is_as_expected(later, reply, scope) is False
    first, second = (message for _, message in scope.registry.take().errors.entries)
    assert first.startswith("TypeError: list indices")
    assert second == "TypeError: expect= is an async function; await first, then check the result"

    def end(_: Response) -> None:
        raise Abort("enough")

    with pytest.raises(Abort):
        is_as_expected(end, reply, scope)


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


@pytest.mark.parametrize("kind", [Counter, Gauge, Rate, Trend])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308, -1e308, 10**400, "abc", None])
def test_a_value_that_cannot_be_summed_up_is_refused(kind: type[CustomMetric], value: float) -> None:
    """One of them would make every sum it is part of NaN or infinite; the error names the metric."""
    metric = kind("paid in all")

    async def body() -> None:
        with pytest.raises(ValueError, match=r"metric 'paid in all': .* is not a number that can be summed up"):
            metric.add(value)
        with pytest.raises(ValueError, match="metric 'paid in all'"):
            metric.add(value, {"kind": "odd"})

    assert as_virtual_user(body).select("paid in all") is None


def test_the_largest_samples_have_finite_numbers() -> None:
    """What is just accepted can be added up: average and percentiles are numbers."""
    costs, total = Trend("costs"), Counter("total")

    async def body() -> None:
        for value in (1e290, -1e290, 5e-324, 1e290, 1e290):
            costs.add(value)
            total.add(abs(value))

    snapshot = as_virtual_user(body)
    trend = snapshot.trend("costs")
    assert trend.mean == pytest.approx(4e289)
    assert (trend.smallest, trend.largest) == (-1e290, 1e290)
    assert trend.percentiles([0, 25, 50, 75]) == [-1e290, 5e-324, 1e290, 1e290]
    assert getattr(snapshot.select("total"), "total", 0) == pytest.approx(4e290)


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
