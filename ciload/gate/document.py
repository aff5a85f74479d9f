"""The baseline file, `ciload/baseline/1`: what the gate remembers of earlier runs.

The file comes from caches and artifacts that others may have written, so every field has a type and a bound, and
whatever does not fit is an error with its place. Times are ms, rates per second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from ciload.result.document import SCHEMA_URL, Environment, Fingerprint, GatedKind, Phases

SCHEMA = "ciload/baseline/1"
WINDOW = 30  # accepted runs that are kept of one kind
MOST_RUNS = 1_000
MOST_ENDPOINTS = 21  # all requests together, and the 20 busiest
MOST_METRICS = 50
MOST_BLOCKS = 40
MOST_TEXT = 4_000
YEARS = range(2_000, 2_200)


def _sensible(at: datetime) -> datetime:
    if at.year not in YEARS:
        raise ValueError(f"the year {at.year} cannot be right")
    return at.astimezone(UTC)


Text = Annotated[str, Field(max_length=MOST_TEXT)]
RunId = Annotated[str, Field(min_length=1, max_length=200)]
Instant = Annotated[AwareDatetime, AfterValidator(_sensible)]
Count = Annotated[int, Field(ge=0, le=1 << 53)]
Value = Annotated[float, Field(ge=0, le=1e12)]
Number = Annotated[float, Field(ge=-1e300, le=1e300)]


class Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StoredEndpoint(Stored):
    """The requests of one name and method, or the operations of one name; the first one of a run, named "", is all
    requests together."""

    name: Text
    method: Text = ""
    requests: Count
    failed: Count
    avg: Value | None = None
    p50: Value | None = None
    p95: Value | None = None
    p99: Value | None = None
    phases: Phases | None = None
    block_p50: list[Value | None] = Field(default_factory=list, max_length=MOST_BLOCKS)
    block_p95: list[Value | None] = Field(default_factory=list, max_length=MOST_BLOCKS)

    @model_validator(mode="before")
    @classmethod
    def _without_histogram(cls, value: object) -> object:
        """Files of ciload 0.1 have one, which nothing ever compared."""
        return {key: each for key, each in value.items() if key != "histogram"} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _adds_up(self) -> StoredEndpoint:
        if self.failed > self.requests:
            raise ValueError(f"{self.failed} of {self.requests} requests cannot have failed")
        return self


class StoredMetric(Stored):
    """A metric that the gate was asked to judge: percentiles of a trend, a rate's counts, a gauge's value, a counter's
    sum per second."""

    name: Text
    gated: GatedKind
    samples: Count = 0
    failed: Annotated[Count, Field(description="of a rate: those that went the wrong way")] = 0
    value: Number | None = None
    p50: Number | None = None
    p95: Number | None = None
    block_p50: list[Number | None] = Field(default_factory=list, max_length=MOST_BLOCKS)
    block_p95: list[Number | None] = Field(default_factory=list, max_length=MOST_BLOCKS)

    @model_validator(mode="after")
    def _adds_up(self) -> StoredMetric:
        if self.failed > self.samples:
            raise ValueError(f"{self.failed} of {self.samples} samples cannot have gone wrong")
        if len(self.gated.unit) > MOST_TEXT:
            raise ValueError(f"its unit is longer than {MOST_TEXT} characters")
        return self


class StoredCpu(Stored):
    """CPU seconds of the target's processes over the load; null if they were asked for and are not known."""

    cpu_s: Value | None = None
    reason: Annotated[str, Field(max_length=MOST_TEXT)] = Field(default="", description="why they are not known")


class StoredRun(Stored):
    """One run. `accepted` runs are what later ones are compared with."""

    run_id: RunId
    at: Instant
    commit: Text | None = None
    branch: Text | None = None
    url: Text | None = Field(default=None, description="of the CI job")
    environment: Environment
    fingerprint: Fingerprint
    accepted: bool
    alarm: Literal["", "worse", "better"] = Field(
        default="", description="what the gate said of it, if it raised an alarm"
    )
    tainted: list[Text] = Field(default_factory=list, max_length=100, description="why it is no measure for others")
    load_s: Value
    open_model: bool = Field(description="starts on a schedule, so that requests per second mean something")
    requests_per_s: Value
    checks_passed: Count = 0
    checks_failed: Count = 0
    target_cpu: StoredCpu | None = Field(default=None, description="null: nobody asked for it")
    endpoints: list[StoredEndpoint] = Field(min_length=1, max_length=MOST_ENDPOINTS)
    metrics: list[StoredMetric] = Field(default_factory=list, max_length=MOST_METRICS)

    @field_validator("environment", "fingerprint")
    @classmethod
    def _short(cls, part: Environment | Fingerprint) -> Environment | Fingerprint:
        for name, value in part:
            if len(str(value)) > MOST_TEXT:
                raise ValueError(f"{name} is longer than {MOST_TEXT} characters")
        return part

    @property
    def total(self) -> StoredEndpoint:
        """All requests together."""
        return self.endpoints[0]


class Acceptance(Stored):
    """A level that somebody has accepted: from the first of its runs on, means are taken anew."""

    at: Instant
    by: Text
    reason: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
    run_ids: list[RunId] = Field(min_length=1, max_length=MOST_RUNS)


class Baseline(Stored):
    """The file: runs of any kind, oldest first, and what was accepted."""

    schema_: Annotated[Literal["ciload/baseline/1"], Field(alias="schema")] = "ciload/baseline/1"
    runs: list[StoredRun] = Field(default_factory=list, max_length=MOST_RUNS)
    acceptances: list[Acceptance] = Field(default_factory=list, max_length=MOST_RUNS)

    @field_validator("runs")
    @classmethod
    def _each_once(cls, runs: list[StoredRun]) -> list[StoredRun]:
        run_id, count = next(iter(Counter(run.run_id for run in runs).most_common(1)), ("", 0))
        if count > 1:
            raise ValueError(f"the run {run_id!r} is in it {count} times")
        return runs

    def to_json(self) -> str:
        """The file: a line for each run, so that it can be looked at, and compared with an older one."""
        return f'{{"schema": "{SCHEMA}", "runs": [{_lines(self.runs)}], "acceptances": [{_lines(self.acceptances)}]}}\n'


def _lines(parts: Sequence[Stored]) -> str:
    return ",".join("\n" + part.model_dump_json(by_alias=True) for part in parts)


def json_schema() -> dict[str, object]:
    """The JSON Schema of the file, as published in docs/."""
    schema = Baseline.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": SCHEMA_URL, "$id": SCHEMA} | schema
