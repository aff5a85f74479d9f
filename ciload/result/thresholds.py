"""Fixed limits on metrics, in k6's grammar.

    key        = metric [ "{" tag ":" value { "," tag ":" value } "}" ]
    expression = aggregation operator number
    aggregation = "count" | "rate" | "value" | "avg" | "min" | "med" | "max" | "p(" 0…100 ")"
    operator   = "<" | "<=" | ">" | ">=" | "==" | "===" | "!="

Which aggregation a metric allows depends on its kind. A value may be quoted, and only the first ":" splits, so
`group:::log in` selects the group "::log in". A metric without samples is *no data*, which fails. The one exception: a
counter without samples and without a selector is 0 once any iteration has finished, since counting events that did not
happen is a measurement.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ciload.metrics.metric import Kind, Metric
from ciload.metrics.sinks import CounterSink, GaugeSink, RateSink, Sink
from ciload.metrics.snapshot import Snapshot

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "===": operator.eq, "!=": operator.ne,
}  # fmt: skip
AGGREGATIONS = {
    Kind.COUNTER: ("count", "rate"),
    Kind.GAUGE: ("value",),
    Kind.RATE: ("rate",),
    Kind.TREND: ("avg", "min", "med", "max", "p(N)"),
}
EXAMPLES = {Kind.COUNTER: "count<10", Kind.GAUGE: "value<10", Kind.RATE: "rate<0.01", Kind.TREND: "p(95)<500"}
PERCENTILE = re.compile(r"p\(\s*(\d+(?:\.\d+)?)\s*\)")
EXPRESSION = re.compile(r"\s*(?P<aggregation>[A-Za-z]+(?:\s*\([^)]*\))?)\s*(?P<operator>[<>=!]+)\s*(?P<limit>\S+)\s*")
KEY = re.compile(r"(?P<metric>[^{}]*?)\s*(?:\{(?P<tags>.*)\})?\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One limit. `key` and `expression` are the user's words; `where` is the place they stand in."""

    key: str
    expression: str
    metric: str
    tags: tuple[tuple[str, str], ...]
    aggregation: str  # "p(95)" for percentiles
    operator: str
    limit: float
    where: str = ""

    @property
    def percent(self) -> float | None:
        match = PERCENTILE.fullmatch(self.aggregation)
        return 50.0 if self.aggregation == "med" else float(match[1]) if match else None

    def holds(self, value: float) -> bool:
        return OPERATORS[self.operator](value, self.limit)


def parse_threshold(key: str, expression: str, metrics: Mapping[str, Metric], where: str = "") -> Threshold:
    """Read one threshold and check it against the metrics that the run knows.

    Raises:
        ValueError: what is wrong with it, and what was probably meant.
    """
    parts = KEY.fullmatch(key)
    if parts is None or not parts["metric"]:
        raise ValueError(f"{key!r} is not a metric, nor metric{{tag:value}}")
    metric = metrics.get(parts["metric"])
    if metric is None:
        raise ValueError(f"there is no metric {parts['metric']!r}{_meant(parts['metric'], metrics)}")
    tags = _parse_tags(parts["tags"]) if parts["tags"] is not None else ()
    match = EXPRESSION.fullmatch(expression)
    if match is None or match["operator"] not in OPERATORS:
        raise ValueError(f"{expression!r} is not a threshold: write for example {_example(metric)!r}")
    aggregation = "".join(match["aggregation"].split())
    if not _allowed(aggregation, metric.kind):
        allowed = AGGREGATIONS[metric.kind]
        raise ValueError(
            f"{aggregation!r} does not apply to {metric.name!r}, a {metric.kind}: use {', '.join(allowed)}"
            + _meant(aggregation, [each for each in allowed if each != "p(N)"])
        )
    try:
        limit = float(match["limit"])
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise ValueError(f"{match['limit']!r} in {expression!r} is not a number; limits have no units (times are ms)")
    return Threshold(key, expression, metric.name, tags, aggregation, match["operator"], limit, where)


def _allowed(aggregation: str, kind: Kind) -> bool:
    percentile = PERCENTILE.fullmatch(aggregation)
    if percentile:
        return kind is Kind.TREND and float(percentile[1]) <= 100
    return aggregation in AGGREGATIONS[kind]


def _example(metric: Metric) -> str:
    return EXAMPLES[metric.kind]


def _meant(word: str, known: Mapping[str, object] | list[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _parse_tags(text: str) -> tuple[tuple[str, str], ...]:
    tags = []
    for part in text.split(","):
        name, colon, value = part.strip().partition(":")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        if not colon or not name.strip() or not value:
            raise ValueError(f"{{{text}}} does not select by tags: write {{name:value}} or {{name:value,status:200}}")
        tags.append((name.strip(), value))
    return tuple(tags)


def measure(threshold: Threshold, snapshot: Snapshot, load_s: float, finished_iterations: int) -> float | None:
    """The value that a threshold judges, None when there is no data.

    Args:
        threshold: what to measure.
        snapshot: the whole run.
        load_s: seconds of load, for rates of counters. Setup and teardown do not count.
        finished_iterations: 0 makes even an empty counter no data.
    """
    sink = snapshot.select(threshold.metric, dict(threshold.tags))
    if sink is None or sink.empty:
        counted = snapshot.metrics[threshold.metric].kind is Kind.COUNTER and not threshold.tags
        return 0.0 if counted and finished_iterations else None
    value = aggregate(sink, threshold.aggregation, threshold.percent, load_s)
    return value if math.isfinite(value) else None


def aggregate(sink: Sink, aggregation: str, percent: float | None, load_s: float) -> float:
    if isinstance(sink, CounterSink):
        return sink.total if aggregation == "count" else sink.total / load_s if load_s else math.nan
    if isinstance(sink, GaugeSink):
        return sink.last
    if isinstance(sink, RateSink):
        return sink.rate
    if percent is not None:
        return sink.percentiles([percent])[0]
    return {"avg": sink.mean, "min": sink.smallest, "max": sink.largest}[aggregation]
