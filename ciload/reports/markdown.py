"""The result as GitHub-flavoured markdown: `summary.md`, a GitHub job summary.

Whatever came from the target or the script (names, messages, groups) is hostile: it is shown as what it is, and can
neither leave its cell nor become a link, an image, HTML or a mention. Every part has a budget of bytes, so that the
whole stays below what GitHub takes (1 MiB); what does not fit is left out by whole rows, and counted.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import TypeVar

import numpy as np

from ciload.metrics.metric import Kind
from ciload.reports.format import format_against, format_share, format_value
from ciload.result.document import Check, Endpoint, ErrorRow, Outcome, RunResult, ThresholdResult, TimelineRow

T = TypeVar("T")

KIB = 1024
TABLE_BUDGET = 150 * KIB  # for each of four
LIST_BUDGET = 30 * KIB  # for each of two
OPTIONS_BUDGET = 60 * KIB
TRACEBACK_BUDGET = 20 * KIB
TRACEBACKS_BUDGET = 100 * KIB
OPEN_ROWS = 25  # of a table; further ones are folded
LONGEST_NAME = 200
LONGEST_PROSE = 600
LONGEST_LINE = 500
MOST_POINTS = 60
FEWEST_POINTS = 3

CODE_ENDS = re.compile(r"[`|\\]")
MARKUP = re.compile(r"[!-/:-@\[-`{-~]")
# What starts something in the middle of a line; "/" for https://, the dot for www., which GitHub links without asking.
MARKUP_IN_PROSE = re.compile(r"[!\"#$&*+/<=>?@\[\\\]^_`{|}~]|(?<=www)\.", re.IGNORECASE)
MENTION = re.compile(r"[@#](?=\w)")
ZERO_WIDTH_SPACE = "\u200b"


def markdown_summary(result: RunResult) -> str:
    """The whole summary."""
    parts = [
        _headline(result),
        _bullets([f"⚠️ {prose(warning)}" for warning in result.verdict.warnings]),
        _table("Thresholds", THRESHOLD, _threshold, sorted(result.thresholds, key=_passed)),
        _table("Endpoints", ENDPOINT, _endpoint, sorted(result.endpoints, key=lambda each: -each.failed)),
        _table("Checks", CHECK, _check, sorted(result.checks, key=_held)),
        _table("Errors", ERROR, _error, result.errors),
        _charts(result.timeline),
        _fold("About this run", _about(result)),
        _tracebacks([error for error in result.errors if error.detail]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


# --- the top


def _headline(result: RunResult) -> str:
    verdict = result.verdict
    name = code(result.name)
    if verdict.passed:
        number = len(result.thresholds)
        why = {0: "Nothing failed, and no thresholds were set.", 1: "The one threshold holds."}
        return f"## ✅ Passed: {name}\n\n{why.get(number, f'All {number} thresholds hold.')}\n\n{_figures(result)}"
    reasons = [f"exit code {each.code}: {prose(each.reason)}" for each in verdict.failures]
    first, *others = reasons or [f"exit code {verdict.exit_code}"]
    also = _bullets([f"also {each}" for each in others])
    return "\n\n".join(filter(None, [f"## ❌ Failed: {name}", f"Failed with {first}", also, _figures(result)]))


def _figures(result: RunResult) -> str:
    metrics, load = result.metrics, result.load
    figures = []
    if (requests := metrics.get("http_reqs")) is not None and requests.count:
        figures += [f"**{_count(requests.count)}** requests", f"**{format_value(requests.rate, '/s')}**"]
    if (duration := metrics.get("http_req_duration")) is not None and duration.trend is not None:
        figures.append(f"p95 **{format_value(duration.trend.p95, 'ms')}**")
    if (failed := metrics.get("http_req_failed")) is not None and failed.kind is Kind.RATE:
        passes, fails = failed.passes or 0, failed.fails or 0  # a "pass" of this metric is a failed request
        figures.append(f"**{format_share(passes, passes + fails)}** failed")
    figures += [f"**{_count(load.iterations)}** iterations", f"**{_count(load.vus_max)}** VUs"]
    return " · ".join([*figures, f"**{format_value(load.load_s * 1e3, 'ms')}**"])


# --- rows, the bad ones first

Row = Sequence[str]
THRESHOLD = ("", "Metric", "Threshold", ">Measured")
ENDPOINT = ("Method", "Name", ">Requests", ">Rate", ">Failed", ">p50", ">p95", ">p99", ">Max")
CHECK = ("", "Check", ">Passed", ">Failed", ">Share")
ERROR = (">Count", "Where", "What")


def _passed(each: ThresholdResult) -> bool:
    return each.outcome is Outcome.PASS


def _held(each: Check) -> bool:
    return each.fails == 0


def _threshold(each: ThresholdResult) -> Row:
    value = each.value
    measured = "no data" if value is None else format_against(value, each.operator, each.limit, each.unit)
    return _mark(_passed(each)), code(each.metric), code(each.expression), prose(measured)


def _endpoint(each: Endpoint) -> Row:
    d = each.duration
    times = [format_value(value, "ms") for value in ((d.med, d.p95, d.p99, d.max) if d else [None] * 4)]
    failed = format_share(each.failed, each.requests)
    return prose(each.method), code(each.name), _count(each.requests), format_value(each.rate, "/s"), failed, *times


def _check(each: Check) -> Row:
    group = each.group.removeprefix("::")
    name = code(f"{group} :: {each.name}" if group else each.name)
    share = format_share(each.passes, each.passes + each.fails)
    return _mark(_held(each)), name, _count(each.passes), _count(each.fails), share


def _error(each: ErrorRow) -> Row:
    return _count(each.count), code(each.source), code(each.message, LONGEST_PROSE)


def _mark(good: bool) -> str:
    return "✓" if good else "✗"


def _count(value: float) -> str:
    return format_value(value, "")


# --- charts


def _charts(timeline: Sequence[TimelineRow]) -> str:
    if len(timeline) < FEWEST_POINTS or timeline[-1].at_s <= 0:
        return ""
    points = _points(timeline)
    width_s = timeline[-1].at_s / len(points)
    p95, p50 = _highest(points, "p95"), _highest(points, "p50")
    rate, failed = _mean(points, "requests_per_s"), _mean(points, "failed_per_s")
    requests = {"requests (upper line)": rate, "failed (lower line)": failed} if any(failed) else {"requests": rate}
    charts = [
        _chart("Response time", "ms", {"p95 (upper line)": p95, "p50 (lower line)": p50}, width_s),
        _chart("Rate", "per second", requests, width_s),
    ]
    return "\n\n".join(["### Over time", *filter(None, charts), _caption(p95, width_s)])


Point = list[tuple[TimelineRow, float]]  # rows, and how many seconds each of them tells about
Line = list[float | None]


def _points(timeline: Sequence[TimelineRow]) -> list[Point]:
    """The rows in at most MOST_POINTS parts of the same length, each row where the middle of its second is."""
    ends = [row.at_s for row in timeline]
    spans = [end - start for start, end in pairwise([0.0, *ends])]
    # The load's end cuts the last second short; what little is left of it is no point of its own.
    number = min(MOST_POINTS, len(timeline) - (spans[-1] < median(spans) / 2))
    points: list[Point] = [[] for _ in range(number)]
    for row, span in zip(timeline, spans, strict=True):
        if span > 0:
            at = int((row.at_s - span / 2) / ends[-1] * number)
            points[min(number - 1, at)].append((row, span))
    return points


def _highest(points: Iterable[Point], name: str) -> Line:
    return [
        max((value for row, _ in rows if (value := getattr(row, name)) is not None), default=None) for rows in points
    ]


def _mean(points: Iterable[Point], name: str) -> Line:
    return [
        fmean([getattr(row, name) for row, _ in rows], [span for _, span in rows]) if rows else None for rows in points
    ]


def _chart(title: str, unit: str, lines: Mapping[str, Line], width_s: float) -> str:
    """A Mermaid chart, "" for too few points. All lines know their values at the same points."""
    known = [at for at, value in enumerate(next(iter(lines.values()))) if value is not None]
    if len(known) < FEWEST_POINTS:
        return ""
    # Mermaid has no gaps: where no request finished, a straight line joins the points around it.
    at = np.arange(known[0], known[-1] + 1)
    drawn = [np.interp(at, known, [values[each] or 0.0 for each in known]) for values in lines.values()]
    top = max(float(values.max()) for values in drawn) * 1.1 or 1.0
    rows = [
        f'    title "{title}: {", ".join(lines)}"',
        f'    x-axis "seconds" {(known[0] + 1) * width_s:.1f} --> {(known[-1] + 1) * width_s:.1f}',
        f'    y-axis "{unit}" 0 --> {top:.2f}',
        *(f"    line [{', '.join(f'{value:.2f}' for value in values)}]" for values in drawn),
    ]
    return "\n".join(["```mermaid", "xychart-beta", *rows, "```"])


def _caption(p95: Line, width_s: float) -> str:
    each = f"Each point stands for {format_value(width_s * 1e3, 'ms')}"
    if width_s > 1.5:
        each += ": the highest p95 and p50 of the seconds in it, and their mean rate"
    missing = sum(value is None for value in p95)
    return f"{each}." + (
        f" {missing} of {len(p95)} points have no response times; the lines pass over them." if missing else ""
    )


# --- folded: what one looks up


def _about(result: RunResult) -> str:
    git, ci, machine, load, generator = result.git, result.ci, result.environment, result.load, result.generator
    dirty = {True: ", with uncommitted changes", False: "", None: ""}[git.dirty]
    busy, late = format_share(generator.cpu_share, 1), format_value(generator.loop_lag_p99, "ms")
    facts = {
        "Started": code(load.started_at),
        "Run": code(result.run_id),
        "Commit": code(git.commit) + dirty if git.commit else "",
        "Branch": code(git.branch) if git.branch else "",
        "CI": code(" ".join(filter(None, (ci.provider, ci.job, ci.run_url)))) if ci.provider else "",
        "Load": code("; ".join(f"{each.name}: {each.executor}, {each.vus} VUs" for each in result.scenarios)),
        "Generator": f"{busy} of a core, event loop {late} late at its 99th percentile",
        "Machine": code(f"{machine.cpu}, {machine.cores} cores, {format_value(machine.memory_bytes, 'bytes')}"),
        "System": code(f"{machine.os} {machine.machine}, Python {machine.python}, ciload {machine.ciload}"),
    }
    table = _table("", ("", ""), tuple, [(name, fact) for name, fact in facts.items() if fact])
    options = json.dumps(result.options, indent=2, ensure_ascii=False, default=str)
    return f"{table}\n\n{_block(options, OPTIONS_BUDGET, 'json')}"


def _tracebacks(errors: Sequence[ErrorRow]) -> str:
    if not errors:
        return ""
    blocks = [
        f"{_count(each.count)} x {code(each.message, LONGEST_PROSE)}\n\n{_block(each.detail, TRACEBACK_BUDGET)}"
        for each in errors
    ]
    kept, note = _cut(blocks, len(blocks), TRACEBACKS_BUDGET)
    return _fold("Tracebacks", "\n\n".join([*kept, *note]))


# --- markdown


def code(text: str, most: int = LONGEST_NAME) -> str:
    """`text` in a code span, as it is: safe in a table's cell, and never a link or a mention."""
    shown = _one_line(text, most) or "(empty)"
    # A backtick ends a code span, a bar ends a cell even in one, and how backslashes mix with bars is anyone's guess.
    return f"<code>{_escaped(shown, MARKUP)}</code>" if CODE_ENDS.search(shown) else f"`{shown}`"


