"""The parts that text for terminals and logs is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 200  # a narrow terminal wraps better than a table that cuts its own columns, and a log does not wrap at all

Printable = Text | Table | str


def rendered(parts: Iterable[Printable], *, color: bool) -> str:
    """The parts as text, with ANSI colours or without."""
    out = StringIO()
    console = Console(
        file=out, force_terminal=color, no_color=not color, width=WIDTH, highlight=False,
        legacy_windows=False,
    )  # fmt: skip
    for part in parts:
        whole = isinstance(part, Text) and bool(part.no_wrap)
        console.print(part, crop=False, no_wrap=whole or None, overflow="ignore" if whole else None)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def heading(title: str, rest: str = "") -> Text:
    return Text.assemble(("\n  " + title, "bold"), rest)


def line(text: str, style: str = "") -> Text:
    """One line, however long: what comes from outside must not get to the start of a line, where CI reads commands."""
    return Text(text, style=style, no_wrap=True)


def grid(columns: Sequence[str], right_from: int) -> Table:
    """A table without lines; its first column is for marks, and has no title."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_header=any(columns))
    table.add_column("", width=3)
    for index, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if index >= right_from else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=index > 0)
    return table
