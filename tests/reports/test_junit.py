"""JUnit XML: agrees with the exit code, survives anything in names, and says why."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ciload.errors import ExitCode
from ciload.reports.junit import junit_xml
from ciload.result.comparison import Comparison, GateVerdict
from ciload.result.document import Check, Failure, RunResult, ScenarioResult, ThresholdResult, Verdict
from tests.reports.results import (
    NASTY,
    answer,
    check,
    comparison,
    endpoint,
    error,
    gated,
    hostile,
    hostile_comparison,
    judged,
    result,
    threshold,
    verdict,
)

EVERYTHING = "".join(NASTY)
TEST = "load"  # what a test is called whose script is load.py; so is the case of the whole run
STOPS = [
    Failure(code=ExitCode.INTERRUPTED, reason="interrupted by SIGTERM"),
    Failure(code=ExitCode.ABORTED, reason="the script called abort()"),
    Failure(code=ExitCode.SETUP_TIMEOUT, reason="setup() did not finish"),
]
STOPPED = {105: "interrupted by SIGTERM after 1m of load", 108: "abort()", 100: "setup() did not finish"}


def parse(run: RunResult) -> ET.Element:
    return ET.fromstring(junit_xml(run).encode("utf-8"))


def cases(run: RunResult) -> dict[tuple[str, str], ET.Element]:
    """All cases by classname and name, which CI systems take for unique."""
    found = list(parse(run).iter("testcase"))
    by_key = {(case.attrib["classname"], case.attrib["name"]): case for case in found}
    assert len(by_key) == len(found)
    return by_key


def case_named(run: RunResult, name: str) -> ET.Element:
    return next(case for (_, each), case in cases(run).items() if each == name)


def complaints(element: ET.Element) -> list[ET.Element]:
    return [each for each in element.iter() if each.tag in ("failure", "error")]


def explanation(case: ET.Element) -> tuple[str, str, str]:
    """Tag, message and text of the only complaint about a case."""
    [complaint] = complaints(case)
    return complaint.tag, complaint.attrib["message"], complaint.text or ""


def test_passed_run_has_a_passed_case_for_everything_that_was_judged() -> None:
    """The test itself, each threshold and each check, and nothing to complain about."""
    run = result(checks=[check(), check("is JSON", group="::log in::form")])
    assert list(cases(run)) == [
        ("ciload.load", "load"),
        ("ciload.load", "http_req_duration p(95)<500"),
        ("ciload.load", "status is 200"),
        ("ciload.load.log in.form", "is JSON"),
    ]
    assert complaints(parse(run)) == []


def test_failed_threshold_says_what_was_measured_where_and_against_what() -> None:
    """Message and text both carry value and limit, since readers show one or the other; the place is an attribute."""
    failed = threshold(500.0004, passed=False, where="tests/load.py:12")
    run = result(thresholds=[failed], verdict=judged([failed]))
    case = case_named(run, "http_req_duration p(95)<500")
    tag, message, text = explanation(case)
    assert tag == "failure"
    assert message == "p(95) of http_req_duration is 500.0004 ms, limit 500 ms"
    assert "500.0004ms" in text
    assert "p(95)<500" in text
    assert (case.attrib["file"], case.attrib["line"]) == ("tests/load.py", "12")
    assert complaints(case_named(run, TEST)) == []


@pytest.mark.parametrize("where", ["--threshold", "CILOAD_THRESHOLDS", ""])
def test_threshold_from_elsewhere_has_no_file(where: str) -> None:
    """Only `file:line` is a place that can be annotated."""
    case = case_named(result(thresholds=[threshold(where=where)]), "http_req_duration p(95)<500")
    assert not {"file", "line"} & case.attrib.keys()


def test_threshold_without_data_fails_and_says_so() -> None:
    """No data is no pass."""
    missing = threshold(None)
    run = result(thresholds=[missing], verdict=judged([missing]))
    _, message, text = explanation(case_named(run, "http_req_duration p(95)<500"))
    assert "no data" in message
    assert "no data" in text


def test_hint_is_told_with_missing_data() -> None:
    """Who reads only the CI system's view learns as well which values there are."""
    missing = threshold(None, hint="status is 200, 404")
    run = result(thresholds=[missing], verdict=judged([missing]))
    assert "(status is 200, 404)" in explanation(case_named(run, "http_req_duration p(95)<500"))[1]


