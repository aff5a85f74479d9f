"""Thresholds: the grammar, what each metric allows, and what counts as no data."""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.snapshot import Snapshot
from ciload.result.thresholds import Limit, Threshold, measure, parse_threshold

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
    return registry.take()


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
        ("List Users", "count>99", 100.0),
        ("Share", "rate>0.9", 1.0),
        ("Share", "passes>0", 100.0),
        ("Share", "count>0", 100.0),
        ("Share", "fails<1", 0.0),
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
        ("List Users", "p(N)<500", "does not apply"),
        ("List Users", "avg<500 over", "is not a threshold"),
        ("List Users", "avg<500 ever 30s", "is not a threshold"),
        ("List Users", "avg<500 over 30 s", "is not a threshold"),
        ("List Users", "avg<500 over 30x", "'30x' is not a duration: write 30s"),
        ("List Users", "avg<500 over 900ms", "'900ms' in 'avg<500 over 900ms' is too short: a window has at least 1s"),
        ("List Users", "count<500 over 30s", "a window of 'List Users', a trend: use avg, min, med, max, p(N)"),
        ("Errors", "count<500 over 30s", "use rate"),
        ("Share", "fails<500 over 30s", "use rate"),
        ("Errors", "p(95)<500", "a counter"),
        ("http_reqs{status}", "count>1", "does not select by tags"),
        ("http_reqs{status:}", "count>1", "does not select by tags"),
        ("http_reqs{status:''}", "count>1", "does not select by tags"),
        ("http_reqs{status:200,}", "count>1", "does not select by tags"),
        ("http_reqs{name:/a,b}", "count>1", "does not select by tags"),
        ("http_reqs{:200}", "count>1", "does not select by tags"),
        ("http_reqs{}", "count>1", "does not select by tags"),
        ("{status:200}", "count>1", "is not a metric"),
    ],
)
def test_a_typo_is_explained(key: str, expression: str, message: str) -> None:
    """The message names the mistake and what was probably meant."""
    with pytest.raises(ValueError, match=r"threshold|metric|apply|select|number|window|duration") as caught:
        parse_threshold(key, expression, METRICS)
    assert message in str(caught.value)


@given(st.text(), st.text())
def test_no_text_crashes_the_parser(key: str, expression: str) -> None:
    """Hostile configuration ends in a ValueError at worst."""
    for name in (key, f"http_reqs{{{key}}}"):
        with suppress(ValueError):
            parse_threshold(name, expression, METRICS)
    with suppress(ValueError):
        parse_threshold("List Users", f"avg<1 over {expression}", METRICS)


def test_tags_select_and_merge() -> None:
    """Several tags all have to match; the series that do are judged together."""
    registry = Registry()
    scope = Scope(registry, "default")
    for status, count in ((200, 3), (201, 2), (500, 1)):
        scope.http_series(("http://a/users", "GET", status, "", ()), 0).unsent += count
    data = registry.take()
    expected = {"{status:200}": 3.0, "{name:http://a/users,expected_response:true}": 5.0, "{status:'500'}": 1.0}
    for selector, value in expected.items():
        threshold = parse_threshold(f"http_reqs{selector}", "count>0", METRICS)
        assert measure(threshold, data, 1.0, 1) == value


PLACES = ("::pay", "::pay::card", "::pay::card::3ds", "::payments", "::log in", "")


def requests_by_tags() -> Snapshot:
    """A request in each group, and one for each status and path; `path` has characters that mean something."""
    registry = Registry()
    for group in PLACES:
        Scope(registry, "groups", group).sink(BUILTIN["http_reqs"], {"group": group}).add(1)
    for status in ("200", "201", "404"):
        for path in ("/a*b", "/a.b", "/axxb", "/a,b", "/c\nd", "it's"):
            Scope(registry, "paths").sink(BUILTIN["http_reqs"], {"status": status, "path": path}).add(1)
    return registry.take()


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        ("status:20*", 12),
        ("status:*0*", 18),
        ("status:2", 0),
        ("stauts:2*", None),
        ("path:/a.b,status:5*", 0),
        ("path:/nowhere", 0),
        ("scenario:typo,status:5*", None),
        ("status:*", 18),
        ("status:20*,path:/a.b", 2),
        ("path:/a.b", 3),
        ("path:/a*b", 12),
        ("path:/a**b", 12),
        ("path:'/a*b'", 3),
        ('path:"/a,b" , status:200', 1),
        ("path:/c*", 3),
        ("path:it's", 3),
        ('path:"it\'s"', 3),
        ("group:::pay", 3),
        ("group:::pay::card", 2),
        ("group:'::pay'", 1),
        ("group:::pay*", 4),
        ("group:::*::card", 2),
        ("group:::log in", 1),
        ("group:pay", None),
        ("group:*pay", 1),
    ],
)
def test_values_may_be_patterns_and_groups_contain_their_children(selector: str, count: int | None) -> None:
    """Only `*` is special, quotes take things to the letter, all tags have to match, and an absent tag never does."""
    threshold = parse_threshold(f"http_reqs{{{selector}}}", "count>0", METRICS)
    assert measure(threshold, requests_by_tags(), 1.0, 1) == count


