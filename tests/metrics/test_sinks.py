"""How samples add up: sums, last values, shares and distributions, in parts or at once."""

from __future__ import annotations

import math
from array import array

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.metrics.sinks import (
    LONGEST_MS,
    CounterSink,
    FloatTrendSink,
    GaugeSink,
    RateSink,
    TrendSink,
    new_sink,
)

PERCENTS = [0, 1, 25, 50, 75, 90, 95, 99, 99.9, 100]
milliseconds = st.floats(0, LONGEST_MS)
times = st.lists(st.one_of(milliseconds, st.floats(0, 10), st.sampled_from([0.0, 1.0, 250.0])), min_size=1, max_size=80)


def trend(values: list[float]) -> TrendSink:
    sink = TrendSink()
    for number in values:
        sink.add(number)
    return sink


def facts(sink: TrendSink) -> tuple[object, ...]:
    """Everything a trend knows, but for the sum, which depends on the order in its last bits."""
    sink.fold()
    used = np.flatnonzero(sink.histogram.counts)
    counts = dict(zip((sink.histogram.first + used).tolist(), sink.histogram.counts[used].tolist(), strict=True))
    return counts, sink.count, sink.smallest, sink.largest, sink.clamped


# --- trends


@given(times)
def test_percentiles_are_numpys(values: list[float]) -> None:
    """Percentiles are those of the samples themselves, to 0.1% and 1 µs."""
    exact = np.percentile(values, PERCENTS)
    for seen, wanted in zip(trend(values).percentiles(PERCENTS), exact.tolist(), strict=True):
        assert abs(seen - wanted) <= wanted * 0.001 + 0.001


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_of_a_realistic_run(seed: int) -> None:
    """A hundred thousand skewed response times: p50 to p99.9 are right to 0.1%."""
    values = np.random.default_rng(seed).lognormal(3, 1, 100_000)
    sink = TrendSink()
    sink.add_many(values)
    for seen, wanted in zip(sink.percentiles(PERCENTS), np.percentile(values, PERCENTS).tolist(), strict=True):
        assert seen == pytest.approx(wanted, rel=0.001, abs=0.001)


@given(times)
def test_extremes_and_mean_are_exact(values: list[float]) -> None:
    """Minimum, maximum, count and mean are not rounded to buckets."""
    sink = trend(values)
    assert sink.count == len(values)
    assert (sink.smallest, sink.largest) == (min(values), max(values))
    assert sink.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-12)
    assert sink.percentiles([0, 100]) == pytest.approx([min(values), max(values)], rel=0.001, abs=0.001)


@given(times, st.integers(0, 79))
def test_folding_at_any_time_changes_nothing(values: list[float], cut: int) -> None:
    """Samples moved early are samples moved late."""
    folded = trend(values[:cut])
    folded.fold()
    folded.fold()
    for number in values[cut:]:
        folded.add(number)
    assert facts(folded) == facts(trend(values))


@given(times, times, times)
def test_merged_trends_are_the_trend_of_everything(a: list[float], b: list[float], c: list[float]) -> None:
    """Parts in any order and grouping give the distribution of all samples."""
    left = trend(a)
    left.merge(trend(b))
    left.merge(trend(c))
    nested, inner = trend(a), trend(c)
    inner.merge(trend(b))
    nested.merge(inner)
    whole = trend(a + b + c)
    assert facts(left) == facts(nested) == facts(whole)
    assert left.sum == pytest.approx(whole.sum)
    assert nested.sum == pytest.approx(whole.sum)


def test_one_sample_is_every_percentile() -> None:
    """With one sample there is nothing to interpolate."""
    assert trend([123.4567]).percentiles(PERCENTS) == [123.4567] * len(PERCENTS)


def test_empty_trend_has_no_numbers() -> None:
    """Without samples there is no percentile and no mean, rather than a 0 that passes every threshold."""
    sink = TrendSink()
    assert sink.empty
    assert sink.count == 0
    assert all(math.isnan(number) for number in [sink.mean, *sink.percentiles([50, 95])])
    assert math.isinf(sink.smallest)
    sink.merge(TrendSink())
    assert sink.empty


