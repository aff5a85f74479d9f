"""What a result needs to know besides measurements: who, where, when, and how the generator was doing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from ciload.ci.identity import fingerprint, identify_ci, identify_git
from ciload.engine.health import Health
from ciload.engine.run import Moment, Outcome
from ciload.errors import CiloadError
from ciload.http.target import without_secrets
from ciload.options.model import URL_OPTIONS, Options
from ciload.options.plan import Plan
from ciload.result.build import Facts
from ciload.result.document import Failure, Generator, Load, ScenarioResult, TimelineRow


def facts_of_run(path: Path, environment: Mapping[str, str], plan: Plan, outcome: Outcome) -> Facts:
    iterations = outcome.snapshot.select("iterations")
    return _facts(
        path,
        environment,
        options=_public(plan.options),
        allow_script_errors=plan.options.allow_script_errors,
        scenarios=[ScenarioResult(**scenario.model_dump()) for scenario in plan.scenarios],
        thresholds=plan.thresholds,
        stops=[Failure(code=stop.code, reason=stop.reason) for stop in outcome.stops],
        load=Load(
            started_at=datetime.fromtimestamp(outcome.started_at, UTC).isoformat(timespec="milliseconds"),
            setup_s=outcome.setup_s,
            load_s=outcome.load_s,
            teardown_s=outcome.teardown_s,
            iterations=int(getattr(iterations, "total", 0)),
            iterations_interrupted=outcome.interrupted,
            setup_requests=outcome.setup_requests,
            vus_max=max((moment.vus for moment in outcome.timeline), default=0),
        ),
        timeline=[_row(moment) for moment in outcome.timeline if moment.span_s > 0],
        generator=_generator(outcome.health),
    )


def facts_of_failure(path: Path, environment: Mapping[str, str], error: CiloadError) -> Facts:
    """The facts of a run that ended before it had a load."""
    return _facts(
        path,
        environment,
        options={},
        allow_script_errors=False,
        scenarios=[],
        thresholds=[],
        stops=[Failure(code=error.exit_code, reason=str(error))],
        load=Load(
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"), setup_s=0, load_s=0, teardown_s=0,
            iterations=0, iterations_interrupted=0, setup_requests=0, vus_max=0,
        ),
        timeline=[],
        generator=_generator(Health()),
    )  # fmt: skip


def _facts(path: Path, environment: Mapping[str, str], **rest: Any) -> Facts:
    return Facts(
        run_id=uuid4().hex,
        name=str(path),
        script_sha256=sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        git=identify_git(environment, Path.cwd()),
        ci=identify_ci(environment),
        environment=fingerprint(),
        **rest,
    )


def _public(options: Options) -> dict[str, Any]:
    values = options.model_dump(mode="json", exclude_none=True)
    return values | {name: without_secrets(values[name]) for name in URL_OPTIONS}


def _row(moment: Moment) -> TimelineRow:
    brought, span_s = moment.brought, moment.span_s
    return TimelineRow(
        at_s=round(moment.at_s, 3),
        vus=moment.vus,
        iterations=moment.iterations,
        requests_per_s=brought.requests / span_s,
        failed_per_s=brought.failed / span_s,
        bytes_per_s=brought.bytes_received / span_s,
        p50=brought.p50_ms,
        p95=brought.p95_ms,
    )


def _generator(health: Health) -> Generator:
    p50, p99 = (0.0, 0.0) if health.lag.empty else health.lag.percentiles([50, 99])
    return Generator(
        cpu_share=health.cpu_share,
        cpu_s=health.cpu_s,
        loop_lag_p50=p50,
        loop_lag_p99=p99,
        loop_lag_max=0.0 if health.lag.empty else health.lag.largest,
        warnings=health.warnings(),
    )
