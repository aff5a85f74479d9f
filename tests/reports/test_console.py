"""The summary at the end of a run."""

from __future__ import annotations

from pathlib import Path
from unicodedata import category

from hypothesis import example, given

from ciload.reports.console import console_summary
from ciload.result.comparison import GateVerdict
from ciload.result.document import Failure
from tests.reports.results import (
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


def lines_of(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_failed_limit_never_reads_as_kept() -> None:
    """200.0004 ms against `<200` is not shown as 200ms."""
    failed = threshold(200.0004, metric="List", limit=200, passed=False)
    text = console_summary(result(thresholds=[failed]), [], color=False)
    assert "✗ List p(95)<200 200.0004ms" in lines_of(text)


def test_a_threshold_without_data_says_so() -> None:
    """The word is shown, not a number."""
    none = threshold(None, metric="List", limit=200)
    assert "✗ List p(95)<200 no data" in lines_of(console_summary(result(thresholds=[none]), [], color=False))


def test_a_threshold_that_only_warns_has_a_mark_of_its_own() -> None:
    """Yellow, not red; when it holds, it looks like any other."""
    warned = [threshold(900.0, passed=False, severity="warn"), threshold(None, metric="List", severity="warn")]
    run = result(thresholds=[*warned, threshold(1.0, metric="Get", severity="warn")], verdict=judged(warned))
    lines = lines_of(console_summary(run, [], color=False))
    assert "⚠ http_req_duration p(95)<500 900ms" in lines
    assert "⚠ List p(95)<500 no data" in lines
    assert "✓ Get p(95)<500 1ms" in lines
    assert "⚠ threshold (warning only) failed: http_req_duration p(95)<500" in lines
    assert lines[-2:] == [
        "⚠ PASSED load: p(95) of http_req_duration is 900 ms, limit 500 ms (only a warning)",
        "Thresholds: 1 of 3 hold.",
    ]
    colored = console_summary(run, [], color=True)
    assert "\x1b[33m  ⚠\x1b[0m" in colored
    assert "\x1b[1;31m" not in colored


def test_checks_endpoints_and_errors_have_their_counts() -> None:
    """Everything a person looks for first is there, with numbers."""
    full = result(
        checks=[check(name="is up", passes=9, fails=1)],
        endpoints=[endpoint(name="http://a/users", method="GET")],
        errors=[error(source="GET http://a/users", message="dial: connection refused", count=7)],
    )
    text = lines_of(console_summary(full, [Path("out/result.json")], color=False))
    assert "✗ is up 9 of 10 90%" in text
    assert any(line.startswith("GET http://a/users ") for line in text)
    assert "7x GET http://a/users: dial: connection refused" in text
    assert "reports in out/: result.json" in text


def test_colours_only_when_asked_for() -> None:
    """Logs stay free of escape sequences."""
    assert "\x1b[" not in console_summary(result(), [], color=False)
    assert "\x1b[" in console_summary(result(), [], color=True)


def test_a_thousand_endpoints_do_not_flood_the_log() -> None:
    """The rest is in the file, and the summary says how much that is."""
    many = result(endpoints=[endpoint(name=f"http://a/{number}") for number in range(1000)])
    text = console_summary(many, [], color=False)
    assert "and 970 more in result.json" in text
    assert len(text.splitlines()) < 100


@given(text=hostile)
@example("\x1b[2J\x9b\u202e\n::error::x")
def test_nothing_acts_on_the_terminal(text: str) -> None:
    """Whatever a target, a script or a branch says is text, and where lines begin is up to us."""
    name = f"x{text}"
    full = result(
        name=name,
        checks=[check(name=name, group=name)],
        thresholds=[threshold(metric=name)],
        endpoints=[endpoint(name=name, method=name)],
        errors=[
            error(source=name, message=name, detail=f"Traceback\n  {name}").model_copy(
                update={"sample": answer(name, body=f"{name}\n{name}", trace=name)}
            )
        ],
        comparisons=[hostile_comparison(name, name)],
        verdict=verdict(Failure(code=110, reason=name), Failure(code=110, reason=name), warnings=(name,)),
    )
    shown = console_summary(full, [Path(name)], color=False)
    assert not [each for each in shown if each != "\n" and category(each) in ("Cc", "Cf", "Cs")]
    assert not [line for line in shown.split("\n") if line.startswith(("x", ":"))]


def test_a_failed_run_shows_the_first_answer_of_each_error() -> None:
    """Shortly, with the beginning of its body; a run that passed has its errors counted, and no more."""
    body = "\n\n".join(f"line {number}" for number in range(9))
    failing = check("has an id", fails=3).model_copy(update={"sample": answer("GET http://shop.test/", 200, body="{}")})
    met = error("HTTP 500", source="POST /v3/orders").model_copy(update={"sample": answer(body=body, trace="4bf9")})
    failed = verdict(Failure(code=99, reason="threshold failed: checks rate>0.99"))
    shown = lines_of(console_summary(result(errors=[met], checks=[failing], verdict=failed), [], color=False))
    start = shown.index("POST http://shop.test/v3/orders → 500, trace 4bf9")
    assert shown[start + 1 : start + 4] == ["line 0", "line 1", "line 2…"]
    start = shown.index("FIRST ANSWERS OF FAILED CHECKS")
    assert shown[start + 1 : start + 4] == ["has an id", "GET http://shop.test/ → 200", "{}"]
    assert "POST http" not in console_summary(result(errors=[met], checks=[failing]), [], color=False)


def test_with_once_bodies_are_shown_in_full() -> None:
    """Somebody is at work on the script."""
    body = "\n".join(f"line {number}" for number in range(9))
    met = error("HTTP 500", source="POST /v3/orders").model_copy(update={"sample": answer(body=body)})
    run = result(errors=[met], options={"once": True}, verdict=verdict(Failure(code=99, reason="--once: it failed")))
    assert "line 8" in lines_of(console_summary(run, [], color=False))


def test_a_method_is_shown_once() -> None:
    """Also when the request's name begins with it."""
    full = result(
        endpoints=[endpoint(name="GET /v3/users", method="GET")],
        comparisons=[comparison(GateVerdict.OK, gated(endpoint="GET /v3/users", method="GET"))],
    )
    text = lines_of(console_summary(full, [], color=False))
    assert sum(line.startswith("GET /v3/users ") for line in text) == 1
    assert sum(" ok GET /v3/users " in line for line in text) == 1
    assert not [line for line in text if "GET GET" in line]
