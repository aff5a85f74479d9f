"""The gate against history as it runs for months: `python -m benchmarks.history_loop`, or `make gate-loops`.

Each project is played with the very functions that judge, store, mark and merge: a run is compared with what the file
holds, marked if it raised an alarm, and added; the next one meets the file as it is then. Alarms must not teach it a
spread that is too small, and what is really slower must not become its level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    seen: dict[Fingerprint, int] = {}
    for number in range(runs):
        new = project.run(number, rng)
        comparison = compare_with_history(new, [], baseline, "loop", terms)
        baseline = merge(baseline, Baseline(runs=[mark(new, [comparison])]))
        yield seen.get(new.fingerprint, 0), comparison
        seen[new.fingerprint] = seen.get(new.fingerprint, 0) + 1
