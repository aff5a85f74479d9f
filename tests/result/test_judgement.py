"""Which failure wins, and what can never pass."""

from __future__ import annotations

from typing import Any

import pytest

from ciload.errors import ExitCode
from ciload.result.document import Failure, ThresholdOutcome, ThresholdResult, Verdict
from ciload.result.judgement import Evidence, judge


def verdict(**changes: Any) -> Verdict:
    facts: dict[str, Any] = {
        "stops": [], "script_errors": 0, "allow_script_errors": False, "marked_failed": [], "thresholds": [],
        "iterations": 10, "requests": 10, "answered": 10, "warnings": [],
    }  # fmt: skip
    return judge(Evidence(**(facts | changes)))


def threshold(outcome: ThresholdOutcome, **changes: Any) -> ThresholdResult:
    facts: dict[str, Any] = {"severity": "fail", "hint": ""} | changes
    return ThresholdResult(
        metric="m",
        expression="avg<1",
        aggregation="avg",
        operator="<",
        limit=1,
        unit="",
        value=None,
        outcome=outcome,
        **facts,
    )


INTERRUPTED = Failure(code=ExitCode.INTERRUPTED, reason="interrupted by SIGTERM")
ABORTED = Failure(code=ExitCode.ABORTED, reason="enough")
SLOW = Failure(code=ExitCode.THRESHOLDS_FAILED, reason="threshold m avg<1 aborted the run")
FAILED = [threshold(ThresholdOutcome.FAIL)]
WARNED = [threshold(ThresholdOutcome.FAIL, severity="warn"), threshold(ThresholdOutcome.NO_DATA, severity="warn")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"thresholds": [threshold(ThresholdOutcome.PASS)]}, 0),
        ({"thresholds": FAILED}, 99),
        ({"thresholds": [threshold(ThresholdOutcome.NO_DATA)]}, 99),
        ({"thresholds": WARNED}, 0),
        ({"thresholds": WARNED + FAILED}, 99),
        ({"stops": [SLOW]}, 99),
        ({"stops": [SLOW], "marked_failed": ["wrong data"]}, 110),
        ({"stops": [SLOW], "script_errors": 1}, 107),
        ({"stops": [SLOW, ABORTED], "script_errors": 1}, 108),
        ({"thresholds": FAILED, "marked_failed": ["wrong data"]}, 110),
        ({"thresholds": FAILED, "marked_failed": ["wrong data"], "script_errors": 1}, 107),
        ({"thresholds": FAILED, "script_errors": 1, "stops": [INTERRUPTED]}, 105),
        ({"thresholds": FAILED, "script_errors": 1, "stops": [ABORTED]}, 108),
        ({"script_errors": 3, "allow_script_errors": True}, 0),
        ({"iterations": 0, "requests": 0, "answered": 0}, 99),
        ({"iterations": 0, "script_errors": 3, "allow_script_errors": True}, 99),
        ({"answered": 0}, 99),
        ({"answered": 1}, 0),
        ({"requests": 0, "answered": 0}, 0),
        ({"stops": [INTERRUPTED], "iterations": 0, "answered": 0}, 105),
    ],
)
def test_the_first_failure_gives_the_exit_code(changes: dict[str, Any], code: int) -> None:
    """What ended the run, then what the script got wrong, then what was measured; no data never passes."""
    found = verdict(**changes)
    assert (found.exit_code, found.passed) == (code, code == 0)


def test_every_failure_is_listed() -> None:
    """The others are not lost behind the first."""
    found = verdict(thresholds=FAILED, script_errors=2, stops=[INTERRUPTED])
    assert [failure.code for failure in found.failures] == [105, 107, 99]


def test_a_stop_by_what_was_measured_comes_after_what_the_script_got_wrong() -> None:
    """A threshold that aborted says more than those that merely failed, and less than a broken script."""
    found = verdict(
        stops=[SLOW, INTERRUPTED], script_errors=1, marked_failed=["wrong data"], thresholds=FAILED, answered=0
    )
    assert [failure.code for failure in found.failures] == [105, 107, 110, 99, 99]
    assert found.failures[3] == SLOW
    unanswered = verdict(stops=[SLOW], answered=0)
    assert [failure.reason for failure in unanswered.failures][1] == "no data: none of the 10 requests got a response"


def test_a_threshold_that_only_warns_is_a_warning() -> None:
    """It is told beside the verdict, before other warnings, with the same words as a failure but for one."""
    found = verdict(
        thresholds=[*WARNED, threshold(ThresholdOutcome.PASS, severity="warn")], warnings=["the machine was busy"]
    )
    assert found.warnings == [
        "threshold (warning only) failed: m avg<1",
        "no data for threshold (warning only) m avg<1",
        "the machine was busy",
    ]


def test_missing_data_is_explained() -> None:
    """What there is instead stands behind the reason."""
    hint = "status is 200, 404"
    found = verdict(thresholds=[threshold(ThresholdOutcome.NO_DATA, hint=hint), *WARNED])
    assert [failure.reason for failure in found.failures] == [f"no data for threshold m avg<1 ({hint})"]


def test_a_failure_names_its_threshold() -> None:
    """Reports find out which failures are thresholds by number, not by words."""
    thresholds = [
        threshold(ThresholdOutcome.PASS),
        *WARNED,
        threshold(ThresholdOutcome.FAIL),
        threshold(ThresholdOutcome.NO_DATA),
    ]
    found = verdict(thresholds=thresholds, marked_failed=["wrong data"])
    assert [failure.threshold for failure in found.failures] == [None, 3, 4]
