"""All series of one process, and the scopes (scenario, group) that samples are taken in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import time
from typing import Any, TypeVar, cast

from ciload.metrics.errors_tally import MOST_KINDS, AnswerSample, ErrorTally
from ciload.metrics.expected import EXPECTED_UNLESS_SET, Statuses
from ciload.metrics.folding import Folded, Folding
from ciload.metrics.metric import BUILTIN, Metric
from ciload.metrics.operations import COUNT, OperationSeries
from ciload.metrics.recording import (
    RecordedHttpSeries,
    RecordedOperationSeries,
    Samples,
    epoch_of_clock,
    recorded_sink,
    samples_of,
)
from ciload.metrics.series import HttpSeries, Tags
from ciload.metrics.sinks import RateSink, Sink, new_sink
from ciload.metrics.slowest import Slowest
from ciload.metrics.snapshot import Snapshot
from ciload.text import request_label

MOST_METRICS = 1_000
MOST_SCOPES = 1_000
MOST_CACHED = 50_000  # answers in the caches of all scopes: several keys may mean one series, and scopes are many

K = TypeVar("K")
V = TypeVar("V")
# A request's own tags, and what it expects of its answer, where that is not what the run does.
Labels = tuple[tuple[str, str] | Statuses, ...]
HttpKey = tuple[str, str, int, str, Labels]
OperationKey = tuple[str, str, str, Tags]


class MetricConflictError(ValueError):
    """Two metrics of one name that differ in kind or unit."""


class MetricLimitError(ValueError):
    """A script makes up more metrics than can be kept: their names cannot be folded, as they mean different things."""


class Registry:
    """Everything measured in this process since it started, in bounded memory.

    Args:
        metrics: those that are known.
        folding: what to do with new series when there are too many.
        expected: which statuses are no failure, unless a request says otherwise.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric] = BUILTIN,
        folding: Folding | None = None,
        expected: Statuses = EXPECTED_UNLESS_SET,
    ) -> None:
        self.metrics: dict[str, Metric] = dict(metrics)
        self.folding = Folding() if folding is None else folding
        self.expected = expected
        self.folded = Folded()
        self.http: dict[Tags, HttpSeries] = {}
        self.operations: dict[Tags, OperationSeries] = {}
        self.sinks: dict[tuple[str, Tags], Sink] = {}
        self.scopes = 0  # that are kept to be found again
        self.errors = ErrorTally()
        self.marked_failed: dict[str, None] = {}  # reasons given to fail_test(), each once
        self.slowest = Slowest()
        self._samples = 0  # that were kept of failed requests
        self._failed_checks: dict[tuple[str, str], AnswerSample | None] = {}  # None: it was taken
        self._record = False  # every sample is kept for whoever takes it
        self._recorded: list[Samples] = []
        self._caches: list[dict[Any, Any]] = []  # of the scopes
        self._cached = 0  # entries in them

    def declare(self, metric: Metric) -> None:
        """Make a metric known, so that thresholds can be checked against it before the run.

        Raises:
            MetricConflictError: the name is taken by a metric of another kind or unit.
            MetricLimitError: there are too many.
        """
        if metric.name not in self.metrics and len(self.metrics) >= MOST_METRICS:
            raise MetricLimitError(
                f"metric {metric.name!r}: more than {MOST_METRICS:,} metrics; use tags to tell apart"
            )
        known = self.metrics.setdefault(metric.name, metric)
        if known.better is None and metric.better is not None:
            self.metrics[metric.name] = metric
        if (known.kind, known.unit) != (metric.kind, metric.unit):
            raise MetricConflictError(
                f"metric {metric.name!r} is already a {known.kind}"
                + (f" in {known.unit}" if known.unit else "")
                + f", so it cannot also be a {metric.kind}"
                + (f" in {metric.unit}" if metric.unit else "")
            )

    def gate(self, metric: Metric) -> None:
        """Let the regression gate judge a metric that is known."""
        self.metrics[metric.name] = metric

    def record(self) -> None:
        """Keep every sample from now on, until `take_samples` is asked for them."""
        self._record = True

    def take_samples(self) -> list[Samples]:
        """The samples of what was taken last."""
        taken, self._recorded = self._recorded, []
        return taken

    def _collect_samples(self) -> None:
        epoch, now = epoch_of_clock(), time()
        for series in (*self.http.values(), *self.operations.values()):
            if isinstance(series, RecordedHttpSeries | RecordedOperationSeries):
                self._recorded += series.samples(now, epoch)
        for (name, tags), sink in self.sinks.items():
            self._recorded += samples_of(sink, name, tags, epoch)

    def http_series(self, tags: Tags, failed: bool) -> HttpSeries:
        """The series that requests with these tags belong to, which may have others if there are too many."""
        series = self.http.get(tags)
        if series is None:
            tags = self.folding.place(tags, "http_reqs", self.http.__contains__, len(self.http), self.folded)
            series = self.http.get(tags)
        if series is None:
            made = RecordedHttpSeries if self._record else HttpSeries
            series = self.http[tags] = made(tags, failed, dict(tags).get("error", ""))
        return series

    def operation_series(self, tags: Tags) -> OperationSeries:
        """The series that operations with these tags belong to, likewise."""
        series = self.operations.get(tags)
        if series is None:
            known = self.operations.__contains__
            tags = self.folding.place(tags, COUNT, known, len(self.operations), self.folded)
            series = self.operations.get(tags)
        if series is None:
            made = RecordedOperationSeries if self._record else OperationSeries
            series = self.operations[tags] = made(tags, dict(tags).get("error", ""))
        return series

    def sink(self, metric: Metric, tags: Tags) -> Sink:
        """The sink that samples of any other metric belong to, likewise."""
        sink = self.sinks.get((metric.name, tags))
        if sink is None:
            self.declare(metric)
            known = partial(self._has_sink, metric.name)
            tags = self.folding.place(tags, metric.name, known, len(self.sinks), self.folded)
            sink = self.sinks.get((metric.name, tags))
        if sink is None:
            make = recorded_sink if self._record else new_sink
            sink = self.sinks[(metric.name, tags)] = make(metric)
        return sink

    def _has_sink(self, name: str, tags: Tags) -> bool:
        return (name, tags) in self.sinks

    def remember(self, cache: dict[K, V], key: K, value: V) -> V:
        """Put the answer into a scope's cache. All of them share a bound, and are emptied when it is reached."""
        if self._cached >= MOST_CACHED:
            for each in self._caches:
                each.clear()
            self._caches, self._cached = [], 0
        if not cache:
            self._caches.append(cache)
        cache[key] = value
        self._cached += 1
        return value

    def wants_sample_of(self, kind: HttpSeries | tuple[str, str]) -> bool:
        """Whether nothing was kept of a kind of failure yet: of requests, or of a check by its name and group."""
        if isinstance(kind, HttpSeries):
            return kind.failed and not kind.sampled and self._samples < MOST_KINDS
        return kind not in self._failed_checks and len(self._failed_checks) < MOST_KINDS

    def keep_sample(self, kind: HttpSeries | tuple[str, str], sample: AnswerSample) -> None:
        if isinstance(kind, HttpSeries):
            kind.sample, kind.sampled = sample, True
            self._samples += 1
        else:
            self._failed_checks[kind] = sample

    def take(self, at_s: float = 0.0) -> Snapshot:
        """Everything measured since it was last taken; the registry starts again from nothing.

        `at_s` is how far the load is by now.
        """
        if self._record:
            self._collect_samples()
        errors, self.errors = self.errors, ErrorTally()
        marked_failed, self.marked_failed = self.marked_failed, {}
        folded, self.folded = self.folded, Folded()
        snapshot = Snapshot(dict(self.metrics), errors=errors, marked_failed=marked_failed, folded=folded)
        self.slowest.at_s = at_s
        for series in self.http.values():
            series.fold(self.slowest)
            if _take(series, snapshot) and series.failed:
                snapshot.request_errors.add(*_request_error(series), sample=series.sample)
                series.sample = None
            series.sinks = {}
        for operations in self.operations.values():
            operations.fold()
            if _take(operations, snapshot) and operations.error:
                count = int(getattr(operations.sinks[COUNT], "total", 0))
                snapshot.request_errors.add(dict(operations.tags)["name"], operations.error, "", count)
            operations.sinks = {}
        for (name, tags), sink in self.sinks.items():
            taken = sink.take()
            if not taken.empty:
                snapshot.series.setdefault(name, {})[tags] = taken
        snapshot.slowest = self.slowest.take()
        snapshot.failed_checks = {check: sample for check, sample in self._failed_checks.items() if sample is not None}
        self._failed_checks = dict.fromkeys(self._failed_checks)
        return snapshot


