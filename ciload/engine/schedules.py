"""When what is planned is due: arithmetic alone, no clock.

Times are seconds since the scenario's start. A plan of stages is a line: of starts per second, or of virtual users.
The rules are k6's (lib/executor: constant_arrival_rate.go, ramping_arrival_rate.go, ramping_vus.go).

Numbers given here are taken as valid: finite, not negative.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from ciload.engine.segment import WHOLE, Segment

SAME = 1e-12  # far above the rounding of a few sums and products, far below anything that somebody would plan


@dataclass(frozen=True, slots=True)
class Ramp:
    """A straight line to `target` over `duration_s` seconds; 0 s is a jump."""

    duration_s: float
    target: float


@dataclass(frozen=True, slots=True)
class _Line:
    """A stage that knows when it begins (s) and where it comes from."""

    begins_s: float
    duration_s: float
    start: float
    target: float

    @property
    def ends_s(self) -> float:
        return self.begins_s + self.duration_s

    @property
    def area(self) -> float:
        return self.duration_s * (self.start + self.target) / 2

    def reaches(self, area: float, left: float) -> float:
        """When `area` lies behind and `left` before us, of an area that is not 0. Seconds since the scenario's start.

        That is area / the average rate until then. The rate at that point is computed from the slower end of the line,
        where nothing cancels out.
        """
        slower, part = (self.start, area) if self.start <= self.target else (self.target, left)
        rate = math.sqrt(slower * slower + 2 * part * abs(self.target - self.start) / self.duration_s)
        return self.begins_s + min(self.duration_s, 2 * area / (self.start + rate))


def _lines(start: float, stages: Sequence[Ramp]) -> Iterator[_Line]:
    begins_s = 0.0
    for stage in stages:
        yield _Line(begins_s, stage.duration_s, start, stage.target)
        begins_s += stage.duration_s
        start = stage.target


def _snapped(area: float) -> float:
    """`area`, or the whole number it would be without rounding: 0.1/s for 30 s are 3 starts, and not a bit more."""
    whole = round(area)
    return float(whole) if math.isclose(area, whole, rel_tol=SAME) else area


def constant_arrivals(per_second: float, duration_s: float, segment: Segment = WHOLE) -> Iterator[tuple[int, float]]:
    """(number, due in s) of this segment's starts: evenly spaced, the first at 0, all before `duration_s`.

    Numbers count from 0 over all segments. 10/s for 2 s are 20 starts: at 0, 0.1, ... 1.9.
    """
    for local in range(segment.share(planned_constant(per_second, duration_s))):
        number = segment.number(local)
        yield number, number / per_second


def planned_constant(per_second: float, duration_s: float) -> int:
    """How many starts `constant_arrivals` has, over all segments."""
    return math.ceil(_snapped(per_second * duration_s))


def ramping_arrivals(start: float, stages: Sequence[Ramp], segment: Segment = WHOLE) -> Iterator[tuple[int, float]]:
    """(number, due in s) of this segment's starts; `start` and the targets are starts per second.

    Start k (from 0, over all segments) is due when the area under the line reaches k + 1, up to and including the end:
    10/s for 2 s are 20 starts: at 0.1, 0.2, ... 2.0. A fraction at the end of a stage carries over into the next.
    """
    before = 0.0
    for line in _lines(start, stages):
        after = _snapped(before + line.area)
        for local in range(segment.share(int(before)), segment.share(int(after))):
            number = segment.number(local)
            yield number, line.reaches(number + 1 - before, after - (number + 1))
        before = after


def planned_ramping(start: float, stages: Sequence[Ramp]) -> int:
    """How many starts `ramping_arrivals` has, over all segments."""
    area = 0.0
    for line in _lines(start, stages):
        area = _snapped(area + line.area)
    return int(area)


def rate_at(start: float, stages: Sequence[Ramp], at_s: float) -> float:
    """How high the line is at `at_s`, in its own unit; where it jumps, after the jump. 0 after the end."""
    ends_s = 0.0
    for line in _lines(start, stages):
        ends_s, start = line.ends_s, line.target
        if at_s < ends_s:
            return line.start + (line.target - line.start) * (at_s - line.begins_s) / line.duration_s
    return start if at_s == ends_s else 0.0


def vu_steps(start: int, stages: Sequence[Ramp]) -> list[tuple[float, int]]:
    """(from when in s, how many virtual users are planned), beginning at 0; each entry is later and differs.

    On the way up the n-th user starts when the line reaches n, on the way down it leaves when the line reaches n - 1.
    The last entry holds to the end of the stages, which is not an entry. A jump at 0 takes the place of `start`.
    """
    vus, vus_from = start, {0.0: start}
    for line in _lines(start, stages):
        up, down = range(vus + 1, math.floor(line.target) + 1), range(vus - 1, math.ceil(line.target) - 1, -1)
        for vus in chain(up, down):
            # Counted from the stage's end, so that the last step is exactly there, where a jump may follow.
            to_go = (line.target - vus) * line.duration_s / (line.target - line.start)
            vus_from[max(line.begins_s, line.ends_s - to_go)] = vus
    steps: list[tuple[float, int]] = []
    for step in vus_from.items():
        if not steps or steps[-1][1] != step[1]:
            steps.append(step)
    return steps


def vus_at(steps: Sequence[tuple[float, int]], at_s: float) -> int:
    """How many virtual users `vu_steps` plans at `at_s` (not negative; the end of the stages is not known here)."""
    return steps[bisect_right(steps, at_s, key=itemgetter(0)) - 1][1]


def stints(steps: Sequence[tuple[float, int]], end_s: float) -> list[list[tuple[float, float]]]:
    """For every virtual user (on, off) in s: when it is planned to be active, by the steps of `vu_steps`.

    Who started last leaves first, so that user `index` is active while there are more than `index`. All are off at
    `end_s`. Users that would only start then are not listed.
    """
    planned: list[list[tuple[float, float]]] = []
    on: list[float] = []  # when each of those that are active has started
    for at_s, vus in [*steps, (end_s, 0)]:
        now = min(at_s, end_s)
        while len(on) > vus:
            planned[len(on) - 1].append((on.pop(), now))
        while len(on) < vus and at_s < end_s:
            if len(planned) == len(on):
                planned.append([])
            on.append(now)
    return planned
