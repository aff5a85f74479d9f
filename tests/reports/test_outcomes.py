"""One glance at a comment or a summary: every outcome has its headline, and all of them fit a screen."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from playwright.sync_api import Page

from ciload.ci.sticky import comment_text
from ciload.reports.accepting import how_to_accept
from ciload.reports.console import console_summary
from ciload.reports.headline import headline_of
from ciload.reports.junit import junit_xml
from ciload.reports.markdown import Place, markdown_summary, result_section
from ciload.result.comparison import NOT_KNOWN, GateVerdict
from ciload.result.document import CI, Failure, RunResult
from tests.reports.outcomes import OUTCOMES, compared, moved, regression, shop, unjudged
from tests.reports.rendering import assert_one_glance
from tests.reports.results import comparison, contribution, error, gated, hostile, result, threshold, verdict

TITLES = {
    "passed without gate": "✅ shop-api passed: p95 283 ms",
    "passed without thresholds": "✅ shop-api passed: p95 283 ms, no thresholds set",
    "passed, ok": "✅ shop-api: no slower than main (within 10%)",
    "nothing suspicious": "✅ shop-api: no slower than main (could have seen +13%)",
    "no baseline yet": "⚠️ shop-api passed; nothing to compare with yet",
    "too little history": "⚠️ shop-api passed; too little history to compare (2 of 3 runs)",
    "regression": "❌ shop-api: slower, p95 30 → 59 ms (+96%)",
    "regression with sixty endpoints": "❌ shop-api: slower, p95 30 → 59 ms (+96%)",
    "more requests fail": "❌ shop-api: more requests fail, 0.1% → 5.25%",
    "improved": "✅ shop-api: faster, p95 59 → 30 ms (-49%)",
    "suspicious": "⚠️ shop-api passed; maybe slower, p95 30 → 34 ms (+13%)",
    "inconclusive": "⚠️ shop-api passed; cannot be compared with main",
    "side by side regression": "❌ shop-api: slower, p95 30 → 59 ms (+96%)",
    "accepted": "⚠️ shop-api passed; slower, p95 30 → 59 ms (+96%), accepted",
    "both gates": "❌ shop-api: slower, p95 30 → 59 ms (+96%)",
    "threshold failed": "❌ shop-api: p(95) of http_req_duration is 168 ms, limit 100 ms",
    "threshold that only warns": (
        "⚠️ shop-api passed; p(95) of http_req_duration is 168 ms, limit 100 ms (only a warning)"
    ),
    "several thresholds and script errors": "❌ shop-api: load.py:14 raised KeyError: 'id'",
    "script error": "❌ shop-api: load.py:14 raised KeyError: 'id'",
    "script cannot be loaded": "❌ shop-api: load.py:3 raised SyntaxError: invalid syntax",
    "setup failed": "❌ shop-api: load.py:14 raised KeyError: 'id' in setup()",
    "setup timed out": "❌ shop-api: setup() did not finish within 60 s",
    "nothing measured": "❌ shop-api: none of the 972 requests got a response",
    "load ended early": "❌ shop-api: no answer after 30 s: 3 requests outlived the graceful stop",
    "invalid options": "❌ shop-api: load.py:3: unknown option 'vsu', and 1 more mistake",
    "target not ready": "❌ shop-api: the target was never ready",
    "interrupted": "❌ shop-api: interrupted by SIGTERM after 1m of load",
    "aborted": "❌ shop-api: abort(): the shop is closed",
    "marked failed": "❌ shop-api: fail_test(): orders got lost",
}
COMMENT = Place(is_comment=True, run_url="https://github.test/a/b/actions/runs/1")
FRAME = '  File "{}", line {}, in default\n    go()\n'


# --- the headline


@pytest.mark.parametrize("name", sorted(OUTCOMES.keys() - {"hostile names"}))
def test_title_says_what_happened_by_how_much(name: str) -> None:
    """With the test's name, and a mark that agrees with the exit code; it is the same in every report."""
    run = OUTCOMES[name]
    headline = headline_of(run)
    assert f"{headline.mark} {headline.title}" == TITLES[name]
    assert (headline.mark == "❌") == (run.verdict.exit_code != 0)
    seen = re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), result_section(run)).replace("\u200b", "")
    assert seen.startswith(f"## {TITLES[name]}\n")
    assert f"shop-api: {headline.found}\n" in console_summary(run, [], color=False)
    assert headline.found.partition("'")[0] in junit_xml(run)


