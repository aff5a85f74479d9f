"""Whether the blocks of a side-by-side run are alike enough to be compared: no target works off, or piles up, requests.

Near what a target can take, requests queue, and a queue that has grown is a matter of the next minute, not of the next
block. Blocks then tell one and the same story many times over, and no test that takes them one by one knows that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

SMOOTH = 0.7  # of the ratio below: once in 500 steady runs or less
FAR = 0.1  # how far a difference must wander to matter
LEAST_BLOCKS = 6
STEADY = 0.5  # of the logarithm of a latency: a target that is not near what it can take stays within this

Steadiness = Literal["steady", "falls behind", "unsteady"]


def steadiness(old: Sequence[float], difference: Sequence[float]) -> Steadiness:
    """What the blocks look like.

    Args:
        old: logarithms of a typical latency of each block at the old target.
        difference: new against old, of the same blocks.

    Returns:
        "falls behind" when the new target answers later and later while the old one takes the same requests with ease:
        that is no accident. "unsteady" when the difference wanders otherwise.

    Source: the ratio of the mean square successive difference to the variance, von Neumann, Ann. Math. Statist. 12(4),
    1941: 2 for independent values, near 0 for a curve.
    """
    if len(difference) < LEAST_BLOCKS:
        return "steady"  # for all that anybody knows
    values, calm = np.asarray(difference, dtype=float), np.asarray(old, dtype=float)
    squares = float(((values - values.mean()) ** 2).sum())
    far = float(np.ptp(values)) > FAR
    if not far or float((np.diff(values) ** 2).sum()) > SMOOTH * squares:
        return "steady"
    third = len(values) // 3
    rises = values[-third:].mean() > values[:third].mean() > 0 and values.argmax() >= len(values) - third
    return "falls behind" if rises and float(np.ptp(calm)) < STEADY else "unsteady"
