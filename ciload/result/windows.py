"""Sliding windows: a limit with `over 30s` has to hold in every 30 s of the load, not just in the whole of it.

Windows end where the load is looked at, about once a second, and begin at an earlier look. What is measured only ever
adds up, so a window is what there is at its end minus what there was at its beginning. Windows without samples are
skipped, since a limit on response times says nothing about a time without responses; counters have a rate of 0 there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ciload.metrics.sinks import CounterSink, GaugeSink, Sink
from ciload.metrics.snapshot import Snapshot
from ciload.result.selectors import Selector
from ciload.result.thresholds import Threshold, aggregate, select

SLACK_S = 0.5  # so much a window may be too short: looks come when the event loop lets them
MOST_LOOKS = 120  # that a window may begin at are kept; beyond 2 min they are more than a second apart


class Windows:
    """The windows of all thresholds that have one."""

    def __init__(self, thresholds: Iterable[Threshold]) -> None:
        self._sliding = {each: _Sliding(each, each.window_s) for each in thresholds if each.window_s is not None}

    def look(self, at_s: float, snapshot: Snapshot) -> None:
        """Judge the windows that end now.

        Args:
            at_s: seconds since the load began, never less than before.
            snapshot: everything measured in this time.
        """
        iterations = snapshot.select("iterations")
        finished = int(iterations.total) if isinstance(iterations, CounterSink) else 0
        selected: dict[tuple[str, Selector], Sink | None] = {}
        for threshold, sliding in self._sliding.items():
            selection = threshold.metric, threshold.selector
            if selection not in selected:
                selected[selection] = select(threshold, snapshot, finished)
            sliding.look(at_s, selected[selection])

    def worst(self, threshold: Threshold) -> float | None:
        """The value that decides: that of the worst window, or of the whole load while it is shorter than a window."""
        return self._sliding[threshold].worst

    def latest(self, threshold: Threshold) -> float | None:
        """The value of the window that ended at the last look; None without samples, or while none has passed."""
        return self._sliding[threshold].latest


class _Sliding:
    """The window of one threshold."""

    def __init__(self, threshold: Threshold, window_s: float) -> None:
        self.threshold = threshold
        self.window_s = window_s
        self.looks: deque[tuple[float, Sink | None]] = deque([(0.0, None)])  # when, and what there was; None: nothing
        self.full = False  # a whole window has passed
        self.worst: float | None = None
        self.latest: float | None = None

    def look(self, at_s: float, sink: Sink | None) -> None:
        latest_start_s = at_s - self.window_s + SLACK_S
        if self.full:
            while len(self.looks) > 1 and self.looks[1][0] <= latest_start_s:
                self.looks.popleft()
        else:
            self.full, self.worst = latest_start_s >= 0, None
        began_s, before = self.looks[0]
        value = None if sink is None else self._value(sink, before, at_s - began_s)
        self.latest = value if self.full else None
        if value is not None:
            self.worst = value if self.worst is None else self._worse(self.worst, value)
        if at_s - self.looks[-1][0] >= self.window_s / MOST_LOOKS:
            self.looks.append((at_s, sink))

    def _value(self, sink: Sink, before: Sink | None, seconds: float) -> float | None:
        if before is not None and not isinstance(sink, GaugeSink):  # a gauge stands where it was put, however long ago
            sink = sink.minus(before)  # type: ignore[arg-type]  # one metric, one kind
        skipped = sink.empty and not isinstance(sink, CounterSink)
        return None if skipped else aggregate(self.threshold, sink, seconds)

    def _worse(self, one: float, other: float) -> float:
        if self.threshold.operator in ("<", "<="):
            return max(one, other)
        if self.threshold.operator in (">", ">="):
            return min(one, other)
        return other if self.threshold.holds(one) else one
