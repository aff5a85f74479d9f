"""Scenarios: who runs what, by which executor. Names, fields and defaults are k6's, in snake_case.

Closed model, where the next iteration starts when the last one has ended: `constant-vus`, `ramping-vus`,
`shared-iterations`, `per-vu-iterations`. Open model, where iterations start on a schedule whatever the target does:
`constant-arrival-rate`, `ramping-arrival-rate`.
"""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from ciload.options.values import AsStages, Count, Duration, LoadDuration, Pairs, split_rate

LONGEST_ITERATIONS_S = 600.0  # k6's maxDuration
RAMP_DOWN_S = 30.0
# Unless it is said how many virtual users an arrival rate may use: enough for iterations of so long.
PATIENCE_S = 10.0
MOST_ARRIVAL_VUS = 10_000


def snake_case(key: str) -> str:
    """`startVUs` and `start-vus` mean `start_vus`: k6's spelling and a flag's are welcome everywhere."""
    words = re.sub(
        r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key.replace("VUs", "Vus").replace("IPs", "Ips")
    )
    return words.replace("-", "_").lower()


def _snake_keys(value: object) -> object:
    return {snake_case(str(key)): each for key, each in value.items()} if isinstance(value, Mapping) else value


class Stage(BaseModel):
    """A straight line to `target` over `duration` seconds; 0 is a jump."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    duration: Duration
    target: Annotated[int, Field(ge=0)]


Stages = Annotated[tuple[Annotated[Stage, BeforeValidator(_snake_keys)], ...], Field(max_length=10_000), AsStages]


class _Scenario(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    exec: str = "default"
    weights: Annotated[dict[str, Annotated[float, Field(gt=0, le=1e9)]], Field(max_length=100)] | None = None
    start_time: Duration = 0.0
    graceful_stop: Duration | None = None  # None: the run's
    env: Pairs = Field(default_factory=dict)
    tags: Pairs = Field(default_factory=dict)

    @property
    def functions(self) -> list[str]:
        """The functions of the script that its iterations run: one, or one of several by their weights."""
        return list(self.weights or [self.exec])

    @model_validator(mode="after")
    def _runs_something(self) -> Self:
        if self.weights is not None and not self.weights:
            raise ValueError("weights name no function")
        if self.weights and "exec" in self.model_fields_set:
            raise ValueError("exec names the only function, and weights several: say one of them")
        return self

    @property
    @abstractmethod
    def length_s(self) -> float:
        """How long iterations may start, from the scenario's own start."""

    @property
    @abstractmethod
    def most_vus(self) -> int:
        """How many virtual users it can have at once."""

    @property
    def prepared_vus(self) -> int:
        """How many of them are made before the load begins."""
        return self.most_vus

    @property
    def iterations_in_all(self) -> int | None:
        """How many iterations it ends after; None when time ends it."""
        return None

    @property
    def ends_s(self) -> float:
        """When its last iteration is over at the latest, from the start of the load."""
        return self.start_time + self.length_s + (self.graceful_stop or 0.0)


class ConstantVUs(_Scenario):
    """Virtual users that do one iteration after the other."""

    executor: Literal["constant-vus"] = "constant-vus"
    vus: Count = 1
    duration: LoadDuration

    @property
    def length_s(self) -> float:
        return self.duration

    @property
    def most_vus(self) -> int:
        return self.vus


class _Ramp(_Scenario):
    stages: Stages

    @property
    def length_s(self) -> float:
        return sum(stage.duration for stage in self.stages)

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if self.length_s < 1:
            raise ValueError("the stages together must last at least 1s")
        return self


class RampingVUs(_Ramp):
    """A number of virtual users that follows straight lines."""

    executor: Literal["ramping-vus"] = "ramping-vus"
    start_vus: Annotated[int, Field(ge=0)] = 1
    graceful_ramp_down: Duration = RAMP_DOWN_S

    @property
    def most_vus(self) -> int:
        return max(self.start_vus, *(stage.target for stage in self.stages))

    @model_validator(mode="after")
    def _has_somebody(self) -> Self:
        if self.most_vus == 0:
            raise ValueError("no stage has a target above 0")
        return self


