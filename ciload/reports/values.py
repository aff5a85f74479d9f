"""Values in words and numbers, the same in all reports."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ciload.metrics.metric import Kind
from ciload.reports.format import format_against, format_share, format_value
from ciload.result.document import (
    Distribution,
    Endpoint,
    MetricResult,
    RunResult,
    ScenarioResult,
    TargetCpu,
    ThresholdResult,
)

PLACE = re.compile(r"(?P<file>.+):(?P<line>\d+)")  # of `ThresholdResult.where`, when it is in a file


def trend_values(trend: Distribution, unit: str, result: RunResult) -> list[str]:
    """`avg=…` and so on, as k6 prints them; which of them, and in which unit, the run's options may say."""
    values = {
        "avg": trend.avg, "min": trend.min, "med": trend.med, "max": trend.max, "p(90)": trend.p90, "p(95)": trend.p95,
    }  # fmt: skip
    known = values | trend.percentiles | {"count": trend.count}
    stats, time_unit = result.options.get("summary_trend_stats"), result.options.get("summary_time_unit")
    shown = [name for name in stats if name in known] if isinstance(stats, list | tuple) else list(values)
    written = f"ms as {time_unit}" if unit == "ms" and time_unit in ("s", "ms", "us") else unit
    return [f"{name}={format_value(known[name], '' if name == 'count' else written)}" for name in shown]


def metric_values(metric: MetricResult, result: RunResult) -> list[str]:
    """What a metric measured, by its kind."""
    return trend_values(metric.trend, metric.unit, result) if metric.trend is not None else [_plain(metric)]


def _plain(metric: MetricResult) -> str:
    if metric.kind is Kind.COUNTER:
        rate = f"  {format_value(metric.rate, metric.unit)}/s" if metric.rate is not None else ""
        return f"{format_value(metric.count or 0, metric.unit)}{rate}"
    if metric.kind is Kind.RATE:
        passes, fails = metric.passes or 0, metric.fails or 0
        return f"{format_share(passes, passes + fails)}  {passes} of {passes + fails}"
    low, high = format_value(metric.min or 0, metric.unit), format_value(metric.max or 0, metric.unit)
    return f"{format_value(metric.value or 0, metric.unit)}  min={low}  max={high}"


def without_method(endpoint: Endpoint) -> str:
    """The name, for a column beside that of the method, which some names begin with."""
    return endpoint.name.removeprefix(f"{endpoint.method} ")


def target_cpu_sentence(result: RunResult) -> str:
    """What the target's processes have used, old and new side by side; "" if nobody asked for it."""
    old = result.old_arm.target_cpu if result.old_arm else None
    parts = [f"{word}: {_cpu(each)}" for word, each in (("target", result.target_cpu), ("old target", old)) if each]
    return "; ".join(parts)


def _cpu(cpu: TargetCpu) -> str:
    if cpu.cpu_s is None or cpu.cores is None:
        return f"CPU time is not known ({cpu.process}: {cpu.reason})"
    each = f"{format_value(cpu.per_request, 'ms')} of CPU time per request, " if cpu.per_request is not None else ""
    return f"{each}{cpu.cores:.0%} of a core ({cpu.process})"


SCENARIO_FIGURES = ("finished", "dropped", "planned", "achieved", "late", "start delay p(50)", "p(99)", "max")


def worth_a_table(scenarios: Sequence[ScenarioResult]) -> bool:
    """Whether scenarios say more than the summary without them: there are several, or one with a schedule."""
    return len(scenarios) > 1 or any(each.planned is not None for each in scenarios)


def scenario_figures(scenario: ScenarioResult) -> list[str]:
    """In the order of SCENARIO_FIGURES; "-" for what a closed model has not."""
    schedule = [
        format_value(scenario.planned_per_s, "/s"),
        format_value(scenario.achieved_per_s, "/s"),
        "-" if scenario.late is None else str(scenario.late),
        format_value(scenario.start_delay_p50, "ms"),
        format_value(scenario.start_delay_p99, "ms"),
        format_value(scenario.start_delay_max, "ms"),
    ]
    return [str(scenario.iterations), str(scenario.dropped), *schedule]


def explain_threshold(threshold: ThresholdResult) -> str:
    """One sentence on how a threshold came out: the measured value, and the limit in the user's words."""
    only = "; it only warns" if threshold.warns else ""
    if threshold.value is None:
        hint = f" ({threshold.hint})" if threshold.hint else ""
        return f"{threshold.metric}: no data for {threshold.expression}{hint}, and a threshold without data fails{only}"
    measured = format_against(threshold.value, threshold.operator, threshold.limit, threshold.unit)
    unit = f" ({threshold.unit})" if threshold.unit else ""
    worst = "" if threshold.window_s is None else " in the worst window"
    return (
        f"{threshold.metric}: {threshold.aggregation} is {measured}{worst}, "
        f"the threshold is {threshold.expression}{unit}{only}"
    )
