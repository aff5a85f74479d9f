"""This run against earlier ones, which are the measure of how much runs differ when nothing has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from ciload.gate.attribution import attribution
from ciload.gate.document import MOST_ENDPOINTS, Baseline, StoredRun
from ciload.gate.drift import drifts
from ciload.gate.history_findings import History, find
from ciload.gate.levels import SHIFT, latest_level, recent_alarms
from ciload.gate.metrics import readings
from ciload.gate.selection import Selection, about_selection, select, why_missing
from ciload.gate.statistics import FEW_RUNS, LEAST_RUNS
from ciload.gate.stored_run import UnusableRunError, generator_faults, stored_run
from ciload.gate.two_levels import TYPICAL
from ciload.gate.verdicts import Terms, about_tolerances, judge, overall, why_open, withhold
from ciload.result.comparison import Comparison, Drift, GatedMetric, GateVerdict, RunReference
from ciload.result.document import RunResult

ENOUGH_RUNS = 10  # from here on, more runs show hardly smaller changes
OLD = timedelta(days=30)
SHORT_COMMIT = 12
EARLIER_SCRIPT = "compared with runs of another version of the script; give it a --name, and its runs stay comparable"


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
    selection = select(baseline or Baseline(), new, reruns)
    runs = selection.runs
    blank = _blank(against, terms, len(fresh))
    if not runs:
        return blank.model_copy(update={"reason": why_missing(baseline, selection, new, against)})
    now = [readings(run) for run in fresh]
    metrics = judge(find(_history(selection), now), terms, _remedy(len(runs)))
    is_other_script = selection.kind != new.fingerprint
    if is_other_script:
        metrics = _at_most_suspicious(metrics)
    if new.tainted:
        faults = generator_faults(new)
        kept = set() if faults else {GateVerdict.REGRESSION}
        metrics = withhold(metrics, f"this run is no good measure: {[*faults, *new.tainted][0]}", keep=kept)
    verdict = overall(metrics)
    reason = why_open(metrics) if verdict is GateVerdict.INCONCLUSIVE else ""
    mean_old, mean_new, contributions = attribution(selection.levels[-1].runs, fresh)
    level = latest_level(selection.others, selection.kind)
    drift = [] if generator_faults(new) else drifts(level, now, terms.tolerance)
    return blank.model_copy(
        update={
            "verdict": verdict,
            "reason": "; ".join(filter(None, (reason, EARLIER_SCRIPT if is_other_script else ""))),
            "runs": [_reference(run) for run in runs],
            "runs_needed": _runs_needed(selection),
            "metrics": metrics,
            "mean_old": mean_old,
            "mean_new": mean_new,
            "contributions": contributions,
            "drift": drift,
            "notes": [
                *_shift(selection.others, new, metrics),
                *_about_drift(drift),
                *_about_runs(runs, new, selection),
                *_about_endpoints(metrics),
                *_cut_off(selection.levels[-1].runs, new),
                *about_selection(selection, new),
                *_about_reruns(reruns),
                *about_tolerances(metrics, terms),
            ],
        }
    )


def _reference(run: StoredRun) -> RunReference:
    return RunReference(run_id=run.run_id, at=run.at.isoformat(), commit=run.commit, branch=run.branch)


def _runs_needed(selection: Selection) -> int | None:
    """How many runs there would have to be, if there are too few: the first of a level says nothing of the noise."""
    missing = LEAST_RUNS - 1 - sum(len(level.runs) - 1 for level in (*selection.borrowed, *selection.levels))
    return len(selection.runs) + missing if missing > 0 else None


def _history(selection: Selection) -> History:
    all_levels = [*selection.borrowed, *selection.levels]
    return History(
        [[readings(run) for run in level.runs] for level in all_levels],
        [level.by_itself for level in all_levels],
        len(selection.borrowed),
    )


def _at_most_suspicious(metrics: Sequence[GatedMetric]) -> list[GatedMetric]:
    """What runs of another script say: it may do something else, so that nothing follows for certain."""
    instead = {GateVerdict.REGRESSION: GateVerdict.SUSPICIOUS, GateVerdict.IMPROVED: GateVerdict.UNSUSPICIOUS}
    return [
        each.model_copy(update={"verdict": instead[each.verdict], "reason": EARLIER_SCRIPT})
        if each.verdict in instead
        else each
        for each in metrics
    ]


def _blank(against: str, terms: Terms, fresh: int = 1) -> Comparison:
    return Comparison(
        gate="history", against=against, verdict=GateVerdict.MISSING, false_alarm=terms.false_alarm,
        tolerance=terms.tolerance, fresh=fresh,
    )  # fmt: skip


# --- words


def _remedy(count: int) -> str:
    if count < ENOUGH_RUNS:
        return f"more runs ({ENOUGH_RUNS}) or side by side (--compare-url) would find smaller changes"
    return "reruns (--confirm) or side by side (--compare-url) would find smaller changes"


def _about_runs(runs: Sequence[StoredRun], new: StoredRun, selection: Selection) -> Iterable[str]:
    if LEAST_RUNS <= len(runs) < FEW_RUNS and not selection.borrowed:
        yield (
            f"{len(runs)} runs are few: until there are {FEW_RUNS}, only what would also be fine with runs that differ "
            "by 10% or so is called ok"
        )
    old = sum(new.at - run.at > OLD for run in runs)
    if old:
        yield f"{old} of the {len(runs)} runs {'is' if old == 1 else 'are'} older than {OLD.days} days"


def _about_endpoints(metrics: Sequence[GatedMetric]) -> Iterable[str]:
    typical = next((each for each in metrics if each.metric == TYPICAL.measure.metric), None)
    if typical is not None and typical.change is not None:
        yield (
            f"changes of an endpoint's p50 and p95 are beyond what all endpoints share; the median endpoint's p50 "
            f"changed by {typical.changed}"
        )


def _about_drift(found: Sequence[Drift]) -> Iterable[str]:
    for each in found:
        yield (
            f"slow drift: {each.metric} of the last runs is {each.change:+.0%} from the first runs of this level, "
            f"little by little over {each.runs} runs: no single one is to blame, and none need have raised an alarm"
        )


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


def _shift(others: Baseline, new: StoredRun, metrics: Sequence[GatedMetric]) -> Iterable[str]:
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
    if direction == "better":
        yield (
            f"level shift: {len(alarms)} runs in a row are better, so from now on runs are compared with these; "
            "what was not better keeps its level"
        )
        return
    commit = f" at commit {alarms[0].commit[:SHORT_COMMIT]}" if alarms[0].commit else f" on {alarms[0].at:%Y-%m-%d}"
    yield f"level shift: {len(alarms)} runs in a row are {direction}; first seen{commit}"
