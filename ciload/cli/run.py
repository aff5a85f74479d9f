"""`ciload run`: what can be asked for. What is done about it stands in `session.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

LOAD, TARGET, HTTP, JUDGING, OUTPUT = "Load", "Target", "HTTP", "Judging", "Output"

# Values are text here: one place (options/) checks them, wherever they come from, and reports all mistakes at once.
Text = str | None


def run(
    context: typer.Context,
    script: Annotated[
        Path | None, typer.Argument(help="The scenario script.", envvar="CILOAD_SCRIPT", show_default=False)
    ] = None,
    vus: Annotated[
        Text, typer.Option("-u", "--vus", metavar="N", help="Virtual users (default 1).", rich_help_panel=LOAD)
    ] = None,
    duration: Annotated[
        Text,
        typer.Option(
            "-d", "--duration", metavar="TIME", help="Keep them busy for so long: 30s, 1m30s.", rich_help_panel=LOAD
        ),
    ] = None,
    iterations: Annotated[
        Text,
        typer.Option(
            "-i", "--iterations", metavar="N", help="Iterations in total, shared by all.", rich_help_panel=LOAD
        ),
    ] = None,
    graceful_stop: Annotated[
        Text,
        typer.Option(
            metavar="TIME", help="Time for running iterations to end after that (default 30s).", rich_help_panel=LOAD
        ),
    ] = None,
    base_url: Annotated[
        Text,
        typer.Option(metavar="URL", help="What relative URLs in the script are joined to.", rich_help_panel=TARGET),
    ] = None,
    wait_for: Annotated[
        Text,
        typer.Option(
            metavar="URL", help="Start when this URL answers with a status below 400.", rich_help_panel=TARGET
        ),
    ] = None,
    wait_timeout: Annotated[
        Text,
        typer.Option(
            metavar="TIME", help="How long to wait for it; then exit 98 (default 1m).", rich_help_panel=TARGET
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", metavar="KEY=VALUE", help="For the script's os.environ.", rich_help_panel=TARGET),
    ] = None,
    insecure_skip_tls_verify: Annotated[
        bool | None,
        typer.Option("--insecure-skip-tls-verify", help="Accept any certificate.", rich_help_panel=HTTP),
    ] = None,
    discard_response_bodies: Annotated[
        bool | None, typer.Option("--discard-response-bodies", help="Read bodies, keep none.", rich_help_panel=HTTP)
    ] = None,
    max_body_kept: Annotated[
        Text,
        typer.Option(
            metavar="SIZE", help="How much of a body the script gets to see (default 8MiB).", rich_help_panel=HTTP
        ),
    ] = None,
    batch: Annotated[
        Text,
        typer.Option(
            metavar="N", help="Requests of one http.batch at once; 0: no limit (default 20).", rich_help_panel=HTTP
        ),
    ] = None,
    batch_per_host: Annotated[
        Text, typer.Option(metavar="N", help="Of these to one host; 0: no limit (default 6).", rich_help_panel=HTTP)
    ] = None,
    setup_timeout: Annotated[
        Text,
        typer.Option(metavar="TIME", help="Time for setup(); then exit 100 (default 1m).", rich_help_panel=JUDGING),
    ] = None,
    teardown_timeout: Annotated[
        Text,
        typer.Option(metavar="TIME", help="Time for teardown(); then exit 101 (default 1m).", rich_help_panel=JUDGING),
    ] = None,
    allow_script_errors: Annotated[
        bool | None,
        typer.Option(
            "--allow-script-errors", help="Exceptions in iterations do not fail the run.", rich_help_panel=JUDGING
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML file with options (default ciload.yaml if it exists).",
            envvar="CILOAD_CONFIG",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out_dir: Annotated[
        Text,
        typer.Option(metavar="FOLDER", help="Where the reports go (default ciload-results).", rich_help_panel=OUTPUT),
    ] = None,
    quiet: Annotated[
        bool | None, typer.Option("-q", "--quiet", help="Only errors: no progress, no summary.", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
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

    arguments: dict[str, Any] = dict(context.params)
    del arguments["script"], arguments["env"], arguments["config"]
    raise typer.Exit(run_command(script, config, env or [], arguments))
