"""How numbers are written for people."""

from __future__ import annotations

import decimal
import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.reports.format import HOLDS, format_against, format_digits, format_share, format_value

POWER: dict[str, dict[str, int | Decimal]] = {
    "ms": {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1, "µs": Decimal("0.001")},
    "bytes": {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    "bytes/s": {"B/s": 1, "kB/s": 10**3, "MB/s": 10**6, "GB/s": 10**9, "TB/s": 10**12},
    "/s": {"/s": 1},
    "": {"": 1},
    "kg": {"kg": 1},
}
PART = re.compile(r"([\d.,]+(?:e[+-]\d+)?) ?([^\d.,\s-]*)")
finite = st.floats(allow_nan=False, allow_infinity=False)
units = st.sampled_from(sorted(POWER))


def read(text: str, unit: str) -> Decimal:
    """What a person reads: the exact value of `text` in `unit`."""
    parts = PART.findall(text.removeprefix("-"))
    with decimal.localcontext(prec=400):
        total = sum((Decimal(number.replace(",", "")) * POWER[unit][symbol] for number, symbol in parts), Decimal(0))
        return -total if text.startswith("-") else total


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.045, "ms", "45µs"),
        (283.4312, "ms", "283.43ms"),
        (283.4, "ms", "283.4ms"),
        (1_200, "ms", "1.2s"),
        (65_000, "ms", "1m5s"),
        (65_432.1, "ms", "1m5.43s"),
        (7_384_000, "ms", "2h3m4s"),
        (3_600_000, "ms", "1h"),
        (0, "ms", "0ms"),
        (-5, "ms", "-5ms"),
        (181, "bytes", "181 B"),
        (1_234_567, "bytes", "1.23 MB"),
        (45_000, "bytes/s", "45 kB/s"),
        (205.7512, "/s", "205.75/s"),
        (1_234_567, "", "1,234,567"),
        (0.0042, "", "0.0042"),
        (70.5, "kg", "70.5 kg"),
        (55, "%", "55 %"),
        (None, "ms", "-"),
        (math.nan, "ms", "nan"),
        (math.inf, "", "inf"),
    ],
)
def test_values_are_written_as_people_write_them(value: float | None, unit: str, text: str) -> None:
    """The largest unit that leaves a whole part is used, with two decimals at most and no trailing zeros."""
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(999.999, "ms", "1s"), (59_999.999, "ms", "1m"), (0.9999999, "ms", "1ms"), (999_999, "bytes", "1 MB")],
)
def test_rounding_up_moves_to_the_next_unit(value: float, unit: str, text: str) -> None:
    """There is no 1000ms and no 60s."""
    assert format_value(value, unit) == text


@given(value=finite, unit=units)
def test_text_is_near_the_value_and_only_zero_reads_as_zero(value: float, unit: str) -> None:
    """Whatever the size, what is read is at most 5% off, so that nothing but 0 reads as 0."""
    shown, exact = read(format_value(value, unit), unit), Decimal(repr(value))
    assert abs(shown - exact) <= abs(exact) * Decimal("0.05")


@given(value=st.floats(0.1, 1e9), unit=units)
def test_two_decimals_at_most(value: float, unit: str) -> None:
    """Values of everyday size do not pretend to a precision nobody asked for."""
    assert not re.search(r"\.\d{3}", format_value(value, unit))


@st.composite
def value_and_limit(draw: st.DrawFn) -> tuple[float, float]:
    """Mostly near each other, since that is where rounding could cross the limit."""
    limit = draw(st.integers(-2_000, 100_000) | st.floats(0, 1) | finite)
    step = draw(st.floats(-1e-3, 1e-3))
    near = [limit, math.nextafter(limit, math.inf), math.nextafter(limit, -math.inf), limit + step]
    value = draw(st.sampled_from([each for each in near if math.isfinite(each)]) | finite)
    return float(value), float(limit)


