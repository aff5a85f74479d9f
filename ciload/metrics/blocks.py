"""The load cut into equal parts, so that the spread within a run can be told from what changed.

Requests of one run are no independent samples: they meet the same pauses and neighbours. Blocks of them nearly are, if
they are long enough (batch means; Law & Kelton, Simulation Modeling and Analysis, 9.5.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ciload.metrics.sinks import RateSink, TrendSink
from ciload.metrics.snapshot import Snapshot

MOST_BLOCKS = 40
MOST_ENDPOINTS = 100  # that are followed; further ones count among all requests only

Arm = Literal["new", "old"]
Key = tuple[Arm, str, str]  # arm, name, method; all requests of an arm have neither name nor method


class Cell:
    """What one endpoint did in one block."""

    __slots__ = ("checks", "durations", "requests")

    def __init__(self) -> None:
        self.durations = TrendSink()
        self.requests = RateSink()  # of which the "passes" are those that failed
        self.checks = RateSink()

    def merge(self, other: Cell) -> None:
        self.durations.merge(other.durations)
        self.requests.merge(other.requests)
        self.checks.merge(other.checks)


class BlockSeries:
    """At most 40 parts of a whole number of seconds each. When there would be more, neighbours become one."""

    def __init__(self) -> None:
        self.span_s = 1
        self.cells: list[dict[Key, Cell]] = []
        self._known: set[tuple[str, str]] = set()

    def add(self, second: int, measured: Mapping[Arm, Snapshot]) -> None:
        """Take in what was measured in a second of the load, counted from 0."""
        while second // self.span_s >= MOST_BLOCKS:
            self._halve()
        while len(self.cells) <= second // self.span_s:
            self.cells.append({})
        cells = self.cells[second // self.span_s]
        for arm, snapshot in measured.items():
            whole = cells.setdefault((arm, "", ""), Cell())
            for (name, method), failed in snapshot.grouped("http_req_failed", "name", "method"):
                assert isinstance(failed, RateSink)
                whole.requests.merge(failed)
                if (cell := self._cell(cells, (arm, name, method))) is not None:
                    cell.requests.merge(failed)
            for (name, method), durations in snapshot.grouped("http_req_duration", "name", "method"):
                assert isinstance(durations, TrendSink)
                whole.durations.merge(durations)
                if (cell := self._cell(cells, (arm, name, method))) is not None:
                    cell.durations.merge(durations)
            checks = snapshot.select("checks")
            if isinstance(checks, RateSink):
                whole.checks.merge(checks)

    def _cell(self, cells: dict[Key, Cell], key: Key) -> Cell | None:
        if key[1:] not in self._known:
            if len(self._known) >= MOST_ENDPOINTS:
                return None
            self._known.add(key[1:])
        return cells.setdefault(key, Cell())

    def _halve(self) -> None:
        self.span_s *= 2
        halved = self.cells[::2]
        for cells, following in zip(halved, self.cells[1::2], strict=False):
            for key, cell in following.items():
                cells.setdefault(key, Cell()).merge(cell)
        self.cells = halved

    def ranked(self) -> list[Key]:
        """All requests of each arm first, then the endpoints with the most requests."""
        requests: dict[Key, int] = {}
        for cells in self.cells:
            for key, cell in cells.items():
                requests[key] = requests.get(key, 0) + cell.requests.total
        return sorted(requests, key=lambda key: (bool(key[1] or key[2]), -requests[key], key))
