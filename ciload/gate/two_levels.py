"""What all endpoints of a run share, told apart from what each of them does on its own.

A slow runner slows all endpoints: that is one observation, not twenty. So the common shift of a run is taken out of its
endpoints before these are judged, and judged once, as a metric of its own. What is left of an endpoint varies less.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ciload.gate.metrics import P50, P95, TYPICAL_P50, Measure, Reading, Readings, Subject

LEAST_ENDPOINTS = 4  # with fewer, one that moved moves what the others seem to have in common
TYPICAL = Subject("", "", TYPICAL_P50)

Level = Sequence[Readings]


def on_two_levels(old: Sequence[Level], fresh: Level) -> tuple[list[Level], Level]:
    """The same runs, with latencies of endpoints as they differ from the median of the others.

    The median of all has a reading of its own.

    The median is one of differences, each from an endpoint's own mean: so it is the common shift even if endpoints are
    of very different speed, and no one of them moves it. Values stay what was measured; only levels change. Without
    four endpoints everything stays as it is.

    Args:
        old: runs by level, oldest first; none of the levels is empty.
        fresh: the runs to judge, which are told from the last level.
    """
    for measure in (P50, P95):
        old, fresh = _separate(measure, old, fresh)
    return list(old), fresh


def are_told_apart(measure: Measure, last: Level, fresh: Level) -> bool:
    """Whether there are enough endpoints that have this measure in the last level and in a run to judge."""
    return len(_in_both(_means(measure, last), fresh)) >= LEAST_ENDPOINTS


def _in_both(means: Mapping[Subject, float], fresh: Level) -> list[Subject]:
    return [each for each in means if any(isinstance(run.get(each), Reading) for run in fresh)]


def _separate(measure: Measure, old: Sequence[Level], fresh: Level) -> tuple[Sequence[Level], Level]:
    means = [_means(measure, level) for level in old]
    shared = _in_both(means[-1], fresh)
    if len(shared) < LEAST_ENDPOINTS:
        return old, fresh
    parts = [{each: mean[each] for each in shared if each in mean} for mean in means]
    told = [[_without_common(measure, run, part) for run in level] for level, part in zip(old, parts, strict=True)]
    return told, [_without_common(measure, run, parts[-1]) for run in fresh]


def _means(measure: Measure, level: Level) -> dict[Subject, float]:
    """Of each endpoint that has readings."""
    found: dict[Subject, list[float]] = {}
    for run in level:
        for subject, reading in run.items():
            if _is_of_endpoint(subject, measure) and isinstance(reading, Reading):
                found.setdefault(subject, []).append(reading.level)
    return {subject: math.fsum(values) / len(values) for subject, values in found.items()}


def _without_common(measure: Measure, run: Readings, means: Mapping[Subject, float]) -> Readings:
    moved = {each: reading.level - means[each] for each in means if isinstance(reading := run.get(each), Reading)}
    if len(moved) < LEAST_ENDPOINTS:  # nothing of it can be told apart
        return {each: reading for each, reading in run.items() if not _is_of_endpoint(each, measure)}
    middle = statistics.median(means.values())
    common = middle + statistics.median(moved.values())
    told: dict[Subject, Reading | str] = {TYPICAL: Reading(math.exp(common), common)} if measure is P50 else {}
    for subject, reading in run.items():
        if _is_of_endpoint(subject, measure) and isinstance(reading, Reading):
            # Of the others: the median endpoint itself would differ from a median with it by nothing at all, which
            # makes noise that is far from normal.
            others = statistics.median(each for other, each in moved.items() if other != subject)
            told[subject] = replace(reading, level=reading.level - middle - others)
        else:
            told[subject] = reading
    return told


def _is_of_endpoint(subject: Subject, measure: Measure) -> bool:
    return bool(subject.endpoint) and subject.measure is measure
