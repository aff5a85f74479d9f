"""The command line: parse, call one function, leave with its exit code. `signatures.py` says what there is; the module
named like a command does it, and prints."""

from __future__ import annotations

import sys
import traceback

from ciload.cli.signatures import app
from ciload.streams import secure_streams

__all__ = ["app", "main"]


def main() -> None:
    """The console script."""
    secure_streams()
    try:
        app()
    except Exception:  # noqa: BLE001  # a bug in ciload, whose message may quote anything
        from ciload.errors import ExitCode
        from ciload.text import several_lines

        sys.stderr.write(f"{several_lines(traceback.format_exc()).rstrip()}\n")
        sys.exit(ExitCode.INTERNAL_ERROR)
