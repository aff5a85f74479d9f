"""From runs to scores: medians, ratios, and whether a goal is met. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.rounds import Run, Scenario


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times a peer's requests per CPU second ciload did: median and extremes of the rounds' ratios.

    Ratios are taken within a round, where both met much the same machine, and not between medians of all rounds.
    """

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What ciload is meant to reach; `met` is None when there is nothing to judge by."""

    text: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class Score:
    """One generator in one scenario: medians over its good rounds, None without any."""

    scenario: str
    title: str
    generator: str
    rounds: int
    failed: int
    per_cpu_s: float | None
    per_s: float | None
    peak_rss_mb: float | None
    ratio: Ratio | None  # None for ciload itself
    goal: Goal | None


def scores(scenario: Scenario, runs: Sequence[Run]) -> list[Score]:
    """The scores of every generator of `scenario`, in its order."""
    return [score(scenario, name, runs) for name in scenario.generators]


def score(scenario: Scenario, name: str, runs: Sequence[Run]) -> Score:
    own = [run for run in runs if run.scenario == scenario.name and run.generator == name]
    good = [run for run in own if run.ok]
    ratio = ratio_to(scenario, name, runs)
    peak_rss_mb = median(run.peak_rss_mb for run in good) if good else None
    goal = None
    if name in scenario.goals:
        wanted = scenario.goals[name]
        goal = Goal(f"{wanted:g}x", ratio.median >= wanted if ratio else None)
    elif name == "ciload" and scenario.goal_rss_mb:
        met = None if peak_rss_mb is None else peak_rss_mb < scenario.goal_rss_mb
        goal = Goal(f"< {scenario.goal_rss_mb:g} MB", met)
    return Score(
        scenario=scenario.name,
        title=scenario.title,
        generator=name,
        rounds=len(good),
        failed=len(own) - len(good),
        per_cpu_s=median(run.per_cpu_s for run in good) if good else None,
        per_s=median(run.per_s for run in good) if good else None,
        peak_rss_mb=peak_rss_mb,
        ratio=ratio,
        goal=goal,
    )


def ratio_to(scenario: Scenario, peer: str, runs: Sequence[Run]) -> Ratio | None:
    """ciload's figure over the peer's, from the rounds in which both worked; None if there are none."""
    if peer == "ciload":
        return None
    done = {(run.generator, run.round): run.per_cpu_s for run in runs if run.scenario == scenario.name and run.ok}
    pairs = [(mine, done.get((peer, number))) for (name, number), mine in done.items() if name == "ciload"]
    ratios = [mine / theirs for mine, theirs in pairs if theirs]
    return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None
