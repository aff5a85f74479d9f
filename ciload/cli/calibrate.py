"""`ciload calibrate`: what it is for. What is done about it stands in `comparing.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from ciload.cli.compare import FALSE_ALARM, TOLERANCE


def calibrate(
    place: Annotated[str, typer.Argument(metavar="FILE|URL", help="The baseline.", show_default=False)],
    false_alarm: Annotated[str, FALSE_ALARM] = "1%",
    tolerance: Annotated[str, TOLERANCE] = "10%",
) -> None:
    """Show what a gate can see in this baseline, and how often it would have cried wolf.

    Every accepted run is judged by the others, as if it were new: whatever
    alarms is a false alarm. Then: how much runs differ, the smallest change
    that is found 8 times in 10, and how many runs the tolerance would need.

    Exit codes:
      0  done      2  wrong usage      97  the baseline cannot be used
    """
    from ciload.cli.comparing import calibrate_command  # late: `--version` and `--help` need none of it

    raise typer.Exit(calibrate_command(place, {"false_alarm": false_alarm, "tolerance": tolerance}))
