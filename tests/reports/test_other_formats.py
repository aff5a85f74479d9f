"""Reports for GitLab and Jenkins: the shapes that these read, with nothing that breaks them."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import example, given

from ciload.metrics.metric import Kind
from ciload.reports.gitlab_load_performance import load_performance_json
from ciload.reports.openmetrics import openmetrics_text
from ciload.reports.taurus_xml import final_status_xml
from ciload.result.document import Failure, MetricResult, RunResult
from tests.reports.results import NASTY, distribution, endpoint, hostile, metrics, result, verdict


def metric(**facts: Any) -> MetricResult:
    return MetricResult(**facts)


def measured(**more: MetricResult) -> RunResult:
    checks = metric(kind=Kind.RATE, unit="", rate=0.75, passes=30, fails=10)
    waiting = metric(kind=Kind.TREND, unit="ms", trend=distribution(p95=123.456))
    received = metric(kind=Kind.COUNTER, unit="bytes", count=181_000, rate=3_000)
    return result(
        metrics={**metrics(), "checks": checks, "http_req_waiting": waiting, "data_received": received, **more}
    )


def test_gitlab_widget_finds_its_keys() -> None:
    """Exactly where it looks: flat, in ms, with the share of checks as two counts."""
    found = json.loads(load_performance_json(measured()))["metrics"]
    assert found["http_reqs"]["rate"] == 1_000 / 60
    assert (found["http_req_waiting"]["p(95)"], found["http_req_waiting"]["p(90)"]) == (123.456, 123.456 * 0.9)
    assert (found["checks"]["passes"], found["checks"]["fails"]) == (30, 10)


def test_gitlab_widget_never_sees_what_was_not_measured() -> None:
    """It makes NaN of 0 checks of 0, and of a metric without values."""
    none = metric(kind=Kind.RATE, unit="", rate=None, passes=0, fails=0)
    assert "checks" not in json.loads(load_performance_json(measured(checks=none)))["metrics"]
    assert json.loads(load_performance_json(result(metrics={}))) == {"metrics": {}}


def test_openmetrics_are_few_with_three_digits_and_an_end() -> None:
    """GitLab compares the text of the values, so noise must not reach it."""
    text = openmetrics_text(measured())
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    assert lines == [
        "ciload_passed 1", "ciload_requests_per_second 16.7", "ciload_failed_requests_ratio 0",
        "ciload_request_duration_p50_seconds 0.113", "ciload_request_duration_p95_seconds 0.283",
        "ciload_request_duration_p99_seconds 0.425", "ciload_passed_checks_ratio 0.75", "",
    ]  # fmt: skip
    assert text.endswith("# EOF\n")
    for name, unit in re.findall(r"# UNIT (\S+) (\S+)", text):
        assert name.endswith(f"_{unit}")  # as the specification wants it


def test_openmetrics_of_a_run_that_measured_nothing_say_that_it_failed() -> None:
    """A file is there all the same."""
    assert "ciload_passed 0\n# EOF\n" in openmetrics_text(
        result(metrics={}, verdict=verdict(Failure(code=107, reason="x")))
    )


def test_jenkins_reads_totals_then_endpoints() -> None:
    """Taurus' shape: seconds, counts, and the group without a name for all."""
    run = measured().model_copy(update={"endpoints": [endpoint(failed=10), endpoint(method="POST", duration=None)]})
    text = final_status_xml(run)
    assert text.startswith("<?xml")
    root = ElementTree.fromstring(text)
    assert (root.tag, root.findtext("TestDuration")) == ("FinalStatus", "60.02000")
    groups = {each.get("label"): each for each in root.iter("Group")}
    assert list(groups) == ["", "GET /v3/users", "POST /v3/users"]
    values = {each.tag: each.get("value") for each in groups[""] if each.tag != "perc"}
    assert values == {"throughput": "2000", "succ": "1990", "fail": "10", "bytes": "181000", "avg_rt": "0.14172"}
    assert {each.get("param"): each.get("value") for each in groups[""].iter("perc")}["95.0"] == "0.28343"


@given(text=hostile, other=hostile)
@example(text="x".join(NASTY), other=" ".join(reversed(NASTY)))
def test_hostile_names_stay_labels(text: str, other: str) -> None:
    """One group for each endpoint, each with a label of its own, and no name at all in the other reports."""
    run = measured().model_copy(
        update={"endpoints": [endpoint(text, method=other)] * 2 + [endpoint(other, method=text)], "name": text}
    )
    labels = [each.get("label") for each in ElementTree.fromstring(final_status_xml(run).encode()).iter("Group")]
    assert len(labels) == len(set(labels)) == 4
    assert openmetrics_text(run) == openmetrics_text(measured())
    assert load_performance_json(run) == load_performance_json(measured())
