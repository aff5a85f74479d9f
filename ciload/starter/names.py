"""Names in a script: plain words of ASCII, each for one thing, and none that means something already."""

from __future__ import annotations

import builtins
import keyword

from ciload.text import words as words

LONGEST = 40  # lines with it stay short
TAKEN = {
    *keyword.kwlist, *keyword.softkwlist, *dir(builtins), "os", "base64", "ciload", "check", "http", "sleep", "options",
    "default", "setup", "teardown", "vu_start", "vu_stop", "handle_summary", "data_file", "form",
}  # fmt: skip


def unique(name: str, taken: set[str]) -> str:
    """This name or one like it that is not taken; it is, from now on."""
    found, number = name, 1
    while not found or found in taken:
        number += 1
        found = f"{name or 'call'}_{number}" if number > 2 or name not in TAKEN else f"call_{name}"
    taken.add(found)
    return found
