"""The summary at the end of a run: what a person at a terminal, or reading a CI log, wants to know first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.text import Text

from ciload.reports.console_comparison import comparison_parts
from ciload.reports.format import format_against, format_share, format_value
from ciload.reports.headline import Headline, failure_found, headline_of
from ciload.reports.samples import in_full, is_telling, shortly
from ciload.reports.script_errors import place_of, script_errors_first
from ciload.reports.terminal import Printable, grid, heading, line, lines, render
from ciload.reports.values import (
    SCENARIO_FIGURES,
    metric_values,
    scenario_figures,
    target_cpu_sentence,
    trend_values,
    without_method,
    worth_a_table,
)
from ciload.result.document import AnswerSample, RunResult
from ciload.text import several_lines, visible

MARKS = {"✅": ("✓", "bold green"), "⚠️": ("⚠", "bold yellow"), "❌": ("✗", "bold red"), "⏭️": ("-", "dim")}
MOST_ENDPOINTS = 30
MOST_ERRORS = 10
HIDDEN = {  # parts of a request and what has a place of its own; result.json has them all
    "http_req_blocked", "http_req_looking_up", "http_req_connecting", "http_req_tls_handshaking",
    "http_req_sending", "http_req_receiving", "checks", "vus", "late_iterations",
}  # fmt: skip
OF_SCHEDULES = {"http_req_response_time", "iteration_start_delay"}  # without due times there is nothing in them to see


def console_summary(result: RunResult, files: Sequence[Path], *, color: bool) -> str:
    """The whole summary as text, with ANSI colours or without."""
    return render(_parts(result, files), color=color)


def _parts(result: RunResult, files: Sequence[Path]) -> Iterable[Printable]:
    for section in (_thresholds, _checks, _endpoints, _scenarios, _metrics, _errors, _failed_checks):
        yield from section(result)
    for comparison in result.comparisons:
        yield from comparison_parts(comparison)
    yield _generator(result)
    if cpu := target_cpu_sentence(result):
        yield line(f"  {cpu}", "dim")
    for warning in result.verdict.warnings:
        yield line(f"  ⚠ {warning}", "yellow")
    if files:
        names = ", ".join(path.name for path in files)
        yield ""
        yield line(f"  reports in {files[0].parent}/: {names}", "dim")
    yield _verdict(result)


def _thresholds(result: RunResult) -> Iterable[Printable]:
    if not result.thresholds:
        return
    yield heading("THRESHOLDS")
    table = grid(("", "", ""), right_from=3)
    for each in result.thresholds:
        mark, style = ("✗", "bold red") if each.fails else ("⚠", "yellow") if each.warns else ("✓", "green")
        value = "no data" if each.value is None else format_against(each.value, each.operator, each.limit, each.unit)
        table.add_row(Text(f"  {mark}", style=style), each.metric, each.expression, Text(value, style=style))
    yield table


def _checks(result: RunResult) -> Iterable[Printable]:
    if not result.checks:
        return
    passes, total = sum(c.passes for c in result.checks), sum(c.passes + c.fails for c in result.checks)
    yield heading("CHECKS", f"  {format_share(passes, total)}  {passes} of {total}")
    table = grid(("", "", ""), right_from=1)
    for each in result.checks:
        good = each.fails == 0
        name = f"{each.group.removeprefix('::')} :: {each.name}" if each.group else each.name
        count = each.passes + each.fails
        table.add_row(
            Text("  ✓" if good else "  ✗", style="green" if good else "bold red"),
            name,
            f"{each.passes} of {count}",
            "" if good else format_share(each.passes, count),
        )
    yield table


def _endpoints(result: RunResult) -> Iterable[Printable]:
    if not result.endpoints:
        return
    yield heading("ENDPOINTS")
    table = grid(("", "", "requests", "per s", "failed", "avg", "p(50)", "p(95)", "p(99)", "max"), right_from=2)
    for each in result.endpoints[:MOST_ENDPOINTS]:
        d = each.duration
        times = [format_value(v, "ms") for v in (d.avg, d.med, d.p95, d.p99, d.max)] if d else ["-"] * 5
        failed = Text(format_share(each.failed, each.requests), style="red" if each.failed else "")
        table.add_row(
            "",
            each.method or each.protocol,
            without_method(each),
            str(each.requests),
            f"{each.rate:.1f}",
            failed,
            *times,
        )
    yield table
    more = len(result.endpoints) - MOST_ENDPOINTS
    if more > 0:
        yield f"      … and {more} more in result.json"


def _scenarios(result: RunResult) -> Iterable[Printable]:
    if not worth_a_table(result.scenarios):
        return
    yield heading("SCENARIOS")
    table = grid(("", "", *SCENARIO_FIGURES), right_from=2)
    for each in result.scenarios:
        table.add_row("", each.name, each.executor, *scenario_figures(each))
    yield table


def _metrics(result: RunResult) -> Iterable[Printable]:
    rows = list(_metric_rows(result))
    if not rows:
        return
    yield heading("METRICS")
    columns = 1 + max(len(values) for _, values in rows)
    table = grid(("",) * columns, right_from=columns)
    for name, values in rows:
        table.add_row("", name, *values)
    yield table


def _metric_rows(result: RunResult) -> Iterable[tuple[str, Sequence[str]]]:
    for name, metric in result.metrics.items():
        if name in HIDDEN or (name in OF_SCHEDULES and not any(each.planned for each in result.scenarios)):
            continue
        yield name, metric_values(metric, result)
        if name == "http_req_duration" and result.expected_duration is not None:
            yield "  { expected_response:true }", trend_values(result.expected_duration, metric.unit, result)


def _errors(result: RunResult) -> Iterable[Printable]:
    if not result.errors:
        return
    yield heading("ERRORS")
    for each in script_errors_first(result.errors)[:MOST_ERRORS]:
        yield Text.assemble((f"    {each.count}x ", "bold red"), visible(f"{place_of(each)}: {each.message}"))
        if each.detail:
            yield lines(each.detail, "dim", indent="        ")
        if each.sample is not None and is_telling(each.sample) and not result.verdict.passed:
            yield lines(_shown(each.sample, result), "dim", indent="        ")
    more = len(result.errors) - MOST_ERRORS
    if more > 0:
        yield f"    … and {more} more kinds in result.json"


def _failed_checks(result: RunResult) -> Iterable[Printable]:
    """What the checks met that did not hold, where the run has failed."""
    met = [(each.name, each.sample) for each in result.checks if each.fails and each.sample is not None]
    if result.verdict.passed or not met:
        return
    yield heading("FIRST ANSWERS OF FAILED CHECKS")
    for name, sample in met[:MOST_ERRORS]:
        yield Text(f"    {visible(name)}", style="bold red")
        yield lines(_shown(sample, result), "dim", indent="        ")


def _shown(sample: AnswerSample, result: RunResult) -> str:
    """With --once somebody is at work on the script, and wants to see all of it."""
    return in_full(sample) if result.options.get("once") else shortly(sample)


def _generator(result: RunResult) -> Text:
    generator, load = result.generator, result.load
    interrupted = f", {load.iterations_interrupted} interrupted" if load.iterations_interrupted else ""
    warmup = f" after a warm-up of {format_value(load.warmup_s * 1e3, 'ms')}" if load.warmup_s else ""
    workers = f"{len(generator.workers)} workers, up to " if len(generator.workers) > 1 else ""
    return Text(
        f"\n  {load.iterations} iterations{interrupted} in {format_value(load.load_s * 1e3, 'ms')}{warmup}; generator: "
        f"{workers}{generator.cpu_share:.0%} of a core, event loop late by "
        f"{format_value(generator.loop_lag_p99, 'ms')} at p99",
        style="dim",
    )


def console_comparison_headline(result: RunResult, *, accept: bool, color: bool) -> str:
    """What comparisons alone came to, in the words of a run; `result` has no others, and the verdict on them.

    `accept`: they are with a baseline, where a change can be accepted.
    """
    return render([headline_text(headline_of(result), "", accept=accept)], color=color)


def headline_text(headline: Headline, word: str, *, cause: bool = True, accept: bool = True) -> Text:
    """What happened, how many, why, and what to do."""
    mark, style = MARKS[headline.mark]
    said = f"{visible(headline.name)}: {visible(headline.found)}"
    text = Text.assemble((f"\n  {mark} {word}", style), f"  {said}" if word else said)
    meant = f"If it is meant: {headline.accept}" if headline.accept and accept else ""
    why = (headline.source, headline.cause) if cause else ("", "")
    for more in (why[0], " ".join(headline.counts), why[1], headline.to_do, meant):
        text.append(f"\n    {visible(more)}" if more else "")
    return text


def _verdict(result: RunResult) -> Text:
    """The last lines of a log: the headline, and what else failed."""
    verdict = result.verdict
    in_full = bool(verdict.failures) and "\n" in verdict.failures[0].reason  # a traceback, or several mistakes
    word = "PASSED" if verdict.passed else f"FAILED (exit code {verdict.exit_code})"
    text = headline_text(headline_of(result), word, cause=not in_full)
    if in_full:
        text.append(f"\n    {_indent(verdict.failures[0].reason)}")
    others = verdict.failures[1:]
    for other in others[:MOST_ERRORS]:
        finding = failure_found(other, result)
        text.append(f"\n    also: {visible(' · '.join(filter(None, (finding.found, finding.cause))))}")
    if (more := len(others) - MOST_ERRORS) > 0:
        text.append(f"\n    also: {more} more reasons in result.json")
    return text


def _indent(reason: str) -> str:
    """Tracebacks and lists of mistakes are several lines; none of them begins where our own do."""
    return several_lines(reason).replace("\n", "\n    ")
