"""What GitLab, dorny/test-reporter, mikepenz/action-junit-report and Jenkins make of the file, by their own rules."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given

from ciload.errors import ExitCode
from ciload.reports.junit import junit_xml
from ciload.result.comparison import GateVerdict
from ciload.result.document import Failure, RunResult
from tests.reports.results import (
    check,
    comparison,
    error,
    gated,
    hostile,
    hostile_comparison,
    judged,
    result,
    threshold,
    verdict,
)

COMPLAINTS = ("failure", "error", "skipped")


def run_of(text: str = "plain") -> RunResult:
    """A run with one of everything, with this text wherever there may be foreign text."""
    thresholds = [threshold(), threshold(metric=f"m{text}", passed=False), threshold(None, metric=f"n{text}", where="")]
    return result(
        name=f"load{text}.py",
        thresholds=thresholds,
        checks=[check(), check(text, group=f"::{text}", fails=3)],
        errors=[error(text, detail=text)],
        comparisons=[hostile_comparison(text, f"o{text}"), comparison(GateVerdict.MISSING, reason=text)],
        verdict=judged(thresholds, marked_failed=[text], script_errors=1),
    )


def cases(root: ET.Element) -> list[tuple[ET.Element, ET.Element]]:
    return [(suite, case) for suite in root.iter("testsuite") for case in suite.findall("testcase")]


@dataclass(frozen=True)
class Read:
    """A case as a reader shows it."""

    key: tuple[str, ...]
    outcome: str  # passed, failure, error, skipped
    text: str


def as_gitlab(root: ET.Element) -> list[Read]:
    """Key of suite, class and name; the first of failure, error, skipped; its text is what is shown."""
    assert root.tag in ("testsuites", "testsuite")
    read = []
    for suite, case in cases(root):
        float(case.attrib["time"])
        first = next((each for each in case if each.tag in COMPLAINTS), None)
        key = (suite.attrib["name"], case.attrib["classname"], case.attrib["name"])
        read.append(Read(key, "passed" if first is None else first.tag, "" if first is None else first.text or ""))
    return read


def as_dorny(root: ET.Element) -> list[Read]:
    """Trims names of suites and cases, which must be there; reads both times; uses the first failure or error alone."""
    read = []
    for suite, case in cases(root):
        for each in (suite, case):
            assert math.isfinite(float(each.attrib["time"]))
        first = next((each for each in case if each.tag in ("failure", "error")), None)
        outcome = "skipped" if case.find("skipped") is not None else "passed" if first is None else first.tag
        text = "" if first is None else first.text or first.attrib.get("message", "")
        read.append(
            Read((suite.attrib["name"].strip(), case.attrib["classname"], case.attrib["name"].strip()), outcome, text)
        )
    return read


def as_mikepenz(root: ET.Element) -> list[Read]:
    """The message, or the first two lines; the same name, class and file again is a retry; lines are numbers."""
    read = []
    for _, case in cases(root):
        assert case.attrib.get("status") not in ("disabled", "ignored")
        if "line" in case.attrib:
            assert int(case.attrib["line"]) > 0
            assert case.attrib["file"]
        first = next((each for each in case if each.tag in COMPLAINTS), None)
        lines = "" if first is None else "\n".join((first.text or "").strip().splitlines()[:2])
        text = "" if first is None else first.attrib.get("message") or lines
        key = (case.attrib["name"], case.attrib["classname"], case.attrib.get("file", ""))
        read.append(Read(key, "passed" if first is None else first.tag, text))
    return read


def as_jenkins(root: ET.Element) -> list[Read]:
    """A suite's own error would be a made-up failure, a suite without cases nothing; counts have to be numbers."""
    for suite in root.iter("testsuite"):
        assert suite.find("error") is None
        assert suite.findall("testcase")
        found = Counter(
            next((each.tag for each in case if each.tag in COMPLAINTS), "") for case in suite.findall("testcase")
        )
        counted = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
        assert counted == {
            "tests": found.total(), "failures": found["failure"], "errors": found["error"],
            "skipped": found["skipped"],
        }  # fmt: skip
    allowed = {"testsuites", "testsuite", "testcase", "system-out", "system-err", "properties", "property", *COMPLAINTS}
    assert {each.tag for each in root.iter()} <= allowed
    return as_gitlab(root)


READERS = (as_gitlab, as_dorny, as_mikepenz, as_jenkins)


def read_by_all(run: RunResult) -> list[list[Read]]:
    root = ET.fromstring(junit_xml(run))
    return [reader(root) for reader in READERS]


@given(text=hostile)
def test_every_reader_sees_every_case_once_with_its_reason(text: str) -> None:
    """Keys are unique and visible, complaints have words, and all readers agree on what failed."""
    readings = read_by_all(run_of(text))

    for read in readings:
        assert max(Counter(each.key for each in read).values()) == 1
        for each in read:
            assert all(part.strip() for part in each.key[:2])
            assert each.outcome == "passed" or each.outcome == "skipped" or each.text.strip()
    assert len({tuple(each.outcome for each in read) for read in readings}) == 1


@pytest.mark.parametrize(
    ("run", "outcomes"),
    [
        (result(), {"passed"}),
        (run_of(), {"passed", "failure", "error", "skipped"}),
        (
            result(
                comparisons=[comparison(GateVerdict.REGRESSION, gated(GateVerdict.REGRESSION, 0.3))],
                verdict=verdict(Failure(code=ExitCode.REGRESSION, reason="regression: p95 +30%", comparison=0)),
            ),
            {"passed", "failure"},
        ),
        (result(comparisons=[comparison(GateVerdict.MISSING, reason="first run")]), {"passed", "skipped"}),
    ],
    ids=["passed", "everything", "regression", "first run"],
)
def test_outcomes(run: RunResult, outcomes: set[str]) -> None:
    """A regression is a failure, nothing to compare with is skipped, and a script that raised is an error."""
    for read in read_by_all(run):
        assert {each.outcome for each in read} == outcomes


def test_names_are_the_same_in_every_run() -> None:
    """Readers keep a history by name, so that no measured number is in one."""
    slow = [threshold(900.0, passed=False), threshold()]
    fast = [threshold(), threshold()]
    first, second = (
        [each.key for each in as_gitlab(ET.fromstring(junit_xml(result(thresholds=each, comparisons=[found]))))]
        for each, found in (
            (slow, comparison(GateVerdict.REGRESSION, gated(GateVerdict.REGRESSION, 0.42))),
            (fast, comparison(GateVerdict.OK, gated())),
        )
    )
    assert first == second
