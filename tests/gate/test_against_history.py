"""A run against earlier runs: verdicts, and what is told beside them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.gate.alarms import Terms, alarm_of, compare_results_with_history, compare_with_history, mark, suspects
from ciload.gate.document import Acceptance, Baseline, StoredRun
from ciload.gate.levels import SHIFT, accept, merge
from ciload.gate.stored_run import MOSTLY_FAILED, STARTS_DROPPED
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from tests.gate.runs import ENVIRONMENT, START, endpoint, fingerprint, stored_run, stored_runs
from tests.reports import results

REGRESSION, IMPROVED, OK = GateVerdict.REGRESSION, GateVerdict.IMPROVED, GateVerdict.OK
INCONCLUSIVE, MISSING = GateVerdict.INCONCLUSIVE, GateVerdict.MISSING
UNSUSPICIOUS, SUSPICIOUS = GateVerdict.UNSUSPICIOUS, GateVerdict.SUSPICIOUS
TERMS = Terms()
NONE = "10 runs in baseline.json, none comparable: "
QUIET = [10.0, 10.1, 9.9, 10.05, 9.95, 10.02, 9.98, 10.07, 9.93, 10.0]  # runs that differ by half a percent or so


def baseline(p50s: Sequence[float] = QUIET, **changes: Any) -> Baseline:
    return Baseline(runs=stored_runs(p50s, **changes))


def new_run(p50: float = 10.0, **changes: Any) -> StoredRun:
    facts: dict[str, Any] = {"p50": p50, "p95": 2 * p50, "run_id": "new", "at": START + timedelta(days=2)}
    return stored_run(**(facts | changes))


def compared(new: StoredRun, earlier: Baseline | None, *reruns: StoredRun, terms: Terms = TERMS) -> Comparison:
    return compare_with_history(new, reruns, earlier, "baseline.json", terms)


def metric(comparison: Comparison, name: str, of: str = "") -> GatedMetric:
    found = [each for each in comparison.metrics if (each.metric, each.endpoint) == (name, of)]
    assert len(found) == 1
    return found[0]


class TestVerdicts:
    def test_a_run_like_the_others_is_ok(self) -> None:
        """Without a change, the interval stays below the tolerance."""
        comparison = compared(new_run(), baseline())

        assert (comparison.verdict, comparison.reason) == (OK, "")
        assert [each.metric for each in comparison.metrics] == ["p50", "p95", "failed requests"]

    def test_a_slower_run_is_a_regression(self) -> None:
        """A third more on quiet runs alarms, with its numbers in the values' own units."""
        comparison = compared(new_run(13.0), baseline())

        p50 = metric(comparison, "p50")
        assert (comparison.verdict, p50.verdict) == (REGRESSION, REGRESSION)
        assert p50.old == pytest.approx(10.0, rel=1e-3)
        assert p50.new == pytest.approx(13.0)
        assert p50.change == pytest.approx(0.3, abs=1e-3)
        assert p50.low is not None
        assert p50.high is not None
        assert 0.25 < p50.low < 0.3 < p50.high < 0.35
        assert p50.p_value is not None
        assert p50.p_value < 0.001
        assert p50.history == pytest.approx([*QUIET, 13.0])

    def test_a_faster_run_is_improved(self) -> None:
        """A third less is told as well."""
        assert compared(new_run(7.0), baseline()).verdict is IMPROVED

    def test_a_certain_change_within_the_tolerance_is_no_regression(self) -> None:
        """Five percent slower is certain here, and tolerated."""
        comparison = compared(new_run(10.5), baseline())

        assert metric(comparison, "p50").verdict is OK
        assert compared(new_run(10.5), baseline(), terms=Terms(tolerance=0.0)).verdict is REGRESSION

    def test_noisy_runs_cannot_tell_and_say_what_could(self) -> None:
        """When runs differ by half, a third more is nothing suspicious, and the report says what would have been."""
        p50 = metric(compared(new_run(13.0), baseline([6, 9, 14, 10, 7, 15, 11, 8])), "p50")

        assert p50.verdict is UNSUSPICIOUS
        assert "or more would have been found 8 times in 10" in p50.reason
        assert "more runs (10) or side by side (--compare-url) would find smaller changes" in p50.reason
        assert p50.detectable is not None
        assert p50.detectable > 0.5

    def test_one_metric_decides_for_the_worst(self) -> None:
        """A regression of one endpoint is one of the run, whatever the others do."""
        earlier = baseline(endpoints=[endpoint("/a"), endpoint("/b")])
        comparison = compared(new_run(endpoints=[endpoint("/a", p50=20.0), endpoint("/b")]), earlier)

        assert comparison.verdict is REGRESSION
        assert metric(comparison, "p50", "/a").verdict is REGRESSION
        assert metric(comparison, "p50", "/b").verdict is OK

    def test_no_spread_at_all_is_taken_for_the_resolution_of_the_clock(self) -> None:
        """Runs that are equal to the last digit do not make the next digit a regression."""
        same = baseline([10.0] * 10)

        last_digit = metric(compared(new_run(10.01), same, terms=Terms(tolerance=0.0)), "p50")
        assert last_digit.verdict is not REGRESSION
        assert last_digit.p_value is not None
        assert last_digit.p_value > 0.05
        assert compared(new_run(13.0), same).verdict is REGRESSION

    def test_times_below_the_clock_are_no_news(self) -> None:
        """Between nothing and a microsecond there is no regression."""
        assert metric(compared(new_run(0.001), baseline([0.0] * 10)), "p50").verdict is not REGRESSION

    def test_what_blocks_of_a_run_differ_by_counts(self) -> None:
        """A run whose blocks are wild is known no better than they say, however alike earlier runs were."""
        total = endpoint(p50=13.0, p95=26.0, block_p50=[6.0, 30.0, 8.0, 25.0], block_p95=[26.0, 26.0, 26.0, 26.0])
        comparison = compared(new_run(total=total), baseline())

        assert metric(comparison, "p50").verdict is UNSUSPICIOUS
        assert metric(comparison, "p95").verdict is REGRESSION


