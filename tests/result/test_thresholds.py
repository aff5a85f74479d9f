"""Thresholds: the grammar, what each metric allows, and what counts as no data."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.snapshot import Snapshot
from ciload.result.thresholds import measure, parse_threshold

METRICS = {
    **BUILTIN,
    "List Users": Metric("List Users", Kind.TREND, "ms"),
    "Errors": Metric("Errors", Kind.COUNTER),
    "Share": Metric("Share", Kind.RATE),
    "Depth": Metric("Depth", Kind.GAUGE),
}


def snapshot(**samples: list[float]) -> Snapshot:
    registry = Registry()
    scope = Scope(registry, "default")
    for metric in METRICS.values():
        registry.declare(metric)
    for name, values in samples.items():
        sink = scope.sink(METRICS[name.replace("_", " ")])
        for value in values:
            sink.add(value)
    return registry.snapshot()


@pytest.mark.parametrize(
    ("key", "expression", "value"),
    [
        ("List Users", "p(95)<500", 95.05),
        ("List Users", "p(50.5) >= 1", 50.995),
        ("List Users", "avg<1", 50.5),
        ("List Users", "min==1", 1.0),
        ("List Users", "max!=3", 100.0),
        ("List Users", "med <= 1e3", 50.5),
        ("Errors", "count<10", 5050.0),
        ("Errors", "rate<10", 505.0),
        ("Share", "rate>0.9", 1.0),
        ("Depth", "value===100", 100.0),
    ],
)
def test_every_aggregation_measures_what_k6_means(key: str, expression: str, value: float) -> None:
    """Samples 1 … 100 over 10 s of load give the textbook value (percentiles to 0.1%)."""
    numbers = [float(each) for each in range(1, 101)]
    data = snapshot(List_Users=numbers, Errors=numbers, Share=numbers, Depth=numbers)
    threshold = parse_threshold(key, expression, METRICS)
    assert measure(threshold, data, 10.0, 1) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("key", "expression", "message"),
    [
        ("List User", "p(95)<500", "did you mean 'List Users'"),
        ("List Users", "p95<500", "is not a threshold"),
        ("List Users", "rate<1", "use avg, min, med, max"),
        ("List Users", "p(101)<500", "does not apply"),
        ("List Users", "avgg<500", "did you mean 'avg'"),
        ("List Users", "avg=<500", "is not a threshold"),
        ("List Users", "avg<500ms", "limits have no units"),
        ("List Users", "avg<nan", "is not a number"),
        ("List Users", "", "is not a threshold"),
        ("Errors", "p(95)<500", "a counter"),
        ("http_reqs{status}", "count>1", "does not select by tags"),
        ("http_reqs{status:}", "count>1", "does not select by tags"),
        ("{status:200}", "count>1", "is not a metric"),
    ],
)
def test_a_typo_is_explained(key: str, expression: str, message: str) -> None:
    """The message names the mistake and what was probably meant."""
    with pytest.raises(ValueError, match=r"threshold|metric|apply|select|number") as caught:
        parse_threshold(key, expression, METRICS)
    assert message in str(caught.value)


@given(st.text(), st.text())
def test_no_text_crashes_the_parser(key: str, expression: str) -> None:
    """Hostile configuration ends in a ValueError at worst."""
    with suppress(ValueError):
        parse_threshold(key, expression, METRICS)


def test_tags_select_and_merge() -> None:
    """Several tags all have to match; the series that do are judged together."""
    registry = Registry()
    scope = Scope(registry, "default")
    for status, count in ((200, 3), (201, 2), (500, 1)):
        scope.http_series(("http://a/users", "GET", status, "", ()), 0).unsent += count
    data = registry.snapshot()
    expected = {"{status:200}": 3.0, "{name:http://a/users,expected_response:true}": 5.0, "{status:'500'}": 1.0}
    for selector, value in expected.items():
        threshold = parse_threshold(f"http_reqs{selector}", "count>0", METRICS)
        assert measure(threshold, data, 1.0, 1) == value


@pytest.mark.parametrize("expression", ["p(95)<500", "avg<500", "max<500"])
def test_a_trend_without_samples_is_no_data(expression: str) -> None:
    """A dead server must not pass a latency limit."""
    assert measure(parse_threshold("List Users", expression, METRICS), snapshot(), 10.0, 5) is None


def test_a_rate_or_gauge_without_samples_is_no_data() -> None:
    """`checks: rate>0.99` with no checks at all has measured nothing."""
    assert measure(parse_threshold("checks", "rate>0.99", METRICS), snapshot(), 10.0, 5) is None
    assert measure(parse_threshold("Depth", "value<1", METRICS), snapshot(), 10.0, 5) is None


def test_an_event_that_never_happened_counts_zero_once_something_ran() -> None:
    """`Errors: count<10` passes on a run without errors, but not on a run without iterations."""
    threshold = parse_threshold("Errors", "count<10", METRICS)
    assert measure(threshold, snapshot(), 10.0, 5) == 0.0
    assert measure(threshold, snapshot(), 10.0, 0) is None


def test_a_selector_that_matches_nothing_is_no_data() -> None:
    """A typo in a tag value must not pass as zero errors."""
    threshold = parse_threshold("http_reqs{name:typo}", "count<10", METRICS)
    assert measure(threshold, snapshot(), 10.0, 5) is None
