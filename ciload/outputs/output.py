"""What every output is to the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ciload.metrics.recording import Samples
from ciload.metrics.snapshot import Snapshot

CLOSES_S = 10.0  # an output that has not got rid of all it has in this time after the load is given up


@dataclass(frozen=True, slots=True)
class Second:
    """What one process has measured in about a second.

    Attributes:
        measured: sums and distributions.
        samples: all of them, if an output of this run wants them.
        at: when it ended, in seconds since the epoch.
    """

    measured: Snapshot
    samples: Sequence[Samples]
    at: float


class OutputFailedError(Exception):
    """An output cannot be opened; the message says why."""


class Output(Protocol):
    """Gets what was measured, and never waits for anything while the load runs.

    Attributes:
        problem: what went wrong so far, in a sentence without an end; "" if nothing did.
    """

    problem: str

    def take(self, second: Second) -> None:
        """What came last."""

    def close(self) -> None:
        """Get rid of what is left, in `CLOSES_S` at most."""
