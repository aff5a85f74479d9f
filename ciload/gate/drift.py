"""Slow drift, which no comparison with the latest runs sees: the last runs against the first ones of the level."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ciload.gate.document import WINDOW, StoredRun
from ciload.gate.levels import ANCHOR
from ciload.gate.metrics import P50, P95, RESOLUTION, Reading, Readings, Subject, readings
from ciload.gate.statistics import noise_of_neighbours
from ciload.result.comparison import Drift

LATEST = 4  # runs whose mean is compared with that of the first ones
LIMIT = 3.64  # standard errors
SUBJECTS = (Subject("", "", P50), Subject("", "", P95))


def drifts(level: Sequence[StoredRun], fresh: Sequence[Readings], tolerance: float) -> list[Drift]:
    """What has become slower run by run.

    Args:
        level: the runs of the level, oldest first; the first ones may be far older than the others.
        fresh: the run that is judged, and its reruns.
        tolerance: so much is no drift, as a share.
    """
    if len(level) + 1 < ANCHOR + LATEST:
        return []
    measured = [readings(run) for run in (*level[:ANCHOR], *level[ANCHOR:][-WINDOW:])]
    found = (_drift(subject, measured, fresh, tolerance) for subject in SUBJECTS)
    return [each for each in found if each is not None]


def _drift(subject: Subject, level: Sequence[Readings], fresh: Sequence[Readings], tolerance: float) -> Drift | None:
    runs = [reading.level for run in level if isinstance(reading := run.get(subject), Reading)]
    now = [reading.level for run in fresh if isinstance(reading := run.get(subject), Reading)]
    if not now:
        return None
    series = [*runs, math.fsum(now) / len(now)]
    risen = drift_of(series)
    if risen is None or risen < math.log1p(tolerance):
        return None
    first, last = math.fsum(series[:ANCHOR]) / ANCHOR, math.fsum(series[-LATEST:]) / LATEST
    return Drift(
        metric=subject.measure.metric, unit=subject.measure.unit, first=math.exp(first), last=math.exp(last),
        change=math.expm1(risen), runs=len(series),
    )  # fmt: skip


def drift_of(series: Sequence[float]) -> float | None:
    """By how much the last runs are above the first ones, if that is more than chance explains.

    What neighbours differ by is the noise: slow drift does not widen it, and a few outliers do not either.

    Args:
        series: log values of the runs of a level, oldest first.

    Returns:
        The rise; None if there is none, or too few runs to tell.
    """
    if len(series) < ANCHOR + LATEST:
        return None
    noise = max(noise_of_neighbours(series), RESOLUTION)
    risen = math.fsum(series[-LATEST:]) / LATEST - math.fsum(series[:ANCHOR]) / ANCHOR
    return risen if risen >= LIMIT * noise * math.sqrt(1 / ANCHOR + 1 / LATEST) else None
