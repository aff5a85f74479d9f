"""The headline: what happened, by how much, why, and what to do. Every report asks here.

All of it is plain text in which others have had a word: whoever shows it makes it harmless where it is to stand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Literal

from ciload.errors import ExitCode
from ciload.reports.accepting import Accepting, how_to_accept
from ciload.reports.causes import cause_of_change, cause_of_silence, cause_of_threshold
from ciload.reports.comparison import short
from ciload.reports.counts import counts_of, worst_first
from ciload.reports.findings import comparison_found, leading, threshold_found
from ciload.reports.format import format_short
from ciload.reports.script_errors import raised_of
from ciload.result.comparison import Comparison, GateVerdict
from ciload.result.document import Failure, RunResult
from ciload.text import one_line

Mark = Literal["✅", "⚠️", "❌", "⏭️"]
LONGEST_NAME, LONGEST_LEG = 50, 40
LONGEST_FOUND = 130
LONGEST_CAUSE = 400
NO_DATA = "no data: "
UNDECIDED = (GateVerdict.SUSPICIOUS, GateVerdict.INCONCLUSIVE, GateVerdict.MISSING)


@dataclass(frozen=True, slots=True)
class Headline:
    """What a run came to.

    Attributes:
        mark: passed, passed with something to know, failed.
        name: of the test.
        found: what happened, by how much: `slower, p95 30 → 59 ms (+96%)`.
        title: name and finding in one line, for which nobody needs to know anything else.
        counts: sentences on how many metrics and thresholds, the most important first.
        cause: one sentence, "" if nothing is known.
        to_do: one sentence, "" if there is nothing to say. How to accept a change is not in it.
        accept: what accepts a change, None if there is none to accept.
        where: file:line, "" if it is about no line.
        source: what stands in that line, where the script raised.
    """

    mark: Mark
    name: str
    found: str
    title: str
    counts: tuple[str, ...] = ()
    cause: str = ""
    to_do: str = ""
    accept: Accepting | None = None
    where: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one failure, or a run that passed, comes to."""

    found: str
    cause: str = ""
    where: str = ""
    to_do: str = ""
    source: str = ""


def headline_of(result: RunResult) -> Headline:
    """The headline of a run: of what failed it first, else of the most important thing to know."""
    name = name_of(result)
    if not result.verdict.passed:
        failures = result.verdict.failures or [Failure(code=result.verdict.exit_code, reason="the run failed")]
        return _headline(result, "❌", name, ": ", _first_failure(failures[0], result))
    warning = _to_know(result)
    if warning is not None:
        return _headline(result, "⚠️", name, " passed; ", warning)
    compared = next((each for each in worst_first(result) if each.verdict not in UNDECIDED), None)
    if compared is not None:
        return _headline(result, "✅", name, ": ", _of_comparison(compared, result))
    return _headline(result, "✅", name, " passed: ", Finding(_without_gate(result)))


def _headline(result: RunResult, mark: Mark, name: str, link: str, finding: Finding) -> Headline:
    found = one_line(finding.found, LONGEST_FOUND) or "the run failed"
    return Headline(
        mark, name, found, f"{name}{link}{found}", tuple(counts_of(result)), one_line(finding.cause, LONGEST_CAUSE),
        finding.to_do, how_to_accept(result), finding.where, finding.source,
    )  # fmt: skip


def name_of(result: RunResult) -> str:
    """What the test is called: as `--name` says, else by its script: `tests/load` of `tests/load.py`; and its leg."""
    leg = short(str(result.options.get("leg") or ""), LONGEST_LEG)
    return f"{_without_leg(result)} ({leg})" if leg else _without_leg(result)


def _without_leg(result: RunResult) -> str:
    said = str(result.options.get("name") or "")
    script = PurePath(result.name)
    path = script.stem if script.is_absolute() else result.name.removesuffix(".py")
    return short(said, LONGEST_NAME) or short(path, LONGEST_NAME) or "load test"


# --- what failed


def _first_failure(failure: Failure, result: RunResult) -> Finding:
    finding = failure_found(failure, result)
    others = sum(each.fails for each in result.thresholds) - 1 if failure.threshold is not None else 0
    more = f", and {others} more {'threshold' if others == 1 else 'thresholds'}" if others > 0 else ""
    return replace(finding, found=one_line(finding.found, LONGEST_FOUND) + more)


