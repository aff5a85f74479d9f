"""Runs of the real engine in virtual time: an hour takes milliseconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ciload.engine.aggregator import RunOutcome, TimelinePoint
from ciload.engine.control import Control
from ciload.engine.run import Run
from ciload.engine.watchdog import Watchdog
from ciload.metrics.blocks import Arm
from ciload.metrics.cpu_series import CpuSource
from ciload.metrics.registry import Registry
from ciload.options.plan import make_plan
from ciload.options.sources import from_flags
from ciload.script.api import sleep
from ciload.script.loader import Script
from ciload.script.vu import VU


@dataclass
class Recorder:
    """An observer that keeps what it saw."""

    points: list[TimelinePoint] = field(default_factory=list)
    ticks: int = 0

    def tick(self, elapsed_s: float) -> None:
        self.ticks += 1

    def second(self, point: TimelinePoint) -> None:
        self.points.append(point)


@dataclass
class VirtualRun:
    """What a run in virtual time left behind."""

    outcome: RunOutcome
    recorder: Recorder
    control: Control

    def total(self, name: str) -> float:
        sink = self.outcome.snapshot.select(name)
        return float(getattr(sink, "total", 0))


Body = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Start:
    """An iteration as its script sees it begin. `at_s` is virtual time, which begins at 0."""

    at_s: float
    vu: int
    number: int  # iteration_in_test
    scenario: str


@dataclass
class Diary:
    """When iterations began and ended, and whose they were."""

    starts: list[Start] = field(default_factory=list)
    ends: list[tuple[float, int]] = field(default_factory=list)  # when, which virtual user

    def taking(self, seconds: float) -> Body:
        """A scenario function that is written down here, with iterations of so many seconds."""

        async def iteration(vu: VU) -> None:
            self.starts.append(Start(trio.current_time(), vu.id, vu.iteration_in_test, vu.scenario))
            await sleep(seconds)
            self.ends.append((trio.current_time(), vu.id))

        return iteration

    @property
    def times(self) -> list[float]:
        return sorted(start.at_s for start in self.starts)

    @property
    def numbers(self) -> list[int]:
        return sorted(start.number for start in self.starts)

    def of(self, vu: int) -> list[float]:
        """When the iterations of one virtual user began."""
        return [start.at_s for start in self.starts if start.vu == vu]


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def run_virtually() -> Callable[..., VirtualRun]:
    """Run a scenario function (and setup, teardown) under the given options, in virtual time."""

    def run(
        default: Body,
        *,
        control: Control | None = None,
        functions: Mapping[str, Body] | None = None,
        cpu_sources: Mapping[Arm, CpuSource] | None = None,
        **options: Any,
    ) -> VirtualRun:
        registry, recorder = Registry(), Recorder()
        used_control = control or Control()
        script = Script(Path("virtual.py"), {"default": default, **(functions or {})}, {}, {})
        plan = make_plan([from_flags(options)], registry.metrics, script.complaint_about)
        watchdog = Watchdog(script.path, lambda *_: None)

        async def main() -> RunOutcome:
            run = Run(
                plan, script, registry, used_control, watchdog, recorder, clock=trio.current_time,
                cpu_sources=cpu_sources,
            )  # fmt: skip
            return await run.execute()

        clock = trio.testing.MockClock(autojump_threshold=0)
        return VirtualRun(trio.run(main, clock=clock), recorder, used_control)

    return run
