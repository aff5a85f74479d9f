"""The RunResult: what one run was and what it measured, as a versioned JSON document (`ciload/result/1`).

Reports, comparisons and baselines are made from this and nothing else, so they can be made again from the file. Times
are in ms unless a name says otherwise. Nothing secret is in here: no header values, no query strings, no userinfo.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticSerializationError

from ciload.metrics.metric import Better, Kind
from ciload.result.comparison import Comparison, DocumentPart

SCHEMA = "ciload/result/1"
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"


class Git(DocumentPart):
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = Field(None, description="uncommitted changes; null when git could not tell")


class CI(DocumentPart):
    provider: str | None = Field(None, description='"github", "gitlab", "jenkins", …; null outside CI')
    run_id: str | None = None
    run_url: str | None = None
    job: str | None = None
    pull_request: str | None = None


class Environment(DocumentPart):
    """The fingerprint of the machine: results of unlike machines must not be compared."""

    ciload: str
    python: str
    os: str
    machine: str
    cpu: str
    cores: int
    memory_bytes: int


class Fingerprint(DocumentPart):
    """What must be the same for two runs to be comparable."""

    scenario: str = Field(description='"name:…" as `--name` says, else "sha256:…" of the script')
    load: str = Field(description="hash of the load: scenarios, warm-up, side by side or not")
    target: str = Field(description="as `--target` says, else the host of the base URL")
    runner: str = Field(description="operating system, CPU and cores of the machine that made the load")
    ciload: str = Field(description="major version")


class Phases(DocumentPart):
    """Mean times of the requests that were sent, in ms; connecting is spread over all of them."""

    connecting: Milliseconds
    sending: Milliseconds
    waiting: Milliseconds
    receiving: Milliseconds

    @property
    def total(self) -> float:
        return self.connecting + self.sending + self.waiting + self.receiving


class Distribution(DocumentPart):
    """A trend. Percentiles interpolate linearly between ranks of values known to 0.1%."""

    count: int
    avg: float
    min: float
    med: float
    max: float
    p90: float
    p95: float
    p99: float
    percentiles: dict[str, float] = Field(
        default_factory=dict, description="further ones that --summary-trend-stats names, by their names"
    )
    clamped: int = Field(0, description="samples outside the histogram's range, counted at its edge")
    histogram: str | None = Field(
        None,
        description="HdrHistogram V2, compressed, base64; null for a custom metric that no such histogram can hold, "
        "because of values below 0, or more than 10 powers of ten apart",
    )
    histogram_step: float = Field(0.001, description="what 1 in the histogram stands for, in the metric's unit")


class MetricResult(DocumentPart):
    kind: Kind
    unit: str
    count: float | None = Field(default=None, description="counter: the sum")
    rate: float | None = Field(
        default=None, description="counter: per second of load; rate: share of true samples, 0 to 1"
    )
    passes: int | None = Field(default=None, description="rate: true samples")
    fails: int | None = Field(default=None, description="rate: false samples")
    value: float | None = Field(default=None, description="gauge: the last value")
    min: float | None = Field(default=None, description="gauge: the smallest value")
    max: float | None = Field(default=None, description="gauge: the largest value")
    trend: Distribution | None = None
    better: Better | None = Field(
        default=None, description="the direction in which the gate judges it; null: it does not"
    )


class Endpoint(DocumentPart):
    """Requests of one name and method, or operations of one name, which have no method.

    `duration` is null when none of them was ever sent.
    """

    name: str
    method: str = Field(description='"" of an operation')
    protocol: str = Field(default="", description="of an operation, as the script calls it")
    requests: int
    rate: float
    failed: int
    statuses: dict[str, int]
    duration: Distribution | None
    waiting_avg: float | None
    phases: Phases | None = None
    bytes_received: int


class GatedKind(DocumentPart):
    """How a metric is judged that the gate was asked to judge."""

    kind: Kind
    unit: str = ""
    better: Better = "lower"


class BlockRow(DocumentPart):
    """One endpoint, or all requests (name ""), in each block of the load. Times are ms.

    A metric that the gate was asked to judge has a row as well: `requests` counts its samples, of which `failed` went
    the wrong way (rates); `avg` is a gauge's last value, or a counter's sum per second.
    """

    name: str
    method: str = ""
    metric: GatedKind | None = Field(default=None, description="null: an endpoint, or all requests")
    arm: Literal["new", "old"] = "new"
    requests: list[int]
    failed: list[int]
    avg: list[float | None]
    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None] = Field(default_factory=list)
    p5: list[float | None] = Field(default_factory=list, description="about the time of a request that waits for none")
    cpu_s: list[float] = Field(
        default_factory=list, description="of all requests only: CPU seconds of the target's process; empty: not known"
    )
    checks_passed: list[int] = Field(default_factory=list, description="of all requests only")
    checks_failed: list[int] = Field(default_factory=list, description="of all requests only")
    pairs_new_first: list[int] = Field(
        default_factory=list,
        description="side by side, of the new target: pairs of requests in which the new target was asked first",
    )
    ratio_new_first: list[float | None] = Field(default_factory=list, description="median of new/old in these")
    spread_new_first: list[float | None] = Field(
        default_factory=list, description="standard deviation of ln(new/old), from the quartiles"
    )
    pairs_old_first: list[int] = Field(default_factory=list)
    ratio_old_first: list[float | None] = Field(default_factory=list)
    spread_old_first: list[float | None] = Field(default_factory=list)


class Blocks(DocumentPart):
    """The load cut into equal parts. `rows` has all requests first, then the first 20 endpoints, then metrics."""

    span_s: float
    count: int
    of: Literal["requests", "operations"] = Field(
        default="requests", description="what the first row is about: operations where there were no requests"
    )
    rows: list[BlockRow]


class TargetCpu(DocumentPart):
    """CPU time of the target's processes over the load that was measured. Null: not known, and `reason` says why."""

    process: str = Field(description="what was looked at")
    cpu_s: float | None = None
    per_request: Milliseconds | None = Field(default=None, description="ms of CPU time per request")
    cores: float | None = Field(default=None, description="CPU seconds per second of load; 1 is a whole core")
    reason: str = ""


