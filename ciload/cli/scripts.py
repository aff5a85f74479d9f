"""Which scripts the command line, or CILOAD_SCRIPT, asks for."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ciload.errors import UsageError
from ciload.script.page import Page
from ciload.text import one_line

VARIABLE = "CILOAD_SCRIPT"
ADDRESS = re.compile(r"https?:/|[\w.-]+:\d+(/|$)", re.IGNORECASE)
URL = re.compile(r"https?://", re.IGNORECASE)
PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Scripts:
    """What is to be run. `is_suite`: each is a test of several, though a pattern may have found only one."""

    found: Sequence[Path | Page]
    is_suite: bool
    left_out: Sequence[str] = ()  # no tests


def asked_scripts(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The arguments; without any, the lines of the variable."""
    lines = [line.strip() for line in environment.get(VARIABLE, "").splitlines()]
    return [*arguments] or [line for line in lines if line and not line.startswith("#")]


def find_scripts(asked: Sequence[str], command: str) -> Scripts:
    """Patterns become the files that they match, in the order of their names; nothing is run twice.

    Raises:
        UsageError: nothing was asked for, a pattern matches nothing, or of several scripts one is no file.
    """
    if not asked:
        raise UsageError(f"which script? usage: ciload {command} SCRIPT|URL [options]; `ciload run --help` shows one")
    is_suite = len(asked) > 1 or _is_pattern(asked[0])
    found: dict[str, Path | Page] = {}
    left_out = []
    for number, text in enumerate(asked, 1):
        if ADDRESS.match(text):
            page = _page(text, command)
            found.setdefault(page.base_url + page.path, page)
            continue
        for path in _matches(text) if _is_pattern(text) else [Path(text)]:
            if is_suite and path.name.startswith("_"):  # a helper, which a shell's pattern matches as well
                left_out.append(str(path))
            elif is_suite and not path.is_file():
                raise UsageError(_no_file(text, number, len(asked)))
            else:
                found.setdefault(str(path), path)
    if not found:
        raise UsageError(f"no script is left: names that begin with _ are no tests ({one_line(', '.join(left_out))})")
    return Scripts(tuple(found.values()), is_suite, tuple(left_out))


def _page(text: str, command: str) -> Page:
    if not URL.match(text):
        raise UsageError(f"a script is a file; to request one page, write its whole URL: ciload {command} http://…")
    return Page.at(text)


def _is_pattern(text: str) -> bool:
    return bool(PATTERN.search(text)) and not ADDRESS.match(text) and not Path(text).exists()


def _matches(pattern: str) -> list[Path]:
    paths = [Path(each) for each in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # Path's knows no ".."
    files = [each for each in paths if each.is_file()]
    if not files:
        raise UsageError(f"no script matches {one_line(pattern)}")
    return files


def _no_file(text: str, number: int, of: int) -> str:
    """Quoted only if it is likely to be a path: it may be a variable for which -e is missing, and secret."""
    if text.endswith(".py"):
        return f"{one_line(text)}: there is no such script"
    return f"script {number} of {of} is no file; variables are -e KEY=VALUE each"