def test_cause_of_a_regression_is_the_endpoint_and_the_phase() -> None:
    """How much of the whole it is, and where the time was spent."""
    said = "Most of it: GET /v3/report, +6.4 of +12.6 ms in the mean, all of it waiting for the server."
    assert headline_of(OUTCOMES["regression"]).cause == said
    spread = contribution("/a", 3.0, waiting_ms=1.0, receiving_ms=1.2, connecting_ms=0.8)
    found = regression(contributions=[spread], mean_old=None, mean_new=None)
    assert headline_of(shop(comparisons=[found])).cause == "All of it: GET /a, +3 of +3 ms in the mean."


def test_cause_is_what_requests_and_checks_failed_with() -> None:
    """The most common error, the slowest endpoint, the source of the line that raised."""
    assert headline_of(OUTCOMES["more requests fail"]).cause == "Most often POST /v3/orders: HTTP 500, 51 times."
    assert headline_of(OUTCOMES["threshold failed"]).cause == (
        "Slowest: GET /v3/report, p(95) 59.2 ms, 25% of the requests."
    )
    assert headline_of(OUTCOMES["script error"]).source == 'user = created.json()["id"]'
    assert headline_of(OUTCOMES["script error"]).where == "load.py:14"
    assert headline_of(OUTCOMES["script error"]).counts[0] == "The script raised 37 times; 1,000 iterations finished."


def test_counts_say_what_was_not_judged_and_why() -> None:
    """So that nobody takes 2 of 2 for all there was; the stated rate of false alarms is there."""
    compared_with, thresholds = headline_of(OUTCOMES["nothing suspicious"]).counts
    assert compared_with == (
        "2 of 2 metrics without a sign of change against 6 runs of main (chance of a false alarm ≤ 1%); "
        "1 more not judged (243 requests, p95 needs 400)."
    )
    assert thresholds == "Thresholds: 2 of 2 hold."
    assert "confirmed with 1 rerun" in headline_of(OUTCOMES["side by side regression"]).counts[0]


@pytest.mark.parametrize(
    ("options", "script", "name"),
    [
        ({"name": "shop-api"}, "load.py", "shop-api"),
        ({}, "load.py", "load"),
        ({}, "tests/load/checkout.py", "tests/load/checkout"),
        ({}, "/builds/group/shop/load.py", "load"),
        ({"name": "x" * 80}, "load.py", f"{'x' * 25}…{'x' * 24}"),
        ({}, "", "load test"),
    ],
)
def test_test_is_called_by_its_name_else_its_script(options: dict[str, object], script: str, name: str) -> None:
    """Two scripts of the same name in two folders are told apart; where a runner keeps its checkouts is of no use."""
    assert headline_of(result(options=options, name=script)).name == name


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        (moved(GateVerdict.REGRESSION, 0.0, 0.03, "failed checks", unit="share"), "more checks fail, 0% → 3%"),
        (moved(GateVerdict.REGRESSION, 500.0, 300.0, "requests/s", unit="/s"),
         "fewer requests per second, 500 → 300/s (-40%)"),
        (moved(GateVerdict.REGRESSION, 2.0, 3.1, "CPU per request"), "more CPU per request, 2 → 3.1 ms (+55%)"),
        (moved(GateVerdict.REGRESSION, 980.0, 1_400.0, "p95", "/a"), "GET /a slower, p95 980 ms → 1.4 s (+43%)"),
        (moved(GateVerdict.REGRESSION, 0.0, 0.2, "failed requests", "/a", unit="share"),
         "GET /a fails more often, 0% → 20%"),
        (moved(GateVerdict.REGRESSION, 1.0, 1_640_000.0), "slower, p95 1 ms → 27m20s (over 1,000 times)"),
        (moved(GateVerdict.REGRESSION, 1.0, 13.0), "slower, p95 1 → 13 ms (13 times)"),
        (gated(GateVerdict.REGRESSION, endpoint="", old=None), "slower"),
    ],
)  # fmt: skip
def test_each_metric_has_its_words(metric: Any, found: str) -> None:
    """And no change is told in numbers that nobody can read."""
    run = shop(comparisons=[compared(GateVerdict.REGRESSION, metric)])
    assert headline_of(run).found == found


