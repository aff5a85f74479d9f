"""`ciload compare`: what it is for. What is done about it stands in `comparing.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BASELINE = typer.Option(metavar="FILE|URL", help="Compare with the runs in this baseline.", show_default=False)
FALSE_ALARM = typer.Option(metavar="SHARE", help="Chance of an alarm in a run that has not changed.")
TOLERANCE = typer.Option(metavar="SHARE", help="Changes for the worse below this are no regression.")
ON_MISSING = typer.Option(metavar="fail|warn|pass", help="When there is nothing to compare with.")
ON_INCONCLUSIVE = typer.Option(metavar="fail|warn|pass", help="When the gate cannot tell.")


def compare(
    files: Annotated[list[Path], typer.Argument(metavar="[OLD.json...] NEW.json", show_default=False)],
    baseline: Annotated[str | None, BASELINE] = None,
    false_alarm: Annotated[str, FALSE_ALARM] = "1%",
    tolerance: Annotated[str, TOLERANCE] = "10%",
    on_missing_baseline: Annotated[str, ON_MISSING] = "warn",
    on_inconclusive: Annotated[str, ON_INCONCLUSIVE] = "warn",
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare a result with earlier ones, or with a baseline.

    Files are the `result.json` of runs. The last one is judged; those before
    it are the history, of which it takes three or more to know the noise. A
    run with --compare-url is compared with its old target again as well.

    Exit codes:
      0  no regression                    96  a regression
      2  wrong usage                      97  no comparison: a file cannot be
                                              used, or what --on-… fail says
    """
    from ciload.cli.comparing import compare_command  # late: `--version` and `--help` need none of it

    settings = {
        "false_alarm": false_alarm, "tolerance": tolerance, "on_missing_baseline": on_missing_baseline,
        "on_inconclusive": on_inconclusive,
    }  # fmt: skip
    raise typer.Exit(compare_command(files, baseline, settings, as_json=json))
