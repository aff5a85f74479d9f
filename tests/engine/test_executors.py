"""When each executor starts iterations, to the millisecond, and what becomes of those that run on at its end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from typing import Any

import pytest
import trio

from ciload.script.api import sleep
from ciload.script.vu import VU
from tests.engine.conftest import Diary, VirtualRun

Runner = Callable[..., VirtualRun]
LONG_S = 900


def one(executor: str, **fields: Any) -> dict[str, dict[str, Any]]:
    return {"only": {"executor": executor, **fields}}


def near(times: float | list[float]) -> Any:
    return pytest.approx(times, abs=1e-6)


# --- constant-vus


def test_constant_vus_do_one_iteration_after_the_other(run_virtually: Runner, diary: Diary) -> None:
    """Every user starts at 0 and again whenever its iteration is over; nothing starts at the end itself."""
    run = run_virtually(diary.taking(1), scenarios=one("constant-vus", vus=2, duration="3s"))
    assert (diary.of(1), diary.of(2)) == (near([0, 1, 2]), near([0, 1, 2]))
    assert diary.numbers == list(range(6))
    assert run.total("dropped_iterations") == 0


# --- ramping-vus


def test_ramping_vus_go_up_and_down_and_up_again(run_virtually: Runner, diary: Diary) -> None:
    """The n-th user works from when the line reaches n until it reaches n - 1: who started last leaves first."""
    stages = [{"duration": "10s", "target": each} for each in (5, 0, 5)]
    run = run_virtually(diary.taking(0.5), scenarios=one("ramping-vus", start_vus=0, stages=stages))
    for vu in range(1, 6):
        own = diary.of(vu)
        breaks = [(before, after) for before, after in pairwise(own) if after - before > 0.6]
        assert own[0] == pytest.approx(2 * vu)
        if vu == 5:  # its second time would begin when the load ends
            assert own[-1] == pytest.approx(11.5)
        else:
            assert breaks == [(near(22 - 2 * vu - 0.5), near(20 + 2 * vu))]
            assert own[-1] == pytest.approx(29.5)
    assert run.outcome.interrupted == 0


def ramp(*stages: tuple[str, int], **fields: Any) -> dict[str, dict[str, Any]]:
    return one("ramping-vus", stages=[{"duration": each, "target": target} for each, target in stages], **fields)


def test_a_ramp_down_lets_iterations_end_within_its_grace(run_virtually: Runner, diary: Diary) -> None:
    """Users that have to go start nothing new, and finish what they do when there is time for it."""
    scenario = ramp(("10s", 3), ("0s", 1), ("20s", 1), start_vus=3, graceful_ramp_down="7s")
    run = run_virtually(diary.taking(8), scenarios=scenario)
    assert (diary.of(1), diary.of(2), diary.of(3)) == (near([0, 8, 16, 24]), near([0, 8]), near([0, 8]))
    assert (run.total("iterations"), run.outcome.interrupted) == (8, 0)


def test_a_ramp_down_cuts_iterations_that_take_longer(run_virtually: Runner) -> None:
    """When its graceful_ramp_down is over, a user's iteration is interrupted and counts as nothing."""
    cut: list[tuple[float, int]] = []

    async def slow(vu: VU) -> None:
        try:
            await sleep(8)
        except trio.Cancelled:
            cut.append((trio.current_time(), vu.id))
            raise

    scenario = ramp(("10s", 3), ("0s", 1), ("20s", 1), start_vus=3, graceful_ramp_down="3s")
    run = run_virtually(slow, scenarios=scenario)
    assert sorted(cut) == [(near(13), 2), (near(13), 3)]
    assert (run.total("iterations"), run.outcome.interrupted) == (6, 2)


def test_a_user_that_is_called_back_in_time_goes_on(run_virtually: Runner, diary: Diary) -> None:
    """An iteration that began before a dip is not cut when its user is planned again within the grace."""
    scenario = ramp(("5s", 2), ("0s", 1), ("2s", 1), ("0s", 2), ("10s", 2), start_vus=2, graceful_ramp_down="2s")
    run = run_virtually(diary.taking(4), scenarios=scenario)
    assert diary.of(2) == near([0, 4, 8, 12, 16])
    assert run.outcome.interrupted == 0


def test_no_user_starts_an_iteration_in_a_dip(run_virtually: Runner, diary: Diary) -> None:
    """Even one that is still there, since its last iteration ended within the grace, waits until it is planned."""
    scenario = ramp(("5s", 2), ("0s", 1), ("5s", 1), ("0s", 2), ("10s", 2), start_vus=2, graceful_ramp_down="10s")
    run_virtually(diary.taking(3), scenarios=scenario)
    assert diary.of(2) == near([0, 3, 10, 13, 16, 19])


