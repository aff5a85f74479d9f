"""Whether the generator was the bottleneck: what is said, and what is not."""

from __future__ import annotations

import pytest

from ciload.engine.blocking import OURS, Blocked
from ciload.engine.health import Health, WorkerHealth
from ciload.engine.machine import Withheld
from ciload.metrics.sinks import TrendSink

REMEDY = "use --workers auto on a machine with more cores"


def worker(cpu_share: float = 0.2, lag_ms: float = 1.0) -> WorkerHealth:
    """One that has worked for 10 s."""
    lag = TrendSink()
    for _ in range(100):
        lag.add(lag_ms)
    health = WorkerHealth()
    health.add(cpu_share * 10, 10, lag)
    return health


def test_a_generator_at_ease_is_not_mentioned() -> None:
    """No sentence, no warnings."""
    health = Health([worker()])
    assert (health.bottleneck(), health.warnings()) == ("", [])


def test_before_anything_was_measured_nothing_is_claimed() -> None:
    """A run that ended in setup has no load to judge."""
    health = Health()
    assert (health.bottleneck(), health.busiest, health.throttled_share, health.stolen_share) == ("", 0, 0, 0)


def test_a_core_in_full_use_is_a_bottleneck() -> None:
    """The share, what it does to latencies, and the remedy."""
    assert Health([worker(0.97)]).bottleneck() == (
        "the generator was the bottleneck: it used 97% of a core, so latencies include its own queueing; " + REMEDY
    )


@pytest.mark.parametrize(("share", "said"), [(0.89, False), (0.91, True)])
def test_the_limit_is_nine_tenths_of_a_core(share: float, said: bool) -> None:
    """Below it there is room to answer in time."""
    assert bool(Health([worker(share)]).bottleneck()) is said


def test_one_busy_worker_of_several_is_a_bottleneck() -> None:
    """The mean of all would hide it."""
    text = Health([worker(0.3), worker(0.99), worker(0.95)]).bottleneck()
    assert "it used 99% of a core in 2 workers" in text
    assert text.endswith("use more cores")


def test_a_late_event_loop_is_a_bottleneck() -> None:
    """Though the CPU has time left, answers were looked at late."""
    assert Health([worker(0.5, lag_ms=80)]).bottleneck() == (
        "the generator was the bottleneck: its event loop was 80 ms late at the 99th percentile, which latencies "
        "include; look for slow code in the script or for other load on this machine"
    )


def test_a_script_that_blocks_is_named_instead_of_its_lateness() -> None:
    """The place in the script is the better advice, said once for each place with the longest time."""
    health = Health([worker(0.5, lag_ms=80)])
    for seconds in (1.2, 3.4, 2.0):
        health.block(Blocked("script.py:7 in default()", seconds, "requests"))
    health.block(Blocked("script.py:9 in default()", 1.5))
    assert health.warnings() == [
        f"script.py:7 in default() blocked all virtual users for 3.4 s, in requests: use {OURS}",
        "script.py:9 in default() blocked all virtual users for 1.5 s: use `await sleep()` and clients for asyncio",
    ]


def test_short_waits_that_add_up_are_told() -> None:
    """None of them is long enough to be noticed by itself; a few are no news."""
    health = Health([worker(0.5)])
    often = round(0.3 * health.wall_s / 0.1)
    for _ in range(often):
        health.block(Blocked("script.py:7 in default()", 0.1, "redis", sampled=True))
    health.block(Blocked("script.py:9 in default()", 0.1, "requests", sampled=True))
    assert health.warnings() == [
        "script.py:7 in default() blocks all virtual users, some 30% of the time, in redis: use redis.asyncio"
    ]


def test_a_container_that_was_throttled_is_told() -> None:
    """Its limit, not the machine, is what to change."""
    health = Health([worker()], withheld=Withheld(throttled_s=2.0))
    assert health.bottleneck() == (
        "the generator was the bottleneck: the container's CPU limit stopped it for 20% of the time; raise the limit"
    )


def test_a_machine_whose_host_took_its_time_is_told() -> None:
    """Stolen time is of all cores together."""
    assert Health([worker()], withheld=Withheld(stolen_s=8.0, cores=4)).bottleneck() == (
        "the generator was the bottleneck: the host gave 20% of the machine's CPU to others; "
        "use a runner that is not shared"
    )
    assert Health([worker()], withheld=Withheld(stolen_s=1.9, cores=4)).bottleneck() == ""


def test_several_reasons_make_one_sentence() -> None:
    """Each with its remedy."""
    text = Health([worker(1.0)], withheld=Withheld(throttled_s=5.0)).bottleneck()
    assert text == (
        "the generator was the bottleneck: the container's CPU limit stopped it for 50% of the time, it used 100% of a "
        f"core, so latencies include its own queueing; raise the limit, or {REMEDY}"
    )


def test_the_lag_is_that_of_all_workers() -> None:
    """Asking for it does not change it."""
    health = Health([worker(lag_ms=1), worker(lag_ms=100)])
    assert [health.lag.count, health.lag.count] == [200, 200]
    assert health.lag.largest == 100
