"""This run against earlier ones, which are the measure of how much runs differ when nothing has changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from ciload.gate.attribution import attribution
from ciload.gate.document import MOST_ENDPOINTS, Baseline, StoredRun
from ciload.gate.levels import SHIFT, levels, recent_alarms
from ciload.gate.metrics import P50, P95, Reading, Readings, Subject, readings
from ciload.gate.statistics import FEW_RUNS, LEAST_RUNS, TooFewRunsError, against_history
from ciload.gate.stored_run import UnusableRunError, generator_faults, stored_run
from ciload.gate.verdicts import GateFinding, Terms, judge, overall, why_open, withhold
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict, RunReference
from ciload.result.document import RunResult

ENOUGH_RUNS = 10  # from here on, more runs show hardly smaller changes
OLD = timedelta(days=30)
GRACE = timedelta(days=1)  # of clocks that differ
SHORT_COMMIT = 12
MOST_REASONS = 4
NOT_BEFORE = "not in the baseline"
NOT_NOW = "not in this run"


def compare_results_with_history(
    results: Sequence[RunResult], baseline: Baseline | None, against: str, terms: Terms
) -> Comparison:
    """A run (the first) and its confirmation reruns, as `compare_with_history` compares them."""
    try:
        new, *reruns = [stored_run(each) for each in results]
    except UnusableRunError as error:
        reason = f"this run cannot be compared: {error}"
        return _blank(against, terms).model_copy(update={"verdict": GateVerdict.INCONCLUSIVE, "reason": reason})
    return compare_with_history(new, reruns, baseline, against, terms)


def compare_with_history(
    new: StoredRun, reruns: Sequence[StoredRun], baseline: Baseline | None, against: str, terms: Terms
) -> Comparison:
    """The run, averaged with its confirmation reruns, against the accepted runs of the same kind.

    Args:
        new: the run; if it stands in the baseline already, it is not compared with itself.
        reruns: the same load again in the same job.
        baseline: None if there is none.
        against: what to call it, without credentials.
        terms: what is promised.
    """
    fresh = [new, *(each for each in reruns if not generator_faults(each))]
    selection = _select(baseline or Baseline(), new, reruns)
    runs = selection.runs
    blank = _blank(against, terms, len(fresh))
    if not runs:
        return blank.model_copy(update={"reason": _why_missing(baseline, selection.unusable, against)})
    old = [[readings(run) for run in level] for level in selection.levels]
    metrics = judge(find(old, [readings(run) for run in fresh]), terms, _remedy(len(runs)))
    if new.tainted:
        faults = generator_faults(new)
        kept = set() if faults else {GateVerdict.REGRESSION}
        metrics = withhold(metrics, f"this run is no good measure: {[*faults, *new.tainted][0]}", keep=kept)
    verdict = overall(metrics)
    mean_old, mean_new, contributions = attribution(selection.levels[-1], fresh)
    return blank.model_copy(
        update={
            "verdict": verdict,
            "reason": why_open(metrics) if verdict is GateVerdict.INCONCLUSIVE else "",
            "runs": [RunReference(run_id=run.run_id, at=run.at.isoformat(), commit=run.commit) for run in runs],
            "metrics": metrics,
            "mean_old": mean_old,
            "mean_new": mean_new,
            "contributions": contributions,
            "notes": [
                *_shift(selection.others, new, metrics, against),
                *_about_runs(runs, new),
                *_cut_off(selection.levels[-1], new),
                *_about_unusable(selection),
                *_about_reruns(reruns),
            ],
        }
    )


def _blank(against: str, terms: Terms, fresh: int = 1) -> Comparison:
    return Comparison(
        gate="history", against=against, verdict=GateVerdict.MISSING, false_alarm=terms.false_alarm,
        tolerance=terms.tolerance, fresh=fresh,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Selection:
    """What a baseline holds, seen from one run."""

    others: Baseline  # without the run itself, its reruns and whatever is ahead
    levels: Sequence[Sequence[StoredRun]]  # of what is compared with; none of them is empty
    ahead: int  # runs with a time that has not come yet
    unusable: Counter[str]  # runs that are not compared with, by the reason

    @property
    def runs(self) -> list[StoredRun]:
        return list(chain.from_iterable(self.levels))


def _select(baseline: Baseline, new: StoredRun, reruns: Sequence[StoredRun]) -> _Selection:
    mine = {new.run_id, *(each.run_id for each in reruns)}
    known = [run for run in baseline.runs if run.run_id not in mine]
    # A clock that was wrong once must not decide for good which run is the latest.
    past = [run for run in known if run.at <= new.at + GRACE]
    others = baseline.model_copy(update={"runs": past})
    used = [level for level in levels(others, new.fingerprint) if level]
    ids = {run.run_id for level in used for run in level}
    unusable = Counter(why for run in past if run.run_id not in ids and (why := _why_not(run, new)))
    return _Selection(others, used, len(known) - len(past), unusable)


def find(old: Sequence[Sequence[Readings]], fresh: Sequence[Readings]) -> list[GateFinding]:
    """Every subject of the fresh runs and of the last level, compared or with the reason why not."""
    subjects = dict.fromkeys(chain(fresh[0], *old[-1]))
    found = (_find(subject, old, fresh) for subject in subjects)
    return [each for each in found if each is not None]


def _find(subject: Subject, old: Sequence[Sequence[Readings]], fresh: Sequence[Readings]) -> GateFinding | None:
    first = fresh[0].get(subject)
    if first is None:
        often = 2 * sum(subject in run for run in old[-1]) > len(old[-1])
        return GateFinding(subject, NOT_NOW) if often and _once(subject, fresh[0]) and not _full(fresh[0]) else None
    if not any(subject in run for level in old for run in level):
        full = all(_full(run) for level in old for run in level)
        return GateFinding(subject, NOT_BEFORE) if _once(subject, *chain.from_iterable(old)) and not full else None
    if isinstance(first, str):
        return GateFinding(subject, f"too few data: {first}", decides=not subject.endpoint)
    kept = [[reading for run in level if isinstance(reading := run.get(subject), Reading)] for level in old]
    if not kept[-1]:
        reason = f"too few data in the baseline: {_first_text(subject, old[-1])}"
        return GateFinding(subject, reason, new=first.value, decides=not subject.endpoint)
    now = [reading for run in fresh if isinstance(reading := run.get(subject), Reading)]
    return _compare_readings(subject, [level for level in kept if level], now)


def _compare_readings(subject: Subject, old: Sequence[Sequence[Reading]], now: Sequence[Reading]) -> GateFinding:
    measure, last = subject.measure, old[-1]
    before = [[each.level for each in level] for level in old]
    levels_now = [each.level for each in now]
    estimate, reason, floor = None, "", max(measure.floor(last), _within(now))
    try:
        estimate = against_history(
            before, levels_now, floor=floor, floor_df=measure.floor_df(len(last)), within=floor, tail=measure is P95
        )
    except TooFewRunsError:
        count = 1 + sum(len(level) - 1 for level in old)
        reason = f"{count} comparable {_runs(count)}; {LEAST_RUNS} are needed to know how much runs differ"
        if count == 1:
            reason = f"one run each: it takes {LEAST_RUNS} earlier ones to know how much runs differ"
    new = measure.average(now)
    fresh_level = sum(levels_now) / len(levels_now)
    return GateFinding(
        subject, reason, estimate, effect=fresh_level - sum(before[-1]) / len(before[-1]), old=measure.average(last),
        new=new, fresh_level=fresh_level, history=[*(each.value for level in old for each in level), new],
    )  # fmt: skip


def _within(now: Sequence[Reading]) -> float:
    """What a run's own blocks say about how well it is known."""
    known = [each.within for each in now if each.within is not None]
    return math.sqrt(sum(each**2 for each in known) / len(known)) if known else 0.0