class OldArm(DocumentPart):
    """Side by side: what the same iterations met at `--compare-url`. All else in the result is about the new target."""

    url: str
    same_servers: list[str] = Field(default_factory=list, description="asked on behalf of the new target as well")
    limit_s: float | None = Field(
        default=None, description="--until-clear: how long the load was measured at most, with looks on the way"
    )
    clear_after_s: float | None = Field(default=None, description="the look that ended the load")
    nowhere_else: bool = Field(default=False, description="no other server was asked")
    iterations: int
    script_errors: int
    requests: int
    failed: int
    duration: Distribution | None
    phases: Phases | None
    endpoints: list[Endpoint]
    target_cpu: TargetCpu | None = Field(default=None, description="null: nobody asked for it")


class AnswerSample(DocumentPart):
    """One exchange with the target, without what looks like a secret: the first of its kind that failed."""

    request: str = Field(description="method and URL, without query")
    status: int = Field(description="0: there was no answer")
    body: str = Field("", description="the first 2 kB of it; an ellipsis stands for the rest")
    trace: str = Field("", description="the trace id that was sent with it (--trace)")


class Check(DocumentPart):
    name: str
    group: str
    passes: int
    fails: int
    sample: AnswerSample | None = Field(default=None, description="the first answer for which it did not hold")


class ErrorRow(DocumentPart):
    """One kind of error. `source` is "script", or the request that met it."""

    source: str
    message: str
    count: int
    detail: str = Field("", description="the first traceback, for errors of the script")
    sample: AnswerSample | None = Field(
        default=None, description="the first answer that was met; of a script, that which it was busy with"
    )


