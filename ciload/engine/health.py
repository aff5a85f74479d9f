"""Was the generator itself the bottleneck? CPU share, lateness of the event loop, and scripts that block it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ciload.metrics.sinks import TrendSink

BUSY = 0.9  # above this share of a core, the generator's own speed shapes the results
LATE_MS = 50.0  # a loop this late at its 99th percentile adds to the latencies it reports


@dataclass(slots=True)
class Health:
    """The generator's condition over the load window; all of one process."""

    cpu_started: float = 0.0
    wall_started: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    lag: TrendSink = field(default_factory=TrendSink)
    blocked: dict[str, float] = field(default_factory=dict)  # where in the script → seconds without the event loop

    def start(self) -> None:
        self.cpu_started, self.wall_started = time.process_time(), time.perf_counter()

    def end(self) -> None:
        self.cpu_s = time.process_time() - self.cpu_started
        self.wall_s = time.perf_counter() - self.wall_started

    @property
    def cpu_share(self) -> float:
        """CPU seconds per second; 1.0 is a whole core."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0

    def warnings(self) -> list[str]:
        """What a reader must know before trusting the latencies, with the remedy."""
        found = []
        lag_p99 = self.lag.percentiles([99])[0]
        if self.cpu_share > BUSY:
            found.append(
                f"the generator used {self.cpu_share:.0%} of a core: latencies include its own queueing; "
                "use fewer virtual users, a pause between requests, or a faster machine"
            )
        elif lag_p99 > LATE_MS:
            found.append(
                f"the event loop was {lag_p99:.0f} ms late at its 99th percentile: something in the script or on "
                "this machine holds it up, and latencies include that"
            )
        for where, seconds in self.blocked.items():
            found.append(
                f"{where} blocked all virtual users for {seconds:.1f} s: use `await sleep()` and async clients"
            )
        return found