def _take(series: HttpSeries | OperationSeries, snapshot: Snapshot) -> bool:
    """Put what a series has folded into the snapshot; false if that is nothing."""
    for name, sink in series.sinks.items():
        snapshot.series.setdefault(name, {})[series.tags] = sink
    return bool(series.sinks)


def _request_error(series: HttpSeries) -> tuple[str, str, str, int]:
    tags = dict(series.tags)
    reqs = series.sinks["http_reqs"]
    message = series.error or f"HTTP {tags['status']}"
    return request_label(tags["method"], tags.get("name", "")), message, "", int(getattr(reqs, "total", 0))


class Scope:
    """Where samples are taken: a scenario, a group path, tags. Finds the series for them quickly.

    Shared by the virtual users that take samples there; holds caches and no state of any of them.
    """

    __slots__ = (
        "_base", "_children", "_own", "_tagged", "checks", "custom", "fixed", "group", "http", "operations", "registry",
    )  # fmt: skip

    def __init__(self, registry: Registry, scenario: str = "", group: str = "", tags: Tags = ()) -> None:
        self.registry = registry
        self.fixed: Tags = (*tags, ("scenario", scenario)) if scenario else tags
        self.group = group
        self.http: dict[HttpKey, HttpSeries] = {}
        self.operations: dict[OperationKey, OperationSeries] = {}
        self.checks: dict[str, RateSink] = {}
        self.custom: dict[str, Sink] = {}
        self._children: dict[str, Scope] = {}
        self._tagged: dict[Tags, Scope] = {}
        self._base: Scope | None = None  # the same place without a virtual user's tags, if there are any
        self._own: Tags = ()  # these tags

    def within(self, group: str) -> Scope:
        """The scope of a group inside this one."""
        child = self._children.get(group)
        if child is None:
            if self._base is not None:
                child = self._base.within(group).tagged(self._own)
            else:
                child = Scope(self.registry, group=f"{self.group}::{group}", tags=self.fixed)
            self._keep(self._children, group, child)
        return child

    def tagged(self, tags: Tags) -> Scope:
        """The scope of a virtual user with tags of its own, in the same place."""
        base = self._base or self
        if not tags:
            return base
        scope = base._tagged.get(tags)
        if scope is None:
            scope = Scope(self.registry, group=self.group, tags=base.fixed + tags)
            scope._base, scope._own = base, tags
            self._keep(base._tagged, tags, scope)
        return scope

    def _keep(self, scopes: dict[K, Scope], key: K, scope: Scope) -> None:
        """Let it be found again. Beyond a bound, scopes last as long as somebody is there: groups made of data end."""
        if self.registry.scopes < MOST_SCOPES:
            self.registry.scopes += 1
            scopes[key] = scope

    def tags(self, extra: Mapping[str, str] | Tags = ()) -> Tags:
        """The tags of a sample taken here: of run, scenario, virtual user and group, and `extra`, which wins."""
        tags = dict(self.fixed) | {"group": self.group} | dict(extra)
        return tuple(sorted((key, value) for key, value in tags.items() if value))

    def http_series(self, key: HttpKey, error_code: int) -> HttpSeries:
        """Find or make the series for (name, method, status, error, tags); `self.http` caches the answer."""
        name, method, status, error, labels = key
        failed = bool(error) or status not in self.expected(labels)
        extra = dict(each for each in labels if not isinstance(each, Statuses))
        facts = {
            "name": name,
            "method": method,
            "status": str(status),
            "expected_response": "false" if failed else "true",
            "error": error,
            "error_code": str(int(error_code)) if error_code else "",
        }
        series = self.registry.http_series(self.tags(extra | facts), failed)
        return self.registry.remember(self.http, key, series)

    def expected(self, labels: Labels) -> Statuses:
        """Which statuses are no failure of a request with these labels."""
        return next((each for each in labels if isinstance(each, Statuses)), self.registry.expected)

    def operation_series(self, key: OperationKey) -> OperationSeries:
        """Find or make the series for (name, protocol, error, tags); `self.operations` caches the answer."""
        name, protocol, error, extra = key
        metric = self.registry.metrics.get(name)
        if metric is not None and metric.better is not None:
            raise MetricConflictError(
                f"operation {name!r}: a metric of that name is judged already; call one of them otherwise"
            )
        tags = self.tags(dict(extra) | {"name": name, "protocol": protocol, "error": error})
        return self.registry.remember(self.operations, key, self.registry.operation_series(tags))

    def check_sink(self, name: str, tags: Mapping[str, str] | None = None) -> RateSink:
        """Find or make the pass/fail counts of a check; `self.checks` caches the answer where there are no tags."""
        more = {str(key): str(value) for key, value in (tags or {}).items()}
        sink = cast(RateSink, self.sink(BUILTIN["checks"], more | {"check": name}))
        return sink if tags else self.registry.remember(self.checks, name, sink)

    def custom_sink(self, metric: Metric) -> Sink:
        """The sink of a script's own metric, without tags of its own; `self.custom` caches the answer."""
        return self.registry.remember(self.custom, metric.name, self.sink(metric))

    def sink(self, metric: Metric, tags: Mapping[str, str] | Tags = ()) -> Sink:
        """The sink of any metric but those of HTTP."""
        return self.registry.sink(metric, self.tags(tags))
