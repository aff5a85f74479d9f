"""Where a script raised: the line that its author would look at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ciload.result.document import ErrorRow, Failure, RunResult
from ciload.text import one_line

FRAME = re.compile(r'^[ |]*File "(?P<file>.+?)", line (?P<line>\d+)', re.MULTILINE)
LONGEST_MESSAGE = 120
LONGEST_SOURCE = 120
OF_SCRIPT = "script"  # the source of an error row
LIBRARIES = "site-packages/"


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of the script's. `place` is file:line, "" where nobody knows; `source` is the text of that line."""

    message: str
    place: str = ""
    source: str = ""

    @property
    def said(self) -> str:
        """`load.py:14 raised KeyError: 'id'`."""
        return f"{self.place or 'the script'} raised {self.message}"


def script_errors_first(errors: Iterable[ErrorRow]) -> list[ErrorRow]:
    """Mistakes in the script stand before what targets answered, however many there are of these."""
    return sorted(errors, key=lambda each: each.source != OF_SCRIPT)


def raised(error: ErrorRow) -> Raised:
    """What a script error says in a line."""
    return Raised(one_line(error.message, LONGEST_MESSAGE), *_last_line(error.detail))


def place_of(error: ErrorRow) -> str:
    """Where an error is from: the line of the script if it is known, else its source."""
    return (_last_line(error.detail)[0] if error.source == OF_SCRIPT else "") or error.source


def raised_of(failure: Failure, result: RunResult) -> Raised | None:
    """The exception that a failure is about; None if it is about none that is known."""
    message, newline, trace = failure.reason.partition("\n")
    if newline and FRAME.search(trace):  # the script could not be loaded
        return Raised(one_line(_exception_line(trace) or message, LONGEST_MESSAGE), *_last_line(trace))
    known = [each for each in result.errors if each.source == OF_SCRIPT]
    named = (each for each in known if each.message and each.message in failure.reason)
    found = next(named, known[0] if known and failure.reason.startswith("the script raised ") else None)
    return raised(found) if found is not None else None


def _last_line(trace: str) -> tuple[str, str]:
    """The last frame that is the author's rather than a library's, as `file:line`, and what stands there."""
    frames = list(FRAME.finditer(trace))
    own = [each for each in frames if not each["file"].startswith("/") and LIBRARIES not in each["file"]]
    if not frames:
        return "", ""
    frame = (own or frames)[-1]
    following = trace[frame.end() :].partition("\n")[2].partition("\n")[0]
    source = "" if FRAME.match(following) or following[:1] not in (" ", "|") else following.strip(" |")
    return one_line(f"{frame['file']}:{frame['line']}"), one_line(source, LONGEST_SOURCE)


def _exception_line(trace: str) -> str:
    """The first line after the last frame that is neither its source nor a marker below that."""
    lines = trace[list(FRAME.finditer(trace))[-1].end() :].split("\n")[1:]
    return next((line for line in lines if line[:1].strip()), "")
