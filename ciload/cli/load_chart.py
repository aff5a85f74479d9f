"""The load of a scenario over time as a small chart of block characters: what is planned, not what is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ciload.engine.schedules import Ramp, rate_at, vu_steps, vus_at
from ciload.options.plan import Plan
from ciload.options.scenarios import ConstantArrivalRate, RampingArrivalRate, RampingVUs, Scenario
from ciload.reports.format import format_value

COLUMNS, ROWS = 60, 8
BLOCKS = " ▁▂▃▄▅▆▇█"  # from nothing to eight eighths of a row
EIGHTHS = len(BLOCKS) - 1
SLIVER = 1e-9  # of a column
GAP = 2  # between times on the axis


@dataclass(frozen=True, slots=True)
class Curve:
    """How much is planned at a time, from the scenario's own start on."""

    unit: str
    length_s: float
    at: Callable[[float], float]
    corners: Sequence[tuple[float, float]] = ()  # (s, how much), both values where it jumps: what `at` may step over

    def most_between(self, begin_s: float, end_s: float) -> float:
        """The largest value in a stretch of time; 0 outside of the scenario."""
        begin_s, end_s = max(0.0, begin_s), min(self.length_s, end_s)
        if begin_s >= end_s:
            return 0.0
        inside = (value for at_s, value in self.corners if begin_s < at_s < end_s)
        return max(self.at(begin_s), self.at(end_s), *inside)


def curve_of(scenario: Scenario) -> Curve:
    """Virtual users, or starts per second, as the executor plans them."""
    length_s = scenario.length_s
    match scenario:
        case RampingVUs():
            stages = [Ramp(each.duration, each.target) for each in scenario.stages]
            steps = vu_steps(scenario.start_vus, stages)
            return Curve("VUs", length_s, lambda at_s: vus_at(steps, at_s), steps)
        case RampingArrivalRate():
            start = scenario.start_rate / scenario.time_unit
            stages = [Ramp(each.duration, each.target / scenario.time_unit) for each in scenario.stages]
            corners = list(_corners(start, stages))
            return Curve("iterations/s", length_s, lambda at_s: rate_at(start, stages, at_s), corners)
        case ConstantArrivalRate():
            return Curve("iterations/s", length_s, lambda _: scenario.peak_per_s)
        case _:
            return Curve("VUs", length_s, lambda _: scenario.most_vus)


def _corners(start: float, stages: Sequence[Ramp]) -> Iterator[tuple[float, float]]:
    at_s = 0.0
    for stage in stages:
        if stage.duration_s:
            yield at_s, start
            yield at_s + stage.duration_s, stage.target
        at_s, start = at_s + stage.duration_s, stage.target


def axis_s(plan: Plan) -> float:
    """How much time all charts show: what the clock ends, and all of it when only iterations end the load."""
    scenarios = plan.scenarios.values()
    timed = [each.start_time + each.length_s for each in scenarios if each.iterations_in_all is None]
    counted = [each.start_time for each in scenarios if each.iterations_in_all is not None]
    # Iterations may take ten minutes and mostly take seconds: they must not squeeze the others to nothing.
    return max(timed) if timed and max(counted, default=0.0) < max(timed) else plan.length_s


def sketches(plan: Plan) -> dict[str, list[str]]:
    """The lines of a chart for each scenario, all from the start of the load to `axis_s`.

    Each column shows the most that is planned in it.
    """
    end_s = axis_s(plan)
    curves = {name: curve_of(each) for name, each in plan.scenarios.items()}
    columns = {name: _columns(curves[name], each.start_time, end_s) for name, each in plan.scenarios.items()}
    tops = {name: f"{format_value(max(columns[name]), '')} {curve.unit}" for name, curve in curves.items()}
    margin = max(map(len, tops.values()))
    return {
        name: list(_chart(columns[name], tops[name].rjust(margin), _times(each, end_s)))
        for name, each in plan.scenarios.items()
    }


def _columns(curve: Curve, begins_s: float, end_s: float) -> list[float]:
    step_s = end_s / COLUMNS
    starts = [index * step_s - begins_s for index in range(COLUMNS)]
    # What changes between two columns is in one of them, whatever rounding does to its time.
    return [curve.most_between(at_s + step_s * SLIVER, at_s + step_s * (1 - SLIVER)) for at_s in starts]


def _chart(columns: Sequence[float], top: str, times: str) -> Iterator[str]:
    blank = " " * len(top)
    for index, row in enumerate(_rows(columns)):
        yield f"{blank} │{row}".rstrip() if index else f"{top} ┤{row}".rstrip()
    yield f"{'0':>{len(top)}} └{'─' * COLUMNS}"
    yield f"{blank}  {times}".rstrip()


def _rows(values: Sequence[float]) -> Iterator[str]:
    """The rows of bars, highest first. What is not 0 shows."""
    top = max(values)
    heights = [max(1, round(value / top * ROWS * EIGHTHS)) if value else 0 for value in values]
    for below in range((ROWS - 1) * EIGHTHS, -1, -EIGHTHS):
        yield "".join(BLOCKS[min(EIGHTHS, max(0, height - below))] for height in heights)


def _times(scenario: Scenario, end_s: float) -> str:
    """The scenario's own start and end, and those of the axis where there is room for them."""
    begins_s, over_s = scenario.start_time, min(end_s, scenario.start_time + scenario.length_s)
    begin, over, last = time_text(begins_s), time_text(over_s), time_text(end_s)
    over_at = max(_column(begins_s, end_s) + len(begin) + GAP, _column(over_s, end_s) - len(over))
    over_at = min(over_at, COLUMNS - len(over))
    begin_at = min(_column(begins_s, end_s), over_at - GAP - len(begin))
    line = " " * begin_at + begin
    line = line.ljust(over_at) + over
    if begin_at >= len("0s") + GAP:
        line = "0s" + line[len("0s") :]
    return line + last.rjust(COLUMNS - len(line)) if len(line) + GAP + len(last) <= COLUMNS else line


def _column(at_s: float, end_s: float) -> int:
    return round(at_s / end_s * COLUMNS)


def time_text(seconds: float) -> str:
    return format_value(seconds * 1e3, "ms") if seconds else "0s"
