"""What a run leaves in a GitHub Actions job: the step's summary and outputs, and annotations on the script's lines."""

from __future__ import annotations

import math
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ciload.ci.workflow_commands import workflow_command
from ciload.reports.comparison import ORDER, by_importance, describe_metric
from ciload.reports.findings import metric_found, threshold_found
from ciload.reports.format import format_digits
from ciload.reports.headline import failure_found, name_of
from ciload.reports.markdown_within import summary_within
from ciload.reports.suite_headline import TestLine, lines_of, name_of_suite
from ciload.reports.values import PLACE, explain_threshold
from ciload.result.comparison import GateVerdict
from ciload.result.document import Failure, RunResult
from ciload.result.suite import Suite, Tested, results_of
from ciload.text import one_line

SUMMARY_BYTES = (1 << 20) - 1024  # GitHub drops a step's summaries as a whole when they are larger than 1 MiB
MOST_ANNOTATIONS = 9  # of a level; GitHub shows ten of a step
MOST_LINES, LONGEST_LINE, LONGEST_TITLE = 20, 500, 200  # of an annotation
COMPLAINT = re.compile(r"(?P<file>[^\n:]+):(?P<line>\d+): ")  # mistakes in options begin with their place


# --- files of the step


def append_summary(tested: Tested, folder: Path, environment: Mapping[str, str]) -> str:
    """Add to the summary of the step, which other runs may share; what was left out for lack of room, in words.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(environment["GITHUB_STEP_SUMMARY"])
    before = path.stat().st_size if path.exists() else 0
    note = "_Shortened: GitHub takes 1 MiB of one step. The whole is in `summary.md` among the results._"
    text = summary_within(tested, SUMMARY_BYTES - before - 2, note)
    if text:
        with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write("\n\n" + text if before else text)
    whole = folder / "summary.md"
    if not text:
        return f"the job summary has no room left: GitHub takes 1 MiB of one step; {whole} has it all"
    return f"the job summary is shortened: GitHub takes 1 MiB of one step; {whole} has it all" if note in text else ""


def append_outputs(outputs: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Set outputs of the step; no value can end early or set another, since nobody can guess where it ends.

    Raises:
        OSError: the file cannot be written.
    """
    with Path(environment["GITHUB_OUTPUT"]).open("a", encoding="utf-8", errors="replace", newline="\n") as file:
        for name, value in outputs.items():
            end = f"ciload-{secrets.token_hex(16)}"
            file.write(f"{name}<<{end}\n{value}\n{end}\n")


def outputs_of(
    tested: Tested, exit_code: int, folder: Path, files: Sequence[Path], environment: Mapping[str, str]
) -> dict[str, str]:
    """What later steps may want to know. Times are ms; what was not measured, or is several tests', is empty."""
    alone = tested if isinstance(tested, RunResult) else None
    duration, requests, failed = (alone.duration, alone.counted, alone.failed) if alone else (None, None, None)
    verdicts = {found.verdict for result in results_of(tested) for found in result.comparisons}
    values = {
        "verdict": "passed" if exit_code == 0 else "failed",
        "exit-code": str(exit_code),
        "p95": _number(duration.trend.p95 if duration and duration.trend else None),
        "rate": _number(requests.rate if requests else None),
        "error-rate": _number(failed.rate if failed else None),
        "gate": next((str(each) for each in ORDER if each in verdicts), ""),
        "results": _in_workspace(folder, environment),
    }
    return values | {_output_name(path): _in_workspace(path, environment) for path in files}


def _output_name(path: Path) -> str:
    return "result-json" if path.name == "result.json" else path.stem


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else format_digits(value, 6)


def _in_workspace(path: Path, environment: Mapping[str, str]) -> str:
    """As later steps and annotations name it: they start in the workspace, wherever this one was started."""
    absolute = os.path.abspath(path)  # noqa: PTH100  # links stay as they were named
    workspace = environment.get("GITHUB_WORKSPACE")
    if workspace and Path(absolute).is_relative_to(workspace):
        return Path(absolute).relative_to(workspace).as_posix()
    return absolute


