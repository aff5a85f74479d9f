"""The numbers that gates judge: where a run has them, and on which scale they are compared.

Latencies and rates are compared as logarithms, since noise multiplies them; shares as log odds, which are unbounded in
both directions. On these scales more is always worse here: of requests per second it is the negative logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ciload.gate.document import StoredCpu, StoredEndpoint, StoredRun
from ciload.gate.statistics import counting_noise, logit

MetricName = Literal[
    "p50", "mean", "p95", "p99", "median endpoint p50", "failed requests", "failed checks", "requests/s",
    "CPU per request",
]  # fmt: skip
Unit = Literal["ms", "share", "/s"]

RESOLUTION = 0.001  # of histograms, and of anything that is measured by a clock over a run
SMALLEST_MS = 0.001  # what clocks tell apart
CPU_TICK_S = 0.01  # in which the kernel counts the CPU time of processes (proc(5), at 100 Hz)
LEAST_CPU_S = 0.2  # below, these ticks are more than a few percent
LEAST_BEYOND = 20  # requests beyond a percentile that make it a number of the run, not of its luckiest requests
LARGEST = math.log(1e12)  # changes beyond are written as this one: documents have no infinity


@dataclass(frozen=True, slots=True)
class Measure:
    metric: MetricName
    unit: Unit
    worse: Literal[1, -1] = 1  # the direction of the value in which it gets worse
    quantile: float = 0.0  # of latencies

    def change(self, effect: float) -> float:
        """An effect, where more is worse, as the relative change of the value, or of the odds."""
        return math.expm1(max(-LARGEST, min(LARGEST, self.worse * effect)))

    def effect(self, change: float) -> float:
        """The inverse of `change`."""
        return self.worse * math.log1p(change) if change > -1 else -self.worse * LARGEST

    def average(self, readings: Sequence[Reading]) -> float:
        """One value for several runs: the share of all of them, or their geometric mean."""
        if self.unit == "share":
            return sum(each.part for each in readings) / sum(each.whole for each in readings)
        return math.exp(self.worse * sum(each.level for each in readings) / len(readings))

    def floor(self, readings: Sequence[Reading]) -> float:
        """The standard deviation that levels of runs like these have at least, however alike they look."""
        if self.unit == "share":
            whole = sum(each.whole for each in readings) / len(readings)
            return counting_noise(sum(each.part for each in readings) / len(readings), whole)
        if self.metric == "CPU per request":
            return cpu_noise(sum(each.part for each in readings) / len(readings))
        if self.unit == "ms":
            return max(RESOLUTION, SMALLEST_MS / self.average(readings))
        return RESOLUTION


P50 = Measure("p50", "ms", quantile=0.5)
MEAN = Measure("mean", "ms")
P95 = Measure("p95", "ms", quantile=0.95)
P99 = Measure("p99", "ms", quantile=0.99)
TYPICAL_P50 = Measure("median endpoint p50", "ms")
FAILED_REQUESTS = Measure("failed requests", "share")
FAILED_CHECKS = Measure("failed checks", "share")
REQUESTS_PER_S = Measure("requests/s", "/s", worse=-1)
CPU_PER_REQUEST = Measure("CPU per request", "ms")
OF_RUNS = (
    P50, MEAN, P95, P99, TYPICAL_P50, FAILED_REQUESTS, FAILED_CHECKS, REQUESTS_PER_S, CPU_PER_REQUEST
)  # fmt: skip
MEASURES: Mapping[str, Measure] = {each.metric: each for each in OF_RUNS}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: a measure of one endpoint, or of all requests (name "")."""

    endpoint: str
    method: str
    measure: Measure


@dataclass(frozen=True, slots=True)
class Reading:
    """What one run says about a subject. `level` is the value on the scale of the statistics."""

    value: float
    level: float
    part: float = 0.0  # of a share; of CPU per request, the CPU seconds
    whole: float = 0.0
    within: float | None = None  # standard error of the level, as blocks of the run show it


Readings = Mapping[Subject, Reading | str]  # a text says why there is no reading


def readings(run: StoredRun) -> Readings:
    """Everything that is gated of a run."""
    found: dict[Subject, Reading | str] = {}
    for each in run.endpoints:
        found |= {Subject(each.name, each.method, measure): reading for measure, reading in _of_endpoint(each)}
    checks = run.checks_passed + run.checks_failed
    if checks:
        found[Subject("", "", FAILED_CHECKS)] = share(run.checks_failed, checks)
    if run.open_model and run.requests_per_s > 0:
        found[Subject("", "", REQUESTS_PER_S)] = rate(run.requests_per_s)
    if run.target_cpu is not None:
        found[Subject("", "", CPU_PER_REQUEST)] = _cpu(run.target_cpu, run.total.requests)
    return found


def _cpu(cpu: StoredCpu, requests: int) -> Reading | str:
    if cpu.cpu_s is None:
        return cpu.reason or "the target's CPU time is not known"
    if cpu.cpu_s < LEAST_CPU_S or not requests:
        return f"the target used {cpu.cpu_s:.2g} s of CPU time; CPU per request needs {LEAST_CPU_S:g} s"
    per_request_ms = 1e3 * cpu.cpu_s / requests
    return Reading(per_request_ms, math.log(per_request_ms), part=cpu.cpu_s, whole=requests)


def cpu_noise(cpu_s: float) -> float:
    """The standard deviation of the logarithm of so many CPU seconds, given that they are counted in ticks."""
    return max(RESOLUTION, CPU_TICK_S / cpu_s)


def share(part: float, whole: float) -> Reading:
    return Reading(part / whole, logit(part, whole), part, whole)


def rate(per_s: float) -> Reading:
    return Reading(per_s, -math.log(per_s))


def share_at(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-LARGEST, min(LARGEST, log_odds))))


def latency_level(value_ms: float) -> float:
    """The logarithm of a latency; what no clock tells from nothing counts as the least that it does."""
    return math.log(max(value_ms, SMALLEST_MS))


def _of_endpoint(endpoint: StoredEndpoint) -> Iterable[tuple[Measure, Reading | str]]:
    yield P50, _latency(P50, endpoint.p50, endpoint.block_p50, endpoint.requests)
    yield P95, _latency(P95, endpoint.p95, endpoint.block_p95, endpoint.requests)
    yield FAILED_REQUESTS, share(endpoint.failed, endpoint.requests) if endpoint.requests else "no requests"


def _latency(measure: Measure, value: float | None, blocks: Sequence[float | None], requests: int) -> Reading | str:
    least = round(LEAST_BEYOND / (1 - measure.quantile))
    if value is None or requests < least:
        return f"{requests} requests; {measure.metric} needs {least}"
    return Reading(value, latency_level(value), within=_within([latency_level(each) for each in blocks if each]))


def _within(levels: Sequence[float]) -> float | None:
    """The standard error of the mean of blocks."""
    if len(levels) < 2:
        return None
    mean = sum(levels) / len(levels)
    variance = sum((level - mean) ** 2 for level in levels) / (len(levels) - 1)
    return math.sqrt(variance / len(levels))
