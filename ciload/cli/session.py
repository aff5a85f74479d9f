"""Commands from arguments to exit code. `ciload run`: load, plan, wait, run, build the result, write and print it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from ciload.ci.workflow_commands import Bracket, known_secrets
from ciload.cli.command import exit_code_of, say, show, show_parts, wants_color
from ciload.cli.facts import facts_of_failure, facts_of_run
from ciload.cli.gate import Gate
from ciload.cli.inspect import describe_plan
from ciload.cli.outputs import custom_outputs
from ciload.cli.progress import progress_for
from ciload.engine.aggregator import RunOutcome
from ciload.engine.control import Control
from ciload.engine.machine import usable_cores
from ciload.engine.run import Run
from ciload.engine.signals import signals_deferred, stop_on_signals
from ciload.engine.watchdog import Watchdog
from ciload.engine.workers import WorkerProcesses, processes
from ciload.errors import BaselineError, CiloadError, ExitCode, UsageError
from ciload.http.ready import wait_until_ready
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Registry
from ciload.metrics.snapshot import Snapshot
from ciload.options.model import URL_OPTIONS, Options
from ciload.options.plan import Plan, make_plan, origins
from ciload.options.sources import Source, from_environment, from_file, from_flags, from_script
from ciload.reports.console import console_summary
from ciload.result.build import build_result
from ciload.result.comparison import Comparison
from ciload.result.document import Failure, RunResult
from ciload.runner.report_files import COMMENT, claim_folder, remove_reports, write_report, write_reports
from ciload.script.loader import Script, load_script
from ciload.secrets import without_secrets
from ciload.text import one_line

LONGEST_ERROR = 300


def run_command(path: Path | None, config: Path | None, env: Sequence[str], flags: Mapping[str, Any]) -> int:
    """Do the run; every outcome ends here as an exit code and, unless it was a usage error, as reports."""
    bracket = Bracket.around(os.environ)
    return _command("run", path, env, flags, bracket, lambda path, told: _run(path, config, told, flags, bracket))


def inspect_command(path: Path | None, config: Path | None, env: Sequence[str], flags: Mapping[str, Any]) -> int:
    """Print what a run would do. Nothing is sent, written or removed, and mistakes end as they do in a run."""
    bracket = Bracket.around(os.environ)
    return _command("inspect", path, env, flags, bracket, lambda path, told: _inspect(path, config, told, flags))


def _command(
    name: str,
    path: Path | None,
    env: Sequence[str],
    flags: Mapping[str, Any],
    bracket: Bracket,
    act: Callable[[Path, Mapping[str, str]], int],
) -> int:
    _allow_open_files()
    urls = [url for each in URL_OPTIONS for url in (flags.get(each), os.environ.get(f"CILOAD_{each.upper()}")) if url]
    bracket.open(known_secrets(os.environ, urls))  # before the script says its first word
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the engine takes over, it ends like SIGINT

    def with_environment() -> int:
        if path is None:
            raise UsageError(f"which script? usage: ciload {name} SCRIPT [options]; `ciload run --help` shows one")
        environment = dict(os.environ)
        os.environ.update(_parse_env(env))  # after the copy: -e is for the script and never sets options
        return act(path, environment)

    return exit_code_of(with_environment, bracket)


def _allow_open_files() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is an open file


def _load(path: Path, config: Path | None, sources: list[Source], registry: Registry) -> tuple[Script, Plan]:
    """Run the script's top level and make the plan; `sources`, flags and environment, gets what else there is."""
    file_source = from_file(config)
    script = load_script(path, registry)
    sources += [from_script(script.options, script.path, script.lines), file_source]
    return script, make_plan(sources, registry.metrics, script.complaint_about)


def _inspect(path: Path, config: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> int:
    sources = [from_flags(flags), from_environment(environment)]
    script, plan = _load(path, config, sources, Registry())
    show_parts(describe_plan(script, plan, origins(sources)))
    return ExitCode.PASSED


def _run(
    path: Path, config: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any], bracket: Bracket
) -> int:
    registry = Registry()
    sources = [from_flags(flags), from_environment(environment)]
    # Before anything can go wrong: whatever happens, no earlier run's green report is left for CI to pick up.
    remove_reports(_out_dir(sources))
    try:
        script, plan = _load(path, config, sources, registry)
        folder = claim_folder(plan.options.out_dir)
        gate = Gate.open(plan.options, environment)
        _wait(plan)
    except UsageError:
        raise
    except CiloadError as error:
        facts = facts_of_failure(path, environment, error)
        folder, result = claim_folder(_out_dir(sources)), build_result(Snapshot(dict(BUILTIN)), facts)
        files = write_reports(folder, result)
        _publish(result, files, environment, bracket, _wants_comment(sources), error.exit_code)
        raise
    outcome = _execute(plan, script, registry)
    facts = facts_of_run(path, environment, plan, outcome)
    result = build_result(outcome.snapshot, facts)
    with signals_deferred() as received:  # until it is written, nothing of it may get lost
        reruns, comparisons = _confirmed(gate, plan, result, environment)
        if received or any(each.verdict.exit_code == ExitCode.INTERRUPTED for each in reruns):
            stop = Failure(code=ExitCode.INTERRUPTED, reason="interrupted after the load, while it was compared")
            facts = replace(facts, stops=[*facts.stops, stop])
            result = build_result(outcome.snapshot, facts)
        result = gate.judged(result, comparisons)
        custom = custom_outputs(script, result)
        if custom.failure is not None:
            result = build_result(outcome.snapshot, replace(facts, stops=[*facts.stops, custom.failure]))
            result = gate.judged(result, comparisons)
        files = write_reports(folder, result)
    if custom.stdout is not None:
        show(custom.stdout)
    elif not plan.options.quiet:
        show(console_summary(result, files, color=wants_color()))
    if custom.files and not plan.options.quiet:
        say(f"handle_summary() wrote {', '.join(map(str, custom.files))}")
    exit_code = result.verdict.exit_code
    try:
        kept = gate.keep(result)
        if kept and not plan.options.quiet:
            say(kept)
    except BaselineError as error:
        say(f"error: {error}")
        exit_code = exit_code or error.exit_code
    _publish(result, files, environment, bracket, plan.options.comment, exit_code, quiet=plan.options.quiet)
    return exit_code