class TestShares:
    @pytest.mark.parametrize(("failed", "verdict"), [(0, OK), (1, OK), (10, REGRESSION), (50, REGRESSION)])
    def test_failures_where_there_were_none(self, failed: int, verdict: GateVerdict) -> None:
        """One failed request in a thousand may be chance; one percent is not."""
        found = metric(compared(new_run(failed=failed), baseline()), "failed requests")

        assert found.verdict is verdict
        assert (found.old, found.new, found.unit) == (0.0, failed / 1_000, "share")

    def test_no_failures_at_all_are_no_change(self) -> None:
        """Log odds of nothing differ by how many requests there were; the share that was counted does not."""
        for seed in range(20):
            draw = random.Random(seed)
            runs = [
                run.model_copy(update={"endpoints": [endpoint(requests=draw.randrange(500, 5_000))]})
                for run in stored_runs(QUIET)
            ]
            found = metric(
                compared(new_run(requests=draw.randrange(500, 5_000)), Baseline(runs=runs)), "failed requests"
            )
            assert (found.old, found.new, found.change) == (0.0, 0.0, 0.0)

    @pytest.mark.parametrize("runs", range(3, 31))
    def test_nothing_failed_is_no_change_to_the_last_bit(self, runs: int) -> None:
        """However means are rounded, no failures then and now are no change, and the interval has 0 in it."""
        draw = random.Random(runs)
        sizes = [draw.randrange(500, 90_000) for _ in range(runs)]
        earlier = [stored_run(run_id=f"{n}", requests=size) for n, size in enumerate(sizes)]
        for requests in (500, 60_000):
            found = metric(compared(new_run(requests=requests), Baseline(runs=earlier)), "failed requests")
            assert (found.change, found.verdict) == (0.0, OK)
            assert found.low is not None
            assert found.high is not None
            assert found.low <= 0.0 <= found.high

    @pytest.mark.parametrize(("failed", "requests"), [(34, 8_000), (5, 1_000)])
    def test_failures_that_chance_hardly_explains_are_never_ok(self, failed: int, requests: int) -> None:
        """Half a percent of failures where there were none is not fine, although it is less than a point."""
        earlier = baseline(requests=requests)
        found = metric(compared(new_run(failed=failed, requests=requests), earlier), "failed requests")

        assert found.verdict in (REGRESSION, SUSPICIOUS, UNSUSPICIOUS)
        assert found.p_value is not None

    def test_three_runs_without_failures_do_not_prove_much(self) -> None:
        """With three earlier runs, half a percent of failures is not yet a regression, and not fine either."""
        found = metric(compared(new_run(failed=5), baseline([10.0, 10.1, 9.9])), "failed requests")

        assert found.verdict is UNSUSPICIOUS
        assert "% or more would have been found 8 times in 10" in found.reason

    def test_failures_that_were_always_there_are_ok(self) -> None:
        """The same share of failures as ever is no news."""
        found = metric(compared(new_run(failed=50), baseline(failed=50)), "failed requests")

        assert found.change == pytest.approx(0.0)
        assert found.verdict is not REGRESSION

    def test_checks_are_one_metric_of_the_run(self) -> None:
        """Checks that fail are compared for all requests together."""
        earlier = baseline(checks_passed=1_000, checks_failed=0)
        comparison = compared(new_run(checks_passed=900, checks_failed=100), earlier)

        assert metric(comparison, "failed checks").verdict is REGRESSION


