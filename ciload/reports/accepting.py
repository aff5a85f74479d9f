"""What to do where a change is meant to stay."""

from __future__ import annotations

import shlex

from ciload.result.comparison import GateVerdict
from ciload.result.document import RunResult
from ciload.text import one_line

LONGEST_PLACE = 120
MOVED = (GateVerdict.REGRESSION, GateVerdict.IMPROVED)
FETCHED = ("artifact:", "http://", "https://")


def how_to_accept(result: RunResult) -> str:
    """The command that makes this run's level the one to compare with; "" where there is nothing to accept.

    Side by side, the old target is what it is: there is nothing to accept either.
    """
    moved = (each for each in result.comparisons if each.gate == "history" and each.verdict in MOVED)
    found = next(moved, None)
    if found is None:
        return ""
    # What was fetched cannot be changed; the file that is kept in its place can.
    saved = str(result.options.get("save_baseline") or "")
    place = saved if saved and found.against.startswith(FETCHED) else found.against
    # Quoted, because it is there to be copied, and a result may be from a stranger's pull request.
    return f"ciload accept {shlex.quote(one_line(place, LONGEST_PLACE))} --reason …"
