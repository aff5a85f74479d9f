"""The answer that a script was busy with when it raised: what `reply.json()["id"]` had no "id" in."""

from __future__ import annotations

import linecache
import re
from itertools import islice
from traceback import walk_tb

from ciload.http.response import HTTPStatusError, Response

MOST_FRAMES = 100
MOST_NAMES = 1_000  # that are looked at in a frame


def answer_at_hand(error: BaseException) -> Response | None:
    """The response among the variables of the innermost frame that has one; None if no frame has.

    Of several, it is the one that the line names which raised, or the one that came last.
    """
    if isinstance(error, HTTPStatusError):
        return error.response
    for frame, number in reversed(list(islice(walk_tb(error.__traceback__), MOST_FRAMES))):
        variables = islice(frame.f_locals.items(), MOST_NAMES)
        # By its type alone: a script's objects may answer anything when they are asked what they are.
        found: dict[str, Response] = {name: value for name, value in variables if issubclass(type(value), Response)}
        if found:
            line = linecache.getline(frame.f_code.co_filename, number)
            named = [value for name, value in found.items() if re.search(rf"\b{re.escape(str(name))}\b", line)]
            return (named or list(found.values()))[-1]
    return None
