"""The command line: parse, call one function, leave with its exit code. One module per command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ciload.cli.accept import accept
from ciload.cli.baseline import baseline
from ciload.cli.calibrate import calibrate
from ciload.cli.comment import comment
from ciload.cli.compare import compare
from ciload.cli.flags import MORE_ARGUMENTS
from ciload.cli.init import init
from ciload.cli.inspect import inspect
from ciload.cli.run import run
from ciload.version import __version__

app = typer.Typer(
    name="ciload",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(context_settings=MORE_ARGUMENTS)(run)
app.command()(init)
app.command(context_settings=MORE_ARGUMENTS)(inspect)
app.command()(accept)
app.add_typer(baseline, name="baseline")
app.command()(compare)
app.command()(calibrate)
app.command()(comment)


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"ciload {__version__}\n")
        raise typer.Exit


@app.callback()
def ciload(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A load tester that lives in CI: plain Python scenarios, thresholds, JUnit, a job summary, and a verdict."""


def main() -> None:
    """The console script."""
    app()
