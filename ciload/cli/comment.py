"""`ciload comment`: what it is for. What is done about it stands in `commenting.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def comment(
    folder: Annotated[Path, typer.Option("--from", metavar="FOLDER", help="The results of a run.", show_default=False)],
) -> None:
    """Comment on a pull request with the results of another workflow's run.

    For pull requests from forks, whose own runs may not write comments: a
    workflow on `workflow_run` downloads their results and runs this. It
    believes nothing in there: the comment is made anew from result.json, and
    the pull request is the one at the commit that GitHub says was run.

    Exit codes: 0 done, or no pull request is at that commit any more;
    2 no usable result, or no comment could be written.
    """
    from ciload.cli.commenting import comment_command  # late: `--version` and `--help` need none of it

    raise typer.Exit(comment_command(folder))