def test_the_time_of_a_group_is_not_mixed_with_that_of_groups_in_it() -> None:
    """`group_duration{group:::pay}` is the time of "::pay" alone, which contains the others already."""
    registry = Registry()
    for group, ms in (("::pay", 900.0), ("::pay::card", 100.0)):
        Scope(registry).sink(BUILTIN["group_duration"], {"group": group}).add(ms)
    threshold = parse_threshold("group_duration{group:::pay}", "avg<1000", METRICS)
    assert measure(threshold, registry.take(), 1.0, 1) == 900


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("status:20", "status is 200, 201, 404"),
        ("status:200", ""),
        ("status:200,scenario:paths,path:nowhere", "path is /a*b, /a,b, /a.b, /axxb, /c\nd, …"),
        ("stauts:200", "nothing has a tag 'stauts'"),
        ("status:200,scenario:groups", "nothing has all of these tags"),
        ("", ""),
    ],
)
def test_a_selector_says_why_it_found_nothing(selector: str, why: str) -> None:
    """The values that there are come to the rescue of who mistyped one, but not hundreds of them."""
    data = requests_by_tags()
    threshold = parse_threshold(f"http_reqs{{{selector}}}" if selector else "http_reqs", "count>0", METRICS)
    assert threshold.selector.why_nothing(data.series["http_reqs"]) == why
    assert threshold.selector.why_nothing([]) == ""


def test_long_values_are_cut_in_explanations() -> None:
    """A URL of kilobytes does not become a reason of kilobytes."""
    threshold = parse_threshold("http_reqs{name:x}", "count>0", METRICS)
    assert threshold.selector.why_nothing([(("name", "u" * 5_000),)]) == f"name is {'u' * 79}…"


@pytest.mark.parametrize("expression", ["p(95)<500", "avg<500", "max<500", "count<500"])
def test_a_trend_without_samples_is_no_data(expression: str) -> None:
    """A dead server must not pass a latency limit."""
    assert measure(parse_threshold("List Users", expression, METRICS), snapshot(), 10.0, 5) is None


def test_a_rate_or_gauge_without_samples_is_no_data() -> None:
    """`checks: rate>0.99` with no checks at all has measured nothing."""
    for expression in ("rate>0.99", "count<5", "passes<5", "fails<5"):
        assert measure(parse_threshold("checks", expression, METRICS), snapshot(), 10.0, 5) is None
    assert measure(parse_threshold("Depth", "value<1", METRICS), snapshot(), 10.0, 5) is None


def test_an_event_that_never_happened_counts_zero_once_something_ran() -> None:
    """`Errors: count<10` passes on a run without errors, but not on a run without iterations."""
    threshold = parse_threshold("Errors", "count<10", METRICS)
    assert measure(threshold, snapshot(), 10.0, 5) == 0.0
    assert measure(threshold, snapshot(), 10.0, 0) is None


@pytest.mark.parametrize(
    ("key", "count"),
    [
        ("http_reqs{status:5*1}", 0),
        ("http_reqs{name:/users,status:404}", 0),
        ("http_reqs{error:*,error_code:1*}", 0),  # there is no tag `error` before there is an error
        ("script_errors{scenario:default}", 0),
        ("http_reqs{name:typo}", None),
        ("http_reqs{name:typo,status:404}", None),
        ("http_reqs{stauts:500}", None),
        ("script_errors{scenario:typo}", None),
        ("Errors{scenario:default,kind:lost}", None),
        ("Errors{group:::typo}", None),
    ],
)
def test_what_did_not_happen_is_counted_as_zero_unless_it_may_be_misspelt(key: str, count: int | None) -> None:
    """'No 5xx' can be said; but a tag that there is not, or a request or scenario that there is not, is no data."""
    registry = Registry(METRICS)
    scope = Scope(registry, "default")
    scope.sink(BUILTIN["iterations"]).add(1)
    scope.http_series(("/users", "GET", 200, "", ()), 0).unsent += 1
    threshold, snapshot = parse_threshold(key, "count<1", METRICS), registry.take()
    assert measure(threshold, snapshot, 10.0, 5) == count
    assert measure(threshold, snapshot, 10.0, 0) is None