def _once(subject: Subject, *runs: Readings) -> bool:
    """Whether to speak of a subject that is missing: once for an endpoint that is, not for each of its metrics."""
    known = any((each.endpoint, each.method) == (subject.endpoint, subject.method) for run in runs for each in run)
    return known or subject.measure is P50


def _full(run: Readings) -> bool:
    """Whether the run may have had more endpoints than are kept, so that a missing one says nothing."""
    return len({(each.endpoint, each.method) for each in run}) >= MOST_ENDPOINTS


def _first_text(subject: Subject, level: Sequence[Readings]) -> str:
    return next((reading for run in level if isinstance(reading := run.get(subject), str)), NOT_BEFORE)


# --- words


def _runs(count: int) -> str:
    return "run" if count == 1 else "runs"


def _remedy(count: int) -> str:
    if count < ENOUGH_RUNS:
        return f"more runs ({ENOUGH_RUNS}) or side by side (--compare-url) would find smaller changes"
    return "reruns (--confirm) or side by side (--compare-url) would find smaller changes"


def _why_not(run: StoredRun, new: StoredRun) -> str:
    """Why a run of the baseline is not compared with; "" if it is merely older than those that are."""
    theirs, ours = run.fingerprint, new.fingerprint
    if theirs.scenario != ours.scenario:
        return "another script version" if ours.scenario.startswith("sha256:") else "another --name"
    for part, words in (("load", "another load"), ("target", "another target")):
        if getattr(theirs, part) != getattr(ours, part):
            return words
    if theirs.runner != ours.runner:
        return f"another machine ({run.environment.cpu}, {run.environment.cores} cores)"
    if theirs.ciload != ours.ciload:
        return f"ciload {run.environment.ciload}"
    if not run.accepted:
        return "alarms that nobody has accepted" if run.alarm else "not accepted"
    return f"no good measure, {run.tainted[0]}" if run.tainted else ""