class TestThroughput:
    def test_fewer_requests_are_worse_on_a_schedule(self) -> None:
        """Requests per second fall when it gets worse, and changes have the sign of the value."""
        earlier = baseline(open_model=True, requests_per_s=100.0)
        found = metric(compared(new_run(open_model=True, requests_per_s=70.0), earlier), "requests/s")

        assert (found.verdict, found.unit) == (REGRESSION, "/s")
        assert found.change == pytest.approx(-0.3)
        assert found.low is not None
        assert found.high is not None
        assert found.low < -0.3 < found.high < 0
        assert found.detectable is not None
        assert found.detectable < 0

    def test_closed_models_have_no_throughput_to_judge(self) -> None:
        """There it is only another name for latency."""
        assert "requests/s" not in {each.metric for each in compared(new_run(), baseline()).metrics}


class TestFewData:
    @pytest.mark.parametrize(("count", "verdict"), [(1, INCONCLUSIVE), (2, INCONCLUSIVE), (5, REGRESSION)])
    def test_too_few_runs_show_the_change_alone(self, count: int, verdict: GateVerdict) -> None:
        """From one or two runs nobody knows the noise; the change is shown without a verdict."""
        comparison = compared(new_run(20.0), baseline(QUIET[:count]))

        assert metric(comparison, "p50").verdict is verdict
        assert metric(comparison, "p50").change == pytest.approx(1.0, abs=0.02)

    def test_two_runs_say_how_many_are_needed(self) -> None:
        """The reason names both numbers."""
        comparison = compared(new_run(), baseline(QUIET[:2]))

        assert comparison.reason == "2 comparable runs; 3 are needed to know how much runs differ"
        assert (len(comparison.runs), comparison.runs_needed) == (2, 3)
        assert {each.branch for each in comparison.runs} == {"main"}
        assert compared(new_run(), baseline(QUIET)).runs_needed is None

    def test_one_run_is_one_run_each(self) -> None:
        """The reason of a comparison of two runs."""
        assert compared(new_run(), baseline(QUIET[:1])).reason.startswith("one run each: ")

    @pytest.mark.parametrize("count", [3, 30])
    def test_any_number_of_runs_from_three_on(self, count: int) -> None:
        """Three runs are enough for a gross regression, and thirty are used as well."""
        comparison = compared(new_run(40.0), baseline((QUIET * 3)[:count]))

        assert comparison.verdict is REGRESSION
        assert len(comparison.runs) == count
        assert any("runs are few" in note for note in comparison.notes) is (count < 5)

    def test_percentiles_need_requests_beyond_them(self) -> None:
        """With 300 requests there are not 20 beyond p95; it takes no part, while p50 is judged."""
        comparison = compared(new_run(requests=300), baseline(requests=300))

        assert metric(comparison, "p50").verdict is OK
        assert metric(comparison, "p95").verdict is INCONCLUSIVE
        assert metric(comparison, "p95").reason == "too few data: 300 requests; p95 needs 400"
        assert metric(comparison, "p95").p_value is None

    def test_a_slow_target_is_judged_by_its_middle(self) -> None:
        """240 requests are too few for p95; that leaves nothing open where p50 is judged."""
        comparison = compared(new_run(requests=240), baseline(requests=240))

        assert comparison.verdict is OK
        assert not metric(comparison, "p95").decides
        assert compared(new_run(requests=30), baseline(requests=30)).verdict is INCONCLUSIVE

    def test_too_few_requests_in_the_baseline_are_told_as_well(self) -> None:
        """A run that had enough cannot be compared with runs that had not."""
        found = metric(compared(new_run(requests=1_000), baseline(requests=300)), "p95")

        assert found.reason == "too few data in the baseline: 300 requests; p95 needs 400"

    def test_endpoints_that_come_and_go_are_told_once(self) -> None:
        """An endpoint on one side only is one open row, not one for each metric."""
        earlier = baseline(endpoints=[endpoint("/gone"), endpoint("/stays")])
        comparison = compared(new_run(endpoints=[endpoint("/comes"), endpoint("/stays")]), earlier)

        told = [(each.endpoint, each.reason) for each in comparison.metrics if each.endpoint in ("/gone", "/comes")]
        assert told == [("/comes", "not in the baseline"), ("/gone", "not in this run")]
        assert comparison.verdict is INCONCLUSIVE

    def test_the_end_of_a_full_list_is_no_finding(self) -> None:
        """When 20 endpoints are kept of more, which one is the last is chance: a note tells."""
        twenty = [endpoint(f"/{n}") for n in range(20)]
        comparison = compared(new_run(endpoints=[*twenty[1:], endpoint("/20")]), baseline(endpoints=twenty))

        assert {each.endpoint for each in comparison.metrics} == {"", *(f"/{n}" for n in range(1, 20))}
        assert any(
            note.startswith("1 endpoint of the last run is not among the 20 busiest") for note in comparison.notes
        )


