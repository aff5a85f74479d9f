"""`ciload baseline`: look at the file that earlier runs were saved in, and keep it in order."""

from __future__ import annotations

from typing import Annotated

import typer

baseline = typer.Typer(no_args_is_help=True, help="Show, prune or merge baseline files.")
File = Annotated[str, typer.Argument(metavar="FILE", help="The baseline file.")]


@baseline.command()
def show(file: Annotated[str, typer.Argument(metavar="FILE|URL", help="The baseline file, or its URL.")]) -> None:
    """Show the runs of each kind, and who accepted which level.

    Exit codes: 0 shown, 2 no such file, 97 a broken baseline.
    """
    from ciload.cli.command import exit_code_of, show_parts  # late: `--version` and `--help` need none of it
    from ciload.cli.history import shown

    raise typer.Exit(exit_code_of(lambda: show_parts(shown(file))))


@baseline.command()
def prune(
    file: File,
    keep: Annotated[int, typer.Option(min=1, max=30, help="How many accepted runs of each kind.")] = 30,
) -> None:
    """Remove the oldest runs of each kind.

    Saving a run does this by itself, with 30 runs.

    Exit codes: 0 done, 2 no such file, 97 a broken baseline.
    """
    from ciload.cli.command import exit_code_of, show_parts
    from ciload.cli.history import pruned

    raise typer.Exit(exit_code_of(lambda: show_parts(pruned(file, keep))))


@baseline.command()
def merge(
    file: File,
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Baseline files, or their URLs.")],
) -> None:
    """Add the runs of other baselines to FILE.

    Exit codes: 0 done, 2 no such file, 97 a broken baseline.
    """
    from ciload.cli.command import exit_code_of, show_parts
    from ciload.cli.history import merged

    raise typer.Exit(exit_code_of(lambda: show_parts(merged(file, others))))
