"""The command line: what each command is called, takes and promises. One function of the module of its name does it.

That module is imported when the command is given, since `ciload --version` and `--help` need none of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ciload.cli.flags import Asked, with_flags
from ciload.version import __version__

app = typer.Typer(
    name="ciload",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"ciload {__version__}\n")
        raise typer.Exit


@app.callback()
def ciload(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A load tester that lives in CI: plain Python scenarios, thresholds, JUnit, a job summary, and a verdict."""


class ScriptCommand(TyperCommand):
    """`--http-debug` may stand without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--http-debug=headers" if each == "--http-debug" else each for each in args])


@app.command(cls=ScriptCommand)
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

    In place of a script, a URL is requested as it is, over and over:

        ciload run http://localhost:8000/health -u 5 -d 10s

    It fails if more than 1% of the answers have a status of 400 or more.
    `ciload init` writes scripts to begin with.

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
     97  no baseline, or no clear        105  interrupted by a signal
         answer, if asked to fail        107  the script raised
     98  the target was never ready      108  the script called abort()
     99  a threshold failed, or no data  110  the script called fail_test()
    100  setup timed out                   1  a bug in ciload
                                           2  wrong usage
    """
    from ciload.cli.run import run_command

    raise typer.Exit(run_command(asked))


@app.command()
def init(
    target: Annotated[
        str,
        typer.Argument(
            metavar="URL|FILE", help="Your service, an OpenAPI document, or a page to request.", show_default=False
        ),
    ] = "",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only operations with this tag; may be repeated.")
    ] = None,
    path: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only paths like this, such as '/users*'; may be repeated."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="So many operations at most.")] = 100,
    github: Annotated[bool, typer.Option("--github", help="Also write .github/workflows/load.yml.")] = False,
    gitlab: Annotated[
        bool, typer.Option("--gitlab", help="Also write .gitlab-ci.yml, or .gitlab-ci.load.yml to include.")
    ] = False,
    jenkins: Annotated[bool, typer.Option("--jenkins", help="Also write Jenkinsfile, or Jenkinsfile.load.")] = False,
    output: Annotated[str, typer.Option(metavar="FILE", help="The script.")] = "load.py",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    no_run: Annotated[bool, typer.Option("--no-run", help="Do not try the script.")] = False,
) -> None:
    """Write a first script, and pipelines that gate pull requests with it.

    ciload init http://localhost:8000                of a service
    ciload init http://localhost:8000/health         of one page
    ciload init openapi.yaml --tag users --github    of a document, and CI

    From an OpenAPI 3 or Swagger 2 document, in a file or at a URL: a script
    that makes each of its requests with example data; what writes or deletes
    only when asked to. A service such as FastAPI's is asked for its document.
    From any other page: a script that requests it.

    If the target answers, the script is tried once, with what only reads, and
    you see what each request got. Nothing is overwritten without --force.

    With --github, the workflow also starts your service, as far as the files
    here tell how: a compose file, a Dockerfile, FastAPI, Flask, Django, npm.

    Exit codes: 0 written, 2 wrong usage, or a file is there already.
    """
    from ciload.cli.init import init_command
    from ciload.starter.choice import Choice

    wanted = [name for name, asked in (("github", github), ("gitlab", gitlab), ("jenkins", jenkins)) if asked]
    choice = Choice(tag or (), path or (), limit)
    raise typer.Exit(init_command(target, output, wanted, force=force, choice=choice, run=not no_run))


