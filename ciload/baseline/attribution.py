"""Which endpoints, and which phases of their requests, moved the mean time of all requests.

With shares s and means m of each endpoint, the change of the overall mean is exactly the sum of (s₀+s₁)/2·(m₁-m₀), what
endpoints did, and of (s₁-s₀)·(m₀+m₁)/2, the mix of requests. The mix is nobody's doing and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ciload.baseline.document import StoredRun
from ciload.baseline.measures import SMALLEST_MS
from ciload.result.comparison import Contribution
from ciload.result.document import Phases, RunResult

Key = tuple[str, str]
Four = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """An endpoint's share of all requests, and the mean time of each phase of its own."""

    share: float
    phases: Four


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison. Without any endpoint, all requests are one."""

    mean: float | None
    parts: Mapping[Key, Part]


def attribution(
    old: Sequence[StoredRun], new: Sequence[StoredRun]
) -> tuple[float | None, float | None, list[Contribution]]:
    """Means over the runs of either side in ms, and what moved them, most first."""
    return moved(together([side_of_run(run) for run in old]), together([side_of_run(run) for run in new]))


def moved(old: Side, new: Side) -> tuple[float | None, float | None, list[Contribution]]:
    both = [_contribution(key, before, new.parts[key]) for key, before in old.parts.items() if key in new.parts]
    noticed = [each for each in both if abs(each.moved_ms) >= SMALLEST_MS]
    return old.mean, new.mean, sorted(noticed, key=lambda each: -abs(each.moved_ms))


def side_of_run(run: StoredRun) -> Side:
    everything, *endpoints = run.endpoints
    rows = [(each.name, each.method, each.requests, each.phases) for each in endpoints or [everything]]
    return _side(everything.phases, everything.requests, rows)


def sides_of_result(result: RunResult) -> tuple[Side, Side]:
    """Of a run that loaded two targets: the old one, the new one."""
    old = result.old_arm
    if old is None:
        return Side(None, {}), Side(None, {})
    old_rows = [(each.name, each.method, each.requests, each.phases) for each in old.endpoints]
    rows = [(each.name, each.method, each.requests, each.phases) for each in result.endpoints]
    total = sum(each.requests for each in result.endpoints)
    return _side(old.phases, old.requests, old_rows), _side(result.phases, total, rows)


def _side(phases: Phases | None, requests: int, rows: Sequence[tuple[str, str, int, Phases | None]]) -> Side:
    parts = {
        (name, method): Part(count / requests, (each.connecting, each.sending, each.waiting, each.receiving))
        for name, method, count, each in rows
        if each is not None and requests
    }
    return Side(phases.total if phases else None, parts)


def together(sides: Sequence[Side]) -> Side:
    """The mean of several runs; an endpoint that some of them lack has a share of 0 there."""
    means = [side.mean for side in sides if side.mean is not None]
    parts = {}
    for key in dict.fromkeys(key for side in sides for key in side.parts):
        known = [side.parts[key] for side in sides if key in side.parts]
        share = sum(each.share for each in known) / len(sides)
        connecting, sending, waiting, receiving = (
            sum(phase) / len(known) for phase in zip(*(each.phases for each in known), strict=True)
        )
        parts[key] = Part(share, (connecting, sending, waiting, receiving))
    return Side(sum(means) / len(means) if means else None, parts)


def _contribution(key: Key, old: Part, new: Part) -> Contribution:
    share = (old.share + new.share) / 2
    phases = [share * (after - before) for before, after in zip(old.phases, new.phases, strict=True)]
    connecting, sending, waiting, receiving = phases
    return Contribution(
        endpoint=key[0], method=key[1], moved_ms=sum(phases), connecting_ms=connecting, sending_ms=sending,
        waiting_ms=waiting, receiving_ms=receiving,
    )  # fmt: skip
