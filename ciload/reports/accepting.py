"""What to do where a change is meant to stay."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from ciload.result.comparison import Comparison, GateVerdict
from ciload.result.document import RunResult
from ciload.text import one_line

LONGEST_PLACE = 120
FETCHED = ("artifact:", "package:", "http://", "https://")
LINE = "ciload-accept: REASON"
PULL_REQUESTS = {"github": "pull request", "gitlab": "merge request"}


@dataclass(frozen=True, slots=True)
class Accepting:
    """`text` is there to be copied; `where` says where it goes, "" if that is a shell."""

    text: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.where}".rstrip()


def how_to_accept(result: RunResult) -> Accepting | None:
    """What makes this run's level the right one, the shortest way that there is where it ran; None if nothing moved."""
    moved = [each for each in result.comparisons if _moved(each)]
    if not moved:
        return None
    provider, request = result.ci.provider, PULL_REQUESTS.get(result.ci.provider or "")
    if request and result.ci.pull_request:
        return Accepting(LINE, f"in a commit message, or in the text of the {request}")
    if provider in (*PULL_REQUESTS, "jenkins"):
        return Accepting(LINE, "in the message of the next commit")
    against_history = next((each for each in moved if each.gate == "history"), None)
    if against_history is None:
        return Accepting("--accept REASON", "with the next run")
    # What was fetched cannot be changed; the file that is kept in its place can.
    saved = str(result.options.get("save_baseline") or "")
    place = saved if saved and against_history.against.startswith(FETCHED) else against_history.against
    # Quoted, because it is there to be copied, and a result may be from a stranger's pull request.
    return Accepting(f"ciload accept {shlex.quote(one_line(place, LONGEST_PLACE))} --reason REASON")


def _moved(comparison: Comparison) -> bool:
    """Side by side, nothing has to be done for what is better: the old target is what it is."""
    improved = comparison.gate == "history" and comparison.verdict is GateVerdict.IMPROVED
    return improved or (comparison.verdict is GateVerdict.REGRESSION and not comparison.accepted)
