"""How the false-alarm rate is shared out among the metrics of a run.

Relative to each other: metrics that a run does not have leave their part to the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ciload.gate.metrics import OF_RUNS, P50, Subject
from ciload.gate.two_levels import TYPICAL

# Side by side. All requests together have one half, all endpoints the other, in equal parts; within each it goes by
# these. p50 moves whenever the target does, and is known best. The mean finds what is slow too seldom to move a
# percentile, and CPU time is steadier than any latency.
SIDE_BY_SIDE: Mapping[str, float] = {
    "p50": 12, "mean": 3, "p95": 2, "p99": 1, "failed requests": 2, "failed checks": 1, "CPU per request": 3,
    "share of true": 12, "share of false": 12, "per second": 12, "value": 12,
}  # fmt: skip

# Against history, where all endpoints share a part.
OF_THE_RUN = {
    "p50": 40.0,
    "p95": 12.0,
    "median endpoint p50": 50.0,
    "failed requests": 10.0,
    "failed checks": 5.0,
    "requests/s": 5.0,
    "CPU per request": 20.0,
}
P50_BESIDE_ENDPOINTS = 1.0  # all requests together say hardly more than the median endpoint does
OF_ALL_ENDPOINTS = {"p50": 15.0, "p95": 3.0, "failed requests": 4.0}
# What the gate was asked to judge has as much for each as all requests have; percentiles share it as there.
OF_A_METRIC = {"p50": 40.0, "p95": 12.0}
OF_A_METRIC_ELSE = 40.0


def part_of(subject: Subject, subjects: Collection[Subject]) -> float:
    """The part of the false-alarm rate that is spent on one of the subjects that are judged together."""
    measure = subject.measure
    if subject.endpoint and not any(measure is each for each in OF_RUNS):
        return OF_A_METRIC.get(measure.metric, OF_A_METRIC_ELSE)
    if subject.endpoint:
        count = sum(bool(each.endpoint) and each.measure is measure for each in subjects)
        return OF_ALL_ENDPOINTS[measure.metric] / count
    if measure is P50 and TYPICAL in subjects:
        return P50_BESIDE_ENDPOINTS
    return OF_THE_RUN[measure.metric]


def share_of(subject: Subject, subjects: Collection[Subject]) -> float:
    """The same as a share of all that are judged together."""
    return part_of(subject, subjects) / sum(part_of(each, subjects) for each in subjects)
