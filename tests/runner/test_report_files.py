"""Reports as files: all or nothing, and never somebody else's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ciload.ci.sticky import comment_text, marker_of
from ciload.errors import UsageError
from ciload.runner.report_files import BEGINNINGS, COMMENT, claim_folder, write_report
from tests.reports.results import result
from tests.runner.reports import write_reports

OURS = ["final-status.xml", "junit.xml", "load-performance.json", "metrics.txt", "result.json", "summary.md"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_reports_are_written(tmp_path: Path) -> None:
    """For people and for each CI, and no temporary file is left."""
    folder = claim_folder(str(tmp_path / "new" / "folder"))
    paths = write_reports(folder, result())
    assert names(folder) == OURS
    assert all(path.read_text(encoding="utf-8") for path in paths)


def test_claiming_removes_old_reports_and_nothing_else(tmp_path: Path) -> None:
    """Every file that ciload wrote is known again; a user's other files in the folder stay."""
    write_reports(tmp_path, result())
    write_report(tmp_path / COMMENT, comment_text(result(), marker_of(result(), "load", "test"), None))
    (tmp_path / "mine.txt").write_text("mine")
    assert names(tmp_path) == sorted([*OURS, COMMENT, "mine.txt"])
    claim_folder(str(tmp_path))
    assert names(tmp_path) == ["mine.txt"]


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_file_of_the_users_is_neither_removed_nor_overwritten(tmp_path: Path, name: str) -> None:
    """With `--out-dir .`, a project's own summary.md is in the way: it is named, and nothing is removed."""
    write_reports(tmp_path, result())
    (tmp_path / name).write_text("# Mine")
    before = names(tmp_path)
    with pytest.raises(UsageError, match=rf"{name}: is no report of ciload's"):
        claim_folder(str(tmp_path))
    assert (names(tmp_path), (tmp_path / name).read_text()) == (before, "# Mine")


def test_an_empty_file_is_replaced(tmp_path: Path) -> None:
    """Pipelines touch files for steps that fail without one."""
    (tmp_path / "junit.xml").touch()
    claim_folder(str(tmp_path))
    assert names(tmp_path) == []


def test_links_and_folders_are_somebody_elses(tmp_path: Path) -> None:
    """What is no file cannot be a report."""
    (tmp_path / "junit.xml").mkdir()
    with pytest.raises(UsageError, match=r"junit\.xml: is no report"):
        claim_folder(str(tmp_path))
    shutil.rmtree(tmp_path / "junit.xml")
    (tmp_path / "summary.md").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"summary\.md: is no report"):
        claim_folder(str(tmp_path))


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """It fails the run instead of being forgotten."""
    (tmp_path / "junit.xml").mkdir()
    with pytest.raises(UsageError, match=r"junit\.xml: the report could not be written"):
        write_reports(tmp_path, result())
