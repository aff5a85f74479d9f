"""From a snapshot and thresholds to the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ciload.metrics.folding import MOST_SERIES, ROOM
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Registry, Scope
from ciload.result.build import Facts, build_result
from ciload.result.document import (
    CI,
    Environment,
    Failure,
    Fingerprint,
    Generator,
    Git,
    Load,
    RunResult,
    ScenarioResult,
    ThresholdOutcome,
)
from ciload.result.thresholds import Limit, Threshold, parse_threshold


def facts(thresholds: list[Threshold], windows: Mapping[Threshold, float | None]) -> Facts:
    """Of a run of 10 s and ten iterations."""
    return Facts(
        run_id="1", name="load.py", script_sha256="", folder=None, options={}, allow_script_errors=False, scenarios=[],
        thresholds=thresholds, git=Git(commit=None, branch=None, dirty=None), ci=CI(provider=None), stops=[],
        fingerprint=Fingerprint(scenario="", load="", target="", runner="", ciload=""),
        environment=Environment(ciload="", python="", os="", machine="", cpu="", cores=1, memory_bytes=1),
        load=Load(
            started_at="", setup_s=0, load_s=10, teardown_s=0, iterations=10, iterations_interrupted=0,
            setup_requests=0, vus_max=1,
        ),
        timeline=[], windows=windows,
        generator=Generator(cpu_share=0, cpu_s=0, loop_lag_p50=0, loop_lag_p99=0, loop_lag_max=0, warnings=[]),
    )  # fmt: skip


def built(
    thresholds: list[Threshold], windows: Mapping[Threshold, float | None] | None = None, **changes: Any
) -> RunResult:
    """The result of ten requests of 100 ms each, in 10 s."""
    registry = Registry()
    scope = Scope(registry, "default")
    scope.sink(BUILTIN["iterations"]).add(10)
    series = scope.http_series(("/users", "GET", 200, "", ()), 0)
    for _ in range(10):
        series.sending.append(0.0)
        series.waiting.append(0.1)
        series.receiving.append(0.0)
    return build_result(registry.take(), replace(facts(thresholds, windows or {}), **changes))[0]


def parsed(key: str, limit: str | Limit) -> Threshold:
    return parse_threshold(key, limit, BUILTIN, "load.py:7")


def test_a_window_is_judged_by_what_the_windows_say() -> None:
    """Its value comes from the worst window, not from the whole run, and a window nobody measured is no data."""
    slow, unknown = (parsed("http_req_duration", f"p(95)<500 over {seconds}s") for seconds in (30, 60))
    whole = parsed("http_req_duration", "p(95)<500")
    result = built([slow, unknown, whole], {slow: 612.0})
    assert [(each.outcome, each.value, each.window_s) for each in result.thresholds[:2]] == [
        (ThresholdOutcome.FAIL, 612.0, 30.0),
        (ThresholdOutcome.NO_DATA, None, 60.0),
    ]
    assert (result.thresholds[2].outcome, result.thresholds[2].window_s) == (ThresholdOutcome.PASS, None)
    assert result.verdict.failures[0].reason == "threshold failed: http_req_duration p(95)<500 over 30s"


def test_a_warning_does_not_fail_the_run() -> None:
    """Severity and abort_on_fail are in the document, and the verdict knows the difference."""
    warning = parsed("http_req_duration", Limit(threshold="avg<50", severity="warn"))
    aborting = parsed("http_req_duration", Limit(threshold="avg<500", abort_on_fail=True))
    result = built([warning, aborting])
    assert [(each.severity, each.abort_on_fail) for each in result.thresholds] == [("warn", False), ("fail", True)]
    assert result.verdict.passed
    assert result.verdict.warnings == ["threshold (warning only) failed: http_req_duration avg<50"]


def test_a_selector_without_data_is_told_what_there_is() -> None:
    """A mistyped value fails the run and says what it could have been; where there is data, nothing is hinted."""
    result = built([parsed("http_req_failed{status:20}", "count>1"), parsed("http_req_failed{status:20*}", "count<1")])
    assert [each.hint for each in result.thresholds] == ["status is 200", ""]
    assert [each.reason for each in result.verdict.failures] == [
        "no data for threshold http_req_failed{status:20} count>1 (status is 200)"
    ]


def test_what_was_folded_is_said() -> None:
    """The report says what it does not tell apart, how much of it, and what is not judged for it."""
    thresholds = [parsed("http_reqs{user:1}", "count<10"), parsed("http_reqs{plan:gold}", "count<10")]
    registry = Registry()
    scope = Scope(registry, "default")
    scope.http_series(("/users", "GET", 200, "", (("user", "1"), ("plan", "tin"))), 0).unsent += 1
    for number in range(MOST_SERIES + ROOM + 40):
        key = (f"/users/{number}", "GET", 200, "", (("order", str(number)),))
        scope.http_series(key, 0).unsent += 1
    snapshot = registry.take()
    snapshot.folded.note("user", "17")
    snapshot.folded.lose("http_req_failed", "user")
    result = build_result(snapshot, facts(thresholds, {}))[0]
    [warning] = [each for each in result.verdict.warnings if "series" in each]
    assert warning == (
        "1,000 series are kept apart: 291 values of the tag 'order', which no threshold selects, were left out "
        "(first: 999); 41 names of requests were folded into (other) (first: /users/1249); "
        "1 values of the tag 'user' were put together where no threshold tells them apart (first: 17); "
        "give requests with changing URLs a `name=`"
    )
    assert [(each.value, each.outcome) for each in result.thresholds] == [
        (None, ThresholdOutcome.NO_DATA),
        (0, ThresholdOutcome.PASS),
    ]
    assert result.thresholds[0].hint == (
        "too many values of 'user' to keep all that thresholds select: what was kept is only a part"
    )


def test_more_virtual_users_are_advised_only_where_they_help() -> None:
    """Starts are missing because all virtual users were busy, or because the load ended early: two things to do."""
    scenario = ScenarioResult(
        name="default",
        executor="constant-arrival-rate",
        vus=1,
        duration_s=10,
        graceful_stop_s=0,
        planned=56,
        dropped=46,
    )
    busy = built([], scenarios=[scenario])
    few = built([], scenarios=[scenario.model_copy(update={"vus": 9})])
    ended = built([], scenarios=[scenario], stops=[Failure(code=105, reason="interrupted")])
    assert any("no virtual user was free (max_vus is 1)" in each for each in busy.verdict.warnings)
    for result in (few, ended):
        [said] = [each for each in result.verdict.warnings if "46 of 56 starts" in each]
        assert "did not take place before the load ended" in said
        assert "max_vus" not in said


def test_a_verdict_may_quote_half_a_character() -> None:
    """As in the place of a script whose name is not UTF-8; the result is written, and can be read again."""
    whole = built([])
    quoting = whole.model_copy(update={"verdict": whole.verdict.model_copy(update={"warnings": ["x\udcff.py:3"]})})
    assert RunResult.model_validate_json(quoting.to_json()).verdict.warnings == [r"x\udcff.py:3"]