class SlowRequest(DocumentPart):
    """One request that took longer than nearly all others."""

    method: str
    name: str
    status: int
    error: str = ""
    duration: Milliseconds
    at_s: float = Field(description="seconds of the load that was measured; it ended in the last second before that")
    trace: str = Field("", description="the trace id that was sent with it (--trace)")


class ThresholdOutcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    NO_DATA = "no data"


class ThresholdResult(DocumentPart):
    metric: str
    expression: str
    aggregation: str
    operator: str
    limit: float
    unit: str
    value: float | None = Field(description="null: no data")
    outcome: ThresholdOutcome
    where: str = Field(default="", description="file:line that declares it, or the flag or variable")
    severity: Literal["fail", "warn"] = Field(default="fail", description="warn: it does not fail the run")
    abort_on_fail: bool = False
    window_s: float | None = Field(
        default=None, description='of "over …": `value` is that of the worst window; null: the load'
    )
    hint: str = Field(default="", description="why there may be no data")

    @property
    def fails(self) -> bool:
        return self.outcome is not ThresholdOutcome.PASS and self.severity == "fail"

    @property
    def warns(self) -> bool:
        return self.outcome is not ThresholdOutcome.PASS and self.severity == "warn"


class TimelineRow(DocumentPart):
    """What finished within a second of the load; `at_s` is its end."""

    at_s: float
    vus: int
    iterations: int
    requests_per_s: float
    failed_per_s: float
    bytes_per_s: float
    p50: float | None
    p95: float | None


class WorkerResult(DocumentPart):
    """One process of the generator."""

    cpu_share: float = Field(description="CPU seconds per second of load; 1 is a whole core")
    cpu_s: float
    loop_lag_p99: float
    lost: str = Field(default="", description="how it ended, when it did not end by itself")


class Generator(DocumentPart):
    """How the load generator itself was doing."""

    cpu_share: float = Field(description="of the busiest worker: CPU seconds per second of load; 1 is a whole core")
    cpu_s: float = Field(description="of all workers")
    loop_lag_p50: float
    loop_lag_p99: float
    loop_lag_max: float
    workers: list[WorkerResult] = Field(default_factory=list)
    throttled_share: float = Field(default=0.0, description="part of the time taken by the container's CPU limit")
    stolen_share: float = Field(default=0.0, description="part of the machine's CPU time taken by its host")
    bottleneck: str = Field(default="", description="why the generator shaped the results, and a remedy")
    warnings: list[str]


class Failure(DocumentPart):
    """A reason why the run failed, with the exit code it stands for."""

    code: int
    reason: str
    threshold: int | None = Field(default=None, description="which of `thresholds` did not hold, if that is the reason")
    comparison: int | None = Field(default=None, description="which of `comparisons` it is about")


class Verdict(DocumentPart):
    passed: bool
    exit_code: int
    failures: list[Failure] = Field(description="in order of precedence; the first gives the exit code")
    warnings: list[str]


class ScenarioResult(DocumentPart):
    """A scenario: what was planned, and what came of it. Starts, planned and late, are the open model's."""

    name: str
    executor: str
    plan: dict[str, object] = Field(default_factory=dict, description="its fields, as they were resolved")
    vus: int = Field(description="the most virtual users it could have")
    start_s: float = 0.0
    duration_s: float = Field(description="how long iterations could start")
    graceful_stop_s: float
    iterations: int = Field(default=0, description="finished")
    dropped: int = Field(default=0, description="due, and never started")
    planned: int | None = Field(default=None, description="starts that were due in the time that was measured")
    planned_per_s: float | None = None
    achieved_per_s: float | None = Field(default=None, description="starts that took place, per second of schedule")
    late: int | None = Field(default=None, description="started more than 50 ms after they were due")
    start_delay_p50: float | None = None
    start_delay_p99: float | None = None
    start_delay_max: float | None = None


