"""The new target against the old one, loaded in the same run: what disturbs the machine disturbs both.

The run is cut into blocks, and each block gives one difference. Source: Bulej et al., Duet Benchmarking, ICPE 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import median

from ciload.gate.attribution import attribute, combine, times_of_arms
from ciload.gate.block_statistics import Lasting, robust_side_by_side, side_by_side, steady_rise
from ciload.gate.cpu_blocks import cpu_blocks, too_little_cpu, without_cpu
from ciload.gate.metrics import (
    CPU_PER_REQUEST,
    FAILED_CHECKS,
    FAILED_REQUESTS,
    MEAN,
    P50,
    P95,
    P99,
    Measure,
    Subject,
    measures_of,
)
from ciload.gate.paired_blocks import LEAST_BLOCKS, LEAST_REQUESTS, Block, Pair, latency_blocks, pairs_of
from ciload.gate.parts import SIDE_BY_SIDE
from ciload.gate.sequential import at_look
from ciload.gate.share_blocks import LEAST_WHOLE, share_estimate, total
from ciload.gate.statistics import Estimate, logit
from ciload.gate.steadiness import Steadiness, steadiness
from ciload.gate.stored_run import FELL_BEHIND, STARTS_DROPPED, taints
from ciload.gate.verdicts import GateFinding, Terms, about_tolerances, judge, overall, why_open, withhold
from ciload.gate.warmup import WarmUp, find_warm_up
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import Blocks, OldArm, RunResult

REMEDY = "a longer or faster run, or reruns (--confirm), would find smaller changes"
PATHS = 'write paths such as "/users", which --base-url and --compare-url are put before'
UNSTEADY = (
    "the difference wanders, as when requests queue: the load is near what a target can take; a longer run, or less "
    "load, could be compared"
)
QUEUED = 3.0  # times what the fastest take
QUEUES_LAST = 10  # times as long as the warm-up that made them
LIKELY_WARM_UP = 0.05  # chance of taking a steady run for one that warmed up, where little depends on it
FIRST_BLOCKS = 1 / 3  # of a run: what may fade is there in these
NOT_OLD = "not requested from the old target"
NOT_NEW = "not requested from the new target"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is compared of one run: its steady part."""

    pairs: Sequence[Pair]  # all requests first; none when there is nothing to compare
    warm_up: WarmUp
    span_s: float  # of a block
    steadiness: Steadiness = "steady"
    queues: bool = False  # requests wait for each other
    may_fade: bool = False  # what is seen may be what is left of a warm-up or of a queue
    of_operations: bool = False  # the first pair is all operations, since there were no requests

    @property
    def blocks(self) -> int:
        return len(self.pairs[0].new.requests) if self.pairs else 0

    @property
    def left_out_s(self) -> float:
        return self.warm_up.blocks * self.span_s

    @property
    def unsteady(self) -> str:
        """Why latencies cannot be judged, "" if they can."""
        if not (self.warm_up.unfinished or (self.warm_up.blocks and self.blocks < LEAST_BLOCKS)):
            return UNSTEADY if self.steadiness == "unsteady" else ""
        whole_s = self.left_out_s + self.blocks * self.span_s
        return (
            f"a target was still warming up, {whole_s:.0f} s are too short: load it for {3 * whole_s:.0f} s or "
            "longer, or warm it up before (--warmup)"
        )


def steady_part(blocks: Blocks | None, until_s: float | None = None) -> Loaded:
    """The blocks of a run without the warm-up of either target, and without what came after it was clear."""
    pairs, span_s = pairs_of(blocks, until_s), blocks.span_s if blocks else 1.0
    of_operations = blocks is not None and blocks.of == "operations"
    if not pairs:
        return Loaded((), WarmUp(), span_s)
    typical = list(latency_blocks(P50, pairs[0]))
    warm_up = WarmUp()
    steady: Steadiness = "steady"
    queues = may_fade = pairs[0].apart or _queueing(pairs[0])
    if 0 < len(typical) == len(pairs[0].new.requests):  # each block has enough to be looked at by itself
        new, old, difference = zip(*((each.new, each.old, each.difference) for each in typical), strict=True)
        warm_up = find_warm_up(new, old, difference)
        if warm_up.blocks and queues and len(difference) < (1 + QUEUES_LAST) * warm_up.blocks:
            warm_up = replace(warm_up, unfinished=True)
        steady = steadiness(old[warm_up.blocks :], difference[warm_up.blocks :])
        may_fade = queues or bool(find_warm_up(new, old, difference, LIKELY_WARM_UP).blocks)
    kept = range(warm_up.blocks, len(pairs[0].new.requests))
    return Loaded([each.only(kept) for each in pairs], warm_up, span_s, steady, queues, may_fade, of_operations)


