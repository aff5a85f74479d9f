"""`ciload init`: what it is for. What is done about it stands in `starting.py` and `ciload/starter/`."""

from __future__ import annotations

from typing import Annotated

import typer


def init(
    target: Annotated[
        str, typer.Argument(metavar="URL|FILE", help="A page to request, or an OpenAPI file.", show_default=False)
    ] = "",
    github: Annotated[bool, typer.Option("--github", help="Also write .github/workflows/load.yml.")] = False,
    gitlab: Annotated[
        bool, typer.Option("--gitlab", help="Also write .gitlab-ci.yml, or .gitlab-ci.load.yml to include.")
    ] = False,
    jenkins: Annotated[bool, typer.Option("--jenkins", help="Also write Jenkinsfile, or Jenkinsfile.load.")] = False,
    output: Annotated[str, typer.Option(metavar="FILE", help="The script.")] = "load.py",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Write a first script, and pipelines that gate pull requests with it.

    From a URL: a script that requests that page. From an OpenAPI 3 or
    Swagger 2 file: one that makes each of its requests with example data;
    what writes or deletes only when told to. It asks nothing, and
    overwrites nothing without --force.

    Exit codes: 0 written, 2 wrong usage, or a file is there already.
    """
    from ciload.cli.command import exit_code_of  # late: `--version` and `--help` need none of it
    from ciload.cli.starting import start

    wanted = [name for name, asked in (("github", github), ("gitlab", gitlab), ("jenkins", jenkins)) if asked]
    raise typer.Exit(exit_code_of(lambda: start(target, output, wanted, force=force)))
