"""The load cut into equal parts, so that the spread within a run can be told from what changed.

Requests of one run are no independent samples: they meet the same pauses and neighbours. Blocks of them nearly are, if
they are long enough (batch means; Law & Kelton, Simulation Modeling and Analysis, 9.5.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from ciload.metrics.metric import Kind, Metric
from ciload.metrics.operations import DURATION, FAILED
from ciload.metrics.sinks import FloatTrendSink, RateSink, Sink, TrendSink, new_sink
from ciload.metrics.snapshot import Snapshot

# Side by side: how much longer a request took at the new target than its like at the old one, in the same iteration.
# It is kept with what was measured at the old target, by name, method and which target was asked first.
PAIRED_RATIO = Metric("paired_ratio", Kind.TREND)
MOST_BLOCKS = 40
MOST_ENDPOINTS = 100  # that are followed; further ones count among all requests only
COMPACTED_AT_ONCE = 2 * MOST_ENDPOINTS  # cells; all of them are through long before the next halving

Arm = Literal["new", "old"]
Key = tuple[Arm, str, str]  # arm, name, method: operations have no method, all requests of an arm no name either


class PackedTimes:
    """A trend in as few bytes as it needs: of a histogram, only the buckets in use."""

    __slots__ = ("_counts", "_indices", "_largest", "_smallest", "_sum")

    def __init__(self, times: TrendSink) -> None:
        indices, counts = times.histogram.in_use()
        self._indices = indices.astype(np.min_scalar_type(indices.max(initial=0)))
        self._counts = counts.astype(np.min_scalar_type(counts.max(initial=0)))
        self._sum, self._smallest, self._largest = times.sum, times.smallest, times.largest

    def unpack_into(self, times: TrendSink) -> None:
        times.histogram.add_buckets(self._indices.astype(np.int64), self._counts)
        times.sum += self._sum
        times.smallest, times.largest = min(times.smallest, self._smallest), max(times.largest, self._largest)


class Cell:
    """What one endpoint did in one block. Its times are packed when the block is over: a run has thousands of cells."""

    __slots__ = ("_open", "_parts", "checks", "ratios", "requests")

    def __init__(self) -> None:
        self.requests = RateSink()  # of which the "passes" are those that failed
        self.checks = RateSink()
        self.ratios: dict[Arm, FloatTrendSink] = {}  # of pairs, by the target that was asked first
        self._open: TrendSink | None = None
        self._parts: list[PackedTimes] = []

    @property
    def durations(self) -> TrendSink:
        """All times, in a sink of their own."""
        whole = TrendSink()
        if self._open is not None:
            whole.merge(self._open)
        for part in self._parts:
            part.unpack_into(whole)
        return whole

    def add_durations(self, durations: TrendSink) -> None:
        if self._open is None:
            self._open = TrendSink()
        self._open.merge(durations)

    def add_ratios(self, first: Arm, ratios: FloatTrendSink) -> None:
        self.ratios.setdefault(first, FloatTrendSink()).merge(ratios)

    def close(self) -> None:
        """Pack what was added. More may be added later."""
        if self._open is not None:
            self._parts.append(PackedTimes(self._open))
            self._open = None

    def merge(self, other: Cell) -> None:
        """Add another cell, which is closed."""
        self._parts += other._parts
        self.requests.merge(other.requests)
        self.checks.merge(other.checks)
        for first, ratios in other.ratios.items():
            self.add_ratios(first, ratios)

    def compact(self) -> None:
        """Make one part of what was merged."""
        if len(self._parts) > 1:
            whole = TrendSink()
            for part in self._parts:
                part.unpack_into(whole)
            self._parts = [PackedTimes(whole)]


def _of_endpoints(snapshot: Snapshot, of_requests: str, of_operations: str) -> Iterator[tuple[tuple[str, ...], Sink]]:
    """A metric by name and method, of requests and then of operations, which have no method."""
    yield from snapshot.grouped(of_requests, "name", "method")
    yield from snapshot.grouped(of_operations, "name", "")


class BlockSeries:
    """At most 40 parts of a whole number of seconds each. When there would be more, neighbours become one."""

    def __init__(self) -> None:
        self.span_s = 1
        self.cells: list[dict[Key, Cell]] = []
        self.metrics: dict[str, Metric] = {}  # that the gate was asked to judge
        self.sinks: list[dict[tuple[Arm, str], Sink]] = []  # of these, by name, in each block
        self._known: set[tuple[str, str]] = set()
        self._merged: list[Cell] = []  # that are still to be made compact

    def add(self, second: int, measured: Mapping[Arm, Snapshot]) -> None:
        """Take in what was measured in a second of the load, counted from 0."""
        while second // self.span_s >= MOST_BLOCKS:
            self._halve()
        while len(self.cells) <= second // self.span_s:
            self._close_last()
            self.cells.append({})
            self.sinks.append({})
        cells = self.cells[second // self.span_s]
        for arm, snapshot in measured.items():
            self._add_metrics(arm, snapshot)
            whole = cells.setdefault((arm, "", ""), Cell())
            for (name, method), failed in _of_endpoints(snapshot, "http_req_failed", FAILED):
                assert isinstance(failed, RateSink)
                if method:
                    whole.requests.merge(failed)
                if (cell := self._cell(cells, (arm, name, method))) is not None:
                    cell.requests.merge(failed)
            for (name, method), durations in _of_endpoints(snapshot, "http_req_duration", DURATION):
                assert isinstance(durations, TrendSink)
                if method:
                    whole.add_durations(durations)
                if (cell := self._cell(cells, (arm, name, method))) is not None:
                    cell.add_durations(durations)
            self._add_ratios(cells, snapshot)
            checks = snapshot.select("checks")
            if isinstance(checks, RateSink):
                whole.checks.merge(checks)
        self._compact()

    def _add_ratios(self, cells: dict[Key, Cell], snapshot: Snapshot) -> None:
        for (name, method, first), ratios in snapshot.grouped(PAIRED_RATIO.name, "name", "method", "first"):
            assert isinstance(ratios, FloatTrendSink)
            place: Arm = "new" if first == "new" else "old"
            if method:
                cells.setdefault(("new", "", ""), Cell()).add_ratios(place, ratios)
            if name and (cell := self._cell(cells, ("new", name, method))) is not None:
                cell.add_ratios(place, ratios)

    def _add_metrics(self, arm: Arm, snapshot: Snapshot) -> None:
        """Those that the gate was asked to judge, of the block that is open."""
        for name, metric in snapshot.metrics.items():
            if metric.better is None or (sink := snapshot.select(name)) is None:
                continue
            self.metrics.setdefault(name, metric)
            self.sinks[-1].setdefault((arm, name), new_sink(metric)).merge(sink)  # type: ignore[arg-type]  # one kind

    def _cell(self, cells: dict[Key, Cell], key: Key) -> Cell | None:
        if key[1:] not in self._known:
            if len(self._known) >= MOST_ENDPOINTS:
                return None
            self._known.add(key[1:])
        return cells.setdefault(key, Cell())

    def _close_last(self) -> None:
        for cell in self.cells[-1].values() if self.cells else ():
            cell.close()

    def _halve(self) -> None:
        self._close_last()
        self.span_s *= 2
        halved = self.cells[::2]
        for cells, following in zip(halved, self.cells[1::2], strict=False):
            for key, cell in following.items():
                cells.setdefault(key, Cell()).merge(cell)
        self.cells = halved
        for sinks, following_sinks in zip(self.sinks[::2], self.sinks[1::2], strict=False):
            for place, sink in following_sinks.items():
                sinks.setdefault(place, new_sink(self.metrics[place[1]])).merge(sink)  # type: ignore[arg-type]
        self.sinks = self.sinks[::2]
        self._merged = [cell for cells in halved for cell in cells.values()]

    def _compact(self) -> None:
        """A few at a time: all at once would hold up the virtual users of this process."""
        for cell in self._merged[-COMPACTED_AT_ONCE:]:
            cell.compact()
        del self._merged[-COMPACTED_AT_ONCE:]

    def ranked(self) -> list[Key]:
        """All requests of each arm first, then the endpoints and operations that there are the most of."""
        requests: dict[Key, int] = {}
        for cells in self.cells:
            for key, cell in cells.items():
                requests[key] = requests.get(key, 0) + cell.requests.total
        return sorted(requests, key=lambda key: (bool(key[1] or key[2]), -requests[key], key))

    @property
    def without_requests(self) -> bool:
        """Whether there was no HTTP request in any of them."""
        return not any(cells[key].requests.total for cells in self.cells for key in cells if not (key[1] or key[2]))

    def of_operations(self, arm: Arm) -> list[Cell]:
        """All operations of an arm together, in each block."""
        found = []
        for cells in self.cells:
            whole = Cell()
            for key, cell in cells.items():
                if key[0] == arm and key[1] and not key[2]:
                    whole.requests.merge(cell.requests)
                    whole.add_durations(cell.durations)
                    for first, ratios in cell.ratios.items():
                        whole.add_ratios(first, ratios)
            found.append(whole)
        return found
