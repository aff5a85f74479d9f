"""The new target against the old one, loaded in the same run: what disturbs the machine disturbs both.

The run is cut into blocks, and each block gives one difference. Source: Bulej et al., Duet Benchmarking, ICPE 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import Any

from ciload.baseline.attribution import moved, sides_of_result, together
from ciload.baseline.judging import Finding, Terms, doubted, judge, overall, why_open
from ciload.baseline.measures import (
    FAILED_CHECKS,
    FAILED_REQUESTS,
    P50,
    P95,
    RESOLUTION,
    SMALLEST_MS,
    Measure,
    Subject,
    latency_level,
)
from ciload.baseline.statistics import TooFewRunsError, counting_noise, logit, side_by_side
from ciload.baseline.stored import doubts, taints
from ciload.result.comparison import Comparison, GateVerdict
from ciload.result.document import BlockRow, RunResult

LEAST_BLOCKS = 10
LEAST_REQUESTS = {P50: 10, P95: 100, FAILED_REQUESTS: 10, FAILED_CHECKS: 10}  # in a block, of each target
REMEDY = "a longer or faster run, or reruns (--confirm), would show less"
NOT_OLD = "not requested from the old target"
NOT_NEW = "not requested from the new target"

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pair:
    """One endpoint in one run: its blocks at both targets."""

    new: BlockRow
    old: BlockRow


@dataclass(frozen=True, slots=True)
class Block:
    """Some neighbouring blocks of a pair as one: levels at both targets, and how little they can be known."""

    new: float
    old: float
    noise: float

    @property
    def difference(self) -> float:
        return self.new - self.old


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
    runs = [_pairs(result) for result in results]
    metrics = judge(list(_findings(results, runs)), terms, REMEDY)
    if doubtful := doubts(taints(first)):
        shown = {GateVerdict.REGRESSION, GateVerdict.IMPROVED}
        metrics = doubted(metrics, f"this run is no good measure: {doubtful[0]}", believed=shown)
    verdict = overall(metrics)
    old, new = zip(*map(sides_of_result, results), strict=True)
    mean_old, mean_new, contributions = moved(together(old), together(new))
    return blank.model_copy(
        update={
            "verdict": verdict,
            "reason": why_open(metrics) if verdict is GateVerdict.INCONCLUSIVE else "",
            "blocks": sum(len(run[0].new.requests) for run in runs if run),
            "metrics": metrics,
            "mean_old": mean_old,
            "mean_new": mean_new,
            "contributions": contributions,
            "notes": [f"no good measure, for either target: {each}" for each in doubtful],
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
    return ""


def _pairs(result: RunResult) -> list[Pair]:
    """All requests first. Blocks at the ends of the load that are cut short or hardly used are left out."""
    rows = result.blocks.rows if result.blocks else []
    new = {(row.name, row.method): row for row in rows if row.arm == "new"}
    old = {(row.name, row.method): row for row in rows if row.arm == "old"}
    everything = ("", "")
    if everything not in new or everything not in old:
        return []
    one = len(new.keys() | old.keys()) <= 2  # the only endpoint would be all requests once more
    keys = [everything] if one else list(dict.fromkeys(chain([everything], new, old)))
    counts = [a + b for a, b in zip(new[everything].requests, old[everything].requests, strict=False)]
    full = median(counts) / 2 if counts else 0
    kept = [index for index, count in enumerate(counts) if count >= full]
    return [
        Pair(_only(new.get(key) or _nothing(key), kept), _only(old.get(key) or _nothing(key), kept)) for key in keys
    ]  # fmt: skip


def _nothing(key: Key) -> BlockRow:
    return BlockRow(name=key[0], method=key[1], requests=[], failed=[], avg=[], p50=[], p95=[])


def _only(row: BlockRow, kept: Sequence[int]) -> BlockRow:
    """The row with these blocks; lists that are too short for them are not believed at all."""

    def pick(values: list[Any]) -> list[Any]:
        return [values[index] for index in kept] if kept and len(values) > kept[-1] else []

    return row.model_copy(
        update={
            name: pick(getattr(row, name))
            for name in ("requests", "failed", "avg", "p50", "p95", "checks_passed", "checks_failed")
        }
    )


def _findings(results: Sequence[RunResult], runs: Sequence[Sequence[Pair]]) -> Iterator[Finding]:
    by_key = [{(pair.new.name, pair.new.method): pair for pair in run} for run in runs]
    for key in by_key[0]:
        pairs = [run[key] for run in by_key if key in run]
        if not any(pairs[0].old.requests):
            yield Finding(Subject(*key, P50), NOT_OLD)
        elif not any(pairs[0].new.requests):
            yield Finding(Subject(*key, P50), NOT_NEW)
        else:
            yield from (_finding(Subject(*key, measure), pairs, results) for measure in _measures(pairs[0]))


def _measures(pair: Pair) -> Iterable[Measure]:
    yield from (P50, P95, FAILED_REQUESTS)
    if any(chain(pair.new.checks_passed, pair.new.checks_failed)):
        yield FAILED_CHECKS


def _finding(subject: Subject, pairs: Sequence[Pair], results: Sequence[RunResult]) -> Finding:
    measure = subject.measure
    cut = _shares if measure.unit == "share" else _latencies
    runs = [list(cut(measure, pair)) for pair in pairs]
    blocks = list(chain.from_iterable(runs))
    if len(blocks) < LEAST_BLOCKS:
        return Finding(subject, _too_few(measure, pairs[0]))
    floor = math.sqrt(sum(block.noise**2 for block in blocks) / len(blocks))
    try:
        estimate = side_by_side([[block.difference for block in run] for run in runs if run], floor=floor)
    except TooFewRunsError as error:
        return Finding(subject, str(error))
    if measure.unit == "ms":
        old, new = (_mean(each) for each in zip(*(_latency_values(subject, result) for result in results), strict=True))
        return Finding(subject, "", estimate, effect=estimate.effect, old=old, new=new)
    old_part, old_whole = _total(measure, *(pair.old for pair in pairs))
    part, whole = _total(measure, *(pair.new for pair in pairs))
    return Finding(
        subject, "", estimate, effect=estimate.effect, old=old_part / old_whole, new=part / whole,
        fresh_level=logit(part, whole),
    )  # fmt: skip


def _latencies(measure: Measure, pair: Pair) -> Iterator[Block]:
    """As many blocks as have enough requests of both targets. What remains at the end joins the last one."""
    new, old = _known(measure, pair.new), _known(measure, pair.old)
    groups: list[list[int]] = [[]]
    for index in range(min(len(new), len(old))):
        if _enough(measure, new, groups[-1]) and _enough(measure, old, groups[-1]):
            groups.append([])
        groups[-1].append(index)
    if len(groups) > 1 and not (_enough(measure, new, groups[-1]) and _enough(measure, old, groups[-1])):
        groups[-2:] = [groups[-2] + groups[-1]]
    for group in groups:
        if _enough(measure, new, group) and _enough(measure, old, group):
            levels = _level(new, group), _level(old, group)
            coarse = max(RESOLUTION, *(SMALLEST_MS / math.exp(level) for level in levels))
            yield Block(*levels, noise=coarse)


Counted = Sequence[tuple[int, float]]  # of each block: how many requests, and the level of their percentile


def _known(measure: Measure, row: BlockRow) -> Counted:
    values = row.p50 if measure is P50 else row.p95
    return [
        (0, 0.0) if value is None else (count, latency_level(value))
        for count, value in zip(row.requests, values, strict=False)
    ]


def _enough(measure: Measure, blocks: Counted, group: Sequence[int]) -> bool:
    return sum(blocks[index][0] for index in group) >= LEAST_REQUESTS[measure]


def _level(blocks: Counted, group: Sequence[int]) -> float:
    """Of blocks whose requests are no longer known, the mean of their percentiles stands for that of all of them."""
    return sum(blocks[at][0] * blocks[at][1] for at in group) / sum(blocks[at][0] for at in group)


def _shares(measure: Measure, pair: Pair) -> Iterator[Block]:
    """A few large blocks: in small ones, nearly all have no failure at all, and log odds do not see the others."""
    new, old = _parts(measure, pair.new), _parts(measure, pair.old)
    count = min(len(new), len(old))
    if count < LEAST_BLOCKS:
        return
    for index in range(LEAST_BLOCKS):
        span = slice(index * count // LEAST_BLOCKS, (index + 1) * count // LEAST_BLOCKS)
        (part, whole), (old_part, old_whole) = (tuple(map(sum, zip(*each[span], strict=True))) for each in (new, old))
        if min(whole, old_whole) >= LEAST_REQUESTS[measure]:
            noise = math.hypot(counting_noise(part, whole), counting_noise(old_part, old_whole))
            yield Block(logit(part, whole), logit(old_part, old_whole), noise)


def _parts(measure: Measure, row: BlockRow) -> list[tuple[int, int]]:
    """Of each block: how many failed, of how many."""
    if measure is FAILED_REQUESTS:
        return list(zip(row.failed, row.requests, strict=False))
    return [(bad, good + bad) for good, bad in zip(row.checks_passed, row.checks_failed, strict=False)]


def _total(measure: Measure, *rows: BlockRow) -> tuple[int, int]:
    parts = [part for row in rows for part in _parts(measure, row)]
    return sum(part for part, _ in parts), sum(whole for _, whole in parts)


def _latency_values(subject: Subject, result: RunResult) -> tuple[float | None, float | None]:
    """Old and new, of the whole load."""
    arm, metric = result.old_arm, result.metrics.get("http_req_duration")
    if not subject.endpoint and not subject.method:
        both = (arm.duration if arm else None, metric.trend if metric else None)
    else:
        key = subject.endpoint, subject.method
        old = {(each.name, each.method): each.duration for each in (arm.endpoints if arm else ())}
        new = {(each.name, each.method): each.duration for each in result.endpoints}
        both = (old.get(key), new.get(key))
    values = [None if each is None else each.med if subject.measure is P50 else each.p95 for each in both]
    return values[0], values[1]


def _mean(values: Iterable[float | None]) -> float | None:
    """The geometric mean of those that are known."""
    levels = [latency_level(value) for value in values if value is not None]
    return math.exp(sum(levels) / len(levels)) if levels else None


def _too_few(measure: Measure, pair: Pair) -> str:
    blocks, least = len(pair.new.requests), LEAST_REQUESTS[measure]
    if blocks < LEAST_BLOCKS:
        noun = "block" if blocks == 1 else "blocks"
        return f"{blocks} {noun}; {LEAST_BLOCKS} are needed: a load of at least {LEAST_BLOCKS} s"
    what = "checks" if measure is FAILED_CHECKS else "requests"
    if measure.unit == "share":
        count = min(_total(measure, pair.new)[1], _total(measure, pair.old)[1])
    else:
        count = min(sum(pair.new.requests), sum(pair.old.requests))
    return (
        f"{count} {what} a side; {measure.metric} needs {least * LEAST_BLOCKS}, {least} in each of {LEAST_BLOCKS} "
        "blocks: a longer or faster run"
    )
