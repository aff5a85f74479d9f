"""`ciload inspect`: what it is for. `with_script.py` does it, `plan_text.py` says what is printed."""

from __future__ import annotations

import typer

from ciload.cli.flags import Asked, with_flags


@with_flags
def inspect(asked: Asked) -> None:
    """Show what a run with these options would do, and send nothing.

    Prints every scenario with its planned load over time, the options that
    somebody has set with the place where, the thresholds, and how long the run
    takes at most. The script's top level runs, as it does in `ciload run`.

    Exit codes:
      0  the plan is valid               104  invalid options
      2  wrong usage                     107  the script raised
    """
    from ciload.cli.with_script import inspect_command  # late: `--version` and `--help` need none of it

    raise typer.Exit(inspect_command(asked))
