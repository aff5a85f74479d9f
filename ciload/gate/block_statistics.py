"""The shift between two targets loaded side by side, from the differences of the blocks of a run.

Neighbouring blocks may be alike, a few may be wild, and what the first ones show may not last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ciload.gate.statistics import (
    LEAST_RUNS,
    MAD_TO_SD,
    Estimate,
    Spread,
    TooFewRunsError,
    plain_number,
    quotient,
    sum_of_squares,
)

MOST_CORRELATION = 0.9
LIKELY = 0.5  # standard errors of a correlation that may be more than it looks
MADE_UP = 0.3  # of the correlation that ten blocks show
HUBER = 1.345  # standard deviations; 95% of the mean's efficiency where the noise is normal
MOST_WEIGHT = 2.0  # of a block, in those of the middle one
MOST_STEPS = 50
TINY = 1e-12
LESS_CERTAIN = 3.0  # times the level of a claim: what the later blocks alone have to hold for


def side_by_side(runs: Sequence[Sequence[float]], *, floor: float = 0.0, queues: bool = False) -> Estimate:
    """The shift between two targets loaded side by side: a paired t test on blocks, wider when neighbours are alike.

    At a nominal 1%, independent blocks alarm falsely in 0.7 to 0.9% of runs. Neighbours that correlate by 0.2 raise
    that to 2.0, 1.7, 1.5% with 10, 20, 40 blocks; by 0.3 to 2.7, 2.1, 1.7%; by 0.5 to 5.2, 3.1, 2.0%. The plain test
    has 2.6, 4.1 and 8.6% there. A stricter guard would cost ten blocks the power they are worth having for: prefer 20.
    Outliers to one side alone are a shift of the mean, and 40 blocks begin to find it.

    Args:
        runs: per run, ln(new) - ln(old) of its blocks in time order. 10 to 40 blocks a run were studied. Reruns
            add blocks, and a difference between runs counts as likeness of neighbours.
        floor: the blocks' standard deviation is at least this.
        queues: requests wait for each other at the targets, so that neighbouring blocks must be alike.

    Raises:
        TooFewRunsError: under 3 blocks.

    Source: Student 1908; for the wider error Zwiers and von Storch, Taking Serial Correlation into Account in Tests of
    the Mean, J. Climate 8(2), 1995; for the bias of the estimated correlation Marriott and Pope, Bias in the Estimation
    of Autocorrelations, Biometrika 41(3/4), 1954.
    """
    series = [np.asarray(run, dtype=float) for run in runs]
    blocks = np.concatenate(series, axis=-1) if series else np.empty(0)
    n = blocks.shape[-1]
    if n < LEAST_RUNS:
        raise TooFewRunsError(f"{n} blocks say too little about the noise: {LEAST_RUNS} are needed")
    mean = blocks.mean(axis=-1)
    squares = sum_of_squares(blocks)
    centred = [run - mean[..., None] for run in series]
    neighbours = sum((run[..., 1:] * run[..., :-1]).sum(axis=-1) for run in centred)
    variance = np.maximum(squares / (n - 1), floor**2) / n
    allowance = _allowance(quotient(neighbours, squares), n, queues=queues)
    se = np.sqrt(variance * allowance)
    return Estimate(plain_number(mean), Spread(plain_number(se), _left_df(allowance, n)))


def robust_side_by_side(
    runs: Sequence[Sequence[float]],
    weights: Sequence[Sequence[float]] = (),
    *,
    floor: float = 0.0,
    queues: bool = False,
) -> Estimate:
    """The shift between two targets loaded side by side, which a few wild seconds hardly move.

    Blocks count by how well they are known, and beyond 1.345 standard deviations by their direction alone. In recorded
    runs of a minute, on a machine that others used as well, that finds 5% in nine of ten, the mean of blocks in six.

    Args:
        runs: per run, the differences of its blocks, as for `side_by_side`.
        weights: inverse variances of these as far as each block's own requests tell; all the same unless given. No
            block has more than twice the weight of the middle one, since blocks have noise in common, too.
        floor: the blocks' standard deviation is at least this.
        queues: as for `side_by_side`.

    Raises:
        TooFewRunsError: under 3 blocks.

    Source: Huber, Robust Estimation of a Location Parameter, Ann. Math. Statist. 35(1), 1964; its standard error with
    the correction for small samples, Huber, The 1972 Wald Lecture, Ann. Statist. 1(5), 1973; weights, Cochran, Problems
    Arising in the Analysis of a Series of Similar Experiments, Suppl. J. R. Statist. Soc. 4(1), 1937.
    """
    values = np.concatenate([np.asarray(run, dtype=float) for run in runs]) if runs else np.empty(0)
    n = len(values)
    if n < LEAST_RUNS:
        raise TooFewRunsError(f"{n} blocks say too little about the noise: {LEAST_RUNS} are needed")
    known = np.concatenate([np.asarray(each, dtype=float) for each in weights]) if len(weights) else np.ones(n)
    weight = np.minimum(known / np.median(known), MOST_WEIGHT)
    root = np.sqrt(weight)
    centre = float(np.median(values))
    scale = MAD_TO_SD * float(np.median(np.abs(values - centre) * root))
    scale = max(scale, floor * float(root.mean()), TINY)
    for _ in range(MOST_STEPS):
        share = np.minimum(1.0, HUBER / np.maximum(np.abs(values - centre) * root / scale, TINY)) * weight
        before, centre = centre, float((share * values).sum() / share.sum())
        if abs(centre - before) < TINY:
            break
    z = (values - centre) * root / scale
    scores, inside = np.clip(z, -HUBER, HUBER) * root, np.abs(z) <= HUBER
    squares, part = float((scores**2).sum()), float(inside.mean())
    neighbours, start = 0.0, 0
    for run in runs:
        own = scores[start : start + len(run)]
        neighbours, start = neighbours + float((own[1:] * own[:-1]).sum()), start + len(run)
    allowed = _allowance(neighbours / squares if squares > 0 else 0.0, n, queues=queues)
    correction = 1 + (1 - part) / (part * n)
    slope = max(float(weight[inside].sum()), TINY)
    se = scale * math.sqrt(squares * n / (n - 1)) / slope * correction
    return Estimate(centre, Spread(max(se, floor / math.sqrt(n)) * math.sqrt(allowed), _left_df(allowed, n)))


def steady_rise(runs: Sequence[Sequence[float]], *, floor: float = 0.0) -> Estimate:
    """The mean of differences that rise all the time: their noise is how much neighbours differ, whatever the rise.

    Args:
        runs: as for `side_by_side`.
        floor: likewise.

    Source: von Neumann et al., The Mean Square Successive Difference, Ann. Math. Statist. 12(2), 1941.
    """
    values = np.concatenate([np.asarray(run, dtype=float) for run in runs])
    steps = np.concatenate([np.diff(np.asarray(run, dtype=float)) for run in runs])
    noise = max(math.sqrt(float((steps**2).mean()) / 2) if len(steps) else 0.0, floor)
    return Estimate(float(values.mean()), Spread(noise / math.sqrt(len(values)), max(1, len(steps) - 1)))


@dataclass(frozen=True, slots=True)
class Lasting:
    """A shift between the blocks of two targets that has to be there in the later blocks, too.

    What was there in the beginning alone, as the last of a warm-up or a queue that is being worked off, is no change of
    the target. Claims hold for the whole run, and for the later blocks at three times the level.

    Attributes:
        whole: the estimate that counts.
        later: the same without the first blocks.
    """

    whole: Estimate
    later: Estimate

    @property
    def effect(self) -> float:
        """Of the whole."""
        return self.whole.effect

    @property
    def rise(self) -> float:
        """See `Estimate.rise`."""
        return max(self.whole.rise, self.later.rise / LESS_CERTAIN)

    @property
    def fall(self) -> float:
        """See `Estimate.fall`."""
        return max(self.whole.fall, self.later.fall / LESS_CERTAIN)

    def interval(self, confidence: float = 0.90) -> tuple[float, float]:
        """See `Estimate.interval`."""
        return self.whole.interval(confidence)

    def detectable(self, alpha: float, power: float = 0.80, tolerated: float = 0.0) -> float:
        """What the later blocks would find at their level, if that is more."""
        later = self.later.detectable(min(0.5, LESS_CERTAIN * alpha), power, tolerated)
        return max(self.whole.detectable(alpha, power, tolerated), later)


def _allowance(likeness: Any, n: int, *, queues: bool) -> Any:
    """By how much the variance of a mean is larger since neighbouring blocks are alike.

    Some of the likeness is made up: the fewer blocks, the more of it, and inflating for that would cost ten blocks a
    tenth of their power. Where requests queue, neighbours are alike for certain, and it may be more than it looks.
    """
    chance = LIKELY / math.sqrt(n) if queues else -MADE_UP * (10 / n) ** 2.6
    correlation = np.clip(likeness + (1 + 3 * likeness) / n + chance, 0, MOST_CORRELATION)
    return (1 + correlation) / (1 - correlation)


def _left_df(allowance: Any, n: int) -> Any:
    """Degrees of freedom of so many blocks: those that are alike tell less about the noise as well."""
    return plain_number(np.clip(n / allowance - 1, 1, n - 1))
