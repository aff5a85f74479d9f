"""What a gate found: this run against earlier ones, or against another target in the same run."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ciload.metrics.metric import Better
from ciload.text import request_label

NOT_KNOWN = "–"  # noqa: RUF001  a number may stand there, and "-" would look like its sign
MANY_TIMES, MOST_TIMES = 10, 1_000  # from 10 on "12 times" reads better than "+1,100%"; beyond 1,000 nobody reads it
GateName = Literal["history", "side by side"]
MetricName = Literal[
    "p50", "mean", "p95", "p99", "median endpoint p50", "failed requests", "failed checks", "requests/s",
    "CPU per request", "share of true", "share of false", "per second", "value",
]  # fmt: skip
Reaction = Literal["fail", "warn", "pass"]  # to a gate that has nothing to say


class DocumentPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GateVerdict(StrEnum):
    REGRESSION = "regression"
    IMPROVED = "improved"
    OK = "ok"
    UNSUSPICIOUS = "nothing suspicious"  # no sign of a change, but a larger one than tolerated may have gone unseen
    SUSPICIOUS = "suspicious"  # it looks like a change for the worse, and this run alone cannot tell
    INCONCLUSIVE = "inconclusive"  # could not be judged: too little data, or the run is no good measure
    MISSING = "no baseline"  # of a whole comparison: there was nothing to compare with


def relative(change: float) -> str:
    """A relative change: `+4.2%`, `+96%`, and where percents say nothing any more, `14 times`."""
    if not change >= -1:  # less than nothing, or no number
        return NOT_KNOWN
    if change >= MANY_TIMES - 1:
        return f"{1 + change:,.0f} times" if change < MOST_TIMES else f"over {MOST_TIMES:,} times"
    percent = round(change * 100, 1) + 0.0  # no -0.0
    return f"{percent:+.1f}%" if abs(percent) < 10 else f"{change:+.0%}"


def points(change: float) -> str:
    """The difference of two shares, in percentage points: `+1.2 points`."""
    return f"{round(100 * change, 2) + 0.0:+.3g} points" if math.isfinite(change) else NOT_KNOWN


class GatedMetric(DocumentPart):
    """One number of one endpoint, or of a metric that the gate was asked to judge, old against new.

    Changes are relative: 0.1 is 10% more, -0.5 half as much. Of shares (failed requests, failed checks) they are
    differences: 0.1 is ten percentage points more.
    """

    endpoint: str = Field(description='"" for all requests together')
    method: str = ""
    metric: MetricName
    unit: str = Field(description='of the values: "ms", "/s", what a script calls its own; "share": of all')
    better: Better = "lower"
    verdict: GateVerdict
    reason: str = Field(default="", description="why it is not ok, in words: what was seen, what could have been")
    decides: bool = Field(default=True, description="false: it has too few requests to be judged")
    old: float | None = Field(default=None, description="geometric mean of the runs, or of the blocks, compared with")
    new: float | None = None
    change: float | None = None
    low: float | None = Field(default=None, description="the change is at least this: lower end of its 90% interval")
    high: float | None = Field(default=None, description="the change is at most this: upper end of its 90% interval")
    p_value: float | None = Field(
        default=None, description="of a change for the worse, adjusted for all metrics (Holm)"
    )
    detectable: float | None = Field(
        default=None, description="the smallest change for the worse that would be found 8 times in 10"
    )
    tolerance: float | None = Field(default=None, description="of its own; null: that of the comparison")
    history: list[float] = Field(default_factory=list, description="of each run used, oldest first, then of this one")

    @property
    def label(self) -> str:
        """The endpoint as reports call it."""
        return request_label(self.method, self.endpoint) or "all requests"

    @property
    def changed(self) -> str:
        """The change in a sentence: `+23%`, `+1.2 points`."""
        if self.change is None:
            return ""
        return points(self.change) if self.unit == "share" else relative(self.change)


class Contribution(DocumentPart):
    """How much one endpoint moved the mean time of all requests (ms), and in which phases."""

    endpoint: str
    method: str
    moved_ms: float = Field(description="its requests became slower or faster, weighted with their share")
    connecting_ms: float
    sending_ms: float
    waiting_ms: float
    receiving_ms: float


class RunReference(DocumentPart):
    """A run that was compared with."""

    run_id: str
    at: str
    commit: str | None = None
    branch: str | None = None


class Drift(DocumentPart):
    """What has become slower little by little: the last runs of a level against its first ones, all requests together.

    `first` and `last` are geometric means.
    """

    metric: str
    unit: str
    first: float
    last: float
    change: float = Field(description="relative")
    runs: int = Field(description="of the level, this one included")


class Accepted(DocumentPart):
    """Somebody has said that a change of the level is meant."""

    by: str
    reason: str
    where: str = Field(description="where it was said: --accept, the message of a commit, the text of a pull request")

    def __str__(self) -> str:
        return f"accepted by {self.by} ({self.where}): {self.reason}"


class Comparison(DocumentPart):
    """What one gate found."""

    gate: GateName
    against: str = Field(description="the baseline file or URL, or the other target; without credentials")
    verdict: GateVerdict
    reason: str = Field(default="", description="why there is no clear verdict")
    false_alarm: float = Field(description="the chance of an alarm in a run that has not changed, all metrics together")
    tolerance: float = Field(description="changes for the worse below this are no regression")
    runs: list[RunReference] = Field(default_factory=list, description="earlier runs that were used, oldest first")
    runs_needed: int | None = Field(
        default=None, description="against history: given when there are too few runs to know how much runs differ"
    )
    blocks: int | None = Field(default=None, description="side by side: how many pairs of blocks were compared")
    fresh: int = Field(default=1, description="runs of this job that were averaged: 1, or more when it was confirmed")
    metrics: list[GatedMetric] = Field(default_factory=list)
    mean_old: float | None = Field(default=None, description="ms: mean time of all requests, connecting included")
    mean_new: float | None = None
    contributions: list[Contribution] = Field(default_factory=list, description="what moved that mean, most first")
    drift: list[Drift] = Field(default_factory=list, description="against history: what has become slower run by run")
    notes: list[str] = Field(default_factory=list, description="what to know about the runs that were compared")
    accepted: Accepted | None = Field(default=None, description="a regression that is meant, and fails no run")

    @property
    def deciding(self) -> list[GatedMetric]:
        """The metrics that the verdict is made of; those with too few requests are none of these."""
        return [each for each in self.metrics if each.decides]

    @property
    def suspected(self) -> str:
        """The metrics that look worse, most certain first: `GET /users p50 +12%, p95 +20%`."""
        found = [each for each in self.metrics if each.verdict is GateVerdict.SUSPICIOUS]
        found.sort(key=lambda each: 1.0 if each.p_value is None else each.p_value)
        return ", ".join(f"{each.label} {each.metric} {each.changed}" for each in found)

    @property
    def undecided(self) -> str:
        """How many of these could not be judged: `2 of 10 metrics could not be judged`; "" when all are."""
        count = sum(each.verdict is GateVerdict.INCONCLUSIVE for each in self.deciding)
        return f"{count} of {len(self.deciding)} metrics could not be judged" if count else ""
