"""Fixed limits on metrics, in k6's grammar and beyond it.

    key        = metric [ "{" tag ":" value { "," tag ":" value } "}" ]
    value      = text | "'" text "'" | '"' text '"'
    expression = aggregation operator number [ "over" duration ]
    aggregation = "count" | "rate" | "passes" | "fails" | "value" | "avg" | "min" | "med" | "max" | "p(" 0…100 ")"
    operator   = "<" | "<=" | ">" | ">=" | "==" | "===" | "!="

Which aggregation a metric allows depends on its kind. Every tag has to match. Only the first ":" splits, so
`group:::log in` selects the group "::log in", and the groups in it, except of group_duration. `*` in a value stands for
any text; a value in quotes is meant to the letter, commas included.

With `over`, the limit has to hold in every window of that length (`windows.py`), or in the whole load when that is
shorter. Counts have no windows: how many there are would depend on the fraction of a second that a window is too long.

A metric without samples is *no data*, which fails. The one exception: a counter without samples is 0 once any iteration
has finished, since counting events that did not happen is a measurement. Not so with a selector for a tag that nothing
has, or for a scenario, group, name or method that there is not: these are more likely misspelt than absent.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from ciload.durations import parse_duration
from ciload.metrics.folding import carried
from ciload.metrics.metric import Kind, Metric
from ciload.metrics.series import HTTP_METRICS
from ciload.metrics.sinks import CounterSink, GaugeSink, RateSink, Sink
from ciload.metrics.snapshot import Snapshot
from ciload.result.selectors import Selector, parse_selector
from ciload.text import closest

Severity = Literal["fail", "warn"]

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "===": operator.eq, "!=": operator.ne,
}  # fmt: skip
AGGREGATIONS = {
    Kind.COUNTER: ("count", "rate"),
    Kind.GAUGE: ("value",),
    Kind.RATE: ("rate", "passes", "fails", "count"),
    Kind.TREND: ("avg", "min", "med", "max", "p(N)", "count"),
}
PLACES = frozenset({"scenario", "group", "name", "method"})  # tags that are in the script, whatever happens in the run
COUNTS = ("count", "passes", "fails")
EXAMPLES = {Kind.COUNTER: "count<10", Kind.GAUGE: "value<10", Kind.RATE: "rate<0.01", Kind.TREND: "p(95)<500"}
PERCENTILE = re.compile(r"p\(\s*(\d+(?:\.\d+)?)\s*\)")
EXPRESSION = re.compile(
    r"\s*(?P<aggregation>[A-Za-z]+(?:\s*\([^)]*\))?)\s*(?P<operator>[<>=!]+)\s*(?P<limit>\S+)"
    r"(?:\s+over\s+(?P<window>\S+))?\s*"
)
KEY = re.compile(r"(?P<metric>[^{}]*?)\s*(?:\{(?P<tags>.*)\})?\s*", re.DOTALL)
SHORTEST_WINDOW_S = 1.0  # a run is looked at once a second
K6_SPELLING = {"abortOnFail": "abort_on_fail", "delayAbortEval": "delay_abort_eval"}


class Limit(BaseModel):
    """One threshold as options hold it: the expression alone, or with what follows from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: str
    abort_on_fail: bool = False
    delay_abort_eval: Annotated[float, BeforeValidator(parse_duration)] = 0.0
    severity: Severity = "fail"

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: object) -> object:
        if isinstance(value, str):
            return {"threshold": value}
        if isinstance(value, Mapping):
            ours: dict[object, object] = {}
            for key, each in value.items():
                name = K6_SPELLING.get(key, key)
                if name not in cls.model_fields or name in ours:
                    wrong = "is there twice" if name in ours else f"is none of {', '.join(cls.model_fields)}"
                    raise ValueError(f"{key!r} of a threshold {wrong}")
                ours[name] = each
            return ours
        if isinstance(value, cls):
            return value
        raise ValueError("not a threshold: write text, or a mapping with 'threshold' in it")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One limit. `key` and `expression` are the user's words; `where` is the place they stand in."""

    key: str
    expression: str
    metric: str
    selector: Selector
    aggregation: str  # "p(95)" for percentiles
    operator: str
    limit: float
    where: str = ""
    window_s: float | None = None
    abort_on_fail: bool = False
    delay_abort_eval_s: float = 0.0
    severity: Severity = "fail"

    @property
    def percent(self) -> float | None:
        match = PERCENTILE.fullmatch(self.aggregation)
        return 50.0 if self.aggregation == "med" else float(match[1]) if match else None

    def holds(self, value: float) -> bool:
        return OPERATORS[self.operator](value, self.limit)


