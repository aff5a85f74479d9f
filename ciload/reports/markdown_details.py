"""What one looks up, as markdown: everything that was measured, and where. Each part has a budget of bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial

from ciload.errors import ExitCode
from ciload.metrics.metric import BUILTIN
from ciload.reports.findings import measured
from ciload.reports.format import format_share, format_value
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
from ciload.reports.markdown_comparison import comparison_section
from ciload.reports.samples import in_full, samples_of
from ciload.reports.script_errors import place_of, script_errors_first
from ciload.reports.values import (
    SCENARIO_FIGURES,
    metric_values,
    scenario_figures,
    target_cpu_sentence,
    without_method,
    worth_a_table,
)
from ciload.result.document import (
    Check,
    Endpoint,
    ErrorRow,
    MetricResult,
    RunResult,
    ScenarioResult,
    SlowRequest,
    ThresholdResult,
)

OPTIONS_BUDGET = 60 * KIB
TRACEBACK_BUDGET = 20 * KIB
TRACEBACKS_BUDGET = 80 * KIB
ANSWER_BUDGET = 4 * KIB
ANSWERS_BUDGET = 24 * KIB
SLOWEST_BUDGET = 12 * KIB
WRAPPED = 120  # characters of a line of an answer

THRESHOLD = ("", "Metric", "Threshold", ">Measured")
ENDPOINT = ("Method", "Name", ">Requests", ">Rate", ">Failed", ">p50", ">p95", ">p99", ">Max")
CHECK = ("", "Check", ">Passed", ">Failed", ">Share")
METRIC = ("Metric", "Values")
SCENARIO = ("Scenario", "Executor", *(f">{title.capitalize()}" for title in SCENARIO_FIGURES))
ERROR = (">Count", "Where", "What")
SLOW = (">Time", "Method", "Name", "Status", ">Second", "Trace")


def details(result: RunResult, share: float, warnings: Sequence[str]) -> tuple[list[str], str]:
    """What there is to unfold, in words, and all of it. `warnings` are those that are not shown elsewhere."""
    rows = int(TABLE_BUDGET * share)
    notes = bullets([prose(warning) for warning in warnings], int(LIST_BUDGET * share))
    sections = {
        "warnings": notes,
        "errors": table("Errors", ERROR, _error, script_errors_first(result.errors), rows),
        "tracebacks": _tracebacks(result, share),
        "answers": _answers(result, share),
        "thresholds": table("Thresholds", THRESHOLD, _threshold, sorted(result.thresholds, key=_badness), rows),
        "comparison": "\n\n".join(comparison_section(each, share) for each in result.comparisons),
        "endpoints": table("Endpoints", ENDPOINT, _endpoint, sorted(result.endpoints, key=_failures), rows),
        "slowest": _slowest(result, int(SLOWEST_BUDGET * share)),
        "scenarios": _scenarios(result, rows),
        "checks": table("Checks", CHECK, _check, sorted(result.checks, key=_held), rows),
        "metrics of the script": table("Metrics of the script", METRIC, partial(_metric, result), _own(result), rows),
    }
    there = {name: text for name, text in sections.items() if text}
    return list(there), "\n\n".join(there.values())


# --- rows, the bad ones first


def _badness(each: ThresholdResult) -> int:
    return 0 if each.fails else 1 if each.warns else 2


def _failures(each: Endpoint) -> int:
    return -each.failed


def _held(each: Check) -> bool:
    return each.fails == 0


def _threshold(each: ThresholdResult) -> Row:
    mark = "⚠️" if each.warns else _mark(not each.fails)
    return mark, code(each.metric), code(each.expression), prose(measured(each))


def _endpoint(each: Endpoint) -> Row:
    d = each.duration
    times = [format_value(value, "ms") for value in ((d.med, d.p95, d.p99, d.max) if d else [None] * 4)]
    failed, rate = format_share(each.failed, each.requests), format_value(each.rate, "/s")
    return prose(each.method or each.protocol), code(without_method(each)), count(each.requests), rate, failed, *times


def _check(each: Check) -> Row:
    group = each.group.removeprefix("::")
    name = code(f"{group} :: {each.name}" if group else each.name)
    share = format_share(each.passes, each.passes + each.fails)
    return _mark(_held(each)), name, count(each.passes), count(each.fails), share


def _scenarios(result: RunResult, budget: int) -> str:
    return table("Scenarios", SCENARIO, _scenario, result.scenarios, budget) if worth_a_table(result.scenarios) else ""


def _scenario(each: ScenarioResult) -> Row:
    return code(each.name), code(each.executor), *scenario_figures(each)


def _own(result: RunResult) -> list[tuple[str, MetricResult]]:
    """The metrics that the script defined, and nobody else knows."""
    return [(name, metric) for name, metric in result.metrics.items() if name not in BUILTIN]


def _metric(result: RunResult, each: tuple[str, MetricResult]) -> Row:
    name, metric = each
    return code(name), prose(" · ".join(metric_values(metric, result)))


def _slowest(result: RunResult, budget: int) -> str:
    columns = SLOW if any(each.trace for each in result.slowest) else SLOW[:-1]
    return table("Slowest requests", columns, lambda each: _slow(each)[: len(columns)], result.slowest, budget)


def _slow(each: SlowRequest) -> Row:
    took, status = format_value(each.duration, "ms"), str(each.status) if each.status else prose(each.error)
    trace = code(each.trace) if each.trace else ""
    name = code(each.name.removeprefix(f"{each.method} "))
    return took, prose(each.method), name, status, str(math.ceil(each.at_s)), trace


def _error(each: ErrorRow) -> Row:
    return count(each.count), code(place_of(each)), code(each.message, LONGEST_PROSE)


def _mark(good: bool) -> str:
    return "✓" if good else "✗"


def count(value: float) -> str:
    """A number of things: `12,345`."""
    return format_value(value, "")


# --- where it was run


def about(result: RunResult, share: float) -> str:
    """Machine, commit, load and options."""
    git, ci, machine, load, generator = result.git, result.ci, result.environment, result.load, result.generator
    dirty = {True: ", with uncommitted changes", False: "", None: ""}[git.dirty]
    busy, late = format_share(generator.cpu_share, 1), format_value(generator.loop_lag_p99, "ms")
    facts = {
        "Script": code(result.name),
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
    return fold("About this run", f"{facts_table}\n\n{code_block(options, int(OPTIONS_BUDGET * share), 'json')}")


def _tracebacks(result: RunResult, share: float) -> str:
    """What the script's author needs, each error once; "" if there is none."""
    found = [(f"{count(each.count)} x {code(each.message, LONGEST_PROSE)}", each.detail) for each in result.errors]
    found += [("", each.reason) for each in result.verdict.failures if each.code == ExitCode.SCRIPT_ERROR]
    budget = int(TRACEBACK_BUDGET * share)
    blocks = [f"{title}\n\n{code_block(trace, budget)}".strip() for title, trace in found if "\n" in trace]
    kept, note = cut(blocks, len(blocks), int(TRACEBACKS_BUDGET * share))
    return "\n\n".join(["### Tracebacks", *kept, *note]) if blocks else ""


def _wrapped(text: str) -> str:
    """JSON is often one line, which nobody wants to read by scrolling to the side."""
    lines = text.split("\n")
    return "\n".join(line[at : at + WRAPPED] for line in lines for at in range(0, len(line) or 1, WRAPPED))


def _answers(result: RunResult, share: float) -> str:
    """What the first failed request of each kind has met, "" if none failed."""
    budget = int(ANSWER_BUDGET * share)
    shown = [(title, _wrapped(in_full(sample))) for title, sample in samples_of(result)]
    blocks = [f"{code(title, LONGEST_PROSE)}\n\n{code_block(text, budget)}" for title, text in shown]
    kept, note = cut(blocks, len(blocks), int(ANSWERS_BUDGET * share))
    return "\n\n".join(["### First answers that failed", *kept, *note]) if blocks else ""
