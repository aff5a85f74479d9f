"""How every command begins and ends: its streams, its text, its errors, its exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from typing import TYPE_CHECKING

from ciload.ci.workflow_commands import Bracket
from ciload.errors import CiloadError, ExitCode, OptionsError
from ciload.secrets import Masker

if TYPE_CHECKING:
    from ciload.reports.terminal import Printable


def exit_code_of(act: Callable[[], int], bracket: Bracket | None = None, mask: Masker | None = None) -> int:
    """Do it; an error of the user's is told in a line, and an interruption is one.

    `bracket` is around all that is printed; without one, there is the CI's. `mask` is asked when something is to be
    said, so it may learn secrets until then.
    """
    mask = mask or Masker()
    if bracket is None:
        Bracket.around(os.environ).open()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a check mark must not crash a terminal that has none
    try:
        return act()
    except CiloadError as error:
        say(mask(f"error: {error}" if not isinstance(error, OptionsError) else _listed(error)))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001  # a bug of ours: told in full, but for secrets
        sys.stderr.write(mask(traceback.format_exc()))
        return ExitCode.INTERNAL_ERROR


def show(text: str) -> None:
    """Print what was asked for."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `ciload … | head`: nobody reads on, and the exit code is still the verdict's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_parts(parts: Iterable[Printable]) -> int:
    """Print tables and text; answers the exit code of a command that does no more."""
    from ciload.reports.terminal import rendered  # late: rich is needed only here

    show(rendered(parts, color=wants_color()))
    return ExitCode.PASSED


def say(text: str) -> None:
    """Tell the user something beside the output."""
    sys.stderr.write(f"ciload: {text}\n")
    sys.stderr.flush()


def wants_color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _listed(error: OptionsError) -> str:
    count = len(error.complaints)
    return f"{count} mistake{'s' * (count > 1)} in the options:\n" + "\n".join(f"  {each}" for each in error.complaints)