class TestTwoLevels:
    """With four endpoints or more, what they share is judged once, and each by what is its own."""

    def runs(self, *factors: float, count: int = 10, of: int = 6) -> tuple[Baseline, StoredRun]:
        """Runs that differ by 15% all together, and by 1% in each of some endpoints; the last has `factors` as well."""
        draw = random.Random(5)

        def one(number: int, factors: Sequence[float] = ()) -> StoredRun:
            shared = math.exp(draw.gauss(0, 0.15))
            moved = [shared * math.exp(draw.gauss(0, 0.01)) for _ in range(of)]
            moved = [each * factor for each, factor in zip(moved, (*factors, *[1.0] * of), strict=False)]
            parts = [endpoint(f"/{n}", p50=10.0 * (n + 1) * by, p95=20.0 * (n + 1) * by) for n, by in enumerate(moved)]
            at = START + timedelta(hours=number)
            return stored_run(run_id=f"{number}", at=at, p50=30.0 * shared, p95=60.0 * shared, endpoints=parts)

        return Baseline(runs=[one(n) for n in range(count)]), one(count, factors)

    def test_one_endpoint_stands_out_of_noise_that_all_share(self) -> None:
        """Runs differ by 15%, and still an endpoint that is 15% slower than the others is found, and it alone."""
        earlier, new = self.runs(1.15)
        comparison = compared(new, earlier)

        worse = [each for each in comparison.metrics if each.verdict is REGRESSION]
        assert {(each.endpoint, each.metric) for each in worse} == {("/0", "p50"), ("/0", "p95")}
        assert metric(comparison, "p50", "/0").change == pytest.approx(0.15, abs=0.03)

    def test_what_all_share_is_one_finding(self) -> None:
        """Everything twice as slow is a regression of the median endpoint, not of each."""
        earlier, new = self.runs(*[2.2] * 6)
        comparison = compared(new, earlier)

        assert metric(comparison, "median endpoint p50").verdict is REGRESSION
        assert {each.endpoint for each in comparison.metrics if each.verdict is REGRESSION} == {""}
        assert any("beyond what all endpoints share" in note for note in comparison.notes)

    def test_values_are_those_that_were_measured(self) -> None:
        """Old and new are milliseconds, whatever was taken out to judge."""
        earlier, new = self.runs()
        found = metric(compared(new, earlier), "p50", "/1")

        assert found.new == pytest.approx(new.endpoints[2].p50)
        assert found.old == pytest.approx(20.0, rel=0.2)

    def test_few_endpoints_have_nothing_in_common(self) -> None:
        """Three are judged each by itself, and there is no median endpoint."""
        earlier, new = self.runs(of=3)

        assert "median endpoint p50" not in {each.metric for each in compared(new, earlier).metrics}

    def test_a_level_before_these_endpoints_is_none(self) -> None:
        """Runs from before an API was replaced say nothing about its endpoints, and nothing breaks."""
        earlier, new = self.runs(1.15)
        others = [endpoint(f"/old/{n}") for n in range(5)]
        before = [stored_run(run_id=f"b{n}", at=START - timedelta(days=n + 1), endpoints=others) for n in range(4)]
        replaced = Acceptance(at=START, by="me", reason="new API", run_ids=["0"])
        both = Baseline(runs=[*before, *earlier.runs], acceptances=[replaced])

        assert metric(compared(new, both), "p50", "/0").verdict is REGRESSION

    def test_an_endpoint_may_be_missing_in_a_run(self) -> None:
        """The others are told apart all the same."""
        earlier, new = self.runs(1.15)
        first = earlier.runs[0]
        earlier = Baseline(runs=[first.model_copy(update={"endpoints": first.endpoints[:-2]}), *earlier.runs[1:]])

        assert metric(compared(new, earlier), "p50", "/0").verdict is REGRESSION
        assert metric(compared(new, earlier), "p50", "/5").verdict is not REGRESSION


class TestFamily:
    def test_sixty_metrics_keep_the_promise_of_one(self) -> None:
        """Of unchanged runs with 20 endpoints, hardly one in a hundred alarms, though 64 metrics are judged."""
        chance = random.Random(7)

        def endpoints() -> list[Any]:
            p50s = [10 * math.exp(chance.gauss(0, 0.1)) for _ in range(20)]
            return [endpoint(f"/{n}", p50=p50, p95=p50 * math.exp(chance.gauss(1, 0.1))) for n, p50 in enumerate(p50s)]

        alarms = 0
        for _ in range(40):
            earlier = Baseline(
                runs=[stored_run(run_id=f"{n}", at=START + timedelta(n), endpoints=endpoints()) for n in range(8)]
            )
            comparison = compared(new_run(endpoints=endpoints()), earlier, terms=Terms(tolerance=0.0))
            assert len(comparison.metrics) == 64
            alarms += comparison.verdict is REGRESSION
        assert alarms <= 2

    def test_the_family_raises_the_bar(self) -> None:
        """The same change has a larger p value, and less is found, when more is judged at once."""
        chance = random.Random(3)
        runs = [10 * math.exp(chance.gauss(0, 0.05)) for _ in range(10)]
        many = [endpoint(f"/{n}") for n in range(20)]

        few, lots = (
            metric(compared(new_run(12.0, endpoints=e), baseline(runs, endpoints=e)), "p50") for e in ([], many)
        )

        assert few.p_value is not None
        assert lots.p_value is not None
        assert few.p_value < lots.p_value
        assert few.detectable is not None
        assert lots.detectable is not None
        assert few.detectable < lots.detectable


