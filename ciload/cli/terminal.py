"""The command line's side of a run: where its words go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Literal, NoReturn

from ciload.ci.workflow_commands import Bracket
from ciload.cli.command import say, show, wants_color
from ciload.cli.progress import progress_for
from ciload.engine.aggregator import Observer
from ciload.options.plan import Plan
from ciload.reports.console import console_summary
from ciload.reports.console_suite import suite_console
from ciload.result.document import RunResult
from ciload.result.suite import Suite
from ciload.runner.interface import Level
from ciload.script.loader import Script
from ciload.secrets import Masker
from ciload.text import one_line


class Terminal:
    """The output on stdout, everything else on stderr; the CI's commands when all is over. Nothing secret is said."""

    def __init__(self, bracket: Bracket, mask: Masker) -> None:
        self._bracket = bracket
        self._mask = mask
        self._quiet = False
        self.last_error = ""
        self.before_leaving: Callable[[int], None] = lambda _: None

    def planned(self, plan: Plan) -> None:
        self._quiet = plan.options.quiet

    def progress(self, plan: Plan, script: Script) -> AbstractContextManager[Observer]:
        return progress_for(plan, script)

    def say(self, text: str, level: Level = "info") -> None:
        if level == "error":
            self.last_error = self._mask(text)
        if level != "info" or not self._quiet:
            say(self._mask(text if level == "info" else f"{level}: {text}"))

    def show_result(self, result: RunResult, files: Sequence[Path]) -> None:
        if not self._quiet:
            show(console_summary(result, list(files), color=wants_color()))

    def suite_begins(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def test_begins(self, script: str, number: int, of: int) -> None:
        if not self._quiet:
            show(self._mask(f"{chr(10) * (number > 1)}── {one_line(script)} ── {number} of {of}\n"))

    def show_suite(self, suite: Suite, files: Sequence[Path]) -> None:
        if not self._quiet:
            show(self._mask(suite_console(suite, list(files), color=wants_color())))

    def write(self, stream: Literal["stdout", "stderr"], text: str) -> None:
        if stream == "stdout":
            show(self._mask(text))
        else:
            sys.stderr.write(self._mask(text))

    def give_commands(self, lines: Sequence[str]) -> None:
        self._bracket.later(map(self._mask, lines))

    def leave(self, exit_code: int) -> NoReturn:
        self.before_leaving(exit_code)
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
        self._bracket.close()
        os._exit(exit_code)
