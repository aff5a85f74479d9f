"""Text from the target or the script, as one line: nothing in it hides or moves other text."""

from __future__ import annotations

import re
import unicodedata

# What XML 1.0 cannot hold even when escaped, and the C1 controls, which it advises against.
ILLEGAL = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def one_line(text: str, most: int) -> str:
    """`text` as a line of at most `most` characters; what is cut off leaves an ellipsis."""
    start = text[: 4 * most]  # of megabytes nobody needs the rest, and there may be thousands of them
    line = " ".join("".join(map(visible, start)).split())
    return line if len(line) <= most and start == text else line[: most - 1] + "…"


def visible(character: str) -> str:
    """No character that ends lines, hides, turns the reading direction, or cannot be encoded."""
    category = unicodedata.category(character)
    return " " if category in ("Cc", "Zl", "Zp") else "\ufffd" if category in ("Cf", "Cs") else character


def xml_text(text: str, instead: str = " ") -> str:
    """`text` without what no XML document can hold; the rest is for the writer of XML to escape."""
    return ILLEGAL.sub(instead, text)
