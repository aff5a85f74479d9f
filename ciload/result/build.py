"""Puts the RunResult together from a snapshot and the facts around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ciload.metrics.metric import BUILTIN
from ciload.metrics.sinks import CounterSink, GaugeSink, RateSink, Sink, TrendSink
from ciload.metrics.snapshot import Snapshot
from ciload.result.document import (
    CI,
    Check,
    Distribution,
    Endpoint,
    Environment,
    ErrorRow,
    Failure,
    Generator,
    Git,
    Load,
    MetricResult,
    Outcome,
    RunResult,
    ScenarioResult,
    ThresholdResult,
    TimelineRow,
)
from ciload.result.judgement import judge
from ciload.result.thresholds import Threshold, measure

MOST_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Facts:
    """What a result needs besides measurements."""

    run_id: str
    name: str
    script_sha256: str
    options: dict[str, Any]
    allow_script_errors: bool
    scenarios: Sequence[ScenarioResult]
    thresholds: Sequence[Threshold]
    git: Git
    ci: CI
    environment: Environment
    stops: Sequence[Failure]
    load: Load
    timeline: Sequence[TimelineRow]
    generator: Generator
    windows: Mapping[Threshold, float | None] = field(default_factory=dict)  # values of thresholds that have a window
    warnings: Sequence[str] = ()  # from before the load


def build_result(snapshot: Snapshot, facts: Facts) -> RunResult:
    """The document of a finished run, verdict included."""
    load_s, iterations = facts.load.load_s, facts.load.iterations
    thresholds = [_threshold(each, snapshot, facts) for each in facts.thresholds]
    endpoints = sorted(_endpoints(snapshot, load_s), key=lambda each: (-each.requests, each.name, each.method))
    requests = sum(each.requests for each in endpoints)
    script_errors = snapshot.select("script_errors")
    verdict = judge(
        stops=facts.stops,
        script_errors=int(script_errors.total) if isinstance(script_errors, CounterSink) else 0,
        allow_script_errors=facts.allow_script_errors,
        marked_failed=list(snapshot.marked_failed),
        thresholds=thresholds,
        iterations=iterations,
        requests=requests,
        answered=requests - sum(each.statuses.get("0", 0) for each in endpoints),
        warnings=_warnings(snapshot, facts, thresholds),
    )
    expected = snapshot.select("http_req_duration", {"expected_response": "true"})
    return RunResult(
        run_id=facts.run_id,
        name=facts.name,
        script_sha256=facts.script_sha256,
        options=facts.options,
        scenarios=list(facts.scenarios),
        git=facts.git,
        ci=facts.ci,
        environment=facts.environment,
        load=facts.load,
        metrics=dict(_metrics(snapshot, load_s)),
        expected_duration=distribution(expected, encode=False) if isinstance(expected, TrendSink) else None,
        endpoints=endpoints,
        checks=sorted(_checks(snapshot), key=lambda each: (each.group, each.name)),
        thresholds=thresholds,
        errors=_errors(snapshot),
        timeline=list(facts.timeline),
        generator=facts.generator,
        verdict=verdict,
    )


def distribution(sink: TrendSink, *, encode: bool = True) -> Distribution | None:
    """The trend as numbers; None without samples."""
    if sink.empty:
        return None
    med, p90, p95, p99 = sink.percentiles([50, 90, 95, 99])
    return Distribution(
        count=sink.count, avg=sink.mean, min=sink.smallest, med=med, max=sink.largest, p90=p90, p95=p95, p99=p99,
        clamped=sink.clamped, histogram=sink.histogram.encode() if encode else None,
    )  # fmt: skip


def _metrics(snapshot: Snapshot, load_s: float) -> Iterable[tuple[str, MetricResult]]:
    for name in sorted(snapshot.series):
        sink, metric = snapshot.select(name), snapshot.metrics[name]
        if sink is not None and not (sink.empty and not isinstance(sink, CounterSink)):
            yield name, MetricResult(kind=metric.kind, unit=metric.unit, **_values(sink, load_s))


def _values(sink: Sink, load_s: float) -> dict[str, Any]:
    if isinstance(sink, CounterSink):
        return {"count": sink.total, "rate": sink.total / load_s if load_s else None}
    if isinstance(sink, GaugeSink):
        return {"value": sink.last, "min": sink.smallest, "max": sink.largest}
    if isinstance(sink, RateSink):
        return {"rate": sink.rate, "passes": sink.passes, "fails": sink.total - sink.passes}
    return {"trend": distribution(sink)}


def _endpoints(snapshot: Snapshot, load_s: float) -> Iterable[Endpoint]:
    statuses: dict[tuple[str, str], dict[str, int]] = {}
    for (name, method, status), sink in snapshot.grouped("http_reqs", "name", "method", "status"):
        assert isinstance(sink, CounterSink)
        statuses.setdefault((name, method), {})[status] = int(sink.total)
    failed = dict(snapshot.grouped("http_req_failed", "name", "method"))
    received = dict(snapshot.grouped("data_received", "name", "method"))
    waiting = dict(snapshot.grouped("http_req_waiting", "name", "method"))
    durations = dict(snapshot.grouped("http_req_duration", "name", "method"))
    for key, counts in statuses.items():
        requests = sum(counts.values())
        duration, wait = durations.get(key), waiting.get(key)
        yield Endpoint(
            name=key[0],
            method=key[1],
            requests=requests,
            rate=requests / load_s if load_s else 0.0,
            failed=getattr(failed[key], "passes", 0),
            statuses=dict(sorted(counts.items())),
            duration=distribution(duration) if isinstance(duration, TrendSink) else None,
            waiting_avg=wait.mean if isinstance(wait, TrendSink) and not wait.empty else None,
            bytes_received=int(getattr(received[key], "total", 0)),
        )


def _checks(snapshot: Snapshot) -> Iterable[Check]:
    for (name, group), sink in snapshot.grouped("checks", "check", "group"):
        assert isinstance(sink, RateSink)
        yield Check(name=name, group=group, passes=sink.passes, fails=sink.total - sink.passes)


def _errors(snapshot: Snapshot) -> list[ErrorRow]:
    rows = [
        ErrorRow(source=source, message=message, count=entry.count, detail=entry.detail)
        for tally in (snapshot.errors, snapshot.request_errors)
        for (source, message), entry in tally.entries.items()
    ]
    return sorted(rows, key=lambda row: -row.count)[:MOST_ERRORS]


def _threshold(threshold: Threshold, snapshot: Snapshot, facts: Facts) -> ThresholdResult:
    if threshold.window_s is None:
        value = measure(threshold, snapshot, facts.load.load_s, facts.load.iterations)
    else:
        value = facts.windows.get(threshold)
    outcome = Outcome.NO_DATA if value is None else Outcome.PASS if threshold.holds(value) else Outcome.FAIL
    metric = snapshot.metrics[threshold.metric]
    unit = metric.unit if threshold.aggregation not in ("count", "rate") else ""
    return ThresholdResult(
        metric=threshold.key,
        expression=threshold.expression,
        aggregation=threshold.aggregation,
        operator=threshold.operator,
        limit=threshold.limit,
        unit=unit,
        value=value,
        outcome=outcome,
        where=threshold.where,
        severity=threshold.severity,
        abort_on_fail=threshold.abort_on_fail,
        window_s=threshold.window_s,
        hint=threshold.selector.why_nothing(snapshot.series.get(threshold.metric, ())) if value is None else "",
    )


def _warnings(snapshot: Snapshot, facts: Facts, thresholds: Sequence[ThresholdResult]) -> list[str]:
    found = [*facts.warnings, *facts.generator.warnings]
    custom = [name for name in snapshot.series if name not in BUILTIN]
    if facts.load.iterations and not custom and "http_reqs" not in snapshot.series:
        found.append("no request was made and no metric of the script's own was fed: this run measured nothing")
    if not thresholds:
        found.append("no thresholds: nothing was judged but that the script ran; add `thresholds` to make this a gate")
    for scenario in facts.scenarios:
        found += _about_starts(scenario)
    if facts.load.warmup_script_errors:
        found.append(f"the script raised {facts.load.warmup_script_errors} times in the warm-up, which was not judged")
    if snapshot.overflowed:
        found.append(
            "more than 1,000 different series: further names and tags were folded into (other); "
            "give requests with changing URLs a `name=`"
        )
    sinks = [sink for by_tags in snapshot.series.values() for sink in by_tags.values()]
    clamped = sum(sink.clamped for sink in sinks if isinstance(sink, TrendSink))
    if clamped:
        found.append(f"{clamped} samples were outside a histogram's range and counted at its edge")
    return found


def _about_starts(scenario: ScenarioResult) -> Iterable[str]:
    """Starts that the schedule planned and that did not take place, or not in time: load that the target never saw."""
    name = "" if scenario.name == "default" else f" of {scenario.name}"
    if scenario.dropped and scenario.planned is not None:
        yield (
            f"{scenario.dropped} of {scenario.planned} starts{name} were dropped, because no virtual user was free "
            f"(max_vus is {scenario.vus}): the target saw less load than planned, and latencies look better than they "
            "are; raise max_vus, or lower the rate"
        )
    elif scenario.dropped:
        yield f"{scenario.dropped} iterations{name} were not started in the time there was"
    if scenario.late:
        yield (
            f"{scenario.late} of {scenario.planned} starts{name} were more than 50 ms late: the generator was held up; "
            "see iteration_start_delay"
        )
