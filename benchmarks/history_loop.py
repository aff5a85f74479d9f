"""The gate against history as it runs for months: `python -m benchmarks.history_loop`, or `make gate-loops`.

Each project is played with the very functions that judge, store, mark and merge: a run is compared with what the file
holds, marked if it raised an alarm, and added; the next one meets the file as it is then. Alarms must not teach it a
spread that is too small, and what is really slower must not become its level.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from ciload.gate.alarms import Terms, compare_with_history, mark
from ciload.gate.document import Baseline, StoredEndpoint, StoredRun
from ciload.gate.levels import merge
from ciload.result.comparison import Comparison, GateVerdict
from ciload.result.document import Environment, Fingerprint

START = datetime(2026, 1, 5, tzinfo=UTC)
LEARNING = 3  # runs before the gate promises anything
GREEN = (GateVerdict.OK, GateVerdict.UNSUSPICIOUS, GateVerdict.IMPROVED)
REQUESTS = 2_000
FAILED = 0.002
PLAIN = Terms(tolerance=0.0)

Noise = Callable[[np.random.Generator], float]


def normal(rng: np.random.Generator) -> float:
    """Runs that are log-normal."""
    return float(rng.standard_normal())


def heavy_tails(rng: np.random.Generator) -> float:
    """Runs that are t distributed with 3 degrees of freedom after the log."""
    return float(rng.standard_t(3))


@dataclass(frozen=True, slots=True)
class Project:
    """What runs of a project are like.

    Attributes:
        spread: of runs of one class of machines, as a standard deviation of the logarithm.
        noise: its distribution.
        shared: the part of the variance that all endpoints of a run share.
        endpoints: how many there are; without any, there are only all requests.
        slow: how often a run meets a slow class of machines.
        slower: how much slower that is.
        told_apart: whether the fingerprint tells the classes apart.
        change: added to the logarithm of run n, the first being 0.
        one_change: the same, of the first endpoint alone.
    """

    spread: float = 0.05
    noise: Noise = normal
    shared: float = 0.5
    endpoints: int = 0
    slow: float = 0.0
    slower: float = 0.3
    told_apart: bool = False
    change: Callable[[int], float] = lambda _: 0.0
    one_change: Callable[[int], float] = lambda _: 0.0

    def run(self, number: int, rng: np.random.Generator) -> StoredRun:
        """Run n of the project."""
        is_slow = rng.random() < self.slow
        common = self.spread * math.sqrt(self.shared) * self.noise(rng) + self.change(number)
        common += math.log1p(self.slower) * is_slow
        own = self.spread * math.sqrt(1 - self.shared)
        moved = [common + own * self.noise(rng) for _ in range(self.endpoints or 1)]
        moved[0] += self.one_change(number)
        middle = sum(moved) / len(moved)
        parts = [self._endpoint(f"/{n}", "GET", 10.0 * (1 + n), each, rng) for n, each in enumerate(moved)]
        total = self._endpoint("", "", 10.0, middle, rng)
        rate = 100 * math.exp(-0.01 * self.noise(rng))
        machine = "slow" if is_slow and self.told_apart else "fast"
        return StoredRun(
            run_id=f"run-{number}", at=START + timedelta(hours=number), commit=f"c{number}", branch="main",
            environment=ENVIRONMENT, fingerprint=KIND.model_copy(update={"runner": machine}), accepted=True, load_s=20,
            open_model=True, requests_per_s=rate, endpoints=[total, *parts] if self.endpoints else [total],
        )  # fmt: skip

    def _endpoint(self, name: str, method: str, p50: float, moved: float, rng: np.random.Generator) -> StoredEndpoint:
        tail = 0.5 * self.spread * self.noise(rng)
        failed = int(rng.poisson(FAILED * REQUESTS))
        now = p50 * math.exp(moved)
        return StoredEndpoint(
            name=name, method=method, requests=REQUESTS, failed=failed, p50=now, p95=2 * now * math.exp(tail)
        )


ENVIRONMENT = Environment(
    ciload="1.0.0", python="3.11.9", os="Linux 6.8", machine="x86_64", cpu="any", cores=4, memory_bytes=16 << 30
)
KIND = Fingerprint(scenario="name:shop", load="10-vus", target="shop.test", runner="fast", ciload="1")


def play(project: Project, runs: int, seed: int, terms: Terms = PLAIN) -> Iterator[tuple[int, Comparison]]:
    """Every run of a project with what the gate says of it, and the number of runs of its class before it."""
    rng = np.random.default_rng(seed)
    baseline = Baseline()
    seen: Counter[str] = Counter()
    for number in range(runs):
        new = project.run(number, rng)
        comparison = compare_with_history(new, [], baseline, "loop", terms)
        baseline = merge(baseline, Baseline(runs=[mark(new, [comparison])]))
        machine = new.fingerprint.runner
        yield seen[machine], comparison
        seen[machine] += 1


@dataclass(frozen=True, slots=True)
class Rates:
    """What became of the runs of some projects, once there were `LEARNING` of their class.

    Attributes:
        judged: how many these are.
        alarms: the share with a regression, in any metric.
        green: the share that is ok, improved or nothing suspicious.
        warned: the share of projects that were warned of slow drift.
    """

    judged: int
    alarms: float
    green: float
    warned: float


def rates(project: Project, projects: int, runs: int, terms: Terms = PLAIN, first_seed: int = 0) -> Rates:
    """Play a project that often, with seeds of its own."""
    judged, warned = list[Comparison](), 0
    for seed in range(first_seed, first_seed + projects):
        said = [comparison for seen, comparison in play(project, runs, seed, terms) if seen >= LEARNING]
        judged += said
        warned += any(each.drift for each in said)
    alarms = sum(each.verdict is GateVerdict.REGRESSION for each in judged)
    green = sum(each.verdict in GREEN for each in judged)
    return Rates(len(judged), alarms / len(judged), green / len(judged), warned / projects)


def first_sign(project: Project, runs: int, seed: int) -> int | None:
    """After how many runs the gate says anything of a change: an alarm, or a warning of drift."""
    for number, (_, comparison) in enumerate(play(project, runs, seed, Terms())):
        if comparison.drift or comparison.verdict is GateVerdict.REGRESSION:
            return number + 1
    return None


def found(project: Project, times: int, *, runs: int = 10, first_seed: int = 0) -> float:
    """The share of projects in which the run after so many unchanged ones is a regression, with the default terms."""
    alarms = 0
    for seed in range(first_seed, first_seed + times):
        rng = np.random.default_rng(seed)
        earlier = Baseline(runs=[project.run(number, rng) for number in range(runs)])
        comparison = compare_with_history(project.run(runs, rng), [], earlier, "loop", Terms())
        alarms += comparison.verdict is GateVerdict.REGRESSION
    return alarms / times


def slower_from(run: int, by: float) -> Callable[[int], float]:
    """A change of the logarithm, from a run on."""
    return lambda number: math.log1p(by) if number >= run else 0.0


def slower_every(runs: int, by: float) -> Callable[[int], float]:
    """The same, again and again."""
    return lambda number: math.log1p(by) * (number // runs)


UNCHANGED = {
    "log-normal": Project(),
    "t, 3 degrees of freedom": Project(noise=heavy_tails),
    "30% of runs on machines 30% slower, not told apart": Project(slow=0.3),
    "half of the runs, not told apart": Project(slow=0.5),
    "30% of the runs, told apart": Project(slow=0.3, told_apart=True),
    "5 endpoints": Project(endpoints=5),
    "20 endpoints": Project(endpoints=20),
}
SPREADS = (0.01, 0.03, 0.05, 0.10, 0.30)


def main() -> None:
    """Print the tables of docs/gate.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=100, help="of each sort; 60 runs each")
    projects = parser.parse_args().projects
    print(f"{'unchanged runs, tolerance 0%':52} {'judged':>7} {'alarms':>7} {'green':>7}")
    for name, project in UNCHANGED.items():
        got = rates(project, max(1, projects // 4) if project.endpoints else projects, 60)
        print(f"{name:52} {got.judged:7,} {got.alarms:7.2%} {got.green:7.1%}", flush=True)
    print(f"\n{'unchanged, tolerance 10%, runs differ by':52} {'judged':>7} {'alarms':>7} {'green':>7} {'drift':>7}")
    for spread in SPREADS:
        got = rates(Project(spread=spread), projects, 60, Terms())
        print(f"{spread:52.0%} {got.judged:7,} {got.alarms:7.2%} {got.green:7.1%} {got.warned:7.1%}", flush=True)
    print(f"\n{'+8% every ten runs, runs differ by':52} {'found by run 30':>16} {'middle':>7}")
    for spread in SPREADS:
        drift = Project(spread=spread, change=slower_every(10, 0.08))
        signs = [first_sign(drift, 40, seed) or math.inf for seed in range(projects)]
        print(f"{spread:52.0%} {sum(each <= 30 for each in signs) / projects:16.1%} {np.median(signs):7g}", flush=True)
    print(f"\n{'10 runs that differ by 5%, found':52} {'one +20%':>9} {'all +20%':>9}")
    for endpoints, shared in itertools.product((5, 20), (0.5, 0.9)):
        plain = Project(endpoints=endpoints, shared=shared)
        one = found(replace(plain, one_change=slower_from(10, 0.2)), 2 * projects)
        every = found(replace(plain, change=slower_from(10, 0.2)), 2 * projects)
        print(f"{f'{endpoints} endpoints, {shared:.0%} of the variance shared':52} {one:9.1%} {every:9.1%}", flush=True)


if __name__ == "__main__":
    main()