class _Iterations(_Scenario):
    vus: Count = 1
    iterations: Count = 1
    max_duration: LoadDuration = LONGEST_ITERATIONS_S

    @property
    def length_s(self) -> float:
        return self.max_duration

    @property
    def most_vus(self) -> int:
        return self.vus


class SharedIterations(_Iterations):
    """A number of iterations that virtual users take from one pot."""

    executor: Literal["shared-iterations"] = "shared-iterations"

    @property
    def iterations_in_all(self) -> int:
        return self.iterations

    @model_validator(mode="after")
    def _keeps_all_busy(self) -> Self:
        if self.iterations < self.vus:
            raise ValueError(
                f"{self.iterations} iterations cannot keep {self.vus} virtual users busy; use at least one for each"
            )
        return self


class PerVUIterations(_Iterations):
    """A number of iterations for each virtual user."""

    executor: Literal["per-vu-iterations"] = "per-vu-iterations"

    @property
    def iterations_in_all(self) -> int:
        return self.iterations * self.vus


class _Arrivals(_Scenario):
    time_unit: Annotated[Duration, Field(gt=0)] = 1.0
    pre_allocated_vus: Annotated[int, Field(ge=0)] | None = None
    max_vus: Count | None = None

    @property
    @abstractmethod
    def peak_per_s(self) -> float:
        """The highest rate of starts."""

    @property
    def most_vus(self) -> int:
        if self.max_vus or self.pre_allocated_vus:
            return self.max_vus or self.pre_allocated_vus or 1
        return min(MOST_ARRIVAL_VUS, max(1, math.ceil(self.peak_per_s * PATIENCE_S)))

    @property
    def prepared_vus(self) -> int:
        return min(self.pre_allocated_vus or 0, self.most_vus)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_vus is not None and self.max_vus < (self.pre_allocated_vus or 0):
            raise ValueError(f"max_vus {self.max_vus} is less than pre_allocated_vus {self.pre_allocated_vus}")
        if self.pre_allocated_vus == 0 and self.max_vus is None:
            raise ValueError("pre_allocated_vus 0 needs max_vus")
        return self


def _split_rate_field(value: object) -> object:
    """`rate: 3000/m` is `rate: 3000` with `time_unit: 1m`."""
    if isinstance(value, dict) and isinstance(value.get("rate"), str) and "/" in value["rate"]:
        if "time_unit" in value:
            raise ValueError(f"rate {value['rate']!r} says per how long, and so does time_unit; say it once")
        count, unit_s = split_rate(value["rate"])
        return value | {"rate": count, "time_unit": f"{unit_s:f}s"}
    return value


class ConstantArrivalRate(_Arrivals):
    """Iterations that start evenly spaced, the first at once."""

    executor: Literal["constant-arrival-rate"] = "constant-arrival-rate"
    rate: Annotated[float, Field(gt=0, le=1e6)]
    duration: LoadDuration

    _split = model_validator(mode="before")(_split_rate_field)

    @property
    def length_s(self) -> float:
        return self.duration

    @property
    def peak_per_s(self) -> float:
        return self.rate / self.time_unit


class RampingArrivalRate(_Arrivals, _Ramp):
    """Iterations that start at a rate that follows straight lines."""

    executor: Literal["ramping-arrival-rate"] = "ramping-arrival-rate"
    start_rate: Annotated[float, Field(ge=0, le=1e6)] = 0.0

    @property
    def peak_per_s(self) -> float:
        return max(self.start_rate, *(stage.target for stage in self.stages)) / self.time_unit

    @model_validator(mode="after")
    def _starts_something(self) -> Self:
        if self.peak_per_s == 0:
            raise ValueError("no stage has a target above 0")
        return self


Scenario = (
    ConstantVUs | RampingVUs | SharedIterations | PerVUIterations | ConstantArrivalRate | RampingArrivalRate
)  # fmt: skip
EXECUTORS: dict[str, type[Scenario]] = {
    each.model_fields["executor"].default: each
    for each in (ConstantVUs, RampingVUs, SharedIterations, PerVUIterations, ConstantArrivalRate, RampingArrivalRate)
}

ScenarioName = Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z_-]+$", max_length=100)]
Scenarios = dict[
    ScenarioName, Annotated[Annotated[Scenario, Field(discriminator="executor")], BeforeValidator(_snake_keys)]
]
