"""`ciload run`."""

from __future__ import annotations

from ciload.ci.workflow_commands import Bracket
from ciload.cli.flags import Asked
from ciload.cli.run_script import run_script
from ciload.cli.terminal import Terminal
from ciload.cli.with_script import Requests, act_on_scripts


def run_command(asked: Asked) -> int:
    """Do the run, or one of each script; every outcome ends here as an exit code and, unless it was a usage error, as
    reports."""

    def act(requests: Requests, bracket: Bracket) -> int:
        first = requests.each[0]
        if not requests.is_suite:
            return run_script(first, Terminal(bracket, first.mask))
        from ciload.cli.script_process import start_script  # late: most runs are of one script
        from ciload.runner.suite import SuiteRequest, run_suite

        return run_suite(
            SuiteRequest(requests.scripts, requests.each, asked.fail_fast, start_script),
            Terminal(bracket, first.mask),
        )

    return act_on_scripts("run", asked, act)
