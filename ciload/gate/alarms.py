"""The gate: this run against earlier ones, or against another target in the same run, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from ciload.gate.against_history import compare_results_with_history, compare_with_history
from ciload.gate.document import StoredRun
from ciload.gate.metrics import Measure
from ciload.gate.side_by_side import compare_side_by_side
from ciload.gate.stored_run import generator_faults
from ciload.gate.verdicts import Terms
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict

__all__ = [
    "Terms", "alarm_of", "compare_results_with_history", "compare_side_by_side", "compare_with_history", "mark",
    "suspects",
]  # fmt: skip

# Reruns average the noise away, so what looks bad once in ten runs is worth one: it finds more, and costs little.
SCREENING = 10
MOST_SCREENING = 0.10


def suspects(comparison: Comparison) -> list[GatedMetric]:
    """Metrics for which confirmation reruns are worth their time: they look like a regression, be it certain or not."""
    level = min(SCREENING * comparison.false_alarm, MOST_SCREENING)
    found = [
        (each.p_value, each)
        for each in comparison.metrics
        if each.p_value is not None
        and each.p_value <= level
        and _effect(each) >= math.log1p(comparison.tolerance if each.tolerance is None else each.tolerance)
    ]
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def alarm_of(comparisons: Sequence[Comparison]) -> Literal["", "worse", "better"]:
    """What the gates say of the run, all together."""
    found = [(each.gate, metric.verdict) for each in comparisons for metric in each.metrics]
    if any(verdict is GateVerdict.REGRESSION for _, verdict in found):
        return "worse"
    # That a version is faster than the old one beside it does not tell it from earlier runs of its own.
    return "better" if ("history", GateVerdict.IMPROVED) in found else ""


def mark(run: StoredRun, comparisons: Sequence[Comparison]) -> StoredRun:
    """The run as it is to be stored: one that raised an alarm is no measure for others until somebody accepts it.

    Both directions: an improvement that were averaged with slower runs would hide the next regression.
    """
    alarm = alarm_of(comparisons)
    if not alarm or generator_faults(run):
        return run
    return run.model_copy(update={"accepted": False, "alarm": alarm})


def _effect(metric: GatedMetric) -> float:
    if metric.unit == "share":
        return 0.0 if metric.old is None or metric.new is None else _log_odds(metric.new) - _log_odds(metric.old)
    if metric.change is None:
        return 0.0
    return Measure(metric.metric, metric.unit, 1 if metric.better == "lower" else -1).effect(metric.change)


def _log_odds(share: float) -> float:
    within = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(within / (1 - within))