def test_all_requests_stand_for_a_regression_and_failures_come_first() -> None:
    """An endpoint is the headline only where the whole did not move; that requests fail is worse than slowness."""
    slow = moved(GateVerdict.REGRESSION, 10.0, 90.0, "p50", "/a")
    whole = moved(GateVerdict.REGRESSION, 10.0, 12.0)
    failing = moved(GateVerdict.REGRESSION, 0.0, 0.5, "failed requests", unit="share")
    found = [headline_of(shop(comparisons=[compared(GateVerdict.REGRESSION, *each)])).found for each in (
        [slow], [slow, whole], [slow, whole, failing],
    )]  # fmt: skip
    assert [each.partition(",")[0] for each in found] == ["GET /a slower", "slower", "more requests fail"]


def test_undecided_gate_is_no_news_where_nobody_wants_to_hear_of_it() -> None:
    """`--on-inconclusive` and `--on-missing-baseline` are heard in the headline as well."""
    missing = comparison(GateVerdict.MISSING, runs=[], reason="none")
    quiet = {"name": "shop-api", "on_missing_baseline": "pass", "on_inconclusive": "pass"}
    for found in (missing, unjudged(GateVerdict.INCONCLUSIVE)):
        assert headline_of(shop(options=quiet, comparisons=[found])).mark == "✅"
        strict = {"name": "shop-api", "on_missing_baseline": "fail", "on_inconclusive": "fail"}
        headline = headline_of(shop(options=strict, comparisons=[found]))
        assert (headline.mark, " passed" in headline.title) == ("❌", False)


def test_threshold_without_data_and_lower_limits_have_their_words() -> None:
    """A limit is never rounded to another one."""
    checks = threshold(0.9999, metric="checks", operator=">", limit=0.99995, passed=False)
    checks = checks.model_copy(update={"aggregation": "rate", "unit": ""})
    none = threshold(None, metric="checkout_time", hint="the script never fed it")
    for each, found, cause in (
        (checks, "rate of checks is 0.9999, more than 0.99995", ""),
        (none, "no data for p(95) of checkout_time", "The script never fed it."),
        (threshold(100.0004, limit=100, passed=False), "p(95) of http_req_duration is 100.0004 ms, limit 100 ms", ""),
    ):
        headline = headline_of(shop(thresholds=[each, threshold()], checks=[], endpoints=[]))
        assert (headline.found, headline.cause) == (found, cause)


def accepting(name: str, **changes: Any) -> str:
    found = how_to_accept(OUTCOMES[name].model_copy(update=changes))
    return "" if found is None else str(found)


def test_where_there_is_something_to_accept_it_is_said_how() -> None:
    """By the line that counts there, and at a terminal by the command."""
    line, here = "ciload-accept: REASON", CI(provider=None)
    for name in ("regression", "improved", "side by side regression"):
        assert accepting(name) == f"{line} in a commit message, or in the text of the pull request"
    merge_request = CI(provider="gitlab", pull_request="3")
    assert accepting("regression", ci=merge_request).endswith("in the text of the merge request")
    for provider in ("github", "gitlab", "jenkins"):
        assert accepting("regression", ci=CI(provider=provider)) == f"{line} in the message of the next commit"
    assert accepting("regression", ci=here) == "ciload accept .ciload/baseline.json --reason REASON"
    assert accepting("side by side regression", ci=here) == "--accept REASON with the next run"
    fetched = {"options": {"save_baseline": "new.json"}, "comparisons": [regression(against="artifact:shop")]}
    assert accepting("regression", ci=here, **fetched) == "ciload accept new.json --reason REASON"
    dangerous = [regression(against="x; rm -rf ~")]
    assert accepting("regression", ci=here, comparisons=dangerous) == "ciload accept 'x; rm -rf ~' --reason REASON"
    assert accepting("suspicious") == accepting("passed, ok") == accepting("accepted") == ""


