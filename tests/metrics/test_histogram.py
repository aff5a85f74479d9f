"""The histogram: 3 significant digits, mergeable, and readable by every HdrHistogram implementation."""

from __future__ import annotations

import zlib
from base64 import b64decode

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.metrics.hdr_encoding import OUTER, Ints
from ciload.metrics.histogram import LARGEST, Histogram, bucket_of, middle_of

value = st.one_of(st.integers(0, LARGEST), st.integers(0, 5_000), st.integers(0, 53).map(lambda bits: 1 << bits))
some = st.lists(value, min_size=1, max_size=60)


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    if values:
        histogram.record(ints(*values))
    return histogram


def counted(histogram: Histogram) -> dict[int, int]:
    """Counts by bucket, without the empty ones."""
    used = np.flatnonzero(histogram.counts)
    return dict(zip((histogram.first + used).tolist(), histogram.counts[used].tolist(), strict=True))


def within(histogram: Histogram, ranks: list[float]) -> list[float]:
    return [float(each) for each in histogram.value_at_ranks(np.array(ranks))]


@given(value)
@settings(deadline=None)
def test_a_value_is_kept_to_three_digits(number: int) -> None:
    """What is read back is at most 0.05% away from what was recorded, and exact up to 2,047."""
    middle = float(middle_of(bucket_of(ints(number)))[0])
    assert abs(middle - number) <= number * 0.0005
    if number < 2_048:
        assert middle == number


@pytest.mark.parametrize("bits", range(54))
def test_no_value_falls_between_buckets(bits: int) -> None:
    """Around powers of two, where the width changes, buckets neither overlap nor leave gaps."""
    around = ints(*(n for n in range((1 << bits) - 3, (1 << bits) + 4) if 0 <= n <= LARGEST))
    steps = np.diff(bucket_of(around))
    assert set(steps.tolist()) <= {0, 1}
    assert np.all(np.diff(middle_of(bucket_of(around))) >= 0)


@given(st.lists(value, min_size=2, max_size=50))
@settings(deadline=None)
def test_order_is_kept(values: list[int]) -> None:
    """A larger value never lands in a lower bucket."""
    indices = bucket_of(ints(*sorted(values)))
    assert np.all(np.diff(indices) >= 0)


@given(st.lists(some, min_size=1, max_size=5))
@settings(deadline=None)
def test_recording_in_parts_is_recording_at_once(parts: list[list[int]]) -> None:
    """However samples are bundled, the counts are the same."""
    bundled = Histogram()
    for part in parts:
        bundled.record(ints(*part))
    assert counted(bundled) == counted(of([number for part in parts for number in part]))
    assert bundled.total == sum(len(part) for part in parts) == sum(counted(bundled).values())


@given(some, some, some)
@settings(deadline=None)
def test_merging_is_associative_and_commutative(a: list[int], b: list[int], c: list[int]) -> None:
    """Parts of a run may be put together in any order, and equal the whole."""
    left = of(a)
    left.merge(of(b))
    left.merge(of(c))
    right = of(c)
    right.merge(of(b))
    right.merge(of(a))
    nested, inner = of(a), of(b)
    inner.merge(of(c))
    nested.merge(inner)
    assert counted(left) == counted(right) == counted(nested) == counted(of(a + b + c))
    assert left.total == right.total == nested.total


def test_merging_leaves_the_other_alone() -> None:
    """The histogram that was merged in keeps its counts, and shares nothing."""
    mine, other = of([1]), of([1, 2, 3_000_000])
    mine.merge(other)
    mine.record(ints(2))
    assert counted(other) == counted(of([1, 2, 3_000_000]))


@given(st.lists(value, max_size=40), st.lists(value, max_size=40))
@settings(deadline=None)
def test_what_was_there_before_can_be_subtracted(before: list[int], after: list[int]) -> None:
    """A histogram minus what it once was counts exactly the values in between, and leaves both as they are."""
    earlier, now = of(before), of(before + after)
    rest = now.minus(earlier)
    assert (counted(rest), rest.total) == (counted(of(after)), len(after))
    assert (counted(earlier), counted(now)) == (counted(of(before)), counted(of(before + after)))


