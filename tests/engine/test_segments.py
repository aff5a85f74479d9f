"""A load cut into segments is the same load: every start, iteration and virtual user belongs to exactly one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.engine.aggregator import Aggregator, RunOutcome
from ciload.engine.clients import clients_for
from ciload.engine.control import Control
from ciload.engine.load import SegmentLoad
from ciload.engine.segment import Segment
from ciload.engine.watchdog import Watchdog
from ciload.metrics.registry import Registry
from ciload.options.plan import make_plan
from ciload.options.sources import from_flags
from ciload.script.loader import Script
from ciload.script.vu import VU
from tests.engine.conftest import Body, Diary, Recorder

EXECUTORS: dict[str, dict[str, Any]] = {
    "constant-vus": {"vus": 5, "duration": "6s"},
    "ramping-vus": {"start_vus": 1, "stages": ["5s:7", "3s:2", "4s:5"]},
    "shared-iterations": {"vus": 5, "iterations": 23},
    "per-vu-iterations": {"vus": 5, "iterations": 4},
    "constant-arrival-rate": {"rate": 7, "duration": "6s", "pre_allocated_vus": 12},
    "ramping-arrival-rate": {"start_rate": 1, "stages": ["5s:9", "3s:0", "2s:4"], "pre_allocated_vus": 12},
}


@dataclass
class Whole:
    """What all segments did together."""

    diary: Diary
    outcome: RunOutcome
    recorder: Recorder
    started: list[int] = field(default_factory=list)  # virtual users whose vu_start() was called

    def total(self, name: str) -> float:
        return float(getattr(self.outcome.snapshot.select(name), "total", 0))


def play(count: int, seconds: float, functions: dict[str, Body] | None = None, **options: Any) -> Whole:
    """The load cut into `count` segments, which run at the same time; iterations take so many seconds."""
    diary, recorder, outcome, control = Diary(), Recorder(), RunOutcome(), Control()
    started: list[int] = []

    async def vu_start(vu: VU) -> None:
        started.append(vu.id)

    names = {"default": diary.taking(seconds), "vu_start": vu_start, **(functions or {})}
    script = Script(Path("virtual.py"), names, {}, {})
    plan = make_plan([from_flags(options)], Registry().metrics, script.complaint_about)
    view = Aggregator(plan, count, outcome, control, recorder)
    watchdog, clients = Watchdog(script.path, lambda *_: None), clients_for(plan.options)
    ready = 0

    async def segment(index: int) -> None:
        async def when_ready() -> float | None:
            nonlocal ready
            ready += 1
            while ready < count:
                await trio.sleep(0)
            return 1.0

        load = SegmentLoad(
            plan, script, Segment(index, count), clients=clients, registry=Registry(), control=control,
            watchdog=watchdog, clock=trio.current_time, report=lambda report: view.receive(index, report),
            look=lambda _: None,
        )  # fmt: skip
        view.end(index, await load.run(dict.fromkeys(clients), when_ready))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for index in range(count):
                nursery.start_soon(segment, index)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return Whole(diary, outcome, recorder, started)


def scenario(executor: str, **fields: Any) -> dict[str, Any]:
    return {"only": {"executor": executor, **EXECUTORS[executor], **fields}}


@pytest.mark.parametrize("count", [2, 3, 4, 9])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_together_segments_do_what_the_whole_does(executor: str, count: int) -> None:
    """The same starts at the same times, the same number of iterations, the same virtual users."""
    whole, parts = (play(each, 0.9, scenarios=scenario(executor)) for each in (1, count))
    if executor != "shared-iterations":  # each segment has a pot of its own, so that the last ones may come later
        assert parts.diary.times == pytest.approx(whole.diary.times, abs=1e-6)
    assert parts.total("iterations") == whole.total("iterations") == len(whole.diary.starts)
    assert parts.total("dropped_iterations") == whole.total("dropped_iterations") == 0
    assert sorted(parts.started) == sorted(whole.started)
    assert len(set(parts.diary.numbers)) == len(parts.diary.starts)


@pytest.mark.parametrize("count", [2, 3, 4, 9])
@pytest.mark.parametrize("executor", ["shared-iterations", "constant-arrival-rate", "ramping-arrival-rate"])
def test_iterations_of_segments_have_all_the_numbers(executor: str, count: int) -> None:
    """Where the plan knows how many there are, `iteration_in_test` leaves none of them out."""
    parts = play(count, 0.9, scenarios=scenario(executor))
    assert parts.diary.numbers == list(range(len(parts.diary.starts)))


@pytest.mark.parametrize("executor", ["constant-vus", "ramping-vus", "per-vu-iterations"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_each_virtual_user_does_the_same_in_whichever_segment(executor: str, count: int) -> None:
    """Its id and its times do not depend on how the load is cut."""
    whole, parts = (play(each, 0.7, scenarios=scenario(executor)) for each in (1, count))
    for vu in set(whole.started):
        assert parts.diary.of(vu) == pytest.approx(whole.diary.of(vu), abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_drops_of_segments_add_up(count: int) -> None:
    """Every start of the plan takes place or is dropped, in exactly one segment."""
    parts = play(count, 1.9, scenarios=scenario("constant-arrival-rate", rate=20, pre_allocated_vus=6))
    assert len(parts.diary.starts) + parts.total("dropped_iterations") == 120
    assert parts.total("dropped_iterations") > 50


@pytest.mark.parametrize("count", [2, 4])
def test_iterations_left_at_the_end_are_dropped_once(count: int) -> None:
    """No segment counts what belongs to another."""
    for executor, planned in (("shared-iterations", 23), ("per-vu-iterations", 20)):
        parts = play(count, 0.9, scenarios=scenario(executor, max_duration="2s"))
        assert parts.total("iterations") + parts.total("dropped_iterations") == planned
        assert parts.total("iterations") == 15


def test_more_segments_than_virtual_users_do_no_more() -> None:
    """Whoever has no share does nothing, and the rest do everything."""
    parts = play(4, 0.1, scenarios=scenario("constant-arrival-rate", rate=5, pre_allocated_vus=2))
    assert parts.total("iterations") == 30
    assert set(parts.started) == {1, 2}


def test_ids_are_unique_over_scenarios_and_segments() -> None:
    """Test data can be handed out by `vu.id`, whatever the number of workers."""
    scenarios = {name: {"executor": name, **fields} for name, fields in EXECUTORS.items()}
    whole, parts = (play(each, 0.9, scenarios=scenarios) for each in (1, 3))
    assert sorted(parts.started) == sorted(whole.started) == list(range(1, len(whole.started) + 1))
    by_scenario = [
        {
            start.scenario: {s.vu for s in each.diary.starts if s.scenario == start.scenario}
            for start in each.diary.starts
        }
        for each in (whole, parts)
    ]
    for name in ("constant-vus", "ramping-vus", "per-vu-iterations"):
        assert by_scenario[0][name] == by_scenario[1][name]


@pytest.mark.parametrize("count", [2, 3])
def test_the_timeline_of_segments_is_one(count: int) -> None:
    """A row for each second with the users and iterations of all of them."""
    whole, parts = (play(each, 0.5, vus=6, duration="10s") for each in (1, count))
    assert [(round(each.at_s), each.vus) for each in parts.recorder.points] == [
        (round(each.at_s), each.vus) for each in whole.recorder.points
    ]
    assert len(parts.outcome.timeline) in (10, 11)
    assert parts.recorder.points[4].iterations == pytest.approx(whole.recorder.points[4].iterations, abs=6)


def test_warmup_and_vu_start_in_segments() -> None:
    """All segments leave out the same seconds."""
    whole, parts = (play(each, 0.5, vus=6, duration="10s", warmup="4s") for each in (1, 3))
    assert parts.total("iterations") == whole.total("iterations") == 72
    assert parts.outcome.load_s == pytest.approx(6, abs=0.1)


@given(
    count=st.integers(1, 5),
    rate=st.integers(1, 15),
    most=st.integers(1, 9),
    tenths=st.integers(1, 25),
)
@settings(max_examples=25, deadline=None)
def test_any_open_load_adds_up(count: int, rate: int, most: int, tenths: int) -> None:
    """Starts and drops are the whole plan, numbers are unique, starts are at their times, users are within bounds."""
    fields = {"executor": "constant-arrival-rate", "rate": rate, "duration": "4s", "max_vus": most}
    parts = play(count, tenths / 10 - 0.003, scenarios={"only": fields})
    assert len(parts.diary.starts) + parts.total("dropped_iterations") == 4 * rate
    assert len(set(parts.diary.numbers)) == len(parts.diary.starts)
    assert set(parts.started) <= set(range(1, most + 1))
    assert all(start.at_s == pytest.approx(1 + start.number / rate, abs=2e-3) for start in parts.diary.starts)
