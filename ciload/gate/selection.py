"""Which runs of a baseline a run is compared with, and why it is not with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from ciload.gate.document import Baseline, StoredRun
from ciload.gate.levels import Level, kinds, levels
from ciload.gate.statistics import LEAST_RUNS
from ciload.result.document import Fingerprint

GRACE = timedelta(days=1)  # of clocks that differ
OF_A_SCRIPT = "sha256:"  # a scenario without a --name: the script's hash
OTHER_SCRIPT = "another script version"
MOST_REASONS = 4
MOST_CLASSES = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """What a baseline holds, seen from one run.

    Attributes:
        others: without the run itself, its reruns, and runs whose time has not come.
        kind: of the runs that are compared with.
        levels: of these runs; without any, there is nothing to compare with.
        borrowed: of runs on other machines, since there are too few on this one to know how much they differ.
        ahead: runs that are left out since their time has not come.
        behind: how far this machine's clock is behind the oldest run of its kind, if it is behind all of them; zero
            otherwise.
        unusable: runs that are not compared with, by the reason.
        classes: what they run on that differ in nothing but the machine, with the number of runs.
    """

    others: Baseline
    kind: Fingerprint
    levels: Sequence[Level]
    borrowed: Sequence[Level]
    ahead: int
    behind: timedelta
    unusable: Counter[str]
    classes: Counter[str]

    @property
    def runs(self) -> list[StoredRun]:
        return list(chain.from_iterable(level.runs for level in self.levels))


def select(baseline: Baseline, new: StoredRun, reruns: Sequence[StoredRun]) -> Selection:
    """The runs that tell most: of the same kind, else of an earlier version of the same script."""
    mine = {new.run_id, *(each.run_id for each in reruns)}
    known = [run for run in baseline.runs if run.run_id not in mine]
    same = [run for run in known if run.fingerprint == new.fingerprint]
    # A clock that was wrong once must not decide for good which run is the latest. But if all runs of a kind are from
    # the future, it is this machine's clock that is wrong, and the runs are as good as any.
    past = [run for run in known if run.at <= new.at + GRACE]
    is_behind = all(run.at > new.at + GRACE for run in same or known)
    behind = min(run.at for run in same or known) - new.at if is_behind and known else timedelta()
    seen = known if is_behind else past
    others = baseline.model_copy(update={"runs": seen})
    kind = new.fingerprint
    used = levels(others, kind)
    if not used:
        kind = _earlier_script(others, new.fingerprint) or kind
        used = levels(others, kind)
    borrowed = _borrowed(others, kind) if used and 1 + sum(len(each.runs) - 1 for each in used) < LEAST_RUNS else []
    ids = {run.run_id for level in (*used, *borrowed) for run in level.runs}
    left_out = [run for run in seen if run.run_id not in ids]
    return Selection(
        others, kind, used, borrowed, len(known) - len(seen), behind,
        Counter(why for run in left_out if (why := _why_not(run, new, kind))),
        Counter(_machine(run) for run in left_out if _differs_in(run.fingerprint, kind) == ["runner"]),
    )  # fmt: skip


def _earlier_script(baseline: Baseline, kind: Fingerprint) -> Fingerprint | None:
    """The latest kind of runs that differs in nothing but the script, whose hash it goes by."""
    earlier = (
        each
        for each in reversed(kinds(baseline))
        if _differs_in(each, kind) == ["scenario"] and each.scenario.startswith(OF_A_SCRIPT) and levels(baseline, each)
    )
    return next(earlier, None)


def _borrowed(baseline: Baseline, kind: Fingerprint) -> list[Level]:
    """Levels of runs that differ in nothing but the machine."""
    others = (each for each in kinds(baseline) if _differs_in(each, kind) == ["runner"])
    return list(chain.from_iterable(levels(baseline, each) for each in others))


def _differs_in(theirs: Fingerprint, ours: Fingerprint) -> list[str]:
    return [name for name, value in theirs if value != getattr(ours, name)]


def _machine(run: StoredRun) -> str:
    return f"{run.environment.cpu}, {run.environment.cores} cores"


# --- words


def _why_not(run: StoredRun, new: StoredRun, used: Fingerprint) -> str:
    """Why a run of the baseline is not compared with; "" if it is merely older than those that are."""
    theirs, ours = run.fingerprint, new.fingerprint
    if theirs not in (ours, used):
        if theirs.scenario != ours.scenario:
            return OTHER_SCRIPT if ours.scenario.startswith(OF_A_SCRIPT) else "another --name"
        for part, words in (("load", "another load"), ("target", "another target")):
            if getattr(theirs, part) != getattr(ours, part):
                return words
        if theirs.runner != ours.runner:
            return f"another machine ({_machine(run)})"
        return f"ciload {run.environment.ciload}"
    if not run.accepted:
        return "alarms that nobody has accepted" if run.alarm else "not accepted"
    return f"no good measure, {run.tainted[0]}" if run.tainted else ""


def why_missing(baseline: Baseline | None, selection: Selection, new: StoredRun, against: str) -> str:
    """Why there is nothing to compare with, and what to do."""
    unusable = selection.unusable
    if baseline is None:
        return f"{against} does not exist; --save-baseline makes one"
    if selection.ahead:
        return (
            f"{selection.ahead} {runs_word(selection.ahead)} in {against}, none comparable: from the future, by this "
            "machine's clock; if it is behind, set it right"
        )
    if not unusable:
        return f"{against} holds no other run"
    total = unusable.total()
    if selection.classes.total() == total:
        theirs = "; ".join(
            f"{machine}: {count} {runs_word(count)}" for machine, count in selection.classes.most_common(MOST_CLASSES)
        )
        return (
            f"no run on this class of machine yet (this: {_machine(new)}; {against} has: {theirs}); let the default "
            "branch run on it, or always use the same class"
        )
    if len(unusable) == 1:
        reason = f"{total} {runs_word(total)} in {against}, none comparable: {next(iter(unusable))}"
    else:
        reason = f"{total} runs in {against}, none comparable: " + "; ".join(
            f"{count} {runs_word(count)}: {why}" for why, count in unusable.most_common(MOST_REASONS)
        )
    return reason + ("; give the script a --name to compare across versions" if OTHER_SCRIPT in unusable else "")


def about_selection(selection: Selection, new: StoredRun) -> Iterator[str]:
    """What to know about the runs that were chosen, and about those that were not."""
    if selection.behind:
        days = selection.behind / timedelta(days=1)
        yield (
            f"this machine's clock is wrong, or that of all the others: every run it is compared with is from the "
            f"future, by {days:.1f} days or more; set it right, or nobody knows which run is the latest"
        )
    if selection.borrowed:
        count = sum(len(level.runs) for level in selection.borrowed)
        own = len(selection.runs)
        yield (
            f"only {own} {runs_word(own)} on this class of machine ({_machine(new)}): how much runs differ is taken "
            f"from {count} {runs_word(count)} on others"
        )
    for why, count in selection.unusable.most_common(MOST_REASONS):
        yield f"{count} {runs_word(count)} not used: {why}"
    if selection.ahead:
        yield f"{selection.ahead} {runs_word(selection.ahead)} not used: from the future, by this machine's clock"


def runs_word(count: int) -> str:
    return "run" if count == 1 else "runs"
