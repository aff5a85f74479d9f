"""What the gate remembers of a run, and why a run may be no measure for others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from ciload.errors import ExitCode
from ciload.gate.document import (
    MOST_BLOCKS,
    MOST_ENDPOINTS,
    MOST_METRICS,
    MOST_TEXT,
    StoredCpu,
    StoredEndpoint,
    StoredMetric,
    StoredRun,
)
from ciload.metrics.metric import Kind
from ciload.result.document import BlockRow, Distribution, Endpoint, GatedKind, Phases, RunResult
from ciload.result.reader import first_mistake
from ciload.text import one_line

# Stricter than what a run is warned about: a bad run in the baseline distorts every later verdict.
MOST_STOLEN = 0.02
MOST_THROTTLED = 0.001  # a limit that was hit at all was hit in bursts, which is when latencies are made
MOST_BUSY = 0.8
# Shared CI machines have 10 ms in good runs too; from here on it is more than the latencies that are worth gating.
MOST_LAG_MS = 25.0
LEAST_ACHIEVED = 0.95
MOST_DROPPED = 0.01  # of the planned starts
MOST_FAILED = 0.5

OF_GATES = (ExitCode.REGRESSION, ExitCode.NO_COMPARISON)
STARTS_DROPPED = "starts were dropped, so the target saw less load than planned"
FELL_BEHIND = f"it achieved less than {LEAST_ACHIEVED:.0%} of the planned starts"
MOSTLY_FAILED = "more than half of its requests failed"
# What a target does that is too slow or broken. It makes latencies look better, if anything, so a regression holds.
TARGETS_DOING = frozenset({STARTS_DROPPED, FELL_BEHIND, MOSTLY_FAILED})

LONGEST_REASON = 200

Key = tuple[str, str]


class UnusableRunError(Exception):
    """Why a run can neither be compared nor stored: it has values that no run can have, such as a time in 1970."""


def stored_run(result: RunResult) -> StoredRun:
    """The run as the baseline keeps it: accepted, without alarms; whoever has compared it knows better.

    Raises:
        UnusableRunError: the result has values that no run can have.
    """
    try:
        return _stored_run(result)
    except ValidationError as error:
        raise UnusableRunError(first_mistake(error)) from None
    except ValueError as error:
        raise UnusableRunError(one_line(str(error))) from None


def _stored_run(result: RunResult) -> StoredRun:
    rate = result.metrics["http_reqs"].rate if "http_reqs" in result.metrics else None
    all_rows = [row for row in (result.blocks.rows if result.blocks else ()) if row.arm == "new"]
    rows = {(row.name, row.method): row for row in all_rows if row.metric is None}
    of_metrics = {row.name: row for row in all_rows if row.metric is not None}
    return StoredRun(
        run_id=result.run_id,
        at=_instant(result.load.started_at),
        commit=result.git.commit,
        branch=result.git.branch,
        url=result.ci.run_url,
        environment=result.environment,
        fingerprint=result.fingerprint,
        accepted=True,
        tainted=list(dict.fromkeys(taints(result))),
        load_s=result.load.load_s,
        open_model=bool(result.scenarios) and all(each.planned is not None for each in result.scenarios),
        requests_per_s=rate or 0.0,
        checks_passed=sum(each.passes for each in result.checks),
        checks_failed=sum(each.fails for each in result.checks),
        target_cpu=StoredCpu(cpu_s=cpu.cpu_s, reason=cpu.reason[:MOST_TEXT]) if (cpu := result.target_cpu) else None,
        endpoints=[_all_requests(result, rows), *_busiest(result.endpoints, rows)],
        metrics=list(_metrics(result, of_metrics)),
    )


def taints(result: RunResult) -> Iterable[str]:
    """Why others should not be compared with this run: it was cut short, or not the target shaped its numbers."""
    for failure in result.verdict.failures:
        # A threshold that does not hold says what was wanted; what was measured is as good as any.
        if failure.threshold is None and failure.code not in OF_GATES:
            yield f"it failed: {' '.join(failure.reason.split())}"[:LONGEST_REASON]
    yield from _about_the_generator(result)
    for scenario in result.scenarios:
        if scenario.planned is None:
            continue
        if scenario.dropped > MOST_DROPPED * scenario.planned:
            yield STARTS_DROPPED
        elif scenario.planned_per_s and (scenario.achieved_per_s or 0.0) < LEAST_ACHIEVED * scenario.planned_per_s:
            yield FELL_BEHIND
    requests, failed = _counts(result)
    if not requests:  # there may be operations
        operations = [each for each in result.endpoints if not each.method]
        requests, failed = sum(each.requests for each in operations), sum(each.failed for each in operations)
    if not (requests or any(each.better for each in result.metrics.values())):
        yield "it made no requests, and measured nothing else that is judged"
    elif failed > MOST_FAILED * requests:
        yield MOSTLY_FAILED


def generator_faults(run: StoredRun) -> list[str]:
    """Why the run's numbers are not the target's doing."""
    return [each for each in run.tainted if each not in TARGETS_DOING]


def _about_the_generator(result: RunResult) -> Iterable[str]:
    generator = result.generator
    if any(each.lost for each in generator.workers):
        yield "it lost a worker process"
    if generator.bottleneck:
        yield generator.bottleneck.split(";")[0][:LONGEST_REASON]
        return
    if generator.stolen_share > MOST_STOLEN:
        yield f"the host gave {generator.stolen_share:.0%} of the machine's CPU to others"
    if generator.throttled_share > MOST_THROTTLED:
        yield f"the container's CPU limit stopped the generator for {generator.throttled_share:.1%} of the time"
    if generator.cpu_share > MOST_BUSY:
        yield f"the generator used {generator.cpu_share:.0%} of a core"
    if generator.loop_lag_p99 > MOST_LAG_MS:
        yield f"the generator's event loop was {generator.loop_lag_p99:.0f} ms late at the 99th percentile"


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _counts(result: RunResult) -> tuple[int, int]:
    failed = result.metrics.get("http_req_failed")
    if failed is None or failed.passes is None or failed.fails is None:
        return 0, 0
    return failed.passes + failed.fails, failed.passes


def _all_requests(result: RunResult, rows: Mapping[Key, BlockRow]) -> StoredEndpoint:
    requests, failed = _counts(result)
    rows = rows if requests else {}
    duration = result.metrics["http_req_duration"].trend if "http_req_duration" in result.metrics else None
    return _endpoint(("", ""), requests, failed, duration, result.phases, rows)


def _metrics(result: RunResult, rows: Mapping[str, BlockRow]) -> Iterable[StoredMetric]:
    """Those that the gate was asked to judge."""
    asked = [(name, each) for name, each in sorted(result.metrics.items()) if each.better is not None]
    for name, metric in asked[:MOST_METRICS]:
        gated = GatedKind(kind=metric.kind, unit=metric.unit, better=metric.better or "lower")
        trend, row = metric.trend, rows.get(name)
        samples = trend.count if trend else (metric.passes or 0) + (metric.fails or 0)
        yield StoredMetric(
            name=name[:MOST_TEXT],
            gated=gated,
            samples=samples,
            failed=(metric.passes if gated.better == "lower" else metric.fails) or 0,
            value=metric.rate if gated.kind is Kind.COUNTER else metric.value,
            p50=trend.med if trend else None,
            p95=trend.p95 if trend else None,
            block_p50=row.p50[:MOST_BLOCKS] if row else [],
            block_p95=row.p95[:MOST_BLOCKS] if row else [],
        )


def _busiest(endpoints: list[Endpoint], rows: Mapping[Key, BlockRow]) -> Iterable[StoredEndpoint]:
    if len(endpoints) < 2 and all(each.method for each in endpoints):  # it would be all requests once more
        return
    order = sorted(endpoints, key=lambda each: (-each.requests, each.name, each.method))
    for each in order[: MOST_ENDPOINTS - 1]:
        yield _endpoint((each.name, each.method), each.requests, each.failed, each.duration, each.phases, rows)


def _endpoint(
    key: Key,
    requests: int,
    failed: int,
    duration: Distribution | None,
    phases: Phases | None,
    rows: Mapping[Key, BlockRow],
) -> StoredEndpoint:
    row = rows.get(key)
    return StoredEndpoint(
        name=key[0][:MOST_TEXT],
        method=key[1][:MOST_TEXT],
        requests=requests,
        failed=failed,
        avg=duration.avg if duration else None,
        p50=duration.med if duration else None,
        p95=duration.p95 if duration else None,
        p99=duration.p99 if duration else None,
        phases=phases,
        block_p50=row.p50[:MOST_BLOCKS] if row else [],
        block_p95=row.p95[:MOST_BLOCKS] if row else [],
    )
