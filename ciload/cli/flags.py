"""The flags of the commands that take a script: one table, from which typer's parameters are made.

Values are text here: one place (options/) checks them, wherever they come from, and reports all mistakes at once.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

LOAD, TARGET, HTTP, NETWORK = "Load", "Target", "HTTP", "Network"
JUDGING, GATE, OUTPUT = "Judging", "Regression gate", "Output"

VARIABLE = re.compile(r"[A-Za-z_]\w*=")

Kind = Literal["text", "switch", "list"]
TYPES: Mapping[Kind, object] = {"text": str | None, "switch": bool | None, "list": list[str] | None}


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. `name` is the option it sets, and its spelling, unless `declared` has others."""

    name: str
    panel: str
    help: str
    metavar: str | None = None
    declared: tuple[str, ...] = ()
    kind: Kind = "text"
    variable: str | None = None  # only of what is no option: the variables of options are read in options/

    @property
    def declarations(self) -> tuple[str, ...]:
        # Always given: typer would add a --no- form to a switch that has no declaration.
        return self.declared or ("--" + self.name.replace("_", "-"),)


FLAGS = (
    Flag("vus", LOAD, "Virtual users (default 1).", "N", ("-u", "--vus")),
    Flag("duration", LOAD, "Keep them busy for so long: 30s, 1m30s.", "TIME", ("-d", "--duration")),
    Flag("iterations", LOAD, "Iterations in total, shared by all.", "N", ("-i", "--iterations")),
    Flag(
        "stages", LOAD, "Go from --vus to TARGET in that time; repeat it to go on.", "DURATION:TARGET",
        ("-s", "--stage"), "list",
    ),
    Flag(
        "rate", LOAD,
        "50/s: start so many iterations, whatever the target does; needs --duration; --vus then limits how many run "
        "at once.",
        "N/UNIT",
    ),
    Flag(
        "once", LOAD,
        "Only see whether the script works: one iteration of each scenario, without thresholds and gates. Checks and "
        "requests that fail are failures.",
        kind="switch",
    ),
    Flag("scenario", LOAD, "Only this one of the script's scenarios; may be repeated.", "NAME", kind="list"),
    Flag("graceful_stop", LOAD, "Time for running iterations to end after that (default 30s).", "TIME"),
    Flag(
        "warmup", LOAD,
        "How much of the load's beginning is not measured (default 0s; with --compare-url a tenth of it, at most 5s).",
        "TIME",
    ),
    Flag(
        "min_iteration_duration", LOAD, "Shorter iterations wait so long before the next one (default 0s).", "TIME"
    ),
    Flag(
        "fail_fast", LOAD, "Of several scripts: end with the first that fails.", kind="switch",
        variable="CILOAD_FAIL_FAST",
    ),
    Flag("workers", LOAD, "Processes that share the load; auto: one for each core (default 1).", "N|auto"),
    Flag("base_url", TARGET, "What relative URLs in the script are joined to.", "URL"),
    Flag("wait_for", TARGET, "Start when this URL answers with a status below 400.", "URL"),
    Flag("wait_timeout", TARGET, "How long to wait for it; then exit 98 (default 1m).", "TIME"),
    Flag("env", TARGET, "For the script's os.environ.", "KEY=VALUE", ("-e", "--env"), "list"),
    Flag(
        "headers", HTTP, "Of all requests to --base-url's server; may be repeated.", "NAME: VALUE", ("-H", "--header"),
        "list",
    ),
    Flag("user_agent", HTTP, "What requests call themselves.", "TEXT"),
    Flag("max_redirects", HTTP, "Redirects that one request follows (default 10).", "N"),
    Flag("keep_cookies", HTTP, "Virtual users keep cookies from iteration to iteration.", kind="switch"),
    Flag("discard_response_bodies", HTTP, "Read bodies, keep none.", kind="switch"),
    Flag("max_body_kept", HTTP, "How much of a body the script gets to see (default 8MiB).", "SIZE"),
    Flag(
        "http2", HTTP,
        "Speak HTTP/2: auto, where TLS finds that the server does; only, everywhere, over http:// as well (default "
        "off).",
        "auto|only|off",
    ),
    Flag(
        "expected", HTTP,
        "Statuses that are no failed requests: 2xx,404 (default 2xx,3xx); http.get(url, expected=...) of one request.",
        "STATUSES",
    ),
    Flag(
        "trace", HTTP,
        "Send a traceparent header (W3C Trace Context) with each request: the slowest and the failed ones have its id "
        "in the report.",
        kind="switch",
    ),
    Flag(
        "http_debug", HTTP,
        "Show the first 100 requests and answers on stderr, without secrets: --http-debug their headers, "
        "--http-debug=full their bodies too.",
        "headers|full",
    ),
    Flag("batch", HTTP, "Requests of one http.batch at once; 0: no limit (default 20).", "N"),
    Flag("batch_per_host", HTTP, "Of these to one host; 0: no limit (default 6).", "N"),
    Flag(
        "proxy", NETWORK,
        "HTTP or SOCKS proxy of all requests (default what HTTPS_PROXY and HTTP_PROXY say; NO_PROXY holds in any "
        "case).",
        "URL|none",
    ),
    Flag(
        "hosts", NETWORK, "Where a host is to be found instead of looking it up; may be repeated.", "HOST:PORT:ADDRESS",
        ("--resolve",), "list",
    ),
    Flag("dns", NETWORK, "ttl=5m,policy=preferIPv4: how long addresses last, which come first.", "SETTINGS"),
    Flag(
        "local_ips", NETWORK, "Address of this machine to connect from; may be repeated.", "IP", ("--local-ip",),
        "list",
    ),
    Flag("unix_socket", NETWORK, "Unix socket that all connections go to.", "PATH"),
    Flag(
        "block_hostnames", NETWORK, "Host that must not be connected to, such as *.example.com; may be repeated.",
        "HOST", ("--block-hostname",), "list",
    ),
    Flag(
        "block_ips", NETWORK, "Network that must not be connected to, such as 10.0.0.0/8; may be repeated.", "NETWORK",
        ("--block-ip",), "list",
    ),
    Flag("no_connection_reuse", NETWORK, "A new connection for each request.", kind="switch"),
    Flag("insecure_skip_tls_verify", NETWORK, "Accept any certificate.", kind="switch"),
    Flag("ca_bundle", NETWORK, "Trust these authorities beside the system's.", "FILE|FOLDER"),
    Flag(
        "tls_auth", NETWORK, "Client certificate as PEM files; may be repeated. In the file, for some hosts alone.",
        "CERT[,KEY]", ("--client-cert",), "list",
    ),
    Flag("tls_version", NETWORK, "1.2, 1.3 or 1.2-1.3: what TLS may be (default 1.2-1.3).", "VERSIONS"),
    Flag("setup_timeout", JUDGING, "Time for setup(); then exit 100 (default 1m).", "TIME"),
    Flag("teardown_timeout", JUDGING, "Time for teardown(); then exit 101 (default 1m).", "TIME"),
    Flag("allow_script_errors", JUDGING, "Exceptions in iterations do not fail the run.", kind="switch"),
    Flag("allow_empty", JUDGING, "A run that measured nothing does not fail for that.", kind="switch"),
    Flag("baseline", GATE, "Compare with the earlier runs in there.", "FILE|URL|artifact:NAME|package:NAME"),
    Flag(
        "baseline_from", GATE,
        "Take over the runs in there while --baseline or --save-baseline has none, as after a test was renamed.",
        "FILE|URL|artifact:NAME",
    ),
    Flag("save_baseline", GATE, "Add this run to it, for later ones to be compared with.", "FILE|package:NAME"),
    Flag(
        "compare_url", GATE,
        "An older version of the target: each iteration runs at it and at --base-url, in random order, so it takes "
        "twice the requests. What is judged is --base-url.",
        "URL",
    ),
    Flag(
        "target_process", GATE,
        "Judge the CPU time per request of this process, too: on this machine, by its ID, `port` (whoever listens on "
        "--base-url's), or container:NAME. Costs a look at it four times a second.",
        "PID|port|container:NAME",
    ),
    Flag("compare_process", GATE, "The same of --compare-url.", "PID|port|container:NAME"),
    Flag(
        "until_clear", GATE,
        "With --compare-url: look after 10 s, 20 s, 40 s … and end the load when every metric is decided; --duration "
        "is the limit. The false-alarm rate holds for all looks together.",
        kind="switch",
    ),
    Flag(
        "confirm", GATE,
        "If a run looks like a regression, as one in ten does, run it N more times and judge the mean of all (default "
        "0).",
        "N",
    ),
    Flag(
        "accept", GATE,
        "A regression is meant: it fails nothing, and with --save-baseline the run begins a new level. A line "
        "`ciload-accept: REASON` in the message of a pushed commit, or in the text of a pull request, says the same.",
        "REASON",
    ),
    Flag("false_alarm", GATE, "Chance of an alarm in a run that has not changed (default 1%).", "SHARE"),
    Flag(
        "tolerance", GATE,
        "Changes for the worse below this are no regression (default 10%); 'GET /search=20%' is of one endpoint, "
        "'GET /search p95=20%' of one of its metrics. May be repeated.",
        "[NAME=]SHARE", kind="list",
    ),
    Flag(
        "gate_metrics", GATE, "Judge this metric as well, such as iteration_duration; may be repeated.", "NAME",
        ("--gate-metric",), "list",
    ),
    Flag("on_missing_baseline", GATE, "fail is exit code 97 (default warn).", "fail|warn|pass"),
    Flag(
        "on_inconclusive", GATE,
        "When the gate finds something suspicious, or cannot judge: fail is exit code 97 (default warn).",
        "fail|warn|pass",
    ),
    Flag("name", GATE, "Of this test: compares its runs even when the script has changed.", "TEXT"),
    Flag("target", GATE, "What is tested, such as staging (default: the host of --base-url).", "TEXT"),
    Flag("leg", OUTPUT, "Which of several of this test it is, as in a matrix: its comment is its own.", "TEXT"),
    Flag(
        "output", OUTPUT,
        "While it runs: jsonl=FILE[.gz] or csv=FILE[.gz] (every sample), otlp=URL (OpenTelemetry), statsd=HOST:PORT; "
        "may be repeated.",
        "KIND=TARGET", ("-o", "--output"), "list",
    ),
    Flag("output_required", OUTPUT, "An output that fails, fails the run (exit code 2).", kind="switch"),
    Flag(
        "summary_trend_stats", OUTPUT, "What the summary shows of trends (default avg,min,med,max,p(90),p(95)).",
        "STATS",
    ),
    Flag("summary_time_unit", OUTPUT, "Unit of times in the summary (default: what reads best).", "s|ms|us"),
    Flag("stage_tag", OUTPUT, "Tag samples with the stage, from 0, that the scenario is in.", kind="switch"),
    Flag("tags", OUTPUT, "Tag of every sample; may be repeated.", "NAME=VALUE", ("--tag",), "list"),
    Flag(
        "config", OUTPUT, "YAML file with options (default ciload.yaml if it exists).", "FILE",
        variable="CILOAD_CONFIG",
    ),
    Flag(
        "comment", OUTPUT,
        "In CI: comment on the pull request, always the same comment. In CILOAD_COMMENT or the file, `on-failure` and "
        "`on-change` begin one only if the run failed, or the gate found a change.",
        kind="switch",
    ),
    Flag("status", OUTPUT, "In CI: set a status of the commit, which has the headline.", kind="switch"),
    Flag(
        "secrets", OUTPUT, "Variable whose value becomes *** in all that ciload writes; may be repeated.", "NAME",
        ("--secret",), "list",
    ),
    Flag("out_dir", OUTPUT, "Where the reports go (default ciload-results).", "FOLDER"),
    Flag("quiet", OUTPUT, "Only errors: no progress, no summary.", declared=("-q", "--quiet"), kind="switch"),
)  # fmt: skip
NOT_OPTIONS = frozenset({"env", "config", "fail_fast"})  # what the options are read from, and what is of many runs

