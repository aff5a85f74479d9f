"""All series of one process, and the scopes (scenario, group) that samples are taken in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from ciload.metrics.errors_tally import OTHER, ErrorTally
from ciload.metrics.metric import BUILTIN, Metric
from ciload.metrics.series import HttpSeries, Tags
from ciload.metrics.sinks import RateSink, Sink, TrendSink, new_sink
from ciload.metrics.snapshot import Second, Snapshot

MOST_SERIES = 1_000

HttpKey = tuple[str, str, int, str, Tags]


class MetricConflictError(ValueError):
    """Two metrics of one name that differ in kind or unit."""


class Registry:
    """Everything measured in this process since it started, in bounded memory."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = dict(BUILTIN)
        self.http: dict[Tags, HttpSeries] = {}
        self.sinks: dict[tuple[str, Tags], Sink] = {}
        self.scopes = 0
        self.errors = ErrorTally()
        self.marked_failed: dict[str, None] = {}  # reasons given to fail_test(), each once
        self.overflowed = False  # some names or tags were folded into "(other)"

    def declare(self, metric: Metric) -> None:
        """Make a metric known, so that thresholds can be checked against it before the run.

        Raises:
            MetricConflictError: the name is taken by a metric of another kind or unit.
        """
        known = self.metrics.setdefault(metric.name, metric)
        if known != metric:
            raise MetricConflictError(
                f"metric {metric.name!r} is already a {known.kind}"
                + (f" in {known.unit}" if known.unit else "")
                + f", so it cannot also be a {metric.kind}"
                + (f" in {metric.unit}" if metric.unit else "")
            )

    def full(self) -> bool:
        return len(self.http) + len(self.sinks) >= MOST_SERIES

    def sink(self, metric: Metric, tags: Tags) -> Sink | None:
        """The sink of one series; None when it would be a new one and there are too many already."""
        sink = self.sinks.get((metric.name, tags))
        return self._new_sink(metric, tags) if sink is None and not self.full() else sink

    def sink_anyway(self, metric: Metric, tags: Tags) -> Sink:
        """The sink of a series that must exist although there are too many: the "(other)" of its kind."""
        self.overflowed = True
        return self.sinks.get((metric.name, tags)) or self._new_sink(metric, tags)

    def _new_sink(self, metric: Metric, tags: Tags) -> Sink:
        self.declare(metric)
        sink = self.sinks[(metric.name, tags)] = new_sink(metric.kind, metric.unit)
        return sink

    def fold(self) -> Second:
        """Move waiting samples into their histograms; answers what arrived since the last fold."""
        requests = failed = received = 0
        durations = []
        for series in self.http.values():
            received += series.bytes_received
            folded = series.fold()
            if folded.requests:
                requests += folded.requests
                failed += folded.requests if series.failed else 0
                durations.append(folded.durations_ms)
        for sink in self.sinks.values():
            if isinstance(sink, TrendSink):
                sink.fold()
        together = np.concatenate(durations) if durations else np.zeros(0)
        p50, p95 = np.percentile(together, (50, 95)).tolist() if len(together) else (None, None)
        return Second(requests=requests, failed=failed, bytes_received=received, p50_ms=p50, p95_ms=p95)

    def snapshot(self) -> Snapshot:
        """Everything measured so far. The sinks are shared with the registry, not copied."""
        self.fold()
        snapshot = Snapshot(dict(self.metrics), errors=self.errors, overflowed=self.overflowed)
        snapshot.marked_failed = dict(self.marked_failed)
        for series in self.http.values():
            for name, sink in series.sinks.items():
                snapshot.series.setdefault(name, {})[series.tags] = sink
            if series.failed:
                snapshot.request_errors.add(*_request_error(series))
        for (name, tags), sink in self.sinks.items():
            snapshot.series.setdefault(name, {})[tags] = sink
        return snapshot


def _request_error(series: HttpSeries) -> tuple[str, str, str, int]:
    tags = dict(series.tags)
    reqs = series.sinks["http_reqs"]
    message = series.error or f"HTTP {tags['status']}"
    return f"{tags['method']} {tags.get('name', '')}", message, "", int(getattr(reqs, "total", 0))


class Scope:
    """Where samples are taken: a scenario and a group path. Finds the series for them quickly.

    Shared by every virtual user of the scenario; holds caches and no state of any of them.
    """

    __slots__ = ("_children", "checks", "custom", "group", "http", "registry", "scenario")

    def __init__(self, registry: Registry, scenario: str = "", group: str = "") -> None:
        self.registry = registry
        self.scenario = scenario
        self.group = group
        self.http: dict[HttpKey, HttpSeries] = {}
        self.checks: dict[str, RateSink] = {}
        self.custom: dict[str, Sink] = {}
        self._children: dict[str, Scope] = {}

    def within(self, group: str) -> Scope:
        """The scope of a group inside this one."""
        child = self._children.get(group)
        if child is None:
            if self.registry.scopes >= MOST_SERIES:
                self.registry.overflowed = True
                child = self._children.get(OTHER) or self._children.setdefault(OTHER, self._child(OTHER))
            else:
                child = self._children[group] = self._child(group)
        return child

    def _child(self, group: str) -> Scope:
        self.registry.scopes += 1
        return Scope(self.registry, self.scenario, f"{self.group}::{group}")

    def tags(self, extra: Mapping[str, str] | Tags = ()) -> Tags:
        """The tags of a sample taken here: scenario, group, and `extra`, which wins."""
        tags = {"scenario": self.scenario, "group": self.group} | dict(extra)
        return tuple(sorted((key, value) for key, value in tags.items() if value))

    def http_series(self, key: HttpKey, error_code: int) -> HttpSeries:
        """Find or make the series for (name, method, status, error, tags); `self.http` caches the answer."""
        name, method, status, error, extra = key
        failed = not 200 <= status < 400  # k6's default of expected statuses
        registry = self.registry
        facts = {
            "name": name,
            "method": method,
            "status": str(status),
            "expected_response": "false" if failed else "true",
            "error": error,
            "error_code": str(int(error_code)) if error_code else "",
        }
        tags = self.tags(dict(extra) | facts)
        series = registry.http.get(tags)
        if series is None and registry.full():
            registry.overflowed = True
            tags = self.tags(facts | {"name": OTHER} | ({"error": OTHER} if error else {}))
            series = registry.http.get(tags)
            if series is None:
                series = registry.http[tags] = HttpSeries(tags, failed, error)
            return series
        if series is None:
            series = registry.http[tags] = HttpSeries(tags, failed, error)
        if len(self.http) >= MOST_SERIES:  # several keys may mean one series, so the cache has a bound of its own
            self.http.clear()
        self.http[key] = series
        return series

    def check_sink(self, name: str) -> RateSink:
        """Find or make the pass/fail counts of a check; `self.checks` caches the answer."""
        metric = BUILTIN["checks"]
        sink = self.registry.sink(metric, self.tags({"check": name}))
        if sink is None:
            sink = self.registry.sink_anyway(metric, self.tags({"check": OTHER}))
        else:
            self.checks[name] = cast(RateSink, sink)
        return cast(RateSink, sink)

    def sink(self, metric: Metric, tags: Mapping[str, str] | Tags = ()) -> Sink:
        """The sink of any other metric here; extra tags are dropped when there are too many combinations."""
        sink = self.registry.sink(metric, self.tags(tags))
        return self.registry.sink_anyway(metric, self.tags()) if sink is None else sink
