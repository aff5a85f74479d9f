"""Which of the stored runs a new one is compared with, and how that level moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from ciload.errors import UsageError
from ciload.gate.document import WINDOW, Acceptance, Baseline, StoredRun
from ciload.gate.metrics import Reading, readings
from ciload.gate.splits import best_split, strays
from ciload.result.document import Fingerprint

SHIFT = 3  # so many alarms in a row are no accident: the level has moved
ANCHOR = 10  # first runs of a level, by which slow drift is measured
MOST_KEPT = 300  # runs of all kinds together


@dataclass(frozen=True, slots=True)
class Level:
    """Runs, oldest first, between two changes that are known."""

    runs: list[StoredRun]
    by_itself: bool = False  # it began because runs were better, not because somebody accepted it
    acceptance: Acceptance | None = None  # with which it began


class Accepted(NamedTuple):
    """What was accepted.

    Attributes:
        baseline: with the acceptance.
        runs: that are now the level, oldest first.
        left_out: runs that raised an alarm and are not part of it, each with the reason.
    """

    baseline: Baseline
    runs: list[StoredRun]
    left_out: list[tuple[StoredRun, str]]


def levels(baseline: Baseline, fingerprint: Fingerprint) -> list[Level]:
    """The runs that a run of this kind is compared with, oldest first; none of the levels is empty.

    At most the newest `WINDOW`. A level begins where somebody accepted one, and with the first of `SHIFT` runs in a row
    that were better: that only makes the gate stricter. Left out are tainted runs, and alarms that nobody accepted:
    those since the last run that was at the level, and `SHIFT` or more in a row, which were no accident. Fewer in a row
    that ended by themselves were false ones. They count: without them, the spread of the others is too small, and
    there are more false alarms with every one.
    """
    return _newest(all_levels(baseline, fingerprint), WINDOW)


def all_levels(baseline: Baseline, fingerprint: Fingerprint) -> list[Level]:
    """As `levels`, with all runs that are kept."""
    return _walk(baseline, fingerprint).levels


def latest_level(baseline: Baseline, fingerprint: Fingerprint) -> list[StoredRun]:
    """All that is kept of the level that a run of this kind is compared with, its first `ANCHOR` runs included."""
    found = all_levels(baseline, fingerprint)
    return found[-1].runs if found else []


def recent_alarms(baseline: Baseline, fingerprint: Fingerprint) -> list[StoredRun]:
    """The alarms in one direction with which the runs of this kind end, oldest first; tainted runs say nothing.

    `SHIFT` or more of them that are worse: it is the level that has moved, not one run that was unlucky.
    """
    return _walk(baseline, fingerprint).alarms


def undecided_alarms(baseline: Baseline, fingerprint: Fingerprint) -> list[StoredRun]:
    """All alarms since the last run that was at the level, oldest first: any of them may yet turn out to be false."""
    walk = _walk(baseline, fingerprint)
    return [*walk.unended, *walk.alarms]


def ended_alarms(baseline: Baseline, fingerprint: Fingerprint) -> list[StoredRun]:
    """Alarms for the worse that ended by themselves, so that they were false."""
    found = levels(baseline, fingerprint)
    return [run for level in found for run in level.runs if run.alarm == "worse" and not run.accepted]


@dataclass(slots=True)
class _Walk:
    """Levels so far, and the alarms since the last run that was at the latest."""

    levels: list[Level] = field(default_factory=list)
    unended: list[StoredRun] = field(default_factory=list)  # in short streaks, before the last one
    alarms: list[StoredRun] = field(default_factory=list)  # the last streak

    def add(self, run: StoredRun) -> None:
        if run.accepted:
            self._at_level(run)
        elif run.alarm:
            self._alarm(run)

    def begin_level(self, acceptance: Acceptance | None = None) -> None:
        self.levels.append(Level([], acceptance=acceptance))
        self.unended, self.alarms = [], []

    def _at_level(self, run: StoredRun) -> None:
        self._end_streak()
        self.levels[-1].runs.extend([*self.unended, run])
        self.unended = []

    def _alarm(self, run: StoredRun) -> None:
        if self.alarms and self.alarms[-1].alarm != run.alarm:
            self._end_streak()
        self.alarms.append(run)
        if run.alarm == "better" and len(self.alarms) == SHIFT:
            self.levels.append(Level(self.alarms, by_itself=True))
            self.unended, self.alarms = [], []

    def _end_streak(self) -> None:
        if len(self.alarms) < SHIFT:
            self.unended += self.alarms
        self.alarms = []


def _walk(baseline: Baseline, fingerprint: Fingerprint) -> _Walk:
    kind = of_kind(baseline, fingerprint)
    # A level begins with the first run that was named, even if that one was found to be tainted later.
    named = ((acceptance, set(acceptance.run_ids)) for acceptance in baseline.acceptances)
    firsts = ((acceptance, next((run for run in kind if run.run_id in ids), None)) for acceptance, ids in named)
    starts = {first.run_id: acceptance for acceptance, first in firsts if first}
    walk = _Walk()
    walk.begin_level()
    for run in kind:
        if run.run_id in starts:
            walk.begin_level(starts[run.run_id])
        if not run.tainted:
            walk.add(run)
    walk.levels = [level for level in walk.levels if level.runs]
    return walk


def _newest(found: Sequence[Level], most: int) -> list[Level]:
    newest: list[Level] = []
    for level in reversed(found):
        runs = level.runs[-most:] if most > 0 else []
        most -= len(runs)
        if runs:
            newest.insert(0, replace(level, runs=runs))
    return newest


def accept(
    baseline: Baseline, *, by: str, reason: str, at: datetime, run_id: str | None = None, scenario: str | None = None
) -> Accepted:
    """Let the runs since the level moved be a new one, of every kind that ends with alarms.

    Where the level moved is the most likely place in the runs since the last level: it may be before the first alarm,
    since a small change raises none at first, and after it, since that one may have been false. With `run_id`, it is
    that run, and what came after it in the same direction. With `scenario`, kinds of that test alone are looked at.

    Raises:
        UsageError: there is nothing that could be accepted.
    """
    if run_id is not None:
        groups = [_Group(_from(baseline, run_id), [])]
    else:
        wanted = [kind for kind in kinds(baseline) if scenario in (None, kind.scenario)]
        groups = [_since_the_split(baseline, kind) for kind in wanted if recent_alarms(baseline, kind)]
    if not groups:
        raise UsageError(
            "there is nothing to accept: no alarm since the last accepted run; "
            "`ciload baseline show` lists the runs, and --run RUN_ID accepts from one of them on"
        )
    taken = [[run.model_copy(update={"accepted": True}) for run in group] for group, _ in groups]
    accepted = {run.run_id: run for group in taken for run in group}
    acceptances = [Acceptance(at=at, by=by, reason=reason, run_ids=[run.run_id for run in group]) for group in taken]
    changed = baseline.model_copy(
        update={
            "runs": [accepted.get(run.run_id, run) for run in baseline.runs],
            "acceptances": [*baseline.acceptances, *acceptances],
        }
    )
    left_out = sorted((pair for _, pairs in groups for pair in pairs), key=lambda pair: _age(pair[0]))
    return Accepted(changed, sorted(accepted.values(), key=_age), left_out)


def moved(baseline: Baseline, kind: Fingerprint) -> list[StoredRun]:
    """The runs since the level of this kind most likely moved, which `accept` would take; without alarms none."""
    return _since_the_split(baseline, kind).runs if recent_alarms(baseline, kind) else []


class _Group(NamedTuple):
    """Runs of one kind that are the new level, and the alarms that are not part of it."""

    runs: list[StoredRun]
    left_out: list[tuple[StoredRun, str]]


def _since_the_split(baseline: Baseline, kind: Fingerprint) -> _Group:
    alarms = recent_alarms(baseline, kind)
    level = latest_level(baseline, kind)
    # Whatever is newer than the first run of the level, alarms of any kind included; only what is no measure is not.
    since = [
        run
        for run in of_kind(baseline, kind)
        if not run.tainted and (run.accepted or run.alarm) and (not level or _age(run) >= _age(level[0]))
    ]
    measured = [_measured(run) for run in since]
    subjects = set(measured[0]).intersection(*measured[1:])
    series = [[run[subject] for run in measured] for subject in sorted(subjects, key=str)]
    if not level or not series:
        return _Group(alarms, [])
    split, shown_by = best_split(series, since.index(alarms[0]), since.index(alarms[-1]))
    moved = series[shown_by]
    far = {split + index for index in strays(moved[:split], moved[split:])}
    new = [run for index, run in enumerate(since) if index >= split and index not in far]
    if alarms[-1] not in new:  # the level moved before as well, and what is to be accepted is the latest move
        return _Group(alarms, [])
    left_out = [
        (run, "the level moved after it" if index < split else "it is far from the other runs of the new level")
        for index, run in enumerate(since)
        if run.alarm and not run.accepted and run not in new
    ]
    return _Group(new, left_out)


def _measured(run: StoredRun) -> dict[tuple[str, str, str], float]:
    """Everything that may tell where a level moved."""
    return {
        (subject.endpoint, subject.method, subject.measure.metric): reading.level
        for subject, reading in readings(run).items()
        if isinstance(reading, Reading)
    }


def merge(a: Baseline, b: Baseline) -> Baseline:
    """Everything that either knows, pruned: in any order, and as often as you like, the same comes out."""
    return prune(unite(a, b))


def unite(a: Baseline, b: Baseline) -> Baseline:
    """Everything that either knows; it may be more than a file holds."""
    runs: dict[str, StoredRun] = {}
    for run in (*a.runs, *b.runs):
        known = runs.get(run.run_id)
        runs[run.run_id] = run if known is None else max(known, run, key=_weight)
    acceptances = {each.model_dump_json(): each for each in (*a.acceptances, *b.acceptances)}
    return a.model_copy(update={"runs": list(runs.values()), "acceptances": list(acceptances.values())})


def prune(baseline: Baseline, *, keep: int = WINDOW) -> Baseline:
    """Without what no comparison will need: of each kind the newest `keep` runs that count, and as many others.

    The first `ANCHOR` of a level stay as well, by which slow drift is measured, unless fewer are to be kept at all.
    Kinds that nobody has run for the longest time go first when there are more than `MOST_KEPT` runs even so.
    """
    kept: list[StoredRun] = []
    for kind in reversed(kinds(baseline)):
        runs = of_kind(baseline, kind)
        some = [run for run in runs if _counts(run)][-keep:] + [run for run in runs if not _counts(run)][-keep:]
        if keep >= ANCHOR:
            newest = {run.run_id for run in some}
            some += [run for run in latest_level(baseline, kind)[:ANCHOR] if run.run_id not in newest]
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
    later = [run for run in of_kind(baseline, first.fingerprint) if _age(run) >= _age(first) and not run.tainted]
    back = next((run for run in later if run.accepted), None)
    if back is not None:
        raise UsageError(f"--run {run_id}: a later run, {back.run_id}, was at the old level; name one after that")
    return [run for run in later if run.alarm == first.alarm]


def of_kind(baseline: Baseline, fingerprint: Fingerprint) -> list[StoredRun]:
    """All runs of a kind, oldest first."""
    return sorted((run for run in baseline.runs if run.fingerprint == fingerprint), key=_age)


def _counts(run: StoredRun) -> bool:
    return run.accepted and not run.tainted


def _age(run: StoredRun) -> tuple[datetime, str]:
    return run.at, run.run_id


def _weight(run: StoredRun) -> tuple[bool, str]:
    # An old copy of the file, merged in again, must not take back what somebody has accepted.
    return run.accepted, run.model_dump_json()
