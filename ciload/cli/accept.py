"""`ciload accept`: what it is for. What is done about it stands in `history.py`."""

from __future__ import annotations

from typing import Annotated

import typer


def accept(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The baseline file.")],
    reason: Annotated[str, typer.Option(help="Why the new level is right; kept in the file.")],
    by: Annotated[str, typer.Option(help="Who accepts; default: the user of the CI job, of git, or the login.")] = "",
    run: Annotated[str, typer.Option(metavar="RUN_ID", help="Accept from this run on; its first characters do.")] = "",
) -> None:
    """Accept that the service has become slower or faster.

    The runs that raised the latest alarms become a new level, which later
    runs are compared with. Without --run, those of every kind in the file.

    Exit codes: 0 accepted, 2 nothing to accept, 97 a broken baseline.
    """
    from ciload.cli.command import exit_code_of, show_parts  # late: `--version` and `--help` need none of it
    from ciload.cli.history import accepted

    raise typer.Exit(exit_code_of(lambda: show_parts(accepted(file, reason, by, run))))
