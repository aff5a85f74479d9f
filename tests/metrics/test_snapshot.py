"""Snapshots of several processes become one, in any order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.sinks import CounterSink, GaugeSink, RateSink, TrendSink
from ciload.metrics.snapshot import Snapshot

ROWS = Metric("rows", Kind.TREND)
DEPTH = Metric("depth", Kind.GAUGE)
SOLD = Metric("sold", Kind.COUNTER)

# One sample: what it is of, where it was taken, and its value.
sample = st.tuples(
    st.sampled_from(["http", "check", "rows", "depth", "sold", "error"]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 5_000),
)
samples = st.lists(sample, max_size=25)


def measured(taken: list[tuple[str, str, int]]) -> Snapshot:
    registry = Registry()
    for what, where, number in taken:
        scope = Scope(registry, where)
        if what == "http":
            status = 200 if number % 3 else 500
            series = scope.http_series((f"/{where}", "GET", status, "", ()), 0)
            for phase in (series.sending, series.waiting, series.receiving):
                phase.append(number / 1e3)
        elif what == "check":
            scope.check_sink(f"check {where}").add(number % 2)
        elif what == "error":
            registry.errors.add(where, f"message {number % 3}", "trace")
            registry.marked_failed[where] = None
        else:
            scope.sink({"rows": ROWS, "depth": DEPTH, "sold": SOLD}[what], {"place": where}).add(number)
    return registry.take()


def merged(*parts: Snapshot) -> Snapshot:
    whole = Snapshot({})
    for part in parts:
        whole.merge(part)
    return whole


def facts(snapshot: Snapshot) -> dict[str, Any]:
    """Everything in a snapshot, in a form that can be compared."""
    series: dict[str, Any] = {}
    for name, by_tags in snapshot.series.items():
        for tags, sink in by_tags.items():
            series[f"{name} {tags}"] = _sink_facts(sink)
    tallies = [
        {key: entry.count for key, entry in tally.entries.items()}
        for tally in (snapshot.errors, snapshot.request_errors)
    ]
    return {
        "metrics": snapshot.metrics,
        "series": series,
        "tallies": tallies,
        "marked": set(snapshot.marked_failed),
        "folded": snapshot.folded.tags.keys(),
    }


def _sink_facts(sink: object) -> tuple[float, ...]:
    if isinstance(sink, TrendSink):
        return (sink.count, round(sink.sum, 6), sink.smallest, sink.largest, *sink.percentiles([50, 95]))
    if isinstance(sink, GaugeSink):
        return (sink.last, sink.smallest, sink.largest)
    if isinstance(sink, RateSink):
        return (sink.passes, sink.total)
    assert isinstance(sink, CounterSink)
    return (sink.total,)


@given(samples, samples, samples)
@settings(max_examples=60, deadline=None)
def test_merging_is_associative_and_commutative(a: Any, b: Any, c: Any) -> None:
    """Three parts of a run give the same whole in every order and grouping."""
    first, second, third = measured(a), measured(b), measured(c)
    one = facts(merged(first, second, third))
    assert facts(merged(third, first, second)) == one
    assert facts(merged(first, merged(second, third))) == one


@given(samples, samples)
@settings(max_examples=60, deadline=None)
def test_parts_merged_are_the_whole(a: Any, b: Any) -> None:
    """Two processes that share the work measure what one would have measured; only a gauge's last value is a choice."""
    parts, whole = facts(merged(measured(a), measured(b))), facts(measured(a + b))
    for one in (parts, whole):
        for key in [key for key in one["series"] if key.startswith("depth ")]:
            one["series"][key] = one["series"][key][1:]
    assert parts == whole


@given(samples)
@settings(max_examples=30, deadline=None)
def test_merging_leaves_the_part_alone(a: Any) -> None:
    """A part that has been merged can be merged again elsewhere."""
    part = measured(a)
    before = facts(part)
    whole = merged(part, part)
    whole.merge(measured(a))
    assert facts(part) == before


@given(samples)
@settings(max_examples=30, deadline=None)
def test_selecting_everything_is_the_sum_of_selecting_parts(a: Any) -> None:
    """Series selected by scenario add up to the metric without a filter."""
    snapshot = measured(a)
    for name in ("http_reqs", "sold"):
        whole = snapshot.select(name)
        parts = [snapshot.select(name, {"scenario": scenario}) for scenario in "abc"]
        totals = [sink.total for sink in parts if isinstance(sink, CounterSink)]
        assert sum(totals) == (whole.total if isinstance(whole, CounterSink) else 0)
    assert snapshot.trend("rows").count == sum(snapshot.trend("rows", {"place": place}).count for place in "abc")


