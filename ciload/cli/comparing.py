"""Comparisons of stored results and baselines, from arguments to exit code."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ciload.ci.workflow_commands import Bracket
from ciload.cli.calibrated import calibrated
from ciload.cli.command import exit_code_of, say, show, wants_color
from ciload.errors import BaselineError, ExitCode, UsageError
from ciload.gate.alarms import Terms, compare_side_by_side, compare_with_history
from ciload.gate.calibration import calibrate
from ciload.gate.document import Baseline, StoredRun
from ciload.gate.store import read_baseline, read_file
from ciload.gate.stored_run import stored_run
from ciload.options.values import Share
from ciload.reports.console_comparison import console_comparisons
from ciload.reports.plain import one_line
from ciload.result.comparison import Reaction
from ciload.result.document import RunResult
from ciload.result.judgement import judge_comparisons
from ciload.secrets import without_secrets

MOST_BYTES = 64 << 20
MOST_VALUES = 2_000_000
MOST_MISTAKES = 10_000  # each would become an object of its own
LONGEST_COMPLAINT = 300


class CompareSettings(BaseModel):
    """The flags that are options of a run as well, with the same limits."""

    model_config = ConfigDict(frozen=True)

    false_alarm: Annotated[Share, Field(gt=0, le=0.2)]
    tolerance: Annotated[Share, Field(ge=0, le=10)]
    on_missing_baseline: Reaction = "warn"
    on_inconclusive: Reaction = "warn"

    @property
    def terms(self) -> Terms:
        return Terms(self.false_alarm, self.tolerance)


def compare_command(files: Sequence[Path], baseline: str | None, settings: Mapping[str, str], *, as_json: bool) -> int:
    """Judge the last file by the others, or by the baseline, and by its own old target."""
    bracket = Bracket() if as_json else None  # whoever reads JSON wants nothing else
    return exit_code_of(lambda: _compare(files, baseline, _settings(settings), as_json), bracket)


def calibrate_command(place: str, settings: Mapping[str, str]) -> int:
    """Print what the gate would have said of the runs in a baseline."""
    return exit_code_of(lambda: _calibrate(place, _settings(settings).terms))


def _settings(given: Mapping[str, str]) -> CompareSettings:
    try:
        return CompareSettings.model_validate(given)
    except ValidationError as error:
        flag, message = _first(error)
        raise UsageError(f"--{flag.replace('_', '-')}: {message}") from error


def _compare(files: Sequence[Path], baseline: str | None, settings: CompareSettings, as_json: bool) -> int:
    *earlier, latest = files
    if baseline is not None and earlier:
        raise UsageError("--baseline has the earlier runs: name the new result only")
    result = _read(latest)
    new, comparisons = _stored(latest, result), []
    if baseline is not None:
        found, name = read_baseline(baseline), without_secrets(baseline)
        comparisons.append(compare_with_history(new, [], found, name, settings.terms))
    elif earlier:
        runs = (_stored(path, _read(path)) for path in earlier)
        history = Baseline(runs=list({run.run_id: run for run in runs}.values()))  # the same file twice is one run
        name = str(earlier[0]) if len(earlier) == 1 else f"{len(earlier)} results"
        comparisons.append(compare_with_history(new, [], history, name, settings.terms))
    elif result.old_arm is None:
        raise UsageError("compare with what? name earlier results before the new one, or a --baseline")
    if result.old_arm is not None:
        comparisons.append(compare_side_by_side([result], settings.terms))
    if as_json:
        show(json.dumps([each.model_dump(mode="json") for each in comparisons], indent=1) + "\n")
    else:
        show(console_comparisons(comparisons, color=wants_color()))
    verdict = judge_comparisons(comparisons, settings.on_missing_baseline, settings.on_inconclusive)
    for warning in verdict.warnings:
        say(f"warning: {one_line(warning, LONGEST_COMPLAINT)}")
    return verdict.exit_code


def _calibrate(place: str, terms: Terms) -> int:
    baseline = read_baseline(place)
    if baseline is None:
        raise BaselineError(f"{without_secrets(place)}: there is no baseline")
    show(calibrated(calibrate(baseline, terms), terms, color=wants_color()))
    return ExitCode.PASSED


# --- files, which anybody may have written


def _read(path: Path) -> RunResult:
    data = read_file(str(path), MOST_BYTES)
    if data is None:
        raise UsageError(f"{path}: there is no such file")
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) > MOST_VALUES:
        raise BaselineError(f"{path}: holds more values than a result can")
    try:
        result = RunResult.model_validate_json(data, strict=True)
    except ValidationError as error:
        where, message = _first(error)
        raise BaselineError(f"{path}: is no result of this ciload: {f'{where}: ' if where else ''}{message}") from error
    for complaint in _impossible(result):
        raise BaselineError(f"{path}: {complaint}")
    return result


def _stored(path: Path, result: RunResult) -> StoredRun:
    try:
        return stored_run(result)
    except ValueError as error:
        message = ": ".join(_first(error)) if isinstance(error, ValidationError) else str(error)
        raise BaselineError(f"{path}: {one_line(message, LONGEST_COMPLAINT)}") from error


def _impossible(result: RunResult) -> Iterable[str]:
    """What types let pass, and arithmetic would not."""
    if not _all_finite(result.model_dump()):
        yield "has numbers that are infinite, or none"
    for row in result.blocks.rows if result.blocks else ():
        numbers = chain(row.requests, row.failed, row.checks_passed, row.checks_failed, row.p50, row.p95)
        if any(value is not None and value < 0 for value in numbers):
            yield "has blocks with negative numbers"
        if any(failed > requests for failed, requests in zip(row.failed, row.requests, strict=False)):
            yield "has blocks with more failures than requests"


def _all_finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_all_finite, value.values()))
    if isinstance(value, list):
        return all(map(_all_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _first(error: ValidationError) -> tuple[str, str]:
    if error.error_count() > MOST_MISTAKES:
        return "", f"{error.error_count():,} mistakes"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return one_line(where, LONGEST_COMPLAINT), one_line(first["msg"].removeprefix("Value error, "), LONGEST_COMPLAINT)
