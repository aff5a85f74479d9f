"""The result as GitHub-flavoured markdown: `summary.md`, a GitHub job summary, a comment.

Whatever came from the target or the script (names, messages, groups) is hostile: it is shown as what it is, and can
neither leave its cell nor become a link, an image, HTML or a mention. Every part has a budget of bytes, so that the
whole stays below what GitHub takes (1 MiB); what does not fit is left out by whole rows, and counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ciload.metrics.metric import BUILTIN, Kind
from ciload.reports.charts import timeline_charts
from ciload.reports.format import format_against, format_share, format_value
from ciload.reports.gfm import (
    KIB,
    LIST_BUDGET,
    LONGEST_PROSE,
    TABLE_BUDGET,
    Row,
    bullets,
    code,
    code_block,
    cut,
    fold,
    prose,
    table,
)
from ciload.reports.markdown_comparison import comparison_section, gate_sentence
from ciload.reports.values import (
    SCENARIO_FIGURES,
    metric_values,
    scenario_figures,
    target_cpu_sentence,
    without_method,
    worth_a_table,
)
from ciload.result.document import Check, Endpoint, ErrorRow, MetricResult, RunResult, ScenarioResult, ThresholdResult

OPTIONS_BUDGET = 60 * KIB
TRACEBACK_BUDGET = 20 * KIB
TRACEBACKS_BUDGET = 100 * KIB


SMALLEST_SHARE = 0.002  # of every budget: what it leaves is the verdict and hardly a row


def markdown_summary(result: RunResult) -> str:
    """The whole summary."""
    return _summary(result, 1.0, details=True)


def summary_within(result: RunResult, most_bytes: int, note: str, *, details: bool = True) -> str:
    """The summary in at most `most_bytes`, "" if nothing can be said in so few.

    Args:
        result: of the run.
        most_bytes: as UTF-8.
        note: a line of markdown that says where the whole is; it is added when rows had to be left out.
        details: with what one looks up: machine, options, tracebacks.
    """
    share, text = 1.0, _summary(result, 1.0, details=details)
    while len(text.encode()) > most_bytes and share > SMALLEST_SHARE:
        # What does not shrink with the budgets makes this too much at first.
        share *= min(0.5, max(0.1, most_bytes / len(text.encode())))
        text = f"{_summary(result, share, details=details)}\n{note}\n"
    if len(text.encode()) <= most_bytes:
        return text
    text = f"## {'✅ Passed' if result.verdict.passed else '❌ Failed'}\n\n{note}\n"
    return text if len(text.encode()) <= most_bytes else ""


def _summary(result: RunResult, share: float, *, details: bool) -> str:
    rows = int(TABLE_BUDGET * share)
    warnings = [f"⚠️ {prose(warning)}" for warning in result.verdict.warnings]
    parts = [
        _headline(result, share),
        bullets(warnings, int(LIST_BUDGET * share)),
        table("Thresholds", THRESHOLD, _threshold, sorted(result.thresholds, key=_badness), rows),
        *(comparison_section(comparison, share) for comparison in result.comparisons),
        table("Endpoints", ENDPOINT, _endpoint, sorted(result.endpoints, key=lambda each: -each.failed), rows),
        _scenarios(result, rows),
        table("Checks", CHECK, _check, sorted(result.checks, key=_held), rows),
        table("Metrics of the script", METRIC, _metric, _own(result), rows),
        table("Errors", ERROR, _error, result.errors, rows),
        timeline_charts(result.timeline) if share > SMALLEST_SHARE else "",
    ]
    if details:
        parts += [fold("About this run", _about(result, share))]
        parts += [_tracebacks([error for error in result.errors if error.detail], share)]
    return "\n\n".join(part for part in parts if part) + "\n"


# --- the top


def _headline(result: RunResult, share: float) -> str:
    verdict = result.verdict
    name = code(result.name)
    if verdict.passed:
        why = " ".join([_why_passed(result.thresholds), *map(gate_sentence, result.comparisons)])
        return f"## ✅ Passed: {name}\n\n{why}\n\n{_figures(result)}"
    reasons = [f"exit code {each.code}: {prose(each.reason)}" for each in verdict.failures]
    first, *others = reasons or [f"exit code {verdict.exit_code}"]
    also = bullets([f"also {each}" for each in others], int(LIST_BUDGET * share))
    return "\n\n".join(filter(None, [f"## ❌ Failed: {name}", f"Failed with {first}", also, _figures(result)]))


def _why_passed(thresholds: Sequence[ThresholdResult]) -> str:
    number, broken = len(thresholds), sum(each.warns for each in thresholds)
    if number == 0:
        return "Nothing failed, and no thresholds were set."
    if broken:
        which = "The one threshold" if number == 1 else f"{broken} of {number} thresholds"
        return f"{which} {'does' if broken == 1 else 'do'} not hold, which is only a warning."
    return "The one threshold holds." if number == 1 else f"All {number} thresholds hold."


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

THRESHOLD = ("", "Metric", "Threshold", ">Measured")
ENDPOINT = ("Method", "Name", ">Requests", ">Rate", ">Failed", ">p50", ">p95", ">p99", ">Max")
CHECK = ("", "Check", ">Passed", ">Failed", ">Share")
METRIC = ("Metric", "Values")
SCENARIO = ("Scenario", "Executor", *(f">{title.capitalize()}" for title in SCENARIO_FIGURES))
ERROR = (">Count", "Where", "What")


def _badness(each: ThresholdResult) -> int:
    return 0 if each.fails else 1 if each.warns else 2


def _held(each: Check) -> bool:
    return each.fails == 0


def _threshold(each: ThresholdResult) -> Row:
    value = each.value
    measured = "no data" if value is None else format_against(value, each.operator, each.limit, each.unit)
    mark = "⚠️" if each.warns else _mark(not each.fails)
    return mark, code(each.metric), code(each.expression), prose(measured)


def _endpoint(each: Endpoint) -> Row:
    d = each.duration
    times = [format_value(value, "ms") for value in ((d.med, d.p95, d.p99, d.max) if d else [None] * 4)]
    failed, rate = format_share(each.failed, each.requests), format_value(each.rate, "/s")
    return prose(each.method), code(without_method(each)), _count(each.requests), rate, failed, *times


def _check(each: Check) -> Row:
    group = each.group.removeprefix("::")
    name = code(f"{group} :: {each.name}" if group else each.name)
    share = format_share(each.passes, each.passes + each.fails)
    return _mark(_held(each)), name, _count(each.passes), _count(each.fails), share


def _scenarios(result: RunResult, budget: int) -> str:
    return table("Scenarios", SCENARIO, _scenario, result.scenarios, budget) if worth_a_table(result.scenarios) else ""


def _scenario(each: ScenarioResult) -> Row:
    return code(each.name), code(each.executor), *scenario_figures(each)


def _own(result: RunResult) -> list[tuple[str, MetricResult]]:
    """The metrics that the script defined, and nobody else knows."""
    return [(name, metric) for name, metric in result.metrics.items() if name not in BUILTIN]


def _metric(each: tuple[str, MetricResult]) -> Row:
    name, metric = each
    return code(name), prose(" · ".join(metric_values(metric)))


def _error(each: ErrorRow) -> Row:
    return _count(each.count), code(each.source), code(each.message, LONGEST_PROSE)


def _mark(good: bool) -> str:
    return "✓" if good else "✗"


def _count(value: float) -> str:
    return format_value(value, "")


# --- folded: what one looks up


def _about(result: RunResult, share: float) -> str:
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
        "Warm-up": f"{format_value(load.warmup_s * 1e3, 'ms')}, not measured" if load.warmup_s else "",
        "Workers": str(len(generator.workers)) if len(generator.workers) > 1 else "",
        "Generator": f"{busy} of a core, event loop {late} late at its 99th percentile",
        "Target": code(target_cpu_sentence(result)) if target_cpu_sentence(result) else "",
        "Machine": code(f"{machine.cpu}, {machine.cores} cores, {format_value(machine.memory_bytes, 'bytes')}"),
        "System": code(f"{machine.os} {machine.machine}, Python {machine.python}, ciload {machine.ciload}"),
    }
    facts_table = table("", ("", ""), tuple, [(name, fact) for name, fact in facts.items() if fact])
    options = json.dumps(result.options, indent=2, ensure_ascii=False, default=str)
    return f"{facts_table}\n\n{code_block(options, int(OPTIONS_BUDGET * share), 'json')}"


def _tracebacks(errors: Sequence[ErrorRow], share: float) -> str:
    if not errors:
        return ""
    budget = int(TRACEBACK_BUDGET * share)
    blocks = [
        f"{_count(each.count)} x {code(each.message, LONGEST_PROSE)}\n\n{code_block(each.detail, budget)}"
        for each in errors
    ]
    kept, note = cut(blocks, len(blocks), int(TRACEBACKS_BUDGET * share))
    return fold("Tracebacks", "\n\n".join([*kept, *note]))