def _queueing(pair: Pair) -> bool:
    """Whether most requests take several times as long as the fastest of the run: there are others before them."""
    for row in (pair.new, pair.old):
        middles, fastest = [each for each in row.p50 if each], [each for each in row.p5 if each]
        if middles and fastest and median(middles) > QUEUED * min(fastest):
            return True
    return False


def compare_blocks(runs: Sequence[Blocks], terms: Terms) -> list[GatedMetric]:
    """Every metric of a run (the first) and its reruns, judged as one family."""
    return judge_steady([steady_part(each) for each in runs], terms)


def judge_steady(runs: Sequence[Loaded], terms: Terms, more: Iterable[GateFinding] = ()) -> list[GatedMetric]:
    """The same of steady parts, and of findings from elsewhere."""
    metrics = judge([*_findings(runs), *more], terms, REMEDY)
    if reason := runs[0].unsteady:
        left_open = {"verdict": GateVerdict.INCONCLUSIVE, "reason": reason}
        # Queues make requests wait, and do not make them work more.
        steady = {"share"} if runs[0].warm_up.unfinished else {"share", CPU_PER_REQUEST.metric}
        metrics = [
            each
            if steady & {each.unit, each.metric} and each.verdict is not GateVerdict.INCONCLUSIVE
            else each.model_copy(update=left_open)
            for each in metrics
        ]
    return metrics


def compare_side_by_side(results: Sequence[RunResult], terms: Terms) -> Comparison:
    """A run that loaded two targets, together with its confirmation reruns.

    Both targets met the same generator, so a run that is no measure for others still shows a difference; that there is
    none, it does not show.
    """
    first, *reruns = results
    results = [first, *(each for each in reruns if not _why_none(each))]
    blank = Comparison(
        gate="side by side", against=first.old_arm.url if first.old_arm else "", verdict=GateVerdict.MISSING,
        false_alarm=terms.false_alarm, tolerance=terms.tolerance, fresh=len(results),
    )  # fmt: skip
    reason = _why_none(first)
    if reason:
        return blank.model_copy(update={"reason": reason})
    arm, until_s = first.old_arm, first.old_arm.clear_after_s if first.old_arm else None
    if arm is not None and arm.limit_s:
        terms = at_look(terms, arm.limit_s, until_s or arm.limit_s)
    runs = [steady_part(first.blocks, until_s), *(steady_part(each.blocks) for each in results[1:])]
    metrics = judge_steady(runs, terms, without_cpu(first))
    if reason := _overloaded(first):
        metrics = [_without_size(each, reason) for each in metrics]
    # Starts that are missing are missing at both targets.
    if faults := [each for each in dict.fromkeys(taints(first)) if each not in (STARTS_DROPPED, FELL_BEHIND)]:
        shown = {GateVerdict.REGRESSION, GateVerdict.IMPROVED}
        metrics = withhold(metrics, f"this run is no good measure: {faults[0]}", keep=shown)
    verdict = overall(metrics)
    old, new = zip(*map(times_of_arms, results), strict=True)
    mean_old, mean_new, contributions = attribute(combine(old), combine(new))
    return blank.model_copy(
        update={
            "verdict": verdict,
            "reason": why_open(metrics) if verdict is GateVerdict.INCONCLUSIVE else "",
            "blocks": sum(run.blocks for run in runs),
            "metrics": metrics,
            "mean_old": mean_old,
            "mean_new": mean_new,
            "contributions": contributions,
            "notes": [
                *_about_servers(first),
                *_about_the_load(runs[0]),
                *about_tolerances(metrics, terms),
                *(f"no good measure, for either target: {each}" for each in faults),
            ],
        }
    )


