"""The files of a run: written as a whole, never left over from an earlier run, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ciload.errors import UsageError
from ciload.files import read_file, reason_of, try_writing, write_file
from ciload.reports.gitlab_load_performance import load_performance_json
from ciload.reports.junit import junit_xml
from ciload.reports.markdown import BEGINS, markdown_summary
from ciload.reports.markdown_suite import suite_summary
from ciload.reports.openmetrics import openmetrics_text
from ciload.reports.taurus_xml import final_status_xml
from ciload.result.document import RunResult
from ciload.result.reader import MOST_SUITE_BYTES
from ciload.result.suite import SUITE_FILE, Suite
from ciload.text import one_line

XML = b'<?xml version="1.0" encoding="utf-8"?>\n'
HEAD_BYTES = 200


@dataclass(frozen=True, slots=True)
class Report:
    """How one file is made of a result, and how it begins, by which an earlier one is known to be ciload's."""

    render: Callable[[RunResult], str]
    begins: tuple[bytes, ...]


REPORTS = {
    "result.json": Report(RunResult.to_json, (b'{\n "schema": "ciload/result/',)),
    "junit.xml": Report(junit_xml, (XML + b'<testsuites name="ciload ',)),
    "summary.md": Report(markdown_summary, (BEGINS.encode(), "## ✅ Passed: `".encode(), "## ❌ Failed: `".encode())),
    "load-performance.json": Report(load_performance_json, (b'{\n "metrics": {',)),
    "metrics.txt": Report(openmetrics_text, (b"# TYPE ciload_passed ",)),
    "final-status.xml": Report(final_status_xml, (XML + b"<FinalStatus>\n  <TestDuration>",)),
}
SUITE_REPORTS: dict[str, Callable[[Suite], str]] = {
    SUITE_FILE: Suite.to_json, "junit.xml": junit_xml, "summary.md": suite_summary, "metrics.txt": openmetrics_text,
}  # fmt: skip
COMMENT = "comment.md"  # only where a comment was asked for; what it says depends on the CI
BEGINNINGS = {name: report.begins for name, report in REPORTS.items()} | {
    COMMENT: (b"<!-- ciload:",), SUITE_FILE: (b'{\n "schema": "ciload/suite/',),
}  # fmt: skip


def remove_reports(folder: str) -> None:
    """Remove an earlier run's reports; those of all tests, if it was a suite.

    Raises:
        UsageError: they cannot be removed, or a file of that name is somebody else's; then none is removed.
    """
    path = Path(folder)
    try:
        ours = [each for one in (path, *folders_of_tests(path)) if one.is_dir() for each in _ours(one)]
        for each in ours:
            each.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"--out-dir {one_line(folder)}: cannot remove old reports: {reason_of(error)}") from None


def folders_of_tests(folder: Path) -> list[Path]:
    """Those of the suite whose reports are there."""
    try:
        suite = Suite.model_validate_json(read_file(folder / SUITE_FILE, MOST_SUITE_BYTES))
    except (OSError, ValueError):
        return []
    return [folder / each.results for each in suite.tests]


def _ours(folder: Path) -> Iterator[Path]:
    """The reports that are there. An empty file is nobody's loss; pipelines make some for steps that want a file."""
    for name, begins in BEGINNINGS.items():
        path = folder / name
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except FileNotFoundError:
            if path.is_symlink():
                raise _foreign(path) from None
            continue
        except IsADirectoryError:
            raise _foreign(path) from None
        if head and not head.startswith(begins):
            raise _foreign(path)
        yield path


def _foreign(path: Path) -> UsageError:
    return UsageError(
        f"{one_line(str(path))}: is no report of ciload's, and would be overwritten by one; "
        "write the reports elsewhere (--out-dir), or move the file"
    )


def claim_folder(folder: str) -> Path:
    """Make the folder for reports and see that it can be written to, since a run whose outcome is lost is wasted.

    Raises:
        UsageError: reports cannot be written there, or would overwrite somebody else's file.
    """
    remove_reports(folder)
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        try_writing(path)
    except OSError as error:
        raise UsageError(f"--out-dir {one_line(folder)}: cannot write reports there: {reason_of(error)}") from None
    return path


def write_report(path: Path, text: str) -> Path:
    """Write one file of the results.

    Raises:
        UsageError: it could not be written.
    """
    try:
        write_file(path, text.encode("utf-8"))
    except OSError as error:
        raise UsageError(f"{one_line(str(path))}: the report could not be written: {reason_of(error)}") from None
    return path
