"""The result as GitHub-flavoured markdown: `summary.md`, a GitHub job summary, a comment.

One glance is enough: the headline, one line of counts, one table of what changed or failed, one sentence of cause. The
rest is folded.

Whatever came from the target or the script (names, messages, groups) is hostile: it is shown as what it is, and can
neither leave its cell nor become a link, an image, HTML or a mention. Every part has a budget of bytes, so that the
whole stays below what GitHub takes (1 MiB); what does not fit is left out by whole rows, and counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ciload.errors import ExitCode
from ciload.reports.causes import failed_share
from ciload.reports.charts import timeline_charts
from ciload.reports.comparison import short_commit
from ciload.reports.format import format_move, format_short
from ciload.reports.gfm import KIB, bullets, code, fold, paragraph, prose
from ciload.reports.headline import Headline, failure_found, headline_of
from ciload.reports.markdown_changes import changes_table
from ciload.reports.markdown_details import about, count, details
from ciload.result.comparison import relative
from ciload.result.document import RunResult
from ciload.result.judgement import open_question, threshold_reason
from ciload.text import one_line

BEGINS = "<!-- ciload summary -->"  # by which the file is known to be ours; nobody sees it
SMALLEST_SHARE = 0.002  # of every budget: what it leaves is the verdict and hardly a row
MOST_OPEN = 2  # warnings, and further failures, that stand before the fold
LONGEST_OPEN, LONGEST_SOURCE = 150, 100
ALSO_BUDGET = 4 * KIB
PLAIN_URL = re.compile(r"https?://[\w.:/%~-]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a section is to stand, and what it can show there.

    Attributes:
        is_comment: without charts, machine and options.
        run_url: what a comment links to; what the result says itself may be a stranger's.
        origin: a sentence on where the result is from.
        in_suite: below a table of tests, which says where the run is and how a change is accepted.
    """

    is_comment: bool = False
    run_url: str | None = None
    origin: str = ""
    in_suite: bool = False


SUMMARY = Place()


def markdown_summary(result: RunResult) -> str:
    """The whole summary, as a file."""
    return f"{BEGINS}\n{result_section(result)}"


def result_section(result: RunResult, place: Place = SUMMARY, share: float = 1.0) -> str:
    """One result, under a heading of its own.

    Args:
        result: of the run.
        place: where it is to stand.
        share: of every budget of bytes.
    """
    return f"{section_title(headline_of(result))}\n\n{section_body(result, place, share)}"


def section_title(headline: Headline) -> str:
    return f"## {headline.mark} {prose(headline.title)}"


def section_body(result: RunResult, place: Place = SUMMARY, share: float = 1.0) -> str:
    """What stands below the title."""
    headline = headline_of(result)
    also, more_also = _split(_further_failures(result))
    warnings, more_warnings = _split(_warnings(result))
    parts = [
        code(headline.source, LONGEST_SOURCE) if headline.source else "",
        _counts(headline),
        changes_table(result, share),
        paragraph(" ".join(filter(None, (headline.cause, headline.to_do)))),
        bullets([prose(one_line(each, LONGEST_OPEN)) for each in (*also, *warnings)], int(ALSO_BUDGET * share)),
        _fold(result, share, [*more_also, *more_warnings]),
    ]
    if not place.is_comment:
        parts += [timeline_charts(result.timeline)] if share > SMALLEST_SHARE else []
        parts += [about(result, share)]
    parts += [_foot(result, headline, place)]
    return "\n\n".join(part for part in parts if part) + "\n"


# --- the top


def _counts(headline: Headline) -> str:
    """What was counted, its first clause in bold."""
    if not headline.counts:
        return ""
    first, *others = headline.counts
    bold, against, rest = first.partition(" against ")
    return " ".join([f"**{prose(bold)}**", *map(prose, [f"against {rest}", *others] if against else others)])


def _split(texts: list[str]) -> tuple[list[str], list[str]]:
    """What stands in the open, and what is folded."""
    return texts[:MOST_OPEN], texts[MOST_OPEN:]


def _further_failures(result: RunResult) -> list[str]:
    """What failed the run besides the first, where no row of the table says so; every mistake in the options."""
    failures = result.verdict.failures
    mistakes = failures[0].reason.split("\n")[1:] if failures and failures[0].code == ExitCode.INVALID_OPTIONS else []
    rest = [each for each in failures[1:] if each.threshold is None and each.comparison is None]
    return [f"also {each}" for each in (*mistakes, *(failure_found(each, result).found for each in rest))]


def _warnings(result: RunResult) -> list[str]:
    """Those of the verdict that neither the headline nor the table has; and what creeps from run to run."""
    known = {threshold_reason(each) for each in result.thresholds if each.warns}
    known |= {open_question(each) for each in result.comparisons}
    creeping = [
        f"slower little by little: {each.metric} {format_move(each.first, each.last, each.unit)} in {each.runs} runs "
        f"({relative(each.change)})"
        for comparison in result.comparisons
        for each in comparison.drift
    ]
    return [f"⚠️ {each}" for each in (*creeping, *result.verdict.warnings) if each not in known]


# --- below


def _fold(result: RunResult, share: float, notes: list[str]) -> str:
    names, body = details(result, share, notes)
    return fold(" · ".join(names), body) if body else ""


def _foot(result: RunResult, headline: Headline, place: Place) -> str:
    environment = result.environment
    accept = f"meant? {code(headline.accept.text)} {headline.accept.where}".rstrip() if headline.accept else ""
    here = [
        code(short_commit(result.git.commit)) if short_commit(result.git.commit) else "",
        linked_run(place.run_url if place.is_comment else result.ci.run_url),
        f"ciload {prose(one_line(environment.ciload, 20))}",
        prose(place.origin),
        accept,
    ]
    parts = [
        _figures(result),
        f"exit code {result.verdict.exit_code}" if result.verdict.exit_code else "",
        *([] if place.in_suite else here),
    ]
    return f"<sub>{' · '.join(filter(None, parts))}</sub>" if any(parts) else ""


def linked_run(url: str | None) -> str:
    """The run in its CI, "" for what may be no plain URL."""
    return f"[run and report]({url})" if url and PLAIN_URL.fullmatch(url) else ""


def _figures(result: RunResult) -> str:
    """`972 requests in 5.1 s, 191/s, 0% failed, 5 VUs`."""
    requests, load = result.counted, result.load
    if not load.load_s:
        return ""
    seconds = format_short(load.load_s * 1e3, "ms")
    if requests is None or not requests.count:
        figures = [f"{count(load.iterations)} iterations in {seconds}"]
    else:
        noun = "operations" if result.of_operations else "requests"
        figures = [f"{count(requests.count)} {noun} in {seconds}", format_short(requests.rate, "/s")]
        failed = failed_share(result)
        figures += [f"{failed} failed"] if failed else []
    return prose(", ".join([*figures, f"{count(load.vus_max)} VUs"]))
