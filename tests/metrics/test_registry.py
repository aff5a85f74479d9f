"""Series by tags, scopes by group, everything bounded: what a run of any length and any script keeps."""

from __future__ import annotations

import gc
from collections.abc import Mapping

import pytest

from ciload.metrics.errors_tally import MOST_KINDS, AnswerSample
from ciload.metrics.folding import MOST_SERIES, Folding
from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.metrics.registry import (
    MOST_CACHED,
    MOST_METRICS,
    MOST_SCOPES,
    MetricConflictError,
    MetricLimitError,
    Registry,
    Scope,
)
from ciload.metrics.series import HttpSeries, Tags
from ciload.metrics.sinks import CounterSink, RateSink, TrendSink
from ciload.metrics.snapshot import Snapshot

OTHER = "(other)"


def record(scope: Scope, name: str, *, status: int = 200, tags: Tags = (), ms: float = 10.0) -> HttpSeries:
    """One request on a kept-alive connection, as the client records it."""
    key = (name, "GET", status, "", tags)
    series = scope.http.get(key) or scope.http_series(key, 1000 + status if status >= 400 else 0)
    series.sending.append(0.0)
    series.waiting.append(ms / 1e3)
    series.receiving.append(0.0)
    series.bytes_sent += 100
    series.bytes_received += 1_000
    return series


def count(snapshot: Snapshot, name: str = "http_reqs", tags: Mapping[str, str] | None = None) -> float:
    sink = snapshot.select(name, tags)
    assert sink is None or isinstance(sink, CounterSink)
    return sink.total if sink else 0


def rate(snapshot: Snapshot, name: str, tags: Mapping[str, str] | None = None) -> tuple[int, int]:
    sink = snapshot.select(name, tags)
    assert isinstance(sink, RateSink)
    return sink.passes, sink.total


# --- HTTP series


def test_a_request_fills_every_http_metric() -> None:
    """One request gives a sample of each phase, a count, a failure rate and its bytes."""
    registry = Registry()
    record(Scope(registry, "browse"), "/a", ms=250)
    snapshot = registry.take()
    assert count(snapshot) == 1
    assert rate(snapshot, "http_req_failed") == (0, 1)
    assert (count(snapshot, "data_sent"), count(snapshot, "data_received")) == (100, 1_000)
    assert snapshot.trend("http_req_duration").largest == pytest.approx(250)
    for phase in ("blocked", "looking_up", "connecting", "tls_handshaking", "sending", "receiving"):
        sink = snapshot.trend(f"http_req_{phase}")
        assert (sink.count, sink.largest) == (1, 0)
    assert snapshot.trend("http_req_waiting").sum == pytest.approx(250)


def test_duration_is_sending_waiting_and_receiving() -> None:
    """Connecting does not count as duration; it is measured next to it."""
    registry = Registry()
    series = record(Scope(registry), "/a", ms=100)
    series.sending[0], series.receiving[0] = 0.02, 0.03
    for phase in (series.blocked, series.looking_up, series.connecting):
        phase.append(5.0)
    snapshot = registry.take()
    assert snapshot.trend("http_req_duration").sum == pytest.approx(150)
    assert snapshot.trend("http_req_blocked").sum == pytest.approx(5_000)


def test_connection_times_are_zero_for_reused_connections() -> None:
    """Of ten requests on one connection, nine connected in 0 ms."""
    registry = Registry()
    scope = Scope(registry)
    for _ in range(10):
        series = record(scope, "/a")
    series.connecting.append(0.008)
    connecting = registry.take().trend("http_req_connecting")
    assert connecting.count == 10
    assert connecting.mean == pytest.approx(0.8)
    assert connecting.percentiles([50]) == [0]


def test_folding_between_a_dial_and_the_next_request_keeps_the_counts() -> None:
    """Folding at any time gives as many connection samples as requests."""
    registry = Registry()
    scope = Scope(registry)
    for number in range(5):
        series = record(scope, "/a")
        if number % 2:
            series.connecting.append(0.008)
        series.fold()
    assert registry.take().trend("http_req_connecting").count == 5


