"""One comment that stays the same: found again by a marker that nobody sees, among one's own comments only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ciload.ci.forge import ApiError, ForgeApi, dig
from ciload.reports.markdown import Place
from ciload.reports.markdown_within import summary_within
from ciload.result.identity import identity_of
from ciload.result.suite import Tested

MOST_BYTES = 65_536  # GitHub's limit is so many characters, which are never more than bytes


@dataclass(frozen=True, slots=True)
class Thread:
    """Where the comments of a pull request are, and whose may be changed."""

    listing: str
    edit: str  # with {id}
    edit_method: str
    mine: Callable[[Any], bool]


def marker_of(tested: Tested, workflow: str, job: str) -> str:
    """What a comment is found by: the same for every run of one test, or suite, in one job, another for every other."""
    parts = [workflow, job, *identity_of(tested)]
    return f"<!-- ciload:{sha256(chr(0).join(parts).encode('utf-8', 'replace')).hexdigest()[:16]} -->"


def comment_text(tested: Tested, marker: str, run_url: str | None, origin: str = "") -> str:
    """The comment: what is known without looking anything up, and where the rest is.

    `origin` is a sentence about where the result is from.
    """
    note = "_Shortened: the whole is in the job's summary and in `summary.md` among the results._"
    place = Place(is_comment=True, run_url=run_url, origin=origin)
    room = MOST_BYTES - len(f"{marker}\n".encode())
    return f"{marker}\n{summary_within(tested, room, note, place)}"


def stick(api: ForgeApi, thread: Thread, marker: str, body: str, *, begin: bool = True) -> str:
    """Write the comment, over the one that we wrote before if there is one; "updated" or "created".

    Unless one is to be begun, there has to be one before; "" if there is none.

    Raises:
        ApiError: it could not be written.
    """
    while True:
        try:
            return _stick_once(api, thread, marker, body, begin=begin)
        except ApiError as error:
            # A comment that failed to be created may have been: look again before another is.
            if not api.pause(error):
                raise


def _stick_once(api: ForgeApi, thread: Thread, marker: str, body: str, *, begin: bool) -> str:
    found = _find(api, thread, marker)
    if found is not None:
        try:
            api.call(thread.edit_method, thread.edit.format(id=found), {"body": body})
        except ApiError as error:
            if error.status not in (404, 410):  # somebody has just deleted it
                raise
        else:
            return "updated"
    if not begin:
        return ""
    api.call("POST", thread.listing, {"body": body})
    return "created"


def _find(api: ForgeApi, thread: Thread, marker: str) -> int | None:
    for page in api.pages(f"{thread.listing}?per_page=100"):
        for each in page if isinstance(page, list) else ():
            body, number = dig(each, "body"), dig(each, "id")
            if isinstance(body, str) and body.startswith(marker) and isinstance(number, int) and thread.mine(each):
                return number
    return None
