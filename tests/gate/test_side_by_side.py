"""A run that loaded two targets: verdicts from blocks."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.gate.alarms import Terms, compare_side_by_side, mark, suspects
from ciload.gate.stored_run import stored_run
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import BlockRow, Blocks, Generator, OldArm, Phases, RunResult
from tests.gate.runs import fingerprint
from tests.reports.results import distribution, endpoint, metrics, result

REGRESSION, IMPROVED, OK = GateVerdict.REGRESSION, GateVerdict.IMPROVED, GateVerdict.OK
INCONCLUSIVE, MISSING = GateVerdict.INCONCLUSIVE, GateVerdict.MISSING
UNSUSPICIOUS = GateVerdict.UNSUSPICIOUS
TERMS = Terms()
Number = Callable[[int], float]


def row(
    arm: Any, p50s: Sequence[float | None], *, requests: Sequence[int] | int = 200, failed: Sequence[int] | int = 0,
    name: str = "", checks: tuple[int, int] | None = None,
) -> BlockRow:  # fmt: skip
    size = len(p50s)
    return BlockRow(
        arm=arm, name=name, method="GET" if name else "", avg=list(p50s), p50=list(p50s),
        p95=[None if each is None else 2 * each for each in p50s],
        p99=[None if each is None else 3 * each for each in p50s],
        requests=[requests] * size if isinstance(requests, int) else list(requests),
        failed=[failed] * size if isinstance(failed, int) else list(failed),
        checks_passed=[checks[0]] * size if checks else [], checks_failed=[checks[1]] * size if checks else [],
    )  # fmt: skip


def run(*rows: BlockRow, **changes: Any) -> RunResult:
    old = OldArm(
        url="http://old.test", iterations=1_000, script_errors=0, requests=1_000, failed=0,
        duration=distribution(250.0), phases=Phases(connecting=0, sending=1, waiting=100, receiving=1),
        endpoints=[endpoint()],
    )  # fmt: skip
    facts = {
        "fingerprint": fingerprint(), "old_arm": old, "metrics": metrics(),
        "phases": Phases(connecting=0, sending=1, waiting=130, receiving=1),
        "blocks": Blocks(span_s=1.0, count=len(rows[0].requests) if rows else 0, rows=list(rows)),
    }  # fmt: skip
    return result(**facts | changes)


def noisy(count: int, factor: float = 1.0, own: float = 0.02, seed: int = 1) -> tuple[list[float], list[float]]:
    """New and old: they share what goes on in the machine, and each has a little noise of its own."""
    chance = random.Random(seed)
    shared = [100 * math.exp(chance.gauss(0, 0.4)) for _ in range(count)]
    new, old = ([each * math.exp(chance.gauss(0, own)) for each in shared] for _ in range(2))
    return [each * factor for each in new], old


def pair(count: int = 20, factor: float = 1.0, own: float = 0.02, **facts: Any) -> list[BlockRow]:
    new, old = noisy(count, factor, own)
    return [row("new", new, **facts), row("old", old, **facts)]


def compared(*results: RunResult) -> Comparison:
    return compare_side_by_side(results, TERMS)


def metric(comparison: Comparison, name: str, of: str = "") -> GatedMetric:
    found = [each for each in comparison.metrics if (each.metric, each.endpoint) == (name, of)]
    assert len(found) == 1
    return found[0]


class TestVerdicts:
    def test_the_same_twice_is_ok(self) -> None:
        """On a machine whose speed varies by half, two equal targets are seen to be equal."""
        comparison = compared(run(*pair()))

        assert (comparison.verdict, comparison.blocks, comparison.against) == (OK, 20, "http://old.test")
        assert [each.metric for each in comparison.metrics] == ["p50", "mean", "p95", "p99", "failed requests"]

    def test_a_slower_target_is_a_regression(self) -> None:
        """A fifth more is found on that machine, and the values shown agree with the change."""
        comparison = compared(run(*pair(factor=1.2)))

        p95 = metric(comparison, "p95")
        assert (comparison.verdict, p95.verdict) == (REGRESSION, REGRESSION)
        assert p95.change == pytest.approx(0.2, abs=0.03)
        assert p95.old is not None
        assert p95.new is not None
        assert p95.new / p95.old - 1 == pytest.approx(p95.change)
        assert suspects(comparison)
        assert mark(stored_run(run(*pair())), [comparison]).alarm == "worse"

    def test_a_faster_target_is_improved(self) -> None:
        """A fifth less is told as well."""
        assert compared(run(*pair(factor=0.8))).verdict is IMPROVED

    def test_what_cannot_be_told_says_what_could(self) -> None:
        """Targets with much noise of their own leave it open, with the remedy."""
        p50 = metric(compared(run(*pair(own=0.5))), "p50")

        assert p50.verdict is UNSUSPICIOUS
        assert p50.detectable is not None
        assert p50.detectable > 0.3
        assert p50.reason.endswith("a longer or faster run, or reruns (--confirm), would find smaller changes")

    def test_blocks_without_any_spread_are_known_to_the_resolution_of_the_clock(self) -> None:
        """Equal differences in all blocks do not make the last digit a regression."""
        found = metric(
            compare_side_by_side([run(row("new", [10.001] * 20), row("old", [10.0] * 20))], Terms(0.01, 0)), "p50"
        )

        assert found.verdict is not REGRESSION

    def test_reruns_add_blocks(self) -> None:
        """Confirmation runs are weighed together with the first."""
        comparison = compared(run(*pair(factor=1.2)), run(*pair(factor=1.2)), run(*pair(factor=1.2)))

        assert (comparison.fresh, comparison.blocks, comparison.verdict) == (3, 60, REGRESSION)

    def test_endpoints_are_judged_each(self) -> None:
        """One slow endpoint among others is found, by name."""
        slow, slow_old = noisy(20, 1.5)
        same, same_old = noisy(20, seed=5)
        rows = [*pair(), row("new", slow, name="/a"), row("old", slow_old, name="/a")]
        comparison = compared(run(*rows, row("new", same, name="/b"), row("old", same_old, name="/b")))

        assert metric(comparison, "p50", "/a").verdict is REGRESSION
        assert metric(comparison, "p50", "/b").verdict is OK

    def test_a_single_endpoint_is_not_judged_twice(self) -> None:
        """The only endpoint is all requests."""
        rows = [*pair(), row("new", noisy(20)[0], name="/a"), row("old", noisy(20)[1], name="/a")]

        assert {each.endpoint for each in compared(run(*rows)).metrics} == {""}


class TestShares:
    @pytest.mark.parametrize(("failed", "verdict"), [(0, OK), (10, REGRESSION)])
    def test_failures_where_the_old_target_has_none(self, failed: int, verdict: GateVerdict) -> None:
        """Five percent of failures on one side only are found; none on both sides are fine."""
        new, old = noisy(20)
        found = metric(compared(run(row("new", new, failed=failed), row("old", old))), "failed requests")

        assert found.verdict is verdict
        assert (found.old, found.new) == (0.0, failed / 200)

    def test_checks_are_compared_as_well(self) -> None:
        """Checks that fail at the new target only are a regression; passed and failed are not mistaken."""
        new, old = noisy(20)
        found = metric(
            compared(run(row("new", new, checks=(180, 20)), row("old", old, checks=(200, 0)))), "failed checks"
        )

        assert (found.verdict, found.new, found.old) == (REGRESSION, 0.1, 0.0)


class TestBlocks:
    def test_neighbours_become_one_when_they_are_too_small(self) -> None:
        """40 blocks of 20 requests make 20 for p95, which needs 40 in each."""
        comparison = compared(run(*pair(40, factor=1.3, requests=20)))

        assert metric(comparison, "p95").verdict is REGRESSION
        assert metric(comparison, "p50").verdict is REGRESSION

    def test_too_few_requests_say_how_many_are_needed(self) -> None:
        """20 blocks of 15 requests are too few for p95 and enough for p50, which then decides."""
        comparison = compared(run(*pair(requests=15)))

        assert metric(comparison, "p50").verdict is OK
        assert metric(comparison, "p95").reason == (
            "300 requests a side; p95 needs 400, 40 in each of 10 blocks: a longer or faster run"
        )
        assert not metric(comparison, "p95").decides
        assert comparison.verdict is OK

    def test_without_any_middle_nothing_is_judged(self) -> None:
        """A target that answers three requests a second leaves everything open, whatever its failures say."""
        assert compared(run(*pair(requests=3))).verdict is INCONCLUSIVE

    @pytest.mark.parametrize("count", [1, 2, 9])
    def test_ten_blocks_are_needed(self, count: int) -> None:
        """A run of a few seconds has too few blocks to compare."""
        comparison = compared(run(*pair(count)))

        assert (comparison.verdict, comparison.reason) == (
            INCONCLUSIVE, f"{count} block{'s' * (count > 1)}; 10 are needed: a load of at least 10 s",
        )  # fmt: skip

    def test_a_block_that_was_cut_short_is_left_out(self) -> None:
        """The last second of a load may hold a few requests, which were slow on one side by chance."""
        new, old = noisy(20)
        requests = [200] * 20 + [20]
        comparison = compared(
            run(row("new", [*new, 9_000.0], requests=requests), row("old", [*old, 1.0], requests=requests))
        )

        assert (comparison.verdict, comparison.blocks) == (OK, 20)

    def test_blocks_without_requests_on_one_side_join_their_neighbours(self) -> None:
        """An endpoint that is called now and then is compared as far as both targets were asked."""
        now_and_then = [None if n % 2 else 100.0 for n in range(40)]
        requests = [0 if n % 2 else 200 for n in range(40)]
        rows = [row(arm, now_and_then, requests=requests, name="/a") for arm in ("new", "old")]
        more = [row(arm, [50.0] * 40, name="/b") for arm in ("new", "old")]

        assert metric(compared(run(*pair(40), *rows, *more)), "p50", "/a").verdict is OK


class TestNothingToCompare:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"old_arm": None}, "the run loaded one target only"),
            ({"blocks": None}, "the run has no blocks to compare"),
        ],
    )
    def test_without_two_targets_there_is_no_comparison(self, changes: dict[str, Any], reason: str) -> None:
        """What is missing is a verdict of its own, with the reason."""
        comparison = compared(run(*pair(), **changes))

        assert (comparison.verdict, comparison.reason) == (MISSING, reason)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"requests": 0, "duration": None}, "the old target got no requests"),
            ({"duration": None, "failed": 1_000}, "no request to the old target succeeded"),
            ({"failed": 1_000}, "no request to the old target succeeded"),
        ],
    )
    def test_an_old_target_that_does_not_answer_is_no_measure(self, changes: dict[str, Any], reason: str) -> None:
        """A new target is not better than one that was down."""
        good = run(*pair())
        assert good.old_arm is not None
        comparison = compared(good.model_copy(update={"old_arm": good.old_arm.model_copy(update=changes)}))

        assert (comparison.verdict, comparison.reason) == (MISSING, reason)

    @pytest.mark.parametrize(
        ("arm", "reason"), [("new", "not requested from the old target"), ("old", "not requested from the new target")]
    )
    def test_an_endpoint_of_one_target_is_left_open(self, arm: str, reason: str) -> None:
        """An endpoint that only one target was asked for has nothing to be compared with."""
        rows = [
            *pair(),
            row("new", [1.0] * 20, name="/b"),
            row("old", [1.0] * 20, name="/b"),
            row(arm, [1.0] * 20, name="/a"),
        ]
        comparison = compared(run(*rows))

        assert metric(comparison, "p50", "/a").reason == reason
        assert comparison.verdict is INCONCLUSIVE


class TestDoubts:
    def test_a_spoilt_run_still_shows_differences(self) -> None:
        """Both targets met the same generator: worse and better stay, and only "fine" is not believed."""
        facts: dict[str, Any] = {
            "cpu_share": 0.99, "cpu_s": 12.0, "loop_lag_p50": 0.1, "loop_lag_p99": 1.0, "loop_lag_max": 9.0,
            "warnings": [], "bottleneck": "the generator was the bottleneck: it used 99% of a core; use more",
        }  # fmt: skip
        busy = Generator(**facts)

        assert compared(run(*pair(factor=1.3), generator=busy)).verdict is REGRESSION
        assert metric(compared(run(*pair(factor=0.7), generator=busy)), "p50").verdict is IMPROVED
        comparison = compared(run(*pair(), generator=busy))
        assert comparison.verdict is INCONCLUSIVE
        assert comparison.reason == (
            "this run is no good measure: the generator was the bottleneck: it used 99% of a core"
        )
        assert comparison.notes == [
            "no good measure, for either target: the generator was the bottleneck: it used 99% of a core"
        ]


def test_false_alarms_keep_to_their_budget() -> None:
    """Of equal targets on a restless machine, hardly any is called a regression, without any tolerance."""
    alarms = sum(
        compare_side_by_side([run(row("new", new), row("old", old))], Terms(0.01, 0.0)).verdict is REGRESSION
        for new, old in (noisy(12, own=0.1, seed=seed) for seed in range(150))
    )
    assert alarms <= 5


value = st.none() | st.floats(0, 1e9) | st.floats(1, 50)
size = st.integers(0, 500) | st.integers(0, 1 << 40)


@st.composite
def any_rows(draw: st.DrawFn) -> list[BlockRow]:
    length = draw(st.integers(0, 40) | st.integers(10, 40))

    def any_row(arm: str, name: str) -> BlockRow:
        requests = draw(st.lists(size, min_size=length, max_size=length))
        failed = [draw(st.integers(0, count)) for count in requests[: draw(st.sampled_from([length, 3]))]]
        p50s = draw(st.lists(value, min_size=length, max_size=length))
        return row(arm, p50s, requests=requests, failed=failed, name=name)

    names = draw(st.sampled_from([[""], ["", "/a"], ["", "/a", "/b"]]))
    return [
        any_row(arm, name)
        for name in names
        for arm in draw(st.sampled_from([("new", "old"), ("new", "old"), ("new",)]))
    ]


@settings(max_examples=60, deadline=None)
@given(any_rows(), st.booleans())
def test_any_blocks_have_a_comparison(rows: list[BlockRow], twice: bool) -> None:
    """Nothing crashes, whatever the lengths and sizes; no number is infinite or none; intervals are in order."""
    comparison = compared(*[run(*rows)] * (1 + twice))

    for each in comparison.metrics:
        numbers = [each.old, each.new, each.change, each.low, each.high, each.p_value, each.detectable]
        assert all(math.isfinite(number) for number in numbers if number is not None)
        if each.low is not None and each.high is not None and each.change is not None:
            assert each.low <= each.change <= each.high