@pytest.mark.parametrize(("value", "what"), [(900.0, "p(95) is 900ms"), (None, "no data")])
def test_threshold_that_only_warns_is_a_passed_case_that_says_so(value: float | None, what: str) -> None:
    """The run passed, so nothing in the file fails; when the run failed, it was not because of this."""
    warned, slow = threshold(value, passed=False, severity="warn"), threshold(800.0, metric="slow", passed=False)
    for thresholds in ([warned], [warned, slow]):
        run = result(thresholds=thresholds, verdict=judged(thresholds))
        case = case_named(run, "http_req_duration p(95)<500")
        assert complaints(case) == []
        said = case.findtext("system-out") or ""
        assert what in said
        assert said.endswith("; it only warns")
        assert len(complaints(parse(run))) == len(thresholds) - 1


def test_window_is_named_with_its_value() -> None:
    """The value of a threshold with a window is that of the worst one."""
    slow = threshold(612.0, passed=False, window_s=30.0).model_copy(update={"expression": "p(95)<500 over 30s"})
    run = result(thresholds=[slow], verdict=judged([slow]))
    assert explanation(case_named(run, "http_req_duration p(95)<500 over 30s"))[1] == (
        "p(95) of http_req_duration over 30 s is 612 ms, limit 500 ms"
    )


def test_threshold_that_ended_the_run_is_told_by_both_cases() -> None:
    """Its own case has the measured value, the test's that the load ended early because of it."""
    slow = threshold(900.0, passed=False, abort_on_fail=True)
    stop = Failure(code=ExitCode.THRESHOLDS_FAILED, reason="http_req_duration p(95)<500 failed: the run was aborted")
    run = result(thresholds=[slow], verdict=judged([slow], stops=[stop]))
    said = "p(95) of http_req_duration is 900 ms, limit 500 ms, which ended the load"
    assert explanation(case_named(run, TEST))[:2] == ("failure", said)
    assert explanation(case_named(run, "http_req_duration p(95)<500"))[0] == "failure"


def test_suite_has_the_headline() -> None:
    """Readers that show properties say what happened; the name is the one that was given."""
    slow = threshold(900.0, passed=False)
    run = result(options={"name": "shop-api"}, thresholds=[slow], verdict=judged([slow]))
    found = {each.attrib["name"]: each.attrib["value"] for each in parse(run).iter("property")}
    assert found["headline"] == "shop-api: p(95) of http_req_duration is 900 ms, limit 500 ms"
    assert found["counts"] == "Thresholds: 0 of 1 hold."
    assert {suite.attrib["name"] for suite in parse(run).iter("testsuite")} == {"shop-api"}


def test_names_do_not_depend_on_what_was_measured() -> None:
    """CI systems keep a case's history by its name."""
    fast, slow = threshold(1.0), threshold(900.0, passed=False)
    other = result(thresholds=[slow], checks=[check(passes=1, fails=7)], verdict=judged([slow]))
    assert cases(result(thresholds=[fast])).keys() == cases(other).keys()


def test_check_that_failed_now_and_then_is_a_passed_case_with_counts() -> None:
    """Checks alone do not fail a run, so they do not fail in its report."""
    run = result(checks=[check(passes=997, fails=3)])
    case = case_named(run, "status is 200")
    assert complaints(case) == []
    assert case.findtext("system-out") == "997 of 1000 passed (99.7%)"


def test_script_errors_are_an_error_with_the_traceback() -> None:
    """The test fails as broken, not as judged, at the line that raised, and shows what the script's author needs."""
    trace = "Traceback (most recent call last):\n  File \"load.py\", line 12, in default\nKeyError: 'name'"
    run = result(errors=[error(detail=trace)], verdict=judged([threshold()], script_errors=3))
    tag, message, text = explanation(case_named(run, TEST))
    assert (tag, message) == ("error", "load.py:12 raised KeyError: 'name'")
    case = case_named(run, TEST)
    assert (case.attrib["file"], case.attrib["line"]) == ("load.py", "12")
    assert trace in text
    assert f"exit code {int(ExitCode.SCRIPT_ERROR)}" in text


def test_errors_are_told_with_the_first_answer_of_their_kind() -> None:
    """Where errors are told, what came is told as well: for checks too, which --once makes failures."""
    met = error("HTTP 500", source="POST /v3/orders").model_copy(update={"sample": answer(trace="4bf92f35")})
    failing = check("has an id", fails=1).model_copy(update={"sample": answer("GET http://shop.test/", 200, body="{}")})
    run = result(errors=[met], checks=[failing], verdict=verdict(Failure(code=99, reason="--once: it failed")))
    text = explanation(case_named(run, "load"))[2]
    assert 'POST http://shop.test/v3/orders → 500, trace 4bf92f35\n\n{"error": "the database is down"}' in text
    assert "check has an id did not hold for\nGET http://shop.test/ → 200\n\n{}" in text