def _why_missing(baseline: Baseline | None, unusable: Counter[str], against: str) -> str:
    if baseline is None:
        return f"{against} does not exist; --save-baseline makes one"
    if not unusable:
        return f"{against} holds no other run"
    total = unusable.total()
    if len(unusable) == 1:
        reason = f"{total} {_runs(total)} in {against}, none comparable: {next(iter(unusable))}"
    else:
        reason = f"{total} runs in {against}, none comparable: " + "; ".join(
            f"{count} {_runs(count)}: {why}" for why, count in unusable.most_common(MOST_REASONS)
        )
    unnamed = any(why == "another script version" for why in unusable)
    return reason + ("; give the script a --name to compare across versions" if unnamed else "")


def _about_runs(runs: Sequence[StoredRun], new: StoredRun) -> Iterable[str]:
    if LEAST_RUNS <= len(runs) < FEW_RUNS:
        yield (
            f"{len(runs)} runs are few: until there are {FEW_RUNS}, only what would also be fine with runs that differ "
            "by 10% or so is called ok"
        )
    old = sum(new.at - run.at > OLD for run in runs)
    if old:
        yield f"{old} of the {len(runs)} runs {'is' if old == 1 else 'are'} older than {OLD.days} days"


def _cut_off(last: Sequence[StoredRun], new: StoredRun) -> Iterable[str]:
    """Endpoints come and go at the end of the list of the busiest; that is no finding, and no secret."""
    if len(new.endpoints) < MOST_ENDPOINTS:
        return
    now = {(each.name, each.method) for each in new.endpoints}
    gone = {(each.name, each.method) for each in last[-1].endpoints} - now
    if gone:
        count = len(gone)
        yield (
            f"{count} endpoint{'s' * (count > 1)} of the last run {'is' if count == 1 else 'are'} not among the "
            f"{MOST_ENDPOINTS - 1} busiest of this one, and not compared"
        )


def _about_reruns(reruns: Sequence[StoredRun]) -> Iterable[str]:
    reasons = Counter(generator_faults(each)[0] for each in reruns if generator_faults(each))
    for why, count in reasons.items():
        yield f"{count} rerun{'s' if count > 1 else ''} not used: {why}"
    if reruns and reasons.total() == len(reruns):
        yield "not confirmed: no rerun could be used, so the first run alone decides"


def _about_unusable(selection: _Selection) -> Iterable[str]:
    for why, count in selection.unusable.most_common(MOST_REASONS):
        yield f"{count} {_runs(count)} not used: {why}"
    if selection.ahead:
        yield f"{selection.ahead} {_runs(selection.ahead)} not used: from the future, by this machine's clock"


def _shift(others: Baseline, new: StoredRun, metrics: Sequence[GatedMetric], against: str) -> Iterable[str]:
    if any(each.verdict is GateVerdict.REGRESSION for each in metrics):
        direction = "worse"
    elif any(each.verdict is GateVerdict.IMPROVED for each in metrics):
        direction = "better"
    else:
        return
    before = recent_alarms(others, new.fingerprint)
    alarms = [*(before if before and before[0].alarm == direction else ()), new]
    if len(alarms) < SHIFT:
        return
    commit = f" at commit {alarms[0].commit[:SHORT_COMMIT]}" if alarms[0].commit else f" on {alarms[0].at:%Y-%m-%d}"
    yield (
        f"level shift: {len(alarms)} runs in a row are {direction}; first seen{commit}; if it is meant: "
        f"ciload accept {against} --reason …"
    )
