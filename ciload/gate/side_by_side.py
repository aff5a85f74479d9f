"""The new target against the old one, loaded in the same run: what disturbs the machine disturbs both.

The run is cut into blocks, and each block gives one difference. Source: Bulej et al., Duet Benchmarking, ICPE 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from ciload.gate.attribution import attribute, combine, times_of_arms
from ciload.gate.cpu_blocks import cpu_blocks, too_little_cpu, without_cpu
from ciload.gate.metrics import CPU_PER_REQUEST, FAILED_CHECKS, FAILED_REQUESTS, P50, P95, Measure, Subject
from ciload.gate.paired_blocks import LEAST_BLOCKS, LEAST_REQUESTS, Pair, latency_blocks, pairs_of, share_blocks, total
from ciload.gate.statistics import TooFewRunsError, logit, side_by_side
from ciload.gate.stored_run import FELL_BEHIND, STARTS_DROPPED, taints
from ciload.gate.verdicts import GateFinding, Terms, judge, overall, why_open, withhold
from ciload.result.comparison import Comparison, GateVerdict
from ciload.result.document import RunResult

REMEDY = "a longer or faster run, or reruns (--confirm), would find smaller changes"
PATHS = 'write paths such as "/users", which --base-url and --compare-url are put before'
NOT_OLD = "not requested from the old target"
NOT_NEW = "not requested from the new target"


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
    runs = [pairs_of(result) for result in results]
    metrics = judge([*_findings(runs), *without_cpu(first)], terms, REMEDY)
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
            "blocks": sum(len(run[0].new.requests) for run in runs if run),
            "metrics": metrics,
            "mean_old": mean_old,
            "mean_new": mean_new,
            "contributions": contributions,
            "notes": [
                *_about_servers(first),
                *(f"no good measure, for either target: {each}" for each in faults),
            ],
        }
    )


def _why_none(result: RunResult) -> str:
    """Why there is nothing to compare; "" if there is."""
    if result.old_arm is None:
        return "the run loaded one target only"
    if not result.old_arm.requests:
        return "the old target got no requests"
    if result.old_arm.duration is None or result.old_arm.failed == result.old_arm.requests:
        return "no request to the old target succeeded"
    if result.blocks is None or not result.blocks.rows:
        return "the run has no blocks to compare"
    if result.old_arm.nowhere_else:
        return f"the script asks for full URLs, which lead to the same server on both arms: {PATHS}"
    return ""


def _about_servers(result: RunResult) -> Iterator[str]:
    if result.old_arm and result.old_arm.same_servers:
        yield f"asked on both arms, by full URL: {', '.join(result.old_arm.same_servers[:5])}; {PATHS}"


def _findings(runs: Sequence[Sequence[Pair]]) -> Iterator[GateFinding]:
    by_key = [{(pair.new.name, pair.new.method): pair for pair in run} for run in runs]
    for key in by_key[0]:
        pairs = [run[key] for run in by_key if key in run]
        if not any(pairs[0].old.requests):
            yield GateFinding(Subject(*key, P50), NOT_OLD)
        elif not any(pairs[0].new.requests):
            yield GateFinding(Subject(*key, P50), NOT_NEW)
        else:
            yield from (_finding(Subject(*key, measure), pairs) for measure in _measures(pairs[0]))


def _measures(pair: Pair) -> Iterable[Measure]:
    yield from (P50, P95, FAILED_REQUESTS)
    if any(chain(pair.new.checks_passed, pair.new.checks_failed)):
        yield FAILED_CHECKS
    if pair.new.cpu_s and pair.old.cpu_s:
        yield CPU_PER_REQUEST


def _finding(subject: Subject, pairs: Sequence[Pair]) -> GateFinding:
    measure = subject.measure
    if measure is CPU_PER_REQUEST:
        runs = [list(cpu_blocks(pair)) for pair in pairs]
    else:
        cut = share_blocks if measure.unit == "share" else latency_blocks
        runs = [list(cut(measure, pair)) for pair in pairs]
    blocks = list(chain.from_iterable(runs))
    if len(blocks) < LEAST_BLOCKS:
        enough_blocks = len(pairs[0].new.requests) >= LEAST_BLOCKS
        return GateFinding(subject, _too_few(measure, pairs[0]), decides=not (subject.endpoint and enough_blocks))
    floor = math.sqrt(sum(block.noise**2 for block in blocks) / len(blocks))
    try:
        estimate = side_by_side([[block.difference for block in run] for run in runs if run], floor=floor)
    except TooFewRunsError as error:
        return GateFinding(subject, str(error))
    if measure.unit == "ms":
        old, new = (_geometric_mean(levels) for levels in ([b.old for b in blocks], [b.new for b in blocks]))
        return GateFinding(subject, "", estimate, effect=estimate.effect, old=old, new=new)
    old_part, old_whole = total(measure, *(pair.old for pair in pairs))
    part, whole = total(measure, *(pair.new for pair in pairs))
    return GateFinding(
        subject, "", estimate, effect=estimate.effect, old=old_part / old_whole, new=part / whole,
        fresh_level=logit(part, whole),
    )  # fmt: skip


def _geometric_mean(levels: Sequence[float]) -> float:
    return math.exp(sum(levels) / len(levels))


def _too_few(measure: Measure, pair: Pair) -> str:
    blocks = len(pair.new.requests)
    if blocks < LEAST_BLOCKS:
        noun = "block" if blocks == 1 else "blocks"
        return f"{blocks} {noun}; {LEAST_BLOCKS} are needed: a load of at least {LEAST_BLOCKS} s"
    if measure is CPU_PER_REQUEST:
        return too_little_cpu(pair)
    least = LEAST_REQUESTS[measure]
    what = "checks" if measure is FAILED_CHECKS else "requests"
    if measure.unit == "share":
        count = min(total(measure, pair.new)[1], total(measure, pair.old)[1])
    else:
        count = min(sum(pair.new.requests), sum(pair.old.requests))
    return (
        f"{count} {what} a side; {measure.metric} needs {least * LEAST_BLOCKS}, {least} in each of {LEAST_BLOCKS} "
        "blocks: a longer or faster run"
    )
