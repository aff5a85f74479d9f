"""The end of a run: what the script makes of it, the reports, the baseline, and what the CI is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ciload.errors import BaselineError, ExitCode, UsageError
from ciload.metrics.metric import BUILTIN
from ciload.metrics.snapshot import Snapshot
from ciload.result.build import build_result
from ciload.result.document import Failure, RunResult
from ciload.result.judgement import Evidence
from ciload.result.judgement import judge as judge_evidence
from ciload.result.suite import Tested
from ciload.runner.facts import facts_of_failure
from ciload.runner.interface import Interface, Speaker
from ciload.runner.masking import masked
from ciload.runner.prepare import PreparationFailedError, PreparedRun, RunRequest
from ciload.runner.report_files import COMMENT, REPORTS, claim_folder, write_report
from ciload.runner.summary_hook import CustomOutputs, call_summary_hook
from ciload.runner.unchecked import ForCI


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over. `exit_code` is not always the verdict's: saving the baseline comes after it."""

    result: RunResult
    files: Sequence[Path]
    exit_code: int


def save_result(prepared: PreparedRun, result: RunResult) -> None:
    """What was measured, on disk before anything else can go wrong. If it cannot be, the end says so."""
    with suppress(UsageError):
        write_report(prepared.folder / "result.json", result.to_json())


def publish(prepared: PreparedRun, result: RunResult, evidence: Evidence, interface: Interface) -> Finished:
    """Let the script see the result, write and show it, keep it, and hand it to the CI."""
    result = masked(result, prepared.request.mask)

    def without_hook(failure: Failure) -> int:
        return _publish(prepared, result, evidence, CustomOutputs(failure=failure), interface).exit_code

    custom = call_summary_hook(
        prepared.script, result, prepared.registry, lambda failure: interface.leave(without_hook(failure))
    )
    return _publish(prepared, result, evidence, custom, interface)


def _publish(
    prepared: PreparedRun, result: RunResult, evidence: Evidence, custom: CustomOutputs, interface: Interface
) -> Finished:
    if custom.failure is not None:
        evidence = replace(evidence, stops=[*evidence.stops, custom.failure])
        judged = result.model_copy(update={"verdict": judge_evidence(evidence)})
        result = masked(judged, prepared.request.mask)
    files, exit_code = _write_reports(prepared.folder, result, interface)
    exit_code = result.verdict.exit_code or exit_code
    for stream, text in custom.printed.items():
        interface.write(stream, text)
    if "stdout" not in custom.printed:
        interface.show_result(result, files)
    if custom.files:
        interface.say(f"handle_summary() wrote {', '.join(map(str, custom.files))}")
    try:
        if kept := prepared.gates.keep(result):
            interface.say(kept)
    except BaselineError as error:
        interface.say(str(error), "error")
        exit_code = exit_code or error.exit_code
    to_ci = ForCI(prepared.plan.options.comment, prepared.plan.options.status)
    if not prepared.request.in_suite:
        environment = prepared.request.environment
        exit_code = give_to_ci(result, files, prepared.folder, environment, interface, exit_code, to_ci)
    return Finished(result, files, exit_code)


def publish_failure(failed: PreparationFailedError, request: RunRequest, interface: Interface) -> None:
    """Reports of a run that has had no load.

    Raises:
        UsageError: there is no place for them.
    """
    folder = claim_folder(failed.out_dir)
    result, _ = build_result(Snapshot(dict(BUILTIN)), facts_of_failure(failed.identity, failed.error, failed.known))
    result = masked(result, request.mask)
    files, _ = _write_reports(folder, result, interface)
    if not request.in_suite:
        give_to_ci(result, files, folder, request.environment, interface, failed.error.exit_code, failed.to_ci)


def _write_reports(folder: Path, result: RunResult, interface: Interface) -> tuple[list[Path], int]:
    """Every report that can be written, and the exit code if one cannot."""
    files, exit_code = [], ExitCode.PASSED
    for name, report in REPORTS.items():
        try:
            files.append(write_report(folder / name, report.render(result)))
        except UsageError as error:
            interface.say(str(error), "error")
            exit_code = error.exit_code
    return files, exit_code


def give_to_ci(
    tested: Tested,
    files: Sequence[Path],
    folder: Path,
    environment: Mapping[str, str],
    interface: Speaker,
    exit_code: int,
    to_ci: ForCI,
) -> int:
    """Tell the CI of a test or a suite; answers the exit code, which an unwritten comment changes."""
    if tested.ci.provider not in ("github", "gitlab") and to_ci == ForCI():
        return exit_code
    from ciload.ci.publish import publish as publish_in_ci  # late: at a terminal nobody needs it

    try:
        published = publish_in_ci(
            tested, files, folder, environment, lambda body: write_report(folder / COMMENT, body),
            comment=to_ci.comment, status=to_ci.status, exit_code=exit_code,
        )  # fmt: skip
    except UsageError as error:
        interface.say(str(error), "error")
        return exit_code or error.exit_code
    for line in published.said:
        interface.say(line.removeprefix("warning: "), "warning" if line.startswith("warning: ") else "info")
    interface.give_commands(published.commands)
    return exit_code
