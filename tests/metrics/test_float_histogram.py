"""Trends of a script's own: any number, of any size and sign, to 0.1%."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ciload.metrics.float_histogram import FloatHistogram, key_of, value_of
from ciload.metrics.sinks import LARGEST_SAMPLE, FloatTrendSink

PERCENTS = [0, 1, 25, 50, 75, 90, 95, 99, 99.9, 100]
number = st.one_of(
    st.floats(-LARGEST_SAMPLE, LARGEST_SAMPLE),
    st.floats(-1, 1),
    st.integers(-3_000, 3_000).map(float),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, LARGEST_SAMPLE, -LARGEST_SAMPLE, 1e-12, 0.00045]),
)
some = st.lists(number, min_size=1, max_size=60)


def trend(values: list[float]) -> FloatTrendSink:
    sink = FloatTrendSink()
    for value in values:
        sink.add(value)
    return sink


def counted(sink: FloatTrendSink) -> dict[int, int]:
    sink.fold()
    return dict(zip(sink.histogram.keys.tolist(), sink.histogram.counts.tolist(), strict=True))


def exact(values: list[float], percent: float) -> tuple[float, float]:
    """The percentile by definition, and how far from it one to 0.1% of the samples may be."""
    ordered = sorted(values)
    rank = percent / 100 * (len(values) - 1)
    low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    return low + (high - low) * (rank - math.floor(rank)), 0.001 * max(abs(low), abs(high))


@given(some)
@settings(deadline=None)
def test_percentiles_are_those_of_the_samples(values: list[float]) -> None:
    """Whatever the numbers are, percentiles are within 0.1% of the samples they lie between, as numpy has them."""
    sink = trend(values)
    for percent, seen in zip(PERCENTS, sink.percentiles(PERCENTS), strict=True):
        wanted, slack = exact(values, percent)
        assert abs(seen - wanted) <= slack
        assert wanted == pytest.approx(float(np.percentile(values, percent)), rel=1e-9, abs=max(slack, 1e-300))
        assert min(values) <= seen <= max(values)


@given(some)
@settings(deadline=None)
def test_count_sum_and_extremes_are_exact(values: list[float]) -> None:
    """Nothing is clamped, and nothing but percentiles is rounded."""
    sink = trend(values)
    assert (sink.count, sink.smallest, sink.largest, sink.clamped) == (len(values), min(values), max(values), 0)
    assert sink.sum == pytest.approx(math.fsum(values), rel=1e-9, abs=1e-9 * max(map(abs, values)))
    assert math.isfinite(sink.mean)


@given(number)
@settings(deadline=None)
def test_a_bucket_is_named_by_one_of_its_values(value: float) -> None:
    """What is read back has the sign of what was recorded, and is in the same bucket, 0.1% wide at most."""
    key = int(key_of(np.array([value]))[0])
    name = value_of(key)
    assert int(key_of(np.array([name]))[0]) == key
    assert (name > 0, name < 0) == (value > 0, value < 0)
    assert abs(name - value) <= abs(value) * 0.001
    assert value_of(-key) == -name


@pytest.mark.parametrize(
    "value", [1, 3, 100, 1_500, 2_047, 250_000, 0.00045, 0.1, 0.25, -0.999, 12.5, 1e15, 1e-12, 1e290]
)
def test_numbers_with_few_digits_are_kept_as_they_are(value: float) -> None:
    """A median of 100 is 100 and not 100.03, so that `med<=100` means what it says."""
    assert trend([value - abs(value), value, value, value + abs(value)]).percentiles([50]) == [value]


@given(st.lists(number, min_size=2, max_size=50))
@settings(deadline=None)
def test_order_is_kept(values: list[float]) -> None:
    """A larger number never lands in a lower bucket."""
    assert np.all(np.diff(key_of(np.array(sorted(values)))) >= 0)


@given(some, some, some)
@settings(deadline=None)
def test_merging_is_associative_and_commutative(a: list[float], b: list[float], c: list[float]) -> None:
    """Parts of a run may be put together in any order, and equal the whole; a part is left as it is."""
    left, part = trend(a), trend(b)
    left.merge(part)
    left.merge(trend(c))
    nested, inner = trend(c), trend(b)
    inner.merge(trend(a))
    nested.merge(inner)
    assert counted(left) == counted(nested) == counted(trend(a + b + c))
    assert counted(part) == counted(trend(b))
    assert (left.count, left.smallest, left.largest) == (nested.count, nested.smallest, nested.largest)


@given(st.lists(number, max_size=40), some)
@settings(deadline=None)
def test_what_was_there_before_can_be_subtracted(before: list[float], after: list[float]) -> None:
    """A trend minus what it once was has exactly the samples in between, and leaves both as they are."""
    earlier, now = trend(before), trend(before + after)
    rest = now.minus(earlier)
    assert isinstance(rest, FloatTrendSink)
    assert counted(rest) == counted(trend(after))
    assert (counted(earlier), counted(now)) == (counted(trend(before)), counted(trend(before + after)))
    assert rest.smallest == pytest.approx(min(after), rel=1e-3, abs=0)
    assert rest.largest == pytest.approx(max(after), rel=1e-3, abs=0)
    assert now.minus(now).empty


def test_taking_starts_anew() -> None:
    """What is handed over is of the same kind, and what is left is empty."""
    sink = trend([-1.5, 2])
    taken = sink.take()
    assert type(taken) is type(sink) is FloatTrendSink
    assert (taken.count, taken.percentiles([0]), sink.count) == (2, [-1.5], 0)


def test_memory_follows_the_buckets_in_use() -> None:
    """A million samples over twelve powers of ten take less than a MB; two at both ends of all floats take nothing."""
    wide = FloatHistogram()
    for seed in range(10):
        wide.record(10 ** np.random.default_rng(seed).uniform(-6, 6, 100_000))
    assert wide.total == 1_000_000
    assert wide.keys.nbytes + wide.counts.nbytes < 1_000_000
    ends = FloatHistogram()
    ends.record(np.array([-LARGEST_SAMPLE, 5e-324]))
    assert ends.keys.nbytes + ends.counts.nbytes == 32


# --- in the result


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=40), st.integers(-20, 20), st.booleans())
@settings(deadline=None)
def test_other_tools_read_positive_trends(values: list[float], power: int, zero: bool) -> None:
    """HdrHistogram reads what is encoded: times its step, the samples come out to 0.2%, whatever their unit."""
    values = [value * 10.0**power for value in values] + [0.0] * zero
    text, step = trend(values).encode()
    assert text is not None
    library = HdrHistogram.decode(text)
    assert library.get_total_count() == len(values)
    assert library.get_max_value() * step == pytest.approx(max(values), rel=0.002)
    assert library.get_count_at_value(0) == zero


@given(some)
@settings(deadline=None)
def test_what_hdr_histogram_cannot_hold_is_left_out(values: list[float]) -> None:
    """Negative values, or too far apart: no histogram rather than a wrong one."""
    positive = [value for value in values if value > 0]
    assume(min(values) < 0 or (positive and max(positive) / min(positive) > 1e13))
    assert trend(values).encode().text is None


def test_ordinary_numbers_have_the_usual_step() -> None:
    """Numbers from 1 on are in 1/1000 of their unit, as times are."""
    assert trend([1, 20, 300_000]).encode().step == 0.001
    assert trend([0.0, 0.0]).encode().step == 0.001
    assert trend([0.00045, 0.002]).encode().step == 1e-8
