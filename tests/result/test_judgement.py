"""Which failure wins, and what can never pass."""

from __future__ import annotations

from typing import Any

import pytest

from ciload.errors import ExitCode
from ciload.result.document import Failure, Outcome, ThresholdResult, Verdict
from ciload.result.judgement import judge


def verdict(**changes: Any) -> Verdict:
    facts: dict[str, Any] = {
        "stops": [], "script_errors": 0, "allow_script_errors": False, "marked_failed": [], "thresholds": [],
        "iterations": 10, "requests": 10, "answered": 10, "warnings": [],
    }  # fmt: skip
    return judge(**(facts | changes))


def threshold(outcome: Outcome) -> ThresholdResult:
    return ThresholdResult(
        metric="m",
        expression="avg<1",
        aggregation="avg",
        operator="<",
        limit=1,
        unit="",
        value=None,
        outcome=outcome,
        where="",
    )


INTERRUPTED = Failure(code=ExitCode.INTERRUPTED, reason="interrupted by SIGTERM")
ABORTED = Failure(code=ExitCode.ABORTED, reason="enough")
FAILED = [threshold(Outcome.FAIL)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"thresholds": [threshold(Outcome.PASS)]}, 0),
        ({"thresholds": FAILED}, 99),
        ({"thresholds": [threshold(Outcome.NO_DATA)]}, 99),
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
