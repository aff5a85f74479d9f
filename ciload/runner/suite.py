"""Several tests, one after the other, each in a process of its own; then one verdict, and reports of all of them.

A script may leave threads, patched modules or a blocked event loop behind, and a run may have to end its process: with
a process each, no test has anything of the one before it. What a test came to is its exit code and its `result.json`.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from ciload.child import SIGNALS, how_it_ended
from ciload.ci.identity import find_folder, identify_ci, identify_git
from ciload.errors import BaselineError, ExitCode, UsageError
from ciload.options.sources import Source, from_environment, from_file, from_flags
from ciload.reports.headline import headline_of
from ciload.result.document import RunResult
from ciload.result.identity import server_of
from ciload.result.reader import RESULT_FILE, read_result
from ciload.result.suite import Suite, SuiteTest
from ciload.runner import unchecked
from ciload.runner.interface import SuiteInterface
from ciload.runner.prepare import RunRequest
from ciload.runner.publish import give_to_ci
from ciload.runner.report_files import SUITE_REPORTS, claim_folder, remove_reports, write_report
from ciload.secrets import without_secrets

LONGEST_FOLDER = 60
NO_RESULT, NO_END = "the test ended without a result", "the test ended before its time"

Start = Callable[[RunRequest], tuple[subprocess.Popen[bytes], Connection]]


@dataclass(frozen=True, slots=True)
class TestEnd:
    """The last word of a test's process: what it leaves with, and the error that it has told last."""

    exit_code: int
    error: str


@dataclass(frozen=True, slots=True)
class SuiteRequest:
    """What somebody asks for.

    Attributes:
        scripts: as they were asked for: paths, patterns, URLs.
        tests: the requests that these came to, as for runs of their own.
        fail_fast: end with the first test that fails.
        start: starts the process of a test, which sends a `TestEnd` in the end, and is sent nothing.
    """

    scripts: Sequence[str]
    tests: Sequence[RunRequest]
    fail_fast: bool
    start: Start


def run_suite(request: SuiteRequest, interface: SuiteInterface) -> int:
    """Run all tests; answers the exit code.

    Raises:
        UsageError: there is no place for reports.
    """
    first = request.tests[0]
    sources = [from_flags(first.flags), from_environment(first.environment), _file(first)]
    folder = claim_folder(unchecked.out_dir(sources))
    suite = _suite(request, sources)
    interface.suite_begins(quiet=unchecked.switch(sources, "quiet"))
    with Relay() as relay:
        tests = tuple(_tests(request, unchecked.text(sources, "name"), folder, relay, interface))
    codes = [each.exit_code for each in tests if each.exit_code]
    exit_code = int(ExitCode.INTERRUPTED) if ExitCode.INTERRUPTED in codes else next(iter(codes), 0)
    suite = suite.model_copy(update={"tests": [*tests], "exit_code": exit_code})
    return _publish(first.mask.document(suite), request, sources, interface)


def _file(request: RunRequest) -> Source:
    """The options' file. Mistakes in it are each test's to tell."""
    with suppress(UsageError):
        return from_file(request.config)
    return Source({}, lambda _: "")


def _suite(request: SuiteRequest, sources: Sequence[Source]) -> Suite:
    environment, here = request.tests[0].environment, Path.cwd()
    return Suite(
        name=unchecked.text(sources, "name"),
        scripts=[without_secrets(each) for each in request.scripts],
        target=unchecked.text(sources, "target") or server_of(unchecked.text(sources, "base_url")),
        leg=unchecked.text(sources, "leg"),
        folder=find_folder(environment, here),
        git=identify_git(environment, here),
        ci=identify_ci(environment),
        exit_code=0,
        tests=[],
    )


# --- the tests


