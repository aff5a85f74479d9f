"""Sliding windows: the same as cutting raw samples into windows, but from what has added up."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.metrics.sinks import Sink, TrendSink, new_sink
from ciload.metrics.snapshot import Snapshot
from ciload.result.thresholds import parse_threshold
from ciload.result.windows import Windows

METRICS = {
    **BUILTIN,
    "Share": Metric("Share", Kind.RATE),
    "Depth": Metric("Depth", Kind.GAUGE),
    "Sold": Metric("Sold", Kind.COUNTER),
}


class Load:
    """A load that is looked at: samples add up, and windows see what there is."""

    def __init__(self, *words: str) -> None:
        pairs = [each.split(" ", 1) for each in words]
        self.thresholds = [parse_threshold(key, expression, METRICS) for key, expression in pairs]
        self.windows = Windows(self.thresholds)
        self.snapshot = Snapshot(METRICS)
        self.iterations(1)

    def iterations(self, number: int) -> None:
        self.sink("iterations").add(number)

    def sink(self, name: str, /, **tags: str) -> Sink:
        metric = METRICS[name]
        return self.snapshot.series.setdefault(name, {}).setdefault(tuple(sorted(tags.items())), new_sink(metric))

    def look(self, at_s: float, name: str = "", values: Sequence[float] = (), /, **tags: str) -> None:
        for value in values:
            self.sink(name, **tags).add(value)
        self.windows.look(at_s, self.snapshot)

    @property
    def worst(self) -> list[float | None]:
        return [self.windows.worst(each) for each in self.thresholds]

    @property
    def latest(self) -> list[float | None]:
        return [self.windows.latest(each) for each in self.thresholds]


# --- against brute force

NAMES = {"group_duration": ("avg", "min", "med", "max", "p(90)"), "Share": ("rate",), "Sold": ("rate",)}
# Up to 2.047 ms a histogram has a bucket for each µs, so that windows can be compared exactly.
sample = st.integers(0, 2_047).map(lambda number: number / 1_000)
step = st.tuples(st.floats(0.3, 1.7) | st.just(1.0), st.lists(sample, max_size=4))


def measured(name: str, aggregation: str, samples: list[float], seconds: float) -> float | None:
    """What an aggregation means, from the samples themselves."""
    if name == "Sold":
        return sum(samples) / seconds
    if not samples:
        return None
    if name == "Share":
        return sum(map(bool, samples)) / len(samples)
    percent = {"min": 0, "med": 50, "p(90)": 90, "max": 100}.get(aggregation)
    return float(np.mean(samples) if percent is None else np.percentile(samples, percent))


def brute_force(name: str, aggregation: str, window_s: float, steps: list[tuple[float, list[float]]]) -> Any:
    """The values of all full windows; of the whole load instead when none is full."""
    ends = [0.0, *accumulate(gap for gap, _ in steps)]
    values: list[float | None] = []
    full = False
    for at in range(1, len(ends)):
        if ends[at] < window_s - 0.5:
            start = 0
        else:
            # The first full window begins with the load, later ones not before the latest look that fits.
            start = max(each for each in range(at) if ends[each] <= ends[at] - window_s + 0.5) if full else 0
            values = values if full else []
            full = True
        samples = [value for _, some in steps[start:at] for value in some]
        value = measured(name, aggregation, samples, ends[at] - ends[start])
        values = [*values, value] if full else [value]
    return [value for value in values if value is not None]


@given(
    name=st.sampled_from(sorted(NAMES)),
    data=st.data(),
    window_s=st.integers(1, 8),
    operator=st.sampled_from(["<", "<=", ">", ">="]),
    steps=st.lists(step, min_size=1, max_size=25),
)
@settings(deadline=None, max_examples=300)
def test_windows_are_what_raw_samples_say(
    name: str, data: st.DataObject, window_s: int, operator: str, steps: list[tuple[float, list[float]]]
) -> None:
    """Whenever the load is looked at, the worst window is the worst of all that raw samples can be cut into."""
    aggregation = data.draw(st.sampled_from(NAMES[name]))
    load = Load(f"{name} {aggregation}{operator}1 over {window_s}s")
    load.sink(name).merge(new_sink(METRICS[name]))  # type: ignore[arg-type]
    at_s = 0.0
    for gap, values in steps:
        load.look(at_s := at_s + gap, name, values)
    expected = brute_force(name, aggregation, window_s, steps)
    worst = load.worst[0]
    if not expected:
        assert worst is None
    else:
        assert worst == pytest.approx((max if "<" in operator else min)(expected), abs=1e-6)


@given(st.lists(step, min_size=1, max_size=20), st.integers(1, 5), st.integers(0, 3))
@settings(deadline=None)
def test_equality_remembers_the_first_window_that_is_not(
    steps: list[tuple[float, list[float]]], window_s: int, limit: int
) -> None:
    """For `==` and `!=` there is no worse or better: the first violation stands, else the last window."""
    steps = [(gap, [len(values) / 1_000]) for gap, values in steps]
    load = Load(
        f"group_duration max=={limit / 1_000} over {window_s}s", f"group_duration max!={limit / 1_000} over {window_s}s"
    )
    at_s = 0.0
    for gap, values in steps:
        load.look(at_s := at_s + gap, "group_duration", values)
    found = brute_force("group_duration", "max", window_s, steps)
    equal, unequal = load.worst
    assert equal == next((value for value in found if value != limit / 1_000), found[-1])
    assert unequal == next((value for value in found if value == limit / 1_000), found[-1])


@given(st.lists(st.floats(0.5, 3), min_size=1, max_size=30), st.integers(1, 10))
def test_every_sample_is_in_some_window(gaps: list[float], window_s: int) -> None:
    """No moment is overlooked, however irregular the looks: a single slow response is always found."""
    for slow in range(len(gaps)):
        load = Load(f"group_duration max<500 over {window_s}s")
        for number, at_s in enumerate(accumulate(gaps)):
            load.look(at_s, "group_duration", [900.0 if number == slow else 1.0])
        assert load.worst == [900.0]


# --- cases


def test_a_bad_minute_does_not_drown_in_a_good_hour() -> None:
    """That is what windows are for: the whole load holds, one window of it does not."""
    load = Load("group_duration p(95)<500 over 30s")
    for second in range(1, 1_001):
        load.look(float(second), "group_duration", [900.0 if 500 <= second < 530 else 100.0] * 3)
    assert load.snapshot.trend("group_duration").percentiles([95])[0] == pytest.approx(100, rel=1e-3)
    assert load.worst == [pytest.approx(900, rel=1e-3)]
    assert load.latest == [pytest.approx(100, rel=1e-3)]


def test_a_load_shorter_than_the_window_is_judged_as_a_whole() -> None:
    """The final look decides, and until a window has passed there is no latest one."""
    load = Load("group_duration avg<500 over 30s")
    load.look(1.0, "group_duration", [1_000.0])
    assert load.worst == [1_000.0]
    load.look(2.0, "group_duration", [0.0])
    assert (load.worst, load.latest) == ([500.0], [None])


def test_a_blip_at_the_start_is_forgotten_once_a_window_has_passed() -> None:
    """A limit over 10 s says nothing about the first second alone."""
    load = Load("group_duration avg<500 over 10s")
    load.look(1.0, "group_duration", [1_000.0])
    for second in range(2, 10):
        load.look(float(second), "group_duration", [0.0])
    load.look(10.01, "group_duration", [0.0])
    assert (load.worst, load.latest) == ([100.0], [100.0])


def test_a_stall_counts_for_rates_of_counters_and_is_skipped_for_times() -> None:
    """No response in a window is a rate of 0, which is a measurement, and no response time, which is none."""
    load = Load("Sold rate>1 over 2s", "group_duration avg<500 over 2s", "Share rate>0.5 over 2s")
    for second in range(1, 4):
        load.sink("group_duration").add(100)
        load.sink("Share").add(1)
        load.look(float(second), "Sold", [10])
    for second in range(4, 8):
        load.look(float(second))
    assert load.worst == [0, 100, 1]
    assert load.latest == [0, None, None]


def test_an_event_that_never_happens_has_a_rate_of_zero_once_an_iteration_finished() -> None:
    """As without a window: counting nothing is a measurement if something ran."""
    words = ("script_errors rate<1 over 2s", "http_reqs{status:500} rate<1 over 2s", "group_duration avg<1 over 2s")
    idle = Load(*words)
    idle.iterations(-1)
    ran = Load(*words)
    for second in range(1, 5):
        idle.look(float(second))
        ran.look(float(second))
    assert idle.worst == [None, None, None]
    assert ran.worst == [0, None, None]


def test_selected_requests_that_never_happen_have_a_rate_of_zero() -> None:
    """No 5xx in any window is a rate of 0 in all of them, and one is seen; a misspelt tag is no data."""
    load = Load("http_reqs{status:5*} rate<0.4 over 2s", "http_reqs{stauts:5*} rate<1 over 2s")
    for second in range(1, 5):
        load.look(float(second), "http_reqs", [10], status="200")
    assert load.worst == [0, None]
    load.look(5.0, "http_reqs", [1], status="503")
    assert load.worst == [0.5, None]


def test_a_counter_that_starts_late_counts_from_nothing() -> None:
    """Windows before its first sample are 0 without a selector, and begin with it when there is one."""
    load = Load("Sold rate<9 over 2s", "Sold{place:x} rate>0 over 2s")
    for second in range(1, 5):
        load.look(float(second))
    load.look(5.0, "Sold", [10], place="x")
    assert load.worst == [5, 5]


def test_tags_select_within_windows() -> None:
    """Only the series that match are judged, several together."""
    load = Load("group_duration{name:/a*} max<500 over 2s", "group_duration{name:/b} max<500 over 2s")
    for second in range(1, 6):
        load.sink("group_duration", name="/a1").add(10 * second)
        load.sink("group_duration", name="/a2").add(1)
        load.look(float(second), "group_duration", [900], name="/b")
    assert load.worst == [50, 900]


def test_a_gauge_is_judged_where_it_stands() -> None:
    """Each look is one reading; a value that was put in earlier still holds."""
    load = Load("Depth value<5 over 2s", "Depth value>5 over 2s")
    for second, values in enumerate(([], [3.0], [9.0], [4.0], []), start=1):
        load.look(float(second), "Depth", values)
    assert load.worst == [9, 3]
    assert load.latest == [4, 4]


def test_the_last_second_of_a_load_is_judged_when_it_is_cut_short() -> None:
    """The slowest response is often the one that everybody waited for at the end."""
    load = Load("group_duration max<500 over 1s")
    for second in range(1, 4):
        load.look(float(second), "group_duration", [10])
    load.look(3.02, "group_duration", [900])
    assert load.worst == [900]


def test_extremes_that_decide_are_exact() -> None:
    """The largest of all values is told to the last digit by the worst window, as by the whole load."""
    load = Load("group_duration max<=200 over 3s", "group_duration min>=100 over 3s")
    for second in range(1, 10):
        load.look(
            float(second), "group_duration", [200.0004 if second == 5 else 150.0, 99.9996 if second == 4 else 150.0]
        )
    assert load.worst == [200.0004, 99.9996]


def trends_in_memory() -> int:
    return sum(isinstance(each, TrendSink) for each in gc.get_objects())


def test_long_windows_do_not_keep_every_second() -> None:
    """An hour's window is bounded in memory, and begins within half a minute of where it should."""
    gc.collect()
    before = trends_in_memory()
    load = Load("group_duration avg<500 over 1h", "Sold rate<2 over 1h")
    for second in range(1, 8_001):
        load.sink("group_duration").add(float(second))
        load.look(float(second), "Sold", [1])
    assert trends_in_memory() - before < 150
    assert load.latest == [pytest.approx(8_000 - 1_800, abs=20), pytest.approx(1)]


def test_thresholds_without_a_window_are_left_to_others() -> None:
    """Only those with `over` slide."""
    mixed = [parse_threshold("group_duration", words, METRICS) for words in ("avg<1", "avg<1 over 2s")]
    windows = Windows(mixed)
    windows.look(1.0, Snapshot({}))
    assert windows.worst(mixed[1]) is None
    with pytest.raises(KeyError):
        windows.worst(mixed[0])
