"""What a gate would have done on runs that are known to be good: the history, replayed run by run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ciload.gate.counts import dispersion_of, noise_of_counts
from ciload.gate.document import WINDOW, Baseline
from ciload.gate.history_findings import History, as_measured, counts, find, prior_of_endpoints
from ciload.gate.levels import Level, ended_alarms, kinds, levels
from ciload.gate.metrics import P50, P95, TYPICAL_P50, Measure, Reading, Readings, Subject, readings, share_at
from ciload.gate.parts import share_of
from ciload.gate.statistics import (
    LEAST_RUNS,
    RERUN_CREDIT,
    Estimate,
    Prior,
    binomial_interval,
    estimate,
    skewness,
)
from ciload.gate.two_levels import are_told_apart, on_two_levels
from ciload.gate.verdicts import POWER, GateFinding, Terms, judge
from ciload.result.comparison import GateVerdict
from ciload.result.document import Fingerprint

SIZES = (5, 10, 20, 30)
CONFIRMED = 3  # a run and two reruns
NAIVE = 1.10  # "10% worse than the last run", the gate that people write first

TARGET = 2  # times the tolerance: what is just tolerated is found every other time, with any number of runs

Runs = Sequence[Readings]


@dataclass(frozen=True, slots=True)
class Replay:
    """How often something that should not happen has happened."""

    tried: int = 0
    alarms: int = 0

    @property
    def share(self) -> float | None:
        return self.alarms / self.tried if self.tried else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share is, with 90% confidence."""
        return binomial_interval(self.alarms, self.tried)


@dataclass(frozen=True, slots=True)
class MetricCalibration:
    """One metric of one endpoint.

    What is detectable is found 8 times in 10: a relative change for the worse, or, of shares, so large a share.
    """

    endpoint: str
    method: str
    metric: str
    unit: str
    runs: int
    spread: float | None  # coefficient of variation between runs; None for shares
    skew: float | None  # after the logarithm: beyond 1 or so, false alarms are more than promised
    alone: Replay  # judged as the only metric, with no tolerance
    tolerated: Replay  # likewise, with the tolerance
    naive: Replay  # 10% worse than the last run
    detectable: Mapping[int, float]  # with so many runs
    now: float | None  # with the runs there are
    needed: (
        int | None
    )  # runs for `TARGET` times the tolerance to be detectable; None: no number that is kept reaches it
    confirmed: float | None  # as `now`, after two reruns, at best: if they differ as much as runs of other jobs
    noise_alone: float  # as `now`, without any tolerance


@dataclass(frozen=True, slots=True)
class KindCalibration:
    """Runs of one fingerprint."""

    fingerprint: Fingerprint
    runs: int
    family: int  # metrics judged together
    ended: Replay  # runs whose alarm ended by itself: what the gate has said falsely so far
    left_out: Replay  # every run against all others
    left_out_tolerated: Replay
    rolling: Replay  # every run against those before it, with the tolerance
    metrics: list[MetricCalibration]

    @property
    def middle(self) -> MetricCalibration | None:
        """The metric that says most of all requests together; None if there is none."""
        of_all = {each.metric: each for each in self.metrics if not each.endpoint}
        return of_all.get(TYPICAL_P50.metric) or of_all.get(P50.metric)


def calibrate(baseline: Baseline, terms: Terms) -> list[KindCalibration]:
    """For every kind of run with enough runs: what the gate says of them, and what it could find.

    Runs of a level are taken as unchanged, so every alarm is a false one, those that ended by themselves included.
    """
    found = []
    for kind in kinds(baseline):
        history = levels(baseline, kind)
        count = sum(len(level.runs) for level in history)
        if count > LEAST_RUNS:
            ended = Replay(count, len(ended_alarms(baseline, kind)))
            found.append(_kind(kind, history, ended, terms))
    return found


def _kind(fingerprint: Fingerprint, found: Sequence[Level], ended: Replay, terms: Terms) -> KindCalibration:
    strict = Terms(terms.false_alarm, 0.0)
    history = [[readings(run) for run in level.runs] for level in found]
    left_out = [_with_estimates(find(old, [run])) for old, run in _left_out(history)]
    rolling = [_with_estimates(find(old, [run])) for old, run in _rolling(history)]
    latest = [each.subject for each in left_out[-1]] if left_out else []
    told, _ = on_two_levels(history, history[-1])
    apart = [measure for measure in (P50, P95) if are_told_apart(measure, history[-1], history[-1])]
    spreads = _Spreads(told, latest, terms, {each: _prior(each, told, latest) for each in apart})
    return KindCalibration(
        fingerprint,
        runs=sum(map(len, history)),
        family=max(1, len(latest)),
        ended=ended,
        left_out=_count_alarms(left_out, strict),
        left_out_tolerated=_count_alarms(left_out, terms),
        rolling=_count_alarms(rolling, terms),
        metrics=[_metric(subject, spreads, left_out) for subject in latest],
    )