# Without a variable here: typer would split CILOAD_SCRIPT at blanks.
SCRIPTS = typer.Argument(
    metavar="SCRIPT|URL...",
    help="The scenario script, or one page to request. Of several, or a pattern such as 'loads/*.py', each is a test. "
    "[env var: CILOAD_SCRIPT, one on each line]",
    show_default=False,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says. `options` has all that are flags, None or empty when they were not given."""

    scripts: tuple[str, ...]  # paths, patterns, URLs of pages
    config: Path | None
    env: tuple[str, ...]
    fail_fast: bool
    options: Mapping[str, Any]


def with_flags(act: Callable[[Asked], None]) -> Callable[..., None]:
    """`act` as typer wants it: with a parameter for the scripts and for each flag."""

    def command(
        scripts: list[str] | None, config: str | None, env: list[str] | None, fail_fast: bool | None, **options: Any
    ) -> None:
        variables = [each for each in scripts or () if VARIABLE.match(each) and not Path(each).exists()]
        if variables:  # unquoted: it may be a secret
            raise typer.BadParameter(f"{len(variables)} of the scripts is none; variables are -e KEY=VALUE each")
        config_file = None if config is None else Path(config)
        act(Asked(tuple(scripts or ()), config_file, tuple(env or ()), bool(fail_fast), options))

    parameters = [_parameter("scripts", list[str] | None, SCRIPTS)]
    parameters += [_parameter(each.name, TYPES[each.kind], _option(each)) for each in FLAGS]
    made: Any = command
    made.__name__, made.__doc__ = act.__name__, act.__doc__
    made.__signature__ = inspect.Signature(parameters)
    made.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _parameter(name: str, kind: object, typers: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, typers]
    )  # fmt: skip


def _option(flag: Flag) -> object:
    return typer.Option(
        *flag.declarations, metavar=flag.metavar, help=flag.help, envvar=flag.variable, show_default=False,
        rich_help_panel=flag.panel,
    )  # fmt: skip
