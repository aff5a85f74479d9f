"""Cookies of a recording: the client keeps those that replies set, the others are the user's to bring."""

from __future__ import annotations

from ciload.convert.credentials import OF_TRACKERS
from ciload.convert.journey import Journey
from ciload.starter.security import TOKEN


def keep_own_cookies(journey: Journey) -> None:
    """Leave to each request the cookies that no reply before has set."""
    set_before: set[str] = set()
    for step in journey.steps:
        set_here = {
            each.partition("=")[0].strip()
            for reply in step.replies
            for name, line in reply.headers
            if name.lower() == "set-cookie"
            for each in line.split("\n")
        }
        # Who logs in sends the cookie of an earlier session, which nobody needs.
        set_before |= set_here if step.request.writes else set()
        step.request.cookies = {
            name: value
            for name, value in step.request.cookies.items()
            if name not in set_before and TOKEN.fullmatch(name) and not OF_TRACKERS.match(name)
        }
        set_before |= set_here
