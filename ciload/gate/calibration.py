"""What a gate would have done on runs that are known to be good: the history, replayed run by run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ciload.gate.against_history import find
from ciload.gate.document import WINDOW, Baseline
from ciload.gate.levels import kinds, levels
from ciload.gate.metrics import P95, Reading, Readings, Subject, Unit, readings, share_at
from ciload.gate.statistics import LEAST_RUNS, RERUN_CREDIT, estimate, skewness
from ciload.gate.verdicts import POWER, GateFinding, Terms, judge
from ciload.result.comparison import GateVerdict
from ciload.result.document import Fingerprint

SIZES = (5, 10, 20, 30)
CONFIRMED = 3  # a run and two reruns
NAIVE = 1.10  # "10% worse than the last run", the gate that people write first

Level = Sequence[Readings]


@dataclass(frozen=True, slots=True)
class Replay:
    """How often something that should not happen has happened."""

    tried: int = 0
    alarms: int = 0

    @property
    def share(self) -> float | None:
        return self.alarms / self.tried if self.tried else None


@dataclass(frozen=True, slots=True)
class MetricCalibration:
    """One metric of one endpoint.

    What is detectable is found 8 times in 10: a relative change for the worse, or, of shares, so large a share.
    """

    endpoint: str
    method: str
    metric: str
    unit: Unit
    runs: int
    spread: float | None  # coefficient of variation between runs; None for shares
    skew: float | None  # after the logarithm: beyond 1 or so, false alarms are more than promised
    alone: Replay  # judged as the only metric, with no tolerance
    tolerated: Replay  # likewise, with the tolerance
    naive: Replay  # 10% worse than the last run
    detectable: Mapping[int, float]  # with so many runs
    now: float | None  # with the runs there are
    needed: int | None  # runs for the tolerance to be detectable; None: no number that is kept reaches it
    confirmed: float | None  # as `now`, after two reruns, at best: if they differ as much as runs of other jobs


@dataclass(frozen=True, slots=True)
class KindCalibration:
    """Runs of one fingerprint."""

    fingerprint: Fingerprint
    runs: int
    family: int  # metrics judged together
    left_out: Replay  # every run against all others
    left_out_tolerated: Replay
    rolling: Replay  # every run against those before it, with the tolerance
    metrics: list[MetricCalibration]


def calibrate(baseline: Baseline, terms: Terms) -> list[KindCalibration]:
    """For every kind of run with enough accepted runs: what the gate says of them, and what it could find.

    Accepted runs are taken as unchanged, so every alarm among them is a false one.
    """
    found = []
    for kind in kinds(baseline):
        history = [[readings(run) for run in level] for level in levels(baseline, kind)]
        if sum(map(len, history)) > LEAST_RUNS:
            found.append(_kind(kind, [level for level in history if level], terms))
    return found


def _kind(fingerprint: Fingerprint, history: Sequence[Level], terms: Terms) -> KindCalibration:
    strict = Terms(terms.false_alarm, 0.0)
    left_out = [_with_estimates(find(old, [run])) for old, run in _left_out(history)]
    rolling = [_with_estimates(find(old, [run])) for old, run in _rolling(history)]
    latest = [each.subject for each in left_out[-1]] if left_out else []
    family = max(1, len(latest))
    return KindCalibration(
        fingerprint,
        runs=sum(map(len, history)),
        family=family,
        left_out=_count_alarms(left_out, strict),
        left_out_tolerated=_count_alarms(left_out, terms),
        rolling=_count_alarms(rolling, terms),
        metrics=[_metric(subject, history, left_out, family, terms) for subject in latest],
    )


def _left_out(history: Sequence[Level]) -> Iterator[tuple[list[Level], Readings]]:
    """Every run with all others, those of its own level last, where the gate looks for the mean."""
    for index, level in enumerate(history):
        for at, run in enumerate(level):
            rest = [*level[:at], *level[at + 1 :]]
            if rest:
                yield [*history[:index], *history[index + 1 :], rest], run


def _rolling(history: Sequence[Level]) -> Iterator[tuple[list[Level], Readings]]:
    """Every run with those before it. The first one of a level is a known change."""
    for index, level in enumerate(history):
        for at in range(1, len(level)):
            yield [*history[:index], level[:at]], level[at]


def _with_estimates(found: Sequence[GateFinding]) -> list[GateFinding]:
    return [each for each in found if each.estimate is not None]


def _count_alarms(runs: Sequence[Sequence[GateFinding]], terms: Terms) -> Replay:
    alarms = [any(each.verdict is GateVerdict.REGRESSION for each in judge(run, terms, "")) for run in runs if run]
    return Replay(len(alarms), sum(alarms))


def _metric(
    subject: Subject, history: Sequence[Level], left_out: Sequence[Sequence[GateFinding]], family: int, terms: Terms
) -> MetricCalibration:
    known = [[reading for run in level if isinstance(reading := run.get(subject), Reading)] for level in history]
    noise = _noise(subject, [level for level in known if level])
    alone = [[each] for run in left_out for each in run if each.subject == subject]
    alpha, latest = terms.false_alarm / family, len(noise.last)
    enough = latest >= LEAST_RUNS
    tolerated = math.log1p(terms.tolerance)
    needed = (runs for runs in range(LEAST_RUNS, WINDOW + 1) if noise.detectable(runs, alpha) <= tolerated)

    def describe_detectable(runs: int, fresh: int = 1) -> float:
        return noise.describe(max(tolerated, noise.detectable(runs, alpha, fresh)))

    return MetricCalibration(
        subject.endpoint,
        subject.method,
        subject.measure.metric,
        subject.measure.unit,
        runs=len(noise.residuals),
        spread=None if subject.measure.unit == "share" else math.sqrt(math.expm1(min(noise.sd**2, 50.0))),
        skew=skewness(noise.residuals) if len(noise.residuals) >= LEAST_RUNS else None,
        alone=_count_alarms(alone, Terms(terms.false_alarm, 0.0)),
        tolerated=_count_alarms(alone, terms),
        naive=_naive(subject, noise.known),
        detectable={runs: describe_detectable(runs) for runs in SIZES},
        now=describe_detectable(latest) if enough else None,
        needed=next(needed, None),
        confirmed=describe_detectable(latest, CONFIRMED) if enough else None,
    )


@dataclass(frozen=True, slots=True)
class _Noise:
    """How much runs that have not changed differ in one metric, and what that hides."""

    subject: Subject
    known: Sequence[Sequence[Reading]]  # by level; none of them is empty
    residuals: Sequence[float]  # of each run, from the mean of its level
    variance: float
    floor: float  # the standard deviation that there is at least

    @property
    def last(self) -> Sequence[Reading]:
        return self.known[-1]

    @property
    def sd(self) -> float:
        return max(math.sqrt(self.variance), self.floor)

    def detectable(self, runs: int, alpha: float, fresh: int = 1) -> float:
        """The smallest effect that is found 8 times in 10, with so many runs in the baseline and so many new ones."""
        share = 1 + 1 / runs - RERUN_CREDIT * (1 - 1 / fresh)
        nothing = estimate(
            0.0, self.variance * (runs - 1), runs - 1, lambda each: each * share, floor=self.floor,
            floor_df=self.subject.measure.floor_df(runs), tail=self.subject.measure is P95,
        )  # fmt: skip
        return nothing.detectable(alpha, POWER)

    def describe(self, effect: float) -> float:
        """An effect as people read it: a relative change, or the share that it would lead to."""
        measure = self.subject.measure
        return share_at(_mean(self.last) + effect) if measure.unit == "share" else measure.change(effect)


def _noise(subject: Subject, known: Sequence[Sequence[Reading]]) -> _Noise:
    residuals = [each.level - _mean(level) for level in known for each in level]
    variance = sum(each**2 for each in residuals) / (len(residuals) - len(known))
    return _Noise(subject, known, residuals, variance, subject.measure.floor(known[-1]))


def _naive(subject: Subject, known: Sequence[Sequence[Reading]]) -> Replay:
    worse = subject.measure.worse
    pairs = [pair for level in known for pair in pairwise(level)]
    alarms = sum(
        after.value > NAIVE * before.value if worse > 0 else after.value < before.value / NAIVE
        for before, after in pairs
    )
    return Replay(len(pairs), alarms)


def _mean(level: Sequence[Reading]) -> float:
    return sum(each.level for each in level) / len(level)