def _left_out(history: Sequence[Runs]) -> Iterator[tuple[History, Readings]]:
    """Every run with all others, those of its own level last, where the gate looks for the mean."""
    for index, level in enumerate(history):
        for at, run in enumerate(level):
            rest = [*level[:at], *level[at + 1 :]]
            if rest:
                yield History([*history[:index], *history[index + 1 :], rest]), run


def _rolling(history: Sequence[Runs]) -> Iterator[tuple[History, Readings]]:
    """Every run with those before it. The first one of a level is a known change."""
    for index, level in enumerate(history):
        for at in range(1, len(level)):
            yield History([*history[:index], level[:at]]), level[at]


def _with_estimates(found: Sequence[GateFinding]) -> list[GateFinding]:
    return [each for each in found if each.estimate is not None]


def _count_alarms(runs: Sequence[Sequence[GateFinding]], terms: Terms) -> Replay:
    alarms = [any(each.verdict is GateVerdict.REGRESSION for each in judge(run, terms, "")) for run in runs if run]
    return Replay(len(alarms), sum(alarms))


@dataclass(frozen=True, slots=True)
class _Spreads:
    """What all metrics together tell about each."""

    levels: Sequence[Runs]  # with what endpoints share taken out
    subjects: Sequence[Subject]
    terms: Terms
    priors: Mapping[Measure, Prior | None]  # of endpoints


def _known(subject: Subject, levels: Sequence[Runs]) -> list[list[Reading]]:
    """Readings by level; none of these is empty."""
    found = ([reading for run in level if isinstance(reading := run.get(subject), Reading)] for level in levels)
    return [each for each in found if each]


def _prior(measure: Measure, levels: Sequence[Runs], subjects: Sequence[Subject]) -> Prior | None:
    return prior_of_endpoints(measure, {each: _known(each, levels) for each in subjects})


def _metric(subject: Subject, spreads: _Spreads, left_out: Sequence[Sequence[GateFinding]]) -> MetricCalibration:
    terms = spreads.terms
    prior = spreads.priors.get(subject.measure) if subject.endpoint else None
    noise = _noise(subject, _known(subject, spreads.levels), prior)
    alone = [[each] for run in left_out for each in run if each.subject == subject]
    alpha, latest = terms.false_alarm * share_of(subject, spreads.subjects), len(noise.last)
    enough = latest >= LEAST_RUNS
    tolerated = math.log1p(terms.tolerance)

    def detectable(runs: int, fresh: int = 1) -> float:
        return noise.detectable(runs, alpha, tolerated, fresh)

    target = TARGET * tolerated
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
        detectable={runs: noise.describe(detectable(runs)) for runs in SIZES},
        now=noise.describe(detectable(latest)) if enough else None,
        needed=next((runs for runs in range(LEAST_RUNS, WINDOW + 1) if detectable(runs) <= target), None),
        confirmed=noise.describe(detectable(latest, CONFIRMED)) if enough else None,
        noise_alone=noise.describe(noise.detectable(max(latest, LEAST_RUNS), alpha, 0.0)),
    )


@dataclass(frozen=True, slots=True)
class _Noise:
    """How much runs that have not changed differ in one metric, and what that hides."""

    subject: Subject
    known: Sequence[Sequence[Reading]]  # by level; none of them is empty
    residuals: Sequence[float]  # of each run, from the mean of its level
    variance: float
    floor: float  # the standard deviation that there is at least
    prior: Prior | None

    @property
    def last(self) -> Sequence[Reading]:
        return self.known[-1]

    @property
    def sd(self) -> float:
        return max(math.sqrt(self.variance), self.floor)

    def detectable(self, runs: int, alpha: float, tolerated: float, fresh: int = 1) -> float:
        """The smallest effect that is found 8 times in 10, with so many runs in the baseline and so many new ones."""
        if self.subject.measure.unit == "share":
            dispersion = dispersion_of([counts(level) for level in self.known])
            noise = noise_of_counts(counts(self.last), dispersion, runs, fresh)
            return Estimate(0.0, noise).detectable(alpha, POWER, tolerated)
        share = 1 + 1 / runs - RERUN_CREDIT * (1 - 1 / fresh)
        squares, df = self.variance * (runs - 1), float(runs - 1)
        if self.prior is not None:
            squares, df = squares + self.prior.df * self.prior.variance, df + self.prior.df
        nothing = estimate(
            0.0, squares, df, lambda each: each * share, floor=self.floor, tail=self.subject.measure is P95,
        )  # fmt: skip
        return nothing.detectable(alpha, POWER, tolerated)

    def describe(self, effect: float) -> float:
        """An effect as people read it: a relative change, or the share that it would lead to."""
        measure = self.subject.measure
        return share_at(_mean(self.last) + effect) if measure.unit == "share" else measure.change(effect)


def _noise(subject: Subject, known: Sequence[Sequence[Reading]], prior: Prior | None) -> _Noise:
    residuals = [each.level - _mean(level) for level in known for each in level]
    variance = math.fsum(each**2 for each in residuals) / max(1, len(residuals) - len(known))
    return _Noise(
        subject, known, residuals, variance, subject.measure.floor(as_measured(subject.measure, known[-1])), prior
    )


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
