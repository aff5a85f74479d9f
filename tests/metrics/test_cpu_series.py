"""CPU time that was read now and then."""

from __future__ import annotations

import pytest

from ciload.metrics.cpu_series import MOST_READINGS, CpuSeries


def test_time_is_spread_evenly_between_readings() -> None:
    """A part of the load that begins and ends between two readings gets its share of them."""
    series = CpuSeries()
    for at_s, cpu_s in ((-1.0, 7.0), (0.0, 8.0), (2.0, 10.0), (3.0, 10.0)):
        series.add(at_s, cpu_s)

    assert series.spent(0.5, 2.5) == pytest.approx(1.5)
    assert series.spent(-0.5, 0.0) == pytest.approx(0.5)


def test_what_was_not_read_is_not_known() -> None:
    """Nothing is made up before the first reading and after the last."""
    series = CpuSeries()
    assert series.spent(0.0, 1.0) is None
    series.add(0.5, 1.0)
    series.add(2.0, 2.0)

    assert series.spent(0.0, 1.0) is None
    assert series.spent(1.0, 2.1) is None


def test_a_long_load_takes_no_more_memory() -> None:
    """After hours, readings are further apart, and the sum over the load is the same."""
    series, taken = CpuSeries(), 0
    for quarter in range(20 * MOST_READINGS):
        if series.due(quarter / 4):
            series.add(quarter / 4, quarter / 8)
            taken += 1

    assert len(series._at_s) <= MOST_READINGS
    assert taken < 5 * MOST_READINGS
    assert series.spent(0.0, 19 * MOST_READINGS / 4) == pytest.approx(19 * MOST_READINGS / 8)