class ConvertCommand(TyperCommand):
    """Everything behind `curl` is curl's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        at = args.index("curl") if "curl" in args else len(args)
        return super().parse_args(ctx, [*args[:at], *(["--", *args[at:]] if at < len(args) else [])])


@app.command(cls=ConvertCommand)
def convert(
    material: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|curl ...",
            help="A recording, collection, log or command; - for standard input. Or curl, and what belongs to it.",
            show_default=False,
        ),
    ],
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="Only requests to this host; may be repeated, and the first is the base URL. Default: those of "
            "a recording's main site, the busiest of a log.",
            show_default=False,
        ),
    ] = None,
    keep_static: Annotated[
        bool, typer.Option("--keep-static", help="Keep images, styles, scripts and fonts.")
    ] = False,
    variables: Annotated[
        str, typer.Option(metavar="FILE", help="Postman's environment, with values of variables.", show_default=False)
    ] = "",
    duration: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Of a log's replay. Default: as long as the log, 10 minutes at most.",
            show_default=False,
        ),
    ] = "",
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The script; - prints it.")] = "load.py",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
) -> None:  # fmt: skip
    """Write a script from what there is: a recording, a collection, a log, curl.

    ciload convert recording.har              of a browser's developer tools
    ciload convert collection.json            of Postman, v2.0 or v2.1
    ciload convert access.log.gz -o mix.py    of nginx, Apache, Caddy, Traefik
    ciload convert curl 'https://...' -H ...  as browsers copy it
    ciload convert - < command.txt            any of them; here, curl

    A recording becomes the journey that it is: groups with pauses between
    them, and ids and tokens taken from the replies that gave them. Static
    files, other sites and what failed are left out, and named.

    A collection keeps its folders, variables, and usual test scripts. A log
    becomes its endpoints, by their share, at its rate over time; only GET and
    HEAD, since a log has no bodies.

    Passwords, tokens, keys and cookies that no reply gives never get into the
    script: it reads environment variables, and you see which. Put options of
    ciload before `curl`; what follows belongs to curl.

    Exit codes: 0 written, 2 wrong usage, nothing to send, or the file exists.
    """
    from ciload.cli.convert import convert_command

    code = convert_command(
        material, output, force=force, hosts=host or (), keep_static=keep_static, duration=duration,
        variables=variables,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command(cls=ScriptCommand)
@with_flags
def inspect(asked: Asked) -> None:
    """Show what a run with these options would do, and send nothing.

    Prints every scenario with its planned load over time, the options that
    somebody has set with the place where, the thresholds, and how long the run
    takes at most. The script's top level runs, as it does in `ciload run`.

    Exit codes:
      0  the plan is valid               104  invalid options
      2  wrong usage                     107  the script raised
    """
    from ciload.cli.inspect import inspect_command

    raise typer.Exit(inspect_command(asked))


@app.command()
def accept(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The baseline file.")],
    reason: Annotated[str, typer.Option(help="Why the new level is right; kept in the file.")],
    by: Annotated[str, typer.Option(help="Who accepts; default: the user of the CI job, of git, or the login.")] = "",
    run: Annotated[str, typer.Option(metavar="RUN_ID", help="Accept from this run on; its first characters do.")] = "",
) -> None:
    """Accept that the service has become slower or faster.

    The runs since the level most likely moved become a new one, which later
    runs are compared with; alarms that are no part of it are left out, and
    named. Without --run, of every kind in the file that ends with alarms.

    Exit codes: 0 accepted, 2 nothing to accept, 97 a broken baseline.
    """
    from ciload.cli.accept import accept_command

    raise typer.Exit(accept_command(file, reason, by, run))


baseline = typer.Typer(no_args_is_help=True, help="Show, prune, merge or export baseline files.")
app.add_typer(baseline, name="baseline")
BaselineFile = Annotated[str, typer.Argument(metavar="FILE", help="The baseline file.")]


@baseline.command()
def show(
    file: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="A baseline: file, URL, artifact:NAME, package:NAME.")
    ],
) -> None:
    """Show the runs of each kind, and who accepted which level.

    Exit codes: 0 shown, 2 no such file, 97 a broken baseline.
    """
    from ciload.cli.baseline import show_command

    raise typer.Exit(show_command(file))


@baseline.command()
def prune(
    file: BaselineFile,
    keep: Annotated[int, typer.Option(min=1, max=30, help="How many accepted runs of each kind.")] = 30,
) -> None:
    """Remove the oldest runs of each kind.

    Saving a run does this by itself, with 30 runs. The first ten of a level
    stay as well, to measure slow drift from; with less than 10 they go too.

    Exit codes: 0 done, 2 no such file, 97 a broken baseline.
    """
    from ciload.cli.baseline import prune_command

    raise typer.Exit(prune_command(file, keep))


@baseline.command()
def merge(
    file: BaselineFile,
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Baseline files, or their URLs.")],
) -> None:
    """Add the runs of other baselines to FILE.

    Exit codes: 0 done, 2 no such file, 97 a broken baseline.
    """
    from ciload.cli.baseline import merge_command

    raise typer.Exit(merge_command(file, others))


@app.command()
def trends(
    places: Annotated[
        list[str], typer.Argument(metavar="FILE|URL...", help="Baselines, as for `baseline show`.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where index.html is written.")
    ] = Path("ciload-trends"),
    repository: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Where commits can be looked at. Default: as the URLs of the CI's runs tell.",
            show_default=False,
        ),
    ] = "",
) -> None:  # fmt: skip
    """Write a page of every metric over all runs of a baseline.

    One file, FOLDER/index.html, that loads nothing: open it, keep it with a
    job's artifacts, or publish it as GitHub or GitLab Pages. For all requests
    and each endpoint it shows p50, p95 and the rest, with what the gate found
    marked: levels and who accepted them, alarms that are open, ended or stay
    out, slow drift, and where the level most likely moved. Kinds of runs that
    cannot be compared, such as those of two machines, are kept apart.

    A baseline keeps the last 30 runs and more of each kind. For a longer
    history, name older copies of the file as well: each run is shown once.

        ciload trends ciload-baseline.json -o site
        ciload trends old/2026-*.json ciload-baseline.json -o site

    With --repository https://host/owner/name, commits are links; GitLab's
    form is .../-/commit, which can be said if the host does not tell.

    Exit codes:
      0  written                          97  a broken baseline
      2  no such file, or the page cannot be written
    """
    from ciload.cli.trends import trends_command

    raise typer.Exit(trends_command(places, output, repository))


@baseline.command()
def export(
    file: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="A baseline: file, URL, artifact:NAME, package:NAME.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Default: print it.", show_default=False)
    ] = "",
    kind: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Default: that of the newest run.", show_default=False)
    ] = None,
) -> None:
    """Write the runs of one kind as CSV, for a spreadsheet or Apache Otava.

    A row for each run, oldest first, and a column for each metric: ms, shares
    (0.01 is 1%) and rates; empty where a run has none. Runs that are no
    measure are left out. Of several kinds of runs, such as those of two
    machines, one is written, since they are no series together; which there
    are is said, and --kind chooses.

    Exit codes: 0 written, 2 no such file or kind, 97 a broken baseline.
    """
    from ciload.cli.export import export_command

    raise typer.Exit(export_command(file, output, kind))


FALSE_ALARM = typer.Option(metavar="SHARE", help="Chance of an alarm in a run that has not changed.")
TOLERANCE = typer.Option(metavar="SHARE", help="Changes for the worse below this are no regression.")
TOLERANCES = typer.Option(
    metavar="[NAME=]SHARE",
    help="Changes for the worse below this are no regression (default 10%); 'GET /search=20%' is of one endpoint. May "
    "be repeated.",
    show_default=False,
)
ON_MISSING = typer.Option(metavar="fail|warn|pass", help="When there is nothing to compare with.")
ON_INCONCLUSIVE = typer.Option(metavar="fail|warn|pass", help="When the gate cannot tell.")


@app.command()
def compare(
    files: Annotated[list[Path], typer.Argument(metavar="[OLD.json...] NEW.json", show_default=False)],
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="Compare with the runs in this baseline, which may also be artifact:NAME or package:NAME.",
            show_default=False,
        ),
    ] = None,
    false_alarm: Annotated[str, FALSE_ALARM] = "1%",
    tolerance: Annotated[list[str] | None, TOLERANCES] = None,
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
    from ciload.cli.compare import compare_command

    settings = {
        "false_alarm": false_alarm, "tolerance": tolerance or [], "on_missing_baseline": on_missing_baseline,
        "on_inconclusive": on_inconclusive,
    }  # fmt: skip
    raise typer.Exit(compare_command(files, baseline, settings, as_json=json))


@app.command()
def calibrate(
    place: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL", help="A baseline: file, URL, artifact:NAME, package:NAME.", show_default=False
        ),
    ],
    false_alarm: Annotated[str, FALSE_ALARM] = "1%",
    tolerance: Annotated[str, TOLERANCE] = "10%",
) -> None:
    """Show what a gate can see in this baseline, and how often it would have raised a false alarm.

    Every run that counts is judged by the others, as if it were new, also
    those whose alarm ended by itself: whatever alarms is a false alarm. Then:
    how much runs differ, the smallest change that is found 8 times in 10, and
    which tolerance, how many runs and which gate to use.

    Exit codes:
      0  done      2  wrong usage      97  the baseline cannot be used
    """
    from ciload.cli.calibrate import calibrate_command

    raise typer.Exit(calibrate_command(place, {"false_alarm": false_alarm, "tolerance": tolerance}))


@app.command()
def doctor(
    seconds: Annotated[
        int, typer.Option(min=1, max=600, metavar="N", help="Of each comparison of the self-test.")
    ] = 20,
    quick: Annotated[bool, typer.Option("--quick", help="No self-test; takes two seconds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Show what a load test can see on this machine, before anyone relies on it.

    Looks at cores, limits, clocks, the event loop, and what others take of
    the CPU. Then a self-test with small servers of its own: two equal ones
    side by side, one that takes 10% more, and six short runs, which say what
    a history would find. With 20 s that takes 80 s, and half of two cores.

    In GitHub Actions, its last line goes to the job summary.

    Exit codes:
      0  usable, or the self-test was     97  not usable: a false alarm, 10%
         too short to say, or skipped         not found, or nothing judged
      2  wrong usage                       1  a run of the self-test failed
    """
    from ciload.cli.doctor import doctor_command

    raise typer.Exit(doctor_command(seconds, quick=quick, as_json=json))


@app.command()
def comment(
    folder: Annotated[Path, typer.Option("--from", metavar="FOLDER", help="The results of a run.", show_default=False)],
) -> None:
    """Comment on a pull request with the results of another workflow's run.

    For pull requests from forks, whose own runs may not write comments: a
    workflow on `workflow_run` downloads their results and runs this. They are
    untrusted: the comment is made anew from result.json, and the pull request
    is the one at the commit that GitHub says was run.

    Exit codes: 0 done, or no pull request is at that commit any more;
    2 no usable result, or no comment could be written.
    """
    from ciload.cli.comment import comment_command

    raise typer.Exit(comment_command(folder))
