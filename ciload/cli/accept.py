"""`ciload accept`: the runs that raised the latest alarms become a new level."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ciload.ci.identity import identify_user
from ciload.cli.baseline import LONGEST_REASON, change_file, describe_level, kind_title, run_table
from ciload.cli.command import exit_code_of, show_parts
from ciload.errors import ExitCode, UsageError
from ciload.gate import levels
from ciload.gate.document import Baseline, StoredRun
from ciload.reports.terminal import Printable, line
from ciload.text import one_line


@dataclass(frozen=True, slots=True)
class Accepted:
    """What has been accepted: the runs, by whom and why, and what the file holds now."""

    runs: Sequence[StoredRun]
    left_out: Sequence[tuple[StoredRun, str]]
    by: str
    reason: str
    baseline: Baseline


def accept_command(file: str, reason: str, by: str, run: str) -> int:
    """Accept, and print which runs, and how far the level moved."""

    def act() -> int:
        show_parts(_describe(accept_alarms(file, reason, by, run), file))
        return ExitCode.PASSED

    return exit_code_of(act)


def accept_alarms(file: str, reason: str, by: str, run: str) -> Accepted:
    """Accept the latest alarms in a baseline file; with `run`, those from that run on.

    Raises:
        UsageError: no reason, nobody who gives it, or nothing to accept.
        BaselineError: the file is broken, or cannot be written.
    """
    reason, who = reason.strip(), (by.strip() or _user())[:LONGEST_REASON]
    if not 0 < len(reason) <= LONGEST_REASON:
        raise UsageError(f"--reason: say why, in up to {LONGEST_REASON} characters; later readers will want to know")
    taken: list[levels.Accepted] = []

    def change(baseline: Baseline) -> Baseline:
        taken.append(levels.accept(baseline, by=who, reason=reason, at=datetime.now(UTC), run_id=run or None))
        return taken[-1].baseline

    baseline = change_file(file, change)
    return Accepted(taken[-1].runs, taken[-1].left_out, who, reason, baseline)


def _user() -> str:
    if name := identify_user(os.environ):
        return name
    raise UsageError("who accepts this? give --by NAME")


def _describe(accepted: Accepted, file: str) -> Iterator[Printable]:
    yield ""
    yield line(f"  accepted by {one_line(accepted.by)}: {one_line(accepted.reason, LONGEST_REASON)}", "bold")
    for kind in levels.kinds(accepted.baseline):
        if mine := [each for each in accepted.runs if each.fingerprint == kind]:
            yield from kind_title(kind)
            yield run_table(mine, {}, ())
            yield from describe_level(levels.levels(accepted.baseline, kind))
    for each, why in accepted.left_out:
        name = f"{one_line(each.run_id, 12)} of {each.at:%Y-%m-%d %H:%M}"
        yield line(f"    left out: {name}, {each.alarm}: {one_line(why, LONGEST_REASON)}", "yellow")
    yield ""
    yield line(f"  From now on runs are compared with this new level. Keep {one_line(file)}, as after a run.")
