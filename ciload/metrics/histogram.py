"""A high dynamic range histogram that is fed in bulk and costs only the range it has seen.

The layout is HdrHistogram's (Gil Tene, http://hdrhistogram.org) with 3 significant digits: values up to 2,047 are
exact, above that a bucket is at most 0.1% wide. The library's own `record_value` takes about 0.6 µs a value and 190 kB
a histogram; a load test has thousands of histograms and millions of values, so recording is vectorised here and counts
cover only the buckets in use.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ciload.metrics.hdr_encoding import Ints, encode

SIGNIFICANT_DIGITS = 3
HALF_BITS = 10  # half of the 2,048 sub-buckets that 3 digits need
GRAIN = 256  # counts grow by whole grains, so that a slow drift does not reallocate at every step
LARGEST = 1 << 53  # beyond this a float has no exact integer


def bucket_of(values: Ints) -> Ints:
    """Index of the bucket that holds each value (non-negative integers)."""
    exponent = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    shift = np.maximum(exponent - HALF_BITS, 0)
    return (shift << HALF_BITS) + (values >> shift)


def middle_of(indices: Ints) -> npt.NDArray[np.float64]:
    """Middle of the range of values that share each bucket: at most 0.05% from any of them."""
    shift = np.maximum((indices >> HALF_BITS) - 1, 0)
    lowest = (indices - (shift << HALF_BITS)) << shift
    middle: npt.NDArray[np.float64] = lowest + ((1 << shift) - 1) / 2
    return middle


class Histogram:
    """Counts of non-negative integers. Mergeable: a sum of histograms is the histogram of all values."""

    __slots__ = ("counts", "first", "total")

    def __init__(self) -> None:
        self.first = 0  # bucket index of counts[0]
        self.counts: Ints = np.zeros(0, dtype=np.int64)
        self.total = 0

    def record(self, values: Ints) -> None:
        """Count every value of a non-empty array; each must lie in [0, LARGEST]."""
        indices = bucket_of(values)
        low = int(indices.min())
        self._add(low, np.bincount(indices - low))

    def record_counts(self, values: Ints, counts: Ints) -> None:
        """Count each value as often as `counts` says."""
        indices = bucket_of(values)
        low = int(indices.min())
        self._add(low, np.bincount(indices - low, weights=counts).astype(np.int64))

    def record_zeros(self, count: int) -> None:
        if count:
            self._add(0, np.array([count], dtype=np.int64))

    def merge(self, other: Histogram) -> None:
        if not self.total:
            self.first, self.counts, self.total = other.first, other.counts.copy(), other.total
        elif other.total:
            self._add(other.first, other.counts)

    def minus(self, earlier: Histogram) -> Histogram:
        """What was recorded since `earlier`, which is what this histogram once was."""
        rest = Histogram()
        rest.merge(self)
        if earlier.total:
            rest._add(earlier.first, -earlier.counts)
        return rest

    def _add(self, first: int, counts: Ints) -> None:
        self._cover(first, first + len(counts))
        start = first - self.first
        self.counts[start : start + len(counts)] += counts
        self.total += int(counts.sum())

    def _cover(self, low: int, high: int) -> None:
        if len(self.counts) and self.first <= low and high <= self.first + len(self.counts):
            return
        if len(self.counts):
            low, high = min(low, self.first), max(high, self.first + len(self.counts))
        low, high = low // GRAIN * GRAIN, -(-high // GRAIN) * GRAIN
        grown = np.zeros(high - low, dtype=np.int64)
        if len(self.counts):
            grown[self.first - low : self.first - low + len(self.counts)] = self.counts
        self.first, self.counts = low, grown

    def value_at_ranks(self, ranks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Values at fractional ranks 0 … total-1 of the sorted values, interpolated linearly between neighbours."""
        below = np.cumsum(self.counts)
        low_rank, high_rank = np.floor(ranks), np.ceil(ranks)
        low = middle_of(self.first + np.searchsorted(below, low_rank, side="right"))
        high = middle_of(self.first + np.searchsorted(below, high_rank, side="right"))
        result: npt.NDArray[np.float64] = low + (high - low) * (ranks - low_rank)
        return result

    def in_use(self) -> tuple[Ints, Ints]:
        """Indices of the buckets that something was recorded in, ascending, and the counts there."""
        used = np.flatnonzero(self.counts)
        return self.first + used, self.counts[used]

    def add_buckets(self, indices: Ints, counts: Ints) -> None:
        """Add what `in_use` gave."""
        if len(indices):
            self._cover(int(indices[0]), int(indices[-1]) + 1)
            self.counts[indices - self.first] += counts
            self.total += int(counts.sum())

    def encode(self) -> str:
        """HdrHistogram V2 compressed, base64."""
        indices, counts = self.in_use()
        highest = int(middle_of(indices[-1:]).astype(np.int64).max(initial=2 << HALF_BITS))
        return encode(indices, counts, highest, SIGNIFICANT_DIGITS)
