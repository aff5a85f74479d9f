"""`ciload run`."""

from __future__ import annotations

from ciload.cli.flags import Asked
from ciload.cli.terminal import Terminal
from ciload.cli.with_script import act_on_script
from ciload.runner.run import run


def run_command(asked: Asked) -> int:
    """Do the run; every outcome ends here as an exit code and, unless it was a usage error, as reports."""
    return act_on_script("run", asked, lambda request, bracket: run(request, Terminal(bracket, request.mask)).exit_code)
