"""What GitHub Actions is told of a command that could not begin: there is no result then, and reports have nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ciload.ci.github import append_outputs
from ciload.ci.workflow_commands import workflow_command
from ciload.errors import ExitCode
from ciload.reports.gfm import paragraph
from ciload.text import one_line, several_lines

LONGEST = 2_000
OUTPUTS = {"verdict": "failed", "exit-code": str(int(ExitCode.USAGE))}


def tell_usage_error(message: str, environment: Mapping[str, str], *, is_run: bool) -> list[str]:
    """The annotation, to be given when commands are taken. Of a run, the step's summary and outputs say it as well."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return []
    if is_run:
        with suppress(OSError, KeyError):  # a file that is not there was the runner's to make
            append_outputs(OUTPUTS, environment)
            _append_summary(message, Path(environment["GITHUB_STEP_SUMMARY"]))
    return [workflow_command("error", several_lines(message)[:LONGEST], {"title": "ciload: wrong usage"})]


def _append_summary(message: str, path: Path) -> None:
    with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(f"## ❌ ciload did not start\n\n{paragraph(one_line(message, LONGEST))}\n")
