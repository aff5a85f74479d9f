"""Two targets in one run: every iteration is done at both, and nothing of the one reaches the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio

from ciload.metrics.blocks import Arm
from ciload.script.api import check, fail_test, sleep
from ciload.script.vu import VU
from tests.engine.conftest import VirtualRun
from tests.engine.test_segments import EXECUTORS, play

NEW, OLD = "http://new.test", "http://old.test"
ARMS: tuple[Arm, ...] = ("new", "old")
BOTH = {"base_url": NEW, "compare_url": OLD, "warmup": "0s"}


def target(vu: VU) -> str:
    assert vu.session.client is not None
    assert vu.session.client.preparer.base is not None
    return f"http://{vu.session.client.preparer.base.origin.authority}"


@dataclass
class Log:
    """Who did what where: virtual user, number of the iteration, target."""

    visits: list[tuple[int, int, str]] = field(default_factory=list)

    async def visit(self, vu: VU) -> None:
        self.visits.append((vu.id, vu.iteration_in_test, target(vu)))
        check(None, {"done": True})
        await sleep(0.4)

    def at(self, url: str) -> list[tuple[int, int]]:
        return sorted(visit[:2] for visit in self.visits if visit[2] == url)

    def first_targets(self) -> list[str]:
        first: dict[tuple[int, int], str] = {}
        for vu, number, url in self.visits:
            first.setdefault((vu, number), url)
        return list(first.values())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_executor_does_its_iterations_at_both(executor: str, run_virtually: Callable[..., VirtualRun]) -> None:
    """The same users with the same numbers at both targets; the result counts those of the new one."""
    log = Log()
    fields = {"executor": executor, **EXECUTORS[executor], "graceful_stop": "1m"}
    run = run_virtually(log.visit, scenarios={"only": fields}, **BOTH)
    assert log.at(NEW) == log.at(OLD) != []
    assert run.total("iterations") == len(log.at(NEW))
    assert run.outcome.old.select("iterations").total == len(log.at(OLD))  # type: ignore[union-attr]


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("executor", ["constant-vus", "constant-arrival-rate"])
def test_segments_do_pairs_too(executor: str, count: int) -> None:
    """What workers do in parts adds up at both targets."""
    scenarios = {"only": {"executor": executor, **EXECUTORS[executor]}}
    parts = play(count, 0.4, scenarios=scenarios, base_url=NEW, compare_url=OLD)
    new, old = (parts.outcome.snapshot.select("iterations"), parts.outcome.old.select("iterations"))
    assert new is not None
    assert old is not None
    assert getattr(new, "total", 0) + getattr(old, "total", 0) == len(parts.diary.starts)
    assert len(set(Counter(start.number for start in parts.diary.starts).values())) == 1


def test_which_target_is_first_is_left_to_chance(run_virtually: Callable[..., VirtualRun]) -> None:
    """About half of the pairs begin at the new target."""
    log = Log()
    run_virtually(log.visit, vus=4, iterations=400, **BOTH)
    assert 140 < log.first_targets().count(NEW) < 260


def test_samples_carry_the_arm_and_do_not_mix(run_virtually: Callable[..., VirtualRun]) -> None:
    """Checks and metrics of each target are tagged with its arm and kept apart, the load's blocks as well."""
    log = Log()
    run = run_virtually(log.visit, vus=2, duration="12s", **BOTH)
    for snapshot, arm in ((run.outcome.snapshot, "new"), (run.outcome.old, "old")):
        assert {dict(tags).get("arm") for tags in snapshot.series["checks"]} == {arm}
    blocks = run.outcome.blocks
    totals = {arm: sum(cell[(arm, "", "")].checks.total for cell in blocks.cells) for arm in ARMS}
    assert totals == {"new": len(log.at(NEW)), "old": len(log.at(OLD))}
    assert len(blocks.cells) == 12


