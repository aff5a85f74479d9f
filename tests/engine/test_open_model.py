"""The open model: starts come when they are due, whatever the target does; what cannot be, is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from ciload.http.session import current_session
from ciload.script.api import abort, group, sleep
from ciload.script.vu import VU
from tests.engine.conftest import Diary, VirtualRun

Runner = Callable[..., VirtualRun]

STALL = (4.0, 6.0)  # from when to when the target answers nothing
QUICK_S = 0.001


def near(times: float | list[float]) -> Any:
    return pytest.approx(times, abs=1e-6)


def arrivals(**fields: Any) -> dict[str, dict[str, Any]]:
    return {"only": {"executor": "constant-arrival-rate", **fields}}


def made(run: VirtualRun) -> float:
    return float(getattr(run.outcome.snapshot.select("vus_max"), "largest", 0))


# --- who does them


def test_virtual_users_are_hired_when_all_others_are_busy(run_virtually: Runner, diary: Diary) -> None:
    """Iterations of 2.4 s at 2/s keep 5 users busy; one more waits for the next start. Nobody else is made."""
    run = run_virtually(diary.taking(2.4), scenarios=arrivals(rate=2, duration="60s", max_vus=100))
    assert {start.vu for start in diary.starts} == {1, 2, 3, 4, 5, 6}
    assert made(run) == 6
    assert (run.total("iterations"), run.total("dropped_iterations")) == (120, 0)


def test_pre_allocated_users_are_there_from_the_start(run_virtually: Runner) -> None:
    """pre_allocated_vus are made before the load begins, others when they are needed."""
    made: list[float] = []

    async def vu_start() -> None:
        made.append(trio.current_time())

    async def default() -> None:
        await sleep(10)

    scenario = arrivals(rate=1, duration="5s", pre_allocated_vus=3, max_vus=10)
    run = run_virtually(default, functions={"vu_start": vu_start}, scenarios=scenario)
    assert made == near([0, 0, 0, 2, 3])
    assert run.total("iterations") == 5


def test_users_are_reused(run_virtually: Runner, diary: Diary) -> None:
    """A user that has become free takes the next start, so short iterations need few users."""
    run = run_virtually(diary.taking(0.01), scenarios=arrivals(rate=20, duration="10s", max_vus=500))
    assert len({start.vu for start in diary.starts}) <= 2
    assert made(run) <= 2


def test_vus_counts_those_within_an_iteration(run_virtually: Runner) -> None:
    """Waiting for the next start is no work."""

    async def default() -> None:
        await sleep(0.5)

    run = run_virtually(default, scenarios=arrivals(rate=1, duration="10s", pre_allocated_vus=50))
    assert {point.vus for point in run.outcome.timeline} <= {0, 1}
    assert made(run) == 50


# --- what is dropped


def test_starts_without_a_free_user_are_dropped_and_never_made_up_for(run_virtually: Runner, diary: Diary) -> None:
    """At 10/s with 2 users and iterations of 1 s, 2 of 10 take place, each at its own time; the rest is counted."""
    run = run_virtually(diary.taking(0.95), scenarios=arrivals(rate=10, duration="10s", max_vus=2))
    assert diary.times == near([second + tenth for second in range(10) for tenth in (0, 0.1)])
    assert (run.total("iterations"), run.total("dropped_iterations")) == (20, 80)
    assert run.total("late_iterations") == 0


def test_every_start_took_place_or_was_dropped(run_virtually: Runner, diary: Diary) -> None:
    """Numbers of dropped starts are left out of iteration_in_test; together they are all of the plan."""
    run = run_virtually(diary.taking(0.7), scenarios=arrivals(rate=7, duration="20s", max_vus=3))
    assert len(diary.numbers) + run.total("dropped_iterations") == 140
    assert len(set(diary.numbers)) == len(diary.numbers)
    assert all(start.at_s == near(start.number / 7) for start in diary.starts)


def test_drops_are_counted_while_they_happen(run_virtually: Runner) -> None:
    """The timeline shows them in their own second, although the only user is still stuck."""

    async def stuck() -> None:
        await sleep("1h")

    run = run_virtually(stuck, scenarios=arrivals(rate=10, duration="5s", max_vus=1, graceful_stop="0s"))
    assert [point.dropped for point in run.outcome.timeline[:4]] == [
        pytest.approx(9 + 10 * second, abs=1) for second in range(4)
    ]
    assert (run.total("dropped_iterations"), run.outcome.interrupted) == (49, 1)


def test_nothing_is_dropped_by_a_stop(run_virtually: Runner) -> None:
    """Starts that an abort has left out were not missed by anybody."""

    async def default() -> None:
        await sleep(0.01)
        if trio.current_time() > 2:
            abort()

    run = run_virtually(default, scenarios=arrivals(rate=10, duration="60s"))
    assert run.total("dropped_iterations") == 0
    assert run.outcome.load_s == pytest.approx(2.05, abs=0.1)


def test_ramping_arrivals_are_dropped_too(run_virtually: Runner, diary: Diary) -> None:
    """Starts and drops of a ramp add up to its integral."""
    scenario = {"only": {"executor": "ramping-arrival-rate", "stages": ["10s:20", "10s:0"], "max_vus": 5}}
    run = run_virtually(diary.taking(0.95), scenarios=scenario)
    assert len(diary.starts) + run.total("dropped_iterations") == 200
    assert run.total("dropped_iterations") > 50


# --- lateness


def test_a_start_for_which_a_user_must_be_hired_takes_place_late(run_virtually: Runner, diary: Diary) -> None:
    """While one more can be added nothing is dropped: the start waits for vu_start(), which is told as a delay."""

    async def vu_start() -> None:
        await sleep(0.3)

    scenario = arrivals(rate=10, duration="1s", max_vus=20)
    run = run_virtually(diary.taking(5), functions={"vu_start": vu_start}, scenarios=scenario)
    assert (run.total("iterations"), run.total("dropped_iterations")) == (10, 0)
    assert diary.starts[0].at_s == near(0.3)
    assert run.total("late_iterations") >= 1
    delays = run.outcome.snapshot.trend("iteration_start_delay")
    assert (delays.count, delays.largest) == (10, near(run.outcome.snapshot.trend("iteration_duration").largest - 5e3))


def test_iteration_duration_counts_from_when_the_start_was_due(run_virtually: Runner) -> None:
    """300 ms late and 200 ms of work are 500 ms for whoever waits for the answer."""

    async def vu_start() -> None:
        await sleep(0.3)

    async def default() -> None:
        await sleep(0.2)

    scenario = arrivals(rate=1, duration="1s", max_vus=1)
    run = run_virtually(default, functions={"vu_start": vu_start}, scenarios=scenario)
    durations = run.outcome.snapshot.trend("iteration_duration")
    assert (durations.count, durations.largest) == (1, near(500))
    assert run.total("late_iterations") == 1


def test_requests_know_how_late_their_iteration_is(run_virtually: Runner) -> None:
    """Their response times count from when they were due, also within a group; on time, nothing is added."""
    late: list[tuple[float, float]] = []

    async def vu_start(vu: VU) -> None:
        await sleep(0.3)

    async def default() -> None:
        async with group("inner"):
            late.append((trio.current_time(), current_session().late))
        await sleep(0.01)

    scenario = arrivals(rate=1, duration="3s", max_vus=1)
    run_virtually(default, functions={"vu_start": vu_start}, scenarios=scenario)
    assert late == [(near(0.3), near(0.3)), (near(1), near(0)), (near(2), near(0))]


# --- coordinated omission


async def stalling() -> None:
    """A target that answers at once, but for one stall."""
    now = trio.current_time()
    await sleep(QUICK_S)
    if STALL[0] <= now < STALL[1]:
        await sleep(STALL[1] - now)


def longer_than(run: VirtualRun, limit_ms: float) -> int:
    durations = run.outcome.snapshot.trend("iteration_duration")
    shares = [durations.percentiles([100 * rank / (durations.count - 1)])[0] for rank in range(durations.count)]
    return sum(each > limit_ms for each in shares)


def test_a_stall_is_seen_by_everybody_who_would_have_come(run_virtually: Runner) -> None:
    """50/s and a stall of 2 s: the 100 that came in it have waited, and no start was skipped for it."""
    run = run_virtually(stalling, scenarios=arrivals(rate=50, duration="10s", max_vus=200))
    assert run.total("iterations") == 500
    assert longer_than(run, 20) == pytest.approx(100, abs=2)
    assert run.outcome.snapshot.trend("iteration_duration").percentiles([90])[0] == pytest.approx(1000, abs=60)
    assert (run.total("dropped_iterations"), run.total("late_iterations")) == (0, 0)


def test_a_closed_model_sees_a_stall_once(run_virtually: Runner) -> None:
    """The one user waits and asks nothing meanwhile: that is coordinated omission, and why there are arrival rates."""

    async def paced() -> None:
        await stalling()
        await sleep(0.019 - QUICK_S)

    run = run_virtually(paced, vus=1, duration="10s")
    assert longer_than(run, 20) == 1


def test_with_one_user_a_stall_drops_what_came_in_it(run_virtually: Runner) -> None:
    """Nobody is free for them: about 100 are counted as dropped instead of being left out silently."""
    run = run_virtually(stalling, scenarios=arrivals(rate=50, duration="10s", max_vus=1))
    assert run.total("dropped_iterations") == pytest.approx(100, abs=2)
    assert run.total("iterations") + run.total("dropped_iterations") == 500
    assert longer_than(run, 20) == 1


# --- added virtual users


def test_nobody_can_be_hired_for_a_vu_start_that_always_raises(run_virtually: Runner) -> None:
    """Each attempt is a script error; all starts are dropped, and the run ends in time."""

    async def broken() -> None:
        raise RuntimeError("no account")

    scenario = arrivals(rate=10, duration="5s", max_vus=3)
    run = run_virtually(stalling, functions={"vu_start": broken}, scenarios=scenario)
    assert (run.total("iterations"), run.total("dropped_iterations")) == (0, 50)
    assert run.total("script_errors") == 3
    assert run.outcome.load_s <= 5


def test_a_vu_start_that_always_raises_is_called_once_for_each_start(run_virtually: Runner) -> None:
    """Thousands of users that could be added are not all tried at once."""

    async def broken() -> None:
        raise RuntimeError("no account")

    run = run_virtually(
        stalling, functions={"vu_start": broken}, scenarios=arrivals(rate=2, duration="10s", max_vus=5000)
    )
    assert (run.total("dropped_iterations"), run.total("script_errors")) == (20, 20)
    assert run.outcome.load_s == pytest.approx(9.5, abs=0.6)


def test_one_broken_vu_start_does_not_end_hiring(run_virtually: Runner, diary: Diary) -> None:
    """The start it was added for is dropped; for the next one there is the next user."""

    async def vu_start(vu: VU) -> None:
        if vu.id == 1:
            raise RuntimeError("no account")

    run = run_virtually(
        diary.taking(0.5), functions={"vu_start": vu_start}, scenarios=arrivals(rate=2, duration="10s", max_vus=5)
    )
    assert (run.total("iterations"), run.total("dropped_iterations"), run.total("script_errors")) == (19, 1, 1)
