"""What a worker process and its parent say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ciload.engine.blocking import Blocked
from ciload.engine.control import Stop
from ciload.engine.load import SegmentEnd, SegmentReport
from ciload.engine.segment import Segment
from ciload.errors import ExitCode
from ciload.options.plan import Plan
from ciload.script.page import Page


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker has to do. `data` is what setup() returned by arm, pickled: its classes may be the script's."""

    plan: Plan
    script: Path | Page
    segment: Segment
    data: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """All virtual users are."""


@dataclass(frozen=True, slots=True)
class Go:
    """The load starts at this time of the clock that all processes share."""

    at: float


@dataclass(frozen=True, slots=True)
class Finish:
    """The load has shown what it was for: no iteration begins any more."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot do what it was given."""

    code: ExitCode
    reason: str


FromWorker = Ready | SegmentReport | Stop | Blocked | SegmentEnd | Broken
ToWorker = Go | Stop | Finish