def failure_found(failure: Failure, result: RunResult) -> Finding:
    """One reason why a run failed."""
    if failure.threshold is not None and failure.threshold < len(result.thresholds):
        return _of_threshold(result, failure.threshold)
    if failure.comparison is not None and failure.comparison < len(result.comparisons):
        return _of_comparison(result.comparisons[failure.comparison], result)
    if failure.code == ExitCode.SCRIPT_ERROR and (error := raised_of(failure, result)) is not None:
        where, _, rest = failure.reason.partition(" raised ")
        during = f" in {where}" if rest and "()" in where else ""
        return Finding(f"{error.said}{during}", "", error.place, source=error.source)
    return _of_reason(failure, result)


def _of_reason(failure: Failure, result: RunResult) -> Finding:
    """Where all that is known is a text: its first clause is the headline, and the rest the cause."""
    lines = [line for line in failure.reason.removeprefix(NO_DATA).split("\n") if line.strip()]
    first = lines[0] if lines else ""
    if failure.code == ExitCode.TARGET_NOT_READY:
        return Finding("the target was never ready", _sentence(first))
    if failure.code == ExitCode.INTERRUPTED and result.load.load_s:
        return Finding(f"{first} after {format_short(result.load.load_s * 1e3, 'ms')} of load")
    if failure.code == ExitCode.MARKED_FAILED:
        return Finding(f"fail_test(): {first}")
    if failure.code == ExitCode.THRESHOLDS_FAILED and (ended := _threshold_that_ended(failure, result)) is not None:
        finding = _of_threshold(result, ended)
        return replace(finding, found=f"{finding.found}, which ended the load")
    mistakes = len(lines) - 1 if failure.code == ExitCode.INVALID_OPTIONS else 0
    more = f", and {mistakes} more mistake{'' if mistakes == 1 else 's'}" if mistakes > 0 else ""
    head, semicolon, rest = first.partition("; ")
    cause = _sentence(rest) if semicolon else cause_of_silence(result) if NO_DATA in failure.reason else ""
    return Finding(head.removeprefix("the script called ") + more, cause)


def _threshold_that_ended(failure: Failure, result: RunResult) -> int | None:
    return next(
        (
            index
            for index, each in enumerate(result.thresholds)
            if each.abort_on_fail and each.fails and f"{each.metric} {each.expression}" in failure.reason
        ),
        None,
    )


def _of_threshold(result: RunResult, index: int) -> Finding:
    threshold = result.thresholds[index]
    return Finding(threshold_found(threshold), cause_of_threshold(threshold, result), threshold.where)


def _of_comparison(comparison: Comparison, result: RunResult) -> Finding:
    found, verdict = comparison_found(comparison), comparison.verdict
    lead = leading(comparison.metrics, verdict)
    if lead is not None and verdict in (GateVerdict.REGRESSION, GateVerdict.SUSPICIOUS, GateVerdict.IMPROVED):
        to_do = _sentence(comparison.reason or lead.reason) if verdict is GateVerdict.SUSPICIOUS else ""
        if comparison.accepted:
            found, to_do = f"{found}, accepted", _sentence(str(comparison.accepted))
        return Finding(found, cause_of_change(comparison, lead, result), to_do=to_do)
    if comparison.runs_needed is not None:
        more = comparison.runs_needed - len(comparison.runs)
        runs = "1 more run is" if more == 1 else f"{more} more runs are"
        return Finding(found, to_do=f"{runs} needed to know how much runs differ by chance.")
    return Finding(found, _sentence(comparison.reason or (comparison.undecided if verdict in UNDECIDED else "")))


# --- what passed


def _to_know(result: RunResult) -> Finding | None:
    """What makes a pass less than a plain one."""
    for index, threshold in enumerate(result.thresholds):
        if threshold.warns:
            finding = _of_threshold(result, index)
            return replace(finding, found=f"{finding.found} (only a warning)")
    for comparison in worst_first(result):
        verdict = comparison.verdict
        option = "on_missing_baseline" if verdict is GateVerdict.MISSING else "on_inconclusive"
        wanted = verdict in UNDECIDED and result.options.get(option) != "pass"
        if wanted or verdict is GateVerdict.REGRESSION:
            return _of_comparison(comparison, result)
    if result.generator.bottleneck:
        return Finding("the load generator was the bottleneck", _sentence(result.generator.bottleneck))
    return None


def _without_gate(result: RunResult) -> str:
    duration = result.duration
    trend = duration.trend if duration is not None else None
    what = f"p95 {format_short(trend.p95, 'ms')}" if trend is not None else f"{result.load.iterations:,} iterations"
    return what if result.thresholds else f"{what}, no thresholds set"


def _sentence(text: str) -> str:
    line = one_line(text, LONGEST_CAUSE)
    # An address or a file is written as it is.
    first = line[:1].upper() if line.partition(" ")[0].isalpha() else line[:1]
    return f"{first}{line[1:]}{'' if line[-1] in '.?!…' else '.'}" if line else ""
