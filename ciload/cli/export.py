"""`ciload baseline export`: the runs of a baseline as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ciload.cli.baseline import existing_baseline
from ciload.cli.command import exit_code_of, say, show
from ciload.errors import ExitCode, UsageError
from ciload.files import reason_of, write_file
from ciload.gate.document import Baseline
from ciload.gate.trends import trends
from ciload.gate.verdicts import Terms
from ciload.reports.csv_trends import trends_csv
from ciload.result.trends import TrendKind
from ciload.secrets import without_secrets
from ciload.text import one_line


def export_command(place: str, output: str, number: int | None) -> int:
    """Write or print the runs of a kind; by default that of the newest run."""

    def act() -> int:
        kinds = _kinds(existing_baseline(place))
        if not kinds:
            raise UsageError(f"{one_line(without_secrets(place))} holds no runs")
        chosen = number or len(kinds)
        if chosen > len(kinds):
            raise UsageError(f"--kind {chosen}: there are {len(kinds)}, as `ciload baseline show` lists them")
        _write(trends_csv(kinds[chosen - 1]), output)
        for words in _left_out(kinds, chosen):
            say(words)
        return ExitCode.PASSED

    return exit_code_of(act)


def _kinds(baseline: Baseline) -> list[TrendKind]:
    """As `ciload baseline show` lists them: the kind of the newest run comes last."""
    return trends(baseline, Terms())[::-1]


def _write(text: str, output: str) -> None:
    if not output:
        show(text)
        return
    try:
        write_file(Path(output), text.encode())
    except OSError as error:
        raise UsageError(f"{one_line(output)}: cannot be written: {reason_of(error)}") from None


def _left_out(kinds: Sequence[TrendKind], chosen: int) -> Iterator[str]:
    tainted = sum(run.state == "tainted" for run in kinds[chosen - 1].runs)
    if tainted:
        yield f"left out, as no measure: {tainted} run{'s' * (tainted > 1)}"
    for number, kind in enumerate(kinds, 1):
        facts = kind.fingerprint
        if number != chosen:
            words = " · ".join(one_line(each, 60) for each in (facts.scenario, facts.target, facts.runner))
            yield f"left out: --kind {number}, {len(kind.runs)} runs of {words}"