def _why_none(result: RunResult) -> str:
    """Why there is nothing to compare; "" if there is."""
    if result.old_arm is None:
        return "the run loaded one target only"
    if reason := _no_data_of(result.old_arm, result.blocks):
        return reason
    if result.blocks is None or not result.blocks.rows:
        return "the run has no blocks to compare"
    if result.old_arm.nowhere_else:
        return f"the script asks for full URLs, which lead to the same server on both arms: {PATHS}"
    return ""


def _no_data_of(old: OldArm, blocks: Blocks | None) -> str:
    """Why the old target has nothing to be compared with; "" if it has."""
    if old.requests:
        return "no request to the old target succeeded" if old.duration is None or old.failed == old.requests else ""
    operations = [each for each in old.endpoints if not each.method]
    if operations:
        failed = sum(each.failed for each in operations) == sum(each.requests for each in operations)
        return "no operation at the old target succeeded" if failed else ""
    metrics = any(row.metric is not None and row.arm == "old" for row in (blocks.rows if blocks else ()))
    return "" if metrics else "the old target got no requests"


def _about_servers(result: RunResult) -> Iterator[str]:
    if result.old_arm and result.old_arm.same_servers:
        yield f"asked on both arms, by full URL: {', '.join(result.old_arm.same_servers[:5])}; {PATHS}"


def _about_the_load(run: Loaded) -> Iterator[str]:
    if run.left_out_s:
        yield f"the first {run.left_out_s:.0f} s after --warmup are left out: a target was still warming up"
    if run.steadiness == "falls behind":
        yield "the new target answers later and later, so that a longer run would tell a larger change"
    if run.pairs and run.pairs[0].apart:
        yield (
            "virtual users did nothing but wait for answers, so each target got the load for itself: requests were not "
            "paired, and blocks are compared"
        )


def _overloaded(result: RunResult) -> str:
    """Why changes of latencies have no size; "" if they have one."""
    if any(each in (STARTS_DROPPED, FELL_BEHIND) for each in taints(result)):
        return "the new target answers slower than requests come, so how late it answers depends on how long one waits"
    return ""