def test_zeros_may_be_added_in_bulk() -> None:
    """Zeros that were never appended count like any sample."""
    sink = TrendSink()
    sink.add_many(np.array([10.0]), zeros=3)
    sink.add_many(np.zeros(0), zeros=1)
    assert (sink.count, sink.sum, sink.smallest, sink.largest) == (5, 10, 0, 10)
    assert sink.percentiles([50, 100]) == [0, 10]


def test_values_out_of_range_are_clamped_and_counted() -> None:
    """Times below 0 or above an hour stay in the count and are reported as clamped; min, max and sum are exact."""
    sink = trend([-5.0, 10.0, LONGEST_MS, LONGEST_MS + 1, 1e300])
    assert sink.count == 5
    assert sink.clamped == 3
    assert (sink.smallest, sink.largest) == (-5, 1e300)
    assert sink.percentiles([25, 50, 75]) == pytest.approx([10, LONGEST_MS, LONGEST_MS], rel=0.001)
    other = trend([-1.0])
    sink.merge(other)
    assert (sink.clamped, sink.count) == (4, 6)


def test_microseconds_are_kept() -> None:
    """Below 2 ms every µs is a bucket of its own."""
    sink = trend([0.001, 0.002, 1.999])
    assert sink.percentiles([0, 50, 100]) == pytest.approx([0.001, 0.002, 1.999], abs=1e-9)


def test_ten_million_samples_take_little_memory() -> None:
    """A run of ten million requests keeps its distribution in less than 200 kB and its percentiles to 0.1%."""
    sink = TrendSink()
    rng = np.random.default_rng(7)
    part: npt.NDArray[np.float64] = rng.lognormal(4, 1.5, 500_000)
    for _ in range(20):
        sink.pending = array("d", part.tobytes())
        sink.fold()
    assert sink.count == 10_000_000
    assert len(sink.pending) == 0
    assert sink.histogram.counts.nbytes < 200_000
    assert sink.mean == pytest.approx(float(part.mean()))
    for seen, wanted in zip(sink.percentiles([50, 95, 99]), np.percentile(part, [50, 95, 99]).tolist(), strict=True):
        assert seen == pytest.approx(wanted, rel=0.0011)  # 20 copies of a sample move a rank by a hair


@given(st.lists(milliseconds, max_size=40), st.lists(milliseconds, min_size=1, max_size=40))
def test_what_came_after_a_trend_can_be_subtracted(before: list[float], after: list[float]) -> None:
    """A trend minus what it once was: count, mean, percentiles, min and max of the samples in between, to 0.1%."""
    rest, expected = trend(before + after).minus(trend(before)), trend(after)
    assert rest.count == len(after)
    assert rest.mean == pytest.approx(expected.mean, rel=1e-3, abs=1e-3)
    assert rest.percentiles(PERCENTS) == pytest.approx(expected.percentiles(PERCENTS), rel=1e-3, abs=1e-3)
    assert (rest.smallest, rest.largest) == pytest.approx((min(after), max(after)), rel=1e-3, abs=1e-3)
    for extreme, found in ((min, rest.smallest), (max, rest.largest)):
        if before and extreme(before) != extreme(before + after):
            assert found == extreme(after)


def test_nothing_came_after() -> None:
    """A trend minus itself has no samples and no numbers."""
    rest = trend([1, 2, 3]).minus(trend([1, 2, 3]))
    assert rest.empty
    assert (rest.sum, rest.smallest, rest.largest, rest.clamped) == (0, math.inf, -math.inf, 0)


def test_extremes_of_clamped_samples_are_not_made_up() -> None:
    """Where the histogram has only its edge, the extremes are the whole trend's, which no sample is beyond."""
    earlier = trend([-7.0, 5.0])
    rest = trend([-7.0, 5.0, -5.0]).minus(earlier)
    assert (rest.clamped, rest.smallest, rest.largest) == (1, -7, 5)


# --- counters, rates, gauges


def test_counts_can_be_subtracted() -> None:
    """Counters and rates minus what they once were are what came in between."""
    assert CounterSink(7.5).minus(CounterSink(5)).total == 2.5
    rate = RateSink(5, 9).minus(RateSink(3, 6))
    assert (rate.passes, rate.total) == (2, 3)


