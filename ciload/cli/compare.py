"""`ciload compare`: a stored result against earlier ones, or against a baseline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ciload.ci.workflow_commands import Bracket
from ciload.cli.baseline import baseline_at
from ciload.cli.command import exit_code_of, say, show, show_parts, wants_color
from ciload.errors import BaselineError, UsageError
from ciload.gate.alarms import Terms, compare_side_by_side, compare_with_history
from ciload.gate.document import Baseline, StoredRun
from ciload.gate.stored_run import UnusableRunError, stored_run
from ciload.gate.verdicts import terms_of
from ciload.options.values import Share, Tolerances
from ciload.reports.console import console_comparison_headline
from ciload.reports.console_comparison import console_comparisons
from ciload.reports.difference import describe_difference
from ciload.result.comparison import Comparison, Reaction
from ciload.result.document import RunResult
from ciload.result.judgement import judge_comparisons
from ciload.result.reader import first_mistake, read_result
from ciload.secrets import without_secrets
from ciload.text import one_line

LONGEST_COMPLAINT = 300


class CompareSettings(BaseModel):
    """The flags that are options of a run as well, with the same limits."""

    model_config = ConfigDict(frozen=True)

    false_alarm: Annotated[Share, Field(gt=0, le=0.2)]
    tolerance: Tolerances
    on_missing_baseline: Reaction = "warn"
    on_inconclusive: Reaction = "warn"

    @property
    def terms(self) -> Terms:
        return terms_of(self.false_alarm, self.tolerance)


def compare_command(
    files: Sequence[Path], baseline: str | None, settings: Mapping[str, object], *, as_json: bool
) -> int:
    """Judge the last file by the others, or by the baseline, and by its own old target."""
    bracket = Bracket() if as_json else None  # whoever reads JSON wants nothing else
    return exit_code_of(lambda: _compare(files, baseline, check_settings(settings), as_json), bracket)


def check_settings(given: Mapping[str, object]) -> CompareSettings:
    """The flags as numbers and words.

    Raises:
        UsageError: one of them makes no sense.
    """
    try:
        return CompareSettings.model_validate(given)
    except ValidationError as error:
        flag, _, message = first_mistake(error).partition(": ")
        raise UsageError(f"--{flag.replace('_', '-')}: {message}") from None


def _compare(files: Sequence[Path], baseline: str | None, settings: CompareSettings, as_json: bool) -> int:
    if baseline is not None and len(files) > 1:
        raise UsageError("--baseline has the earlier runs: name the new result only")
    results = [read_result(path) for path in files]
    *earlier, latest = results
    comparisons = list(_comparisons(files, results, baseline, settings.terms))
    if as_json:
        show(json.dumps([each.model_dump(mode="json") for each in comparisons], indent=1) + "\n")
    else:
        if len(earlier) == 1:
            show_parts(describe_difference(earlier[0], latest, *map(str, files)))
        show(console_comparisons(comparisons, color=wants_color(), shown=len(earlier) == 1))
    verdict = judge_comparisons(comparisons, settings.on_missing_baseline, settings.on_inconclusive)
    if not as_json:
        judged = {"comparisons": comparisons, "verdict": verdict, "thresholds": [], "checks": []}
        judged |= {"options": {**latest.options, **settings.model_dump()}}
        shown = latest.model_copy(update=judged)
        show(console_comparison_headline(shown, accept=baseline is not None, color=wants_color()))
    for warning in verdict.warnings:
        say(f"warning: {one_line(warning, LONGEST_COMPLAINT)}")
    return verdict.exit_code


def _comparisons(
    files: Sequence[Path], results: Sequence[RunResult], baseline: str | None, terms: Terms
) -> Iterator[Comparison]:
    *earlier, latest = results
    new = _to_stored_run(files[-1], latest)
    if baseline is not None:
        yield compare_with_history(new, [], baseline_at(baseline), without_secrets(baseline), terms)
    elif earlier:
        runs = (_to_stored_run(path, result) for path, result in zip(files, earlier, strict=False))
        history = Baseline(runs=list({run.run_id: run for run in runs}.values()))  # the same file twice is one run
        name = str(files[0]) if len(earlier) == 1 else f"{len(earlier)} results"
        yield compare_with_history(new, [], history, name, terms)
    elif latest.old_arm is None:
        raise UsageError("compare with what? name earlier results before the new one, or a --baseline")
    if latest.old_arm is not None:
        yield compare_side_by_side([latest], terms)


def _to_stored_run(path: Path, result: RunResult) -> StoredRun:
    try:
        return stored_run(result)
    except UnusableRunError as error:
        raise BaselineError(f"{one_line(str(path))}: {error}") from None
