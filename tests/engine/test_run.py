"""When iterations start and end, and what happens around them, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ciload.engine.control import Control
from ciload.errors import ExitCode
from ciload.script.api import abort, check, fail_test, group, sleep
from ciload.script.vu import VU
from tests.engine.conftest import VirtualRun

Runner = Callable[..., VirtualRun]


async def one_second() -> None:
    await sleep(1)


def test_an_hour_of_constant_virtual_users(run_virtually: Runner) -> None:
    """10 users with iterations of 1 s do 36,000 of them in an hour, and the timeline has a row for each second."""
    run = run_virtually(one_second, vus=10, duration="1h")
    assert run.total("iterations") == 36_000
    assert len(run.outcome.timeline) in (3600, 3601)
    assert [round(point.at_s) for point in run.outcome.timeline[:3]] == [1, 2, 3]
    assert run.outcome.load_s == pytest.approx(3600, abs=1.5)


def test_running_iterations_may_finish_within_the_graceful_stop(run_virtually: Runner) -> None:
    """Iterations under way at the end count when they end in time, and nothing new starts."""

    async def slow() -> None:
        await sleep(7)

    run = run_virtually(slow, vus=2, duration="10s")
    assert (run.total("iterations"), run.outcome.interrupted) == (4, 0)
    assert run.outcome.load_s == pytest.approx(14, abs=0.1)


def test_iterations_that_do_not_finish_in_time_are_interrupted_and_not_counted(run_virtually: Runner) -> None:
    """After the graceful stop the run is over, whatever the script still does."""

    async def stuck() -> None:
        await sleep("1h")

    run = run_virtually(stuck, vus=3, duration="10s", graceful_stop="5s")
    assert (run.total("iterations"), run.outcome.interrupted) == (0, 3)
    assert run.outcome.load_s == pytest.approx(15, abs=0.1)


def test_shared_iterations_are_taken_from_one_pot(run_virtually: Runner) -> None:
    """A fast user does more of them than a slow one; together they do exactly the number."""
    done: dict[int, int] = {}

    async def uneven(vu: VU) -> None:
        await sleep(vu.id)
        done[vu.id] = done.get(vu.id, 0) + 1

    run = run_virtually(uneven, vus=3, iterations=20)
    assert run.total("iterations") == sum(done.values()) == 20
    assert done[1] > done[2] > done[3]


def test_iterations_not_started_in_time_are_counted_as_dropped(run_virtually: Runner) -> None:
    """`--iterations` with `--duration` as its limit says what it left out."""
    run = run_virtually(one_second, vus=1, iterations=20, duration="5s")
    assert (run.total("iterations"), run.total("dropped_iterations")) == (5, 15)


def test_virtual_users_have_ids_and_count_their_iterations(run_virtually: Runner) -> None:
    """`vu.id` starts at 1 and `vu.iteration` at 0, as k6's __VU and __ITER do."""
    seen: list[tuple[int, int]] = []

    async def note(vu: VU) -> None:
        seen.append((vu.id, vu.iteration))
        await sleep(1)

    run_virtually(note, vus=2, duration="2s")
    assert sorted(seen) == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_every_virtual_user_gets_its_own_copy_of_the_setup_data(run_virtually: Runner) -> None:
    """What one user does to `data` no other user sees, and teardown gets the original."""
    seen: list[Any] = []

    async def setup() -> dict[str, list[int]]:
        return {"list": []}

    async def teardown(data: dict[str, list[int]]) -> None:
        seen.append(data)

    async def default(vu: VU, data: dict[str, list[int]]) -> None:
        data["list"].append(vu.id)
        await sleep(1)
        assert set(data["list"]) == {vu.id}

    run = run_virtually(default, functions={"setup": setup, "teardown": teardown}, vus=3, duration="3s")
    assert (run.total("script_errors"), seen) == (0, [{"list": []}])


def test_an_exception_ends_the_iteration_and_is_counted_once_per_kind(run_virtually: Runner) -> None:
    """Iterations that raise are no finished iterations; the traceback shows the script and not ciload."""

    async def sometimes(vu: VU) -> None:
        await sleep(1)
        if vu.iteration % 2:
            raise ValueError("odd")

    run = run_virtually(sometimes, vus=1, duration="10s")
    assert (run.total("iterations"), run.total("script_errors")) == (5, 5)
    [((source, message), entry)] = run.outcome.snapshot.errors.entries.items()
    assert (source, message, entry.count) == ("script", "ValueError: odd", 5)
    assert "in sometimes" in entry.detail
    assert "engine/vus.py" not in entry.detail


def test_an_iteration_that_never_waits_lets_the_others_run(run_virtually: Runner) -> None:
    """Without a pause of its own a script must not keep the end of the run from coming."""
    turns: list[int] = []

    async def busy(vu: VU) -> None:
        turns.append(vu.id)

    run_virtually(busy, vus=2, iterations=10)
    assert sorted(turns) == [1] * 5 + [2] * 5


def test_setup_that_takes_too_long_ends_the_run(run_virtually: Runner) -> None:
    """Exit code 100, no load, no teardown."""
    calls: list[str] = []

    async def forever() -> None:
        await sleep("1h")

    async def teardown(data: object) -> None:
        calls.append("teardown")

    run = run_virtually(
        one_second, functions={"setup": forever, "teardown": teardown}, setup_timeout="10s", duration="5s"
    )
    assert [stop.code for stop in run.outcome.stops] == [ExitCode.SETUP_TIMEOUT]
    assert (run.outcome.timeline, calls) == ([], [])


