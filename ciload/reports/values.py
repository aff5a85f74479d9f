"""A metric's values in words and numbers, the same on the console and in markdown."""

from __future__ import annotations

from ciload.metrics.metric import Kind
from ciload.reports.format import format_share, format_value
from ciload.result.document import Distribution, MetricResult


def trend_values(trend: Distribution, unit: str) -> list[str]:
    """`avg=…` and so on, as k6 prints them."""
    values = (
        ("avg", trend.avg), ("min", trend.min), ("med", trend.med), ("max", trend.max),
        ("p(90)", trend.p90), ("p(95)", trend.p95),
    )  # fmt: skip
    return [f"{name}={format_value(value, unit)}" for name, value in values]


def metric_values(metric: MetricResult) -> list[str]:
    """What a metric measured, by its kind."""
    return trend_values(metric.trend, metric.unit) if metric.trend is not None else [_plain(metric)]


def _plain(metric: MetricResult) -> str:
    if metric.kind is Kind.COUNTER:
        rate = f"  {format_value(metric.rate, metric.unit)}/s" if metric.rate is not None else ""
        return f"{format_value(metric.count or 0, metric.unit)}{rate}"
    if metric.kind is Kind.RATE:
        passes, fails = metric.passes or 0, metric.fails or 0
        return f"{format_share(passes, passes + fails)}  {passes} of {passes + fails}"
    low, high = format_value(metric.min or 0, metric.unit), format_value(metric.max or 0, metric.unit)
    return f"{format_value(metric.value or 0, metric.unit)}  min={low}  max={high}"
