"""What a result needs to know besides measurements: who, where, when, and how the generator was doing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from ciload.engine.aggregator import RunOutcome, TimelinePoint
from ciload.engine.health import Health
from ciload.errors import CiloadError
from ciload.metrics.snapshot import Snapshot
from ciload.options.model import URL_OPTIONS, Options
from ciload.options.plan import Plan
from ciload.options.scenarios import ConstantArrivalRate, RampingArrivalRate
from ciload.result.build import Facts
from ciload.result.document import Failure, Fingerprint, Generator, Load, ScenarioResult, TimelineRow, WorkerResult
from ciload.runner.identity import Identity
from ciload.secrets import without_secrets


def facts_of_run(identity: Identity, plan: Plan, outcome: RunOutcome) -> Facts:
    warmup = outcome.warmup
    return _facts(
        identity,
        options=_public(plan.options),
        allow_script_errors=plan.options.allow_script_errors,
        allow_empty=plan.options.allow_empty,
        ended_early=outcome.ended_early,
        scenarios=[_scenario(name, plan, outcome) for name in plan.scenarios],
        thresholds=plan.thresholds,
        windows=outcome.windows,
        stops=[Failure(code=stop.code, reason=stop.reason) for stop in outcome.stops],
        load=Load(
            started_at=datetime.fromtimestamp(outcome.started_at, UTC).isoformat(timespec="milliseconds"),
            setup_s=outcome.setup_s,
            load_s=outcome.load_s,
            teardown_s=outcome.teardown_s,
            iterations=_total(outcome.snapshot, "iterations"),
            iterations_interrupted=outcome.interrupted,
            vus_not_started=outcome.not_started,
            requests_unanswered=outcome.unanswered.outlived,
            longest_unanswered_s=outcome.unanswered.longest_s,
            requests_cut_off=outcome.unanswered.cut,
            setup_requests=_total(outcome.aside, "http_reqs"),
            vus_max=max((moment.vus for moment in outcome.timeline), default=0),
            warmup_s=plan.options.warmup,
            warmup_iterations=_total(warmup, "iterations"),
            warmup_requests=_total(warmup, "http_reqs"),
            warmup_script_errors=_total(warmup, "script_errors"),
        ),
        timeline=_rows(outcome.timeline),
        generator=_generator(outcome.health),
        warnings=[*plan.warnings, *outcome.warnings],
        fingerprint=_fingerprint(identity, plan),
        blocks=outcome.blocks,
        target_cpu=outcome.target_cpu,
        old_url=without_secrets(plan.options.compare_url),
        limit_s=plan.measured_s if plan.options.until_clear else None,
        clear_after_s=outcome.clear_after_s,
        same_servers=_same_servers(plan.options, outcome),
        old=outcome.old if plan.options.compare_url else None,
    )


def _same_servers(options: Options, outcome: RunOutcome) -> tuple[list[str], bool]:
    """Servers that both arms asked although their targets differ, and whether the old arm asked no other."""
    new, old = outcome.servers.get("new", set()), outcome.servers.get("old", set())
    if urlsplit(options.base_url).netloc == urlsplit(options.compare_url).netloc:
        return [], False
    return sorted(new & old), bool(old) and old <= new


def _fingerprint(identity: Identity, plan: Plan | None = None) -> Fingerprint:
    name, target, load = "", "", list[object]()
    if plan is not None:
        options, scenarios = plan.options, plan.scenarios.values()
        name, target = options.name, options.target or urlsplit(options.base_url).hostname or ""
        load = [options.warmup, options.min_iteration_duration, bool(options.compare_url)]
        # What was added to scenarios later counts where it is used: runs from before stay comparable.
        load += [each.model_dump(mode="json", exclude=None if each.weights else {"weights"}) for each in scenarios]
    machine = identity.machine
    return Fingerprint(
        scenario=f"name:{name}" if name else f"sha256:{identity.script_sha256}",
        load=sha256(json.dumps(load, sort_keys=True).encode()).hexdigest()[:16],
        target=target,
        # Without the kernel's version: hosted runners change it every few days.
        runner=f"{machine.os.partition(' ')[0]} {machine.machine}, {machine.cpu}, {machine.cores} cores",
        ciload=machine.ciload.partition(".")[0],
    )


def _total(snapshot: Snapshot, name: str, tags: Mapping[str, str] | None = None) -> int:
    return int(getattr(snapshot.select(name, tags), "total", 0))


def _scenario(name: str, plan: Plan, outcome: RunOutcome) -> ScenarioResult:
    scenario, snapshot, tags = plan.scenarios[name], outcome.snapshot, {"scenario": name}
    facts: dict[str, Any] = {
        "name": name, "executor": scenario.executor, "plan": _without_values(scenario.model_dump(mode="json")),
        "vus": scenario.most_vus, "start_s": scenario.start_time, "duration_s": scenario.length_s,
        "graceful_stop_s": scenario.graceful_stop or 0.0,
        "iterations": _total(snapshot, "iterations", tags), "dropped": _total(snapshot, "dropped_iterations", tags),
    }  # fmt: skip
    if isinstance(scenario, ConstantArrivalRate | RampingArrivalRate):
        delay = snapshot.trend("iteration_start_delay", tags)
        planned = delay.count + facts["dropped"]
        begins_s = max(0.0, plan.options.warmup - scenario.start_time)
        measured_s = max(0.0, min(scenario.length_s, outcome.load_s + begins_s) - begins_s)
        facts |= {"planned": planned, "late": _total(snapshot, "late_iterations", tags)}
        if measured_s:
            facts |= {"planned_per_s": planned / measured_s, "achieved_per_s": delay.count / measured_s}
        if delay.count:
            p50, p99 = delay.percentiles([50, 99])
            facts |= {"start_delay_p50": p50, "start_delay_p99": p99, "start_delay_max": delay.largest}
    return ScenarioResult(**facts)


def facts_of_failure(identity: Identity, error: CiloadError, known: Mapping[str, str]) -> Facts:
    """The facts of a run that ended before it had a load; `known` are options of which something is known."""
    return _facts(
        identity,
        options=dict(known),
        scenarios=[],
        thresholds=[],
        stops=[Failure(code=error.exit_code, reason=str(error))],
        load=Load(
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"), setup_s=0, load_s=0, teardown_s=0,
            iterations=0, iterations_interrupted=0, setup_requests=0, vus_max=0,
        ),
        timeline=[],
        generator=_generator(Health()),
        fingerprint=_fingerprint(identity),
    )  # fmt: skip


def _facts(identity: Identity, **rest: Any) -> Facts:
    return Facts(
        run_id=identity.run_id,
        name=identity.script,
        script_sha256=identity.script_sha256,
        folder=identity.folder,
        git=identity.git,
        ci=identity.ci,
        environment=identity.machine,
        **rest,
    )


def _public(options: Options) -> dict[str, Any]:
    values = options.model_dump(mode="json", exclude_none=True)
    if "scenarios" in values:
        values["scenarios"] = {name: _without_values(each) for name, each in values["scenarios"].items()}
    values["headers"] = dict.fromkeys(values["headers"], "***")
    return values | {name: without_secrets(values[name]) for name in URL_OPTIONS}


def _without_values(scenario: dict[str, Any]) -> dict[str, Any]:
    """A scenario's fields for everyone to see: what its `env` holds may be secret."""
    shown = {name: value for name, value in scenario.items() if value is not None}
    return shown | {"env": dict.fromkeys(shown["env"], "***")}


