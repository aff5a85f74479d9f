"""Text that somebody else wrote (a target, a script, a file, a branch's name), as it may be shown.

Nothing in it ends a line, hides, turns the reading direction or gives a command to a terminal: what would do so is
shown as an escape, such as `\\x1b`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

LONGEST = 200  # characters of a name or a place in a message
# What the path of a URL may hold as it is; a query may hold a question mark as well.
SAFE_PATH = "/%:@!$&'()*+,;=~-._"
SAFE_QUERY = SAFE_PATH + "?"

ENDS_LINES = ("Zl", "Zp")
UNSEEN = ("Cc", "Cf", "Cs")  # controls, formats such as turns of direction, halves of surrogate pairs
NO_CHARACTERS = "\ufffe\uffff"  # nor can XML hold them, so whatever is made visible may stand in it


def visible(text: str) -> str:
    """`text` with an escape for each character that cannot be seen, and a space for what ends lines or is a tab."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ENDS_LINES or (category == "Cc" and character.isspace()):
        return " "
    unseen = category in UNSEEN or character in NO_CHARACTERS
    return character.encode("unicode_escape").decode("ascii") if unseen else character


def one_line(text: str, most: int = LONGEST) -> str:
    """`text` as a line of at most `most` characters, without runs of spaces; what is cut off leaves an ellipsis."""
    start = text[: 4 * most]  # of megabytes nobody needs the rest, and there may be thousands of them
    line = " ".join(visible(start).split())
    return line if len(line) <= most and start == text else line[: most - 1] + "…"


def several_lines(text: str) -> str:
    """`text` that is known to be several lines, such as a traceback: they stay, and each of them is visible."""
    return "\n".join(visible(line) for line in text.replace("\r\n", "\n").split("\n"))


def request_label(method: str, name: str) -> str:
    """What a request is called: `GET /users`, also when its name says the method itself; "" for all requests."""
    return name if name.startswith(f"{method} ") else f"{method} {name}".strip()


def words(text: str) -> str:
    """The words of any text, in lower case, with underscores between them; it may begin with a digit, or be empty."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text[:200])
    return re.sub(r"[^0-9a-z]+", "_", spaced.lower()).strip("_")


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """What was probably meant by a word that is none of the known ones."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)
