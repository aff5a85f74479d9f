"""What a run needs of whoever started it: a command line, a notebook, pytest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, NoReturn, Protocol

from ciload.engine.aggregator import Observer
from ciload.options.plan import Plan
from ciload.result.document import RunResult
from ciload.script.loader import Script

Level = Literal["info", "warning", "error"]


class Interface(Protocol):
    """Where words go. Nothing below prints."""

    def planned(self, plan: Plan) -> None:
        """The options are known and right."""

    def progress(self, plan: Plan, script: Script) -> AbstractContextManager[Observer]:
        """Somebody who watches a load while it goes on."""

    def say(self, text: str, level: Level = "info") -> None:
        """One line for the user, beside the output."""

    def show_result(self, result: RunResult, files: Sequence[Path]) -> None:
        """The result, and the reports that were written."""

    def write(self, stream: Literal["stdout", "stderr"], text: str) -> None:
        """What the script wants to be printed."""

    def give_commands(self, lines: Sequence[str]) -> None:
        """Commands to the CI, when everything else is printed."""

    def leave(self, exit_code: int) -> NoReturn:
        """End the process at once, after everything is printed: what the script has begun would never end."""
