"""Schedules: exact where the numbers are, k6's rules where there are choices, and the same whole however it is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.engine.schedules import (
    Ramp,
    constant_arrivals,
    planned_constant,
    planned_ramping,
    ramping_arrivals,
    rate_at,
    stints,
    vu_steps,
    vus_at,
)
from ciload.engine.segment import WHOLE, Segment

HOUR_S = 3600
UP_AND_DOWN = [Ramp(1800, 100), Ramp(1800, 0)]

Arrivals = list[tuple[int, float]]

seconds = st.just(0.0) | st.floats(0, 600) | st.integers(0, 6000).map(lambda tenths: tenths / 10)
rates = st.just(0.0) | st.floats(0, 1000) | st.integers(0, 1000).map(float)
ramps = st.lists(st.builds(Ramp, seconds, rates), max_size=6)
counts = st.integers(1, 7)

# Durations of 0 or from 0.1 s, so that the line at a time is well known in spite of rounding.
tenths = st.just(0.0) | st.integers(0, 6000).map(lambda number: number / 10)
climbs = st.lists(st.builds(Ramp, tenths, st.integers(0, 1000).map(float)), max_size=6)
few = st.integers(0, 25)
small_climbs = st.lists(st.builds(Ramp, seconds, few.map(float)), max_size=6)


def area(start: float, stages: Sequence[Ramp], until_s: float | None = None) -> Fraction:
    """The exact integral of the line."""
    total, rate, left = Fraction(0), Fraction(start), Fraction(end(stages) if until_s is None else until_s)
    for stage in stages:
        duration, target = Fraction(stage.duration_s), Fraction(stage.target)
        span = min(duration, left)
        if span:
            total += span * (2 * rate + (target - rate) * span / duration) / 2
        left, rate = left - span, target
    return total


def end(stages: Sequence[Ramp]) -> float:
    """When the last stage ends."""
    return list(accumulate((stage.duration_s for stage in stages), initial=0.0))[-1]


def thinned(planned: int) -> Segment:
    """Everything, or of many starts a stripe of some hundreds."""
    return Segment(planned // 2, planned // 200) if planned >= 400 else WHOLE


def stripes_of(stripe: Segment, count: int) -> list[Segment]:
    return [Segment(stripe.index + part * stripe.count, stripe.count * count) for part in range(count)]


def dues(arrivals: Iterator[tuple[int, float]]) -> list[float]:
    numbers, times = zip(*arrivals, strict=True)
    assert numbers == tuple(range(len(numbers)))
    return list(times)


@pytest.mark.parametrize(
    ("per_second", "duration_s", "starts"),
    [
        *((10, 2, 20), (3, 10, 30), (0.1, 30, 3), (0.3, 10, 3), (8.8, 12.5, 110), (7, 0.7, 5), (1e6, 1e6, 10**12)),
        *((31 / 60, 60, 31), (20 / 60, 60, 20), (1, 1.001, 2), (1, 0.999, 1), (0.01, 1, 1), (0, 10, 0), (10, 0, 0)),
    ],
)
def test_as_many_starts_as_exact_arithmetic_says(per_second: float, duration_s: float, starts: int) -> None:
    """Rounding neither adds a start at the very end nor takes the last one away."""
    assert planned_constant(per_second, duration_s) == starts


def test_constant_arrivals_begin_at_once() -> None:
    """10/s for 2 s are 20 starts, the first at 0 and none at the end."""
    assert dues(constant_arrivals(10, 2)) == [tenth / 10 for tenth in range(20)]


def test_a_segment_has_its_own_starts_only() -> None:
    """Each process starts every count-th, at the time it has in the whole."""
    assert list(constant_arrivals(10, 1, Segment(1, 4))) == [(1, 0.1), (5, 0.5), (9, 0.9)]
    assert list(ramping_arrivals(10, [Ramp(1, 10)], Segment(3, 4))) == [(3, 0.4), (7, 0.8)]


def test_ramping_arrivals_begin_with_an_area_of_one() -> None:
    """10/s for 2 s are 20 starts, the first after a tenth of a second and the last at the end."""
    assert dues(ramping_arrivals(10, [Ramp(2, 10)])) == [tenth / 10 for tenth in range(1, 21)]


def test_k6s_own_example() -> None:
    """5 s of 2/s, then up to 3/s: the first start at 0.5 s, the eleventh where the rising part has an area of 1."""
    due = dues(ramping_arrivals(2, [Ramp(5, 2), Ramp(5, 3)]))
    assert due[:10] == [number / 2 for number in range(1, 11)]
    assert due[10] == pytest.approx(5 + 10 * (1.1**0.5 - 1), rel=1e-15)
    assert len(due) == 22


def test_fractions_carry_over() -> None:
    """4.9 s of 2/s leave 0.8 of a start to the next stage, which needs only 0.2 more for its first."""
    stages = [Ramp(4.9, 2), Ramp(0, 1), Ramp(1.2, 1)]
    assert dues(ramping_arrivals(2, stages))[8:] == pytest.approx([4.5, 5.1, 6.1])
    assert planned_ramping(0.5, [Ramp(1, 0.5)] * 5) == 2


def test_rounding_over_stages_costs_no_start() -> None:
    """Ten stages of 0.1 s are a second, though their sum is less, and no start is due after the last stage's end."""
    stages = [Ramp(0.1, 1)] * 10
    assert end(stages) < 1
    assert dues(ramping_arrivals(1, stages)) == [end(stages)]
    assert planned_ramping(1, stages) == 1
    stages = [Ramp(2.1, 0.9), Ramp(3.5, 1.9)]
    assert dues(ramping_arrivals(1.1, stages))[6] == end(stages)


