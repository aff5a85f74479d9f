"""What several tests came to, in every report: none says anything else than the exit code."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page

from ciload.ci.github import annotate, outputs_of
from ciload.ci.sticky import MOST_BYTES, comment_text
from ciload.reports.console_suite import suite_console
from ciload.reports.junit import junit_xml
from ciload.reports.markdown import Place
from ciload.reports.markdown_suite import suite_section
from ciload.reports.openmetrics import openmetrics_text
from ciload.reports.suite_headline import suite_headline
from ciload.result.document import CI, Git
from ciload.result.identity import identity_of
from ciload.result.suite import Suite, SuiteTest
from ciload.text import one_line
from tests.reports.outcomes import CI_RUN, OUTCOMES
from tests.reports.rendering import assert_one_glance
from tests.reports.results import hostile

COMMENT = Place(is_comment=True, run_url="https://github.test/a/b/actions/runs/1")


def done(outcome: str, number: int = 1, **changes: object) -> SuiteTest:
    """A test that ended with a result."""
    run = OUTCOMES[outcome]
    facts = {"exit_code": run.verdict.exit_code, "result": run.model_copy(update={"options": {"name": outcome}})}
    return SuiteTest.model_validate({"script": f"loads/{number}.py", "results": f"loads-{number}"} | facts | changes)


def lost(code: int | None, reason: str, number: int = 9) -> SuiteTest:
    """One that left none, or was not run."""
    return SuiteTest(script=f"loads/{number}.py", results=f"loads-{number}", exit_code=code, reason=reason)


def suite_of(*tests: SuiteTest, name: str = "", ci: CI = CI_RUN) -> Suite:
    code = next((each.exit_code for each in tests if each.exit_code), 0)
    return Suite(
        name=name,
        scripts=["loads/*.py"],
        git=Git(commit="0" * 40, branch="main", dirty=False),
        ci=ci,
        exit_code=code,
        tests=list(tests),
    )


PASSED = (done("passed, ok", 1), done("passed without gate", 2))
SUITES = {
    "all pass": suite_of(*PASSED),
    "one is slower": suite_of(*PASSED, done("regression", 3)),
    "several fail": suite_of(done("script error", 1), *PASSED, done("threshold failed", 3), lost(137, "was killed")),
    "something to know": suite_of(*PASSED, done("no baseline yet", 3)),
    "stopped early": suite_of(done("regression", 1), lost(None, "not run: it failed, and --fail-fast", 2)),
    "forty": suite_of(*(done(name, n) for n, name in enumerate([*OUTCOMES] * 2)), name="everything"),
}
TITLES = {
    "all pass": "✅ loads: 2 tests passed",
    "one is slower": "❌ loads: 1 of 3 tests failed: regression: slower, p95 30 → 59 ms (+96%)",
    "several fail": "❌ loads: 3 of 5 tests failed: script error: load.py:14 raised KeyError: 'id', and 2 more",
    "something to know": "⚠️ loads: 3 tests passed; no baseline yet: nothing to compare with yet",
    "stopped early": "❌ loads: 1 of 2 tests failed: regression: slower, p95 30 → 59 ms (+96%)",
}


@pytest.mark.parametrize("name", TITLES)
def test_the_title_says_what_happened(name: str) -> None:
    """In every report the same."""
    headline = suite_headline(SUITES[name])
    assert f"{headline.mark} {headline.title}" == TITLES[name]
    assert headline.found in suite_console(SUITES[name], [], color=False).replace("\n", " ")


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("place", [COMMENT, Place()], ids=["comment", "summary"])
def test_one_glance_is_enough(page: Page, name: str, place: Place) -> None:
    """One table of at most ten rows, the worst first, and below it everything folded."""
    whole = assert_one_glance(page, suite_section(SUITES[name], place))
    assert whole <= 960 + 45 * len(SUITES[name].tests)  # a line for each fold


def test_a_comment_fits_whatever_there_is_to_say() -> None:
    """Of sixty tests, each is in it with less."""
    text = comment_text(SUITES["forty"], "<!-- ciload:0 -->", None)
    assert 5_000 < len(text.encode()) <= MOST_BYTES
    assert text.count("<details>") == text.count("</details>")


def test_the_change_that_is_meant_can_be_accepted_from_the_top() -> None:
    """Not from within a fold."""
    assert "ciload-accept: REASON" in suite_section(SUITES["one is slower"], COMMENT).rpartition("</details>")[2]


@given(
    codes=st.lists(
        st.tuples(st.sampled_from([None, 0, 1, 97, 99, 137]), st.sampled_from([None, *OUTCOMES]), st.booleans()),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_junit_fails_exactly_when_the_suite_does(codes: list[tuple[int | None, str | None, bool]]) -> None:
    """Whatever became of a process, with a result or without one, with a reason or without one."""
    tests = [
        SuiteTest(
            script=f"{n}.py", results=f"r-{n}", exit_code=code, reason="because" * says,
            result=OUTCOMES[name] if name and code is not None and (code or OUTCOMES[name].verdict.passed) else None,
        )
        for n, (code, name, says) in enumerate(codes)
    ]  # fmt: skip
    suite = suite_of(*tests)
    root = ET.fromstring(junit_xml(suite))
    bad = [each for each in root if each.get("failures") != "0" or each.get("errors") != "0"]
    assert len(root) == len(tests)
    assert len(bad) == sum(each.failed for each in tests)
    assert (suite_headline(suite).mark == "❌") == (bool(bad) or all(each.exit_code is None for each in tests))
    errors = [each for each in annotate(suite, {}) if each.startswith("::error")]
    assert bool(errors) == bool(bad)
    for each in root:
        cases = each.findall("testcase")
        assert int(each.get("tests", "")) == len(cases)
        assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)


@given(text=hostile)
def test_names_and_reasons_are_text(text: str) -> None:
    """Those of scripts are anybody's."""
    test = SuiteTest(script=f"{text}/x.py", results="x", exit_code=1, found=text, reason=text)
    suite = Suite(
        name=text,
        scripts=[text],
        git=Git(commit=None, branch=None, dirty=None),
        ci=CI(provider=None),
        exit_code=1,
        tests=[test, PASSED[0]],
    )
    section = suite_section(suite, COMMENT)
    assert section.count("<details>") == section.count("</details>")
    assert section.startswith("## ❌")
    assert section.count("\n## ") == 0
    assert ET.fromstring(junit_xml(suite)) is not None
    assert openmetrics_text(suite).endswith("# EOF\n")
    assert one_line(suite_headline(suite).title, 10_000) == suite_headline(suite).title
    assert Suite.model_validate_json(suite.to_json()).tests[0].exit_code == 1


def test_later_steps_know_the_worst_of_the_gates() -> None:
    """Figures of one test among several would be taken for all of them."""
    found = outputs_of(SUITES["one is slower"], 96, Path("out"), [Path("out/suite.json")], {})
    assert (found["gate"], found["verdict"], found["p95"]) == ("regression", "failed", "")
    assert found["suite"].endswith("out/suite.json")


def test_a_suite_is_known_by_its_name_else_by_what_was_asked_for() -> None:
    """Its comment is found again when a script has come to match its pattern."""
    more = suite_of(*PASSED, done("regression", 3))
    assert identity_of(suite_of(*PASSED)) == identity_of(more)
    assert identity_of(suite_of(*PASSED, name="a")) != identity_of(suite_of(*PASSED, name="b"))
    assert identity_of(suite_of(*PASSED)) != identity_of(OUTCOMES["passed, ok"])