def test_allowed_script_errors_do_not_fail() -> None:
    """Errors that the run was told to accept are in the result, and not in JUnit's verdict."""
    run = result(errors=[error()], verdict=judged([threshold()], script_errors=3, allow_script_errors=True))
    assert complaints(parse(run)) == []


@pytest.mark.parametrize(
    ("stop", "tag"), [(STOPS[0], "failure"), (STOPS[1], "failure"), (STOPS[2], "error")], ids=lambda each: str(each)
)
def test_what_ended_the_run_is_in_the_case_run(stop: Failure, tag: str) -> None:
    """Interruption and abort are failures; a script that got stuck is an error."""
    run = result(verdict=judged([threshold()], stops=[stop]))
    found, message, text = explanation(case_named(run, TEST))
    assert (found, message) == (tag, STOPPED[stop.code])
    assert stop.reason in text


def test_unreachable_target_is_an_error_with_what_the_requests_met() -> None:
    """When no request got a response, nothing was judged: the case says why."""
    run = result(
        endpoints=[endpoint(statuses={"0": 1_000}, failed=1_000)],
        errors=[error("dial: connection refused", source="GET /v3/users", count=1_000)],
        verdict=judged([threshold()], answered=0),
    )
    tag, message, text = explanation(case_named(run, TEST))
    assert tag == "error"
    assert "none of the 1000 requests got a response" in message
    assert "1000 x GET /v3/users: dial: connection refused" in text


def test_all_reasons_are_told() -> None:
    """Several things can fail a run at once; its case names each that no other case names."""
    slow = threshold(900.0, passed=False)
    run = result(thresholds=[slow], verdict=judged([slow], stops=STOPS[:2], marked_failed=["orders got lost"]))
    _, message, text = explanation(case_named(run, TEST))
    for part in (message, text):
        assert "interrupted by SIGTERM" in part
        assert "abort()" in part
        assert "orders got lost" in part
        assert "p(95)" not in part


thresholds = st.lists(
    st.builds(
        threshold,
        st.none() | st.floats(0, 1_000),
        metric=st.sampled_from(["http_req_duration", "iteration_duration"]) | hostile,
        passed=st.booleans(),
        severity=st.sampled_from(["fail", "warn"]),
        hint=hostile,
    ),
    max_size=4,
)
checks = st.lists(
    st.builds(
        check, hostile, st.just("") | hostile.map(lambda name: f"::{name}"), st.integers(0, 9), st.integers(0, 9)
    ),
    max_size=5,
)


@given(
    judged_by=thresholds,
    stops=st.lists(st.sampled_from(STOPS), max_size=2),
    script_errors=st.integers(0, 2),
    allow_script_errors=st.booleans(),
    marked_failed=st.lists(hostile, max_size=2),
    iterations=st.integers(0, 1),
    answered=st.integers(0, 1),
)
def test_file_complains_exactly_when_the_run_failed(
    judged_by: list[ThresholdResult],
    stops: list[Failure],
    script_errors: int,
    allow_script_errors: bool,
    marked_failed: list[str],
    iterations: int,
    answered: int,
) -> None:
    """Whatever went wrong, alone or together: JUnit and the exit code agree."""
    outcome = judged(
        judged_by, stops=stops, script_errors=script_errors, allow_script_errors=allow_script_errors,
        marked_failed=marked_failed, iterations=iterations, answered=answered,
    )  # fmt: skip
    run = result(thresholds=judged_by, checks=[check(fails=1)], verdict=outcome)
    assert bool(complaints(parse(run))) == (not outcome.passed)


@given(judged_by=thresholds, passed=st.booleans(), reason=hostile, code=st.sampled_from([99, 105, 107]))
def test_file_believes_the_verdict(judged_by: list[ThresholdResult], passed: bool, reason: str, code: int) -> None:
    """Even with a verdict that does not follow from the thresholds, such as one that a later version writes."""
    failures = [] if passed else [Failure(code=code, reason=reason)]
    outcome = Verdict(passed=passed, exit_code=0 if passed else code, failures=failures, warnings=[])
    assert bool(complaints(parse(result(thresholds=judged_by, verdict=outcome)))) == (not passed)


def test_failure_without_a_reason_is_still_one() -> None:
    """A verdict that only says "failed" gets a complaint with some words in it."""
    outcome = Verdict(passed=False, exit_code=1, failures=[], warnings=[])
    assert explanation(case_named(result(verdict=outcome), TEST))[:2] == ("failure", "the run failed")