def test_of_requests_that_were_not_made_nothing_is_counted() -> None:
    """Without a single request, 'no 5xx' has not been seen to hold."""
    registry = Registry()
    Scope(registry, "default").sink(BUILTIN["iterations"]).add(1)
    assert measure(parse_threshold("http_reqs{status:5*}", "count<1", METRICS), registry.take(), 10.0, 1) is None


def test_a_limit_is_text_or_a_mapping_in_either_spelling() -> None:
    """k6's names and ours mean the same, and what is left out has its default."""
    k6: dict[str, Any] = {"threshold": "avg<1", "abortOnFail": True, "delayAbortEval": "1m30s"}
    ours: dict[str, Any] = {"threshold": "avg<1", "abort_on_fail": True, "delay_abort_eval": 90}
    assert Limit.model_validate(k6) == Limit.model_validate(ours)
    assert Limit.model_validate(k6).delay_abort_eval == 90
    plain = Limit.model_validate("avg<1")
    assert (plain.threshold, plain.abort_on_fail, plain.delay_abort_eval, plain.severity) == ("avg<1", False, 0, "fail")
    assert Limit.model_validate(plain) == plain


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "not a threshold: write text, or a mapping"),
        (None, "not a threshold"),
        (["avg<1"], "not a threshold"),
        ({}, "threshold\n  Field required"),
        ({"threshold": 5}, "valid string"),
        ({"threshold": "avg<1", "abortonfail": True}, "'abortonfail' of a threshold is none of threshold"),
        ({"threshold": "avg<1", 5: True}, "5 of a threshold is none of"),
        ({"threshold": "avg<1", "abortOnFail": True, "abort_on_fail": True}, "'abort_on_fail' of a threshold is there"),
        ({"threshold": "avg<1", "abortOnFail": "maybe"}, "valid boolean"),
        ({"threshold": "avg<1", "severity": "error"}, "'fail' or 'warn'"),
        ({"threshold": "avg<1", "delayAbortEval": "soon"}, "is not a duration"),
        ({"threshold": "avg<1", "delayAbortEval": [1]}, "is not a duration"),
        ({"threshold": "avg<1", "delayAbortEval": 10**400}, "is not a duration"),
    ],
)
def test_a_limit_of_another_shape_is_explained(value: object, message: str) -> None:
    """Files hold anything; it ends in an error that names the mistake."""
    with pytest.raises(ValidationError) as caught:
        Limit.model_validate(value)
    assert message in str(caught.value)


def test_a_threshold_knows_everything_that_its_limit_says() -> None:
    """Window, abort and severity are taken over; the words of the expression stay."""
    limit = Limit.model_validate({"threshold": " p(95) < 500  over 1m ", "abortOnFail": True, "delayAbortEval": 5})
    threshold = parse_threshold("List Users", limit, METRICS, "load.py:7")
    assert (threshold.window_s, threshold.abort_on_fail, threshold.delay_abort_eval_s) == (60, True, 5)
    assert (threshold.severity, threshold.expression, threshold.limit) == ("fail", limit.threshold, 500)
    assert (threshold.percent, threshold.where) == (95, "load.py:7")
    plain = parse_threshold("List Users", "p(95)<500", METRICS)
    assert (plain.window_s, plain.abort_on_fail, plain.delay_abort_eval_s, plain.severity) == (None, False, 0, "fail")


def test_a_warning_cannot_abort() -> None:
    """Who only wants to be warned does not want the run to end."""
    limit = Limit(threshold="avg<1", severity="warn", abort_on_fail=True)
    with pytest.raises(ValueError, match="a warning cannot abort"):
        parse_threshold("List Users", limit, METRICS)


class Holder(BaseModel):
    model_config = ConfigDict(frozen=True)

    thresholds: tuple[Threshold, ...]


def test_thresholds_travel() -> None:
    """They are pickled for other processes and held by frozen models, whose JSON gives them back."""
    limit = Limit(threshold="rate<5 over 10s", severity="warn")
    threshold = parse_threshold("http_reqs{name:/a*,group:::pay}", limit, METRICS, "x:1")
    holder = Holder(thresholds=(threshold,))
    assert pickle.loads(pickle.dumps(holder)).thresholds == (threshold,)
    assert Holder.model_validate_json(holder.model_dump_json()).thresholds == (threshold,)
    assert {threshold: 1}[pickle.loads(pickle.dumps(threshold))] == 1
