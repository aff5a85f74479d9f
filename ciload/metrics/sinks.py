"""How samples of each kind of metric add up. Every sink merges with another of its kind, in any order.

All but gauges can also be subtracted: a sink `minus` what it once was holds the samples in between.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ciload.metrics.histogram import LARGEST, Histogram
from ciload.metrics.metric import Kind

STEPS_PER_UNIT = 1_000  # a trend in ms keeps µs
LONGEST_MS = 3_600_000.0  # a measured time is kept up to 1 h; see TrendSink.clamped


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


class TrendSink:
    """The distribution of a value: exact count, sum, min and max; percentiles to 0.1%.

    Samples wait in `pending` until `fold`, because feeding a histogram one by one would cost more than the request
    it describes. Values outside the histogram's range (negative, or above `largest`) are clamped and counted.
    """

    __slots__ = ("clamped", "histogram", "largest", "pending", "smallest", "sum", "top")
    kind = Kind.TREND

    def __init__(self, top: float = LARGEST / STEPS_PER_UNIT) -> None:
        self.pending = array("d")
        self.histogram = Histogram()
        self.sum = 0.0
        self.smallest = math.inf
        self.largest = -math.inf
        self.clamped = 0
        self.top = top

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
            self.histogram.record_zeros(zeros)
            self.smallest, self.largest = min(self.smallest, 0.0), max(self.largest, 0.0)
        if len(values):
            self.sum += float(values.sum())
            smallest, largest = float(values.min()), float(values.max())
            self.smallest, self.largest = min(self.smallest, smallest), max(self.largest, largest)
            if smallest < 0 or largest > self.top:
                self.clamped += int(np.count_nonzero((values < 0) | (values > self.top)))
                values = np.clip(values, 0, self.top)
            self.histogram.record(np.rint(values * STEPS_PER_UNIT).astype(np.int64))

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
        rest = TrendSink(self.top)
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
        taken = TrendSink(self.top)
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
        return self.histogram.total

    @property
    def mean(self) -> float:
        return self.sum / self.count if self.count else math.nan

    def percentiles(self, percents: Sequence[float]) -> list[float]:
        """Percentiles by k6's definition: linear interpolation at rank p·(n-1); nan without samples."""
        if self.empty:
            return [math.nan] * len(percents)
        ranks = np.asarray(percents, dtype=np.float64) / 100 * (self.count - 1)
        values = self.histogram.value_at_ranks(ranks) / STEPS_PER_UNIT
        return [float(value) for value in np.clip(values, self.smallest, self.largest)]


Sink = CounterSink | GaugeSink | RateSink | TrendSink


def new_sink(kind: Kind, unit: str = "") -> Sink:
    if kind is Kind.COUNTER:
        return CounterSink()
    if kind is Kind.GAUGE:
        return GaugeSink()
    if kind is Kind.RATE:
        return RateSink()
    return TrendSink(LONGEST_MS) if unit == "ms" else TrendSink()
