"""How every command begins and ends: its text, its errors, its exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ciload.ci.workflow_commands import Bracket
from ciload.errors import CiloadError, ExitCode, OptionsError, UsageError
from ciload.secrets import Masker
from ciload.text import several_lines

if TYPE_CHECKING:
    from ciload.reports.terminal import Printable


def exit_code_of(
    act: Callable[[], int], bracket: Bracket | None = None, mask: Masker | None = None, *, is_run: bool = False
) -> int:
    """Do it; an error of the user's is printed as a line, and so is an interruption.

    `bracket` is around all that is printed; without one, there is the CI's. `mask` is asked when something is to be
    said, so it may learn secrets until then.
    """
    mask, environment = mask or Masker(), dict(os.environ)
    if bracket is None:
        bracket = Bracket.around(os.environ)
        bracket.open()
    try:
        return act()
    except CiloadError as error:
        say(mask(f"error: {error}" if not isinstance(error, OptionsError) else _list_mistakes(error)))
        if isinstance(error, UsageError):
            from ciload.ci.usage_errors import tell_usage_error  # late: it knows reports

            bracket.later(tell_usage_error(mask(str(error)), environment, is_run=is_run))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001  # a bug of ours: told in full, but for secrets
        sys.stderr.write(f"{several_lines(mask(traceback.format_exc())).rstrip()}\n")
        return ExitCode.INTERNAL_ERROR


def show(text: str) -> None:
    """Print what was asked for."""
    sys.stdout.write(text)
    sys.stdout.flush()


def show_parts(parts: Iterable[Printable]) -> None:
    """Print tables and text."""
    from ciload.reports.terminal import render  # late: rich is needed only here

    show(render(parts, color=wants_color()))


def say(text: str) -> None:
    """Tell the user something beside the output. It may be several lines, and quote anything."""
    sys.stderr.write(f"ciload: {several_lines(text)}\n")
    sys.stderr.flush()


def wants_color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _list_mistakes(error: OptionsError) -> str:
    count = len(error.complaints)
    return f"{count} mistake{'s' * (count > 1)} in the options:\n" + "\n".join(f"  {each}" for each in error.complaints)
