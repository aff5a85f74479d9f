"""CPU per request of two targets that were loaded in the same run: as blocks, like latencies.

Latencies of two targets on one machine are drawn to each other when they wait for the same cores. CPU time is not: each
target is charged with what it has used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from ciload.gate.metrics import CPU_PER_REQUEST, LEAST_CPU_S, Subject, cpu_noise
from ciload.gate.paired_blocks import LEAST_BLOCKS, Block, Pair, grouped
from ciload.gate.verdicts import GateFinding
from ciload.result.document import BlockRow, RunResult

LEAST_REQUESTS = 10  # in a block, of each target


def cpu_blocks(pair: Pair) -> Iterator[Block]:
    """As many blocks as have enough CPU time at both targets. What remains at the end joins the last one.

    Levels are ln(ms of CPU time per request). Requests are counted when they end, and CPU time when it is used: at the
    edges of blocks, both targets are off by the same.
    """
    indices = range(min(len(pair.new.cpu_s), len(pair.old.cpu_s)))
    for group in grouped(indices, partial(_enough, pair)):
        (new, new_cpu_s), (old, old_cpu_s) = _level(pair.new, group), _level(pair.old, group)
        yield Block(new, old, new - old, noise=math.hypot(cpu_noise(new_cpu_s), cpu_noise(old_cpu_s)))


def too_little_cpu(pair: Pair) -> str:
    """Why there are too few blocks."""
    cpu_s = min(sum(pair.new.cpu_s), sum(pair.old.cpu_s))
    return (
        f"{cpu_s:.2g} s of CPU time a side; CPU per request needs {LEAST_CPU_S * LEAST_BLOCKS:g} s, {LEAST_CPU_S:g} in "
        f"each of {LEAST_BLOCKS} blocks: a longer or faster run"
    )


def without_cpu(result: RunResult) -> Iterator[GateFinding]:
    """The finding that CPU time was asked for and is not known of both targets."""
    new, old = result.target_cpu, result.old_arm.target_cpu if result.old_arm else None
    if new is None and old is None:
        return
    if new is None or old is None:
        which, option = ("target", "--target-process") if new is None else ("old target", "--compare-process")
        reason = f"of the {which}, no process was named: {option}"
    elif reason := next((f"{each.process}: {each.reason}" for each in (new, old) if each.reason), ""):
        pass
    else:
        return
    yield GateFinding(Subject("", "", CPU_PER_REQUEST), f"CPU time is not known: {reason}")


def _enough(pair: Pair, group: Sequence[int]) -> bool:
    return all(
        sum(row.cpu_s[index] for index in group) >= LEAST_CPU_S
        and sum(row.requests[index] for index in group) >= LEAST_REQUESTS
        for row in (pair.new, pair.old)
    )


def _level(row: BlockRow, group: Sequence[int]) -> tuple[float, float]:
    """The logarithm of the CPU time per request in ms, and the CPU seconds."""
    cpu_s = sum(row.cpu_s[index] for index in group)
    return math.log(1e3 * cpu_s / sum(row.requests[index] for index in group)), cpu_s
