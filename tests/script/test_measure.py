"""Operations: whatever a script measures by name, as it is seen in metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ciload.errors import Abort
from ciload.http.session import Exchanges, NoVirtualUserError, current
from ciload.metrics.snapshot import Snapshot
from ciload.script.api import abort, group
from ciload.script.measure import measure
from tests.script.test_api import as_virtual_user


def operations(snapshot: Snapshot) -> dict[tuple[str, ...], int]:
    """How many there were, by name, protocol and error."""
    found = snapshot.grouped("ops", "name", "protocol", "error")
    return {key: int(getattr(sink, "total", 0)) for key, sink in found}


def test_both_ways_and_both_kinds_of_functions() -> None:
    """A block of either kind and functions of either kind are the same operation, and functions stay what they are."""

    @measure("look up", protocol="postgresql")
    async def find(number: int) -> int:
        """Find it."""
        await asyncio.sleep(0)
        return number

    @measure("look up", protocol="postgresql")
    def find_now(number: int) -> int:
        return number

    async def body() -> None:
        async with measure("look up", protocol="postgresql"):
            await asyncio.sleep(0.002)
        with measure("look up", protocol="postgresql"):
            pass
        assert (await find(3), find_now(4)) == (3, 4)

    snapshot = as_virtual_user(body)

    assert operations(snapshot) == {("look up", "postgresql", ""): 4}
    assert snapshot.trend("op_duration").largest >= 2
    assert (find.__name__, find.__doc__) == ("find", "Find it.")
    assert asyncio.iscoroutinefunction(find)


def test_what_raises_has_failed_and_goes_on_its_way() -> None:
    """Its kind is the exception's class; what the script marks as failed itself has the script's own words."""

    async def body() -> None:
        with pytest.raises(ConnectionResetError), measure("save"):
            raise ConnectionResetError("by peer")
        async with measure("save") as operation:
            operation.fail("wrong answer")
        async with measure("save") as operation:
            operation.bytes_received, operation.bytes_sent = 2_000, 10

    snapshot = as_virtual_user(body)

    kinds = {("save", "", "ConnectionResetError"): 1, ("save", "", "wrong answer"): 1, ("save", "", ""): 1}
    assert operations(snapshot) == kinds
    failed, received = snapshot.select("op_failed"), snapshot.select("data_received")
    assert (getattr(failed, "passes", 0), getattr(failed, "total", 0)) == (2, 3)
    assert getattr(received, "total", 0) == 2_000
    errors = {key: entry.count for key, entry in snapshot.request_errors.entries.items()}
    assert errors == {("save", "ConnectionResetError"): 1, ("save", "wrong answer"): 1}


def test_samples_carry_the_group_and_tags_of_their_own() -> None:
    """As those of requests do."""

    async def body() -> None:
        async with group("checkout"):
            with measure("pay", card="test"):
                pass

    snapshot = as_virtual_user(body)

    assert [key for key, _ in snapshot.grouped("ops", "name", "group", "card")] == [("pay", "::checkout", "test")]


def test_cancellation_is_a_failure_and_an_abort_is_none() -> None:
    """What somebody stopped waiting for has failed; what ends the run says nothing about the operation."""

    async def body() -> None:
        async def wait() -> None:
            async with measure("wait"):
                await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(), 0.01)
        with measure("stop"):
            abort("enough")

    async def caught() -> None:
        with pytest.raises(Abort, match="enough"):
            await body()

    [(name, protocol, error)] = operations(as_virtual_user(caught))
    assert (name, protocol) == ("wait", "")
    assert error


def test_mistakes_are_told() -> None:
    """One object at work twice at once, generators, names that are none, and use outside of a virtual user."""
    shared = measure("twice")

    async def body() -> None:
        with shared, pytest.raises(RuntimeError, match="at work already"), shared:
            pass

    assert operations(as_virtual_user(body)) == {("twice", "", ""): 1}
    with pytest.raises(TypeError, match="generator"):

        @measure("each")
        def each() -> Iterator[int]:
            yield 1

    for name in ("", " ", 3):
        with pytest.raises(ValueError, match="name"):
            measure(name)  # type: ignore[arg-type]
    with pytest.raises(NoVirtualUserError), measure("nobody"):
        pass


def test_time_is_counted_once_where_operations_contain_others() -> None:
    """Side by side, virtual users that wait are told by the time they spend: a request in an operation is one wait."""
    spent: list[float] = []
    pairs: list[str] = []

    async def body() -> None:
        session = current.get()
        session.exchanges = Exchanges()
        with measure("outer"):
            with measure("inner"):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.01)
        with pytest.raises(KeyError), measure("failed"):
            raise KeyError
        spent.append(session.exchanges.seconds())
        pairs.extend(key[0] for key, seconds in session.exchanges if seconds)
        whole = next(seconds for key, seconds in session.exchanges if key[0] == "outer")
        assert spent[0] == pytest.approx(whole, abs=0.005)
        session.exchanges.clear()
        assert session.exchanges.seconds() == 0

    as_virtual_user(body)

    assert pairs == ["inner", "outer"]