def test_unsent_request_is_a_failure_without_times() -> None:
    """A refused connection counts as a failed request and gives no duration that would flatter the run."""
    registry = Registry()
    scope = Scope(registry)
    scope.http_series(("/a", "GET", 0, "dial: connection refused", ()), 1212).unsent += 3
    snapshot = registry.take()
    assert count(snapshot) == 3
    assert rate(snapshot, "http_req_failed") == (3, 3)
    assert snapshot.trend("http_req_duration").empty
    assert count(snapshot, "data_sent") == 0
    assert snapshot.request_errors.entries[("GET /a", "dial: connection refused")].count == 3


def test_samples_are_kept_of_a_hundred_kinds_of_failures() -> None:
    """Names made of data cannot fill memory, nor take time for thousands of bodies; each sample is handed over once."""
    registry = Registry()
    scope = Scope(registry)
    sample = AnswerSample("GET /", 500)
    for number in range(300):
        for kind in (record(scope, f"/{number}", status=500), (f"check {number}", "")):
            if registry.wants_sample_of(kind):
                registry.keep_sample(kind, sample)
            assert not registry.wants_sample_of(kind)
    assert not registry.wants_sample_of(record(scope, "/fine"))
    snapshot = registry.take()
    assert sum(each.sample is not None for each in snapshot.request_errors.entries.values()) == MOST_KINDS
    assert len(snapshot.failed_checks) == MOST_KINDS
    record(scope, "/0", status=500)
    again = registry.take()
    assert [each.sample for each in again.request_errors.entries.values()] == [None]
    assert again.failed_checks == {}
    again.merge(snapshot)
    assert again.request_errors.entries["GET /0", "HTTP 500"].sample == sample


def test_series_are_told_apart_by_their_tags() -> None:
    """Name, status, scenario, group and custom tags each select; no tags select everything."""
    registry = Registry()
    browse, pay = Scope(registry, "browse"), Scope(registry, "pay").within("checkout").within("card")
    record(browse, "/a")
    record(browse, "/b", status=404)
    record(pay, "/a", tags=(("team", "x"),))
    record(pay, "/a")
    snapshot = registry.take()
    for tags, wanted in (
        ({}, 4),
        ({"name": "/a"}, 3),
        ({"name": "/b"}, 1),
        ({"status": "404"}, 1),
        ({"status": "404", "name": "/a"}, 0),
        ({"expected_response": "true"}, 3),
        ({"error_code": "1404"}, 1),
        ({"scenario": "pay"}, 2),
        ({"group": "::checkout::card"}, 2),
        ({"group": "::checkout"}, 0),
        ({"team": "x"}, 1),
        ({"team": "y"}, 0),
        ({"method": "GET"}, 4),
    ):
        assert count(snapshot, tags=tags) == wanted, tags
    assert snapshot.select("http_reqs", {"name": "/none"}) is None
    assert snapshot.select("no_such_metric") is None
    assert snapshot.trend("no_such_metric").empty


def test_order_of_tags_does_not_matter() -> None:
    """The same tags in another order are the same series."""
    registry = Registry()
    scope = Scope(registry)
    assert record(scope, "/a", tags=(("x", "1"), ("y", "2"))) is record(scope, "/a", tags=(("y", "2"), ("x", "1")))
    assert len(registry.http) == 1


def test_empty_tags_are_no_tags() -> None:
    """A tag without a value, such as the group outside of groups, is absent."""
    registry = Registry()
    record(Scope(registry), "/a", tags=(("team", ""),))
    (tags,) = registry.http
    assert dict(tags) == {"name": "/a", "method": "GET", "status": "200", "expected_response": "true"}


def test_request_without_a_name_does_not_break_the_results() -> None:
    """A request that was made for "" is reported like any other."""
    registry = Registry()
    scope = Scope(registry)
    scope.http_series(("", "GET", 0, "invalid URL", ()), 1020).unsent += 1
    snapshot = registry.take()
    assert rate(snapshot, "http_req_failed") == (1, 1)
    assert [entry.count for entry in snapshot.request_errors.entries.values()] == [1]


