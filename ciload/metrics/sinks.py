"""How samples of each kind of metric add up. Every sink merges with another of its kind, in any order.

All but gauges can also be subtracted: a sink `minus` what it once was holds the samples in between.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ciload.metrics.float_histogram import FloatHistogram
from ciload.metrics.histogram import LARGEST, Histogram, middle_of
from ciload.metrics.metric import BUILTIN, Kind, Metric

CHUNK = 4_096  # samples that are put into a histogram at once: what that takes stays in the processor's cache
STEPS_PER_MS = 1_000  # a measured time is kept in µs,
LONGEST_MS = 3_600_000.0  # up to 1 h; see TrendSink.clamped
# Of any sample that a script may add: what is still finite after a million million of them have been summed up.
LARGEST_SAMPLE = 1e290


class CounterSink:
    """A sum."""

    __slots__ = ("total",)
    kind = Kind.COUNTER

    def __init__(self, total: float = 0) -> None:
        self.total = total

    def add(self, value: float) -> None:
        self.total += value

    def merge(self, other: CounterSink) -> None:
        self.total += other.total

    def minus(self, earlier: CounterSink) -> CounterSink:
        return CounterSink(self.total - earlier.total)

    def take(self) -> CounterSink:
        """What is in here, in a sink of its own; this one starts again from nothing. Every sink can do that."""
        taken, self.total = CounterSink(self.total), 0
        return taken

    @property
    def empty(self) -> bool:
        return self.total == 0


class GaugeSink:
    """The last value, and the range it moved in. `at` tells which of two is the later one, between processes too."""

    __slots__ = ("at", "largest", "last", "smallest")
    kind = Kind.GAUGE

    def __init__(self) -> None:
        self.at = -math.inf
        self.last = math.nan
        self.smallest = math.inf
        self.largest = -math.inf

    def add(self, value: float) -> None:
        self.at = time.monotonic()
        self.last = value
        self.smallest = min(self.smallest, value)
        self.largest = max(self.largest, value)

    def merge(self, other: GaugeSink) -> None:
        if not other.empty:
            if self.empty or (self.at, self.last) < (other.at, other.last):
                self.at, self.last = other.at, other.last
            self.smallest = min(self.smallest, other.smallest)
            self.largest = max(self.largest, other.largest)

    def take(self) -> GaugeSink:
        taken = GaugeSink()
        taken.merge(self)
        self.__init__()  # type: ignore[misc]  # as new
        return taken

    @property
    def empty(self) -> bool:
        return math.isnan(self.last)


class RateSink:
    """How many of the samples were true."""

    __slots__ = ("passes", "total")
    kind = Kind.RATE

    def __init__(self, passes: int = 0, total: int = 0) -> None:
        self.passes = passes
        self.total = total

    def add(self, value: float) -> None:
        self.total += 1
        self.passes += bool(value)

    def merge(self, other: RateSink) -> None:
        self.passes += other.passes
        self.total += other.total

    def minus(self, earlier: RateSink) -> RateSink:
        return RateSink(self.passes - earlier.passes, self.total - earlier.total)

    def take(self) -> RateSink:
        taken = RateSink(self.passes, self.total)
        self.passes = self.total = 0
        return taken

    @property
    def empty(self) -> bool:
        return self.total == 0

    @property
    def rate(self) -> float:
        return self.passes / self.total if self.total else math.nan


class Encoded(NamedTuple):
    """A histogram in HdrHistogram's encoding, and what 1 in it stands for. None if that encoding cannot hold it."""

    text: str | None
    step: float = 1 / STEPS_PER_MS


