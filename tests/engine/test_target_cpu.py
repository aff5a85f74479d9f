"""CPU time of the targets, read beside the load; in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from ciload.script.api import sleep


class Busy:
    """A process that uses so many cores from its start to its end."""

    name = "busy"

    def __init__(self, cores: float, ends_s: float = float("inf")) -> None:
        self.cores, self.ends_s, self.readings = cores, ends_s, 0

    def read(self) -> float | None:
        self.readings += 1
        now = trio.current_time()
        return self.cores * now if now < self.ends_s else None


async def nap() -> None:
    await sleep(0.1)


def test_the_load_is_covered_from_its_first_moment_to_its_last(run_virtually: Callable[..., Any]) -> None:
    """Of both targets, without the warm-up, four times a second."""
    new, old = Busy(0.5), Busy(0.25)
    run = run_virtually(
        nap, vus="1", duration="5s", warmup="1s", base_url="http://new", compare_url="http://old",
        cpu_sources={"new": new, "old": old},
    )  # fmt: skip
    load_s, measured = run.outcome.load_s, run.outcome.target_cpu

    assert measured["new"].series.spent(0.0, load_s) == pytest.approx(0.5 * load_s)
    assert measured["old"].series.spent(1.5, 2.25) == pytest.approx(0.25 * 0.75)
    assert 18 <= new.readings <= 30
    assert run.outcome.warnings == []


def test_a_process_that_ends_is_told(run_virtually: Callable[..., Any]) -> None:
    """The run goes on, with a warning, and nothing is made up."""
    run = run_virtually(nap, vus="1", duration="5s", cpu_sources={"new": Busy(0.5, ends_s=3.1)})

    assert run.outcome.target_cpu["new"].series.spent(0.0, run.outcome.load_s) is None
    [warning] = run.outcome.warnings
    assert warning.startswith("the target's process was gone 3.")
    assert "its CPU per request is not known (busy)" in warning
