"""The reports of a run, as a run writes them."""

from __future__ import annotations

from pathlib import Path

from ciload.result.document import RunResult
from ciload.runner.report_files import REPORTS, write_report


def write_reports(folder: Path, result: RunResult) -> list[Path]:
    """Write every report; answers their paths."""
    return [write_report(folder / name, report.render(result)) for name, report in REPORTS.items()]