@given(st.lists(st.integers(-1_000, 1_000)), st.lists(st.integers(-1_000, 1_000)))
def test_counters_add_up(a: list[int], b: list[int]) -> None:
    """A counter is the sum of its samples, over parts as well."""
    mine, other = CounterSink(), CounterSink()
    for number in a:
        mine.add(number)
    for number in b:
        other.add(number)
    mine.merge(other)
    assert mine.total == sum(a + b)
    assert other.total == sum(b)


def test_counter_without_samples_is_empty() -> None:
    """Nothing counted is empty, and a count of 1 is not."""
    counter = CounterSink()
    assert counter.empty
    counter.add(1)
    assert not counter.empty


@given(st.lists(st.booleans(), min_size=1), st.lists(st.booleans()))
def test_rates_are_shares_of_all_samples(a: list[bool], b: list[bool]) -> None:
    """Merged rates weigh samples, not parts."""
    mine, other = RateSink(), RateSink()
    for each in a:
        mine.add(each)
    for each in b:
        other.add(each)
    mine.merge(other)
    assert (mine.passes, mine.total) == (sum(a + b), len(a + b))
    assert mine.rate == pytest.approx(sum(a + b) / len(a + b))


@pytest.mark.parametrize(("sample", "counts"), [(0, False), (1, True), (0.5, True), (-1, True)])
def test_rate_counts_what_is_not_zero(sample: float, counts: bool) -> None:
    """Any number but 0 is true."""
    rate = RateSink()
    rate.add(sample)
    assert rate.rate == counts


def test_rate_without_samples_is_no_number() -> None:
    """A rate over nothing is neither 0 nor 1."""
    assert RateSink().empty
    assert math.isnan(RateSink().rate)


def test_gauge_keeps_the_last_value_and_its_range() -> None:
    """A gauge shows where it stands and how far it went."""
    gauge = GaugeSink()
    assert gauge.empty
    for number in (5, -2, 3):
        gauge.add(number)
    assert (gauge.last, gauge.smallest, gauge.largest) == (3, -2, 5)
    assert not gauge.empty


@given(st.lists(st.lists(st.integers(-50, 50), max_size=4), min_size=1, max_size=4), st.randoms())
def test_gauges_merge_in_any_order(parts: list[list[int]], random: object) -> None:
    """Whichever part comes first, the value that was put in last stands, with the range of all."""
    gauges = []
    for part in parts:
        gauges.append(GaugeSink())
        for number in part:
            gauges[-1].add(number)
    random.shuffle(gauges)  # type: ignore[attr-defined]
    whole = GaugeSink()
    for gauge in gauges:
        whole.merge(gauge)
    everything = [number for part in parts for number in part]
    if everything:
        assert (whole.smallest, whole.largest, whole.last) == (min(everything), max(everything), everything[-1])
    else:
        assert whole.empty


@pytest.mark.parametrize(
    ("metric", "sink"),
    [
        (BUILTIN["http_reqs"], CounterSink),
        (Metric("depth", Kind.GAUGE, "ms"), GaugeSink),
        (Metric("paid", Kind.RATE), RateSink),
        (BUILTIN["http_req_duration"], TrendSink),
        (Metric("skew", Kind.TREND, "ms"), FloatTrendSink),
    ],
)
def test_every_kind_has_its_sink(metric: Metric, sink: type) -> None:
    """A metric's kind decides how it adds up; a trend of the script's own takes any number, whatever its unit."""
    made = new_sink(metric)
    assert type(made) is sink
    assert made.kind is metric.kind
    assert made.empty


@settings(max_examples=20)
@given(st.lists(milliseconds, min_size=1, max_size=30))
def test_percentiles_never_leave_the_range_of_the_samples(values: list[float]) -> None:
    """No percentile is below the minimum or above the maximum, and higher percentiles are not lower."""
    seen = trend(values).percentiles(PERCENTS)
    assert min(values) <= seen[0]
    assert seen[-1] <= max(values)
    assert seen == sorted(seen)