class Relay:
    """Hands signals on to the process that is running; none is started after one."""

    def __init__(self) -> None:
        self._received = ""
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Relay:
        self._previous = {each: signal.signal(each, self._handle) for each in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def interrupted(self) -> str:
        """By which signal, in words; "" if by none."""
        return self._received and f"interrupted by {self._received}"

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._received = signal.Signals(number).name
        if self.process is not None:
            self.process.send_signal(number)


def _tests(
    request: SuiteRequest, name: str, folder: Path, relay: Relay, interface: SuiteInterface
) -> Iterator[SuiteTest]:
    folders, named, stopped = folders_of([str(each.script) for each in request.tests]), dict[str, str](), ""
    for number, (test, results) in enumerate(zip(request.tests, folders, strict=True), 1):
        script, interrupted = str(test.script), relay.interrupted()
        if stopped or interrupted:
            code = None if stopped else int(ExitCode.INTERRUPTED)
            stopped = stopped or interrupted
            yield SuiteTest(script=script, results=results, exit_code=code, found="not run", reason=stopped)
            continue
        interface.test_begins(script, number, len(request.tests))
        flags = {**test.flags, "out_dir": str(folder / results)}
        flags |= {"name": f"{name}: {script.removesuffix('.py')}"} if name else {}
        asked = replace(test, flags=flags, in_suite=True, taken=dict(named))
        done = _ended(script, results, *_run(request.start, asked, folder / results, relay))
        yield done
        if done.result is not None and (called := done.result.options.get("name")):
            named.setdefault(str(called), script)
        if done.exit_code == ExitCode.INTERRUPTED:
            stopped = done.found
        elif done.failed and request.fail_fast:
            stopped = f"{script} failed, and --fail-fast ends with the first failure"


def folders_of(scripts: Sequence[str]) -> list[str]:
    """A folder for the reports of each: of its path, as far as any file system takes it, and no other's."""
    found: list[str] = []
    for script in scripts:
        plain = re.sub(r"[^A-Za-z0-9]+", "-", script.removesuffix(".py"))[-LONGEST_FOLDER:].strip("-") or "test"
        name, number = plain, 1
        while name.lower() in map(str.lower, found):
            number += 1
            name = f"{plain}-{number}"
        found.append(name)
    return found


def _run(start: Start, request: RunRequest, folder: Path, relay: Relay) -> tuple[int, TestEnd | None, RunResult | None]:
    """Its process's exit code, what it has said in the end, and its result."""
    remove_reports(str(folder))  # whatever becomes of the process, what is there afterwards is its own
    process, connection = start(request)
    relay.process = process
    if relay.interrupted():  # just now
        process.terminate()
    code = process.wait()
    relay.process = None
    end: TestEnd | None = None
    with suppress(EOFError, OSError), connection:
        if connection.poll():  # a process that the script has left behind may hold the pipe open
            end = connection.recv()
    try:
        result = read_result(folder / RESULT_FILE)
    except UsageError:
        result = None
    except BaselineError as broken:
        result, end = None, TestEnd(end.exit_code if end else 0, str(broken))
    return code, end, result


def _ended(script: str, results: str, code: int, end: TestEnd | None, result: RunResult | None) -> SuiteTest:
    """What a test came to: no result is a failure, and so is one that does not say what the exit code says.

    A process that has not said in the end what it leaves with was ended by the script, or from outside.
    """
    exit_code = (end.exit_code if end else 0) or (128 - code if code < 0 else code)
    error, reason = end.error if end else "", ""
    if result is None or (end is None and not exit_code):
        reason = error or f"{NO_RESULT if result is None else NO_END}: its process {how_it_ended(code)}"
        exit_code = exit_code or ExitCode.INTERNAL_ERROR
    elif result.verdict.passed and exit_code:
        reason = error or f"its process {how_it_ended(code)}, though what was measured passed"
    elif not result.verdict.passed and not exit_code:
        exit_code = result.verdict.exit_code
    found = reason.partition("\n")[0] if reason or result is None else headline_of(result).found
    return SuiteTest(
        script=script, results=results, exit_code=int(exit_code), found=found, reason=reason, result=result
    )


# --- the end


def _publish(suite: Suite, request: SuiteRequest, sources: Sequence[Source], interface: SuiteInterface) -> int:
    """Write and show the reports of all tests, and tell the CI; the exit code says if a report could not be written."""
    folder, exit_code, files = Path(unchecked.out_dir(sources)), suite.exit_code, list[Path]()
    environment: Mapping[str, str] = request.tests[0].environment
    for file, render in SUITE_REPORTS.items():
        try:
            files.append(write_report(folder / file, render(suite)))
        except UsageError as error:
            interface.say(str(error), "error")
            exit_code = exit_code or error.exit_code
    interface.show_suite(suite, files)
    return give_to_ci(suite, files, folder, environment, interface, exit_code, unchecked.for_ci(sources))