# --- annotations


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something to say about a run. `where` is file:line, or empty: then it is about `file`, the script."""

    title: str
    text: str
    where: str = ""
    file: str = ""


def annotate(tested: Tested, environment: Mapping[str, str]) -> list[str]:
    """Commands that show what failed at the line that asked for it, then what is only a warning; the worst first."""
    if isinstance(tested, Suite):
        name, script = name_of_suite(tested), ""
        told: list[tuple[RunResult | None, TestLine | None]] = [(each.test.result, each) for each in lines_of(tested)]
    else:
        name, script = name_of(tested), tested.name
        told = [(tested, None)]
    lines: list[str] = []
    for level, find in (("error", _failures), ("warning", _warnings)):
        found = [each for result, line in told for each in _of_test(find, result, line)]
        lines += [_annotation(level, each, environment) for each in found[:MOST_ANNOTATIONS]]
        if (more := len(found) - MOST_ANNOTATIONS) > 0:
            rest = Annotation(name, f"… and {more:,} more: the job summary has them all", file=script)
            lines.append(_annotation(level, rest, environment))
    return lines


def _of_test(
    find: Callable[[RunResult], Iterator[Annotation]], result: RunResult | None, line: TestLine | None
) -> Iterator[Annotation]:
    """What there is to say of one test; if that is none of its failures, what its process came to."""
    name, file = (line.name, line.test.script) if line else ("", "")
    if result is not None:
        name, file = name_of(result), result.name
    found = [] if result is None else [*find(result)]
    if find is _failures and not found and line is not None and line.test.failed:
        found = [Annotation(line.found, line.test.reason or line.found)]
    for each in found:
        yield replace(each, title=f"{name}: {each.title}", file=file)


def _failures(result: RunResult) -> Iterator[Annotation]:
    for each in result.verdict.failures:
        if each.threshold is not None and each.threshold < len(result.thresholds):
            threshold = result.thresholds[each.threshold]
            yield Annotation(threshold_found(threshold), explain_threshold(threshold), threshold.where)
        elif each.comparison is not None and each.comparison < len(result.comparisons):
            comparison = result.comparisons[each.comparison]
            worse = [each for each in by_importance(comparison.metrics) if each.verdict is GateVerdict.REGRESSION]
            for metric in worse:
                yield Annotation(metric_found(metric), describe_metric(metric, comparison))
            if not worse:
                yield Annotation(failure_found(each, result).found, each.reason)
        else:
            yield from _of_run(each, result)


def _of_run(failure: Failure, result: RunResult) -> Iterator[Annotation]:
    """Several mistakes in the options are a line each, and each has its place."""
    lines = failure.reason.split("\n")
    places = [COMPLAINT.match(line) for line in lines]
    if not all(places):
        finding = failure_found(failure, result)
        yield Annotation(finding.found, f"{failure.reason} (exit code {failure.code})", finding.where)
        return
    for line, place in zip(lines, places, strict=True):
        assert place is not None
        yield Annotation("invalid options", line[place.end() :], f"{place['file']}:{place['line']}")


def _warnings(result: RunResult) -> Iterator[Annotation]:
    thresholds = [each for each in result.thresholds if each.warns]  # they are the first warnings of the verdict
    for each in thresholds:
        yield Annotation(threshold_found(each), explain_threshold(each), each.where)
    for warning in result.verdict.warnings[len(thresholds) :]:
        yield Annotation("warning", warning)


def _annotation(level: str, annotation: Annotation, environment: Mapping[str, str]) -> str:
    place = PLACE.fullmatch(annotation.where)
    file = place["file"] if place else annotation.file
    properties = {"file": one_line(_in_workspace(Path(file), environment), LONGEST_LINE) if _usable(file) else ""}
    if place:
        properties["line"] = place["line"]
    lines = annotation.text.split("\n")
    text = "\n".join(one_line(line, LONGEST_LINE) for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        text += f"\n… and {len(lines) - MOST_LINES:,} more lines"
    return workflow_command(level, text, properties | {"title": one_line(annotation.title, LONGEST_TITLE)})


def _usable(file: str) -> bool:
    return bool(file) and len(file) <= LONGEST_LINE and file.isprintable()