class TestComparable:
    def test_no_baseline_is_a_verdict_of_its_own(self) -> None:
        """Nothing to compare with is neither a pass nor a failure."""
        assert compared(new_run(), None).verdict is MISSING
        assert compared(new_run(), None).reason == "baseline.json does not exist; --save-baseline makes one"
        assert compared(new_run(), Baseline()).reason == "baseline.json holds no other run"

    def test_a_run_is_not_compared_with_itself(self) -> None:
        """A run that was stored already, or one of its reruns, is none of the others."""
        new, rerun = new_run(), new_run(run_id="again")

        assert compared(new, Baseline(runs=[new, rerun]), rerun).verdict is MISSING

    @pytest.mark.parametrize(
        ("theirs", "reason"),
        [
            ({"load": "other"}, NONE + "another load"),
            ({"target": "elsewhere"}, NONE + "another target"),
            ({"ciload": "0"}, NONE + "ciload 1.4.0"),
        ],
    )
    def test_runs_of_another_kind_are_told_apart(self, theirs: dict[str, str], reason: str) -> None:
        """Runs that cannot be compared are counted, with what is different about them."""
        comparison = compared(new_run(), baseline(fingerprint=fingerprint(**theirs)))

        assert (comparison.verdict, comparison.reason, comparison.metrics) == (MISSING, reason, [])

    def test_no_run_on_this_class_of_machine_names_both(self) -> None:
        """Who has a new runner learns which one the earlier runs had."""
        other = ENVIRONMENT.model_copy(update={"cpu": "Xeon 8370C", "cores": 64})
        comparison = compared(new_run(), baseline(fingerprint=fingerprint(runner="xeon"), environment=other))

        assert (comparison.verdict, comparison.metrics) == (MISSING, [])
        assert comparison.reason.startswith(
            "no run on this class of machine yet (this: AMD EPYC 7763, 4 cores; baseline.json has: "
            "Xeon 8370C, 64 cores: 10 runs)"
        )

    def test_a_class_of_machines_with_few_runs_borrows_the_spread(self) -> None:
        """Two runs on a new machine tell the mean, those on the others how much runs differ; a note says so."""
        own = [run.model_copy(update={"run_id": f"own-{n}"}) for n, run in enumerate(stored_runs([5.0, 5.05]))]
        others = stored_runs(QUIET, fingerprint=fingerprint(runner="other"))

        slower = compared(new_run(6.5), Baseline(runs=[*own, *others]))
        same = compared(new_run(5.02), Baseline(runs=[*own, *others]))
        alone = compared(new_run(6.5), Baseline(runs=own))

        assert (alone.verdict, slower.verdict, same.verdict) == (INCONCLUSIVE, REGRESSION, OK)
        assert [each.run_id for each in slower.runs] == ["own-0", "own-1"]
        assert metric(slower, "p50").old == pytest.approx(5.02, abs=0.01)
        assert metric(slower, "p50").history == pytest.approx([5.0, 5.05, 6.5])
        assert any("how much runs differ is taken from 10 runs on others" in note for note in slower.notes)

    @pytest.mark.parametrize("ours", ["sha256:new", "name:shop"])
    def test_a_changed_script_is_compared_with_its_earlier_version(self, ours: str) -> None:
        """Three times as slow is no silent pass because of a comment, and not certain either: it is suspicious."""
        slow = compared(new_run(30.0, fingerprint=fingerprint(scenario=ours)), baseline())
        same = compared(new_run(10.0, fingerprint=fingerprint(scenario=ours)), baseline())
        fast = compared(new_run(5.0, fingerprint=fingerprint(scenario=ours)), baseline())

        assert slow.verdict is SUSPICIOUS
        assert "another version of the script; give it a --name" in slow.reason
        assert metric(slow, "p50").change == pytest.approx(2.0, abs=0.01)
        assert (same.verdict, fast.verdict) == (OK, UNSUSPICIOUS)
        assert "another version of the script" in same.reason
        assert alarm_of([slow]) == alarm_of([fast]) == ""

    def test_scripts_with_names_of_their_own_are_not_mixed(self) -> None:
        """Runs of another name are another test, not an earlier version."""
        named = baseline(fingerprint=fingerprint(scenario="name:other"))

        assert compared(new_run(fingerprint=fingerprint(scenario="name:shop")), named).verdict is MISSING
        assert compared(new_run(), named).verdict is MISSING

    def test_a_clock_that_is_behind_all_others_hides_nothing(self) -> None:
        """Runs from the future are compared with when there are no others: twice as slow is a regression."""
        early = START - timedelta(days=2)
        comparison = compared(new_run(20.0, at=early), baseline())

        assert comparison.verdict is REGRESSION
        assert any("this machine's clock is wrong" in n and "by 2.0 days or more" in n for n in comparison.notes)

    def test_a_run_whose_clock_was_ahead_is_left_out(self) -> None:
        """One run from the future among others does not count, and is told."""
        ahead = new_run(50.0, run_id="ahead", at=START + timedelta(days=900))
        comparison = compared(new_run(), Baseline(runs=[*baseline().runs, ahead]))

        assert (comparison.verdict, len(comparison.runs)) == (OK, 10)
        assert "1 run not used: from the future, by this machine's clock" in comparison.notes

    def test_another_machine_is_ignored_beside_the_same(self) -> None:
        """Slow runs of another machine do not count, and a note tells so."""
        slow = stored_runs([50.0] * 4, fingerprint=fingerprint(runner="slow"))
        slow = [run.model_copy(update={"run_id": f"slow-{run.run_id}"}) for run in slow]
        comparison = compared(new_run(13.0), Baseline(runs=[*baseline().runs, *slow]))

        assert comparison.verdict is REGRESSION
        assert "4 runs not used: another machine (AMD EPYC 7763, 4 cores)" in comparison.notes

    def test_bad_runs_are_no_measure(self) -> None:
        """Tainted runs and those with an alarm are not used, and counted."""
        runs = stored_runs([*QUIET, 30.0, 31.0])
        runs[10] = runs[10].model_copy(update={"tainted": ["it was interrupted"]})
        runs[11] = runs[11].model_copy(update={"accepted": False, "alarm": "worse"})
        comparison = compared(new_run(), Baseline(runs=runs))

        assert len(comparison.runs) == 10
        assert "1 run not used: no good measure, it was interrupted" in comparison.notes
        assert "1 run not used: alarms that nobody has accepted" in comparison.notes

    def test_old_runs_are_told(self) -> None:
        """Runs of more than a month ago are used, with a note."""
        comparison = compared(new_run(at=START + timedelta(days=60)), baseline())

        assert "10 of the 10 runs are older than 30 days" in comparison.notes


