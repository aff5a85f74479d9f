"""The files of a run: written atomically, and never left over from an earlier run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ciload.errors import UsageError
from ciload.reports.gitlab_load_performance import load_performance_json
from ciload.reports.junit import junit_xml
from ciload.reports.markdown import markdown_summary
from ciload.reports.openmetrics import openmetrics_text
from ciload.reports.taurus_xml import final_status_xml
from ciload.result.document import RunResult

REPORTS: dict[str, Callable[[RunResult], str]] = {
    "result.json": RunResult.to_json,
    "junit.xml": junit_xml,
    "summary.md": markdown_summary,
    "load-performance.json": load_performance_json,
    "metrics.txt": openmetrics_text,
    "final-status.xml": final_status_xml,
}
COMMENT = "comment.md"  # only where a comment was asked for; what it says depends on the CI


def forget_reports(folder: str) -> None:
    """Remove an earlier run's reports.

    Raises:
        UsageError: they cannot be removed.
    """
    path = Path(folder)
    try:
        for name in (*REPORTS, COMMENT) if path.is_dir() else ():
            (path / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"--out-dir {path}: cannot remove old reports: {error.strerror or error}") from None


def claim_folder(folder: str) -> Path:
    """Make the folder for reports and see that it can be written to, since a run whose outcome is lost is wasted.

    Raises:
        UsageError: reports cannot be written there.
    """
    forget_reports(folder)
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(f"--out-dir {path}: cannot write reports there: {error.strerror or error}") from None
    return path


def write_reports(folder: Path, result: RunResult) -> list[Path]:
    """Write every report; answers their paths.

    Raises:
        UsageError: one could not be written.
    """
    return [write_report(folder / name, render(result)) for name, render in REPORTS.items()]


def write_report(path: Path, text: str) -> Path:
    """Write one file of the results.

    Raises:
        UsageError: it could not be written.
    """
    try:
        write_atomically(path, text)
    except OSError as error:
        raise UsageError(f"{path}: the report could not be written: {error.strerror or error}") from None
    return path


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` as a whole: a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