def test_the_end_of_the_stages_is_no_ramp_down(run_virtually: Runner) -> None:
    """Users that are planned to the end have the graceful stop, however short graceful_ramp_down is (as in k6)."""

    async def slow() -> None:
        await sleep(8)

    scenario = ramp(("10s", 2), start_vus=2, graceful_ramp_down="0s", graceful_stop="20s")
    run = run_virtually(slow, scenarios=scenario)
    assert (run.total("iterations"), run.outcome.interrupted) == (4, 0)


def test_a_ramp_down_to_nothing_at_the_end_is_one(run_virtually: Runner) -> None:
    """The last user leaves when the line reaches 0, and has the grace of the ramp, not that of the end."""

    async def slow() -> None:
        await sleep(8)

    scenario = ramp(("10s", 2), ("0s", 0), start_vus=2, graceful_ramp_down="1s", graceful_stop="20s")
    run = run_virtually(slow, scenarios=scenario)
    assert (run.total("iterations"), run.outcome.interrupted) == (2, 2)
    assert run.outcome.load_s == pytest.approx(11, abs=0.1)


def test_the_graceful_stop_bounds_a_longer_ramp_down(run_virtually: Runner) -> None:
    """The scenario is over when its graceful stop is, whatever graceful_ramp_down says."""

    async def stuck() -> None:
        await sleep("1h")

    scenario = ramp(("10s", 4), ("10s", 0), start_vus=0, graceful_ramp_down="10m", graceful_stop="5s")
    run = run_virtually(stuck, scenarios=scenario)
    assert (run.outcome.interrupted, run.outcome.load_s) == (4, near(25))


# --- iterations


def test_per_vu_iterations_give_each_user_its_own_number(run_virtually: Runner) -> None:
    """A slow user does as many as a fast one."""
    done: dict[int, list[int]] = {}

    async def uneven(vu: VU) -> None:
        await sleep(vu.id)
        done.setdefault(vu.id, []).append(vu.iteration)

    run = run_virtually(uneven, scenarios=one("per-vu-iterations", vus=3, iterations=4))
    assert done == {1: [0, 1, 2, 3], 2: [0, 1, 2, 3], 3: [0, 1, 2, 3]}
    assert (run.total("iterations"), run.total("dropped_iterations")) == (12, 0)
    assert run.outcome.load_s == pytest.approx(12, abs=0.1)


def test_per_vu_iterations_left_at_max_duration_are_dropped(run_virtually: Runner) -> None:
    """What each user has left is counted, and nobody takes it over."""

    async def uneven(vu: VU) -> None:
        await sleep(vu.id)

    scenario = one("per-vu-iterations", vus=2, iterations=5, max_duration="4s")
    run = run_virtually(uneven, scenarios=scenario)
    assert (run.total("iterations"), run.total("dropped_iterations")) == (4 + 2, 1 + 3)


def test_shared_iterations_left_at_max_duration_are_dropped(run_virtually: Runner, diary: Diary) -> None:
    """Interrupted iterations are neither finished nor dropped: every one of the number is accounted for once."""
    scenario = one("shared-iterations", vus=2, iterations=20, max_duration="5s", graceful_stop="0s")
    run = run_virtually(diary.taking(2), scenarios=scenario)
    assert diary.of(1) == near([0, 2, 4])
    assert (run.total("iterations"), run.outcome.interrupted, run.total("dropped_iterations")) == (4, 2, 14)
    assert diary.numbers == list(range(6))


# --- arrival rates


def test_a_constant_arrival_rate_is_evenly_spaced_from_0(run_virtually: Runner, diary: Diary) -> None:
    """10/s for 2 s are 20 starts: at 0, 0.1, ... 1.9, numbered in that order, however long an iteration takes."""
    scenario = one("constant-arrival-rate", rate=10, duration="2s", max_vus=30)
    run = run_virtually(diary.taking(2.5), scenarios=scenario)
    assert diary.times == near([number / 10 for number in range(20)])
    assert [start.number for start in diary.starts] == list(range(20))
    assert (run.total("iterations"), run.total("dropped_iterations"), run.total("late_iterations")) == (20, 0, 0)


def test_a_rate_has_a_time_unit(run_virtually: Runner, diary: Diary) -> None:
    """30 a minute come every two seconds."""
    run_virtually(diary.taking(0), scenarios=one("constant-arrival-rate", rate="30/m", duration="10s"))
    assert diary.times == near([0, 2, 4, 6, 8])


def test_a_ramping_arrival_rate_starts_at_the_inverse_of_the_integral(run_virtually: Runner, diary: Diary) -> None:
    """From 0 to 10/s in 10 s are 50 starts, the k-th when k have come together: at the square root of 2k."""
    scenario = one("ramping-arrival-rate", stages=[{"duration": "10s", "target": 10}], max_vus=10)
    run = run_virtually(diary.taking(0.5), scenarios=scenario)
    assert diary.times == near([sqrt(2 * number) for number in range(1, 51)])
    assert run.total("dropped_iterations") == 0