def test_teardown_that_takes_too_long_is_a_failure_of_its_own(run_virtually: Runner) -> None:
    """Exit code 101; the load's results stand."""

    async def forever(data: object) -> None:
        await sleep("1h")

    run = run_virtually(one_second, functions={"teardown": forever}, teardown_timeout="10s", duration="5s")
    assert [stop.code for stop in run.outcome.stops] == [ExitCode.TEARDOWN_TIMEOUT]
    assert run.total("iterations") == 5


def test_data_that_cannot_be_copied_is_a_script_error(run_virtually: Runner) -> None:
    """Exit code 107 and no load: virtual users would share what they must not."""

    async def setup() -> object:
        return (each for each in "abc")

    run = run_virtually(one_second, functions={"setup": setup}, duration="5s")
    [stop] = run.outcome.stops
    assert stop.code == ExitCode.SCRIPT_ERROR
    assert "cannot be copied for each virtual user" in stop.reason
    assert run.outcome.timeline == []


def test_an_abort_in_teardown_counts(run_virtually: Runner) -> None:
    """Exit code 108, although the load was over."""

    async def teardown(data: object) -> None:
        abort("leftovers")

    run = run_virtually(one_second, functions={"teardown": teardown}, duration="5s")
    assert [stop.code for stop in run.outcome.stops] == [ExitCode.ABORTED]
    assert run.total("iterations") == 5


def test_an_abort_in_setup_ends_the_run(run_virtually: Runner) -> None:
    """Exit code 108, once, without load and teardown."""
    calls: list[str] = []

    async def setup() -> None:
        abort("no target")

    async def teardown(data: object) -> None:
        calls.append("teardown")

    run = run_virtually(one_second, functions={"setup": setup, "teardown": teardown}, duration="5s")
    assert [stop.code for stop in run.outcome.stops] == [ExitCode.ABORTED]
    assert (run.outcome.timeline, calls) == ([], [])


def test_an_exception_in_setup_is_a_script_error(run_virtually: Runner) -> None:
    """Exit code 107, and the traceback is kept."""

    async def broken() -> None:
        raise RuntimeError("no users")

    run = run_virtually(one_second, functions={"setup": broken}, duration="5s")
    assert [stop.code for stop in run.outcome.stops] == [ExitCode.SCRIPT_ERROR]
    assert ("script", "RuntimeError: no users") in run.outcome.snapshot.errors.entries


def test_abort_stops_everyone_and_teardown_still_runs(run_virtually: Runner) -> None:
    """Exit code 108 with the reason; `except Exception` in the script cannot swallow it."""
    calls: list[str] = []

    async def default(vu: VU) -> None:
        await sleep(1)
        if vu.id == 1 and vu.iteration == 2:
            try:
                abort("enough")
            except Exception:  # noqa: BLE001
                calls.append("swallowed")

    async def teardown(data: object) -> None:
        calls.append("teardown")

    run = run_virtually(default, functions={"teardown": teardown}, vus=3, duration="1h")
    [stop] = run.outcome.stops
    assert (stop.code, stop.reason) == (ExitCode.ABORTED, "the script called abort(): enough")
    assert calls == ["teardown"]
    assert run.outcome.load_s == pytest.approx(3, abs=0.2)


def test_fail_test_lets_the_run_go_on(run_virtually: Runner) -> None:
    """The run is marked once per reason and finishes its load."""

    async def default() -> None:
        await sleep(1)
        fail_test("wrong data")

    run = run_virtually(default, vus=2, duration="5s")
    assert run.total("iterations") == 10
    assert list(run.outcome.snapshot.marked_failed) == ["wrong data"]


def test_a_stop_from_outside_interrupts_at_once(run_virtually: Runner) -> None:
    """A signal does not wait for the graceful stop; teardown still runs."""
    control, calls = Control(), []

    async def default() -> None:
        await sleep(2)
        control.request(ExitCode.INTERRUPTED, "interrupted by SIGTERM")
        await sleep("1h")

    async def teardown(data: object) -> None:
        calls.append("teardown")

    run = run_virtually(default, functions={"teardown": teardown}, control=control, vus=2, duration="1h")
    assert [stop.code for stop in run.outcome.stops] == [ExitCode.INTERRUPTED]
    assert run.outcome.load_s == pytest.approx(2, abs=0.2)
    assert (run.outcome.interrupted, calls) == (2, ["teardown"])


def test_samples_of_setup_stay_out_of_the_metrics(run_virtually: Runner) -> None:
    """Checks in setup do not dilute the checks of the load."""

    async def setup() -> None:
        check(1, {"in setup": False})

    async def default() -> None:
        check(1, {"in default": True})
        await sleep(1)

    run = run_virtually(default, functions={"setup": setup}, duration="3s")
    names = {dict(tags)["check"] for tags in run.outcome.snapshot.series["checks"]}
    assert names == {"in default"}


def test_virtual_users_and_groups_are_measured(run_virtually: Runner) -> None:
    """`vus` follows the users at work, `group_duration` the time in each group, by its path."""

    async def default() -> None:
        async with group("outer"):
            await sleep(1)
            async with group("inner"):
                await sleep(2)

    run = run_virtually(default, vus=4, duration="9s")
    snapshot = run.outcome.snapshot
    groups = {dict(tags)["group"] for tags in snapshot.series["group_duration"]}
    assert groups == {"::outer", "::outer::inner"}
    assert {point.vus for point in run.outcome.timeline[:8]} == {4}
    assert getattr(snapshot.select("vus"), "largest", 0) == 4