def _without_size(metric: GatedMetric, reason: str) -> GatedMetric:
    """A latency whose change is a fact, and its size is none."""
    if metric.unit != "ms" or metric.metric == CPU_PER_REQUEST.metric or metric.change is None:
        return metric
    said = "; ".join(filter(None, (metric.reason, f"by how much is not told: {reason}")))
    return metric.model_copy(update={"change": None, "low": None, "high": None, "detectable": None, "reason": said})


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What is known of the run that blocks are judged in; see `Loaded`."""

    queues: bool
    falls_behind: bool
    may_fade: bool


def _findings(runs: Sequence[Loaded]) -> Iterator[GateFinding]:
    conditions = _Conditions(
        queues=any(run.queues for run in runs),
        falls_behind=all(run.steadiness == "falls behind" for run in runs),
        may_fade=any(run.may_fade for run in runs),
    )
    by_key = [{(pair.new.name, pair.new.method): pair for pair in run.pairs} for run in runs]
    endpoints = max(1, len(by_key[0]) - 1)
    for key in by_key[0]:
        pairs = [run[key] for run in by_key if key in run]
        if not any(pairs[0].old.requests) and not any(pairs[0].new.requests):
            continue
        if not any(pairs[0].old.requests):
            yield GateFinding(Subject(*key, P50), NOT_OLD)
        elif not any(pairs[0].new.requests):
            yield GateFinding(Subject(*key, P50), NOT_NEW)
        else:
            part = 1 / endpoints if any(key) else 1.0
            for measure in _measures(pairs[0], of_operations=runs[0].of_operations and not any(key)):
                weight = part * SIDE_BY_SIDE[measure.metric]
                yield _finding(Subject(*key, measure), pairs, weight, conditions)


def _measures(pair: Pair, *, of_operations: bool) -> Iterable[Measure]:
    """`of_operations`: the pair is all operations together, each of which is judged by itself."""
    metric = pair.new.metric or pair.old.metric
    if metric is not None:
        yield from measures_of(metric)
        return
    if not of_operations:
        yield from (P50, MEAN, P95, P99, FAILED_REQUESTS)
    if any(chain(pair.new.checks_passed, pair.new.checks_failed)):
        yield FAILED_CHECKS
    if pair.new.cpu_s and pair.old.cpu_s:
        yield CPU_PER_REQUEST


def _finding(subject: Subject, pairs: Sequence[Pair], weight: float, conditions: _Conditions) -> GateFinding:
    measure = subject.measure
    if len(pairs[0].new.requests) < LEAST_BLOCKS:
        return GateFinding(subject, _too_short(pairs[0]))
    if measure.unit == "share":
        return _share_finding(subject, pairs, weight)
    runs = [list(cpu_blocks(pair) if measure is CPU_PER_REQUEST else latency_blocks(measure, pair)) for pair in pairs]
    blocks = list(chain.from_iterable(runs))
    if len(blocks) < LEAST_BLOCKS:
        # What lacks data is said, but only the lack of the very first metric, or of one asked for, leaves all open.
        wanted = measure.asked or (measure is P50 and not subject.endpoint)
        return GateFinding(subject, _too_few(measure, pairs[0]), decides=wanted)
    whole = _estimate(measure, runs, conditions)
    later = [run[round(FIRST_BLOCKS * len(run)) :] for run in runs]
    estimate = Lasting(whole, _estimate(measure, later, conditions)) if conditions.may_fade else whole
    old = sum(block.old for block in blocks) / len(blocks)
    return GateFinding(
        subject, "", estimate, effect=estimate.effect, weight=weight,
        old=math.exp(measure.worse * old), new=math.exp(measure.worse * (old + estimate.effect)),
    )  # fmt: skip


def _estimate(measure: Measure, runs: Iterable[Sequence[Block]], conditions: _Conditions) -> Estimate:
    runs = [run for run in runs if run]
    blocks = list(chain.from_iterable(runs))
    floor = math.sqrt(sum(block.noise**2 for block in blocks) / len(blocks))
    differences = [[block.difference for block in run] for run in runs]
    if conditions.falls_behind and measure.unit == "ms":
        return steady_rise(differences, floor=floor)
    if measure.metric == MEAN.metric:
        # What is slow too seldom to move a percentile is just what must not be taken for a wild second.
        return side_by_side(differences, floor=floor, queues=conditions.queues)
    weights = [[block.weight for block in run] for run in runs] if all(block.weight for block in blocks) else []
    return robust_side_by_side(differences, weights, floor=floor, queues=conditions.queues)


def _share_finding(subject: Subject, pairs: Sequence[Pair], weight: float) -> GateFinding:
    old, old_whole = total(subject.measure, *(pair.old for pair in pairs))
    new, new_whole = total(subject.measure, *(pair.new for pair in pairs))
    if min(old_whole, new_whole) < LEAST_WHOLE:
        what = "checks" if subject.measure is FAILED_CHECKS else _noun(pairs[0])
        reason = f"{min(old_whole, new_whole)} {what} a side; {subject.measure.metric} needs {LEAST_WHOLE}"
        return GateFinding(subject, reason, decides=subject.measure.asked)
    estimate = share_estimate(subject.measure, pairs)
    return GateFinding(
        subject, "", estimate, effect=estimate.effect, old=old / old_whole, new=new / new_whole,
        fresh_level=logit(new, new_whole), weight=weight,
    )  # fmt: skip


def _too_short(pair: Pair) -> str:
    blocks = len(pair.new.requests)
    noun = "block" if blocks == 1 else "blocks"
    return f"{blocks} {noun}; {LEAST_BLOCKS} are needed: a load of at least {LEAST_BLOCKS} s"


def _noun(pair: Pair) -> str:
    """What a row counts."""
    if (pair.new.metric or pair.old.metric) is not None:
        return "samples"
    return "requests" if pair.new.method or not pair.new.name else "operations"


def _too_few(measure: Measure, pair: Pair) -> str:
    if measure is CPU_PER_REQUEST:
        return too_little_cpu(pair)
    least = LEAST_REQUESTS[measure.metric]
    return (
        f"{min(sum(pair.new.requests), sum(pair.old.requests))} {_noun(pair)} a side; {measure.metric} needs "
        f"{least * LEAST_BLOCKS}, {least} in each of {LEAST_BLOCKS} blocks: a longer or faster run"
    )
