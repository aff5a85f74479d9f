"""What is said of the one iteration that `ciload init` runs."""

from __future__ import annotations

from typing import Any

import pytest

from ciload.cli.trial import describe_trial
from ciload.result.document import Check, Endpoint, ErrorRow, RunResult


def trial(*endpoints: tuple[str, int], failed_check: str = "", **more: Any) -> RunResult:
    """A result with these requests, each with its status, as far as is looked at."""
    rows = [
        Endpoint(name=name, method="GET", requests=1, rate=1, failed=int(not 200 <= status < 400),
                 statuses={str(status): 1}, duration=None, waiting_avg=None, bytes_received=0)
        for name, status in endpoints
    ]  # fmt: skip
    checks = [Check(name=failed_check, group="", passes=0, fails=1)] if failed_check else []
    return RunResult.model_construct(endpoints=rows, checks=checks, **{"errors": [], **more})


@pytest.mark.parametrize(
    ("status", "variables", "advice"),
    [
        (401, ["API_TOKEN"], "set API_TOKEN in the environment"),
        (403, [], "sign in, with headers="),
        (404, [], "put what there is"),
        (422, [], "put some that the service takes"),
        (503, [], "the service has failed"),
        (0, [], "there was no answer"),
    ],
)
def test_each_kind_of_answer_has_advice(status: int, variables: list[str], advice: str) -> None:
    """One line of it, and none for what is right."""
    lines = describe_trial(trial(("GET /a", 200), ("GET /b", status)), {}, variables)
    assert lines[2] == "1 of 2 does not answer as the script expects:"
    assert [advice in each for each in lines[3:]] == [True]


def test_an_answer_that_the_check_does_not_take() -> None:
    """Is marked, although the request did not fail."""
    functions = {"GET /a": "get_a", "GET /b": "get_a_2"}
    lines = describe_trial(trial(("GET /a", 204), ("GET /b", 200), failed_check="get_a answers 200"), functions, [])
    assert [each.split()[:2] for each in lines[:2]] == [["✗", "204"], ["✓", "200"]]
    assert "mend the check, or the document" in lines[-1]


def test_a_script_that_raises() -> None:
    """Says so, with what it raised; what others wrote gives no orders to the terminal."""
    error = ErrorRow(source="script", message="NameError: \x1b[31m", count=1, detail="")
    assert "NameError: \\x1b[31m" in "\n".join(describe_trial(trial(errors=[error]), {}, []))


def test_many_requests_are_not_all_shown() -> None:
    """Those that are to be mended are."""
    many = [(f"GET /{n}", 200) for n in range(60)] + [("GET /bad", 500)]
    lines = describe_trial(trial(*many), {}, [])
    assert "and 21 more that answer as they should" in "\n".join(lines)
    assert any("/bad" in each for each in lines)
