"""Weights, think times, and what a virtual user knows of its scenario's progress, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import trio

from ciload.errors import OptionsError
from ciload.script.api import sleep
from ciload.script.think import think
from ciload.script.vu import VU
from tests.engine.conftest import VirtualRun

Runner = Callable[..., VirtualRun]


async def nothing() -> None:
    """What no iteration is to run."""
    raise AssertionError


class TestWeights:
    def run(self, run_virtually: Runner, **options: Any) -> tuple[VirtualRun, list[tuple[int, int, str]]]:
        seen: list[tuple[int, int, str]] = []

        async def browse(vu: VU) -> None:
            seen.append((vu.id, vu.iteration, "browse"))
            await sleep(1)

        async def buy(vu: VU) -> None:
            seen.append((vu.id, vu.iteration, "buy"))
            await sleep(3)

        functions = {"browse": browse, "buy": buy}
        return run_virtually(nothing, functions=functions, weights={"browse": 8, "buy": 2}, **options), seen

    def test_functions_run_as_often_as_their_weights_say(self, run_virtually: Runner) -> None:
        """By chance that is the same in every run; samples of each are told apart by a tag."""
        run, seen = self.run(run_virtually, vus=5, iterations=2_000)
        names = [name for _, _, name in seen]

        assert len(names) == 2_000
        assert 350 < names.count("buy") < 450
        chosen = {each[:2]: each[2] for each in seen}
        again = {each[:2]: each[2] for each in self.run(run_virtually, vus=5, iterations=2_000)[1]}
        assert all(again[each] == chosen[each] for each in again.keys() & chosen.keys())
        durations = dict(run.outcome.snapshot.grouped("iteration_duration", "function"))
        counts = {key: getattr(sink, "count", 0) for key, sink in durations.items()}
        assert counts == {("browse",): names.count("browse"), ("buy",): names.count("buy")}
        assert run.outcome.snapshot.trend("iteration_duration", {"function": "buy"}).smallest == pytest.approx(3_000)

    def test_in_the_open_model_and_after_a_warm_up(self, run_virtually: Runner) -> None:
        """What is measured is what began after the warm-up, with its tags."""
        run, seen = self.run(run_virtually, rate="10/s", duration="60s", warmup="10s")
        counted = run.outcome.snapshot.grouped("iterations", "function")

        assert len(seen) == 600
        assert sum(int(getattr(sink, "total", 0)) for _, sink in counted) == 500

    def test_once_runs_each_of_them(self, run_virtually: Runner) -> None:
        """To see whether the script works, chance is no help."""
        _, seen = self.run(run_virtually, once=True)
        assert sorted(name for _, _, name in seen) == ["browse", "buy"]

    def test_functions_that_are_not_there(self, run_virtually: Runner) -> None:
        """With what was probably meant; a scenario has a function, or several by weight."""

        async def browse() -> None: ...

        with pytest.raises(OptionsError, match="did you mean 'browse'"):
            run_virtually(nothing, functions={"browse": browse}, weights={"brows": 1, "browse": 2})
        scenario = {"executor": "constant-vus", "duration": "5s", "exec": "browse", "weights": {"browse": 1}}
        with pytest.raises(OptionsError, match="say one of them"):
            run_virtually(nothing, functions={"browse": browse}, scenarios={"a": scenario})
        with pytest.raises(OptionsError, match="write them into a scenario"):
            run_virtually(
                nothing, weights={"browse": 1}, functions={"browse": browse},
                scenarios={"a": {"executor": "constant-vus", "duration": "5s", "exec": "browse"}},
            )  # fmt: skip


class TestProgress:
    def test_of_time_and_of_iterations(self, run_virtually: Runner) -> None:
        """Whatever ends the scenario is what progress is about."""
        seen: list[tuple[float, float]] = []

        async def default(vu: VU) -> None:
            seen.append((trio.current_time(), vu.progress))
            await sleep(5)

        run_virtually(default, vus=1, duration="20s")
        assert [share for _, share in seen] == pytest.approx([0, 0.25, 0.5, 0.75])
        seen.clear()
        run_virtually(default, vus=2, iterations=10)
        assert sorted(share for _, share in seen) == pytest.approx([n / 10 for n in range(10)])

    @pytest.mark.parametrize("executor", ["ramping-vus", "ramping-arrival-rate"])
    def test_stages_are_tags_where_that_is_wanted(self, run_virtually: Runner, executor: str) -> None:
        """So that thresholds can be about one of them; a jump takes no time and is none."""
        seen: list[tuple[float, int | None]] = []

        async def default(vu: VU) -> None:
            seen.append((trio.current_time(), vu.stage))
            await sleep(0.1)

        stages = [{"duration": time, "target": 5} for time in ("10s", "0s", "20s")]
        scenarios = {"only": {"executor": executor, "stages": stages}}
        run = run_virtually(
            default, scenarios=scenarios, stage_tag=True, thresholds={"iterations{stage:2}": ["count>50"]}
        )

        assert {stage for at, stage in seen if at < 10} == {0}
        assert {stage for at, stage in seen if at > 10.1} == {2}
        counted = {
            key: int(getattr(sink, "total", 0)) for key, sink in run.outcome.snapshot.grouped("iterations", "stage")
        }
        assert set(counted) == {("0",), ("2",)}
        assert sum(counted.values()) == len(seen)
        plain = run_virtually(default, scenarios=scenarios)
        assert [key for key, _ in plain.outcome.snapshot.grouped("iterations", "stage")] == [("",)]


class TestThinking:
    def times(self, run_virtually: Runner, *bounds: Any) -> list[float]:
        seen: list[float] = []

        async def default() -> None:
            began = trio.current_time()
            await think(*bounds)
            seen.append(trio.current_time() - began)

        run_virtually(default, vus=4, iterations=1_000)
        return seen

    def test_between_two_times(self, run_virtually: Runner) -> None:
        """All as likely, the same in every run."""
        times = self.times(run_virtually, "1s", "3s")
        assert 1 <= min(times) < 1.05
        assert 2.95 < max(times) <= 3
        assert median(times) == pytest.approx(2, abs=0.1)
        assert sorted(times) == pytest.approx(sorted(self.times(run_virtually, "1s", "3s")))

    def test_around_a_median(self, run_virtually: Runner) -> None:
        """Half of all within 0.71 and 1.4 times of it, and some far longer."""
        times = self.times(run_virtually, "2s")
        assert median(times) == pytest.approx(2, rel=0.1)
        assert sum(2 * 0.714 < time < 2 * 1.401 for time in times) == pytest.approx(500, abs=50)
        assert max(times) > 5

    @pytest.mark.parametrize("bounds", [(0,), ("-1s",), ("3s", "1s"), (0, "1s")])
    def test_times_that_are_none(self, run_virtually: Runner, bounds: tuple[Any, ...]) -> None:
        """A script error each, and no silent pause."""

        async def default() -> None:
            await think(*bounds)

        run = run_virtually(default, vus=1, iterations=1)
        assert run.total("script_errors") == 1