class TrendSink:
    """The distribution of a measured time in ms: exact count, sum, min and max; percentiles to 0.1% and 1 µs.

    Samples wait in `pending` until `fold`, because feeding a histogram one by one would cost more than the request
    it describes. Times outside the histogram's range (negative, or above an hour) are clamped and counted.
    """

    __slots__ = ("clamped", "histogram", "largest", "pending", "smallest", "sum")
    kind = Kind.TREND

    def __init__(self) -> None:
        self.pending = array("d")
        self.histogram: Any = self._new_histogram()
        self.sum = 0.0
        self.smallest = math.inf
        self.largest = -math.inf
        self.clamped = 0

    @staticmethod
    def _new_histogram() -> Histogram | FloatHistogram:
        return Histogram()

    def add(self, value: float) -> None:
        self.pending.append(value)

    def fold(self) -> None:
        """Move the pending samples into the histogram."""
        if self.pending:
            values, self.pending = np.frombuffer(self.pending), array("d")
            self.add_many(values)

    def add_many(self, values: npt.NDArray[np.float64], zeros: int = 0) -> None:
        """Count samples at once, and `zeros` further samples of the value 0."""
        if zeros:
            self._record_zeros(zeros)
            self.smallest, self.largest = min(self.smallest, 0.0), max(self.largest, 0.0)
        if len(values):
            self.sum += float(values.sum())
            smallest, largest = float(values.min()), float(values.max())
            self.smallest, self.largest = min(self.smallest, smallest), max(self.largest, largest)
            self._record(values)

    def _record_zeros(self, count: int) -> None:
        self.histogram.record_zeros(count)

    def _record(self, values: npt.NDArray[np.float64]) -> None:
        if self.smallest < 0 or self.largest > LONGEST_MS:
            self.clamped += int(np.count_nonzero((values < 0) | (values > LONGEST_MS)))
            values = np.clip(values, 0, LONGEST_MS)
        for start in range(0, len(values), CHUNK):
            self.histogram.record(np.rint(values[start : start + CHUNK] * STEPS_PER_MS).astype(np.int64))

    def merge(self, other: TrendSink) -> None:
        self.fold()
        other.fold()
        self.histogram.merge(other.histogram)
        self.sum += other.sum
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)
        self.clamped += other.clamped

    def minus(self, earlier: TrendSink) -> TrendSink:
        """Min and max are exact if `earlier` had not reached them yet, else as exact as percentiles."""
        self.fold()
        earlier.fold()
        rest = type(self)()
        rest.histogram = self.histogram.minus(earlier.histogram)
        if rest.histogram.total:
            rest.sum = self.sum - earlier.sum
            rest.clamped = self.clamped - earlier.clamped
            rest.smallest, rest.largest = self.smallest, self.largest
            low, high = rest.percentiles([0, 100])
            # Where a clamped sample really was, the histogram does not know.
            if not rest.clamped:
                rest.smallest = self.smallest if self.smallest < earlier.smallest else low
                rest.largest = self.largest if self.largest > earlier.largest else high
        return rest

    def take(self) -> TrendSink:
        self.fold()
        taken = type(self)()
        for name in TrendSink.__slots__:
            value = getattr(taken, name)
            setattr(taken, name, getattr(self, name))
            setattr(self, name, value)
        return taken

    @property
    def empty(self) -> bool:
        return self.count == 0

    @property
    def count(self) -> int:
        self.fold()
        return int(self.histogram.total)

    @property
    def mean(self) -> float:
        return self.sum / self.count if self.count else math.nan

    def counted(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The values that there are, ascending and known to 0.1%, and how often each was recorded."""
        self.fold()
        indices, counts = self.histogram.in_use()
        return middle_of(indices) / STEPS_PER_MS, counts

    def percentiles(self, percents: Sequence[float]) -> list[float]:
        """Percentiles by k6's definition: linear interpolation at rank p·(n-1); nan without samples."""
        if self.empty:
            return [math.nan] * len(percents)
        ranks = np.asarray(percents, dtype=np.float64) / 100 * (self.count - 1)
        return [float(value) for value in np.clip(self._at_ranks(ranks), self.smallest, self.largest)]

    def _at_ranks(self, ranks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        values: npt.NDArray[np.float64] = self.histogram.value_at_ranks(ranks) / STEPS_PER_MS
        return values

    def encode(self) -> Encoded:
        self.fold()
        return Encoded(self.histogram.encode())


class FloatTrendSink(TrendSink):
    """The distribution of numbers of any size and sign: exact count, sum, min and max; percentiles to 0.1%."""

    __slots__ = ()

    @staticmethod
    def _new_histogram() -> Histogram | FloatHistogram:
        return FloatHistogram()

    def _record_zeros(self, count: int) -> None:
        self.histogram.record(np.zeros(count))

    def _record(self, values: npt.NDArray[np.float64]) -> None:
        self.histogram.record(values)

    def _at_ranks(self, ranks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        values: npt.NDArray[np.float64] = self.histogram.value_at_ranks(ranks)
        return values

    def counted(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        self.fold()
        return self.histogram.values(), self.histogram.counts

    def encode(self) -> Encoded:
        self.fold()
        values = self.histogram.values()
        step = _step(values)
        if step is None:
            return Encoded(None)
        whole = Histogram()
        if len(values):
            whole.record_counts(np.rint(values / step).astype(np.int64), self.histogram.counts)
        return Encoded(whole.encode(), step)


def _step(values: npt.NDArray[np.float64]) -> float | None:
    """The power of ten to count these numbers in, so that they keep three digits; None when integers have no room."""
    if not len(values) or not values.any():
        return 1 / STEPS_PER_MS
    if values.min() < 0:
        return None
    smallest, largest = float(values[values > 0].min()), float(values.max())
    usual = smallest >= 1 and largest * STEPS_PER_MS <= LARGEST
    step = 1 / STEPS_PER_MS if usual else float(f"1e{math.floor(math.log10(smallest)) - 4}")
    return step if largest <= LARGEST * step else None


Sink = CounterSink | GaugeSink | RateSink | TrendSink


def new_sink(metric: Metric) -> Sink:
    """An empty sink for a metric's samples."""
    if metric.kind is Kind.COUNTER:
        return CounterSink()
    if metric.kind is Kind.GAUGE:
        return GaugeSink()
    if metric.kind is Kind.RATE:
        return RateSink()
    return TrendSink() if metric.name in BUILTIN else FloatTrendSink()
