"""The headline of a suite, and a line for each of its tests. Every report of a suite asks here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from ciload.reports.comparison import short
from ciload.reports.headline import LONGEST_FOUND, LONGEST_LEG, LONGEST_NAME, Headline, Mark, headline_of, name_of
from ciload.result.suite import Suite, SuiteTest
from ciload.text import one_line

LONGEST_SUITE_FOUND = 160
NOT_RUN: Mark = "⏭️"


@dataclass(frozen=True, slots=True)
class TestLine:
    """One test as a line: `headline` is that of its result, None if it has none."""

    test: SuiteTest
    mark: Mark
    name: str
    found: str
    headline: Headline | None


def lines_of(suite: Suite) -> list[TestLine]:
    """A line for each test, in the order in which they ran."""
    return [_line_of(each) for each in suite.tests]


def worst_lines_first(suite: Suite) -> list[TestLine]:
    """What failed, what there is to know about, what passed, what was not run."""
    order: tuple[Mark, ...] = ("❌", "⚠️", "✅", NOT_RUN)
    return sorted(lines_of(suite), key=lambda each: order.index(each.mark))


def _line_of(test: SuiteTest) -> TestLine:
    headline = None if test.result is None else headline_of(test.result)
    said = one_line(test.reason, LONGEST_FOUND)
    name = name_of(test.result) if test.result is not None else short(test.script.removesuffix(".py"), LONGEST_NAME)
    if test.exit_code is None:
        return TestLine(test, NOT_RUN, name, said or "not run", headline)
    if test.failed:
        found = said or (headline.found if headline else f"exit code {test.exit_code}")
        return TestLine(test, "❌", name, found, headline)
    return TestLine(test, headline.mark if headline else "✅", name, headline.found if headline else "", headline)


def suite_headline(suite: Suite) -> Headline:
    """What the suite came to: what failed first, else the most important thing to know."""
    name, lines = name_of_suite(suite), worst_lines_first(suite)
    first = lines[0] if lines else None
    if first is None or first.mark == NOT_RUN:
        return _headline(name, "❌", "no test was run", None)
    if suite.exit_code:
        failed = sum(each.mark == "❌" for each in lines)
        more = f", and {failed - 1} more" if failed > 1 else ""
        return _headline(name, "❌", f"{failed} of {len(lines)} tests failed: {first.name}: {first.found}{more}", first)
    passed = f"{len(lines)} tests" if len(lines) > 1 else "1 test"
    if first.mark == "⚠️":
        return _headline(name, "⚠️", f"{passed} passed; {first.name}: {first.found}", first)
    return _headline(name, "✅", f"{passed} passed", None)


def _headline(name: str, mark: Mark, found: str, lead: TestLine | None) -> Headline:
    found = one_line(found, LONGEST_SUITE_FOUND)
    headline = lead.headline if lead else None
    if headline is None:
        return Headline(mark, name, found, f"{name}: {found}")
    return Headline(
        mark, name, found, f"{name}: {found}", (), headline.cause, headline.to_do, headline.accept, headline.where,
        headline.source,
    )  # fmt: skip


def counted(suite: Suite) -> str:
    """`1 failed, 2 passed, 1 not run`."""
    marks = [each.mark for each in lines_of(suite)]
    passed = marks.count("✅") + marks.count("⚠️")
    numbers = {"failed": marks.count("❌"), "passed": passed, "not run": marks.count(NOT_RUN)}
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)


def name_of_suite(suite: Suite) -> str:
    """As `--name` says, else the folder that all of its scripts are in; and its leg."""
    folders = {PurePath(each.script).parent for each in suite.tests}
    folder = folders.pop() if len(folders) == 1 else PurePath()
    plain = folder.parts and not folder.is_absolute() and ":" not in folder.parts[0]
    name = short(suite.name, LONGEST_NAME) or (short(str(folder), LONGEST_NAME) if plain else "") or "load tests"
    leg = short(suite.leg, LONGEST_LEG)
    return f"{name} ({leg})" if leg else name
