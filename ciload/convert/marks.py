"""Text with values in it that are only known when the script runs.

Such a value is a mark in the text: the number of a `Reference` between two characters of Unicode's private use, which
`clean` takes out of everything that is read. So URLs, forms and JSON with values in them are parsed like any other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

START, END = "\ue000", "\ue001"
MARK = re.compile(f"{START}(\\d+){END}")
WHOLE = "\ue002"  # before a mark that stands for a whole value of JSON, while it is text
TAKEN_OUT = re.compile(f"[{START}{END}{WHOLE}\ud800-\udfff]")  # halves of surrogate pairs cannot be sent


def clean(text: str) -> str:
    """Text of a file, without marks."""
    return text if text.isascii() else TAKEN_OUT.sub("\N{REPLACEMENT CHARACTER}", text)


@dataclass(frozen=True, slots=True)
class Reference:
    """A value by the expression that has it in the script.

    Attributes:
        code: the expression. It has no quotes, so that it can stand in an f-string.
        label: what it is called in names of requests, such as order_id.
        is_text: it is known to be text; a value of JSON may be a number.
        is_local: it is a variable of the iteration, and no constant of the script.
    """

    code: str
    label: str
    is_text: bool = True
    is_local: bool = False


class Bare(str):
    """A mark in JSON that stands for the value itself: what is a number stays one."""

    __slots__ = ()


@dataclass(slots=True)
class References:
    """All references of a script, each with its mark."""

    known: list[Reference] = field(default_factory=list)

    def mark(self, reference: Reference) -> str:
        if reference not in self.known:
            self.known.append(reference)
        return f"{START}{self.known.index(reference)}{END}"

    def pieces(self, text: str) -> list[str | Reference]:
        """Text and references, in turn; none of them is empty."""
        found: list[str | Reference] = []
        for index, piece in enumerate(MARK.split(text)):
            if index % 2:
                found.append(self.known[int(piece)])
            elif piece:
                found.append(piece)
        return found

    def labelled(self, text: str) -> str:
        """As it may be shown: `/orders/{order_id}`."""
        return MARK.sub(lambda hit: f"{{{self.known[int(hit[1])].label}}}", text)

    def are_local(self, text: str) -> bool:
        return any(self.known[int(number)].is_local for number in MARK.findall(text))


def has_mark(value: Any) -> bool:
    return isinstance(value, str) and START in value
