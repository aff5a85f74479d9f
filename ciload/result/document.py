"""The RunResult: what one run was and what it measured, as a versioned JSON document (`ciload/result/1`).

Reports, comparisons and baselines are made from this and nothing else, so they can be made again from the file. Times
are in ms unless a name says otherwise. Nothing secret is in here: no header values, no query strings, no userinfo.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ciload.metrics.metric import Kind

SCHEMA = "ciload/result/1"
SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Git(Part):
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = Field(None, description="uncommitted changes; null when git could not tell")


class CI(Part):
    provider: str | None = Field(None, description='"github", "gitlab", "jenkins", …; null outside CI')
    run_id: str | None = None
    run_url: str | None = None
    job: str | None = None
    pull_request: str | None = None


class Environment(Part):
    """The fingerprint of the machine: results of unlike machines must not be compared."""

    ciload: str
    python: str
    os: str
    machine: str
    cpu: str
    cores: int
    memory_bytes: int


class Distribution(Part):
    """A trend. Percentiles interpolate linearly between ranks of values known to 0.1%."""

    count: int
    avg: float
    min: float
    med: float
    max: float
    p90: float
    p95: float
    p99: float
    clamped: int = Field(0, description="samples outside the histogram's range, counted at its edge")
    histogram: str | None = Field(None, description="HdrHistogram V2, compressed, base64; in 1/1000 of the unit")


class MetricResult(Part):
    kind: Kind
    unit: str
    count: float | None = Field(None, description="counter: the sum")
    rate: float | None = Field(None, description="counter: per second of load; rate: share of true samples, 0 to 1")
    passes: int | None = Field(None, description="rate: true samples")
    fails: int | None = Field(None, description="rate: false samples")
    value: float | None = Field(None, description="gauge: the last value")
    min: float | None = Field(None, description="gauge: the smallest value")
    max: float | None = Field(None, description="gauge: the largest value")
    trend: Distribution | None = None


class Endpoint(Part):
    """Requests of one name and method. `duration` is null when none of them was ever sent."""

    name: str
    method: str
    requests: int
    rate: float
    failed: int
    statuses: dict[str, int]
    duration: Distribution | None
    waiting_avg: float | None
    bytes_received: int


class Check(Part):
    name: str
    group: str
    passes: int
    fails: int


class ErrorRow(Part):
    """One kind of error. `source` is "script", or the request that met it."""

    source: str
    message: str
    count: int
    detail: str = Field("", description="the first traceback, for errors of the script")


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    NO_DATA = "no data"


class ThresholdResult(Part):
    metric: str
    expression: str
    aggregation: str
    operator: str
    limit: float
    unit: str
    value: float | None = Field(description="null: no data")
    outcome: Outcome
    where: str = Field("", description="file:line that declares it, or the flag or variable")


class TimelineRow(Part):
    """What finished within a second of the load; `at_s` is its end."""

    at_s: float
    vus: int
    iterations: int
    requests_per_s: float
    failed_per_s: float
    bytes_per_s: float
    p50: float | None
    p95: float | None


class Generator(Part):
    """How the load generator itself was doing."""

    cpu_share: float = Field(description="CPU seconds per second of load; 1 is a whole core")
    cpu_s: float
    loop_lag_p50: float
    loop_lag_p99: float
    loop_lag_max: float
    warnings: list[str]


class Failure(Part):
    """A reason why the run failed, with the exit code it stands for."""

    code: int
    reason: str


class Verdict(Part):
    passed: bool
    exit_code: int
    failures: list[Failure] = Field(description="in order of precedence; the first gives the exit code")
    warnings: list[str]


class ScenarioResult(Part):
    name: str
    executor: str
    vus: int
    iterations: int | None
    duration_s: float
    graceful_stop_s: float


class Load(Part):
    """When and how much; `load_s` is the window that rates refer to, without setup and teardown."""

    started_at: str = Field(description="ISO 8601, UTC")
    setup_s: float
    load_s: float
    teardown_s: float
    iterations: int
    iterations_interrupted: int
    setup_requests: int = Field(description="requests of setup and teardown, kept out of all metrics")
    vus_max: int


class RunResult(Part):
    schema_: Annotated[Literal["ciload/result/1"], Field(alias="schema")] = "ciload/result/1"
    run_id: str
    name: str = Field(description="the script's path as it was given")
    script_sha256: str
    options: dict[str, object]
    scenarios: list[ScenarioResult]
    git: Git
    ci: CI
    environment: Environment
    load: Load
    metrics: dict[str, MetricResult]
    expected_duration: Distribution | None = Field(description="http_req_duration{expected_response:true}")
    endpoints: list[Endpoint]
    checks: list[Check]
    thresholds: list[ThresholdResult]
    errors: list[ErrorRow]
    timeline: list[TimelineRow]
    generator: Generator
    verdict: Verdict

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


def json_schema() -> dict[str, object]:
    """The JSON Schema of the document, as published in docs/."""
    schema = RunResult.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": SCHEMA_URL, "$id": SCHEMA} | schema