def test_failures_are_listed_by_request_and_reason() -> None:
    """The error table says which request met what, how often."""
    registry = Registry()
    scope = Scope(registry)
    for status in (200, 500, 500, 404):
        record(scope, "/a", status=status)
    record(scope, "/b", status=500)
    entries = registry.take().request_errors.entries
    assert {key: entry.count for key, entry in entries.items()} == {
        ("GET /a", "HTTP 500"): 2,
        ("GET /a", "HTTP 404"): 1,
        ("GET /b", "HTTP 500"): 1,
    }


def test_taking_leaves_nothing_behind() -> None:
    """What has been taken is not taken again; all that was taken together is the whole."""
    registry = Registry()
    scope = Scope(registry)
    whole = Snapshot({})
    for wanted in (1, 2, 3):
        record(scope, "/a", status=500)
        taken = registry.take()
        whole.merge(taken)
        for snapshot, number in ((taken, 1), (whole, wanted)):
            assert count(snapshot) == number
            assert rate(snapshot, "http_req_failed") == (number, number)
            assert [entry.count for entry in snapshot.request_errors.entries.values()] == [number]
    assert registry.take().series == {}


# --- bounds


def test_names_beyond_a_thousand_become_other() -> None:
    """A script whose URLs never repeat fills a thousand series, then one; no request is lost, and it is said."""
    registry = Registry()
    scope = Scope(registry, "browse")
    for number in range(MOST_SERIES):
        record(scope, f"/item/{number}")
    whole = Snapshot({})
    whole.merge(registry.take())
    assert count(whole) == MOST_SERIES
    assert not whole.folded.tags
    for number in range(5 * MOST_SERIES):
        record(scope, f"/other/{number}", status=500 if number % 5 == 0 else 200)
    record(scope, "/item/7")
    whole.merge(registry.take())
    assert len(registry.http) == MOST_SERIES + 2
    assert count(whole) == 6 * MOST_SERIES + 1
    assert count(whole, tags={"name": OTHER, "status": "200", "scenario": "browse"}) == 4 * MOST_SERIES
    assert count(whole, tags={"name": OTHER, "status": "500"}) == MOST_SERIES
    assert count(whole, tags={"name": "/item/7"}) == 2
    assert rate(whole, "http_req_failed", {"name": OTHER}) == (MOST_SERIES, 5 * MOST_SERIES)
    assert whole.request_errors.entries[(f"GET {OTHER}", "HTTP 500")].count == MOST_SERIES
    assert {tag: (each.count, each.example) for tag, each in whole.folded.tags.items()} == {
        "name": ("5,000", "/other/0")
    }


def test_errors_that_never_repeat_stay_bounded() -> None:
    """Messages that contain a URL, for URLs that never repeat, do not make series without end."""
    registry = Registry()
    scope = Scope(registry, "browse")
    for number in range(3 * MOST_SERIES):
        key = (f"/item/{number}", "GET", 0, f"invalid URL '/item/{number}'", ())
        (scope.http.get(key) or scope.http_series(key, 1020)).unsent += 1
    snapshot = registry.take()
    assert len(registry.http) < 2 * MOST_SERIES
    assert count(snapshot) == 3 * MOST_SERIES
    assert count(snapshot, tags={"name": OTHER, "error_code": "1020"}) == 2 * MOST_SERIES
    assert snapshot.folded.tags.keys() == {"name", "error"}


def test_tags_that_make_no_new_series_do_not_grow_memory() -> None:
    """Tags that a request's own facts replace, or empty ones, do not fill the caches, in however many scopes."""
    registry = Registry()
    scope = Scope(registry)
    for number in range(MOST_CACHED):
        record(scope, "/a", tags=(("status", str(number)),))
        record(scope.within(f"{number % 3}"), "/a", tags=((f"tag{number}", ""),))
    assert len(registry.http) == 4
    assert len(scope.http) + sum(len(scope.within(name).http) for name in "012") <= MOST_CACHED


