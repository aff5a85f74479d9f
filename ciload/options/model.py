"""Every option a run has: its type, its bounds, its default and its meaning. The same names work in all places."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field

from ciload.options.network import (
    Dns,
    DnsSettings,
    HeaderFields,
    HostPatterns,
    Hosts,
    IPAddresses,
    Networks,
    ProxyAddress,
    TlsAuths,
    TlsVersions,
)
from ciload.options.outputs import OutputTargets, TrendStats, time_unit
from ciload.options.scenarios import Scenarios, Stages
from ciload.options.values import (
    EVERYTHING_ELSE,
    USUAL_TOLERANCE,
    Count,
    Duration,
    LoadDuration,
    OneOrMore,
    Pairs,
    Place,
    Process,
    RootAddress,
    ScenarioNames,
    Share,
    StatusesText,
    Tolerances,
    VariableNames,
    WebAddress,
    names_in_list,
    split_rate,
)
from ciload.result.comparison import Reaction
from ciload.result.thresholds import Limit

MOST_WORKERS = 256


def _rate(value: object) -> tuple[float, float]:
    return split_rate(str(value))


def _workers(value: object) -> object:
    if value == "auto":
        return value
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number > 1 and sys.platform == "win32":
        raise ValueError("several workers need Linux or macOS")
    if not 1 <= number <= MOST_WORKERS:
        raise ValueError(f"{value!r} is neither a number from 1 to {MOST_WORKERS} nor auto")
    return number


def comment_when(value: object) -> object:
    """When there is to be a comment; a switch is always or off."""
    words = {"true": "always", "1": "always", "yes": "always", "on": "always"}
    words |= {"false": "off", "0": "off", "no": "off"}
    return words.get(str(value).lower(), value)


def http2_when(value: object) -> object:
    """Whether to speak HTTP/2; YAML makes a switch of `off`, and of `on`, which nobody may mean otherwise."""
    words = {"false": "off", "0": "off", "no": "off", "true": "auto", "1": "auto", "yes": "auto", "on": "auto"}
    return words.get(str(value).lower(), value)


def debug_how(value: object) -> object:
    """What of requests and answers to show; a switch shows headers."""
    words = {"true": "headers", "1": "headers", "yes": "headers", "on": "headers"}
    words |= {"false": "off", "0": "off", "no": "off"}
    return words.get(str(value).lower(), value)


CommentWhen = Annotated[Literal["always", "on-failure", "on-change", "off"], BeforeValidator(comment_when)]
COMMENT_WHEN: tuple[str, ...] = ("always", "on-failure", "on-change", "off")


class Options(BaseModel):
    """What a run was asked to do. Unset load options stay None; `plan.py` turns them into scenarios."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    vus: Count | None = Field(None, description="virtual users")
    duration: LoadDuration | None = Field(None, description="how long to keep them busy")
    iterations: Count | None = Field(None, description="iterations in total, shared by all virtual users")
    stages: Stages | None = Field(None, description="virtual users over time: straight lines to a target each")
    rate: Annotated[tuple[float, float], BeforeValidator(_rate)] | None = Field(
        None, description="iterations to start, and in how many seconds, whatever the target does"
    )
    once: bool = Field(False, description="one iteration of each scenario, to see whether the script works")
    weights: Annotated[dict[str, Annotated[float, Field(gt=0, le=1e9)]], Field(min_length=1, max_length=100)] | None = (
        Field(None, description="functions of the script, one of which each iteration runs, and how often")
    )
    stage_tag: bool = Field(False, description="tag samples with the stage, from 0, that the scenario is in")
    scenario: ScenarioNames = Field((), description="which of the scenarios to run; all unless set")
    scenarios: Scenarios | None = Field(None, min_length=1, description="several loads at once, by name")
    graceful_stop: Duration = Field(30.0, description="time for running iterations to end when the duration is over")
    warmup: Duration = Field(
        0.0, description="how much of the load's beginning is not measured; side by side a tenth of it, at most 5 s"
    )
    min_iteration_duration: Duration = Field(0.0, description="shorter iterations wait so long before the next one")
    workers: Annotated[int | Literal["auto"], BeforeValidator(_workers)] = Field(
        1, description="processes that share the load; auto: one for each core"
    )
    tags: Pairs = Field(default_factory=dict, description="tags of every sample")
    base_url: RootAddress = Field("", description="what relative URLs in the script are joined to")
    thresholds: dict[str, Annotated[list[Limit], OneOrMore]] = Field(
        default_factory=dict, description="limits that fail the run, by metric"
    )
    insecure_skip_tls_verify: bool = Field(False, description="accept any certificate")
    headers: HeaderFields = Field(
        default_factory=dict, description="of all requests to base_url's server, or without one to any"
    )
    user_agent: str | None = Field(None, max_length=500, description='"" sends none')
    max_redirects: Annotated[int, Field(ge=0, le=100)] = Field(
        10, description="redirects that one request follows; 0: they are responses like others"
    )
    keep_cookies: bool = Field(False, description="virtual users keep their cookies from iteration to iteration")
    discard_response_bodies: bool = Field(False, description="read bodies, keep none")
    max_body_kept: Annotated[ByteSize, Field(ge=1)] = Field(
        ByteSize(8 * 1024 * 1024), description="how much of a body a script gets to see"
    )
    http2: Annotated[Literal["off", "auto", "only"], BeforeValidator(http2_when)] = Field(
        "off", description="speak HTTP/2: auto: where TLS finds that the server does; only: everywhere"
    )
    expected: StatusesText = Field("2xx,3xx", description="statuses of answers that are no failed requests")
    trace: bool = Field(False, description="send a traceparent header (W3C Trace Context) with each request")
    http_debug: Annotated[Literal["off", "headers", "full"], BeforeValidator(debug_how)] = Field(
        "off", description="show requests and answers, without secrets: their headers, or in full"
    )
    batch: Annotated[int, Field(ge=0)] = Field(20, description="requests of one http.batch at once; 0: no limit")
    batch_per_host: Annotated[int, Field(ge=0)] = Field(6, description="of these to one host; 0: no limit")
    proxy: ProxyAddress = Field(
        "", description="proxy of all requests; none: no proxy, whatever HTTP_PROXY and HTTPS_PROXY say"
    )
    hosts: Hosts = Field(default_factory=dict, description="addresses of hosts, which are then not looked up")
    dns: DnsSettings = Field(
        default_factory=lambda: Dns(ttl=300.0, policy="preferIPv4"),
        description="how long addresses are kept, and which are preferred",
    )
    local_ips: IPAddresses = Field((), description="addresses of this machine that connections come from in turn")
    unix_socket: str = Field("", description="Unix socket that all connections go to")
    block_hostnames: HostPatterns = Field((), description="hosts that no connection is made to, such as *.example.com")
    block_ips: Networks = Field((), description="networks that no connection is made to, such as 10.0.0.0/8")
    no_connection_reuse: bool = Field(False, description="a new connection for each request")
    ca_bundle: str = Field("", description="file or folder with authorities to trust beside the system's")
    tls_auth: TlsAuths = Field((), description="client certificates: cert, key, password, domains")
    tls_version: TlsVersions = Field(("", ""), description="lowest and highest version of TLS, such as 1.2-1.3")
    setup_timeout: Annotated[Duration, Field(gt=0)] = Field(60.0, description="time for setup() and vu_start()")
    teardown_timeout: Annotated[Duration, Field(gt=0)] = Field(60.0, description="time for teardown() and vu_stop()")
    compare_url: RootAddress = Field("", description="an older version of the target: every iteration runs at both")
    target_process: Process = Field(
        "", description="PID, port, or container:NAME of the target, whose CPU time per request is judged"
    )
    compare_process: Process = Field("", description="the same of the target at compare_url")
    until_clear: bool = Field(
        False, description="side by side: end the load as soon as every metric is decided; --duration is the limit"
    )
    baseline: Place = Field(
        "", description="file, URL, artifact:NAME or package:NAME with earlier runs to compare with"
    )
    baseline_from: Place = Field(
        "", description="the same, of another test: used, and taken over, while there is nothing at baseline"
    )
    save_baseline: str = Field("", description="file, or package:NAME, that this run is added to")
    accept: str = Field(
        "", max_length=500, description="why it is right that the level has moved: no regression fails the run"
    )
    confirm: Annotated[int, Field(ge=0, le=9)] = Field(
        0, description="how often to run again before a regression is believed"
    )
    false_alarm: Annotated[Share, Field(gt=0, le=0.2)] = Field(
        0.01, description="the chance of an alarm in a run that has not changed"
    )
    tolerance: Tolerances = Field(
        default_factory=lambda: {EVERYTHING_ELSE: USUAL_TOLERANCE},
        description="changes for the worse below this are no regression; also by endpoint or metric, with its name",
    )
    gate_metrics: Annotated[tuple[str, ...], BeforeValidator(names_in_list)] = Field(
        (), max_length=50, description="further metrics that the gate judges, such as iteration_duration"
    )
    on_missing_baseline: Reaction = Field("warn", description="when there is nothing to compare with: fail, warn, pass")
    on_inconclusive: Reaction = Field(
        "warn", description="when the gate finds something suspicious, or cannot judge: fail, warn, pass"
    )
    name: str = Field("", max_length=200, description="of the test: its runs are compared even if the script changes")
    target: str = Field("", max_length=200, description="what is tested, such as staging; runs elsewhere are not used")
    leg: str = Field(
        "", max_length=200, description="which of several of this test, such as a matrix leg: its comment is its own"
    )
    wait_for: WebAddress = Field("", description="URL that must answer with a status below 400 before the run starts")
    wait_timeout: Annotated[Duration, Field(gt=0)] = Field(60.0, description="how long to wait for it")
    allow_script_errors: bool = Field(False, description="exceptions in iterations do not fail the run")
    allow_empty: bool = Field(False, description="a run that measured nothing does not fail for that")
    comment: CommentWhen = Field("off", description="in CI, comment on the pull request: " + ", ".join(COMMENT_WHEN))
    status: bool = Field(False, description="in CI, set a status of the commit, beside that of the job")
    secrets: VariableNames = Field((), description="variables whose values are replaced by *** in all that is written")
    output: OutputTargets = Field((), description="where samples or metrics go during the run: KIND=TARGET")
    output_required: bool = Field(False, description="an output that fails, fails the run")
    summary_trend_stats: TrendStats = Field(
        ("avg", "min", "med", "max", "p(90)", "p(95)"), description="what the summary shows of trends"
    )
    summary_time_unit: Annotated[Literal["s", "ms", "us"] | None, BeforeValidator(time_unit)] = Field(
        None, description="unit of times in the summary; unless set, each has the one it reads best in"
    )
    out_dir: str = Field("ciload-results", min_length=1, description="where the reports go")
    quiet: bool = Field(False, description="no progress and no summary, only errors")


URL_OPTIONS = (
    "base_url",
    "compare_url",
    "baseline",
    "baseline_from",
    "wait_for",
    "proxy",
)  # these may hold credentials
# Whoever sets one of them decides about all of them.
LOAD_OPTIONS = ("duration", "iterations", "stages", "rate", "scenarios")
