"""The end of a suite's output: a line for each test, and what they came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.text import Text

from ciload.reports.console import MARKS, headline_text
from ciload.reports.suite_headline import counted, lines_of, suite_headline
from ciload.reports.terminal import Printable, grid, heading, line, render
from ciload.result.suite import Suite
from ciload.text import visible


def suite_console(suite: Suite, files: Sequence[Path], *, color: bool) -> str:
    """The whole summary as text, with ANSI colours or without."""
    return render(_parts(suite, files), color=color)


def _parts(suite: Suite, files: Sequence[Path]) -> Iterable[Printable]:
    yield heading("TESTS", f"  {counted(suite)}")
    table = grid(("", "", ""), right_from=3)
    for each in lines_of(suite):
        mark, style = MARKS[each.mark]
        table.add_row(Text(f"  {mark}", style=style), visible(each.name), visible(each.found))
    yield table
    if files:
        yield ""
        names = ", ".join(path.name for path in files)
        yield line(f"  reports in {files[0].parent}/: {names}; those of each test in a folder of its own", "dim")
    word = f"FAILED (exit code {suite.exit_code})" if suite.exit_code else "PASSED"
    yield headline_text(suite_headline(suite), word)
