"""What a page of trends shows: the runs of each kind over time, and what the gate has found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ciload.result.comparison import Drift
from ciload.result.document import Fingerprint
from ciload.text import request_label

# level: it counts. accepted: an alarm that somebody accepted. ended: an alarm that ended by itself, and counts.
# open: an alarm since the last run that was at the level. excluded: an alarm that stays out. tainted: no measure.
RunState = Literal["level", "accepted", "ended", "open", "excluded", "tainted"]


@dataclass(frozen=True, slots=True)
class TrendRun:
    """A run. `level` is the number of the level that it is part of, from 1 on; 0 for none. `why` it is no measure."""

    run_id: str
    at: datetime
    commit: str
    branch: str
    url: str
    state: RunState
    alarm: Literal["", "worse", "better"]
    level: int
    why: str


@dataclass(frozen=True, slots=True)
class TrendLevel:
    """A level, from one run to another, by their numbers in the kind. `by` and `reason` are of who accepted it."""

    number: int
    first: int
    last: int
    by_itself: bool
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrendSeries:
    """A metric of an endpoint, or of all requests (name ""), as long as the kind has runs.

    Attributes:
        worse: 1 if more is worse, -1 if less is.
        means: of each level, as the gate averages; None where no run of it has the metric.
        old: of the runs that the gate compares the newest one with; None if it does not judge it.
    """

    endpoint: str
    method: str
    metric: str
    unit: str
    worse: int
    values: Sequence[float | None]
    means: Sequence[float | None]
    old: float | None

    @property
    def label(self) -> str:
        return request_label(self.method, self.endpoint) or "all requests"


@dataclass(frozen=True, slots=True)
class TrendDrift:
    """A slow drift of the latest level, and the runs, by their numbers, whose means tell it."""

    found: Drift
    first: Sequence[int]
    last: Sequence[int]


@dataclass(frozen=True, slots=True)
class TrendKind:
    """Runs that can be compared, oldest first.

    Attributes:
        moved: the run from which on the level has most likely moved; None if there is no alarm since the latest level.
        shifted: whether so many alarms in a row are no accident.
    """

    fingerprint: Fingerprint
    runs: Sequence[TrendRun]
    levels: Sequence[TrendLevel]
    series: Sequence[TrendSeries]
    moved: int | None
    shifted: bool
    drifts: Sequence[TrendDrift]
