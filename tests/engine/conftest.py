"""Runs of the real engine in virtual time: an hour takes milliseconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ciload.engine.control import Control
from ciload.engine.run import Run
from ciload.engine.view import Moment, Outcome
from ciload.engine.watchdog import Watchdog
from ciload.metrics.registry import Registry
from ciload.options.plan import make_plan
from ciload.options.sources import from_flags
from ciload.script.loader import Script


@dataclass
class Recorder:
    """An observer that keeps what it saw."""

    moments: list[Moment] = field(default_factory=list)
    ticks: int = 0

    def tick(self, elapsed_s: float) -> None:
        self.ticks += 1

    def second(self, moment: Moment) -> None:
        self.moments.append(moment)


@dataclass
class VirtualRun:
    """What a run in virtual time left behind."""

    outcome: Outcome
    recorder: Recorder
    control: Control

    def total(self, name: str) -> float:
        sink = self.outcome.snapshot.select(name)
        return float(getattr(sink, "total", 0))


Body = Callable[..., Awaitable[Any]]


@pytest.fixture
def run_virtually() -> Callable[..., VirtualRun]:
    """Run a scenario function (and setup, teardown) under the given options, in virtual time."""

    def run(
        default: Body,
        *,
        control: Control | None = None,
        functions: Mapping[str, Body] | None = None,
        **options: Any,
    ) -> VirtualRun:
        registry, recorder = Registry(), Recorder()
        used_control = control or Control()
        script = Script(Path("virtual.py"), {"default": default, **(functions or {})}, {}, {})
        plan = make_plan([from_flags(options)], registry.metrics, script.complaint_about)
        watchdog = Watchdog(script.path, lambda *_: None)

        async def main() -> Outcome:
            run = Run(plan, script, registry, used_control, watchdog, recorder, clock=trio.current_time)
            return await run.execute()

        clock = trio.testing.MockClock(autojump_threshold=0)
        return VirtualRun(trio.run(main, clock=clock), recorder, used_control)

    return run