def _rows(timeline: Sequence[TimelinePoint]) -> list[TimelineRow]:
    return [
        TimelineRow(
            at_s=round(moment.at_s, 3),
            vus=moment.vus,
            iterations=moment.iterations,
            requests_per_s=moment.requests_per_s,
            failed_per_s=moment.failed_per_s,
            bytes_per_s=moment.bytes_per_s,
            p50=moment.p50_ms,
            p95=moment.p95_ms,
        )
        for moment in timeline
    ]


def _generator(health: Health) -> Generator:
    lag = health.lag
    p50, p99 = (0.0, 0.0) if lag.empty else lag.percentiles([50, 99])
    return Generator(
        cpu_share=health.busiest,
        cpu_s=sum(worker.cpu_s for worker in health.workers),
        loop_lag_p50=p50,
        loop_lag_p99=p99,
        loop_lag_max=0.0 if lag.empty else lag.largest,
        workers=[
            WorkerResult(
                cpu_share=worker.cpu_share,
                cpu_s=worker.cpu_s,
                loop_lag_p99=0.0 if worker.lag.empty else worker.lag.percentiles([99])[0],
                lost=worker.lost,
            )
            for worker in health.workers
        ],
        throttled_share=health.throttled_share,
        stolen_share=health.stolen_share,
        bottleneck=health.bottleneck(),
        warnings=health.warnings(),
    )