class TestDoubts:
    def test_a_spoilt_run_has_numbers_and_no_verdict(self) -> None:
        """When the generator was at fault, neither a regression nor its absence is believed."""
        for p50 in (7.0, 10.0, 13.0):
            comparison = compared(new_run(p50, tainted=["the generator was busy"]), baseline())

            assert comparison.verdict is INCONCLUSIVE
            assert comparison.reason == "this run is no good measure: the generator was busy"
            assert metric(comparison, "p50").p_value is not None

    @pytest.mark.parametrize("taint", [STARTS_DROPPED, MOSTLY_FAILED])
    def test_what_only_hides_slowness_leaves_regressions(self, taint: str) -> None:
        """A target too slow for its schedule looks better than it is: worse is believed, fine is not."""
        assert metric(compared(new_run(13.0, tainted=[taint]), baseline()), "p50").verdict is REGRESSION
        assert metric(compared(new_run(10.0, tainted=[taint]), baseline()), "p50").verdict is INCONCLUSIVE
        assert metric(compared(new_run(7.0, tainted=[taint]), baseline()), "p50").verdict is INCONCLUSIVE


class TestReruns:
    def test_reruns_are_averaged(self) -> None:
        """What one lucky or unlucky run showed is weighed with the others, never replaced by the best."""
        comparison = compared(new_run(13.0), baseline(), new_run(10.0, run_id="a"), new_run(10.0, run_id="b"))

        assert comparison.fresh == 3
        assert metric(comparison, "p50").new == pytest.approx((13.0 * 10 * 10) ** (1 / 3))

    def test_spoilt_reruns_are_left_out(self) -> None:
        """A rerun that is no good measure does not vote, and a note tells."""
        comparison = compared(new_run(13.0), baseline(), new_run(1.0, run_id="a", tainted=["it was interrupted"]))

        assert (comparison.fresh, comparison.verdict) == (1, REGRESSION)
        assert "1 rerun not used: it was interrupted" in comparison.notes

    def test_suspicion_comes_before_certainty(self) -> None:
        """What is likely at one in ten, and large enough, is worth a rerun; what is fine is not."""
        noisy = [10 * (1 + 0.06 * (n % 4 - 1.5)) for n in range(10)]

        doubtful = compared(new_run(12.3), baseline(noisy))
        assert doubtful.verdict is not REGRESSION
        assert suspects(doubtful)
        assert suspects(compared(new_run(20.0), baseline(noisy)))
        assert not suspects(compared(new_run(10.0), baseline(noisy)))
        assert not suspects(compared(new_run(10.5), baseline()))
        assert not suspects(compared(new_run(5.0), baseline(noisy)))
        assert not suspects(compared(new_run(), None))


