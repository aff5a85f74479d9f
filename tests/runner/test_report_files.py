"""Reports as files: all or nothing, and never somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ciload.errors import UsageError
from ciload.runner.report_files import claim_folder, write_atomically, write_reports
from tests.reports.results import result


def test_all_reports_are_written(tmp_path: Path) -> None:
    """For people and for each CI, and no temporary file is left."""
    folder = claim_folder(str(tmp_path / "new" / "folder"))
    paths = write_reports(folder, result())
    assert sorted(path.name for path in folder.iterdir()) == [
        "final-status.xml", "junit.xml", "load-performance.json", "metrics.txt", "result.json", "summary.md",
    ]  # fmt: skip
    assert all(path.read_text(encoding="utf-8") for path in paths)


def test_claiming_removes_old_reports_and_nothing_else(tmp_path: Path) -> None:
    """A user's own files in the folder stay."""
    for name in ("result.json", "junit.xml", "comment.md", "mine.txt"):
        (tmp_path / name).write_text("old")
    claim_folder(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """Readers see the old content or the new, never a part."""
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """It fails the run instead of being forgotten."""
    (tmp_path / "junit.xml").mkdir()
    with pytest.raises(UsageError, match=r"junit\.xml: the report could not be written"):
        write_reports(tmp_path, result())