def test_a_jump_takes_no_time() -> None:
    """A stage of 0 s has no starts itself; the next one runs at its rate."""
    assert dues(ramping_arrivals(0, [Ramp(0, 2), Ramp(1, 2), Ramp(0, 4), Ramp(0.5, 4)])) == [0.5, 1.0, 1.25, 1.5]
    assert list(ramping_arrivals(5, [Ramp(0, 100)])) == []


def test_down_to_nothing_and_up_again() -> None:
    """The last start of a way down to 0 is at its end, a pause has none, and the way up mirrors the way down."""
    due = dues(ramping_arrivals(4, [Ramp(2, 0), Ramp(10, 0), Ramp(2, 4)]))
    down = [2 - (4 - number) ** 0.5 for number in range(1, 5)]
    up = [12 + number**0.5 for number in range(1, 5)]
    assert due == pytest.approx(down + up, rel=1e-15)
    assert due[3] == 2.0


def test_nothing_is_planned_without_stages() -> None:
    """A start rate alone has no duration, and a line at 0 no starts."""
    assert list(ramping_arrivals(10, [])) == list(ramping_arrivals(0, [Ramp(60, 0)])) == []
    assert planned_ramping(10, []) == 0
    assert (rate_at(10, [], 0), rate_at(10, [], 1)) == (10, 0)


def test_an_hour_of_constant_arrivals() -> None:
    """10/s for an hour are 36,000 starts, the last one a tenth of a second before the end."""
    due = dues(constant_arrivals(10, HOUR_S))
    assert (len(due), due[-1]) == (36_000, 3599.9)


def test_an_hour_of_ramping_arrivals() -> None:
    """From 0 to 100/s and back in an hour are 180,000 starts; half of them in half of the time, the last at the end."""
    due = dues(ramping_arrivals(0, UP_AND_DOWN))
    assert (len(due), due[89_999], due[-1]) == (180_000, 1800, 3600)


def test_an_hour_of_virtual_users() -> None:
    """From 0 to 100 users and back in an hour: one every 18 s, the hundredth at the half."""
    steps = vu_steps(0, UP_AND_DOWN)
    assert steps == [(18.0 * number, number if number <= 100 else 200 - number) for number in range(201)]


