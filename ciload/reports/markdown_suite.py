"""A suite as GitHub-flavoured markdown: one table of its tests, and below it each of them, folded."""

from __future__ import annotations

from collections.abc import Iterator

from ciload.reports.comparison import short_commit
from ciload.reports.gfm import KIB, code, fold, paragraph, prose, rows_within
from ciload.reports.headline import Headline
from ciload.reports.markdown import BEGINS, SUMMARY, Place, linked_run, section_body, section_title
from ciload.reports.suite_headline import TestLine, counted, suite_headline, worst_lines_first
from ciload.result.suite import Suite
from ciload.version import __version__

OPEN_TESTS = 10  # rows before the fold
COLUMNS = ("<", "test", "what happened")
TESTS_BUDGET = 12 * KIB
LONGEST_REASON = 400
MOST_SECTIONS = 100


def suite_summary(suite: Suite) -> str:
    """The whole summary, as a file."""
    return f"{BEGINS}\n{suite_section(suite)}"


def suite_section(suite: Suite, place: Place = SUMMARY, share: float = 1.0) -> str:
    """A suite under a heading of its own.

    Args:
        suite: that was run.
        place: where it is to stand.
        share: of every budget of bytes.
    """
    headline, lines = suite_headline(suite), worst_lines_first(suite)
    shown, left = rows_within(COLUMNS, map(_row, lines), len(lines), OPEN_TESTS, int(TESTS_BUDGET * share))
    parts = [
        section_title(headline),
        shown,
        f"… and {left:,} more tests" if left else "",
        paragraph(" ".join(filter(None, (headline.cause, headline.to_do)))),
        *_sections(lines, place, share / max(1, len(suite.results))),
        _foot(suite, headline, place),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(line: TestLine) -> tuple[str, str, str]:
    return line.mark, prose(line.name), prose(line.found)


def _sections(lines: list[TestLine], place: Place, share: float) -> Iterator[str]:
    """Each test that has a result, or more to say than its row."""
    of_test = Place(place.is_comment, place.run_url, place.origin, in_suite=True)
    for line in lines[:MOST_SECTIONS]:
        reason = paragraph(line.test.reason[:LONGEST_REASON]) if line.test.reason else ""
        body = "" if line.test.result is None else section_body(line.test.result, of_test, share)
        if body:
            yield fold(f"{line.mark} {prose(line.name)}", "\n\n".join(filter(None, (reason, body.rstrip("\n")))))


def _foot(suite: Suite, headline: Headline, place: Place) -> str:
    accept = f"meant? {code(headline.accept.text)} {headline.accept.where}".rstrip() if headline.accept else ""
    parts = [
        counted(suite),
        f"exit code {suite.exit_code}" if suite.exit_code else "",
        code(short_commit(suite.git.commit)) if short_commit(suite.git.commit) else "",
        linked_run(place.run_url if place.is_comment else suite.ci.run_url),
        f"ciload {__version__}",
        prose(place.origin),
        accept,
    ]
    return f"<sub>{' · '.join(part for part in parts if part)}</sub>"
