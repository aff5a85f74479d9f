"""`ciload run`."""

from __future__ import annotations

from ciload.cli import session
from ciload.cli.flags import Asked


def run_command(asked: Asked) -> int:
    """Do the run; every outcome ends here as an exit code and, unless it was a usage error, as reports."""
    return session.run_command(asked.script, asked.config, asked.env, asked.options)