class Load(DocumentPart):
    """When and how much; `load_s` is the window that rates refer to, without setup and teardown."""

    started_at: str = Field(description="ISO 8601, UTC")
    setup_s: float
    load_s: float
    teardown_s: float
    iterations: int
    iterations_interrupted: int
    vus_not_started: int = Field(default=0, description="virtual users whose vu_start() raised")
    requests_unanswered: int = Field(default=0, description="that outlived the graceful stop; they count as failed")
    longest_unanswered_s: float = Field(default=0.0, description="the longest that one of these has waited")
    requests_cut_off: int = Field(default=0, description="by an end without a graceful stop; they count as failed")
    setup_requests: int = Field(description="requests of setup, teardown and the users' hooks, kept out of all metrics")
    warmup_s: float = Field(default=0.0, description="how long the load ran before it was measured")
    warmup_iterations: int = 0
    warmup_requests: int = 0
    warmup_script_errors: int = 0
    vus_max: int


class RunResult(DocumentPart):
    schema_: Annotated[Literal["ciload/result/1"], Field(alias="schema")] = "ciload/result/1"
    run_id: str
    name: str = Field(description="the script's path as it was given, or host and path of the page")
    script_sha256: str
    folder: str | None = Field(
        default=None, description='where it was started, from the top of the repository; "" at the top, null: not known'
    )
    options: dict[str, object]
    scenarios: list[ScenarioResult]
    git: Git
    ci: CI
    environment: Environment
    fingerprint: Fingerprint
    load: Load
    metrics: dict[str, MetricResult]
    expected_duration: Distribution | None = Field(description="http_req_duration{expected_response:true}")
    endpoints: list[Endpoint]
    checks: list[Check]
    thresholds: list[ThresholdResult]
    errors: list[ErrorRow]
    slowest: list[SlowRequest] = Field(default_factory=list, description="the ten slowest requests")
    timeline: list[TimelineRow]
    generator: Generator
    blocks: Blocks | None = None
    phases: Phases | None = Field(default=None, description="of all requests")
    target_cpu: TargetCpu | None = Field(default=None, description="null: nobody asked for it")
    old_arm: OldArm | None = None
    comparisons: list[Comparison] = Field(default_factory=list)
    verdict: Verdict

    @property
    def of_operations(self) -> bool:
        """Whether operations are what was measured, since there were no requests."""
        return "http_reqs" not in self.metrics and "ops" in self.metrics

    @property
    def counted(self) -> MetricResult | None:
        """How many requests there were; operations if there were none."""
        return self.metrics.get("ops" if self.of_operations else "http_reqs")

    @property
    def failed(self) -> MetricResult | None:
        """Which share of these failed."""
        return self.metrics.get("op_failed" if self.of_operations else "http_req_failed")

    @property
    def duration(self) -> MetricResult | None:
        """How long they took."""
        return self.metrics.get("op_duration" if self.of_operations else "http_req_duration")

    def to_json(self) -> str:
        """The file."""
        return json_of(self)


def json_of(document: DocumentPart) -> str:
    """A document as a file. Names of scripts, branches and tags may hold half a character; that is an escape in it."""
    try:
        return document.model_dump_json(by_alias=True, indent=1) + "\n"
    except PydanticSerializationError:
        escaped = type(document).model_validate(escape_surrogates(document.model_dump(by_alias=True)))
        return escaped.model_dump_json(by_alias=True, indent=1) + "\n"


def escape_surrogates(value: Any) -> Any:
    """Plain values whose text can be encoded: `\\udcff` stands for the half of a surrogate pair."""
    if isinstance(value, dict):
        return {escape_surrogates(key): escape_surrogates(each) for key, each in value.items()}
    if isinstance(value, list):
        return [escape_surrogates(each) for each in value]
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def json_schema() -> dict[str, object]:
    """The JSON Schema of the document, as published in docs/."""
    schema = RunResult.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": SCHEMA_URL, "$id": SCHEMA} | schema