def test_a_ramping_arrival_rate_may_pause(run_virtually: Runner, diary: Diary) -> None:
    """A plateau of 0 starts nothing; time goes on to the next stage."""
    stages = ["2s:1", "0s:0", "10s:0", "0s:2", "2s:2"]
    run_virtually(diary.taking(0), scenarios=one("ramping-arrival-rate", start_rate=1, stages=stages))
    assert diary.times == near([1, 2, 12.5, 13, 13.5, 14])


# --- a quarter of an hour of each


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"executor": "constant-vus", "vus": 2, "duration": "15m"}, [n // 2 for n in range(2 * LONG_S)]),
        ({"executor": "shared-iterations", "vus": 2, "iterations": 1800, "max_duration": "2h"},
         [n // 2 for n in range(2 * LONG_S)]),
        ({"executor": "per-vu-iterations", "vus": 2, "iterations": 900, "max_duration": "2h"},
         [n // 2 for n in range(2 * LONG_S)]),
        ({"executor": "constant-arrival-rate", "rate": 3, "duration": "15m"}, [n / 3 for n in range(3 * LONG_S)]),
        ({"executor": "ramping-arrival-rate", "stages": ["1h:4"]}, [sqrt(1800 * n) for n in range(1, 7201)]),
        ({"executor": "ramping-vus", "start_vus": 0, "stages": ["30m:2", "30m:0"]},
         sorted([*range(900, 3600 - 900 + 900), *range(1800, 3600 - 900)])),
    ],
    ids=lambda value: value["executor"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_no_drift(run_virtually: Runner, diary: Diary, fields: dict[str, Any], starts: list[float]) -> None:
    """The last start is as exact as the first."""
    run = run_virtually(diary.taking(1), scenarios={"only": fields})
    assert diary.times == pytest.approx(starts, abs=2e-3)
    assert run.total("iterations") == len(starts)
    assert run.total("dropped_iterations") == 0
    assert len({start.number for start in diary.starts}) == len(starts)


# --- the end


EXECUTORS = [
    {"executor": "constant-vus", "vus": 2, "duration": "10s"},
    {"executor": "ramping-vus", "start_vus": 2, "stages": ["10s:2"]},
    {"executor": "shared-iterations", "vus": 2, "iterations": 9, "max_duration": "10s"},
    {"executor": "per-vu-iterations", "vus": 2, "iterations": 9, "max_duration": "10s"},
    {"executor": "constant-arrival-rate", "rate": 1, "duration": "10s", "max_vus": 2},
    {"executor": "ramping-arrival-rate", "start_rate": 1, "stages": ["10s:1"], "max_vus": 2},
]


def name_of(fields: dict[str, Any]) -> str:
    return str(fields["executor"])


@pytest.mark.parametrize("fields", EXECUTORS, ids=name_of)
@pytest.mark.parametrize("grace_s", [0, 5])
def test_every_executor_is_over_when_its_graceful_stop_is(
    run_virtually: Runner, fields: dict[str, Any], grace_s: float
) -> None:
    """Iterations that would never end are interrupted then, one for each user; 0s is at once."""

    async def stuck() -> None:
        await sleep("1h")

    run = run_virtually(stuck, scenarios={"only": {**fields, "graceful_stop": grace_s}})
    assert run.outcome.load_s == pytest.approx(10 + grace_s, abs=0.1)
    assert (run.outcome.interrupted, run.total("iterations")) == (2, 0)


@pytest.mark.parametrize("fields", EXECUTORS, ids=name_of)
def test_every_executor_lets_iterations_end_in_its_graceful_stop(run_virtually: Runner, fields: dict[str, Any]) -> None:
    """They count, and the load ends with the last of them, not with the grace."""

    async def slow() -> None:
        await sleep(12)

    run = run_virtually(slow, scenarios={"only": {**fields, "graceful_stop": "30s"}})
    assert (run.outcome.interrupted, run.total("iterations")) == (0, 2)
    assert run.outcome.load_s < 15


# --- several scenarios


def test_scenarios_start_at_their_own_times_with_their_own_functions(run_virtually: Runner) -> None:
    """startTime, exec, env and gracefulStop belong to each of them; k6's spelling is understood."""
    seen: list[tuple[float, str, str, str]] = []

    def noting(function: str) -> Callable[..., Any]:
        async def body(vu: VU) -> None:
            seen.append((trio.current_time(), function, vu.scenario, vu.env.get("KIND", "none")))
            await sleep(2)

        return body

    scenarios = {
        "readers": {"executor": "constant-vus", "duration": "4s", "exec": "browse", "env": {"KIND": "reader"}},
        "writers": {"executor": "per-vu-iterations", "startTime": "10s", "env": {"KIND": "writer"}},
        "late": {"executor": "constant-arrival-rate", "rate": 1, "duration": "2s", "startTime": "20s"},
    }
    run = run_virtually(noting("default"), functions={"browse": noting("browse")}, scenarios=scenarios)
    assert seen == [
        (near(0), "browse", "readers", "reader"),
        (near(2), "browse", "readers", "reader"),
        (near(10), "default", "writers", "writer"),
        (near(20), "default", "late", "none"),
        (near(21), "default", "late", "none"),
    ]
    assert run.outcome.load_s == pytest.approx(23, abs=0.1)


def test_the_environment_lies_under_a_scenarios_env(run_virtually: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vu.env` has the process's variables too; the scenario's win, and os.environ is not touched."""
    monkeypatch.setenv("TARGET", "from outside")
    monkeypatch.setenv("KIND", "from outside")
    seen: list[tuple[str, str]] = []

    async def note(vu: VU) -> None:
        seen.append((vu.env["TARGET"], vu.env["KIND"]))

    run_virtually(note, scenarios=one("per-vu-iterations", env={"KIND": 7}))
    assert seen == [("from outside", "7")]


def test_virtual_users_of_all_scenarios_have_ids_of_their_own(run_virtually: Runner, diary: Diary) -> None:
    """`vu.id` is unique in the run, in the order of the scenarios; `iteration_in_test` counts in each."""
    scenarios = {
        "a": {"executor": "constant-vus", "vus": 2, "duration": "2s"},
        "b": {"executor": "constant-arrival-rate", "rate": 3, "duration": "2s", "max_vus": 3, "pre_allocated_vus": 3},
        "c": {"executor": "ramping-vus", "start_vus": 1, "stages": ["2s:1"], "start_time": "1s"},
    }
    run = run_virtually(diary.taking(1), scenarios=scenarios)
    ids = {name: {start.vu for start in diary.starts if start.scenario == name} for name in scenarios}
    assert ids == {"a": {1, 2}, "b": {3, 4, 5}, "c": {6}}
    for name, count in (("a", 4), ("b", 6), ("c", 2)):
        assert sorted(start.number for start in diary.starts if start.scenario == name) == list(range(count))
    assert getattr(run.outcome.snapshot.select("vus_max"), "largest", 0) == 6


def test_samples_carry_scenario_and_tags(run_virtually: Runner) -> None:
    """Thresholds can select by scenario, by the run's and the scenario's tags, and by those a script sets."""

    async def default(vu: VU) -> None:
        vu.tags["plan"] = "gold" if vu.id == 1 else "free"
        await sleep(1)
        raise RuntimeError("counted with tags")

    scenarios = {
        "a": {"executor": "constant-vus", "duration": "2s", "tags": {"team": "search"}},
        "b": {"executor": "constant-vus", "duration": "3s", "tags": {"region": "eu"}},
    }
    run = run_virtually(default, scenarios=scenarios, tags={"team": "web", "stand": "ci"})

    def errors(**tags: str) -> float:
        return float(getattr(run.outcome.snapshot.select("script_errors", tags), "total", 0))

    assert (errors(scenario="a"), errors(scenario="b")) == (2, 3)
    assert (errors(team="search"), errors(team="web"), errors(stand="ci"), errors(region="eu")) == (2, 3, 5, 3)
    assert (errors(plan="gold"), errors(plan="free")) == (2, 3)


def test_a_threshold_on_a_scenario_looks_at_it_alone(run_virtually: Runner) -> None:
    """The slow scenario's threshold ends the run, the same limit on the fast one does not."""

    async def quick() -> None:
        await sleep(0.1)

    async def slow() -> None:
        await sleep(1)

    scenarios = {
        "quick": {"executor": "constant-vus", "duration": "5s", "exec": "quick"},
        "slow": {"executor": "constant-vus", "duration": "5s", "start_time": "10s", "exec": "slow", "tags": ["x:1"]},
    }
    limits = [{"threshold": "max<500", "abort_on_fail": True}]
    functions = {"quick": quick, "slow": slow}
    held = run_virtually(
        quick, functions=functions, scenarios=scenarios, thresholds={"iteration_duration{scenario:quick}": limits}
    )
    broken = run_virtually(
        quick, functions=functions, scenarios=scenarios, thresholds={"iteration_duration{x:1}": limits}
    )
    assert held.outcome.stops == []
    assert "iteration_duration{x:1} max<500" in broken.outcome.stops[0].reason
    assert broken.outcome.load_s == pytest.approx(11, abs=0.3)