@given(some)
@settings(deadline=None)
def test_merging_with_nothing_changes_nothing(values: list[int]) -> None:
    """An empty histogram is neutral, from either side."""
    histogram, empty = of(values), Histogram()
    before = counted(histogram)
    histogram.merge(Histogram())
    empty.merge(histogram)
    assert counted(histogram) == counted(empty) == before


def test_zeros_can_be_counted_without_an_array() -> None:
    """Many zeros cost one call and equal zeros recorded one by one."""
    histogram = of([0, 5])
    histogram.record_zeros(3)
    histogram.record_zeros(0)
    assert counted(histogram) == {0: 4, 5: 1}
    assert histogram.total == 5


def test_values_at_ranks_are_interpolated() -> None:
    """A rank between two samples lies between their values, in proportion."""
    histogram = of([10, 20, 20, 100])
    assert within(histogram, [0, 0.5, 1, 2, 2.25, 3]) == [10, 15, 20, 20, 40, 100]


def test_memory_follows_the_range_not_the_samples() -> None:
    """Counts cover the buckets in use: a million samples near 1 s take a few kB, the whole range a few hundred."""
    near = Histogram()
    for _ in range(10):
        near.record(np.random.default_rng(1).integers(900_000, 1_100_000, 100_000))
    assert near.total == 1_000_000
    assert near.counts.nbytes < 16_000
    assert of([0, LARGEST]).counts.nbytes < 400_000


# --- the wire format


def read(text: str) -> dict[int, int]:
    """What the library finds in an encoded histogram: counts by bucket."""
    items = HdrHistogram.decode(text).get_recorded_iterator()
    return {int(bucket_of(ints(each.value_iterated_to))[0]): each.count_at_value_iterated_to for each in items}


@given(some)
@settings(deadline=None, max_examples=50)
def test_the_library_reads_every_count(values: list[int]) -> None:
    """Any HdrHistogram implementation finds every sample, in the bucket where it belongs."""
    histogram = of(values)
    assert read(histogram.encode()) == counted(histogram)


@given(some)
@settings(deadline=None, max_examples=30)
def test_the_library_writes_the_same(values: list[int]) -> None:
    """What is inside is, byte by byte, what the library writes."""
    highest = max(2_048, int(middle_of(bucket_of(ints(max(values))))[0]))
    library = HdrHistogram(1, highest, 3)
    for number in values:
        library.record_value(int(middle_of(bucket_of(ints(number)))[0]))
    assert unpacked(of(values).encode()) == unpacked(library.encode().decode())


def unpacked(text: str) -> bytes:
    return zlib.decompress(b64decode(text)[OUTER.size :])


@given(some)
@settings(deadline=None, max_examples=30)
def test_the_library_finds_the_same_numbers(values: list[int]) -> None:
    """Count, extremes and median are those of the samples, to 0.1%."""
    library = HdrHistogram.decode(of(values).encode())
    assert library.get_total_count() == len(values)
    assert library.get_max_value() == pytest.approx(max(values), rel=0.001)
    assert library.get_min_value() == pytest.approx(min(values), rel=0.001)
    median = sorted(values)[(len(values) + 1) // 2 - 1]
    assert library.get_value_at_percentile(50) == pytest.approx(median, rel=0.001)


def test_empty_histogram_survives() -> None:
    """Nothing recorded is nothing read."""
    assert read(Histogram().encode()) == {}


def test_huge_counts_survive() -> None:
    """Counts beyond 32 bits are kept."""
    histogram = Histogram()
    histogram.record_zeros(10**12)
    histogram.record_counts(ints(7, 3_000_000), ints(1 << 53, 1))
    assert counted(histogram) == {0: 10**12, 7: 1 << 53, int(bucket_of(ints(3_000_000))[0]): 1}
    library = HdrHistogram.decode(histogram.encode())
    assert library.get_count_at_value(0) == 10**12
    assert library.get_count_at_value(7) == 1 << 53