def test_users_have_a_life_of_their_own_at_each_target(run_virtually: Callable[..., VirtualRun]) -> None:
    """Attributes, connections, cookies, setup's data and hooks are separate; ids and random numbers are the same."""
    seen: dict[str, list[Any]] = {NEW: [], OLD: []}
    ends: list[str] = []

    async def setup(vu: VU) -> dict[str, Any]:
        return {"from": target(vu)}

    async def vu_start(vu: VU) -> None:
        vu.where = target(vu)

    async def default(vu: VU, data: dict[str, Any]) -> None:
        assert data["from"] == vu.where == target(vu)
        seen[target(vu)].append((vu.id, vu.iteration, vu.random.random(), vu.random.random()))
        await sleep(0.1)

    async def teardown(vu: VU, data: dict[str, Any]) -> None:
        assert data["from"] == target(vu)
        ends.append(target(vu))

    hooks = {"setup": setup, "vu_start": vu_start, "teardown": teardown}
    run = run_virtually(default, functions=hooks, vus=3, iterations=12, **BOTH)
    assert run.outcome.stops == []
    assert run.outcome.snapshot.errors.entries == {}
    assert sorted(seen[NEW]) == sorted(seen[OLD])
    assert len({visit[2:] for visit in seen[NEW]}) == 12
    assert ends == [NEW, OLD]


def test_the_old_target_does_not_decide(run_virtually: Callable[..., VirtualRun]) -> None:
    """What fails at the old target is kept, and is not the run's failure."""

    async def default(vu: VU) -> None:
        await sleep(0.1)
        if target(vu) == OLD:
            fail_test("only there")
            raise RuntimeError("only there")

    run = run_virtually(default, vus=1, iterations=5, **BOTH)
    assert run.total("script_errors") == 0
    assert (run.outcome.snapshot.marked_failed, list(run.outcome.old.marked_failed)) == ({}, ["only there"])
    assert run.outcome.old.select("script_errors").total == 5  # type: ignore[union-attr]


def test_a_setup_that_fails_at_the_old_target_ends_the_run(run_virtually: Callable[..., VirtualRun]) -> None:
    """There is nothing to compare with; what was set up at the new target is taken down."""
    ends: list[str] = []

    async def setup(vu: VU) -> None:
        if target(vu) == OLD:
            raise RuntimeError("no such table")

    async def default() -> None:
        raise AssertionError

    async def teardown(vu: VU) -> None:
        ends.append(target(vu))

    run = run_virtually(default, functions={"setup": setup, "teardown": teardown}, vus=1, iterations=5, **BOTH)
    assert [stop.reason for stop in run.outcome.stops] == [
        "setup() at http://old.test raised RuntimeError: no such table"
    ]
    assert ends == [NEW]


def test_the_warm_up_counts_at_neither(run_virtually: Callable[..., VirtualRun]) -> None:
    """Pairs that begin in the warm-up are in no numbers, of no target."""
    log = Log()
    run = run_virtually(log.visit, vus=1, duration="8s", **BOTH | {"warmup": "4s"})
    assert len(log.at(NEW)) == 10
    assert run.total("iterations") == run.outcome.old.select("iterations").total == 5  # type: ignore[union-attr]


