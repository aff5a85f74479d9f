"""`ciload run`: what it is for. What is done about it stands in `session.py`."""

from __future__ import annotations

import typer

from ciload.cli.flags import Asked, with_flags


@with_flags
def run(asked: Asked) -> None:
    """Run a scenario script with virtual users and judge the outcome.

    A script is plain Python. `async def default()` is what each virtual user
    does, over and over:

        from ciload import check, http, sleep

        options = {
            "vus": 5,
            "duration": "30s",
            "thresholds": {"http_req_duration": "p(95)<500"},
        }

        async def default():
            reply = await http.get("/health")
            check(reply, {"is up": lambda r: r.status_code == 200})
            await sleep(1)

    Several loads at once, ramps and arrival rates are scenarios, in the script
    (`options = {"scenarios": {...}}`) or in YAML; `ciload inspect` shows the
    planned load.

    Options may also stand in the environment (CILOAD_VUS=5), in the script's
    `options`, and in a YAML file. The first of flag, environment, script and
    file wins. Thresholds stand in the script, the file or CILOAD_THRESHOLDS.

    Exit codes:
      0  passed                          104  invalid options
     99  a threshold failed, or no data  105  interrupted by a signal
     98  the target was never ready      107  the script raised
    100  setup timed out                 108  the script called abort()
    101  teardown timed out              110  the script called fail_test()
      2  wrong usage                       1  a bug in ciload
    """
    from ciload.cli.session import run_command  # late: `--version` and `--help` need none of it

    raise typer.Exit(run_command(asked.script, asked.config, asked.env, asked.options))
