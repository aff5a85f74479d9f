"""Which of the stored runs a new one is compared with, and how people move that level on purpose."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile

from ciload.errors import UsageError
from ciload.gate.document import WINDOW, Acceptance, Baseline, StoredRun
from ciload.result.document import Fingerprint

SHIFT = 3  # so many alarms in a row are no accident: the level has moved
MOST_KEPT = 300  # runs of all kinds together


def levels(baseline: Baseline, fingerprint: Fingerprint) -> list[list[StoredRun]]:
    """The runs that a run of this kind is compared with, oldest first, cut wherever somebody accepted a new level.

    At most the newest `WINDOW`; tainted runs and those that raised an alarm that nobody accepted are left out.
    """
    kind = _of_kind(baseline, fingerprint)
    usable = [run for run in kind if _counts(run)][-WINDOW:]
    # A level begins with the first run that was named, even if that one was found to be tainted later.
    named = (set(acceptance.run_ids) for acceptance in baseline.acceptances)
    firsts = (next((run for run in kind if run.run_id in run_ids), None) for run_ids in named)
    starts = [_age(first) for first in firsts if first]
    cut: dict[int, list[StoredRun]] = {}
    for run in usable:
        cut.setdefault(sum(start <= _age(run) for start in starts), []).append(run)
    return list(cut.values())


def recent_alarms(baseline: Baseline, fingerprint: Fingerprint) -> list[StoredRun]:
    """The alarms in one direction with which the runs of this kind end, oldest first; tainted runs say nothing.

    `SHIFT` or more of them: it is the level that has moved, not one run that was unlucky.
    """
    newest_first = [run for run in reversed(_of_kind(baseline, fingerprint)) if not run.tainted]
    alarms = [run for run in takewhile(lambda run: not run.accepted, newest_first) if run.alarm]
    return list(takewhile(lambda run: run.alarm == alarms[0].alarm, alarms))[::-1]


def accept(
    baseline: Baseline, *, by: str, reason: str, at: datetime, run_id: str | None = None
) -> tuple[Baseline, list[StoredRun]]:
    """Let the recent alarms of every kind, or with `run_id` that run and what came after it, be a new level.

    Returns:
        The baseline, and the runs that are now accepted, oldest first.

    Raises:
        UsageError: there is nothing that could be accepted.
    """
    groups = (
        [recent_alarms(baseline, kind) for kind in kinds(baseline)] if run_id is None else [_from(baseline, run_id)]
    )
    groups = [[run.model_copy(update={"accepted": True}) for run in group] for group in groups if group]
    if not groups:
        raise UsageError(
            "there is nothing to accept: no alarm since the last accepted run; "
            "`ciload baseline show` lists the runs, and --run RUN_ID accepts from one of them on"
        )
    accepted = {run.run_id: run for group in groups for run in group}
    acceptances = [Acceptance(at=at, by=by, reason=reason, run_ids=[run.run_id for run in group]) for group in groups]
    changed = baseline.model_copy(
        update={
            "runs": [accepted.get(run.run_id, run) for run in baseline.runs],
            "acceptances": [*baseline.acceptances, *acceptances],
        }
    )
    return changed, sorted(accepted.values(), key=_age)


def merge(a: Baseline, b: Baseline) -> Baseline:
    """Everything that either knows, pruned: in any order, and as often as you like, the same comes out."""
    runs: dict[str, StoredRun] = {}
    for run in (*a.runs, *b.runs):
        known = runs.get(run.run_id)
        runs[run.run_id] = run if known is None else max(known, run, key=_weight)
    acceptances = {each.model_dump_json(): each for each in (*a.acceptances, *b.acceptances)}
    united = {"runs": list(runs.values()), "acceptances": list(acceptances.values())}
    return prune(a.model_copy(update=united))


def prune(baseline: Baseline, *, keep: int = WINDOW) -> Baseline:
    """Without what no comparison will need: of each kind the newest `keep` runs that count, and as many others.

    Kinds that nobody has run for the longest time go first when there are more than `MOST_KEPT` runs even so.
    """
    kept: list[StoredRun] = []
    for kind in reversed(kinds(baseline)):
        runs = _of_kind(baseline, kind)
        some = [run for run in runs if _counts(run)][-keep:] + [run for run in runs if not _counts(run)][-keep:]
        if kept and len(kept) + len(some) > MOST_KEPT:
            break
        kept += some
    left = {run.run_id for run in kept}
    # The runs of a level go after those of all levels before it: when they are gone, there is nothing to separate. But
    # what somebody accepted lately may be about runs of a file that is merged later.
    oldest = min((run.at for run in kept), default=None)
    needed = [
        each
        for each in baseline.acceptances
        if not left.isdisjoint(each.run_ids) or (oldest is not None and each.at >= oldest)
    ]
    by_time = sorted(needed, key=lambda each: (each.at, each.model_dump_json()))
    return baseline.model_copy(update={"runs": sorted(kept, key=_age), "acceptances": by_time[-MOST_KEPT:]})


def kinds(baseline: Baseline) -> list[Fingerprint]:
    """Every fingerprint in the file; that of the newest run comes last."""
    newest: dict[str, Fingerprint] = {}
    for run in sorted(baseline.runs, key=_age):
        key = run.fingerprint.model_dump_json()
        newest.pop(key, None)
        newest[key] = run.fingerprint
    return list(newest.values())


def _from(baseline: Baseline, run_id: str) -> list[StoredRun]:
    found = [run for run in baseline.runs if run.run_id.startswith(run_id)]
    if len(found) != 1:
        raise UsageError(
            f"--run {run_id}: {len(found) or 'no'} runs begin like this; `ciload baseline show` lists them"
        )
    first = found[0]
    if first.tainted:
        raise UsageError(f"--run {run_id}: a tainted run is no measure for others; name a later one")
    if first.accepted:
        raise UsageError(f"--run {run_id}: is accepted already; name the first run that is not")
    later = [run for run in _of_kind(baseline, first.fingerprint) if _age(run) >= _age(first) and not run.tainted]
    back = next((run for run in later if run.accepted), None)
    if back is not None:
        raise UsageError(f"--run {run_id}: a later run, {back.run_id}, was at the old level; name one after that")
    return [run for run in later if run.alarm == first.alarm]


def _of_kind(baseline: Baseline, fingerprint: Fingerprint) -> list[StoredRun]:
    return sorted((run for run in baseline.runs if run.fingerprint == fingerprint), key=_age)


def _counts(run: StoredRun) -> bool:
    return run.accepted and not run.tainted


def _age(run: StoredRun) -> tuple[datetime, str]:
    return run.at, run.run_id


def _weight(run: StoredRun) -> tuple[bool, str]:
    # An old copy of the file, merged in again, must not take back what somebody has accepted.
    return run.accepted, run.model_dump_json()
