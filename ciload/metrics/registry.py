"""All series of one process, and the scopes (scenario, group) that samples are taken in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ciload.metrics.errors_tally import OTHER, ErrorTally
from ciload.metrics.metric import BUILTIN, Metric
from ciload.metrics.series import HttpSeries, Tags
from ciload.metrics.sinks import RateSink, Sink, new_sink
from ciload.metrics.snapshot import Snapshot
from ciload.text import request_label

MOST_SERIES = 1_000

HttpKey = tuple[str, str, int, str, Tags]


class MetricConflictError(ValueError):
    """Two metrics of one name that differ in kind or unit."""


class Registry:
    """Everything measured in this process since it started, in bounded memory."""

    def __init__(self, metrics: Mapping[str, Metric] = BUILTIN) -> None:
        self.metrics: dict[str, Metric] = dict(metrics)
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

    def take(self) -> Snapshot:
        """Everything measured since it was last taken; the registry starts again from nothing."""
        errors, self.errors = self.errors, ErrorTally()
        marked_failed, self.marked_failed = self.marked_failed, {}
        snapshot = Snapshot(dict(self.metrics), errors=errors, marked_failed=marked_failed, overflowed=self.overflowed)
        for series in self.http.values():
            series.fold()
            if not series.sinks:
                continue
            for name, sink in series.sinks.items():
                snapshot.series.setdefault(name, {})[series.tags] = sink
            if series.failed:
                snapshot.request_errors.add(*_request_error(series))
            series.sinks = {}
        for (name, tags), sink in self.sinks.items():
            taken = sink.take()
            if not taken.empty:
                snapshot.series.setdefault(name, {})[tags] = taken
        return snapshot


def _request_error(series: HttpSeries) -> tuple[str, str, str, int]:
    tags = dict(series.tags)
    reqs = series.sinks["http_reqs"]
    message = series.error or f"HTTP {tags['status']}"
    return request_label(tags["method"], tags.get("name", "")), message, "", int(getattr(reqs, "total", 0))


class Scope:
    """Where samples are taken: a scenario, a group path, tags. Finds the series for them quickly.

    Shared by the virtual users that take samples there; holds caches and no state of any of them.
    """

    __slots__ = ("_base", "_children", "_own", "_tagged", "checks", "custom", "fixed", "group", "http", "registry")

    def __init__(self, registry: Registry, scenario: str = "", group: str = "", tags: Tags = ()) -> None:
        self.registry = registry
        self.fixed: Tags = (*tags, ("scenario", scenario)) if scenario else tags
        self.group = group
        self.http: dict[HttpKey, HttpSeries] = {}
        self.checks: dict[str, RateSink] = {}
        self.custom: dict[str, Sink] = {}
        self._children: dict[str, Scope] = {}
        self._tagged: dict[Tags, Scope] = {}
        self._base = self  # the same place without a virtual user's tags
        self._own: Tags = ()  # these tags

    def within(self, group: str) -> Scope:
        """The scope of a group inside this one."""
        child = self._children.get(group)
        if child is None:
            if self._base is not self:
                child = self._base.within(group).tagged(self._own)
            elif self.registry.scopes >= MOST_SERIES:
                self.registry.overflowed = True
                return self._children.get(OTHER) or self._children.setdefault(OTHER, self._child(OTHER))
            else:
                child = self._child(group)
            self._children[group] = child
        return child

    def _child(self, group: str) -> Scope:
        self.registry.scopes += 1
        return Scope(self.registry, group=f"{self.group}::{group}", tags=self.fixed)

    def tagged(self, tags: Tags) -> Scope:
        """The scope of a virtual user with tags of its own, in the same place."""
        base = self._base
        if not tags:
            return base
        scope = base._tagged.get(tags)
        if scope is None:
            if self.registry.scopes >= MOST_SERIES:
                self.registry.overflowed = True
                return base
            self.registry.scopes += 1
            scope = base._tagged[tags] = Scope(self.registry, group=self.group, tags=base.fixed + tags)
            scope._base, scope._own = base, tags
        return scope

    def tags(self, extra: Mapping[str, str] | Tags = ()) -> Tags:
        """The tags of a sample taken here: of run, scenario, virtual user and group, and `extra`, which wins."""
        tags = dict(self.fixed) | {"group": self.group} | dict(extra)
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

    def check_sink(self, name: str, tags: Mapping[str, str] | None = None) -> RateSink:
        """Find or make the pass/fail counts of a check; `self.checks` caches the answer where there are no tags."""
        metric = BUILTIN["checks"]
        more = {str(key): str(value) for key, value in (tags or {}).items()}
        sink = self.registry.sink(metric, self.tags(more | {"check": name}))
        if sink is None:
            sink = self.registry.sink_anyway(metric, self.tags({"check": OTHER}))
        elif not tags:
            self.checks[name] = cast(RateSink, sink)
        return cast(RateSink, sink)

    def sink(self, metric: Metric, tags: Mapping[str, str] | Tags = ()) -> Sink:
        """The sink of any other metric here; extra tags are dropped when there are too many combinations."""
        sink = self.registry.sink(metric, self.tags(tags))
        return self.registry.sink_anyway(metric, self.tags()) if sink is None else sink
