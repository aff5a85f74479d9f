"""The gate against history, run by run, with what it stores itself. Seeds are fixed; `make gate-loops` plays more."""

from __future__ import annotations

import pytest

from benchmarks.history_loop import (
    SPREADS,
    Project,
    first_sign,
    found,
    heavy_tails,
    rates,
    slower_every,
    slower_from,
)
from ciload.gate.alarms import Terms


@pytest.mark.parametrize(
    ("project", "projects", "most"),
    [
        (Project(), 25, 0.015),
        (Project(noise=heavy_tails), 12, 0.03),
        (Project(slow=0.3), 12, 0.03),
        (Project(slow=0.3, told_apart=True), 12, 0.03),
    ],
    ids=["log-normal", "t3", "slower machines", "slower machines, told apart"],
)
def test_alarms_do_not_breed_alarms(project: Project, projects: int, most: float) -> None:
    """What alarmed and ended teaches the gate how much runs differ, so that all metrics together keep their rate."""
    assert rates(project, projects, 60, first_seed=1_000).alarms <= most


@pytest.mark.parametrize("spread", SPREADS)
def test_unchanged_runs_end_green(spread: float) -> None:
    """However much runs differ, nearly all are ok or nothing suspicious, and hardly anybody is told of a drift."""
    got = rates(Project(spread=spread), 8, 30, Terms(), first_seed=round(1_000 * spread))

    assert got.green >= 0.95
    assert got.warned <= 1 / 8


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.05])
def test_slow_drift_is_found(spread: float) -> None:
    """Merges that each add 8%, ten runs apart, are told within 30 runs, although none is a regression by itself."""
    drift = Project(spread=spread, change=slower_every(10, 0.08))
    signs = [first_sign(drift, 30, seed) for seed in range(6)]

    assert None not in signs


def test_one_endpoint_of_twenty() -> None:
    """What all endpoints share is no noise of each: one that is 20% slower stands out, and all of them do."""
    twenty = Project(endpoints=20)

    assert found(Project(endpoints=20, one_change=slower_from(10, 0.2)), 16) >= 0.6
    assert found(Project(endpoints=20, change=slower_from(10, 0.2)), 16) >= 0.8
    assert found(twenty, 16) <= 1 / 16


def test_one_endpoint_of_two() -> None:
    """Two endpoints have nothing in common that could be told from either, and are judged directly."""
    assert found(Project(spread=0.02, endpoints=2, one_change=slower_from(10, 0.2)), 20) >= 0.8
