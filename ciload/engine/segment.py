"""How processes share one load without talking to each other: each takes every count-th start and virtual user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """A share of the load: stripe `index` of `count`, 0 <= index < count. One process runs one; together they are all.

    Starts and virtual users are numbered from 0 over all processes; number k belongs to stripe k % count.
    """

    index: int = 0
    count: int = 1

    def share(self, total: int) -> int:
        """How many of the numbers 0..total-1 belong to this segment."""
        return len(range(self.index, total, self.count))

    def number(self, local: int) -> int:
        """The number, over all processes, of this segment's `local`-th (from 0)."""
        return local * self.count + self.index

    def among(self, most: int) -> Segment | None:
        """The same stripe when only the first `most` segments can take part, because each needs a virtual user.

        None when this one is not among them.
        """
        return Segment(self.index, min(self.count, most)) if self.index < most else None


WHOLE = Segment()