@given(numbers=value_and_limit(), operator=st.sampled_from(sorted(HOLDS)), unit=units)
def test_shown_number_meets_the_limit_exactly_if_the_measured_one_does(
    numbers: tuple[float, float], operator: str, unit: str
) -> None:
    """A reader who compares the text with the limit comes to the verdict, and sees equality only where there is one."""
    value, limit = numbers
    shown, bound = read(format_against(value, operator, limit, unit), unit), Decimal(repr(limit))
    assert HOLDS[operator](shown, bound) == HOLDS[operator](Decimal(repr(value)), bound)
    assert (shown == bound) == (value == limit)


@pytest.mark.parametrize(
    ("value", "operator", "limit", "unit", "text"),
    [
        (200.0004, "<", 200, "ms", "200.0004ms"),
        (199.9999, "<", 200, "ms", "199.9999ms"),
        (200, "<=", 200, "ms", "200ms"),
        (283.4312, "<", 200, "ms", "283.43ms"),
        (59_999.9999, "<", 60_000, "ms", "59.9999999s"),
        (0.0100001, "<", 0.01, "", "0.0100001"),
        (5.004, "==", 5, "", "5.004"),
        (0.9968, ">", 0.99, "", "0.997"),
        (0.99996, ">", 0.9, "", "0.99996"),
        (0.999996, "<", 0.5, "", "0.999996"),
        (1.0, ">", 0.99, "", "1"),
        (0.000004, "<", 0.01, "", "0.000004"),
        (0.9968, "<", 5, "ms", "996.8µs"),
        (1.0004, "<", 5, "", "1.0004"),
        (5.004, "!=", 4, "", "5"),
    ],
)
def test_digits_are_added_only_where_the_limit_is_near(
    value: float, operator: str, limit: float, unit: str, text: str
) -> None:
    """Far from the limit a measured value looks as it does everywhere else."""
    assert format_against(value, operator, limit, unit) == text


@given(passes=st.integers(0, 10**9), more=st.integers(0, 3), limit=st.sampled_from([0.0, 0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_rate_reads_all_or_nothing_only_when_it_is(passes: int, more: int, limit: float) -> None:
    """One failed check in a thousand million is not a rate of 1, whatever the limit is."""
    value = passes / max(1, passes + more)
    for operator in HOLDS:
        text = format_against(value, operator, limit, "")
        assert (float(text) == 1, float(text) == 0) == (value == 1, value == 0)
        assert (float(text) == limit) == (value == limit)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.99996, 3, "0.99996"),
        (1.0, 3, "1"),
        (0.25, 6, "0.25"),
        (123456.7, 3, "1.23e+05"),
        (0.0, 3, "0"),
        (1e-9, 6, "1e-09"),
    ],
)
def test_other_programs_see_a_one_only_when_it_is(value: float, digits: int, text: str) -> None:
    """A ratio of passed checks is 1 only without a failed one."""
    assert format_digits(value, digits) == text


@given(whole=st.integers(1, 10**15), data=st.data())
def test_share_reads_all_or_nothing_only_when_it_is(whole: int, data: st.DataObject) -> None:
    """One failure in a million is neither 0% failed nor 100% passed."""
    part = data.draw(st.integers(0, whole) | st.sampled_from([0, 1, whole - 1, whole]))
    text = format_share(part, whole)
    assert (text == "0%") == (part == 0)
    assert (text == "100%") == (part == whole)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(42, 1_000, "4.2%"), (1, 3, "33.33%"), (999_999, 1_000_000, "99.9999%"), (3, 10**6, "0.0003%"), (0, 0, "-")],
)
def test_shares_are_percentages(part: float, whole: float, text: str) -> None:
    """A share of nothing is a dash."""
    assert format_share(part, whole) == text


def test_arithmetic_of_the_script_does_not_matter() -> None:
    """A script that works with decimals of few digits leaves the reports alone."""
    with decimal.localcontext(prec=3):
        assert format_value(1_234_567.891, "") == "1,234,567.89"
        assert format_against(200.0004, "<", 200, "ms") == "200.0004ms"
        assert format_share(999_999, 1_000_000) == "99.9999%"
