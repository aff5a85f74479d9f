"""Where samples of operations land: whatever a script has measured by name, beside its requests."""

from __future__ import annotations

from array import array

import numpy as np

from ciload.metrics.metric import BUILTIN
from ciload.metrics.series import Tags
from ciload.metrics.sinks import CounterSink, RateSink, Sink, TrendSink

COUNT, FAILED, DURATION = "ops", "op_failed", "op_duration"
OPERATION_METRICS = frozenset({COUNT, FAILED, DURATION})


class OperationSeries:
    """Every built-in metric of operations with the same tags. Times wait in seconds, as the clock gives them."""

    __slots__ = ("bytes_received", "bytes_sent", "error", "sinks", "tags", "times")

    def __init__(self, tags: Tags, error: str) -> None:
        self.tags = tags
        self.error = error  # "" where they succeeded
        self.bytes_sent = 0
        self.bytes_received = 0
        self.sinks: dict[str, Sink] = {}
        self.times = array("d")

    def fold(self) -> None:
        """Move what waits into the sinks."""
        count = len(self.times)
        if not count:
            return
        durations = TrendSink()
        durations.add_many(np.frombuffer(self.times) * 1e3)
        self.sinks = {
            COUNT: CounterSink(count),
            FAILED: RateSink(count if self.error else 0, count),
            DURATION: durations,
        }
        for name, amount in (("data_sent", self.bytes_sent), ("data_received", self.bytes_received)):
            if amount:
                self.sinks[name] = CounterSink(amount)
        assert self.sinks.keys() <= BUILTIN.keys()
        self.times = array("d")
        self.bytes_sent = self.bytes_received = 0