@pytest.mark.parametrize(
    ("trace", "place"),
    [
        (FRAME.format("load.py", 3) + FRAME.format("/usr/lib/python3.11/json/decoder.py", 9), "load.py:3"),
        (FRAME.format("load.py", 3) + FRAME.format("helpers.py", 7), "helpers.py:7"),
        (FRAME.format(".venv/lib/python3.11/site-packages/x.py", 3), ".venv/lib/python3.11/site-packages/x.py:3"),
        ("no place at all", "the script"),
    ],
)  # fmt: skip
def test_place_is_the_last_line_of_the_author(trace: str, place: str) -> None:
    """Not one of a library, unless there is no other."""
    row = error(detail=f"Traceback (most recent call last):\n{trace}KeyError: 'name'")
    run = shop(errors=[row], verdict=verdict(Failure(code=107, reason="the script raised once")))
    assert headline_of(run).found == f"{place} raised KeyError: 'name'"


@given(st.floats(), st.floats(), st.sampled_from(["ms", "share", "/s"]), st.sampled_from(GateVerdict))
def test_any_number_has_a_headline(value: float, change: float, unit: Any, found: GateVerdict) -> None:
    """A document from elsewhere may hold any number; none of them is shown with more digits than anybody reads."""
    metric = gated(
        found, change, old=value, new=change, unit=unit, detectable=value, low=value, high=change, endpoint=""
    )
    run = result(comparisons=[comparison(found, metric, mean_old=value, mean_new=change)])
    title = headline_of(run).title
    assert title
    assert markdown_summary(run)
    changes = re.sub(r"\S+% → \S+%", "", title)  # a share below 0 is a value with a sign
    percents = [float(each.replace(",", "")) for each in re.findall(r"[+-]([\d,.]+)%", changes)]
    assert not [each for each in percents if each > 1_000 and not math.isinf(each)]


# --- as it is seen


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("place", [COMMENT, Place()], ids=["comment", "summary"])
def test_one_glance_is_enough(page: Page, name: str, place: Place) -> None:
    """No comment and no summary is taller than a screen before its fold."""
    whole = assert_one_glance(page, result_section(OUTCOMES[name], place))
    if place is COMMENT:
        assert whole <= 960  # the fold is closed, and the foot below it is small


def test_rows_that_are_shown_are_news() -> None:
    """No noughts, no dashes, no numbers that nobody can read."""
    for name, run in OUTCOMES.items():
        if name != "hostile names":
            top = result_section(run, COMMENT).partition("<details>")[0]
            assert not re.search(r"99,999%|e\+\d\d|\| \*{0,2}0%\*{0,2} \|.*\| \*{0,2}0%|\bpp\b", top)
            assert NOT_KNOWN not in top


@given(
    text=hostile, start=st.sampled_from(["- ", "1. ", "---", "===", "/close ", "# ", "> ", "    ", "* ", "+ ", "```"])
)
def test_what_stands_on_a_line_of_its_own_is_text(text: str, start: str) -> None:
    """Reasons of others begin paragraphs: they are no lists, rules, quick actions, or underlines of what is above."""
    run = shop(verdict=verdict(Failure(code=108, reason=f"x; {start}{text}")))
    body = comment_text(run, "<!-- ciload:0 -->", None)
    kinds = {each.type for each in MarkdownIt("commonmark").parse(body.partition("<details>")[0]) if each.nesting >= 0}
    assert kinds <= {"html_block", "heading_open", "inline", "paragraph_open"}
    assert not re.search(r"^\s*/\w", body, re.MULTILINE)


def test_two_results_can_stand_in_one_text() -> None:
    """A section says all that it has to say, and leaves what comes after it alone."""
    both = "\n".join(result_section(OUTCOMES[name], COMMENT) for name in ("regression", "improved"))
    assert [line for line in both.split("\n") if line.startswith("## ")] == [
        f"## {TITLES[name].replace('+', '&#43;')}" for name in ("regression", "improved")
    ]
    assert both.count("<details>") == both.count("</details>")


def test_outcomes_are_what_a_run_would_say() -> None:
    """The fixtures have been judged; none was made to fail."""
    assert len(OUTCOMES) >= 16
    assert all(isinstance(each, RunResult) for each in OUTCOMES.values())