def test_checks_beyond_the_bound_become_other() -> None:
    """Check names made of data end in one "(other)"; every result still counts."""
    registry = Registry()
    scope = Scope(registry, "browse")
    for number in range(MOST_SERIES + 500):
        scope.check_sink(f"item {number} is there").add(number % 2)
    scope.check_sink("item 7 is there").add(1)
    snapshot = registry.take()
    assert rate(snapshot, "checks") == (MOST_SERIES // 2 + 250 + 1, MOST_SERIES + 501)
    assert rate(snapshot, "checks", {"check": OTHER, "scenario": "browse"}) == (250, 500)
    assert rate(snapshot, "checks", {"check": "item 7 is there"}) == (2, 2)
    assert len(registry.sinks) == MOST_SERIES + 1
    assert snapshot.folded.tags["check"].count == "500"


def test_custom_tags_beyond_the_bound_are_dropped() -> None:
    """Tags made of data, that no threshold selects, are dropped at the bound; the samples are not."""
    registry = Registry()
    scope = Scope(registry, "browse")
    sold = Metric("sold", Kind.COUNTER)
    for number in range(MOST_SERIES + 500):
        scope.sink(sold, {"item": str(number)}).add(1)
        scope.sink(sold, {f"item{number}": "sold"}).add(1)
    snapshot = registry.take()
    assert count(snapshot, "sold") == 2 * (MOST_SERIES + 500)
    assert count(snapshot, "sold", {"item": "3"}) == 1
    assert len(registry.sinks) == MOST_SERIES + 1
    assert len(snapshot.folded.tags) <= 21  # a script may make up names of tags as well


def test_builtin_metrics_work_in_a_full_registry() -> None:
    """A script that has used up all series still gets its iterations counted, by scenario."""
    registry = Registry(folding=Folding(scenarios=["browse", "pay"]))
    for number in range(MOST_SERIES):
        record(Scope(registry, "browse"), f"/{number}")
    for scenario in ("browse", "pay", "pay"):
        scope = Scope(registry, scenario)
        scope.sink(BUILTIN["iterations"]).add(1)
        scope.sink(BUILTIN["iteration_duration"]).add(5)
    snapshot = registry.take()
    assert count(snapshot, "iterations", {"scenario": "browse"}) == 1
    assert count(snapshot, "iterations", {"scenario": "pay"}) == 2
    assert snapshot.trend("iteration_duration").count == 3


def test_groups_without_end_stay_bounded() -> None:
    """Group names made of data end in one "(other)"; their samples are all there, and so are their checks'."""
    registry = Registry()
    scope = Scope(registry, "browse")
    for number in range(3 * MOST_SERIES):
        record(scope.within(f"user {number}"), "/a")
        scope.within(f"user {number}").within("inner").check_sink("ok").add(True)
    assert registry.scopes == MOST_SCOPES
    assert max(len(registry.http), len(registry.sinks)) <= 2 * MOST_SERIES
    snapshot = registry.take()
    assert count(snapshot) == rate(snapshot, "checks")[1] == 3 * MOST_SERIES
    assert count(snapshot, tags={"group": OTHER}) > MOST_SERIES
    assert scope.within("user 0").group == "::user 0"
    assert scope.within("user 999999").group == "::user 999999"


def test_scopes_that_are_not_kept_go_with_whoever_used_them() -> None:
    """Beyond the bound, a scope is freed at once, without waiting for the garbage collector, which runs seldom."""
    registry = Registry()
    scope = Scope(registry, "browse")
    registry.scopes = MOST_SCOPES
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(each, Scope) for each in gc.get_objects())
        for number in range(100):
            scope.tagged((("user", str(number)),)).within("a").tags()
        assert sum(isinstance(each, Scope) for each in gc.get_objects()) == before
    finally:
        gc.enable()


def test_a_metric_for_every_sample_is_refused() -> None:
    """Metrics cannot be folded into one another: a script that makes up their names is told so."""
    registry = Registry()
    scope = Scope(registry)
    for number in range(MOST_METRICS - len(BUILTIN)):
        scope.sink(Metric(f"sold {number}", Kind.COUNTER)).add(1)
    with pytest.raises(MetricLimitError, match="'one more': more than 1,000 metrics"):
        scope.sink(Metric("one more", Kind.COUNTER))
    assert len(registry.metrics) == MOST_METRICS


def test_scopes_of_a_group_are_found_again() -> None:
    """Entering a group again is the same scope; groups inside know the way to them."""
    scope = Scope(Registry(), "browse")
    inner = scope.within("a").within("b")
    assert inner is scope.within("a").within("b")
    assert dict(inner.tags()) == {"group": "::a::b", "scenario": "browse"}
    assert scope.within("b") is not inner