def prose(text: str) -> str:
    """`text` as part of a line, as it is: safe anywhere but at the line's start."""
    return _escaped(_one_line(text, LONGEST_PROSE), MARKUP_IN_PROSE)


def _escaped(line: str, markup: re.Pattern[str]) -> str:
    # GitHub looks for @people, #issues and mail addresses after it has resolved entities: something must be between.
    apart = MENTION.sub(rf"\g<0>{ZERO_WIDTH_SPACE}", line)
    return markup.sub(lambda match: f"&#{ord(match[0])};", apart)


def _one_line(text: str, most: int) -> str:
    start = text[: 4 * most]  # of megabytes nobody needs the rest, and there may be thousands of them
    line = " ".join("".join(map(_visible, start)).split())
    return line if len(line) <= most and start == text else line[: most - 1] + "…"


def _visible(character: str) -> str:
    """No character that ends lines, hides, turns the reading direction, or cannot be encoded."""
    category = unicodedata.category(character)
    return " " if category in ("Cc", "Zl", "Zp") else "\ufffd" if category in ("Cf", "Cs") else character


def _table(title: str, columns: Row, row_of: Callable[[T], Row], items: Sequence[T]) -> str:
    """A table under a heading, "" without items. A column's ">" aligns it to the right."""
    names = [column.removeprefix(">") for column in columns]
    head = [_row(names), _row(["--:" if column[:1] == ">" else ":--" for column in columns])]
    lines, note = _cut((_row(row_of(item)) for item in items), len(items), TABLE_BUDGET)
    if not lines:
        return ""
    parts = [f"### {title}"] if title else []
    parts.append("\n".join([*head, *lines[:OPEN_ROWS]]))
    if len(lines) > OPEN_ROWS:
        parts.append(_fold(f"{len(lines) - OPEN_ROWS:,} more", "\n".join([*head, *lines[OPEN_ROWS:]])))
    return "\n\n".join([*parts, *note])


def _row(cells: Row) -> str:
    return f"| {' | '.join(cells)} |"


def _bullets(lines: Sequence[str]) -> str:
    kept, note = _cut(lines, len(lines), LIST_BUDGET)
    return "\n".join(f"- {line}" for line in [*kept, *note])


def _cut(items: Iterable[str], total: int, budget: int) -> tuple[list[str], list[str]]:
    """The first of `total` items, as many as fit, and a note on how many did not."""
    kept: list[str] = []
    for item in items:
        budget -= len(item.encode()) + 2
        if budget < 0:
            return kept, [f"… and {total - len(kept):,} more"]
        kept.append(item)
    return kept, []


def _block(text: str, budget: int, language: str = "") -> str:
    """A code block that no backticks inside it can end."""
    split = text.split("\n")
    kept, note = _cut(("".join(map(_visible, line[:LONGEST_LINE])) for line in split), len(split), budget)
    lines = "\n".join([*kept, *(f"{line} lines" for line in note)])
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", lines))])
    return f"{fence}{language}\n{lines}\n{fence}"


def _fold(summary: str, body: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"
