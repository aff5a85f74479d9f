"""What moved the mean time of all requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.gate.attribution import attribute, attribution, times_of_arms
from ciload.gate.document import StoredEndpoint, StoredRun
from ciload.gate.metrics import SMALLEST_MS
from ciload.result.document import OldArm, Phases
from tests.gate.runs import endpoint, stored_run
from tests.reports.results import endpoint as result_endpoint
from tests.reports.results import result


def phases(waiting: float, connecting: float = 0.0) -> Phases:
    return Phases(connecting=connecting, sending=0.0, waiting=waiting, receiving=0.0)


def part(name: str, requests: int, waiting: float, connecting: float = 0.0) -> StoredEndpoint:
    return endpoint(name, requests=requests, phases=phases(waiting, connecting))


def run_of(*parts: StoredEndpoint) -> StoredRun:
    requests = sum(each.requests for each in parts)
    mean = sum(each.requests * each.phases.total for each in parts if each.phases) / requests
    return stored_run(total=endpoint(requests=requests, phases=phases(mean)), endpoints=parts)


def test_the_endpoint_that_became_slower_moved_the_mean() -> None:
    """A quarter of the requests, 40 ms slower each, move the mean by 10 ms; the phases tell where."""
    old = run_of(part("/fast", 750, 10.0), part("/slow", 250, 100.0))
    new = run_of(part("/fast", 750, 10.0), part("/slow", 250, 130.0, connecting=10.0))

    mean_old, mean_new, contributions = attribution([old], [new])

    assert mean_old == pytest.approx(32.5)
    assert mean_new == pytest.approx(42.5)
    assert [each.endpoint for each in contributions] == ["/slow"]
    assert contributions[0].moved_ms == pytest.approx(10.0)
    assert contributions[0].waiting_ms == pytest.approx(7.5)
    assert contributions[0].connecting_ms == pytest.approx(2.5)


def test_more_slow_requests_are_no_endpoint_s_doing() -> None:
    """When only the mix changes, the mean moves and no endpoint did it."""
    old = run_of(part("/fast", 900, 10.0), part("/slow", 100, 100.0))
    new = run_of(part("/fast", 500, 10.0), part("/slow", 500, 100.0))

    mean_old, mean_new, contributions = attribution([old], [new])

    assert mean_old is not None
    assert mean_new is not None
    assert mean_new > mean_old
    assert contributions == []


def test_several_runs_are_averaged() -> None:
    """Old means are those of all runs of the level."""
    olds = [run_of(part("/a", 500, waiting), part("/b", 500, 10.0)) for waiting in (90.0, 110.0)]
    new = run_of(part("/a", 500, 120.0), part("/b", 500, 10.0))

    mean_old, _, contributions = attribution(olds, [new])

    assert mean_old == pytest.approx(55.0)
    assert contributions[0].moved_ms == pytest.approx(10.0)


def test_a_single_endpoint_is_all_requests() -> None:
    """Without other endpoints, the phases of all requests are told."""
    old, new = (stored_run(total=endpoint(phases=phases(each))) for each in (10.0, 15.0))

    _, _, contributions = attribution([old], [new])

    assert [(each.endpoint, each.waiting_ms) for each in contributions] == [("", 5.0)]


def test_without_phases_nothing_is_told() -> None:
    """Runs that sent nothing have no mean."""
    assert attribution([stored_run()], [stored_run()]) == (None, None, [])


def test_side_by_side_has_both_sides_in_one_result() -> None:
    """The old side is the old target's, endpoint by endpoint."""
    old = OldArm(
        url="http://old.test", iterations=1, script_errors=0, requests=100, failed=0, duration=None,
        phases=phases(50.0), endpoints=[result_endpoint("/a", requests=100, phases=phases(50.0))],
    )  # fmt: skip
    both = result(
        old_arm=old, phases=phases(70.0), endpoints=[result_endpoint("/a", requests=100, phases=phases(70.0))]
    )

    mean_old, mean_new, contributions = attribute(*times_of_arms(both))

    assert (mean_old, mean_new, contributions[0].moved_ms) == (50.0, 70.0, 20.0)


rows = st.tuples(st.integers(1, 10_000), st.floats(0, 10_000))


@given(st.lists(st.tuples(rows, rows), min_size=2, max_size=6))
def test_endpoints_and_mix_make_up_the_whole_change(both: list[tuple[tuple[int, float], tuple[int, float]]]) -> None:
    """What endpoints moved and what the mix moved add up to the change of the mean."""
    old = run_of(*(part(f"/{n}", *before) for n, (before, _) in enumerate(both)))
    new = run_of(*(part(f"/{n}", *after) for n, (_, after) in enumerate(both)))

    mean_old, mean_new, contributions = attribution([old], [new])

    all_old, all_new = (sum(side[n][0] for side in both) for n in (0, 1))
    mix = sum(
        (after[0] / all_new - before[0] / all_old) * (before[1] + after[1]) / 2 for before, after in both
    )  # fmt: skip
    assert mean_old is not None
    assert mean_new is not None
    total = sum(each.moved_ms for each in contributions) + mix
    assert total == pytest.approx(mean_new - mean_old, abs=1e-6 + len(both) * SMALLEST_MS)  # less than that is no news
