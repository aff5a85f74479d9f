"""Data as Python source. Whatever text is in it stands in quotes, with everything escaped that does not print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

WIDTH = 88  # what formatters take unless told otherwise
INDENT = "    "
ESCAPED = {'"': '\\"', "'": "\\'"}


class Code(str):
    """Source that stands where text would: an expression of ours."""

    __slots__ = ()


def literal(value: Any, depth: int, before: str = "", first: Iterable[str] = ()) -> str:
    """Source of data as a formatter leaves it, where `before` stands on a line that is `depth` deep."""
    if isinstance(value, bytes):
        return before + "b" + text_literal(value.decode("ascii"))
    if not isinstance(value, Mapping | list):
        return before + (text_literal(value) if isinstance(value, str) else repr(value))
    opening, closing = "{}" if isinstance(value, Mapping) else "[]"
    inside = INDENT * (depth + 1)
    if isinstance(value, Mapping):
        items = [*first, *(literal(each, depth + 1, f"{text_literal(key)}: ") for key, each in value.items())]
    else:
        items = [literal(each, depth + 1) for each in value]
    in_one = f"{before}{opening}{', '.join(items)}{closing}"
    fits = "\n" not in in_one and len(INDENT) * depth + len(in_one) < WIDTH
    if fits or not items:
        return in_one
    return f"{before}{opening}\n{inside}" + f",\n{inside}".join(items) + f",\n{INDENT * depth}{closing}"


def text_literal(text: str) -> str:
    """A literal in the quotes that formatters prefer, with everything escaped that does not print."""
    if isinstance(text, Code):
        return str(text)
    mark = '"' if text.count('"') <= text.count("'") else "'"
    return mark + escaped(text, mark) + mark


def escaped(text: str, mark: str) -> str:
    """Text between two of these quotes."""
    if text.isascii() and text.isprintable() and mark not in text and "\\" not in text:
        return text
    return "".join(ESCAPED[each] if each == mark else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character if character in ESCAPED else repr(character)[1:-1]