@given(judged_by=thresholds, checked=checks, name=hostile, scenario=hostile, reason=hostile, message=hostile)
@example([threshold(metric=EVERYTHING)], [check(EVERYTHING, EVERYTHING)], *[EVERYTHING] * 4)
def test_nothing_breaks_out_of_the_xml(
    judged_by: list[ThresholdResult], checked: list[Check], name: str, scenario: str, reason: str, message: str
) -> None:
    """Hostile names and messages: the file parses, each thing has its case, and names are unique, visible, one line."""
    run = result(
        name=name,
        scenarios=[ScenarioResult(name=scenario, executor="x", vus=1, iterations=1, duration_s=1, graceful_stop_s=1)],
        thresholds=judged_by,
        checks=checked,
        errors=[
            error(message, source=message, detail=message).model_copy(
                update={"sample": answer(message, body=reason, trace=name)}
            )
        ],
        comparisons=[hostile_comparison(name, scenario), comparison(GateVerdict.MISSING, reason=name, against=message)],
        verdict=judged(judged_by, marked_failed=[reason], script_errors=1, warnings=[message]),
    )
    found = cases(run)
    assert len(found) == 1 + len(judged_by) + len(checked) + 3
    for part in (part for key in found for part in key):
        assert part == part.strip() != ""
        assert "\n" not in part
    assert {each.tag for each in parse(run).iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out", "properties", "property"
    }  # fmt: skip


REGRESSED = Failure(code=ExitCode.REGRESSION, reason="regression: GET /v3/users p95 +23%", comparison=0)
NOT_COMPARED = Failure(code=ExitCode.NO_COMPARISON, reason="no baseline: no such file", comparison=0)
MISSING = comparison(GateVerdict.MISSING, runs=[], reason="no such file")
UNCLEAR = gated(GateVerdict.INCONCLUSIVE, endpoint="/b", reason="too noisy")


def test_regression_is_a_failure_of_its_metric_with_all_its_numbers() -> None:
    """The message is the headline's, the text has them all; the test's own case does not repeat it."""
    found = comparison(
        GateVerdict.REGRESSION, gated(GateVerdict.REGRESSION, 0.234, low=0.17, high=0.31), gated(metric="p50")
    )
    run = result(comparisons=[found], verdict=verdict(REGRESSED))
    tag, message, text = explanation(case_named(run, "GET /v3/users p95 against history"))
    assert tag == "failure"
    assert message == "GET /v3/users slower, p95 200 → 247 ms (+23%)"
    assert text.startswith(
        "regression: GET /v3/users p95 went from 200ms to 246.8ms; +23% (90% interval +17% … +31%); "
        "+12% would be found 8 times in 10; against 12 runs from 2026-11-03 to 2026-11-14 (0000000…0b0b0b0)"
    )
    assert text.endswith("false alarms ≤ 1%, tolerance 10%")
    assert next(parse(run).iter("failure")).attrib["type"] == "Regression"
    assert len(complaints(parse(run))) == 1
    assert "ok: GET /v3/users p50 went from" in (
        case_named(run, "GET /v3/users p50 against history").findtext("system-out") or ""
    )


def test_inconclusive_metric_is_skipped_with_the_reason() -> None:
    """Neither passed nor failed is what CI systems call skipped."""
    found = comparison(GateVerdict.INCONCLUSIVE, UNCLEAR, gate="side by side", against="http://old", runs=[], blocks=10)
    run = result(comparisons=[found])
    skipped = case_named(run, "GET /b p95 side by side").find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "inconclusive: too noisy"
    assert "against http://old in 10 pairs of blocks" in (skipped.text or "")
    assert parse(run).attrib["skipped"] == "1"


def test_missing_baseline_is_skipped_unless_the_run_failed_because_of_it() -> None:
    """The case `baseline` always has the reason."""
    skipped = case_named(result(comparisons=[MISSING]), "baseline").find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "no baseline: no such file"
    failed = result(comparisons=[MISSING], verdict=verdict(NOT_COMPARED))
    assert explanation(case_named(failed, "baseline"))[:2] == ("failure", "no baseline: no such file")
    assert complaints(case_named(failed, TEST)) == []


