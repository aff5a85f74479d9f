"""Series that keep every sample with its time, for outputs that want them all.

Only a run with such an output has these: its registries make them in place of the plain ones, which need not know of
it. Arrays take note of the time when something is appended, counters when they change.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.metrics.operations import COUNT, DURATION, FAILED, OperationSeries
from ciload.metrics.series import DENSE, SPARSE, HttpSeries, Tags
from ciload.metrics.sinks import CounterSink, FloatTrendSink, GaugeSink, RateSink, Sink, TrendSink

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of metrics with the same tags.

    Attributes:
        tags: of all of them.
        times: when they were taken, in seconds since the epoch.
        values: by metric, as many as there are times.
    """

    tags: Tags
    times: Numbers
    values: Mapping[str, Numbers]

    def __len__(self) -> int:
        return len(self.times) * len(self.values)


class TimedArray(array):  # type: ignore[type-arg]  # of doubles
    """An array of doubles that knows when each of them came (by `perf_counter`)."""

    times: array[float]

    def __new__(cls) -> TimedArray:
        made = super().__new__(cls, "d")
        assert isinstance(made, TimedArray)
        made.times = array("d")
        return made

    def append(self, value: float) -> None:
        self.times.append(perf_counter())
        super().append(value)


class RecordedHttpSeries(HttpSeries):
    """Requests, with the time at which each of them ended."""

    def _renew(self) -> None:
        super()._renew()
        self.receiving = TimedArray()

    def samples(self, now: float, epoch: float) -> Iterator[Samples]:
        """What was recorded since the last fold; requests that were never sent have no times but that of the fold."""
        assert isinstance(self.receiving, TimedArray)
        count = len(self.receiving)
        if count:
            phases = {phase: np.frombuffer(getattr(self, phase)) * 1e3 for phase in DENSE}
            duration = phases["sending"] + phases["waiting"] + phases["receiving"]
            dialed: Any = np.flatnonzero(np.frombuffer(self.waited) > 0)[: len(self.blocked)] if self.blocked else []
            for phase in SPARSE:
                phases[phase] = np.zeros(count)
                if len(dialed):
                    phases[phase][np.frombuffer(self.waited_at, dtype=np.int64)[dialed]] = (
                        np.frombuffer(getattr(self, phase)) * 1e3
                    )
            values = {f"http_req_{name}": each for name, each in phases.items()}
            values |= {
                "http_reqs": np.ones(count),
                "http_req_failed": np.full(count, float(self.failed)),
                "http_req_duration": duration,
                "http_req_response_time": self._since_due(duration) if self.waited else duration,
            }
            yield Samples(self.tags, np.frombuffer(self.receiving.times) + epoch, values)
        totals = {"data_sent": self.bytes_sent, "data_received": self.bytes_received}
        yield from _all_at_once(self.tags, now, totals)
        if self.unsent:
            times = np.full(self.unsent, now)
            yield Samples(self.tags, times, {name: np.ones(self.unsent) for name in ("http_reqs", "http_req_failed")})


class RecordedOperationSeries(OperationSeries):
    """Operations, with the time at which each of them ended."""

    __slots__ = ()

    def __init__(self, tags: Tags, error: str) -> None:
        super().__init__(tags, error)
        self.times = TimedArray()

    def fold(self) -> None:
        super().fold()
        self.times = TimedArray()

    def samples(self, now: float, epoch: float) -> Iterator[Samples]:
        """What was recorded since the last fold."""
        assert isinstance(self.times, TimedArray)
        count = len(self.times)
        if count:
            values = {
                COUNT: np.ones(count),
                FAILED: np.full(count, float(bool(self.error))),
                DURATION: np.frombuffer(self.times) * 1e3,
            }
            yield Samples(self.tags, np.frombuffer(self.times.times) + epoch, values)
        yield from _all_at_once(self.tags, now, {"data_sent": self.bytes_sent, "data_received": self.bytes_received})


