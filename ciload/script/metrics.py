"""Metrics that a script defines: `Counter`, `Gauge`, `Rate`, `Trend`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import get_args

from ciload.http.session import current, current_session
from ciload.metrics.metric import Better, Kind, Metric
from ciload.metrics.sinks import LARGEST_SAMPLE

LONGEST_NAME = 128


class CustomMetric:
    """Define it at the top level of the script, so that thresholds on it are checked before the run starts.

    Args:
        name: any text fit for a report, without braces.
        unit: shown behind values; "ms" and "bytes" are written as people read them.
        gate: let the regression gate judge it, like latencies: a trend's median, mean and percentiles, a rate's share,
            a counter per second, a gauge's last value.
        better: in which direction, if it does.

    Raises:
        ValueError: the name cannot be used, or is taken by a metric of another kind or unit.
    """

    kind: Kind

    def __init__(self, name: str, *, unit: str = "", gate: bool = False, better: Better | None = None) -> None:
        if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise ValueError(f"a metric's name is 1 to {LONGEST_NAME} printable characters, not {name!r}")
        if "{" in name or "}" in name:
            raise ValueError(f"a metric's name has no braces, they mark tags in thresholds: {name!r}")
        if better not in (None, *get_args(Better)):
            raise ValueError(f"metric {name!r}: better is 'lower' or 'higher', not {better!r}")
        if better is not None and not gate:
            raise ValueError(f"metric {name!r}: better={better!r} is for the regression gate: write gate=True too")
        self.metric = Metric(name, self.kind, unit, (better or "lower") if gate else None)
        loading = current.get(None)
        if loading is not None:
            loading.scope.registry.declare(self.metric)

    def add(self, value: float | bool, tags: Mapping[str, str] | None = None) -> None:
        """Take one sample, with the tags of the place it is taken in and these.

        Raises:
            ValueError: it is no number, or beyond 1e290 either way, where sums would end in infinity.
        """
        number = self._number(value)
        scope = current_session().scope
        if tags is None:
            sink = scope.custom.get(self.metric.name) or scope.custom_sink(self.metric)
        else:
            sink = scope.sink(self.metric, {str(k): str(v) for k, v in tags.items()})
        sink.add(number)

    def _number(self, value: float | bool) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not -LARGEST_SAMPLE <= number <= LARGEST_SAMPLE:
            shown = repr(value) if isinstance(value, float) else f"a value of type {type(value).__name__}"
            raise ValueError(f"metric {self.metric.name!r}: {shown} is not a number that can be summed up")
        return number


class Counter(CustomMetric):
    """A sum. Thresholds: `count`, `rate` (per second of load)."""

    kind = Kind.COUNTER


class Gauge(CustomMetric):
    """The latest value. Thresholds: `value`."""

    kind = Kind.GAUGE


class Rate(CustomMetric):
    """The share of samples that are true. Thresholds: `rate`, from 0 to 1."""

    kind = Kind.RATE


class Trend(CustomMetric):
    """A distribution of numbers of any size and sign. Thresholds: `avg min med max p(N)`."""

    kind = Kind.TREND
