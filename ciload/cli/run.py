"""`ciload run`: what it is for. What is done about it stands in `with_script.py`."""

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

    Earlier runs say whether the target has become slower: --save-baseline
    keeps them, --baseline compares, with a stated rate of false alarms. Where
    old and new run at once, --compare-url sees more, and needs no history.

    Exit codes:
      0  passed                          101  teardown timed out
     96  a regression                    104  invalid options
     97  no baseline, or inconclusive,   105  interrupted by a signal
         if told to fail on that         107  the script raised
     98  the target was never ready      108  the script called abort()
     99  a threshold failed, or no data  110  the script called fail_test()
    100  setup timed out                   1  a bug in ciload
                                           2  wrong usage
    """
    from ciload.cli.with_script import run_command  # late: `--version` and `--help` need none of it

    raise typer.Exit(run_command(asked))
