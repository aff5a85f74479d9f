"""The blocks of a run that loaded two targets, in pairs; neighbours that hold too little become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ciload.gate.metrics import P50, P95, P99, RESOLUTION, SMALLEST_MS, Measure
from ciload.result.document import BlockRow, Blocks

LEAST_BLOCKS = 10
# Requests, or samples of a metric, in a block, of each target.
LEAST_REQUESTS = {"p50": 10, "mean": 10, "p95": 40, "p99": 100, "per second": 1, "value": 1}
LEAST_PAIRS = 4  # in a block, of each order
OF_BLOCKS = (
    "requests", "failed", "avg", "p5", "p50", "p95", "p99", "cpu_s", "checks_passed", "checks_failed",
    "pairs_new_first", "ratio_new_first", "spread_new_first", "pairs_old_first", "ratio_old_first", "spread_old_first",
)  # fmt: skip

Key = tuple[str, str]
Counted = Sequence[tuple[int, float]]  # of each block: how many, and their level


@dataclass(frozen=True, slots=True)
class Pair:
    """One endpoint in one run: its blocks at both targets."""

    new: BlockRow
    old: BlockRow

    @property
    def paired(self) -> bool:
        """Whether requests were paired, rather than each target loaded by itself."""
        return 2 * sum(pairs_in(self.new)) > sum(self.new.requests)

    @property
    def apart(self) -> bool:
        """Whether each target was loaded by itself since virtual users only waited."""
        return bool(self.new.pairs_new_first) and not self.paired

    def only(self, kept: Sequence[int]) -> Pair:
        """The pair with these blocks alone."""
        return Pair(_only(self.new, kept), _only(self.old, kept))


@dataclass(frozen=True, slots=True)
class Block:
    """Some neighbouring blocks of a pair as one: levels at both targets, and how little they can be known.

    Attributes:
        difference: new against old, which pairs of requests know better than the levels do.
        noise: how coarsely the levels are measured, as a standard deviation.
        weight: inverse variance of the difference, as far as its pairs tell; 0: they do not.
    """

    new: float
    old: float
    difference: float
    noise: float
    weight: float = 0.0


def pairs_of(blocks: Blocks | None, until_s: float | None = None) -> list[Pair]:
    """All requests first. The last block is left out when the load ended in it; so are blocks after `until_s`.

    Where virtual users had to load the targets apart, only blocks of the one or of the other way are kept, whichever
    has more requests: what is compared must be one thing.
    """
    rows = blocks.rows if blocks else []
    new = {(row.name, row.method): row for row in rows if row.arm == "new"}  # names of operations and metrics differ
    old = {(row.name, row.method): row for row in rows if row.arm == "old"}
    everything = ("", "")
    if everything not in new or everything not in old:
        return []
    keys = list(dict.fromkeys(chain([everything], new, old)))
    if blocks is not None and blocks.of == "requests":
        endpoints = {
            key for each in (new, old) for key, row in each.items() if row.metric is None and key != everything
        }
        keys = [key for key in keys if key not in endpoints or len(endpoints) > 1]  # it would be all requests once more
    pairs = [Pair(new.get(key) or _nothing(key), old.get(key) or _nothing(key)) for key in keys]
    counts = [a + b for a, b in zip(pairs[0].new.requests, pairs[0].old.requests, strict=False)]
    cut_short = len(counts) > 1 and counts[-1] < counts[-2] / 2
    seen = len(counts) if blocks is None or until_s is None else int(until_s // blocks.span_s)
    kept = range(min(seen, len(counts) - cut_short))
    if paired := pairs_in(pairs[0].new):
        alike = [index for index in kept if (2 * paired[index] > pairs[0].new.requests[index]) == pairs[0].paired]
        part = alike if pairs[0].paired else alike[_parting(pairs[0], blocks) :]
        return [pair.only(part) for pair in pairs]
    return [pair.only(kept) for pair in pairs]


def _parting(pair: Pair, blocks: Blocks | None) -> int:
    """How many blocks the targets take to part: in these, requests are answered that have piled up at one of them."""
    slowest_ms = max((each for row in (pair.new, pair.old) for each in row.p50 if each is not None), default=0.0)
    return 1 + int(slowest_ms / 1e3 / (blocks.span_s if blocks else 1.0))


def pairs_in(row: BlockRow) -> list[int]:
    """How many pairs of requests each block has."""
    return [a + b for a, b in zip(row.pairs_new_first, row.pairs_old_first, strict=False)]


def _nothing(key: Key) -> BlockRow:
    return BlockRow(name=key[0], method=key[1], requests=[], failed=[], avg=[], p50=[], p95=[])


def _only(row: BlockRow, kept: Sequence[int]) -> BlockRow:
    """The row with these blocks; lists that are too short for them are left out as a whole."""

    def pick(values: list[Any]) -> list[Any]:
        return [values[index] for index in kept] if kept and len(values) > kept[-1] else []

    return row.model_copy(update={name: pick(getattr(row, name)) for name in OF_BLOCKS})


def latency_blocks(measure: Measure, pair: Pair) -> Iterator[Block]:
    """As many blocks as have enough requests of both targets. What remains at the end joins the last one."""
    new, old = _levels_of(measure, pair.new), _levels_of(measure, pair.old)
    strata = _strata(pair.new) if measure is P50 and pair.paired else ()
    least = LEAST_REQUESTS[measure.metric]

    def enough(group: Sequence[int]) -> bool:
        return all(_count(each, group) >= least for each in (new, old)) and all(
            _count(each, group) >= LEAST_PAIRS for each in strata
        )

    for group in grouped(range(min(map(len, (new, old, *strata)))), enough):
        levels = _level(new, group), _level(old, group)
        difference = sum(_level(each, group) for each in strata) / len(strata) if strata else levels[0] - levels[1]
        coarse = RESOLUTION
        if measure.unit == "ms":
            coarse = max(RESOLUTION, *(SMALLEST_MS / math.exp(measure.worse * level) for level in levels))
        yield Block(*levels, difference, noise=coarse, weight=_weight(pair.new, group, coarse) if strata else 0.0)


def grouped(indices: Sequence[int], enough: Callable[[Sequence[int]], bool]) -> Iterator[list[int]]:
    """Neighbours in groups that have enough. What remains at the end joins the last one."""
    groups: list[list[int]] = [[]]
    for index in indices:
        if enough(groups[-1]):
            groups.append([])
        groups[-1].append(index)
    if len(groups) > 1 and not enough(groups[-1]):
        groups[-2:] = [groups[-2] + groups[-1]]
    yield from (group for group in groups if enough(group))


def _strata(row: BlockRow) -> tuple[Counted, Counted]:
    """Log ratios of pairs, by which target was asked first: the mean of both is free of what being first means."""
    return (
        _counted(row.pairs_new_first, row.ratio_new_first),
        _counted(row.pairs_old_first, row.ratio_old_first),
    )


def _weight(row: BlockRow, group: Sequence[int], coarse: float) -> float:
    """The inverse variance of the mean of both strata's medians: up to a factor, since only their relation counts."""
    variance = 0.0
    for counts, spreads in ((row.pairs_new_first, row.spread_new_first), (row.pairs_old_first, row.spread_old_first)):
        known = [(counts[at], spreads[at] or 0.0) for at in group if at < len(spreads)]
        pairs = sum(count for count, _ in known)
        if not pairs:
            return 0.0
        variance += sum(count * max(spread, coarse) ** 2 for count, spread in known) / pairs**2
    return 1 / variance


def _levels_of(measure: Measure, row: BlockRow) -> Counted:
    values = {P50.metric: row.p50, P95.metric: row.p95, P99.metric: row.p99}.get(measure.metric, row.avg)
    return _counted(row.requests, values, measure)


def _counted(counts: Sequence[int], values: Sequence[float | None], measure: Measure = P50) -> Counted:
    return [
        (0, 0.0) if value is None else (count, measure.level(value))
        for count, value in zip(counts, values, strict=False)
    ]


def _count(blocks: Counted, group: Sequence[int]) -> int:
    return sum(blocks[at][0] for at in group)


def _level(blocks: Counted, group: Sequence[int]) -> float:
    """Of blocks whose requests are no longer known, the mean of their percentiles stands for that of all of them."""
    return sum(blocks[at][0] * blocks[at][1] for at in group) / _count(blocks, group)
