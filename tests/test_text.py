"""Text that somebody else wrote, as it may be shown."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis.strategies import text

from ciload.text import closest, one_line, several_lines, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Nürnberg → 東京 😀", "Nürnberg → 東京 😀"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b\x07\x00", r"\x9b\x07\x00"),
        ("a\u202eb\u200bc\U000e0041", r"a\u202eb\u200bc\U000e0041"),
        ("main-\udcff", r"main-\udcff"),
        ("a\r\nb\u2028c\x85d\te", "a  b c d e"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str) -> None:
    """Characters that move, hide or turn text are escapes, and nothing ends the line."""
    assert visible(text) == shown
    assert visible(text).encode()


def test_one_line_is_short() -> None:
    """Runs of spaces are one, and what is cut off leaves an ellipsis."""
    assert one_line("  a \n\n b  ") == "a b"
    assert one_line("x" * 10, 5) == "xxxx…"
    assert one_line(" " * 100 + "x", 5) == "…"
    assert len(one_line("\x1b" * 1_000_000)) == 200


def test_several_lines_stay() -> None:
    """A traceback keeps its lines and indents, and each is harmless."""
    assert several_lines("a\n  b\x1b[0m\r\nc\rd") == "a\n  b\\x1b[0m\nc d"


@given(text())
def test_what_is_shown_can_stand_in_xml(text: str) -> None:
    """Whatever it is made from: reports for CI are XML."""
    assert ElementTree.fromstring(f"<a>{escape(visible(text))}</a>").text == (visible(text) or None)


def test_what_was_meant() -> None:
    """The nearest of the known words, if one is near."""
    assert closest("duratoin", ["rate", "duration"]) == "duration"
    assert closest("hosts", ["stages", "rate"]) is None
