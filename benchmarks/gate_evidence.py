"""What the regression gate says of real runs on a noisy machine: `python -m benchmarks.gate_evidence`.

The runs: one noisy shared machine with 2 cores, a list endpoint under load for 6 s a run. Some runs have 0.25 ms of CPU
burnt per request, which a gate should see; all others are the same, and every alarm among them is false.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ciload.gate.block_statistics import side_by_side
from ciload.gate.statistics import Estimate, against_history

Floats = NDArray[np.float64]

RUNS = Path(__file__).parent.parent / "tests" / "gate" / "noisy-runs.json"
METRICS = ("mean", "p50", "p95", "p99")
TAILS = ("p95", "p99")
BLOCK_METRICS = ("p50", "p95")
ALPHA = 0.01
SCREEN = 0.10
DRAWS = 40_000
HISTORIES = (5, 10, 20, 30)
SLOW_EVERY = 3  # a slow run came after every third of the others


@dataclass(frozen=True, slots=True)
class Rates:
    """How often a rule alarms, out of how many: on runs that are the same and on slower ones."""

    false_alarms: float
    detections: float
    same: int
    slow: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All recorded runs as logs."""

    same: dict[str, Floats]
    slow: dict[str, Floats]
    paired_same: dict[str, Floats]
    paired_slow: dict[str, Floats]
    blocks_same: dict[str, Floats]
    blocks_slow: dict[str, Floats]

    def random_windows(self, metric: str, n: int, *, tail: bool) -> Rates:
        """A random run after n other random ones, as if the order of the runs meant nothing."""
        rng = np.random.default_rng(n)
        same, slow = self.same[metric], self.slow[metric]
        order = np.argsort(rng.random((DRAWS, len(same))), axis=1)
        history = same[order[:, :n]]
        slower = slow[rng.integers(len(slow), size=DRAWS)]
        return _rates(judge(history, same[order[:, n]], tail=tail), judge(history, slower, tail=tail))

    def rolling_windows(self, metric: str, n: int, *, tail: bool) -> Rates:
        """Each run after the n before it."""
        same, slow = self.same[metric], self.slow[metric]
        windows = np.lib.stride_tricks.sliding_window_view(same, n)
        after = np.arange(SLOW_EVERY, len(same) + 1, SLOW_EVERY) - n
        seen = after >= 0
        return _rates(
            judge(windows[:-1], same[n:], tail=tail), judge(windows[after[seen]], slow[: len(after)][seen], tail=tail)
        )

    def all_others(self, metric: str, *, tail: bool) -> Rates:
        """Each run against all others."""
        same, slow = self.same[metric], self.slow[metric]
        others = np.array([np.delete(same, index) for index in range(len(same))])
        everything = np.broadcast_to(same, (len(slow), len(same)))
        return _rates(judge(others, same, tail=tail), judge(everything, slow, tail=tail))

    def naive(self, metric: str) -> Rates:
        """The rule of many a gate: 10% worse than the last run."""
        same, slow = self.same[metric], self.slow[metric]
        last = same[SLOW_EVERY - 1 :: SLOW_EVERY]
        limit = np.log(1.10)
        return _shares(same[1:] - same[:-1] > limit, slow[: len(last)] - last > limit)

    def blocks(self, metric: str, merged: int) -> Rates:
        """Both targets in one job, a decision for each run by its blocks, so many of them merged into one."""
        return _rates(*(paired(merge(each, merged)) for each in (self.blocks_same[metric], self.blocks_slow[metric])))

    def naive_pairs(self, metric: str) -> Rates:
        """10% worse than the other target in the same run."""
        limit = np.log(1.10)
        return _shares(self.paired_same[metric] > limit, self.paired_slow[metric] > limit)

    def confirmed_blocks(self, metric: str) -> Rates:
        """Like `blocks`, but a suspicious run is repeated once and both decide."""
        return _shares(_confirmed(self.blocks_same[metric]), _confirmed(self.blocks_slow[metric]))


def judge(history: Floats, fresh: Floats, *, tail: bool) -> Estimate:
    """The gate's estimates for many windows at once: rows of earlier runs, one fresh run each."""
    levels: Any = [history]
    latest: Any = fresh[:, None]
    return against_history(levels, latest, tail=tail)


