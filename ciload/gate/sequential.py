"""Looking at a run before it is over, without more false alarms than stated: what each look may spend.

Source: Lan and DeMets, Discrete Sequential Boundaries for Clinical Trials, Biometrika 70(3), 1983, with the linear
spending function; the recursion, Armitage, McPherson and Rowe, J. R. Statist. Soc. A 132(2), 1969.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy import special

from ciload.gate.verdicts import Terms

FIRST_LOOK_S = 10.0  # what the gate needs at least; then twice as much each time
LAST_LOOK = 0.75  # of the limit: a look just before the end would spend for nothing
WIDEST = 8.0  # standard deviations at the end that the process is followed in
STEPS = 1_601


def looks(limit_s: float) -> list[float]:
    """After how many measured seconds to look, the limit included."""
    early, at_s = [], FIRST_LOOK_S
    while at_s < LAST_LOOK * limit_s:
        early.append(at_s)
        at_s *= 2
    return [*early, limit_s]


@lru_cache(maxsize=64)
def levels(alpha: float, limit_s: float) -> tuple[float, ...]:
    """One-sided p values that count at each look of `looks`, so that all together keep `alpha`.

    Estimates on the way are sums of independent blocks, so they move like a Brownian motion: what is known after half
    of the blocks is half of what the end knows.
    """
    times = [each / limit_s for each in looks(limit_s)]
    grid = np.linspace(-WIDEST, WIDEST, STEPS)
    step = float(grid[1] - grid[0])
    found: list[float] = []
    density, before = np.zeros(STEPS), 0.0
    density[STEPS // 2] = 1 / step  # all of it at 0
    for time in times:
        kernel = np.exp(-(grid**2) / (2 * (time - before))) / math.sqrt(2 * math.pi * (time - before))
        density = np.convolve(density, kernel, mode="same") * step
        above = np.cumsum(density[::-1])[::-1] * step
        boundary = float(np.interp(-alpha * (time - before), -above, grid))
        found.append(float(special.ndtr(-boundary / math.sqrt(time))))
        density = np.where(grid < boundary, density, 0.0)
        before = time
    return tuple(found)


def level_at(alpha: float, limit_s: float, at_s: float) -> float:
    """The p value that counts when the load was ended after so many seconds."""
    times: Sequence[float] = looks(limit_s)
    index = next((index for index, each in enumerate(times) if at_s <= each), len(times) - 1)
    return levels(alpha, limit_s)[index]


def at_look(terms: Terms, limit_s: float, at_s: float) -> Terms:
    """What counts when the load has ended after so many seconds of the most that it might have taken."""
    return replace(
        terms, false_alarm=level_at(terms.false_alarm, limit_s, at_s), doubt=level_at(terms.doubt, limit_s, at_s)
    )