def test_select_needs_every_tag() -> None:
    """A filter of two tags takes the series that carry both."""
    snapshot = measured([("sold", "a", 1), ("sold", "b", 2)])
    both = snapshot.select("sold", {"place": "a", "scenario": "a"})
    assert isinstance(both, CounterSink)
    assert both.total == 1
    assert snapshot.select("sold", {"place": "a", "scenario": "b"}) is None
    assert snapshot.select("sold", {"place": ""}) is None


def test_select_takes_any_condition_on_the_tags() -> None:
    """A filter may be a function, which is shown the tags of each series."""
    snapshot = measured([("sold", "a", 1), ("sold", "b", 2), ("sold", "c", 4)])
    found = snapshot.select("sold", lambda tags: dict(tags)["place"] != "b")
    assert isinstance(found, CounterSink)
    assert found.total == 5
    assert snapshot.select("sold", lambda tags: False) is None
    assert snapshot.trend("rows", lambda tags: True).empty


def test_select_does_not_hand_out_the_original() -> None:
    """What is selected may be changed without changing the run."""
    snapshot = measured([("sold", "a", 1)])
    selected = snapshot.select("sold")
    assert isinstance(selected, CounterSink)
    selected.add(100)
    again = snapshot.select("sold")
    assert isinstance(again, CounterSink)
    assert again.total == 1


def test_gauge_over_several_series_is_the_latest_value() -> None:
    """Of gauges in several places, the one that was set last stands, with the range of all."""
    snapshot = measured([("depth", "a", 9), ("depth", "b", 5), ("depth", "a", 2)])
    gauge = snapshot.select("depth")
    assert isinstance(gauge, GaugeSink)
    assert (gauge.last, gauge.smallest, gauge.largest) == (2, 2, 9)


def test_rates_select_and_merge_by_samples() -> None:
    """A rate over several checks weighs each result."""
    snapshot = measured([("check", "a", 1), ("check", "a", 1), ("check", "a", 0), ("check", "b", 0)])
    everything, one = snapshot.select("checks"), snapshot.select("checks", {"check": "check a"})
    assert isinstance(everything, RateSink)
    assert isinstance(one, RateSink)
    assert everything.rate == pytest.approx(0.5)
    assert one.rate == pytest.approx(2 / 3)


def test_grouped_sums_by_the_values_of_tags() -> None:
    """Grouping by a tag gives one sink per value, and "" for series without the tag."""
    registry = Registry()
    scope = Scope(registry, "browse")
    for place, number in (("x", 1), ("y", 2), ("x", 3)):
        scope.sink(SOLD, {"place": place}).add(number)
    scope.sink(SOLD).add(10)
    Scope(registry, "pay").sink(SOLD, {"place": "x"}).add(100)
    snapshot = registry.take()

    def totals(*keys: str) -> dict[tuple[str, ...], float]:
        return {key: sink.total for key, sink in snapshot.grouped("sold", *keys) if isinstance(sink, CounterSink)}

    assert totals("place") == {("x",): 104, ("y",): 2, ("",): 10}
    assert totals("scenario", "place") == {
        ("browse", "x"): 4,
        ("browse", "y"): 2,
        ("browse", ""): 10,
        ("pay", "x"): 100,
    }
    assert totals() == {(): 116}
    assert list(snapshot.grouped("no_such_metric", "place")) == []


def test_metrics_of_all_parts_are_known() -> None:
    """A metric that only one process used is in the whole, with its kind."""
    registry = Registry()
    registry.declare(SOLD)
    whole = merged(registry.take(), measured([("rows", "a", 1)]))
    assert whole.metrics == BUILTIN | {"sold": SOLD, "rows": ROWS}


def test_what_was_folded_in_one_part_was_folded_in_the_whole() -> None:
    """A note that names were folded is not lost in a merge, and each of them counts once."""
    first, second = measured([]), measured([])
    for part, numbers in ((first, range(5)), (second, range(3, 9))):
        for number in numbers:
            part.folded.note("name", f"/{number}")
    second.folded.lose("http_req_duration", "name")
    for whole in (merged(first, second), merged(second, first)):
        assert whole.folded.tags["name"].count == "9"
        assert whole.folded.has_lost("http_reqs", ["user", "name"]) == ["name"]
        assert not whole.folded.has_lost("checks", ["user", "name"])
