"""What a run needs of whoever started it: a command line, a notebook, pytest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, NoReturn, Protocol

from ciload.engine.aggregator import Observer
from ciload.options.plan import Plan
from ciload.result.document import RunResult
from ciload.result.suite import Suite
from ciload.script.loader import Script

Level = Literal["info", "warning", "error"]


class Speaker(Protocol):
    """Who has a word for the user, and for the CI."""

    def say(self, text: str, level: Level = "info") -> None:
        """One line for the user, beside the output."""

    def give_commands(self, lines: Sequence[str]) -> None:
        """Commands to the CI, when everything else is printed."""


class SuiteInterface(Speaker, Protocol):
    """Where the words of a suite go; its tests speak for themselves."""

    def suite_begins(self, *, quiet: bool) -> None:
        """The first test is about to start."""

    def test_begins(self, script: str, number: int, of: int) -> None:
        """The next test is about to start."""

    def show_suite(self, suite: Suite, files: Sequence[Path]) -> None:
        """What all tests came to, and the reports that were written."""


class Interface(Speaker, Protocol):
    """Where the words of a run go. Nothing below prints."""

    def planned(self, plan: Plan) -> None:
        """The options are known and right."""

    def progress(self, plan: Plan, script: Script) -> AbstractContextManager[Observer]:
        """Somebody who watches a load while it goes on."""

    def show_result(self, result: RunResult, files: Sequence[Path]) -> None:
        """The result, and the reports that were written."""

    def write(self, stream: Literal["stdout", "stderr"], text: str) -> None:
        """What the script wants to be printed."""

    def leave(self, exit_code: int) -> NoReturn:
        """End the process at once, after everything is printed: what the script has begun would never end."""
