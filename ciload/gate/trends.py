"""Runs over time, and what the gate says of them: its own levels, splits and drift, and no statistics beside those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ciload.gate.against_history import compare_with_history
from ciload.gate.document import Baseline, StoredRun
from ciload.gate.drift import LATEST
from ciload.gate.levels import (
    ANCHOR,
    SHIFT,
    Level,
    all_levels,
    kinds,
    latest_level,
    moved,
    of_kind,
    recent_alarms,
    undecided_alarms,
)
from ciload.gate.metrics import (
    MEAN,
    MEASURES,
    OF_METRICS_ALONE,
    P50,
    P95,
    P99,
    REQUESTS_PER_S,
    Reading,
    Readings,
    Subject,
    rate,
    readings,
)
from ciload.gate.verdicts import Terms
from ciload.result.comparison import Drift
from ciload.result.document import Fingerprint
from ciload.result.trends import RunState, TrendDrift, TrendKind, TrendLevel, TrendRun, TrendSeries


def trends(baseline: Baseline, terms: Terms) -> list[TrendKind]:
    """The kinds of runs in a baseline; that of the newest run comes first."""
    return [_kind(baseline, kind, terms) for kind in reversed(kinds(baseline))]


def _kind(baseline: Baseline, kind: Fingerprint, terms: Terms) -> TrendKind:
    runs = of_kind(baseline, kind)
    number = {run.run_id: index for index, run in enumerate(runs)}
    levels = all_levels(baseline, kind)
    newest = compare_with_history(runs[-1], [], baseline, "", terms)
    old: dict[tuple[str, str, str], float | None] = {
        (each.endpoint, each.method, each.metric): each.old for each in newest.metrics
    }
    taken = moved(baseline, kind)
    return TrendKind(
        fingerprint=kind,
        runs=_runs(runs, levels, undecided_alarms(baseline, kind)),
        levels=[_level(position, level, number) for position, level in enumerate(levels, 1)],
        series=list(_series(runs, levels, old)),
        moved=number[taken[0].run_id] if taken else None,
        shifted=len(recent_alarms(baseline, kind)) >= SHIFT,
        drifts=list(_drifts(newest.drift, baseline, runs[-1], number)),
    )


def _runs(runs: Sequence[StoredRun], levels: Sequence[Level], undecided: Sequence[StoredRun]) -> list[TrendRun]:
    position = {run.run_id: at for at, level in enumerate(levels, 1) for run in level.runs}
    # The alarms with which a level began by itself are the level.
    began = {run.run_id for level in levels if level.by_itself for run in level.runs[:SHIFT]}
    is_open = {run.run_id for run in undecided}

    def state(run: StoredRun) -> RunState:
        if run.tainted:
            return "tainted"
        if run.accepted:
            return "accepted" if run.alarm else "level"
        if run.run_id in position:
            return "level" if run.run_id in began else "ended"
        return "open" if run.run_id in is_open else "excluded"

    return [
        TrendRun(
            run_id=run.run_id, at=run.at, commit=run.commit or "", branch=run.branch or "", url=run.url or "",
            state=state(run), alarm=run.alarm, level=position.get(run.run_id, 0), why="; ".join(run.tainted),
        )
        for run in runs
    ]  # fmt: skip


def _level(position: int, level: Level, number: Mapping[str, int]) -> TrendLevel:
    accepted = level.acceptance
    return TrendLevel(
        number=position, first=number[level.runs[0].run_id], last=number[level.runs[-1].run_id],
        by_itself=level.by_itself, by=accepted.by if accepted else "", reason=accepted.reason if accepted else "",
    )  # fmt: skip


def _drifts(
    found: Sequence[Drift], baseline: Baseline, newest: StoredRun, number: Mapping[str, int]
) -> Iterator[TrendDrift]:
    """Where they are: the first runs of the level without the newest one, and the last ones with it.

    The first run of another script is compared with the level of the one before, which drifts somewhere else.
    """
    others = baseline.model_copy(update={"runs": [run for run in baseline.runs if run.run_id != newest.run_id]})
    level = latest_level(others, newest.fingerprint)
    for each in found if level else ():
        subject = Subject("", "", MEASURES[each.metric])
        having = [number[run.run_id] for run in level if isinstance(readings(run).get(subject), Reading)]
        yield TrendDrift(each, having[:ANCHOR], [*having, number[newest.run_id]][-LATEST:])


# --- numbers


def _series(
    runs: Sequence[StoredRun], levels: Sequence[Level], old: Mapping[tuple[str, str, str], float | None]
) -> Iterator[TrendSeries]:
    gated = [readings(run) for run in runs]
    shown = [_shown(run, row) for run, row in zip(runs, gated, strict=True)]
    # What the gate has a reason not to judge has no part in a mean, either.
    counted = {run.run_id: {**more, **row} for run, more, row in zip(runs, shown, gated, strict=True)}
    subjects = {subject for row in shown for subject in row}
    order = [*MEASURES, *OF_METRICS_ALONE]
    for subject in sorted(subjects, key=lambda each: (each.endpoint, each.method, order.index(each.measure.metric))):
        endpoint, method, measure = subject.endpoint, subject.method, subject.measure
        values = [row[subject].value if subject in row else None for row in shown]
        means = [_mean(subject, [counted[run.run_id] for run in level.runs]) for level in levels]
        compared = old.get((endpoint, method, measure.metric))
        yield TrendSeries(endpoint, method, measure.metric, measure.unit, measure.worse, values, means, compared)


def _mean(subject: Subject, rows: Sequence[Readings]) -> float | None:
    found = [reading for row in rows if isinstance(reading := row.get(subject), Reading)]
    return subject.measure.average(found) if found else None


def _shown(run: StoredRun, gated: Readings) -> dict[Subject, Reading]:
    """Every number of a run, also those that the gate does not judge."""
    found: dict[Subject, Reading] = {}
    for each in run.endpoints:
        for measure, value in ((P50, each.p50), (MEAN, each.avg), (P95, each.p95), (P99, each.p99)):
            if value is not None:
                found[Subject(each.name, each.method, measure)] = Reading(value, measure.level(value))
    if run.requests_per_s > 0:
        found[Subject("", "", REQUESTS_PER_S)] = rate(run.requests_per_s)
    return found | {subject: each for subject, each in gated.items() if isinstance(each, Reading)}
