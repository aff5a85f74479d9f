"""What the gate remembers of a run."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from ciload.errors import ExitCode
from ciload.gate.stored_run import MOSTLY_FAILED, STARTS_DROPPED, generator_faults, stored_run
from ciload.result.document import BlockRow, Blocks, Failure, Generator, Phases, RunResult, ScenarioResult
from tests.gate.runs import fingerprint
from tests.reports.results import check, endpoint, metrics, result, verdict

PHASES = Phases(connecting=1.0, sending=0.5, waiting=100.0, receiving=2.0)
HEALTHY: dict[str, Any] = {
    "cpu_share": 0.2, "cpu_s": 12.0, "loop_lag_p50": 0.1, "loop_lag_p99": 1.0, "loop_lag_max": 9.0, "warnings": [],
}  # fmt: skip
SCHEDULED: dict[str, Any] = {
    "name": "default", "executor": "constant-arrival-rate", "vus": 10, "duration_s": 60.0, "graceful_stop_s": 30.0,
    "planned": 600, "planned_per_s": 10.0, "achieved_per_s": 10.0,
}  # fmt: skip


def run(**changes: Any) -> RunResult:
    return result(**{"fingerprint": fingerprint(), "phases": PHASES} | changes)


def test_all_requests_come_first_and_then_the_busiest_endpoints() -> None:
    """Of more than 20 endpoints, those with the most requests are kept, after all requests together."""
    endpoints = [endpoint(f"/{n}", requests=1_000 + n) for n in range(25)]

    stored = stored_run(run(endpoints=endpoints))

    assert [each.name for each in stored.endpoints] == ["", *(f"/{n}" for n in range(24, 4, -1))]
    assert (stored.endpoints[0].requests, stored.endpoints[0].p95) == (1_000, 283.43)
    assert stored.endpoints[0].phases == PHASES


def test_a_single_endpoint_is_not_kept_twice() -> None:
    """The only endpoint is all requests, so it has no row of its own."""
    assert [each.name for each in stored_run(run(endpoints=[endpoint()])).endpoints] == [""]


def test_blocks_are_those_of_the_new_target() -> None:
    """Side by side, what the old target did is not remembered."""
    arms: list[tuple[Literal["new", "old"], float]] = [("old", 5.0), ("new", 7.0)]
    rows = [
        BlockRow(name="", arm=arm, requests=[9, 9], failed=[0, 0], avg=[p50, p50], p50=[p50, None], p95=[p50, p50])
        for arm, p50 in arms
    ]

    stored = stored_run(run(blocks=Blocks(span_s=1.0, count=2, rows=rows)))

    assert stored.endpoints[0].block_p50 == [7.0, None]


def test_checks_are_summed() -> None:
    """Checks count all together."""
    stored = stored_run(run(checks=[check(passes=5, fails=1), check(passes=3, fails=2)]))

    assert (stored.checks_passed, stored.checks_failed) == (8, 3)


@pytest.mark.parametrize(("planned", "is_open"), [([600], True), ([600, None], False), ([None], False), ([], False)])
def test_only_schedules_alone_make_an_open_model(planned: list[int | None], is_open: bool) -> None:
    """Requests per second mean something only if every scenario starts iterations on a schedule."""
    scenarios = [ScenarioResult(**SCHEDULED | {"planned": each}) for each in planned]

    assert stored_run(run(scenarios=scenarios)).open_model is is_open


def test_a_good_run_is_accepted_and_untainted() -> None:
    """Nothing is held against a run that went well."""
    stored = stored_run(run())

    assert (stored.accepted, stored.alarm, stored.tainted) == (True, "", [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"verdict": verdict(Failure(code=ExitCode.INTERRUPTED, reason="SIGTERM"))}, "it failed: SIGTERM"),
        ({"verdict": verdict(Failure(code=ExitCode.SCRIPT_ERROR, reason="a\nb"))}, "it failed: a b"),
        ({"verdict": verdict(Failure(code=99, reason="aborted"))}, "it failed: aborted"),
        ({"generator": Generator(**HEALTHY | {"bottleneck": "it was busy; rest"})}, "it was busy"),
        ({"generator": Generator(**HEALTHY | {"stolen_share": 0.03})}, "the host gave 3% of the machine's CPU"),
        ({"generator": Generator(**HEALTHY | {"throttled_share": 0.01})}, "the container's CPU limit stopped"),
        ({"generator": Generator(**HEALTHY | {"cpu_share": 0.85})}, "the generator used 85% of a core"),
        ({"generator": Generator(**HEALTHY | {"loop_lag_p99": 30.0})}, "the generator's event loop was 30 ms late"),
        ({"scenarios": [ScenarioResult(**SCHEDULED | {"dropped": 200})]}, STARTS_DROPPED),
        ({"scenarios": [ScenarioResult(**SCHEDULED | {"achieved_per_s": 9.4})]}, "it achieved less than 95%"),
        ({"metrics": metrics(failed=501)}, MOSTLY_FAILED),
        ({"metrics": {}}, "it made no requests, and measured nothing else that is judged"),
    ],
)
def test_a_run_that_is_no_measure_is_tainted(changes: dict[str, Any], reason: str) -> None:
    """Whatever else shaped the numbers of a run is told in one sentence, once."""
    tainted = stored_run(run(**changes)).tainted

    assert len(tainted) == 1
    assert tainted[0].startswith(reason)


def test_a_missed_goal_is_no_taint() -> None:
    """A run that fails its thresholds is measured as well as any."""
    assert stored_run(run(verdict=verdict(Failure(code=99, reason="x", threshold=0)))).tainted == []


@pytest.mark.parametrize("code", [ExitCode.REGRESSION, ExitCode.NO_COMPARISON])
def test_what_the_gate_said_is_no_taint(code: int) -> None:
    """A regression is left to be accepted, so it must not be tainted."""
    assert stored_run(run(verdict=verdict(Failure(code=code, reason="slow")))).tainted == []


def test_iterations_that_were_left_over_are_no_taint() -> None:
    """Only schedules drop starts; in other scenarios time simply ran out."""
    scenario = ScenarioResult(**SCHEDULED | {"planned": None, "dropped": 5})

    assert stored_run(run(scenarios=[scenario])).tainted == []


def test_what_the_target_does_spoils_no_run() -> None:
    """A target that fails is no measure for others, while its own numbers are its doing."""
    assert generator_faults(stored_run(run(metrics=metrics(failed=501)))) == []