# --- metrics


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Metric("http_reqs", Kind.TREND, "ms"), "already a counter.*cannot also be a trend in ms"),
        (Metric("http_req_duration", Kind.TREND, "s"), "already a trend in ms.*trend in s"),
        (Metric("sold", Kind.GAUGE), "'sold' is already a counter"),
    ],
)
def test_one_name_is_one_metric(metric: Metric, message: str) -> None:
    """A name cannot be used for another kind or unit, whether when it is defined or when it is first used."""
    registry = Registry()
    registry.declare(Metric("sold", Kind.COUNTER))
    with pytest.raises(MetricConflictError, match=message):
        registry.declare(metric)
    with pytest.raises(MetricConflictError, match=message):
        Scope(registry).sink(metric)


def test_declaring_a_metric_twice_is_fine() -> None:
    """The same definition in two files is one metric."""
    registry = Registry()
    for _ in range(2):
        registry.declare(Metric("sold", Kind.COUNTER))
        registry.declare(Metric("http_reqs", Kind.COUNTER))
    assert registry.take().metrics["sold"] == Metric("sold", Kind.COUNTER)
    assert registry.take().select("sold") is None


def test_registries_do_not_share_metrics() -> None:
    """What one run defines is unknown in the next."""
    Registry().declare(Metric("sold", Kind.COUNTER))
    assert "sold" not in Registry().metrics
    assert "sold" not in BUILTIN


def test_custom_trend_is_folded_into_the_snapshot() -> None:
    """Samples of a script's own metric are in the results with the tags of their place."""
    registry = Registry()
    scope = Scope(registry, "browse").within("login")
    sink = scope.sink(Metric("rows", Kind.TREND), {"table": "users"})
    for number in (1, 2, 3):
        sink.add(number)
    assert isinstance(sink, TrendSink)
    sink.fold()
    sink.add(4)
    rows = registry.take().select("rows", {"table": "users", "group": "::login", "scenario": "browse"})
    assert isinstance(rows, TrendSink)
    assert (rows.count, rows.sum) == (4, 10)


def test_response_time_counts_from_when_a_request_was_due() -> None:
    """Being late and opening a connection belong to it, not to the duration; without either the two are the same."""
    registry = Registry()
    series = record(Scope(registry), "/a", ms=100)
    series.add_wait(0.3, (0.05, 0.01, 0.02, 0.0))
    record(Scope(registry), "/a", ms=100)
    record(Scope(registry), "/a", ms=100)
    snapshot = registry.take()
    times = snapshot.trend("http_req_response_time")
    assert times.count == 3
    assert [times.smallest, times.largest] == pytest.approx([100, 450])
    assert snapshot.trend("http_req_duration").largest == pytest.approx(100)
    assert snapshot.trend("http_req_blocked").largest == pytest.approx(50)


def test_what_is_taken_is_gone() -> None:
    """Deltas add up to the whole: nothing is told twice, and what was taken from does not grow stale."""
    registry = Registry()
    scope = Scope(registry)
    whole = Snapshot({})
    for _ in range(3):
        record(scope, "/a", ms=100)
        scope.check_sink("ok").add(True)
        whole.merge(registry.take())
    assert registry.take().series == {}
    assert count(whole) == 3
    assert rate(whole, "checks") == (3, 3)


def test_tags_of_a_virtual_user_go_along_into_groups() -> None:
    """They are below the tags of a sample and above those of run and scenario, and can change."""
    registry = Registry()
    scope = Scope(registry, "browse", tags=(("plan", "none"), ("team", "a")))
    gold = scope.tagged((("plan", "gold"),)).within("log in")
    record(gold, "/a")
    record(gold.tagged((("plan", "tin"),)), "/a")
    record(gold.tagged(()), "/a", tags=(("plan", "own"),))
    snapshot = registry.take()
    for plan in ("gold", "tin", "own"):
        tags = {"plan": plan, "team": "a", "scenario": "browse", "group": "::log in"}
        assert count(snapshot, tags=tags) == 1