def _publish(
    result: RunResult,
    files: Sequence[Path],
    environment: Mapping[str, str],
    bracket: Bracket,
    comment: bool,
    exit_code: int,
    *,
    quiet: bool = False,
) -> None:
    if result.ci.provider not in ("github", "gitlab") and not comment:
        return
    from ciload.ci.publish import publish  # late: at a terminal nobody needs it

    folder = files[0].parent
    write = partial(write_report, folder / COMMENT)
    published = publish(result, files, folder, environment, write, comment=comment, exit_code=exit_code)
    for line in published.said:
        if not quiet or line.startswith("warning"):
            say(line)
    bracket.later(published.commands)


def _confirmed(
    gate: Gate, plan: Plan, result: RunResult, environment: Mapping[str, str]
) -> tuple[list[RunResult], list[Comparison]]:
    """Reruns, if the gates have a suspicion that somebody wants confirmed, and what they say of all runs together.

    How many there are is fixed in advance: to stop at the first good one would take the regressions out as well.
    """
    comparisons = gate.compare([result])
    suspicion = gate.wants_confirmation(result, comparisons)
    reruns: list[RunResult] = []
    while suspicion and len(reruns) < plan.options.confirm:
        if not plan.options.quiet:
            say(f"this may be a regression ({suspicion}): run {len(reruns) + 1} of {plan.options.confirm} to confirm")
        registry = Registry()
        try:
            script = load_script(Path(result.name), registry)
        except CiloadError as error:  # its top level could be run once only: what was measured stands
            say(f"cannot run again to confirm: {one_line(str(error), LONGEST_ERROR)}")
            break
        outcome = _execute(plan, script, registry)
        reruns.append(build_result(outcome.snapshot, facts_of_run(script.path, environment, plan, outcome)))
        if reruns[-1].verdict.exit_code == ExitCode.INTERRUPTED:
            break
    return reruns, gate.compare([result, *reruns]) if reruns else comparisons


def _wants_comment(sources: Sequence[Source]) -> bool:
    """Whether a comment was asked for, as far as is known when options may be wrong."""
    named = [source.values["comment"] for source in sources if "comment" in source.values]
    return bool(named) and str(named[0]).lower() in ("true", "1", "yes", "on")


def _out_dir(sources: Sequence[Source]) -> str:
    """Where reports go, as far as is known before the options are checked."""
    default = str(Options.model_fields["out_dir"].default)
    named = (source.values.get("out_dir") for source in sources)
    return next((each for each in named if isinstance(each, str) and each), default)


def _wait(plan: Plan) -> None:
    if plan.options.wait_for:
        if not plan.options.quiet:
            say(f"waiting for {without_secrets(plan.options.wait_for)} …")
        verify = not plan.options.insecure_skip_tls_verify
        anyio.run(wait_until_ready, plan.options.wait_for, plan.options.wait_timeout, verify)


def _execute(plan: Plan, script: Script, registry: Registry) -> RunOutcome:
    control, said = Control(), set[str]()

    def report_block(where: str, seconds: float) -> None:
        run.outcome.health.block(where, seconds)
        if where not in said:
            said.add(where)
            say(f"warning: {where} blocks all virtual users; use `await sleep()` and async clients")

    watchdog = Watchdog(script.path, report_block)
    with progress_for(plan, script) as progress, watchdog, stop_on_signals(control, watchdog):
        workers = None
        if (count := processes(plan, usable_cores())) > 1:
            workers = WorkerProcesses(plan, script.path, count, control, watchdog, report_block)
        run = Run(plan, script, registry, control, watchdog, progress, workers)
        uvloop = sys.platform != "win32"
        return anyio.run(run.execute, backend_options={"use_uvloop": uvloop})


def _parse_env(pairs: Sequence[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]
    if wrong:
        raise UsageError(f"-e {wrong[0]}: write -e KEY=VALUE")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
