"""Was the generator itself the bottleneck? Its CPU, its event loop, scripts that block it, a machine held up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ciload.engine.blocking import Blocked, remedy
from ciload.engine.machine import Withheld
from ciload.metrics.sinks import TrendSink

BUSY = 0.9  # above this share of a core, the generator's own speed shapes the results
LATE_MS = 50.0  # a loop this late at its 99th percentile adds to the latencies it reports
OFTEN = 0.1  # of the load: short waits of the script that hold up all virtual users so much are worth a warning
MOST_PLACES = 100
WITHHELD = 0.05  # a machine that was held up for more of the time than this is no measure


@dataclass(slots=True)
class WorkerHealth:
    """One process over the load. `lost` says how it ended when it did not end by itself."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    lag: TrendSink = field(default_factory=TrendSink)
    lost: str = ""

    def add(self, cpu_s: float, wall_s: float, lag: TrendSink) -> None:
        self.cpu_s += cpu_s
        self.wall_s += wall_s
        self.lag.merge(lag)

    @property
    def cpu_share(self) -> float:
        """CPU seconds per second; 1.0 is a whole core."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0


@dataclass(slots=True)
class Health:
    """The generator's condition over the load window."""

    workers: list[WorkerHealth] = field(default_factory=list)
    blocked: dict[str, Blocked] = field(default_factory=dict)  # by where in the script: the longest time
    sampled: dict[str, Blocked] = field(default_factory=dict)  # the sum of short ones
    withheld: Withheld = field(default_factory=Withheld)

    @property
    def lag(self) -> TrendSink:
        """Of all processes together."""
        together = TrendSink()
        for worker in self.workers:
            together.merge(worker.lag)
        return together

    @property
    def wall_s(self) -> float:
        return max((worker.wall_s for worker in self.workers), default=0.0)

    @property
    def throttled_share(self) -> float:
        """Part of the time in which the container's CPU limit held us up."""
        return self.withheld.throttled_s / self.wall_s if self.wall_s else 0.0

    @property
    def stolen_share(self) -> float:
        """Part of the machine's CPU time that its host gave to others."""
        return self.withheld.stolen_s / self.wall_s / self.withheld.cores if self.wall_s else 0.0

    @property
    def busiest(self) -> float:
        return max((worker.cpu_share for worker in self.workers), default=0.0)

    def block(self, block: Blocked) -> None:
        """The script was found waiting while the event loop stood still."""
        known = self.sampled if block.sampled else self.blocked
        before = known.get(block.where)
        if before is None and len(known) >= MOST_PLACES:
            return
        if block.sampled and before is not None:
            block = replace(block, seconds=before.seconds + block.seconds)
        if before is None or block.seconds > before.seconds:
            known[block.where] = block

    @property
    def _often(self) -> list[Blocked]:
        """Places where the script waits for so short that only the sum is worth a word."""
        found = self.sampled.values()
        return [each for each in found if each.seconds > OFTEN * self.wall_s and each.where not in self.blocked]

    def bottleneck(self) -> str:
        """One sentence for when the generator, not the target, shaped the results: why, and what to do; else ""."""
        found = list(self._reasons())
        if not found:
            return ""
        reasons = ", ".join(reason for reason, _ in found)
        return f"the generator was the bottleneck: {reasons}; {', or '.join(remedy for _, remedy in found)}"

    def _reasons(self) -> Iterable[tuple[str, str]]:
        lag_p99 = self.lag.percentiles([99])[0]
        if self.throttled_share > WITHHELD:
            yield (
                f"the container's CPU limit stopped it for {self.throttled_share:.0%} of the time",
                "raise the limit",
            )
        if self.stolen_share > WITHHELD:
            yield (
                f"the host gave {self.stolen_share:.0%} of the machine's CPU to others",
                "use a runner that is not shared",
            )
        if self.busiest > BUSY:
            of = f" in {sum(each.cpu_share > BUSY for each in self.workers)} workers" if len(self.workers) > 1 else ""
            more = "use more cores" if len(self.workers) > 1 else "use --workers auto on a machine with more cores"
            yield f"it used {self.busiest:.0%} of a core{of}, so latencies include its own queueing", more
        elif lag_p99 > LATE_MS and not (self.blocked or self._often):
            yield (
                f"its event loop was {lag_p99:.0f} ms late at the 99th percentile, which latencies include",
                "look for slow code in the script or for other load on this machine",
            )

    def warnings(self) -> list[str]:
        """What a reader must know before trusting the latencies, with the remedy."""
        found = [self.bottleneck()] if self.bottleneck() else []
        for each in self.blocked.values():
            waits = f", in {each.library}" if each.library else ""
            found.append(
                f"{each.where} blocked all virtual users for {each.seconds:.1f} s{waits}: use {remedy(each.library)}"
            )
        found += [
            f"{each.where} blocks all virtual users, some {each.seconds / self.wall_s:.0%} of the time, in "
            f"{each.library}: use {remedy(each.library)}"
            for each in self._often
        ]
        return found
