"""The blocks of a run that loaded two targets, in pairs; neighbours that hold too little become one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ciload.gate.metrics import (
    FAILED_CHECKS,
    FAILED_REQUESTS,
    P50,
    P95,
    RESOLUTION,
    SMALLEST_MS,
    Measure,
    latency_level,
)
from ciload.gate.statistics import counting_noise, logit
from ciload.result.document import BlockRow, RunResult

LEAST_BLOCKS = 10
LEAST_REQUESTS = {P50: 10, P95: 40, FAILED_REQUESTS: 10, FAILED_CHECKS: 10}  # in a block, of each target

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


def pairs_of(result: RunResult) -> list[Pair]:
    """All requests first. The last block is left out when the load ended in it."""
    rows = result.blocks.rows if result.blocks else []
    new = {(row.name, row.method): row for row in rows if row.arm == "new"}
    old = {(row.name, row.method): row for row in rows if row.arm == "old"}
    everything = ("", "")
    if everything not in new or everything not in old:
        return []
    one = len(new.keys() | old.keys()) <= 2  # the only endpoint would be all requests once more
    keys = [everything] if one else list(dict.fromkeys(chain([everything], new, old)))
    counts = [a + b for a, b in zip(new[everything].requests, old[everything].requests, strict=False)]
    cut_short = len(counts) > 1 and counts[-1] < counts[-2] / 2
    kept = list(range(len(counts) - cut_short))
    return [
        Pair(_only(new.get(key) or _nothing(key), kept), _only(old.get(key) or _nothing(key), kept)) for key in keys
    ]  # fmt: skip


def _nothing(key: Key) -> BlockRow:
    return BlockRow(name=key[0], method=key[1], requests=[], failed=[], avg=[], p50=[], p95=[])


def _only(row: BlockRow, kept: Sequence[int]) -> BlockRow:
    """The row with these blocks; lists that are too short for them are left out as a whole."""

    def pick(values: list[Any]) -> list[Any]:
        return [values[index] for index in kept] if kept and len(values) > kept[-1] else []

    return row.model_copy(
        update={
            name: pick(getattr(row, name))
            for name in ("requests", "failed", "avg", "p50", "p95", "cpu_s", "checks_passed", "checks_failed")
        }
    )


def latency_blocks(measure: Measure, pair: Pair) -> Iterator[Block]:
    """As many blocks as have enough requests of both targets. What remains at the end joins the last one."""
    new, old = _levels_of(measure, pair.new), _levels_of(measure, pair.old)
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


def _levels_of(measure: Measure, row: BlockRow) -> Counted:
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


def share_blocks(measure: Measure, pair: Pair) -> Iterator[Block]:
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


def total(measure: Measure, *rows: BlockRow) -> tuple[int, int]:
    parts = [part for row in rows for part in _parts(measure, row)]
    return sum(part for part, _ in parts), sum(whole for _, whole in parts)