def parse_threshold(key: str, limit: Limit | str, metrics: Mapping[str, Metric], where: str = "") -> Threshold:
    """Read one threshold and check it against the metrics that the run knows.

    Raises:
        ValueError: what is wrong with it, and what was probably meant.
    """
    limit = Limit(threshold=limit) if isinstance(limit, str) else limit
    parts = KEY.fullmatch(key)
    if parts is None or not parts["metric"]:
        raise ValueError(f"{key!r} is not a metric, nor metric{{tag:value}}")
    metric = metrics.get(parts["metric"])
    if metric is None:
        raise ValueError(f"there is no metric {parts['metric']!r}{_meant(parts['metric'], metrics)}")
    selector = Selector() if parts["tags"] is None else parse_selector(parts["tags"], metric.name)
    match = EXPRESSION.fullmatch(limit.threshold)
    if match is None or match["operator"] not in OPERATORS:
        raise ValueError(f"{limit.threshold!r} is not a threshold: write for example {EXAMPLES[metric.kind]!r}")
    if limit.severity == "warn" and limit.abort_on_fail:
        raise ValueError(f"{limit.threshold!r}: a warning cannot abort")
    return Threshold(
        key=key,
        expression=limit.threshold,
        metric=metric.name,
        selector=selector,
        aggregation=_aggregation(match, metric),
        operator=match["operator"],
        limit=_number(match),
        where=where,
        window_s=_window_s(match),
        abort_on_fail=limit.abort_on_fail,
        delay_abort_eval_s=limit.delay_abort_eval,
        severity=limit.severity,
    )


def _aggregation(match: re.Match[str], metric: Metric) -> str:
    aggregation = "".join(match["aggregation"].split())
    allowed = [each for each in AGGREGATIONS[metric.kind] if not (match["window"] and each in COUNTS)]
    words = [each for each in allowed if each != "p(N)"]
    percentile = PERCENTILE.fullmatch(aggregation)
    if metric.kind is Kind.TREND and float(percentile[1]) <= 100 if percentile else aggregation in words:
        return aggregation
    to = f"a window of {metric.name!r}" if match["window"] else repr(metric.name)
    raise ValueError(
        f"{aggregation!r} does not apply to {to}, a {metric.kind}: use {', '.join(allowed)}"
        + _meant(aggregation, words)
    )


def _number(match: re.Match[str]) -> float:
    try:
        limit = float(match["limit"])
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        text = match[0].strip()
        raise ValueError(f"{match['limit']!r} in {text!r} is not a number; limits have no units (times are ms)")
    return limit


def _window_s(match: re.Match[str]) -> float | None:
    if match["window"] is None:
        return None
    window_s = parse_duration(match["window"])
    if window_s < SHORTEST_WINDOW_S:
        raise ValueError(f"{match['window']!r} in {match[0].strip()!r} is too short: a window has at least 1s")
    return window_s


def _meant(word: str, known: Mapping[str, object] | list[str]) -> str:
    meant = closest(word, known)
    return f"; did you mean {meant!r}?" if meant else ""


def measure(threshold: Threshold, snapshot: Snapshot, load_s: float, finished_iterations: int) -> float | None:
    """The value that a threshold judges, None when there is no data.

    Args:
        threshold: what to measure.
        snapshot: the whole run.
        load_s: seconds of load, for rates of counters. Setup and teardown do not count.
        finished_iterations: 0 makes even an empty counter no data.
    """
    sink = select(threshold, snapshot, finished_iterations)
    return None if sink is None else aggregate(threshold, sink, load_s)


def select(threshold: Threshold, snapshot: Snapshot, finished_iterations: int) -> Sink | None:
    """The samples that a threshold is about, in a sink of their own; None when there is no data."""
    if not_kept_apart(threshold, snapshot):
        return None
    sink = snapshot.select(threshold.metric, threshold.selector)
    if sink is not None and not sink.empty:
        return sink
    metric = snapshot.metrics.get(threshold.metric)
    counted = metric is not None and metric.kind is Kind.COUNTER and _could_happen(threshold, snapshot)
    return CounterSink() if counted and finished_iterations else None


def not_kept_apart(threshold: Threshold, snapshot: Snapshot) -> list[str]:
    """Tags that the threshold selects by, and that there were too many values of: what is left would be a part."""
    return snapshot.folded.has_lost(threshold.metric, threshold.selector.names)


def _could_happen(threshold: Threshold, snapshot: Snapshot) -> bool:
    """Whether what the threshold counts is something that did not happen, and not something that does not exist."""
    selector, own = threshold.selector, snapshot.series.get(threshold.metric)
    if not selector.tags:
        return True
    if not own and threshold.metric in HTTP_METRICS:  # of no requests at all, nothing is known
        return False
    # A counter that was never added to might have had the tags of anything else.
    series = [tags for by_tags in ([own] if own else snapshot.series.values()) for tags in by_tags]
    where = Selector(tuple(each for each in selector.tags if each.name in PLACES))
    present = {name for tags in series for name, _ in tags} | carried(threshold.metric)
    return selector.names <= present and any(map(where, series))


def aggregate(threshold: Threshold, sink: Sink, seconds: float) -> float | None:
    """What a threshold makes of samples that took so many seconds; None when that is no number."""
    value = _aggregated(threshold, sink, seconds)
    return value if math.isfinite(value) else None


def _aggregated(threshold: Threshold, sink: Sink, seconds: float) -> float:
    aggregation = threshold.aggregation
    if isinstance(sink, CounterSink):
        return sink.total if aggregation == "count" else sink.total / seconds if seconds else math.nan
    if isinstance(sink, GaugeSink):
        return sink.last
    if isinstance(sink, RateSink):
        fails = sink.total - sink.passes
        return {"rate": sink.rate, "passes": sink.passes, "count": sink.passes, "fails": fails}[aggregation]
    if threshold.percent is not None:
        return sink.percentiles([threshold.percent])[0]
    return {"avg": sink.mean, "min": sink.smallest, "max": sink.largest, "count": sink.count}[aggregation]
