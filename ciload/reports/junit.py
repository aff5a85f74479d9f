"""The result as JUnit XML, in the dialect that GitLab, Jenkins and the usual GitHub actions all read.

One case per threshold, one per check, one per metric of the regression gate, and one that is called like the test for
everything else that can fail a run. The file contains a
failure or an error exactly when the run failed, because a CI system must not say anything else than the exit code does.
So a check that failed now and then is a passed case with its counts in `system-out`: checks alone never fail a run. So
is a threshold that only warns.

Names are the same in every run, since CI systems keep a case's history by its name; numbers stand in the text.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain

from junit_xml import TestCase, TestSuite

from ciload.errors import ExitCode
from ciload.reports.comparison import compared_with, describe_metric, finding, label, terms, verdict_word
from ciload.reports.findings import metric_found, threshold_found
from ciload.reports.format import format_share
from ciload.reports.headline import Headline, failure_found, headline_of
from ciload.reports.samples import in_full, is_telling
from ciload.reports.script_errors import script_errors_first
from ciload.reports.suite_headline import TestLine, lines_of, name_of_suite
from ciload.reports.values import PLACE, explain_threshold
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import Check, Failure, RunResult, ThresholdResult
from ciload.result.suite import Suite, Tested
from ciload.text import one_line, several_lines

LONGEST_NAME = 250
LONGEST_MESSAGE = 1_000
LONGEST_TEXT = 50_000
MOST_ERRORS = 10
# Nothing was judged, because the script or the way to the target broke: an <error>, everything else is a <failure>.
BROKEN = {ExitCode.TARGET_NOT_READY, ExitCode.SETUP_TIMEOUT, ExitCode.TEARDOWN_TIMEOUT, ExitCode.SCRIPT_ERROR}

UNDECIDED = {GateVerdict.INCONCLUSIVE, GateVerdict.MISSING, GateVerdict.SUSPICIOUS}


def junit_xml(tested: Tested) -> str:
    """The XML document, declaration included: a suite for each test."""
    if isinstance(tested, Suite):
        return _document(name_of_suite(tested), [_suite_of_test(each) for each in lines_of(tested)])
    return _document(headline_of(tested).name, [_suite(tested)])


def _document(title: str, suites: Sequence[ET.Element]) -> str:
    root = ET.Element("testsuites", {"name": f"ciload {_line(title)}"})
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(each.get(name, "0")) for each in suites)))
    root.set("time", _seconds(sum(float(each.get("time", "0")) for each in suites)))
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite_of_test(line: TestLine) -> ET.Element:
    """The suite of one test among several. What became of its process may be more than its result says."""
    test, title = line.test, _line(line.name)
    if test.result is not None and test.failed != test.result.verdict.passed:
        return _suite(test.result)
    case = _case("process", f"ciload.{title}", file=test.script)
    if test.failed:
        case.add_error_info(_message(line.found), _text(f"{test.reason} (exit code {test.exit_code})"))
    elif test.exit_code is None:
        case.add_skipped_info(_message(line.found), _text(test.reason))
    return _element(title, [case], 0.0) if test.result is None else _suite(test.result, [case])


def _suite(result: RunResult, more: Sequence[TestCase] = ()) -> ET.Element:
    headline = headline_of(result)
    title, suite = _line(headline.name), _line(f"ciload.{headline.name}")
    cases = [_threshold_case(each, suite, result) for each in result.thresholds]
    failed_thresholds = {index for index, case in enumerate(cases) if case.is_failure()}
    gates = [list(_gate_cases(index, result, suite)) for index in range(len(result.comparisons))]
    failed_gates = {index for index, of_gate in enumerate(gates) if any(case.is_failure() for case in of_gate)}
    cases += [*chain.from_iterable(gates), *(_check_case(each, suite) for each in result.checks), *more]
    cases = _unique([_run_case(title, result, suite, failed_thresholds, failed_gates), *cases])
    return _element(title, cases, _whole_time(result), _line(result.load.started_at), _properties(headline, result))


def _element(
    title: str,
    cases: Sequence[TestCase],
    seconds: float,
    started_at: str = "",
    properties: dict[str, str] | None = None,
) -> ET.Element:
    # The specification's word for an unknown host; the document does not name machines.
    tree: ET.Element = TestSuite(
        title, list(cases), hostname="localhost", timestamp=started_at or None, properties=properties
    ).build_xml_doc()
    tree.attrib.pop("disabled")
    for node, case in zip(tree.iter("testcase"), cases, strict=True):
        node.set("time", _seconds(case.elapsed_sec))  # the library leaves 0 out, and readers make NaN of that
    tree.set("time", _seconds(seconds))
    return tree


def _properties(headline: Headline, result: RunResult) -> dict[str, str]:
    facts = {
        "headline": headline.title, "counts": " ".join(headline.counts), "cause": headline.cause,
        "commit": result.git.commit or "",
    }  # fmt: skip
    return {name: _message(fact) for name, fact in facts.items() if fact}


def _whole_time(result: RunResult) -> float:
    return result.load.setup_s + result.load.load_s + result.load.teardown_s


def _seconds(value: float) -> str:
    return f"{value:.3f}"


# --- cases


def _case(name: str, class_name: str, stdout: str = "", file: str = "", line: str = "") -> TestCase:
    """A passed case. Only that of the whole run takes time: readers add cases up, which all share one load."""
    return TestCase(
        _line(name) or "(no name)", _line(class_name), 0.0, stdout=_text(stdout), file=_line(file), line=line
    )


def _threshold_case(threshold: ThresholdResult, class_name: str, result: RunResult) -> TestCase:
    place = PLACE.fullmatch(threshold.where)
    explanation = explain_threshold(threshold)
    failed = threshold.fails and not result.verdict.passed
    case = _case(
        f"{threshold.metric} {threshold.expression}",
        class_name,
        stdout="" if failed else explanation,
        file=place["file"] if place else "",
        line=place["line"] if place else "",
    )
    if failed:
        said = f"\ndeclared at {threshold.where}" if threshold.where else ""
        hint = f" ({threshold.hint})" if threshold.hint and threshold.value is None else ""
        case.add_failure_info(_message(threshold_found(threshold) + hint), _text(explanation + said))
    return case


def _check_case(check: Check, class_name: str) -> TestCase:
    group = check.group.strip(":").replace("::", ".")
    total = check.passes + check.fails
    counts = f"{check.passes} of {total} passed ({format_share(check.passes, total)})"
    return _case(check.name, f"{class_name}.{group}" if group else class_name, stdout=counts)


def _gate_cases(index: int, result: RunResult, class_name: str) -> Iterator[TestCase]:
    """A case per metric that was compared; one for all when none was."""
    comparison = result.comparisons[index]
    fails = not result.verdict.passed and any(each.comparison == index for each in result.verdict.failures)
    for each in comparison.metrics:
        yield _metric_case(each, comparison, class_name, fails=fails)
    if comparison.metrics:
        return
    case = _case("baseline" if comparison.gate == "history" else "old target", class_name)
    said = f"{verdict_word(comparison)}: {finding(comparison)}"
    if comparison.verdict is GateVerdict.MISSING and fails:
        case.add_failure_info(_message(said), _text(f"{said}\n{compared_with(comparison)}"), "NoBaseline")
    else:
        case.add_skipped_info(_message(said), _text(f"{said}\n{compared_with(comparison)}"))
    yield case


def _metric_case(metric: GatedMetric, comparison: Comparison, class_name: str, *, fails: bool) -> TestCase:
    gate = "against history" if comparison.gate == "history" else "side by side"
    said = describe_metric(metric, comparison)
    regressed = metric.verdict is GateVerdict.REGRESSION
    failed, skipped = regressed and fails, metric.verdict in UNDECIDED
    only = "; it only warns" if regressed and not failed else ""
    case = _case(
        f"{label(metric, LONGEST_NAME - 50)} {metric.metric} {gate}",
        class_name,
        stdout="" if failed or skipped else said + only,
    )
    if failed:
        case.add_failure_info(_message(metric_found(metric)), _text(f"{said}\n{terms(comparison)}"), "Regression")
    elif skipped:
        reason = metric.reason or comparison.reason or metric.verdict
        case.add_skipped_info(_message(f"{metric.verdict}: {reason}"), _text(f"{reason}\n{said}"))
    return case


def _run_case(
    title: str, result: RunResult, class_name: str, failed_thresholds: Collection[int], failed_gates: Collection[int],
) -> TestCase:  # fmt: skip
    """What failed the run besides thresholds and gates; always something when no other case says that it failed."""
    verdict = result.verdict
    case = _case(title, class_name, stdout="\n".join(verdict.warnings), file=result.name)
    case.elapsed_sec = _whole_time(result)
    reasons = [
        failure
        for failure in verdict.failures
        if failure.threshold not in failed_thresholds and failure.comparison not in failed_gates
    ]
    if verdict.passed or (not reasons and (failed_thresholds or failed_gates)):
        return case
    reasons = reasons or verdict.failures or [Failure(code=verdict.exit_code, reason="the run failed")]
    findings = [failure_found(failure, result) for failure in reasons]
    message = _message("; ".join(each.found for each in findings)) or "the run failed"
    if place := PLACE.fullmatch(findings[0].where):
        case.file, case.line = _line(place["file"]), place["line"]
    text = _text("\n".join(_run_text(reasons, result)))
    # One element, for the first reason: readers differ in what they make of several.
    first = reasons[0].code
    if first in BROKEN or (first == ExitCode.THRESHOLDS_FAILED and _unreachable(result)):
        case.add_error_info(message, text)
    else:
        case.add_failure_info(message, text)
    return case


def _unreachable(result: RunResult) -> bool:
    requests = sum(each.requests for each in result.endpoints if each.method)
    return requests > 0 and requests == sum(each.statuses.get("0", 0) for each in result.endpoints)


def _run_text(reasons: Iterable[Failure], result: RunResult) -> Iterator[str]:
    errors = result.errors
    for failure in reasons:
        yield f"{failure.reason} (exit code {failure.code})"
    for error in script_errors_first(errors)[:MOST_ERRORS]:
        yield f"\n{error.count} x {error.source}: {error.message}" + (f"\n{error.detail}" if error.detail else "")
        if error.sample is not None and is_telling(error.sample):
            yield in_full(error.sample)
    if len(errors) > MOST_ERRORS:
        yield f"\n… and {len(errors) - MOST_ERRORS} more kinds of errors in result.json"
    for check in [each for each in result.checks if each.fails and each.sample is not None][:MOST_ERRORS]:
        assert check.sample is not None
        yield f"\ncheck {check.name} did not hold for\n{in_full(check.sample)}"


def _unique(cases: list[TestCase]) -> list[TestCase]:
    """Number cases of the same name: of two alike, GitLab drops one and GitHub actions see a retry."""
    seen: set[tuple[str, str]] = set()
    for case in cases:
        name, number = case.name, 1
        while (case.classname, case.name) in seen:
            number += 1
            case.name = f"{name} ({number})"
        seen.add((case.classname, case.name))
    return cases


# --- text


def _text(text: str) -> str:
    whole = several_lines(text[: LONGEST_TEXT + 1])
    return whole if len(whole) <= LONGEST_TEXT else whole[: LONGEST_TEXT - 1] + "…"


def _message(text: str) -> str:
    return one_line(text, LONGEST_MESSAGE)


def _line(text: str) -> str:
    return one_line(text, LONGEST_NAME)