def test_run_tells_what_no_case_of_a_gate_tells() -> None:
    """An inconclusive gate that is to fail the run has only skipped cases; other failures stand beside a regression."""
    unclear = Failure(code=ExitCode.NO_COMPARISON, reason="inconclusive: GET /b p95")
    run = result(comparisons=[comparison(GateVerdict.INCONCLUSIVE, UNCLEAR)], verdict=verdict(unclear))
    assert explanation(case_named(run, TEST))[:2] == ("failure", unclear.reason)
    regressed = comparison(GateVerdict.REGRESSION, gated(GateVerdict.REGRESSION, 0.3))
    marked = Failure(code=ExitCode.MARKED_FAILED, reason="orders got lost")
    run = result(comparisons=[regressed], verdict=verdict(REGRESSED, marked))
    assert explanation(case_named(run, TEST))[:2] == ("failure", "fail_test(): orders got lost")
    assert explanation(case_named(result(verdict=verdict(REGRESSED)), TEST))[:2] == ("failure", REGRESSED.reason)


def test_regression_that_only_warns_is_a_passed_case_that_says_so() -> None:
    """The file never says anything else than the exit code."""
    found = comparison(GateVerdict.REGRESSION, gated(GateVerdict.REGRESSION, 0.3))
    run = result(comparisons=[found])
    assert complaints(parse(run)) == []
    said = case_named(run, "GET /v3/users p95 against history").findtext("system-out") or ""
    assert said.endswith("; it only warns")


metrics = st.lists(
    st.builds(gated, st.sampled_from(GateVerdict), st.floats(), endpoint=hostile, reason=hostile), max_size=4
)
gates = st.lists(
    st.builds(
        lambda outcome, metrics, gate, reason: comparison(outcome, *metrics, gate=gate, reason=reason),
        st.sampled_from(GateVerdict), metrics, st.sampled_from(["history", "side by side"]), hostile,
    ),
    max_size=2,
)  # fmt: skip


@given(compared=gates, failures=st.lists(st.sampled_from([REGRESSED, NOT_COMPARED, STOPS[0]]), max_size=3))
def test_gates_complain_exactly_when_the_run_failed(compared: list[Comparison], failures: list[Failure]) -> None:
    """Whatever gates found and whatever fails because of it: JUnit and the exit code agree, and no case is lost."""
    run = result(comparisons=compared, verdict=verdict(*failures))
    assert bool(complaints(parse(run))) == bool(failures)
    assert len(cases(run)) == 3 + sum(len(each.metrics) or 1 for each in compared)


def test_counts_and_times_add_up() -> None:
    """Readers trust the attributes of the suites; every case has a time, and their sum is the suite's."""
    slow = threshold(900.0, passed=False)
    run = result(thresholds=[slow, threshold(metric="a")], verdict=judged([slow], script_errors=1))
    root = parse(run)
    suite = root[0]
    for element in (root, suite):
        assert {name: element.attrib[name] for name in ("tests", "failures", "errors", "skipped", "time")} == {
            "tests": "4", "failures": "1", "errors": "1", "skipped": "0", "time": "60.770",
        }  # fmt: skip
    assert sum(float(case.attrib["time"]) for case in root.iter("testcase")) == pytest.approx(60.77)
    assert (root.attrib["name"], suite.attrib["name"]) == ("ciload load", "load")
    assert suite.attrib["timestamp"] == "2026-01-02T03:04:05.678+00:00"
    assert suite.attrib["hostname"] == "localhost"


def test_equal_names_are_numbered() -> None:
    """Two thresholds in the same words are two cases."""
    run = result(thresholds=[threshold(1.0), threshold(1.0)])
    names = [name for _, name in cases(run)]
    assert names[1:3] == ["http_req_duration p(95)<500", "http_req_duration p(95)<500 (2)"]


def test_huge_texts_are_cut() -> None:
    """A script that raises with a response body in its message does not make a file that CI refuses."""
    huge = "x" * 10_000_000
    run = result(name=huge, errors=[error(huge, detail=huge)], verdict=verdict(Failure(code=107, reason=huge)))
    assert len(junit_xml(run)) < 100_000


def test_run_that_ended_before_its_load_has_a_report() -> None:
    """Without scenarios, requests and thresholds there is still one case, and it says what happened."""
    stop = Failure(code=ExitCode.TARGET_NOT_READY, reason="http://localhost:1/ did not answer within 60 s")
    run = result(scenarios=[], endpoints=[], checks=[], thresholds=[], metrics={}, verdict=verdict(stop))
    assert list(cases(run)) == [("ciload.load", "load")]
    tag, message, text = explanation(case_named(run, TEST))
    assert (tag, message) == ("error", "the target was never ready")
    assert stop.reason in text