class TestOverTime:
    """Store, levels and gate together: what a project sees from run to run."""

    def play(self, history: Baseline, p50: float, number: int) -> tuple[Baseline, Comparison]:
        new = new_run(p50, run_id=f"main-{number}", at=START + timedelta(days=2, hours=number), commit=f"c{number}")
        comparison = compared(new, history)
        return merge(history, Baseline(runs=[mark(new, [comparison])])), comparison

    def test_a_regression_that_was_merged_alarms_until_it_is_accepted(self) -> None:
        """The second and the tenth slow run are as wrong as the first; after `accept` they are the level."""
        history, said = baseline(), []
        for number in range(8):
            history, comparison = self.play(history, 13.0 + 0.05 * (number % 3), number)
            said.append(comparison)

        assert {each.verdict for each in said} == {REGRESSION}
        shifts = [[note for note in each.notes if note.startswith("level shift")] for each in said]
        assert [bool(each) for each in shifts] == [number >= SHIFT - 1 for number in range(8)]
        assert "3 runs in a row are worse; first seen at commit c0" in shifts[2][0]

        history, accepted, _ = accept(history, by="me", reason="new index", at=START + timedelta(days=3))
        history, after = self.play(history, 13.0, 100)
        assert len(accepted) == 8
        assert metric(after, "p50").verdict is OK
        assert metric(after, "p50").old == pytest.approx(13.05, rel=0.01)

    def test_an_improvement_does_not_hide_a_later_regression(self) -> None:
        """Three faster runs in a row are the level, without anybody's doing: nearly as slow as ever is worse."""
        history, said = baseline(), []
        for number in range(4):
            history, comparison = self.play(history, 7.0 + 0.05 * (number % 3), number)
            said.append(comparison)
        assert [each.verdict for each in said] == [IMPROVED, IMPROVED, IMPROVED, OK]
        assert any(
            "3 runs in a row are better, so from now on runs are compared with these" in n for n in said[2].notes
        )

        history, comparison = self.play(history, 9.9, 100)

        assert comparison.verdict is REGRESSION
        assert metric(comparison, "p50").change == pytest.approx(0.41, abs=0.01)

    def test_a_level_that_moves_by_itself_is_stricter_for_every_endpoint(self) -> None:
        """What was not faster keeps the runs it had, so that it cannot creep up beside what was."""

        def two(slow: float) -> list[Any]:
            return [endpoint("/fast", p50=7.0), endpoint("/slow", p50=slow)]

        history = baseline(endpoints=[endpoint("/fast"), endpoint("/slow", p50=100.0)])
        for number in range(3):
            new = new_run(run_id=f"m-{number}", at=START + timedelta(days=2, hours=number), endpoints=two(107.0))
            comparison = compared(new, history)
            assert comparison.verdict is IMPROVED
            history = merge(history, Baseline(runs=[mark(new, [comparison])]))

        last = compared(new_run(at=START + timedelta(days=3), endpoints=two(107.0)), history)
        of_slow = next(each for each in last.metrics if (each.endpoint, each.metric) == ("/slow", "p50"))
        of_fast = next(each for each in last.metrics if (each.endpoint, each.metric) == ("/fast", "p50"))
        assert of_fast.old == pytest.approx(7.0)
        assert of_slow.old is not None
        assert of_slow.old < 103.0

    def test_three_worse_runs_are_never_the_level(self) -> None:
        """However often it is slow, that is told until somebody accepts it."""
        history = baseline()
        for number in range(12):
            history, comparison = self.play(history, 13.0 + 0.05 * (number % 3), number)
            assert comparison.verdict is REGRESSION

    def test_an_alarm_that_ended_widens_the_spread(self) -> None:
        """A slow run after which all is as ever was chance: a run in between is no surprise."""
        strict = Terms(tolerance=0.0)
        slow = new_run(10.9, run_id="slow", at=START + timedelta(days=2))
        once = compared(slow, baseline(), terms=strict)
        assert once.verdict is REGRESSION
        alone = merge(baseline(), Baseline(runs=[mark(slow, [once])]))
        again = compared(new_run(10.3, at=START + timedelta(days=3)), alone, terms=strict)
        ended = merge(alone, Baseline(runs=[new_run(10.0, run_id="back", at=START + timedelta(days=3))]))
        after = compared(new_run(10.3, at=START + timedelta(days=4)), ended, terms=strict)

        assert metric(again, "p50").verdict is REGRESSION  # it may be the level that has moved
        assert metric(after, "p50").verdict is not REGRESSION
        assert (len(again.runs), len(after.runs)) == (10, 12)

    def test_slow_drift_is_told_though_no_run_alarms(self) -> None:
        """Merges that each add a little are measured from the first runs of the level; it is a warning, no failure."""
        history = baseline()
        for number in range(20):
            history, comparison = self.play(history, 10.0 * 1.01**number, number)

        (p50, _) = comparison.drift
        assert (p50.metric, p50.unit, p50.runs) == ("p50", "ms", 30)
        assert p50.change == pytest.approx(0.19, abs=0.01)
        assert p50.first == pytest.approx(10.0, rel=0.01)
        assert any(note.startswith("slow drift: p50 of the last runs is +19%") for note in comparison.notes)

    def test_runs_that_stay_do_not_drift(self) -> None:
        """Nothing is told of runs that only differ as ever."""
        history = baseline()
        for number in range(20):
            history, comparison = self.play(history, 10.0 + 0.1 * (number % 3), number)
        assert comparison.drift == []

    def test_spoilt_runs_raise_no_alarm(self) -> None:
        """A run that is no measure is kept out by its taint, and says nothing about the level."""
        new = new_run(13.0, tainted=["the generator was busy"])

        assert mark(new, [compared(new, baseline())]).alarm == ""

    def test_worse_outweighs_better(self) -> None:
        """A run with a regression and an improvement is worse."""
        earlier = baseline(endpoints=[endpoint("/a"), endpoint("/b")])
        comparison = compared(new_run(endpoints=[endpoint("/a", p50=5.0), endpoint("/b", p50=20.0)]), earlier)

        assert alarm_of([comparison]) == "worse"
        assert alarm_of([compared(new_run(7.0), earlier)]) == "better"
        assert alarm_of([]) == ""


