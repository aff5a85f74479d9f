"""The command line: parse, call one function, leave with its exit code. `signatures.py` says what there is; the module
named like a command does it, and prints."""

from __future__ import annotations

import os
import sys
import traceback

from ciload.cli.signatures import app
from ciload.streams import secure_streams

__all__ = ["app", "main"]


def main() -> None:
    """The console script."""
    secure_streams()
    annotates = os.environ.get("GITHUB_ACTIONS") == "true"
    try:
        sys.exit(app(standalone_mode=not annotates))
    except Exception as error:  # noqa: BLE001  # arguments that cannot be read, or a bug in ciload
        show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
        if annotates and callable(show) and isinstance(code, int):  # as typer's exceptions have them
            show()
            _annotate(str(error))
            sys.exit(code)
        from ciload.errors import ExitCode
        from ciload.text import several_lines

        # A bug's message may quote anything.
        sys.stderr.write(f"{several_lines(traceback.format_exc()).rstrip()}\n")
        sys.exit(ExitCode.INTERNAL_ERROR)


def _annotate(message: str) -> None:
    """On GitHub a mistake in the command line is an annotation like any other."""
    from ciload.ci.usage_errors import tell_usage_error

    is_run = sys.argv[1:2] in ([], ["run"])
    sys.stdout.write("".join(f"{line}\n" for line in tell_usage_error(message, os.environ, is_run=is_run)))
