"""The numbers that gates judge: where a run has them, and on which scale they are compared.

Latencies and rates are compared as logarithms, since noise multiplies them; shares as log odds, which are unbounded in
both directions. On these scales more is always worse here: of requests per second it is the negative logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ciload.gate.document import StoredCpu, StoredEndpoint, StoredMetric, StoredRun
from ciload.gate.statistics import counting_noise, logit
from ciload.metrics.metric import Kind
from ciload.result.comparison import MetricName
from ciload.result.document import GatedKind

RESOLUTION = 0.001  # of histograms, and of anything that is measured by a clock over a run
SMALLEST_MS = 0.001  # what clocks tell apart
SMALLEST = 1e-9  # of any other metric: below, it is nothing
CPU_TICK_S = 0.01  # in which the kernel counts the CPU time of processes (proc(5), at 100 Hz)
LEAST_CPU_S = 0.2  # below, these ticks are more than a few percent
LEAST_BEYOND = 20  # requests beyond a percentile that make it a number of the run, not of its luckiest requests
NEGATIVE = "a value below 0, of which there are no ratios"
LARGEST = math.log(1e12)  # changes beyond are written as this one: documents have no infinity


@dataclass(frozen=True, slots=True)
class Measure:
    metric: MetricName
    unit: str  # "share": of all
    worse: Literal[1, -1] = 1  # the direction of the value in which it gets worse
    quantile: float = 0.0  # of latencies
    asked: bool = False  # somebody has asked for it: it is not to be left out silently

    def level(self, value: float) -> float:
        """The value of a run on the scale of the statistics; what cannot be told from nothing counts as the least."""
        return self.worse * math.log(max(value, SMALLEST_MS if self.unit == "ms" else SMALLEST))

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
CPU_PER_REQUEST = Measure("CPU per request", "ms", asked=True)
OF_RUNS = (
    P50, MEAN, P95, P99, TYPICAL_P50, FAILED_REQUESTS, FAILED_CHECKS, REQUESTS_PER_S, CPU_PER_REQUEST
)  # fmt: skip
MEASURES: Mapping[str, Measure] = {each.metric: each for each in OF_RUNS}


OF_METRICS_ALONE: tuple[MetricName, ...] = ("share of true", "share of false", "per second", "value")


@cache
def measures_of(kind: GatedKind) -> tuple[Measure, ...]:
    """What is judged of a metric that the gate was asked to judge, the most telling first."""
    worse: Literal[1, -1] = 1 if kind.better == "lower" else -1
    unit = "" if kind.unit == "share" else kind.unit
    if kind.kind is Kind.TREND:
        quantiles = ((P50, 0.5), (MEAN, 0.0), (P95, 0.95), (P99, 0.99))
        # Of what is better when it is higher, the slow end is the low one, which percentiles above the middle miss.
        return tuple(
            Measure(each.metric, unit, worse, quantile, asked=each is P50)
            for each, quantile in quantiles
            if worse == 1 or each in (P50, MEAN)
        )
    if kind.kind is Kind.RATE:
        return (Measure("share of true" if worse == 1 else "share of false", "share", asked=True),)
    if kind.kind is Kind.COUNTER:
        return (Measure("per second", unit or "/s", worse, asked=True),)
    return (Measure("value", unit, worse, asked=True),)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: a measure of one endpoint, of all requests (name ""), or of a metric of that name."""

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
        if each is run.total and not each.requests:  # operations, or metrics of the script's own, are all there is
            continue
        found |= {Subject(each.name, each.method, measure): reading for measure, reading in _of_endpoint(each)}
    for metric in run.metrics:
        found |= {Subject(metric.name, "", measure): reading for measure, reading in _of_metric(metric)}
    checks = run.checks_passed + run.checks_failed
    if checks:
        found[Subject("", "", FAILED_CHECKS)] = share(run.checks_failed, checks)
    if run.open_model and run.requests_per_s > 0:
        found[Subject("", "", REQUESTS_PER_S)] = rate(run.requests_per_s)
    if run.target_cpu is not None:
        requests = run.total.requests or sum(each.requests for each in run.endpoints)
        found[Subject("", "", CPU_PER_REQUEST)] = _cpu(run.target_cpu, requests)
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


def _of_endpoint(endpoint: StoredEndpoint) -> Iterable[tuple[Measure, Reading | str]]:
    yield P50, _quantile(P50, endpoint.p50, endpoint.block_p50, endpoint.requests, "requests")
    yield P95, _quantile(P95, endpoint.p95, endpoint.block_p95, endpoint.requests, "requests")
    yield FAILED_REQUESTS, share(endpoint.failed, endpoint.requests) if endpoint.requests else "no requests"


def _of_metric(metric: StoredMetric) -> Iterable[tuple[Measure, Reading | str]]:
    for measure in measures_of(metric.gated):
        if measure.unit == "share":
            yield measure, share(metric.failed, metric.samples) if metric.samples else "no samples"
        elif metric.gated.kind is not Kind.TREND:
            yield measure, _value(measure, metric.value)
        elif measure.metric == P50.metric:
            yield measure, _quantile(measure, metric.p50, metric.block_p50, metric.samples, "samples")
        elif measure.metric == P95.metric:
            yield measure, _quantile(measure, metric.p95, metric.block_p95, metric.samples, "samples")


def _value(measure: Measure, value: float | None) -> Reading | str:
    if value is None:
        return "no samples"
    return Reading(value, measure.level(value)) if value >= 0 else NEGATIVE


def _quantile(
    measure: Measure, value: float | None, blocks: Sequence[float | None], count: int, noun: str
) -> Reading | str:
    least = round(LEAST_BEYOND / (1 - measure.quantile))
    if value is None or count < least:
        return f"{count} {noun}; {measure.metric} needs {least}"
    if value < 0:
        return NEGATIVE
    return Reading(value, measure.level(value), within=_within([measure.level(each) for each in blocks if each]))


def _within(levels: Sequence[float]) -> float | None:
    """The standard error of the mean of blocks."""
    if len(levels) < 2:
        return None
    mean = sum(levels) / len(levels)
    variance = sum((level - mean) ** 2 for level in levels) / (len(levels) - 1)
    return math.sqrt(variance / len(levels))