def paired(*runs: Floats) -> Estimate:
    """The gate's estimates for many jobs at once: rows of block differences, one array per run of the job."""
    rows: Any = runs
    return side_by_side(rows)


def merge(blocks: Floats, size: int) -> Floats:
    """The means of so many neighbouring blocks."""
    return np.asarray(blocks.reshape(len(blocks), -1, size).mean(axis=2))


def load(path: Path = RUNS) -> Evidence:
    """The recorded runs."""
    data = json.loads(path.read_text())
    alone, pairs = data["alone"], data["pairs"]

    def levels(runs: Any) -> dict[str, Floats]:
        return {metric: np.log([run[metric] for run in runs]) for metric in METRICS}

    def differences(runs: Any) -> dict[str, Floats]:
        return {m: np.log([run["new"][m] for run in runs]) - np.log([run["old"][m] for run in runs]) for m in METRICS}

    def blocks(runs: Any) -> dict[str, Floats]:
        return {
            m: np.log([run[f"new_block_{m}"] for run in runs]) - np.log([run[f"old_block_{m}"] for run in runs])
            for m in BLOCK_METRICS
        }

    return Evidence(
        levels(alone["same"]),
        levels(alone["slow_after_every_third_same"]),
        differences(pairs["same_vs_same"]),
        differences(pairs["same_vs_slow"]),
        blocks(pairs["same_vs_same"]),
        blocks(pairs["same_vs_slow"]),
    )


def _confirmed(blocks: Floats) -> Floats:
    first, second = np.nonzero(~np.eye(len(blocks), dtype=bool))
    suspicious = np.asarray(paired(blocks[first]).rise) <= SCREEN
    return np.asarray(suspicious & (np.asarray(paired(blocks[first], blocks[second]).rise) < ALPHA))


def _rates(same: Estimate, slow: Estimate) -> Rates:
    return _shares(np.asarray(same.rise) < ALPHA, np.asarray(slow.rise) < ALPHA)


def _shares(same: Any, slow: Any) -> Rates:
    return Rates(float(same.mean()), float(slow.mean()), len(same), len(slow))


def _lines(evidence: Evidence) -> Iterator[str]:
    yield "| gate | metric | judged | false alarms | slower ones found |"
    yield "|---|---|---|---|---|"
    for metric in METRICS:
        yield _line("10% worse than the last run", metric, "each run", evidence.naive(metric))
        for tail in (False, True) if metric in TAILS else (False,):
            gate = "history, tail rule" if tail else "history, plain t" if metric in TAILS else "history"
            for n in HISTORIES:
                yield _line(gate, metric, f"after {n} random runs", evidence.random_windows(metric, n, tail=tail))
            for n in HISTORIES:
                yield _line(gate, metric, f"after the last {n} runs", evidence.rolling_windows(metric, n, tail=tail))
            yield _line(gate, metric, "against all others", evidence.all_others(metric, tail=tail))
    for metric in METRICS:
        yield _line("10% worse than the other target", metric, "each run", evidence.naive_pairs(metric))
        if metric in BLOCK_METRICS:
            yield _line("side by side", metric, "each run, 20 blocks", evidence.blocks(metric, 1))
            yield _line("side by side", metric, "each run, 10 blocks", evidence.blocks(metric, 2))
            yield _line("side by side, confirmed", metric, "any two runs, 20 blocks", evidence.confirmed_blocks(metric))
        else:
            yield f"| side by side | {metric} | each run | n/a: not recorded by block | n/a |"
        chances = [paired(each[metric][None]).rise for each in (evidence.paired_same, evidence.paired_slow)]
        same, slow = (float(np.squeeze(chance)) for chance in chances)
        yield f"| side by side | {metric} | all 40 runs as blocks of one | p = {same:.2g} | p = {slow:.2g} |"


def _line(gate: str, metric: str, judged: str, rates: Rates) -> str:
    cells = [
        f"{100 * share:.1f}%" + (f" ({round(share * total)} of {total})" if total < DRAWS else "")
        for share, total in ((rates.false_alarms, rates.same), (rates.detections, rates.slow))
    ]
    return f"| {gate} | {metric} | {judged} | {cells[0]} | {cells[1]} |"


if __name__ == "__main__":
    print("\n".join(_lines(load())))
