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
    vus: Annotated[Text, typer.Option("-u", "--vus", help="Virtual users. [1]", rich_help_panel=LOAD)] = None,
    duration: Annotated[
        Text, typer.Option("-d", "--duration", help="Keep them busy for so long: 30s, 1m30s.", rich_help_panel=LOAD)
    ] = None,
    iterations: Annotated[
        Text, typer.Option("-i", "--iterations", help="Iterations in total, shared by all.", rich_help_panel=LOAD)
    ] = None,
    graceful_stop: Annotated[
        Text, typer.Option(help="Time for running iterations to end after that. [30s]", rich_help_panel=LOAD)
    ] = None,
    base_url: Annotated[
        Text, typer.Option(help="What relative URLs in the script are joined to.", rich_help_panel=TARGET)
    ] = None,
    wait_for: Annotated[
        Text, typer.Option(help="Start when this URL answers with a status below 400.", rich_help_panel=TARGET)
    ] = None,
    wait_timeout: Annotated[
        Text, typer.Option(help="How long to wait for it; then exit 98. [1m]", rich_help_panel=TARGET)
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
        Text, typer.Option(help="How much of a body the script gets to see. [8MiB]", rich_help_panel=HTTP)
    ] = None,
    batch: Annotated[
        Text, typer.Option(help="Requests of one http.batch at once; 0: no limit. [20]", rich_help_panel=HTTP)
    ] = None,
    batch_per_host: Annotated[
        Text, typer.Option(help="Of these to one host; 0: no limit. [6]", rich_help_panel=HTTP)
    ] = None,
    setup_timeout: Annotated[
        Text, typer.Option(help="Time for setup(); then exit 100. [1m]", rich_help_panel=JUDGING)
    ] = None,
    teardown_timeout: Annotated[
        Text, typer.Option(help="Time for teardown(); then exit 101. [1m]", rich_help_panel=JUDGING)
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
            help="YAML file with options. [ciload.yaml if it exists]",
            envvar="CILOAD_CONFIG",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out_dir: Annotated[
        Text, typer.Option(help="Where the reports go. [ciload-results]", rich_help_panel=OUTPUT)
    ] = None,
    quiet: Annotated[
        bool | None, typer.Option("-q", "--quiet", help="Only errors: no progress, no summary.", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
    """Run a scenario script with virtual users and judge the outcome.

    A script is plain Python: `async def default()` is what each virtual user does, over and over.

        from ciload import check, http, sleep

        options = {"vus": 5, "duration": "30s", "thresholds": {"http_req_duration": "p(95)<500"}}

        async def default():
            reply = await http.get("/health")
            check(reply, {"is up": lambda r: r.status_code == 200})
            await sleep(1)

    Every option can also be set as CILOAD_<NAME> in the environment, in the script's `options`, or in a YAML
    file; the first of flag, environment, script, file wins. Thresholds live in the script or the file.

    Exit codes: 0 passed; 99 a threshold failed or had no data; 107 the script raised; 98 the target was never
    ready; 100/101 setup/teardown timed out; 104 invalid options; 105 interrupted; 108 aborted, 110 marked failed
    by the script; 2 wrong usage; 1 a bug in ciload.
    """
    from ciload.cli.session import run_command  # late: `--version` and `--help` need none of it

    arguments: dict[str, Any] = dict(context.params)
    del arguments["script"], arguments["env"], arguments["config"]
    raise typer.Exit(run_command(script, config, env or [], arguments))
