"""The CPU time of a target over the load: read now and then, known in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

READ_EVERY_S = 0.25
MOST_READINGS = 4_000  # beyond, every other one is given up; blocks are long by then


class CpuSource(Protocol):
    """Something whose CPU time can be read."""

    name: str

    def read(self) -> float | None:
        """CPU seconds so far; None when it is gone."""


class CpuSeries:
    """Cumulative CPU seconds at moments of the load, in bounded memory. Between two moments, time was used evenly."""

    def __init__(self) -> None:
        self._at_s: list[float] = []
        self._cpu_s: list[float] = []
        self._every_s = READ_EVERY_S

    def due(self, at_s: float) -> bool:
        """Whether the last reading is old enough for another one."""
        return not self._at_s or at_s >= self._at_s[-1] + self._every_s

    def add(self, at_s: float, cpu_s: float) -> None:
        """
        Args:
            at_s: seconds since measuring began; below 0 in a warm-up. Never falls.
            cpu_s: CPU seconds that were used until then, since whenever.
        """
        if len(self._at_s) >= MOST_READINGS:
            del self._at_s[1::2], self._cpu_s[1::2]
            self._every_s *= 2
        self._at_s.append(at_s)
        self._cpu_s.append(cpu_s)

    def spent(self, begin_s: float, end_s: float) -> float | None:
        """CPU seconds between two moments; None where they are not known."""
        if not self._at_s or begin_s < self._at_s[0] or end_s > self._at_s[-1]:
            return None
        begin, end = np.interp([begin_s, end_s], self._at_s, self._cpu_s)
        return max(0.0, float(end - begin))


@dataclass(slots=True)
class MeasuredCpu:
    """What is known of the CPU time of one target. `lost_at_s`: when it was seen to be gone."""

    name: str
    series: CpuSeries = field(default_factory=CpuSeries)
    lost_at_s: float | None = None
