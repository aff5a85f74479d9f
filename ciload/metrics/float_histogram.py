"""A histogram of numbers of any size and sign, for what a script measures in units of its own.

HdrHistogram's layout, continued to both ends of what a float can be: each power of two has 1,024 buckets of the same
width, so that a bucket is at most 0.1% of the values in it. Negative values mirror positive ones, and zero has a bucket
of its own. Only buckets in use are kept, 16 bytes each: a factor of ten has 3,400, however many values there are.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ciload.metrics.hdr_encoding import Ints

BUCKETS = 1_024  # of each power of two
LOWEST_EXPONENT = -1_073  # np.frexp's, of the smallest float there is
DIGITS = 4  # decimal digits after the first that are always enough to name a number in a bucket

Floats = npt.NDArray[np.float64]


def key_of(values: Floats) -> Ints:
    """The bucket of each value, in the order of the values: 0 for zero, negative for negative values."""
    mantissa, exponent = np.frexp(np.abs(values))
    index = (exponent.astype(np.int64) - LOWEST_EXPONENT) * BUCKETS + ((mantissa - 0.5) * 2 * BUCKETS).astype(np.int64)
    keys: Ints = np.sign(values).astype(np.int64) * (index + 1)
    return keys


def value_of(key: int) -> float:
    """The number with the fewest decimal digits of all that share a bucket.

    So 3 remains 3 and 0.00045 remains 0.00045: limits are written with few digits, and values next to them often are.
    """
    if not key:
        return 0.0
    exponent, index = divmod(abs(key) - 1, BUCKETS)
    exponent += LOWEST_EXPONENT
    low = math.ldexp(BUCKETS + index, exponent - 11)
    high = math.nextafter(math.ldexp(BUCKETS + index + 1, exponent - 11), 0)
    return math.copysign(_shortest(low, max(low, high)), key)


def _shortest(low: float, high: float) -> float:
    """The positive number with the fewest digits from `low` to `high`."""
    power = math.floor(math.log10(high))
    for digits in range(DIGITS + 1):
        steps = high / 10.0 ** (power - digits) if power - digits > -300 else 0.0
        found = float(f"{math.floor(steps)}e{power - digits}")
        if low <= found <= high:
            return found
    return low


class FloatHistogram:
    """Counts of finite numbers. Mergeable: a sum of histograms is the histogram of all values."""

    __slots__ = ("counts", "keys", "total")

    def __init__(self) -> None:
        self.keys: Ints = np.zeros(0, dtype=np.int64)  # of the buckets in use, ascending
        self.counts: Ints = np.zeros(0, dtype=np.int64)
        self.total = 0

    def record(self, values: Floats) -> None:
        keys, counts = np.unique(key_of(values), return_counts=True)
        self._add(keys, counts.astype(np.int64))

    def merge(self, other: FloatHistogram) -> None:
        if other.total:
            self._add(other.keys, other.counts)

    def minus(self, earlier: FloatHistogram) -> FloatHistogram:
        """What was recorded since `earlier`, which is what this histogram once was."""
        rest = FloatHistogram()
        rest._add(self.keys, self.counts)
        rest._add(earlier.keys, -earlier.counts)
        return rest

    def _add(self, keys: Ints, counts: Ints) -> None:
        if not len(self.keys):
            self.keys, self.counts = keys, counts
        else:
            together, places = np.unique(np.concatenate([self.keys, keys]), return_inverse=True)
            sums = np.zeros(len(together), dtype=np.int64)
            sums[places[: len(self.keys)]] = self.counts
            sums[places[len(self.keys) :]] += counts
            used = sums != 0
            self.keys, self.counts = together[used], sums[used]
        self.total += int(counts.sum())

    def value_at_ranks(self, ranks: Floats) -> Floats:
        """Values at fractional ranks 0 … total-1 of the sorted values, interpolated linearly between neighbours."""
        low_rank, high_rank = np.floor(ranks), np.ceil(ranks)
        low, high = self._values_at(low_rank), self._values_at(high_rank)
        result: Floats = low + (high - low) * (ranks - low_rank)
        return result

    def _values_at(self, ranks: Floats) -> Floats:
        keys = self.keys[np.searchsorted(np.cumsum(self.counts), ranks, side="right")]
        return np.array([value_of(key) for key in keys.tolist()])

    def values(self) -> Floats:
        """A value of each bucket in use, ascending; `counts` says how often it was recorded."""
        return np.array([value_of(key) for key in self.keys.tolist()])
