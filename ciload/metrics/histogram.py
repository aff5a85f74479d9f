"""A high dynamic range histogram that is fed in bulk and costs only the range it has seen.

The layout is HdrHistogram's (Gil Tene, http://hdrhistogram.org) with 3 significant digits: values up to 2,047 are
exact, above that a bucket is at most 0.1% wide. The library's own `record_value` takes about 0.6 µs a value and 190 kB
a histogram; a load test has thousands of histograms and millions of values, so recording is vectorised here and counts
cover only the buckets in use. The wire format is left to the library (`encode`, `decode`).
"""

from __future__ import annotations

import binascii
import struct
import zlib
from base64 import b64decode
from typing import Any

import numpy as np
import numpy.typing as npt

SIGNIFICANT_DIGITS = 3
HALF_BITS = 10  # half of the 2,048 sub-buckets that 3 digits need
GRAIN = 256  # counts grow by whole grains, so that a slow drift does not reallocate at every step
LARGEST = 1 << 53  # beyond this a float has no exact integer

# HdrHistogram V2: an outer header before the compressed part, and in that an inner one before the counts.
OUTER = struct.Struct(">II")  # cookie, length of the rest
INNER = struct.Struct(">IIIIQQd")  # cookie, length of the counts, offset, digits, lowest, highest value, ratio
OUTER_COOKIE, INNER_COOKIE = 0x1C849314, 0x1C849313
MOST_BYTES = INNER.size + 9 * (48 << HALF_BITS)  # 9 bytes for each count there can be

Ints = npt.NDArray[np.int64]


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

    def record_zeros(self, count: int) -> None:
        if count:
            self._add(0, np.array([count], dtype=np.int64))

    def merge(self, other: Histogram) -> None:
        if other.total:
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

    def encode(self) -> str:
        """HdrHistogram V2 compressed, base64: what every HdrHistogram implementation reads."""
        used = np.flatnonzero(self.counts)
        values = middle_of(self.first + used).astype(np.int64)
        largest = max(int(values[-1]) if len(values) else 0, 2 << HALF_BITS)
        library = _library().HdrHistogram(1, largest, SIGNIFICANT_DIGITS)
        for value, count in zip(values.tolist(), self.counts[used].tolist(), strict=True):
            library.record_value(value, count)
        encoded: bytes = library.encode()
        return encoded.decode("ascii")

    @classmethod
    def decode(cls, text: str) -> Histogram:
        """The histogram that `encode` wrote.

        Raises:
            ValueError: the text is not an encoded histogram of 3 significant digits.
        """
        histogram = cls()
        payload_of(text)
        try:
            library = _library().HdrHistogram.decode(text)
        except Exception as error:  # the library raises whatever its layers raise
            raise ValueError(f"not an encoded histogram: {error}") from error
        # The library adds counts up in 64 bits, where enough of them come out as few.
        if not 0 <= library.total_count <= LARGEST or any(not 0 <= n <= LARGEST for n in library.encoder.get_counts()):
            raise ValueError("not an encoded histogram: it claims more values than there can be")
        for item in library.get_recorded_iterator():
            value = np.array([item.value_iterated_to], dtype=np.int64)
            histogram._add(int(bucket_of(value)[0]), np.array([item.count_at_value_iterated_to]))
        return histogram


def payload_of(text: str) -> bytes:
    """What is inside of an encoded histogram, once neither its headers nor its size can do harm.

    It may have been made to exhaust the memory of whoever believes it: a few kB can claim to hold, or unpack to, GBs.

    Raises:
        ValueError: the text is not an encoded histogram of 3 significant digits, or larger than one can be.
    """
    try:
        data = b64decode(text, validate=True)
        cookie, length = OUTER.unpack_from(data)
        unpacking = zlib.decompressobj()
        payload = unpacking.decompress(data[OUTER.size :], MOST_BYTES + 1)
        inner, counts, offset, digits, lowest, highest, _ = INNER.unpack_from(payload)
    except (ValueError, binascii.Error, struct.error, zlib.error) as error:
        raise ValueError(f"not an encoded histogram: {error}") from None
    if (cookie, inner) != (OUTER_COOKIE, INNER_COOKIE):
        raise ValueError("not an encoded histogram: it does not begin as HdrHistogram V2 does")
    if len(payload) > MOST_BYTES:
        raise ValueError(f"not an encoded histogram: it unpacks to more than {MOST_BYTES} bytes")
    if length != len(data) - OUTER.size or counts != len(payload) - INNER.size or not unpacking.eof:
        raise ValueError("not an encoded histogram: it is not as long as it says")
    if digits != SIGNIFICANT_DIGITS:
        raise ValueError(f"a histogram of {digits} significant digits, not {SIGNIFICANT_DIGITS}")
    if (lowest, offset) != (1, 0) or not 2 <= highest <= 2 * LARGEST:
        raise ValueError(f"not an encoded histogram: it claims values from {lowest} to {highest}")
    return payload


def _library() -> Any:
    import hdrh.histogram  # imported late: only a result's last second needs it

    return hdrh.histogram
