"""Puts the RunResult together from a snapshot and the facts around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

from pydantic_core import PydanticSerializationError

from ciload.metrics import errors_tally
from ciload.metrics.blocks import Arm, BlockSeries, Cell
from ciload.metrics.cpu_series import CpuSeries, MeasuredCpu
from ciload.metrics.errors_tally import OTHER
from ciload.metrics.folding import MOST_SERIES, SHOWN, Folded
from ciload.metrics.metric import BUILTIN, Better
from ciload.metrics.operations import COUNT, DURATION, FAILED
from ciload.metrics.sinks import CounterSink, Encoded, GaugeSink, RateSink, Sink, TrendSink, new_sink
from ciload.metrics.snapshot import Snapshot
from ciload.result.document import (
    CI,
    AnswerSample,
    BlockRow,
    Blocks,
    Check,
    Distribution,
    Endpoint,
    Environment,
    ErrorRow,
    Failure,
    Fingerprint,
    GatedKind,
    Generator,
    Git,
    Load,
    MetricResult,
    OldArm,
    Phases,
    RunResult,
    ScenarioResult,
    SlowRequest,
    TargetCpu,
    ThresholdOutcome,
    ThresholdResult,
    TimelineRow,
    escape_surrogates,
)
from ciload.result.judgement import Evidence, judge
from ciload.result.thresholds import Threshold, measure, not_kept_apart

PHASES = ("blocked", "sending", "waiting", "receiving")
MOST_ERRORS = 50
LONGEST_EXAMPLE = 80
OF_TAGS = {  # how people call the values of these tags
    "name": "names of requests", "method": "methods", "error": "errors of requests", "group": "groups",
    "check": "checks", "scenario": "scenarios", OTHER: "values of further tags",
}  # fmt: skip
ARMS: tuple[Arm, Arm] = ("new", "old")
NOT_READ = "it could not be read over the whole load"
QUARTILES_APART = 1.349  # standard deviations, where values are normal
MOST_BLOCK_ROWS = 20  # endpoints whose blocks are kept, of each arm


@dataclass(frozen=True, slots=True)
class Facts:
    """What a result needs besides measurements."""

    run_id: str
    name: str
    script_sha256: str
    folder: str | None
    options: dict[str, Any]
    scenarios: Sequence[ScenarioResult]
    thresholds: Sequence[Threshold]
    git: Git
    ci: CI
    environment: Environment
    fingerprint: Fingerprint
    stops: Sequence[Failure]
    load: Load
    timeline: Sequence[TimelineRow]
    generator: Generator
    windows: Mapping[Threshold, float | None] = field(default_factory=dict)  # values of thresholds that have a window
    allow_script_errors: bool = False
    allow_empty: bool = False
    ended_early: Sequence[str] = ()  # scenarios that nobody stopped and that were not done
    warnings: Sequence[str] = ()  # from before the load
    blocks: BlockSeries | None = None
    target_cpu: Mapping[Arm, MeasuredCpu] = field(default_factory=dict)  # of targets whose process is known
    old_url: str = ""  # side by side: the old target, and what was measured there
    old: Snapshot | None = None
    same_servers: tuple[Sequence[str], bool] = ((), False)
    limit_s: float | None = None  # of a load that ends when the gate has seen enough, and after how much it has
    clear_after_s: float | None = None


def build_result(snapshot: Snapshot, facts: Facts) -> tuple[RunResult, Evidence]:
    """The document of a finished run, with the verdict as far as it is known, and what that is made from."""
    load_s, iterations = facts.load.load_s, facts.load.iterations
    thresholds = [_threshold(each, snapshot, facts) for each in facts.thresholds]
    endpoints = _all_endpoints(snapshot, load_s)
    requests = sum(each.requests for each in endpoints if each.method)
    operations = sum(each.requests for each in endpoints if not each.method)
    script_errors = snapshot.select("script_errors")
    evidence = Evidence(
        stops=facts.stops,
        script_errors=int(script_errors.total) if isinstance(script_errors, CounterSink) else 0,
        allow_script_errors=facts.allow_script_errors,
        marked_failed=list(snapshot.marked_failed),
        ended_early=facts.ended_early,
        unanswered=facts.load.requests_unanswered,
        longest_unanswered_s=facts.load.longest_unanswered_s,
        thresholds=thresholds,
        iterations=iterations,
        requests=requests,
        answered=requests - sum(each.statuses.get("0", 0) for each in endpoints),
        operations=operations,
        succeeded=operations - sum(each.failed for each in endpoints if not each.method),
        own_metrics=any(name not in BUILTIN for name in snapshot.series),
        allow_empty=facts.allow_empty,
        warnings=_warnings(snapshot, facts, thresholds),
    )
    expected = snapshot.select("http_req_duration", {"expected_response": "true"})
    stats = facts.options.get("summary_trend_stats", ())
    result = writable(
        RunResult(
            run_id=facts.run_id,
            name=facts.name,
            script_sha256=facts.script_sha256,
            folder=facts.folder,
            options=facts.options,
            scenarios=list(facts.scenarios),
            git=facts.git,
            ci=facts.ci,
            environment=facts.environment,
            fingerprint=facts.fingerprint,
            load=facts.load,
            metrics=dict(_metrics(snapshot, load_s, stats)),
            expected_duration=distribution(expected, encode=False, stats=stats)
            if isinstance(expected, TrendSink)
            else None,
            endpoints=endpoints,
            checks=sorted(_checks(snapshot), key=lambda each: (each.group, each.name)),
            thresholds=thresholds,
            errors=_errors(snapshot),
            slowest=list(_slowest(snapshot)),
            timeline=list(facts.timeline),
            generator=facts.generator,
            blocks=_blocks(facts),
            phases=_all_phases(snapshot),
            target_cpu=_target_cpu(facts, "new", requests or operations),
            old_arm=_old_arm(facts.old, facts) if facts.old is not None else None,
            verdict=judge(evidence),
        )
    )
    return result, evidence


def writable(result: RunResult) -> RunResult:
    """The result with text that can be written: names and tags of a script may hold half a character."""
    try:
        result.model_dump_json()
    except PydanticSerializationError:
        return RunResult.model_validate(escape_surrogates(result.model_dump(by_alias=True)))
    return result


def distribution(sink: TrendSink, *, encode: bool = True, stats: Sequence[str] = ()) -> Distribution | None:
    """The trend as numbers; None without samples. `stats` are names, of which those of percentiles are kept."""
    if sink.empty:
        return None
    med, p90, p95, p99 = sink.percentiles([50, 90, 95, 99])
    histogram = sink.encode() if encode else Encoded(None)
    return Distribution(
        count=sink.count, avg=sink.mean, min=sink.smallest, med=med, max=sink.largest, p90=p90, p95=p95, p99=p99,
        clamped=sink.clamped, histogram=histogram.text, histogram_step=histogram.step,
        percentiles={name: sink.percentiles([float(name[2:-1])])[0] for name in stats if name.startswith("p(")},
    )  # fmt: skip


def _metrics(snapshot: Snapshot, load_s: float, stats: Sequence[str]) -> Iterable[tuple[str, MetricResult]]:
    for name in sorted(snapshot.series):
        sink, metric = snapshot.select(name), snapshot.metrics[name]
        if sink is not None and not (sink.empty and not isinstance(sink, CounterSink)):
            yield (
                name,
                MetricResult(kind=metric.kind, unit=metric.unit, better=metric.better, **_values(sink, load_s, stats)),
            )


def _values(sink: Sink, load_s: float, stats: Sequence[str]) -> dict[str, Any]:
    if isinstance(sink, CounterSink):
        return {"count": sink.total, "rate": sink.total / load_s if load_s else None}
    if isinstance(sink, GaugeSink):
        return {"value": sink.last, "min": sink.smallest, "max": sink.largest}
    if isinstance(sink, RateSink):
        return {"rate": sink.rate, "passes": sink.passes, "fails": sink.total - sink.passes}
    return {"trend": distribution(sink, stats=stats)}


def _all_endpoints(snapshot: Snapshot, load_s: float) -> list[Endpoint]:
    """Of requests and of operations, those first that there are the most of."""
    found = (*_endpoints(snapshot, load_s), *_operations(snapshot, load_s))
    return sorted(found, key=lambda each: (-each.requests, each.name, each.method))


def _operations(snapshot: Snapshot, load_s: float) -> Iterable[Endpoint]:
    protocols: dict[str, str] = {}
    for (name, protocol), _ in snapshot.grouped(COUNT, "name", "protocol"):
        protocols[name] = protocols.get(name) or protocol
    failed, received = dict(snapshot.grouped(FAILED, "name")), dict(snapshot.grouped("data_received", "name", "method"))
    for (name,), durations in snapshot.grouped(DURATION, "name"):
        assert isinstance(durations, TrendSink)
        yield Endpoint(
            name=name,
            method="",
            protocol=protocols.get(name, ""),
            requests=durations.count,
            rate=durations.count / load_s if load_s else 0.0,
            failed=getattr(failed.get((name,)), "passes", 0),
            statuses={},
            duration=distribution(durations),
            waiting_avg=None,
            bytes_received=int(getattr(received.get((name, "")), "total", 0)),
        )


def _endpoints(snapshot: Snapshot, load_s: float) -> Iterable[Endpoint]:
    statuses: dict[tuple[str, str], dict[str, int]] = {}
    for (name, method, status), sink in snapshot.grouped("http_reqs", "name", "method", "status"):
        assert isinstance(sink, CounterSink)
        statuses.setdefault((name, method), {})[status] = int(sink.total)
    failed = dict(snapshot.grouped("http_req_failed", "name", "method"))
    received = dict(snapshot.grouped("data_received", "name", "method"))
    phases = {phase: snapshot.sums(f"http_req_{phase}", "name", "method") for phase in PHASES}
    durations = dict(snapshot.grouped("http_req_duration", "name", "method"))
    for key, counts in statuses.items():
        requests = sum(counts.values())
        duration, means = durations.get(key), _phases({phase: by_key.get(key) for phase, by_key in phases.items()})
        yield Endpoint(
            name=key[0],
            method=key[1],
            requests=requests,
            rate=requests / load_s if load_s else 0.0,
            failed=getattr(failed.get(key), "passes", 0),
            statuses=dict(sorted(counts.items())),
            duration=distribution(duration) if isinstance(duration, TrendSink) else None,
            waiting_avg=means.waiting if means is not None else None,
            phases=means,
            bytes_received=int(getattr(received.get(key), "total", 0)),
        )


def _all_phases(snapshot: Snapshot) -> Phases | None:
    return _phases({phase: snapshot.sums(f"http_req_{phase}").get(()) for phase in PHASES})


def _phases(sums: Mapping[str, tuple[float, int] | None]) -> Phases | None:
    """Mean times, from sums and counts; None when nothing was sent."""
    sent = (sums["waiting"] or (0.0, 0))[1]
    if not sent:
        return None
    means = {phase: max(0.0, each[0] if each else 0.0) / sent for phase, each in sums.items()}
    # Waiting for a connection is all that comes before sending: look-up, connecting and TLS are parts of it.
    return Phases(
        connecting=means["blocked"], sending=means["sending"], waiting=means["waiting"], receiving=means["receiving"]
    )


def _blocks(facts: Facts) -> Blocks | None:
    blocks = facts.blocks
    return block_rows(blocks, partial(_block_cpu, blocks, facts)) if blocks is not None and blocks.cells else None


def block_rows(blocks: BlockSeries, cpu_s: Callable[[Arm], list[float]] = lambda _: []) -> Blocks:
    """The blocks as documents have them; `cpu_s` knows the CPU seconds of a target in each, or nothing."""
    ranked = blocks.ranked()
    whole = [key for key in ranked if not (key[1] or key[2])]
    endpoints = ranked[len(whole) :]
    wanted = {key[1:] for key in endpoints[:MOST_BLOCK_ROWS]}
    rows = []
    of_operations = blocks.without_requests and bool(endpoints)
    for key in [*whole, *(key for key in endpoints if key[1:] in wanted)]:
        cells = [each.get(key) or Cell() for each in blocks.cells]
        checks = [cell.checks for cell in cells] if key in whole else []
        if of_operations and key in whole:
            cells = blocks.of_operations(key[0])
        times = [_block_times(cell.durations) for cell in cells]
        paired = any(cell.ratios for cell in cells)
        new_first, old_first = ([_ratio(cell, first) for cell in cells] if paired else [] for first in ARMS)
        rows.append(
            BlockRow(
                arm=key[0],
                name=key[1],
                method=key[2],
                requests=[cell.requests.total for cell in cells],
                failed=[cell.requests.passes for cell in cells],
                avg=[each[0] for each in times],
                p5=[each[1] for each in times],
                p50=[each[2] for each in times],
                p95=[each[3] for each in times],
                p99=[each[4] for each in times],
                cpu_s=cpu_s(key[0]) if key in whole else [],
                checks_passed=[each.passes for each in checks],
                checks_failed=[each.total - each.passes for each in checks],
                pairs_new_first=[each[0] for each in new_first],
                ratio_new_first=[each[1] for each in new_first],
                spread_new_first=[each[2] for each in new_first],
                pairs_old_first=[each[0] for each in old_first],
                ratio_old_first=[each[1] for each in old_first],
                spread_old_first=[each[2] for each in old_first],
            )
        )
    return Blocks(
        span_s=blocks.span_s, count=len(blocks.cells), of="operations" if of_operations else "requests",
        rows=[*rows, *_metric_rows(blocks)],
    )  # fmt: skip


def _metric_rows(blocks: BlockSeries) -> Iterable[BlockRow]:
    """Of metrics that the gate was asked to judge."""
    arms = dict.fromkeys(arm for sinks in blocks.sinks for arm, _ in sinks)
    for arm, (name, metric) in product(arms, sorted(blocks.metrics.items())):
        better: Better = metric.better or "lower"
        sinks = [each.get((arm, name)) or new_sink(metric) for each in blocks.sinks]
        columns = [_metric_block(sink, blocks.span_s, better) for sink in sinks]
        requests, failed, avg, p5, p50, p95, p99 = map(list, zip(*columns, strict=True))
        yield BlockRow(
            arm=arm, name=name, metric=GatedKind(kind=metric.kind, unit=metric.unit, better=better),
            requests=requests, failed=failed, avg=avg, p5=p5, p50=p50, p95=p95, p99=p99,
        )  # fmt: skip


def _metric_block(sink: Sink, span_s: float, better: Better) -> tuple[Any, ...]:
    """Samples, those that went the wrong way, mean or value, p5, p50, p95, p99."""
    if isinstance(sink, TrendSink):
        return sink.count, 0, *_block_times(sink)
    no_times = (None,) * 4
    if isinstance(sink, RateSink):
        return sink.total, sink.passes if better == "lower" else sink.total - sink.passes, None, *no_times
    if isinstance(sink, CounterSink):
        return 1, 0, sink.total / span_s, *no_times
    return (0, 0, None, *no_times) if sink.empty else (1, 0, sink.last, *no_times)


def _block_cpu(blocks: BlockSeries, facts: Facts, arm: Arm) -> list[float]:
    """CPU seconds of each block; the last one ends with the load. None at all when one of them is not known."""
    series, count = facts.target_cpu[arm].series if arm in facts.target_cpu else CpuSeries(), len(blocks.cells)
    edges = [*(float(index * blocks.span_s) for index in range(count)), facts.load.load_s]
    spent = [series.spent(*edges[index : index + 2]) for index in range(count)]
    known = [each for each in spent if each is not None]
    return known if len(known) == count else []


def _target_cpu(facts: Facts, arm: Arm, requests: int) -> TargetCpu | None:
    measured, load_s = facts.target_cpu.get(arm), facts.load.load_s
    if measured is None:
        return None
    cpu_s = measured.series.spent(0.0, load_s) if load_s else None
    if cpu_s is None:
        reason = "its process was gone before the load ended" if measured.lost_at_s is not None else NOT_READ
        return TargetCpu(process=measured.name, reason=reason)
    if not requests:
        return TargetCpu(process=measured.name, cpu_s=cpu_s, cores=cpu_s / load_s, reason="no requests")
    return TargetCpu(process=measured.name, cpu_s=cpu_s, per_request=1e3 * cpu_s / requests, cores=cpu_s / load_s)


def _block_times(durations: TrendSink) -> tuple[float | None, ...]:
    """Mean, p5, p50, p95, p99."""
    if durations.empty:
        return None, None, None, None, None
    return durations.mean, *durations.percentiles([5, 50, 95, 99])


def _ratio(cell: Cell, first: Arm) -> tuple[int, float | None, float | None]:
    """Of the pairs in which this target was asked first: how many there are, the median ratio of new to old, and how
    much its logarithm varies."""
    ratios = cell.ratios.get(first)
    if ratios is None or ratios.empty:
        return 0, None, None
    low, middle, high = ratios.percentiles([25, 50, 75])
    return ratios.count, middle, math.log(high / low) / QUARTILES_APART


def _old_arm(old: Snapshot, facts: Facts) -> OldArm:
    endpoints = _all_endpoints(old, facts.load.load_s)
    requests = [each for each in endpoints if each.method]
    duration = old.trend("http_req_duration")
    return OldArm(
        url=facts.old_url,
        limit_s=facts.limit_s,
        clear_after_s=facts.clear_after_s,
        same_servers=list(facts.same_servers[0]),
        nowhere_else=facts.same_servers[1],
        iterations=int(getattr(old.select("iterations"), "total", 0)),
        script_errors=int(getattr(old.select("script_errors"), "total", 0)),
        requests=sum(each.requests for each in requests),
        failed=sum(each.failed for each in requests),
        duration=distribution(duration, encode=False),
        phases=_all_phases(old),
        endpoints=endpoints,
        target_cpu=_target_cpu(facts, "old", sum(each.requests for each in requests or endpoints)),
    )


def _checks(snapshot: Snapshot) -> Iterable[Check]:
    for (name, group), sink in snapshot.grouped("checks", "check", "group"):
        assert isinstance(sink, RateSink)
        sample = _sample(snapshot.failed_checks.get((name, group)))
        yield Check(name=name, group=group, passes=sink.passes, fails=sink.total - sink.passes, sample=sample)


def _sample(taken: errors_tally.AnswerSample | None) -> AnswerSample | None:
    if taken is None:
        return None
    return AnswerSample(request=taken.request, status=taken.status, body=taken.body, trace=taken.trace)


def _slowest(snapshot: Snapshot) -> Iterable[SlowRequest]:
    for each in snapshot.slowest:
        yield SlowRequest(
            method=each.method, name=each.name, status=each.status, error=each.error, duration=each.ms,
            at_s=each.at_s, trace=each.trace,
        )  # fmt: skip


def _errors(snapshot: Snapshot) -> list[ErrorRow]:
    rows = [
        ErrorRow(source=source, message=message, count=entry.count, detail=entry.detail, sample=_sample(entry.sample))
        for tally in (snapshot.errors, snapshot.request_errors)
        for (source, message), entry in tally.entries.items()
    ]
    return sorted(rows, key=lambda row: -row.count)[:MOST_ERRORS]


def _threshold(threshold: Threshold, snapshot: Snapshot, facts: Facts) -> ThresholdResult:
    lost = not_kept_apart(threshold, snapshot)
    if lost:
        value = None
    elif threshold.window_s is None:
        value = measure(threshold, snapshot, facts.load.load_s, facts.load.iterations)
    else:
        value = facts.windows.get(threshold)
    if value is None:
        outcome = ThresholdOutcome.NO_DATA
    else:
        outcome = ThresholdOutcome.PASS if threshold.holds(value) else ThresholdOutcome.FAIL
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
        hint="" if outcome is ThresholdOutcome.PASS else _hint(threshold, snapshot, lost),
    )


def _hint(threshold: Threshold, snapshot: Snapshot, lost: Sequence[str]) -> str:
    """Why there may be no data, or nothing to count."""
    if lost:
        tags = " and ".join(repr(tag) for tag in lost)
        return f"too many values of {tags} to keep all that thresholds select: what was kept is only a part"
    return threshold.selector.why_nothing(snapshot.series.get(threshold.metric, ()))


def _warnings(snapshot: Snapshot, facts: Facts, thresholds: Sequence[ThresholdResult]) -> list[str]:
    found = [*facts.warnings, *facts.generator.warnings]
    if not thresholds and facts.scenarios and not facts.options.get("once"):
        found.append("no thresholds: nothing was judged but that the script ran; add `thresholds` to make this a gate")
    for name, metric in snapshot.metrics.items():
        if metric.better is not None and name not in snapshot.series:
            found.append(f"metric {name!r} is to be judged by the gate, and got no sample")
    for scenario in facts.scenarios:
        found += _about_starts(scenario, facts)
    if facts.old is not None:
        found += _about_old(facts.old, facts.old_url)
    load = facts.load
    if load.vus_not_started:
        found.append(f"{load.vus_not_started} virtual users did no work, because their vu_start() raised")
    if load.requests_cut_off:
        found.append(f"{load.requests_cut_off} requests were cut off by the end of the load, and are counted as failed")
    if facts.load.warmup_script_errors:
        found.append(f"the script raised {facts.load.warmup_script_errors} times in the warm-up, which was not judged")
    if snapshot.folded.tags:
        found.append(_about_folding(snapshot.folded, facts.thresholds))
    sinks = [sink for by_tags in snapshot.series.values() for sink in by_tags.values()]
    clamped = sum(sink.clamped for sink in sinks if isinstance(sink, TrendSink))
    if clamped:
        found.append(f"{clamped} samples were outside a histogram's range and counted at its edge")
    return found


def _about_folding(folded: Folded, thresholds: Sequence[Threshold]) -> str:
    """What reports do not tell apart. Thresholds are right all the same, or have no data."""
    selected = {name for threshold in thresholds for name in threshold.selector.names}
    parts = []
    for tag, values in folded.tags.items():
        called = OF_TAGS.get(tag, f"values of the tag {tag!r}")
        first = f"(first: {_shortened(values.example)})"
        if tag in SHOWN:
            parts.append(f"{values.count} {called} were folded into (other) {first}")
        elif tag in selected:
            parts.append(f"{values.count} {called} were put together where no threshold tells them apart {first}")
        else:
            parts.append(f"{values.count} {called}, which no threshold selects, were left out {first}")
    advice = "; give requests with changing URLs a `name=`" if "name" in folded.tags else ""
    return f"{MOST_SERIES:,} series are kept apart: {'; '.join(parts)}{advice}"


def _shortened(text: str) -> str:
    shown = "".join(each if each.isprintable() else "�" for each in text)
    return shown if len(shown) <= LONGEST_EXAMPLE else f"{shown[: LONGEST_EXAMPLE - 1]}…"


def _about_old(old: Snapshot, url: str) -> Iterable[str]:
    """What went wrong at the old target, which is not judged."""
    errors = int(getattr(old.select("script_errors"), "total", 0))
    if errors:
        first = next(iter(old.errors.entries), ("", ""))[1]
        yield f"the script raised {errors} times at {url}, which is not judged: {first}"
    if old.marked_failed:
        yield f"fail_test() at {url} does not fail the run: {next(iter(old.marked_failed))}"


def _about_starts(scenario: ScenarioResult, facts: Facts) -> Iterable[str]:
    """Starts that the schedule planned and that did not take place, or not in time: load that the target never saw."""
    name = "" if scenario.name == "default" else f" of {scenario.name}"
    all_busy = not facts.stops and facts.load.vus_max >= scenario.vus
    if scenario.dropped and scenario.planned is not None and not all_busy:
        yield (
            f"{scenario.dropped} of {scenario.planned} starts{name} did not take place before the load ended: "
            "the target saw less load than planned"
        )
    elif scenario.dropped and scenario.planned is not None:
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
