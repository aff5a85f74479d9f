"""From estimates to verdicts: all metrics of a comparison are judged as one family."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ciload.gate.metrics import Subject, share_at
from ciload.gate.statistics import holm
from ciload.result.comparison import GatedMetric, GateVerdict, relative
from ciload.text import closest, request_label

# An odds ratio says little about rare failures: none and none again may be four times the odds, and is no news. A share
# is fine as well when nothing failed, or when it has certainly not risen by so much.
POINT = 0.01
POWER = 0.80
SUSPICIOUS = 3.0  # times the false-alarm rate: so often an unchanged run may look suspicious, or more than that
NO_NEWS = 0.05  # a share is never ok when chance explains its rise less often than this
CONFIDENCE = 0.90  # two-sided; each end alone holds with 95%


@dataclass(frozen=True, slots=True)
class Terms:
    """What a gate promises.

    Attributes:
        false_alarm: its rate of false alarms, all metrics together.
        tolerance: changes below this are no regression.
        doubt: the chance of calling a metric ok that has become worse by more than that.
        tolerances: other ones, by endpoint (`GET /search`) or by one of its metrics (`GET /search p95`).
    """

    false_alarm: float = 0.01
    tolerance: float = 0.10
    doubt: float = 0.05
    tolerances: Mapping[str, float] = field(default_factory=dict)

    def tolerance_of(self, endpoint: str, method: str, metric: str) -> float:
        """The nearest that was said of it."""
        names = names_of(endpoint, method, metric)
        return next((self.tolerances[name] for name in names if name in self.tolerances), self.tolerance)


def terms_of(false_alarm: float, tolerances: Mapping[str, float]) -> Terms:
    """Terms with tolerances by name; "" is that of everything else."""
    own = {name: share for name, share in tolerances.items() if name}
    return Terms(false_alarm, tolerances.get("", 0.10), tolerances=own)


def names_of(endpoint: str, method: str, metric: str) -> tuple[str, ...]:
    """What a metric may be called where a tolerance is set, the narrowest name first."""
    label = request_label(method, endpoint)
    return (f"{label} {metric}", label, metric) if label else (f"all requests {metric}", metric, "all requests")


class Estimated(Protocol):
    """A shift, and how well it is known; see `statistics.Estimate`."""

    @property
    def effect(self) -> float: ...

    @property
    def rise(self) -> float: ...

    @property
    def fall(self) -> float: ...

    def interval(self, confidence: float = 0.90) -> tuple[float, float]: ...

    def detectable(self, alpha: float, power: float = 0.80, tolerated: float = 0.0) -> float: ...


@dataclass(frozen=True, slots=True)
class GateFinding:
    """A subject, old against new. Without an estimate, `reason` says why there is none."""

    subject: Subject
    reason: str = ""
    estimate: Estimated | None = None
    effect: float | None = None
    old: float | None = None
    new: float | None = None
    fresh_level: float = 0.0  # of shares: the log odds of `new`, never infinite
    history: list[float] = field(default_factory=list)
    decides: bool = True  # false where there are simply too few requests
    weight: float = 1.0  # its part of the false-alarm rate, beside the other findings


def judge(findings: Sequence[GateFinding], terms: Terms, remedy: str) -> list[GatedMetric]:
    """Verdicts, in the order given.

    Args:
        findings: of all subjects. Those without an estimate take no part in the family.
        terms: what is promised.
        remedy: what would show smaller changes.
    """
    known = [(each.estimate, each.weight) for each in findings if each.estimate is not None]
    weights = [weight for _, weight in known]
    rises = iter(holm([estimate.rise for estimate, _ in known], weights))
    falls = iter(holm([estimate.fall for estimate, _ in known], weights))
    judged = []
    for each in findings:
        if each.estimate is None:
            judged.append(_without_verdict(each))
        else:
            share = each.weight / sum(weights)
            judged.append(_judge_one(each, each.estimate, next(rises), next(falls), share, terms, remedy))
    return judged


def overall(metrics: Sequence[GatedMetric]) -> GateVerdict:
    """One verdict for all: the worst, and OK only when nothing is left open."""
    found = {each.verdict for each in metrics if each.decides}
    order = (
        GateVerdict.REGRESSION, GateVerdict.INCONCLUSIVE, GateVerdict.SUSPICIOUS, GateVerdict.IMPROVED,
        GateVerdict.UNSUSPICIOUS, GateVerdict.OK,
    )  # fmt: skip
    return next((each for each in order if each in found), GateVerdict.INCONCLUSIVE)


def about_tolerances(metrics: Sequence[GatedMetric], terms: Terms) -> Iterable[str]:
    """Tolerances that nothing has the name of, which are more likely misspelt than meant."""
    known = {name for each in metrics for name in names_of(each.endpoint, each.method, each.metric)}
    for name in terms.tolerances:
        if name not in known:
            meant = closest(name, known)
            yield f"tolerance of {name!r}: nothing that is compared is called so" + (
                f"; did you mean {meant!r}?" if meant else ""
            )


def why_open(metrics: Sequence[GatedMetric]) -> str:
    """Why a comparison is inconclusive, if that is the same for all metrics that are; else each tells its own."""
    reasons = {each.reason for each in metrics if each.verdict is GateVerdict.INCONCLUSIVE and each.decides}
    if not metrics:
        return "there is nothing to compare"
    return reasons.pop() if len(reasons) == 1 else ""


def withhold(metrics: Sequence[GatedMetric], reason: str, *, keep: Iterable[GateVerdict] = ()) -> list[GatedMetric]:
    """The same numbers without verdicts, since the run is no good measure; `keep` has those that hold all the same."""
    kept = {*keep, GateVerdict.INCONCLUSIVE}
    withheld = {"verdict": GateVerdict.INCONCLUSIVE, "reason": reason}
    return [each if each.verdict in kept else each.model_copy(update=withheld) for each in metrics]


def _without_verdict(finding: GateFinding) -> GatedMetric:
    change = None if finding.effect is None or finding.old is None else _counted_change(finding, finding.effect)
    return _metric(finding, GateVerdict.INCONCLUSIVE, finding.reason, change=change)


def _judge_one(
    finding: GateFinding, estimate: Estimated, rise: float, fall: float, share: float, terms: Terms, remedy: str
) -> GatedMetric:
    subject = finding.subject
    tolerance = terms.tolerance_of(subject.endpoint, subject.method, subject.measure.metric)
    tolerated = math.log1p(tolerance)
    low, high = estimate.interval(CONFIDENCE)
    detectable = estimate.detectable(terms.false_alarm * share, POWER, tolerated)
    reason = ""
    if rise <= terms.false_alarm and estimate.effect >= tolerated:
        verdict = GateVerdict.REGRESSION
    elif fall <= terms.false_alarm and estimate.effect <= -tolerated:
        verdict = GateVerdict.IMPROVED
    elif _fine(finding, estimate, estimate.interval(1 - 2 * terms.doubt)[1], tolerated):
        verdict = GateVerdict.OK
    elif rise <= SUSPICIOUS * terms.false_alarm:
        verdict = GateVerdict.SUSPICIOUS
        reason = f"looks slower or worse, and may be up to {_words(finding, high)}; {remedy}"
    else:
        verdict = GateVerdict.UNSUSPICIOUS
        reason = f"{_words(finding, detectable)} or more would have been found 8 times in 10; {remedy}"
    change = _counted_change(finding, estimate.effect)
    # Log odds are smoothed: with a handful of requests, what was counted may lie beside its interval.
    ends = sorted((change, _change(finding, low), _change(finding, high)))
    return _metric(
        finding, verdict, reason, change=change, low=ends[0], high=ends[-1], p_value=rise,
        detectable=_change(finding, detectable), tolerance=tolerance if tolerance != terms.tolerance else None,
    )  # fmt: skip


def _counted_change(finding: GateFinding, effect: float) -> float:
    """The change that was found: of shares as they were counted, rather than as the log odds smooth them."""
    if finding.subject.measure.unit == "share" and finding.new is not None:
        return finding.new - (finding.old or 0.0)
    return _change(finding, effect)


def _change(finding: GateFinding, effect: float) -> float:
    """An effect as documents tell it: relative, and of shares the difference."""
    measure = finding.subject.measure
    if measure.unit != "share":
        return measure.change(effect)
    return _share(finding, effect) - (finding.old or 0.0)


def _fine(finding: GateFinding, estimate: Estimated, high: float, tolerated: float) -> bool:
    """Whether it has certainly not become worse by more than is tolerated.

    Of shares: nothing failed, or so little that the share has certainly not risen by a point, and no sign of a rise.
    """
    if finding.subject.measure.unit != "share" or finding.old is None:
        return high < tolerated
    if finding.new == 0:
        return True
    return estimate.rise > NO_NEWS and (high < tolerated or _share(finding, high) - finding.old < POINT)


def _share(finding: GateFinding, effect: float) -> float:
    """What a share would be after an effect. Seen from its own log odds, since those of the runs are an average."""
    return share_at(finding.fresh_level + effect - (finding.effect or 0.0))


def _words(finding: GateFinding, effect: float) -> str:
    measure = finding.subject.measure
    if measure.unit == "share":
        return f"{100 * _share(finding, effect):.2g}%"
    change = measure.change(effect)
    return relative(change)


def _metric(
    finding: GateFinding,
    verdict: GateVerdict,
    reason: str,
    *,
    change: float | None,
    low: float | None = None,
    high: float | None = None,
    p_value: float | None = None,
    detectable: float | None = None,
    tolerance: float | None = None,
) -> GatedMetric:
    subject = finding.subject
    return GatedMetric(
        endpoint=subject.endpoint, method=subject.method, metric=subject.measure.metric, unit=subject.measure.unit,
        better="lower" if subject.measure.worse == 1 else "higher", verdict=verdict, reason=reason, old=finding.old,
        new=finding.new, change=change, low=low, high=high, p_value=p_value, detectable=detectable,
        history=finding.history, decides=finding.decides, tolerance=tolerance,
    )  # fmt: skip
