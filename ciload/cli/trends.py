"""`ciload trends`: a page of every metric over all runs of baselines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

from ciload.cli.baseline import existing_baseline
from ciload.cli.command import exit_code_of, show_parts
from ciload.errors import ExitCode, UsageError
from ciload.files import read_file, reason_of, write_file
from ciload.gate.levels import unite
from ciload.gate.trends import trends
from ciload.gate.verdicts import Terms
from ciload.reports.html.links import commits_of
from ciload.reports.html.page import BEGINS
from ciload.reports.html.trends import trends_page
from ciload.reports.terminal import line
from ciload.result.trends import TrendKind
from ciload.text import one_line

PAGE = "index.html"
MOST_BYTES = 256 << 20


def trends_command(places: Sequence[str], folder: Path, repository: str) -> int:
    """Write the page, and print what is in it."""

    def act() -> int:
        kinds = write_trends(places, folder, repository)
        show_parts([line(f"{one_line(str(folder / PAGE))}: {_contents(kinds)}")])
        return ExitCode.PASSED

    return exit_code_of(act)


def write_trends(places: Sequence[str], folder: Path, repository: str) -> list[TrendKind]:
    """Write the page; answers what it shows.

    Raises:
        UsageError: there is no baseline, `repository` is no address, or the page cannot be written.
        BaselineError: a baseline cannot be read.
    """
    if repository and not commits_of(repository):
        raise UsageError("--repository: write an address such as https://host/owner/name")
    kinds = trends(reduce(unite, map(existing_baseline, places)), Terms())
    text = trends_page(kinds, repository=repository, made=datetime.now(UTC))
    path = folder / PAGE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and not read_file(path, MOST_BYTES).startswith(BEGINS.encode()):
            raise UsageError(f"{one_line(str(path))}: is there, and not of ciload's; write elsewhere (--output)")
        write_file(path, text.encode())
    except OSError as error:
        raise UsageError(f"{one_line(str(path))}: cannot be written: {reason_of(error)}") from None
    return kinds


def _contents(kinds: Sequence[TrendKind]) -> str:
    runs = sum(len(kind.runs) for kind in kinds)
    alarms = sum(run.state == "open" for kind in kinds for run in kind.runs)
    parts = [f"{runs} run{'s' * (runs != 1)}", f"{len(kinds)} kind{'s' * (len(kinds) != 1)} of runs"]
    return ", ".join([*parts, *([f"{alarms} open alarm{'s' * (alarms != 1)}"] if alarms else [])])
