"""What a run and the runs before it say about each metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from ciload.gate.counts import Count, counts_against_history, log_odds
from ciload.gate.document import MOST_ENDPOINTS
from ciload.gate.metrics import MEASURES, P50, P95, Measure, Reading, Readings, Subject
from ciload.gate.parts import part_of
from ciload.gate.statistics import LEAST_RUNS, Prior, TooFewRunsError, against_history, prior_of
from ciload.gate.two_levels import TYPICAL, Level, are_told_apart, on_two_levels
from ciload.gate.verdicts import GateFinding

NOT_BEFORE = "not in the baseline"
NOT_NOW = "not in this run"
ALL_P50 = Subject("", "", P50)


@dataclass(frozen=True, slots=True)
class History:
    """The runs that are compared with, by level, oldest first; none of the levels is empty.

    Attributes:
        levels: the last one tells the mean, all of them the spread.
        by_itself: of each level, whether it began because runs were better.
        borrowed: so many of the first ones are of other machines.
    """

    levels: Sequence[Level]
    by_itself: Sequence[bool] = ()
    borrowed: int = 0


def find(history: History, fresh: Level) -> list[GateFinding]:
    """Every subject of the fresh runs and of the last level, compared or with the reason why not."""
    old, now = on_two_levels(history.levels, fresh)
    told = replace(history, levels=old)
    subjects = dict.fromkeys(chain(now[0], *old[-1]))
    kept = {subject: _kept(subject, told) for subject in subjects}
    known = {subject: each.levels for subject, each in kept.items()}
    # Without the common shift taken out, spreads of endpoints are alike because they are the same one.
    apart = [measure for measure in (P50, P95) if are_told_apart(measure, history.levels[-1], fresh)]
    priors = {measure: prior_of_endpoints(measure, known) for measure in apart}
    found = [each for subject in subjects if (each := _find(subject, told, kept[subject], now, priors)) is not None]
    judged = {each.subject for each in found if each.estimate is not None}
    return [replace(each, weight=part_of(each.subject, judged)) if each.estimate else each for each in found]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Readings of a subject by level, none of which is empty but the last."""

    levels: Sequence[Sequence[Reading]]
    borrowed: int

    @property
    def last(self) -> Sequence[Reading]:
        return self.levels[-1]

    @property
    def own(self) -> list[Reading]:
        return list(chain.from_iterable(self.levels[self.borrowed :]))


def _kept(subject: Subject, history: History) -> _Kept:
    """A level that began because runs were better is none for a subject that was not better there.

    So a level that moves by itself makes nothing less strict.
    """
    kept: list[list[Reading]] = []
    borrowed = 0
    for index, level in enumerate(history.levels):
        here = [reading for run in level if isinstance(reading := run.get(subject), Reading)]
        moved = index < len(history.by_itself) and history.by_itself[index]
        if not here and index < len(history.levels) - 1:
            continue
        if moved and here and len(kept) > borrowed and _mean(here) >= _mean(kept[-1]):
            kept[-1] = kept[-1] + here
            continue
        kept.append(here)
        borrowed += index < history.borrowed
    return _Kept(kept, borrowed)


def prior_of_endpoints(measure: Measure, known: Mapping[Subject, Sequence[Sequence[Reading]]]) -> Prior | None:
    """What the endpoints together tell about how much each of them varies, by their readings at each level."""
    of_endpoints = [levels for subject, levels in known.items() if subject.endpoint and subject.measure is measure]
    squares = [math.fsum(_squares(level) for level in levels if level) for levels in of_endpoints]
    return prior_of(squares, [sum(len(level) - 1 for level in levels if level) for levels in of_endpoints])