@pytest.mark.parametrize("per_second", [0.1, 1 / 3, 7.3, 999.9])
def test_constant_arrivals_do_not_drift(per_second: float) -> None:
    """Any start of a long run is where exact arithmetic puts it."""
    planned = planned_constant(per_second, 100 * HOUR_S)
    for number in (1, planned // 3, planned - 1):
        [(same, due)] = constant_arrivals(per_second, 100 * HOUR_S, Segment(number, planned))
        assert same == number
        assert due == pytest.approx(float(number / Fraction(per_second)), rel=1e-15)


@pytest.mark.parametrize("twelfth", [1, 2, 10, 99, 299, 300])
def test_ramping_arrivals_do_not_drift(twelfth: int) -> None:
    """From 0 to 100/s in an hour the area at 12 j seconds is 2 j², and back down the same is left to come."""
    before, total = 2 * twelfth**2, 180_000
    [(_, up)] = ramping_arrivals(0, [Ramp(HOUR_S, 100)], Segment(before - 1, total))
    assert up == pytest.approx(12 * twelfth, rel=1e-15)
    stages = [Ramp(HOUR_S, 100), Ramp(HOUR_S, 0)]
    [(_, down)] = ramping_arrivals(0, stages, Segment(2 * total - before, 2 * total))
    exact = float(area(0, stages, down))
    assert exact == pytest.approx(2 * total - before + 1, rel=1e-12)
    [(_, down)] = ramping_arrivals(0, stages, Segment(2 * total - before - 1, 2 * total))
    assert down == pytest.approx(2 * HOUR_S - 12 * twelfth, rel=1e-15)


@settings(deadline=None)
@given(rates, seconds, counts)
def test_constant_arrivals_are_the_same_however_they_are_cut(per_second: float, duration_s: float, count: int) -> None:
    """The segments' starts together are the whole: every number once, evenly spaced, in time."""
    planned = planned_constant(per_second, duration_s)
    stripe = thinned(planned)
    whole = list(constant_arrivals(per_second, duration_s, stripe))
    check_union(whole, [list(constant_arrivals(per_second, duration_s, part)) for part in stripes_of(stripe, count)])
    assert [number for number, _ in whole] == list(range(stripe.index, planned, stripe.count))
    assert all(due < duration_s for _, due in whole)
    assert [due * per_second for _, due in whole] == pytest.approx([number for number, _ in whole])


@settings(deadline=None)
@given(rates, ramps, counts)
def test_ramping_arrivals_are_the_same_however_they_are_cut(start: float, stages: list[Ramp], count: int) -> None:
    """The segments' starts together are the whole: every number once, in order, within the stages."""
    planned = planned_ramping(start, stages)
    stripe = thinned(planned)
    whole = list(ramping_arrivals(start, stages, stripe))
    check_union(whole, [list(ramping_arrivals(start, stages, part)) for part in stripes_of(stripe, count)])
    assert [number for number, _ in whole] == list(range(stripe.index, planned, stripe.count))
    assert all(0 <= due <= end(stages) for _, due in whole)


def check_union(whole: Arrivals, parts: list[Arrivals]) -> None:
    assert sorted(arrival for part in parts for arrival in part) == whole
    assert all(one <= other for (_, one), (_, other) in pairwise(whole))


@settings(deadline=None)
@given(rates, ramps)
def test_every_start_is_due_when_the_area_reaches_it(start: float, stages: list[Ramp]) -> None:
    """The integral of the line up to start k is k + 1, and there are as many starts as the whole area has room for."""
    planned = planned_ramping(start, stages)
    for number, due in ramping_arrivals(start, stages, thinned(planned)):
        assert float(area(start, stages, due)) == pytest.approx(number + 1, rel=1e-9, abs=1e-9)
    room = area(start, stages)
    assert floor(room * (1 - Fraction(1, 10**11))) <= planned <= floor(room * (1 + Fraction(1, 10**11)))


def test_the_line() -> None:
    """Straight between the targets, after the jump where it jumps, and 0 when it is over."""
    stages = [Ramp(10, 5), Ramp(0, 20), Ramp(10, 0)]
    assert [rate_at(0, stages, at) for at in (0, 4, 10, 15, 20, 20.1)] == [0, 2, 20, 10, 0, 0]
    assert [rate_at(3, [Ramp(10, 5)], at) for at in (0, 5, 10, 11)] == [3, 4, 5, 0]


def test_users_start_and_leave_when_the_line_reaches_whole_numbers() -> None:
    """Up, the n-th starts when the line reaches n; down, it leaves when the line reaches n - 1."""
    assert vu_steps(0, [Ramp(3, 3)]) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert vu_steps(3, [Ramp(3, 0)]) == [(0, 3), (1, 2), (2, 1), (3, 0)]
    assert vu_steps(1, [Ramp(10, 2), Ramp(10, 2), Ramp(5, 1)]) == [(0, 1), (10, 2), (25, 1)]


def test_users_jump() -> None:
    """A stage of 0 s takes all its steps at once; the last number at a moment counts."""
    assert vu_steps(5, [Ramp(10, 5), Ramp(0, 50), Ramp(10, 50), Ramp(0, 2)]) == [(0, 5), (10, 50), (20, 2)]
    assert vu_steps(1, [Ramp(0, 10), Ramp(10, 10)]) == [(0, 10)]
    assert vu_steps(0, [Ramp(2, 2), Ramp(0, 9)]) == [(0, 0), (1, 1), (2, 9)]
    assert vu_steps(4, [Ramp(5, 4), Ramp(0, 0), Ramp(0, 4), Ramp(5, 4)]) == [(0, 4)]
    assert vu_steps(4, []) == [(0, 4)]


def test_a_stage_shorter_than_the_clock_can_tell_is_a_jump() -> None:
    """No step of it comes before it begins."""
    assert vu_steps(0, [Ramp(512, 0), Ramp(5e-14, 8)]) == [(0, 0), (512, 8)]


def test_a_target_between_users() -> None:
    """A line that turns at 2.5 has had two users on the way up; from above it keeps three."""
    assert vu_steps(0, [Ramp(5, 2.5), Ramp(5, 0)]) == [(0, 0), (2, 1), (4, 2), (8, 1), (10, 0)]
    assert vu_steps(4, [Ramp(3, 2.5)]) == [(0, 4), (2, 3)]
    assert vu_steps(4, [Ramp(3, 2.5), Ramp(3, 4)]) == [(0, 4), (2, 3), (6, 4)]


def test_how_many_users_there_are() -> None:
    """A number holds from its moment until the next."""
    steps = vu_steps(0, [Ramp(2, 2)])
    assert [vus_at(steps, at) for at in (0, 0.9, 1, 1.9, 2, 100)] == [0, 0, 1, 1, 2, 2]


def test_who_started_last_leaves_first() -> None:
    """A user's stints are the times when its index is below the number of users; the end ends them all."""
    steps = vu_steps(1, [Ramp(2, 3), Ramp(2, 1), Ramp(1, 1), Ramp(0, 2), Ramp(5, 2)])
    assert stints(steps, 10) == [[(0, 10)], [(1, 4), (5, 10)], [(2, 3)]]


def test_nobody_starts_at_the_end() -> None:
    """A user that the line reaches at the very end, or that a run cut short never reaches, has no stint."""
    steps = vu_steps(1, [Ramp(10, 2)])
    assert stints(steps, 10) == [[(0, 10)]]
    assert stints(vu_steps(2, [Ramp(10, 0)]), 3) == [[(0, 3)], [(0, 3)]]


@settings(deadline=None)
@given(st.integers(0, 1000), climbs, st.floats(0, 1), counts)
def test_users_follow_the_line(start: int, stages: list[Ramp], part: float, count: int) -> None:
    """At any time the number of users is the line's, up to the fraction of one; segments' users together are all."""
    steps = vu_steps(start, stages)
    assert all(one < other and before != after for (one, before), (other, after) in pairwise(steps))
    assert steps[0][0] == 0
    assert steps[-1][1] == (stages[-1].target if stages else start)
    for at_s in (part * end(stages), *(at_s for at_s, _ in steps[:: len(steps) // 10 + 1])):
        vus = vus_at(steps, at_s)
        assert abs(vus - rate_at(start, stages, at_s)) < 1 + 1e-6
        assert sum(Segment(index, count).share(vus) for index in range(count)) == vus


@settings(deadline=None)
@given(few, small_climbs, seconds, counts)
def test_stints_rebuild_the_steps(start: int, stages: list[Ramp], longer_s: float, count: int) -> None:
    """Who is on makes up the planned number, in all and in each segment, and nobody is on after the end."""
    steps, end_s = vu_steps(start, stages), end(stages) + longer_s
    planned = [(at_s, vus) for at_s, vus in steps if at_s < end_s]
    of_each = stints(steps, end_s)
    for found in of_each:
        assert all(0 <= on < off <= end_s for on, off in found)
        assert all(off < on for (_, off), (on, _) in pairwise(found))
    for at_s, vus in planned:
        active = [index for index, found in enumerate(of_each) if any(on <= at_s < off for on, off in found)]
        assert active == list(range(vus))
        for stripe in range(count):
            assert len([index for index in active if index % count == stripe]) == Segment(stripe, count).share(vus)
    points = {point for found in of_each for stint in found for point in stint}
    assert points | {0.0, end_s} == {at_s for at_s, _ in planned} | {0.0, end_s}