times = st.none() | st.floats(0, 1e12) | st.floats(0.5, 50)
counts = st.integers(0, 5_000) | st.integers(0, 1 << 53)


states: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"accepted": True}, {"accepted": False, "alarm": "worse"}, {"accepted": False, "alarm": "better"}]
)


@st.composite
def any_run(draw: st.DrawFn) -> StoredRun:
    def any_endpoint(name: str) -> Any:
        requests = draw(counts)
        blocks = draw(st.lists(times, max_size=4))
        return endpoint(
            name, requests=requests, failed=min(requests, draw(counts)), p50=draw(times), p95=draw(times),
            block_p50=blocks, block_p95=blocks,
        )  # fmt: skip

    names = draw(st.sets(st.sampled_from(["/a", "/b", "/c", "/d", "/e"])))
    return stored_run(
        run_id=str(draw(st.integers(0, 100))), at=START + timedelta(hours=draw(st.integers(0, 5_000))),
        total=any_endpoint(""), endpoints=[any_endpoint(name) for name in sorted(names)],
        checks_passed=draw(counts), checks_failed=draw(counts), open_model=draw(st.booleans()),
        **draw(states),
        requests_per_s=draw(st.floats(0, 1e12)),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(any_run(), max_size=8, unique_by=lambda run: run.run_id), any_run(), st.lists(any_run(), max_size=2))
def test_any_valid_runs_have_a_comparison(runs: list[StoredRun], new: StoredRun, reruns: list[StoredRun]) -> None:
    """Nothing crashes, no number is infinite or none, and ends of intervals are in order."""
    comparison = compared(new, Baseline(runs=runs), *reruns)

    for each in comparison.metrics:
        numbers = [each.old, each.new, each.change, each.low, each.high, each.p_value, each.detectable, *each.history]
        assert all(math.isfinite(number) for number in numbers if number is not None)
        if each.low is not None and each.high is not None and each.change is not None:
            assert each.low <= each.change <= each.high
        assert each.p_value is None or 0 <= each.p_value <= 1
        assert (each.verdict in (INCONCLUSIVE, UNSUSPICIOUS, SUSPICIOUS)) == bool(each.reason)
    assert all(math.isfinite(each.moved_ms) for each in comparison.contributions)


@pytest.mark.parametrize("at", ["1970-01-01T00:00:05+00:00", "2970-01-01T00:00:05+00:00", "noon"])
def test_a_run_whose_clock_is_wrong_is_not_compared(at: str) -> None:
    """It is told and nobody's measure, and the run has its reports all the same."""
    run = results.result()
    run = run.model_copy(update={"load": run.load.model_copy(update={"started_at": at})})
    found = compare_results_with_history([run], baseline(), "baseline.json", TERMS)
    assert found.verdict is INCONCLUSIVE
    assert found.reason.startswith("this run cannot be compared: ")
    assert ("the year 1970 cannot be right" in found.reason) == at.startswith("1970")
