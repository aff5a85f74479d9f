"""Reads the CPU time of the targets while the load goes on, beside the virtual users and never in their loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ciload.metrics.blocks import Arm
from ciload.metrics.cpu_series import CpuSource, MeasuredCpu


class CpuReader:
    """The CPU time of each target that is known by its process."""

    def __init__(self, sources: Mapping[Arm, CpuSource], warmup_s: float, clock: Callable[[], float]) -> None:
        """
        Args:
            sources: of the targets whose process is known.
            warmup_s: of the load; times are kept as seconds since its end.
            clock: seconds.
        """
        self.measured = {arm: MeasuredCpu(source.name) for arm, source in sources.items()}
        self._sources = sources
        self._warmup_s = warmup_s
        self._clock = clock
        self._begun = (0.0, clock())  # seconds since the load's start, and the clock at that moment

    def look(self, elapsed_s: float) -> None:
        """Read what is due. Called often, with the seconds since the load's start."""
        self._begun = (elapsed_s, self._clock())
        for arm, measured in self.measured.items():
            if measured.lost_at_s is None and measured.series.due(elapsed_s - self._warmup_s):
                self._read(arm, elapsed_s - self._warmup_s)

    def end(self) -> None:
        """Read all of them once more: the load is over."""
        elapsed_s, looked_at = self._begun
        for arm, measured in self.measured.items():
            if measured.lost_at_s is None:
                self._read(arm, elapsed_s + self._clock() - looked_at - self._warmup_s)

    def _read(self, arm: Arm, at_s: float) -> None:
        cpu_s, measured = self._sources[arm].read(), self.measured[arm]
        if cpu_s is None:
            measured.lost_at_s = at_s
        else:
            measured.series.add(at_s, cpu_s)

    def warnings(self) -> Iterable[str]:
        """What could not be read to the end."""
        for arm, measured in self.measured.items():
            if measured.lost_at_s is not None:
                which = "old target" if arm == "old" else "target"
                yield (
                    f"the {which}'s process was gone {max(0.0, measured.lost_at_s):.1f} s into the load: its CPU per "
                    f"request is not known ({measured.name})"
                )
