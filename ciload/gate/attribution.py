"""Which endpoints, and which phases of their requests, moved the mean time of all requests.

With shares s and means m of each endpoint, the change of the overall mean is exactly the sum of (s₀+s₁)/2·(m₁-m₀), what
endpoints did, and of (s₁-s₀)·(m₀+m₁)/2, the mix of requests. The mix is no change of the target's and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ciload.gate.document import StoredRun
from ciload.gate.metrics import SMALLEST_MS
from ciload.result.comparison import Contribution
from ciload.result.document import Phases, RunResult

Key = tuple[str, str]
Four = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class EndpointTimes:
    """An endpoint's share of all requests, and the mean time of each phase of its own."""

    share: float
    phases: Four


@dataclass(frozen=True, slots=True)
class ArmTimes:
    """One side of a comparison. Without any endpoint, all requests are one."""

    mean: float | None
    parts: Mapping[Key, EndpointTimes]


def attribution(
    old: Sequence[StoredRun], new: Sequence[StoredRun]
) -> tuple[float | None, float | None, list[Contribution]]:
    """Means over the runs of either side in ms, and what moved them, most first."""
    return attribute(combine([times_of_run(run) for run in old]), combine([times_of_run(run) for run in new]))


def attribute(old: ArmTimes, new: ArmTimes) -> tuple[float | None, float | None, list[Contribution]]:
    both = [_contribution(key, before, new.parts[key]) for key, before in old.parts.items() if key in new.parts]
    noticed = [each for each in both if abs(each.moved_ms) >= SMALLEST_MS]
    return old.mean, new.mean, sorted(noticed, key=lambda each: -abs(each.moved_ms))


def times_of_run(run: StoredRun) -> ArmTimes:
    everything, *endpoints = run.endpoints
    requests = [each for each in endpoints if each.method] or [everything]
    rows = [(each.name, each.method, each.requests, each.phases) for each in requests]
    return _times(everything.phases, everything.requests, rows)


def times_of_arms(result: RunResult) -> tuple[ArmTimes, ArmTimes]:
    """Of a run that loaded two targets: the old one, the new one."""
    old = result.old_arm
    if old is None:
        return ArmTimes(None, {}), ArmTimes(None, {})
    old_rows = [(each.name, each.method, each.requests, each.phases) for each in old.endpoints]
    rows = [(each.name, each.method, each.requests, each.phases) for each in result.endpoints]
    total = sum(each.requests for each in result.endpoints if each.method)
    return _times(old.phases, old.requests, old_rows), _times(result.phases, total, rows)


def _times(phases: Phases | None, requests: int, rows: Sequence[tuple[str, str, int, Phases | None]]) -> ArmTimes:
    parts = {
        (name, method): EndpointTimes(count / requests, (each.connecting, each.sending, each.waiting, each.receiving))
        for name, method, count, each in rows
        if each is not None and requests
    }
    return ArmTimes(phases.total if phases else None, parts)


def combine(arms: Sequence[ArmTimes]) -> ArmTimes:
    """The mean of several runs; an endpoint that some of them lack has a share of 0 there."""
    means = [arm.mean for arm in arms if arm.mean is not None]
    parts = {}
    for key in dict.fromkeys(key for arm in arms for key in arm.parts):
        known = [arm.parts[key] for arm in arms if key in arm.parts]
        share = sum(each.share for each in known) / len(arms)
        connecting, sending, waiting, receiving = (
            sum(phase) / len(known) for phase in zip(*(each.phases for each in known), strict=True)
        )
        parts[key] = EndpointTimes(share, (connecting, sending, waiting, receiving))
    return ArmTimes(sum(means) / len(means) if means else None, parts)


def _contribution(key: Key, old: EndpointTimes, new: EndpointTimes) -> Contribution:
    share = (old.share + new.share) / 2
    phases = [share * (after - before) for before, after in zip(old.phases, new.phases, strict=True)]
    connecting, sending, waiting, receiving = phases
    return Contribution(
        endpoint=key[0], method=key[1], moved_ms=sum(phases), connecting_ms=connecting, sending_ms=sending,
        waiting_ms=waiting, receiving_ms=receiving,
    )  # fmt: skip