class TestApart:
    """Virtual users who do nothing but wait, at a new target that takes three times as long as the old one."""

    SLOW_S, FAST_S = 0.3, 0.1

    async def visit(self, vu: VU) -> None:
        seconds = self.SLOW_S if target(vu) == NEW else self.FAST_S
        self.log.visits.append((vu.id, vu.iteration_in_test, target(vu)))
        self.at[target(vu)].append(trio.current_time())
        await sleep(seconds)
        assert vu.session.exchanges is not None
        vu.session.exchanges.append((("/", "GET", 200, "", ()), seconds))

    @pytest.fixture(autouse=True)
    def _log(self) -> None:
        self.log = Log()
        self.at: dict[str, list[float]] = {NEW: [], OLD: []}

    def rates(self, after_s: float, until_s: float) -> tuple[float, float]:
        """Iterations a second at the new target and at the old one."""
        begins = min(self.at[NEW] + self.at[OLD])
        counts = [sum(after_s <= at - begins < until_s for at in self.at[url]) for url in (NEW, OLD)]
        return counts[0] / (until_s - after_s), counts[1] / (until_s - after_s)

    def test_each_target_has_all_virtual_users_to_itself(self, run_virtually: Callable[..., VirtualRun]) -> None:
        """Together, both do what the slower one can; after some seconds, each does what it can by itself."""
        run = run_virtually(self.visit, vus=4, duration="20s", **BOTH)

        assert self.rates(0, 4) == pytest.approx((4 / 0.4, 4 / 0.4), rel=0.1)
        assert self.rates(6, 19) == pytest.approx((4 / 0.3, 4 / 0.1), rel=0.1)
        assert run.outcome.snapshot.series["vus"][()].largest == 4  # type: ignore[union-attr]
        assert not run.outcome.interrupted

    def test_they_are_together_again_when_users_have_time(self, run_virtually: Callable[..., VirtualRun]) -> None:
        """Both targets are slow for 8 s, as with cold workers; afterwards iterations are done at both, in pairs."""

        async def visit(vu: VU) -> None:
            begins = self.at[NEW][0] if self.at[NEW] else trio.current_time()
            self.at[target(vu)].append(trio.current_time())
            self.log.visits.append((vu.id, vu.iteration_in_test, target(vu)))
            seconds = 0.2 if trio.current_time() - begins < 8 else 0.02
            await sleep(seconds)
            assert vu.session.exchanges is not None
            vu.session.exchanges.append((("/", "GET", 200, "", ()), seconds))
            await sleep(0.1 if seconds == 0.02 else 0)

        run = run_virtually(visit, vus=4, duration="20s", **BOTH)

        assert len({number for *_, number in self.log.visits[:20]}) == 2
        last = self.log.visits[-60:-10]
        pairs = Counter((vu, number) for vu, number, _ in last)
        assert sum(count == 2 for count in pairs.values()) >= 20
        assert not run.outcome.ended_early

    def test_open_model_keeps_both_schedules(self, run_virtually: Callable[..., VirtualRun]) -> None:
        """Ten starts a second at each target: the old one gets them all, whatever the new one makes of its own."""
        run = run_virtually(self.visit, vus=2, rate="10/s", duration="20s", **BOTH)

        new, old = self.rates(7, 19)
        assert old == pytest.approx(10, abs=0.5)
        assert new == pytest.approx(2 / 0.3, rel=0.1)
        assert run.total("dropped_iterations") > 30

    @pytest.mark.parametrize("executor", ["shared-iterations", "per-vu-iterations"])
    def test_a_number_of_iterations_is_done_at_each(
        self, executor: str, run_virtually: Callable[..., VirtualRun]
    ) -> None:
        """400 in all at both, also when the old target is through before."""
        iterations = 400 if executor == "shared-iterations" else 100
        scenarios = {"only": {"executor": executor, "vus": 4, "iterations": iterations}}
        run = run_virtually(self.visit, scenarios=scenarios, **BOTH)

        assert len(self.at[NEW]) == len(self.at[OLD]) == 400
        assert run.total("iterations") == 400
        assert max(self.at[OLD]) < max(self.at[NEW]) - 10


def test_without_an_old_target_nothing_is_done_twice(run_virtually: Callable[..., VirtualRun]) -> None:
    """A plain run has one arm, and no tag for it."""
    log = Log()
    run = run_virtually(log.visit, vus=2, iterations=10, base_url=NEW)
    assert len(log.visits) == 10
    assert all("arm" not in dict(tags) for tags in run.outcome.snapshot.series["checks"])
    assert run.outcome.old.series == {}


def test_pairs_in_the_open_model_start_on_schedule(run_virtually: Callable[..., VirtualRun]) -> None:
    """A rate of 5/s is five pairs a second, and each pair begins when it was due."""
    began: dict[int, float] = {}

    async def default(vu: VU) -> None:
        began.setdefault(vu.iteration_in_test, trio.current_time())
        await sleep(0.3)

    run = run_virtually(default, rate="5/s", duration="4s", **BOTH)
    assert sorted(began.values()) == pytest.approx([each / 5 for each in range(20)], abs=0.01)
    assert run.total("dropped_iterations") == 0