def _find(
    subject: Subject, history: History, kept: _Kept, fresh: Level, priors: Mapping[Measure, Prior | None]
) -> GateFinding | None:
    old, first = history.levels, fresh[0].get(subject)
    # Where the middle is known, that there are too few requests for the rest leaves nothing open. Not so what somebody
    # has asked for.
    wanted = subject == ALL_P50 or subject.measure.asked
    decides = wanted or not (subject.endpoint or isinstance(fresh[0].get(ALL_P50), Reading))
    if first is None and subject == TYPICAL:
        return None
    if first is None:
        often = 2 * sum(subject in run for run in old[-1]) > len(old[-1])
        return GateFinding(subject, NOT_NOW) if often and _once(subject, fresh[0]) and not _full(fresh[0]) else None
    if not any(subject in run for level in old for run in level):
        full = all(_full(run) for level in old for run in level)
        return GateFinding(subject, NOT_BEFORE) if _once(subject, *chain.from_iterable(old)) and not full else None
    if isinstance(first, str):
        return GateFinding(subject, f"too few data: {first}", decides=decides)
    if not kept.last:
        reason = f"too few data in the baseline: {_first_text(subject, old[-1])}"
        return GateFinding(subject, reason, new=first.value, decides=decides)
    now = [reading for run in fresh if isinstance(reading := run.get(subject), Reading)]
    prior = priors.get(subject.measure) if subject.endpoint else None
    return _compare_readings(subject, kept, now, prior)


def _compare_readings(subject: Subject, kept: _Kept, now: Sequence[Reading], prior: Prior | None) -> GateFinding:
    measure, last = subject.measure, kept.last
    measured, measured_now = as_measured(measure, last), as_measured(measure, now)
    estimate, reason, effect = None, "", _mean(now) - _mean(last)
    try:
        if measure.unit == "share":
            estimate = counts_against_history([counts(level) for level in kept.levels], counts(now))
        else:
            floor = max(measure.floor(measured), _within(now))
            estimate = against_history(
                [[each.level for each in level] for level in kept.levels], [each.level for each in now],
                floor=floor, within=floor, tail=measure.metric == P95.metric, prior=prior,
            )  # fmt: skip
        effect = estimate.effect
    except TooFewRunsError:
        reason = _too_few(1 + sum(len(level) - 1 for level in kept.levels))
    new = measure.average(measured_now)
    return GateFinding(
        subject, reason, estimate, effect=effect, old=measure.average(measured), new=new,
        fresh_level=_log_odds(measure, now), history=[*(each.value for each in kept.own), new],
    )  # fmt: skip


def as_measured(measure: Measure, runs: Sequence[Reading]) -> list[Reading]:
    """Readings with the levels of their values, also where what endpoints share was taken out."""
    return list(runs) if measure.unit == "share" else [replace(each, level=measure.level(each.value)) for each in runs]


def counts(readings: Sequence[Reading]) -> list[Count]:
    """What was counted for a share."""
    return [Count(each.part, each.whole) for each in readings]


def _log_odds(measure: Measure, now: Sequence[Reading]) -> float:
    """Of a share, as the estimate has them; of others they are not needed."""
    return log_odds(counts(now)) if measure.unit == "share" else 0.0


def _too_few(count: int) -> str:
    if count == 1:
        return f"one run each: it takes {LEAST_RUNS} earlier ones to know how much runs differ"
    return f"{count} comparable runs; {LEAST_RUNS} are needed to know how much runs differ"


def _mean(readings: Sequence[Reading]) -> float:
    return math.fsum(each.level for each in readings) / len(readings)


def _squares(readings: Sequence[Reading]) -> float:
    mean = _mean(readings)
    return math.fsum((each.level - mean) ** 2 for each in readings)


def _within(now: Sequence[Reading]) -> float:
    """What a run's own blocks say about how well it is known."""
    known = [each.within for each in now if each.within is not None]
    return math.sqrt(math.fsum(each**2 for each in known) / len(known)) if known else 0.0


def _once(subject: Subject, *runs: Readings) -> bool:
    """Whether to speak of a subject that is missing: once for an endpoint that is, not for each of its metrics."""
    known = any((each.endpoint, each.method) == (subject.endpoint, subject.method) for run in runs for each in run)
    return known or subject.measure is P50 or subject.measure.asked


def _full(run: Readings) -> bool:
    """Whether the run may have had more endpoints than are kept, so that a missing one says nothing."""
    return len({(each.endpoint, each.method) for each in run if each.measure.metric in MEASURES}) >= MOST_ENDPOINTS


def _first_text(subject: Subject, level: Sequence[Readings]) -> str:
    return next((reading for run in level if isinstance(reading := run.get(subject), str)), NOT_BEFORE)