def _all_at_once(tags: Tags, now: float, totals: Mapping[str, float]) -> Iterator[Samples]:
    values = {name: np.array([float(total)]) for name, total in totals.items() if total}
    if values:
        yield Samples(tags, np.array([now]), values)


class _Log:
    """Values and when they came, until somebody takes them."""

    __slots__ = ("times", "values")

    def __init__(self) -> None:
        self.times, self.values = array("d"), array("d")

    def add(self, value: float) -> None:
        self.times.append(perf_counter())
        self.values.append(value)

    def take(self) -> tuple[Numbers, Numbers]:
        taken = np.frombuffer(self.times), np.frombuffer(self.values)
        self.times, self.values = array("d"), array("d")
        return taken


class RecordedCounter(CounterSink):
    """A sum, with what was added."""

    __slots__ = ("_sum", "log")

    def __init__(self) -> None:
        self.log = _Log()
        self._sum = 0.0

    @property
    def total(self) -> float:
        return self._sum

    @total.setter
    def total(self, total: float) -> None:
        self.log.add(total - self._sum)
        self._sum = total

    def take(self) -> CounterSink:
        taken, self._sum = CounterSink(self._sum), 0.0
        return taken


class RecordedRate(RateSink):
    """A rate, with each of its samples."""

    __slots__ = ("_count", "_passed", "log")

    def __init__(self) -> None:
        self.log = _Log()
        self._count = self._passed = 0

    @property
    def total(self) -> int:
        return self._count

    @total.setter
    def total(self, total: int) -> None:
        self.log.add(0.0)
        self._count = total

    @property
    def passes(self) -> int:
        return self._passed

    @passes.setter
    def passes(self, passes: int) -> None:
        """A sample is counted first, and then that it passed."""
        if passes > self._passed:
            self.log.values[-1] = 1.0
        self._passed = passes

    def take(self) -> RateSink:
        taken = RateSink(self._passed, self._count)
        self._count = self._passed = 0
        return taken


class RecordedGauge(GaugeSink):
    """A gauge, with all its values."""

    __slots__ = ("log",)

    def __init__(self) -> None:
        super().__init__()
        self.log = _Log()

    def add(self, value: float) -> None:
        super().add(value)
        self.log.add(value)

    def take(self) -> GaugeSink:
        taken = GaugeSink()
        taken.merge(self)
        GaugeSink.__init__(self)
        return taken


class RecordedTrend(FloatTrendSink):
    """A trend, with each of its samples."""

    __slots__ = ("_builtin",)

    def __init__(self, *, builtin: bool) -> None:
        self._builtin = builtin
        super().__init__()
        self.pending = TimedArray()

    def take(self) -> TrendSink:
        taken = TrendSink() if self._builtin else FloatTrendSink()
        if self.pending:
            taken.add_many(np.frombuffer(self.pending))
            self.pending = TimedArray()
        return taken


def recorded_sink(metric: Metric) -> Sink:
    """An empty sink that keeps every sample."""
    if metric.kind is Kind.COUNTER:
        return RecordedCounter()
    if metric.kind is Kind.GAUGE:
        return RecordedGauge()
    if metric.kind is Kind.RATE:
        return RecordedRate()
    return RecordedTrend(builtin=metric.name in BUILTIN)


def samples_of(sink: Sink, name: str, tags: Tags, epoch: float) -> Iterator[Samples]:
    """What a sink of `recorded_sink` has recorded since this was last asked; before it is taken."""
    if isinstance(sink, RecordedTrend):
        assert isinstance(sink.pending, TimedArray)
        times, values = np.frombuffer(sink.pending.times), np.frombuffer(sink.pending)
    elif isinstance(sink, RecordedCounter | RecordedRate | RecordedGauge):
        times, values = sink.log.take()
    else:
        return
    if len(times):
        yield Samples(tags, times + epoch, {name: values})


def epoch_of_clock() -> float:
    """What has to be added to `perf_counter` for seconds since the epoch."""
    return time.time() - perf_counter()
