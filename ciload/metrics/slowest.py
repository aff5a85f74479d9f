"""The slowest requests: found once a second in what is folded anyway, so that no request pays for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest

import numpy as np
import numpy.typing as npt

from ciload.metrics.series import Tags

MOST = 10


@dataclass(frozen=True, slots=True, order=True)
class SlowRequest:
    """One request: its time in ms, what it is measured under, and the second of the load in which it ended."""

    ms: float
    at_s: float
    method: str
    name: str
    status: int
    error: str = ""
    trace: str = ""  # the id that was sent with it, if any was


def slowest_of(*parts: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The first of several lists of the slowest, the slowest first."""
    return nlargest(MOST, (each for part in parts for each in part))


class Slowest:
    """Those of one process so far. What is not slower than all of them is found by one comparison a second."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._fresh: list[SlowRequest] = []
        self.at_s = 0.0  # seconds of the load that are over

    def look(self, durations: npt.NDArray[np.float64], tags: Tags, traces: Mapping[int, str]) -> None:
        """Take in those of a series, in ms; `traces` by their places."""
        floor = self._times[-1] if len(self._times) == MOST else -1.0
        if durations.max() <= floor:
            return
        facts = dict(tags)
        method, name, error = (facts.get(each, "") for each in ("method", "name", "error"))
        places = np.argsort(durations)[-MOST:]
        found = [
            SlowRequest(
                float(durations[place]), self.at_s, method, name, int(facts.get("status", 0)), error,
                traces.get(int(place), ""),
            )
            for place in places
            if durations[place] > floor
        ]  # fmt: skip
        self._times = nlargest(MOST, (*self._times, *(each.ms for each in found)))
        self._fresh = slowest_of(self._fresh, found)

    def take(self) -> list[SlowRequest]:
        """Those found since somebody last asked."""
        fresh, self._fresh = self._fresh, []
        return fresh
