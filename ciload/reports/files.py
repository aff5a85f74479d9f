"""The files of a run: written atomically, and never left over from an earlier run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ciload.errors import UsageError
from ciload.reports.junit import junit_xml
from ciload.reports.markdown import markdown_summary
from ciload.result.document import RunResult

REPORTS: dict[str, Callable[[RunResult], str]] = {
    "result.json": RunResult.to_json,
    "junit.xml": junit_xml,
    "summary.md": markdown_summary,
}


def claim_folder(folder: str) -> Path:
    """Make the folder for reports, see that it can be written to, and remove an earlier run's reports.

    Before the run, because a run whose outcome cannot be kept is wasted, and because a run that dies must not leave
    another run's green report behind.

    Raises:
        UsageError: reports cannot be written there.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name in REPORTS:
            (path / name).unlink(missing_ok=True)
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
    paths = []
    for name, render in REPORTS.items():
        try:
            write_atomically(folder / name, render(result))
        except OSError as error:
            raise UsageError(f"{folder / name}: the report could not be written: {error.strerror or error}") from None
        paths.append(folder / name)
    return paths


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
