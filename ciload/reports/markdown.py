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
    """

    is_comment: bool = False
    run_url: str | None = None
    origin: str = ""


SUMMARY = Place()


def markdown_summary(result: RunResult) -> str:
    """The whole summary, as a file."""
    return f"{BEGINS}\n{result_section(result)}"


def summary_within(result: RunResult, most_bytes: int, note: str, place: Place = SUMMARY) -> str:
    """The section of a result in at most `most_bytes`, "" if nothing can be said in so few.

    Args:
        result: of the run.
        most_bytes: as UTF-8.
        note: a line of markdown that says where the whole is; it is added when rows had to be left out.
        place: where it is to stand.
    """
    share, text = 1.0, result_section(result, place)
    while len(text.encode()) > most_bytes and share > SMALLEST_SHARE:
        # What does not shrink with the budgets makes this too much at first.
        share *= min(0.5, max(0.1, most_bytes / len(text.encode())))
        text = f"{result_section(result, place, share)}\n{note}\n"
    if len(text.encode()) <= most_bytes:
        return text
    text = f"{_title(headline_of(result))}\n\n{note}\n"
    return text if len(text.encode()) <= most_bytes else ""


def result_section(result: RunResult, place: Place = SUMMARY, share: float = 1.0) -> str:
    """One result, under a heading of its own.

    Args:
        result: of the run.
        place: where it is to stand.
        share: of every budget of bytes.
    """
    headline = headline_of(result)
    also, more_also = _split(_further_failures(result))
    warnings, more_warnings = _split(_warnings(result))
    parts = [
        _title(headline),
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


def _title(headline: Headline) -> str:
    return f"## {headline.mark} {prose(headline.title)}"


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
    url = place.run_url if place.is_comment else result.ci.run_url
    environment = result.environment
    accept = f"meant? {code(headline.accept.text)} {headline.accept.where}".rstrip() if headline.accept else ""
    parts = [
        _figures(result),
        f"exit code {result.verdict.exit_code}" if result.verdict.exit_code else "",
        code(short_commit(result.git.commit)) if short_commit(result.git.commit) else "",
        f"[run and report]({url})" if url and PLAIN_URL.fullmatch(url) else "",
        f"ciload {prose(one_line(environment.ciload, 20))}",
        prose(place.origin),
        accept,
    ]
    return f"<sub>{' · '.join(part for part in parts if part)}</sub>"


def _figures(result: RunResult) -> str:
    """`972 requests in 5.1 s, 191/s, 0% failed, 5 VUs`."""
    requests, load = result.metrics.get("http_reqs"), result.load
    if not load.load_s:
        return ""
    seconds = format_short(load.load_s * 1e3, "ms")
    if requests is None or not requests.count:
        figures = [f"{count(load.iterations)} iterations in {seconds}"]
    else:
        figures = [f"{count(requests.count)} requests in {seconds}", format_short(requests.rate, "/s")]
        failed = failed_share(result)
        figures += [f"{failed} failed"] if failed else []
    return prose(", ".join([*figures, f"{count(load.vus_max)} VUs"]))
