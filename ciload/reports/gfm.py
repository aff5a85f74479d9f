"""GitHub-flavoured markdown whose content is hostile: it can neither leave its place nor become anything but text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from ciload.text import one_line, visible

T = TypeVar("T")
Row = Sequence[str]

KIB = 1024
TABLE_BUDGET = 110 * KIB
LIST_BUDGET = 30 * KIB
OPEN_ROWS = 25  # of a table; further ones are folded
LONGEST_NAME = 200
LONGEST_PROSE = 600
LONGEST_LINE = 500

CODE_ENDS = re.compile(r"[`|\\]")
MARKUP = re.compile(r"[!-/:-@\[-`{-~]")
# What starts something in the middle of a line; "/" for https://, the dot for www., which GitHub links without asking.
MARKUP_IN_PROSE = re.compile(r"[!\"#$&*+/<=>?@\[\\\]^_`{|}~]|(?<=www)\.", re.IGNORECASE)
MENTION = re.compile(r"[@#](?=\w)")
ZERO_WIDTH_SPACE = "\u200b"


def code(text: str, most: int = LONGEST_NAME) -> str:
    """`text` in a code span, as it is: safe in a table's cell, and never a link or a mention."""
    shown = one_line(text, most) or "(empty)"
    # A backtick ends a code span, a bar ends a cell even in one, and how backslashes mix with bars is anyone's guess.
    return f"<code>{_escape(shown, MARKUP)}</code>" if CODE_ENDS.search(shown) else f"`{shown}`"


def prose(text: str) -> str:
    """`text` as part of a line, as it is: safe anywhere but at the line's start."""
    return _escape(one_line(text, LONGEST_PROSE), MARKUP_IN_PROSE)


def paragraph(text: str) -> str:
    """`text` as a line of its own, as it is: no list, no rule, no underline of what stands above it."""
    line = prose(text)
    return line if not line or line[0].isalpha() or line[0] == "&" else f"&#{ord(line[0])};{line[1:]}"


def _escape(line: str, markup: re.Pattern[str]) -> str:
    # GitHub looks for @people, #issues and mail addresses after it has resolved entities: something must be between.
    apart = MENTION.sub(rf"\g<0>{ZERO_WIDTH_SPACE}", line)
    return markup.sub(lambda match: f"&#{ord(match[0])};", apart)


def table(title: str, columns: Row, row_of: Callable[[T], Row], items: Sequence[T], budget: int = TABLE_BUDGET) -> str:
    """A table under a heading, "" without items. A column's ">" aligns it to the right."""
    names = [column.removeprefix(">") for column in columns]
    head = [row_line(names), row_line(["--:" if column[:1] == ">" else ":--" for column in columns])]
    lines, note = cut((row_line(row_of(item)) for item in items), len(items), budget)
    if not items:
        return ""
    parts = [f"### {title}"] if title else []
    if lines:
        parts.append("\n".join([*head, *lines[:OPEN_ROWS]]))
    if len(lines) > OPEN_ROWS:
        parts.append(fold(f"{len(lines) - OPEN_ROWS:,} more", "\n".join([*head, *lines[OPEN_ROWS:]])))
    return "\n\n".join([*parts, *note])


def row_line(cells: Row) -> str:
    return f"| {' | '.join(cells)} |"


def rows_within(columns: Row, rows: Iterable[Row], total: int, most: int, budget: int) -> tuple[str, int]:
    """A table of the first rows, at most `most` and only as many as fit; and how many of `total` are not in it."""
    names = [column.strip("<>") for column in columns]
    sides = {">": "--:", "<": ":-:"}  # to the right, in the middle
    head = [row_line(names), row_line([sides.get(column[:1], ":--") for column in columns])]
    lines, _ = cut((row_line(row) for row in islice(rows, most)), total, budget)
    return ("\n".join([*head, *lines]) if lines else ""), total - len(lines)


def bullets(lines: Sequence[str], budget: int = LIST_BUDGET) -> str:
    kept, note = cut(lines, len(lines), budget)
    return "\n".join(f"- {line}" for line in [*kept, *note])


def cut(items: Iterable[str], total: int, budget: int) -> tuple[list[str], list[str]]:
    """The first of `total` items, as many as fit, and a note on how many did not."""
    kept: list[str] = []
    for item in items:
        budget -= len(item.encode()) + 2
        if budget < 0:
            return kept, [f"… and {total - len(kept):,} more"]
        kept.append(item)
    return kept, []


def code_block(text: str, budget: int, language: str = "") -> str:
    """A code block that no backticks inside it can end."""
    split = text.split("\n")
    kept, note = cut((visible(line[:LONGEST_LINE]) for line in split), len(split), budget)
    lines = "\n".join([*kept, *(f"{line} lines" for line in note)])
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", lines))])
    return f"{fence}{language}\n{lines}\n{fence}"


def fold(summary: str, body: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"
