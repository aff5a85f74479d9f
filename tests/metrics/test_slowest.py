"""The ten slowest requests, found when series are folded."""

from __future__ import annotations

import random

import pytest

from ciload.metrics.registry import Registry, Scope
from ciload.metrics.slowest import MOST
from ciload.metrics.snapshot import Snapshot, merged


def record(scope: Scope, name: str, ms: float, *, status: int = 200, trace: str = "") -> None:
    key = (name, "GET", status, "", ())
    series = scope.http.get(key) or scope.http_series(key, 0)
    series.sending.append(0.0)
    series.waiting.append(ms / 1e3)
    series.receiving.append(0.0)
    if trace:
        series.add_trace(trace)


def times(snapshot: Snapshot) -> list[int]:
    return [round(each.ms) for each in snapshot.slowest]


def test_the_ten_slowest_of_all_seconds_and_processes_are_found() -> None:
    """However requests are spread over endpoints, seconds and workers, they are the ten largest times."""
    numbers = random.Random(7).sample(range(10_000), 600)
    snapshots = []
    for worker in range(3):
        registry = Registry()
        scope = Scope(registry, "default")
        for second in range(4):
            for number in numbers[(worker * 4 + second) * 50 :][:50]:
                record(scope, f"/{number % 5}", number)
            snapshots.append(registry.take(second + 1.0))
    random.Random(8).shuffle(snapshots)
    assert times(merged(snapshots)) == sorted(numbers, reverse=True)[:MOST]


def test_a_slow_request_says_what_when_and_its_trace() -> None:
    """Endpoint, status, the second in which it ended, and the id that was sent with this very request."""
    registry = Registry()
    scope = Scope(registry, "default")
    record(scope, "/a", 10, trace="first")
    assert [each.at_s for each in registry.take(1.0).slowest] == [1.0]
    record(scope, "/a", 20)
    record(scope, "/a", 900, status=503, trace="slow")
    record(scope, "/a", 30, trace="other")
    [slow, other, plain] = registry.take(2.0).slowest
    assert slow.ms == pytest.approx(900)
    assert (slow.name, slow.method, slow.status) == ("/a", "GET", 503)
    assert (slow.at_s, slow.trace) == (2.0, "slow")
    assert (other.trace, plain.trace) == ("other", "")


def test_what_is_not_slower_than_ten_others_is_not_told_again() -> None:
    """A process remembers what it has told, and each second tells only what belongs among the slowest so far."""
    registry = Registry()
    scope = Scope(registry, "default")
    for _ in range(20):
        record(scope, "/a", 100)
    assert len(registry.take(1.0).slowest) == MOST
    for _ in range(20):
        record(scope, "/a", 50)
    assert registry.take(2.0).slowest == []


def test_requests_that_were_never_sent_are_not_among_them() -> None:
    """They have no time."""
    registry = Registry()
    Scope(registry).http_series(("/a", "GET", 0, "dial: connection refused", ()), 1212).unsent += 1
    assert registry.take(1.0).slowest == []
