"""How the small commands begin and end: their text, their errors, their exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from io import StringIO, TextIOWrapper

from rich.console import Console, RenderableType

from ciload.errors import CiloadError, ExitCode

WIDTH = 200  # as in reports/console.py: wrapped lines can be read, cut ones cannot


def exit_code_of(act: Callable[[], Iterable[RenderableType]]) -> int:
    """Print what `act` answers; an error of the user's is one line instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a check mark must not crash a terminal that has none
    try:
        _print(act())
    except CiloadError as error:
        sys.stderr.write(f"ciload: error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("ciload: interrupted\n")
        return ExitCode.INTERRUPTED
    return ExitCode.PASSED


def _print(parts: Iterable[RenderableType]) -> None:
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    out = StringIO()
    console = Console(
        file=out, force_terminal=color, no_color=not color, width=WIDTH, highlight=False, legacy_windows=False
    )
    for part in parts:
        console.print(part)
    try:
        sys.stdout.write("\n".join(line.rstrip() for line in out.getvalue().split("\n")))
        sys.stdout.flush()
    except BrokenPipeError:  # `ciload baseline show … | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
