"""The parts that text for terminals and logs is made of. Whatever they are made from: what it could do to a terminal is
shown, not done (`ciload/text.py`), and only `Text` with line breaks of ours is more than one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ciload.text import several_lines, visible

WIDTH = 200  # a narrow terminal wraps better than a table that cuts its own columns, and a log does not wrap at all


class Grid(Table):
    """A table whose cells are plain text, each a line."""

    def add_row(self, *cells: Text | str, **settings: Any) -> None:  # type: ignore[override]
        super().add_row(*(_one_line_of(cell) for cell in cells), **settings)


Printable = Text | Grid | str


def render(parts: Iterable[Printable], *, color: bool) -> str:
    """The parts as text, with ANSI colours or without."""
    out = StringIO()
    console = Console(
        file=out, force_terminal=color, no_color=not color, width=WIDTH, highlight=False,
        legacy_windows=False,
    )  # fmt: skip
    for part in parts:
        if isinstance(part, Grid):
            console.print(part, crop=False)
        else:  # never wrapped: a word from outside must not get to the start of a line, where CI reads commands
            console.print(_lines_of(part), crop=False, no_wrap=True, overflow="ignore")
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def _one_line_of(cell: Text | str) -> Text:
    if isinstance(cell, str):
        return Text(visible(cell))
    return cell if cell.plain.isprintable() else Text(visible(cell.plain), style=cell.style)


def _lines_of(part: Text | str) -> Text:
    if isinstance(part, str):
        return Text(several_lines(part))
    harmless = several_lines(part.plain)
    return part if harmless == part.plain else Text(harmless, style=part.style)


def heading(title: str, rest: str = "") -> Text:
    return Text.assemble(("\n  " + visible(title), "bold"), visible(rest))


def line(text: str, style: str = "") -> Text:
    """One line, however long."""
    return Text(visible(text), style=style)


def lines(text: str, style: str = "", indent: str = "") -> Text:
    """Text that is known to be several lines, each behind an indent."""
    return Text("\n".join(indent + each for each in several_lines(text).split("\n")), style=style)


def grid(columns: Sequence[str], right_from: int) -> Grid:
    """A table without lines; its first column is for marks, and has no title."""
    table = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim", show_header=any(columns))
    table.add_column("", width=3)
    for index, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if index >= right_from else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=index > 0)
    return table
