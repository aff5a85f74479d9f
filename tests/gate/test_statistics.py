from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ciload.gate.block_statistics import side_by_side
from ciload.gate.statistics import (
    Estimate,
    Spread,
    TooFewRunsError,
    against_history,
    binomial_interval,
    counting_noise,
    holm,
    logit,
    noise_of_neighbours,
    prior_of,
    skewness,
)

# Student's sleep data: hours gained with the one drug and the other by ten patients; t = -4.0621, p = 0.002833.
FIRST_DRUG = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND_DRUG = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]

logs = st.floats(-5, 5).map(lambda value: round(value, 6))
histories = st.lists(logs, min_size=5, max_size=30).filter(lambda runs: stdev(runs) > 1e-3)
chances = st.floats(0, 1)


class TestEstimate:
    @pytest.mark.parametrize(
        ("df", "probability", "t"),
        [
            (1, 0.95, 6.314),
            (4, 0.99, 3.747),
            (9, 0.99, 2.821),
            (9, 0.95, 1.833),
            (30, 0.975, 2.042),
            (120, 0.99, 2.358),
        ],
    )
    def test_published_t_table(self, df: int, probability: float, t: float) -> None:
        """Chances and intervals are those of any textbook's table of Student's t."""
        estimate = Estimate(t, Spread(1.0, df))

        assert estimate.rise == pytest.approx(1 - probability, abs=5e-5)
        assert estimate.fall == pytest.approx(probability, abs=5e-5)
        assert estimate.interval(2 * probability - 1) == pytest.approx((0, 2 * t), abs=1e-3)

    @pytest.mark.parametrize("sd", [0.001, 0.02, 0.05])
    def test_what_is_detectable_is_found_that_often(self, sd: float) -> None:
        """8 times in 10, where an estimate must reach a tolerance of 10% as well, however quiet the runs are."""
        rng = np.random.default_rng(4)
        history, fresh = rng.normal(0, sd, (4_000, 10)), rng.normal(0, sd, 4_000)
        seen: Any = against_history([history], fresh[:, None])  # type: ignore[list-item, arg-type]
        tolerated = math.log1p(0.10)
        typical = against_history([rng.normal(0, sd, 10_000).tolist()], [0.0])
        noise = Spread(typical.se * math.sqrt(1.1), 9)
        detectable = Estimate(0.0, noise).detectable(0.01, 0.8, tolerated)
        shifted: Any = against_history([history], fresh[:, None] + detectable)  # type: ignore[list-item, arg-type]
        found = (np.asarray(shifted.rise) <= 0.01) & (np.asarray(shifted.effect) >= tolerated)

        assert np.mean(np.asarray(seen.rise) <= 0.01) < 0.015
        assert 0.76 < np.mean(found) < 0.84

    @pytest.mark.parametrize(("df", "delta"), [(4, 4.875), (9, 3.748), (19, 3.415)])
    def test_detectable_effect_is_noncentral(self, df: int, delta: float) -> None:
        """At 1% and a power of 80% the detectable effect is so many standard errors."""
        assert Estimate(0.0, Spread(0.1, df)).detectable(0.01) == pytest.approx(0.1 * delta, abs=1e-4)

    def test_many_degrees_of_freedom_come_near_the_normal_distribution(self) -> None:
        """What is detectable tends to the textbook's 2.326 + 0.842 standard errors."""
        assert Estimate(0.0, Spread(1.0, 100_000)).detectable(0.01) == pytest.approx(3.168, abs=1e-3)

    def test_a_second_view_has_to_agree(self) -> None:
        """The less certain view decides everything."""
        quiet, noisy = Spread(0.1, 20), Spread(0.2, 20)

        for both in (Estimate(0.3, quiet, (noisy,)), Estimate(0.3, noisy, (quiet,))):
            assert both.rise == Estimate(0.3, noisy).rise
            assert both.fall == Estimate(0.3, quiet).fall
            assert both.interval() == Estimate(0.3, noisy).interval()
            assert both.detectable(0.01) == Estimate(0.3, noisy).detectable(0.01)

    def test_no_noise_at_all(self) -> None:
        """Without noise any shift is certain, and no shift is no news."""
        assert Estimate(0.001, Spread(0.0, 9)).rise == 0
        assert Estimate(0.001, Spread(0.0, 9)).fall == 1
        assert Estimate(0.0, Spread(0.0, 9)).rise == 0.5
        assert Estimate(0.001, Spread(0.0, 9)).interval() == (0.001, 0.001)

    def test_long_tail_asks_for_more(self) -> None:
        """A rise of q + q²/2 counts in a tail as one of q does elsewhere; falls are judged alike."""
        q = 0.4

        assert Estimate(q + q * q / 2, Spread(0.2, 9, tail=True)).rise == pytest.approx(
            Estimate(q, Spread(0.2, 9)).rise
        )
        assert Estimate(-q, Spread(0.2, 9, tail=True)).fall == Estimate(-q, Spread(0.2, 9)).fall
        assert Estimate(-q, Spread(0.2, 9, tail=True)).rise == Estimate(-q, Spread(0.2, 9)).rise

    @given(
        effect=st.floats(-2, 2),
        se=st.floats(0.001, 1),
        df=st.integers(2, 40),
        alpha=st.floats(0.001, 0.4),
        tail=st.booleans(),
    )
    def test_interval_and_chances_tell_the_same(
        self, effect: float, se: float, df: int, alpha: float, tail: bool
    ) -> None:
        """An interval leaves zero out just when the chance of so large a shift is below its risk on that side."""
        estimate = Estimate(effect, Spread(se, df, tail))
        low, high = estimate.interval(1 - 2 * alpha)
        assume(min(abs(estimate.rise - alpha), abs(estimate.fall - alpha)) > 1e-9)

        assert (low > 0) == (estimate.rise < alpha)
        assert (high < 0) == (estimate.fall < alpha)


class TestAgainstHistory:
    def test_prediction_interval_by_hand(self) -> None:
        """One run against five: the effect is the gap to the mean, its error the deviation times sqrt(1 + 1/5)."""
        history = [1.0, 1.1, 0.9, 1.05, 0.95]
        estimate = against_history([history], [1.4])

        assert estimate.effect == pytest.approx(0.4)
        assert estimate.se == pytest.approx(math.sqrt(0.025 / 4 * 1.2))
        assert estimate.df == 4

    def test_all_levels_tell_the_noise_and_the_last_one_the_mean(self) -> None:
        """A level costs a degree of freedom; a new one of a single run is known only as well as that run."""
        estimate = against_history([[0.0, 0.2, 0.1], [1.0, 1.1], [3.0]], [3.5])

        assert estimate.effect == pytest.approx(0.5)
        assert estimate.df == 3
        assert estimate.se == pytest.approx(math.sqrt((0.02 + 0.005) / 3 * 2))

    def test_independent_reruns_are_averaged(self) -> None:
        """On runners of their own, three fresh runs have a third of the variance."""
        history = [1.0, 1.1, 0.9, 1.05, 0.95]
        estimate = against_history([history], [1.3, 1.4, 1.5], same_job=False)

        assert estimate.effect == pytest.approx(0.4)
        assert estimate.se == pytest.approx(stdev(history) * math.sqrt(1 / 3 + 1 / 5))

    def test_reruns_that_agree_prove_nothing(self) -> None:
        """Equal reruns on one runner may share what is wrong with the runner: they count as one run."""
        history = [1.0, 1.1, 0.9, 1.05, 0.95]

        assert against_history([history], [1.4] * 3).se == against_history([history], [1.4]).se

    def test_reruns_that_differ_are_worth_more(self) -> None:
        """The more reruns differ, the more of the noise averages out, down to that of independent runs."""
        history = [1.0, 1.1, 0.9, 1.05, 0.95]
        errors = [against_history([history], [1.4 - gap, 1.4 + gap]).se for gap in (0.0, 0.02, 0.04, 9.0)]

        assert errors == sorted(errors, reverse=True)
        assert errors[-1] == pytest.approx(against_history([history], [1.4, 1.4], same_job=False).se)

    def test_known_differences_within_a_job_count(self) -> None:
        """What reruns are known to differ by narrows the error even where they happen to agree."""
        history = [1.0, 1.1, 0.9, 1.05, 0.95]
        fresh = [1.4, 1.4]

        assert against_history([history], fresh, within=0.05).se < against_history([history], fresh).se
        assert against_history([history], fresh[:1], within=0.05).se == against_history([history], fresh[:1]).se

    def test_floor(self) -> None:
        """Runs that agree to the last digit have the floor's deviation, which need not be estimated."""
        estimate = against_history([[1.0] * 5], [1.001], floor=0.01)

        assert estimate.rise > 0.4
        assert estimate.interval()[1] - 0.001 == pytest.approx(1.645 * 0.01 * math.sqrt(1.2), rel=0.001)

    @pytest.mark.parametrize("deviation", [0.01, 0.1, 0.5])
    def test_few_runs_do_not_prove_that_all_is_well(self, deviation: float) -> None:
        """Three runs alarm by their own spread; their interval is also that of one that remembers 10%."""
        history = [-deviation, 0.0, deviation]
        estimate = against_history([history], [1.0])
        remembered = Spread(math.sqrt((3 * 0.01 + 2 * deviation**2) / 5 * 4 / 3), 5)

        assert estimate.se == pytest.approx(deviation * math.sqrt(4 / 3))
        assert estimate.rise == estimate.noise.rise(1.0)
        widest = max(remembered.highest(0.95), estimate.noise.highest(0.95))
        assert 1.0 - estimate.interval()[0] == pytest.approx(widest)

    def test_five_runs_speak_for_themselves(self) -> None:
        """From five runs on there is no prior."""
        assert against_history([[1.0, 1.1, 0.9, 1.05]], [1.4]).widening
        assert not against_history([[1.0, 1.1, 0.9, 1.05, 0.95]], [1.4]).widening

    @pytest.mark.parametrize("levels", [[], [[]], [[1.0, 2.0]], [[1.0, 1.1], [2.0]], [[1.0, 1.1, 1.2], []]])
    def test_too_few_runs(self, levels: list[list[float]]) -> None:
        """Under three runs, or without any at the present level, there is no estimate."""
        with pytest.raises(TooFewRunsError, match="3 are needed"):
            against_history(levels, [1.0])

    @given(history=histories, fresh=st.lists(logs, min_size=1, max_size=3), shift=st.floats(-3, 3))
    def test_units_do_not_matter(self, history: list[float], fresh: list[float], shift: float) -> None:
        """Seconds for milliseconds are a shift of all logs, and change nothing."""
        estimate = against_history([history], fresh)
        shifted = against_history([[run + shift for run in history]], [run + shift for run in fresh])

        assert shifted.effect == pytest.approx(estimate.effect, abs=1e-9)
        assert shifted.se == pytest.approx(estimate.se, rel=1e-6)

    @given(history=histories, fresh=logs, data=st.data())
    def test_order_does_not_matter(self, history: list[float], fresh: float, data: st.DataObject) -> None:
        """The runs of a level may come in any order."""
        shuffled = data.draw(st.permutations(history))

        assert against_history([shuffled], [fresh]).rise == pytest.approx(against_history([history], [fresh]).rise)

    @given(history=histories, fresh=logs)
    def test_up_is_the_mirror_of_down(self, history: list[float], fresh: float) -> None:
        """With the sign turned, a rise is a fall."""
        mirrored = against_history([[-run for run in history]], [-fresh])

        assert mirrored.fall == pytest.approx(against_history([history], [fresh]).rise)

    @given(history=histories, fresh=logs)
    def test_tails_claim_no_more(self, history: list[float], fresh: float) -> None:
        """The rule for high percentiles claims no rise and promises no power that the plain one does not."""
        plain, tail = against_history([history], [fresh]), against_history([history], [fresh], tail=True)

        assert tail.rise >= plain.rise
        assert tail.fall == plain.fall
        assert tail.detectable(0.01) >= plain.detectable(0.01)

    @given(history=histories, fresh=st.lists(logs, min_size=1, max_size=3), tail=st.booleans())
    def test_answers_are_plain_floats(self, history: list[float], fresh: list[float], tail: bool) -> None:
        """Nothing of numpy leaks into what is written to files."""
        estimate = against_history([history], fresh, tail=tail)
        answers = [estimate.effect, estimate.se, estimate.rise, estimate.fall, *estimate.interval()]

        assert {type(answer) for answer in [*answers, estimate.detectable(0.01)]} == {float}

    def test_many_windows_at_once(self) -> None:
        """Arrays with a window per row get the answers that each row gets alone."""
        rng = np.random.default_rng(1)
        history, fresh = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
        levels: Any = [history]
        rows: Any = fresh
        together = against_history(levels, rows, tail=True)
        alone = [
            against_history([old], new, tail=True) for old, new in zip(history.tolist(), fresh.tolist(), strict=True)
        ]

        assert np.asarray(together.rise) == pytest.approx([each.rise for each in alone])
        assert np.asarray(together.interval()[0]) == pytest.approx([each.interval()[0] for each in alone])


class TestSideBySide:
    def test_students_sleep_data(self) -> None:
        """Blocks whose neighbours are not alike get the paired t test of Student's example."""
        gained = [second - first for first, second in zip(FIRST_DRUG, SECOND_DRUG, strict=True)]
        estimate = side_by_side([gained])

        assert estimate.effect == pytest.approx(1.58)
        assert estimate.effect / estimate.se == pytest.approx(4.0621, abs=1e-4)
        assert 2 * estimate.rise == pytest.approx(0.002833, abs=1e-6)

    def test_alike_neighbours_widen_the_error(self) -> None:
        """The same differences say less in the order of their size than in a mixed one."""
        mixed = [0.3, 0.0, 0.2, -0.1, 0.1] * 4

        assert side_by_side([sorted(mixed)]).se > 3 * side_by_side([mixed]).se

    def test_unlike_neighbours_do_not_narrow_it(self) -> None:
        """Differences that take turns are judged as if they were independent."""
        turns = [0.1, 0.2] * 10

        assert side_by_side([turns]).se == pytest.approx(stdev(turns) / math.sqrt(20))

    def test_reruns_add_blocks(self) -> None:
        """Two runs of ten blocks are twenty blocks, and the end of one is no neighbour of the start of the next."""
        first, second = [0.1, 0.3] * 5, [0.3, 0.1] * 5
        estimate = side_by_side([first, second])

        assert estimate.df == 19
        assert estimate.effect == pytest.approx(0.2)
        assert estimate.se == pytest.approx(stdev(first + second) / math.sqrt(20))

    def test_runs_that_disagree_widen_the_error(self) -> None:
        """A difference between two runs is noise of which blocks know nothing."""
        low, high = [0.1, 0.3] * 10, [0.5, 0.7] * 10

        assert side_by_side([low, high]).se > 2 * stdev(low + high) / math.sqrt(40)

    def test_floor(self) -> None:
        """Blocks that agree to the last digit have the floor's deviation."""
        assert side_by_side([[0.1] * 16], floor=0.2).se == pytest.approx(0.05)

    @pytest.mark.parametrize("runs", [[], [[]], [[0.1, 0.2]], [[0.1], [0.2]]])
    def test_too_few_blocks(self, runs: list[list[float]]) -> None:
        """Under three blocks there is no estimate."""
        with pytest.raises(TooFewRunsError, match="3 are needed"):
            side_by_side(runs)

    @given(blocks=histories)
    def test_never_surer_than_the_plain_test(self, blocks: list[float]) -> None:
        """The error is at least that of the paired t test."""
        estimate = side_by_side([blocks])

        assert estimate.se >= stdev(blocks) / math.sqrt(len(blocks)) * (1 - 1e-9)
        assert estimate.effect == pytest.approx(fmean(blocks), abs=1e-9)

    @given(blocks=histories)
    def test_swapped_targets_swap_the_answer(self, blocks: list[float]) -> None:
        """Which target is called the new one decides the sign alone."""
        assert side_by_side([[-block for block in blocks]]).fall == pytest.approx(side_by_side([blocks]).rise)

    @given(blocks=histories)
    def test_time_may_run_backwards(self, blocks: list[float]) -> None:
        """Neighbours are as alike in the one direction as in the other."""
        assert side_by_side([blocks[::-1]]).se == pytest.approx(side_by_side([blocks]).se)


class TestHolm:
    @pytest.mark.parametrize(
        ("raw", "adjusted"),
        [
            ([], []),
            ([0.2], [0.2]),
            ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
            ([0.5, 0.6, 0.7], [1.0, 1.0, 1.0]),
            ([0.01, 0.01, 0.9], [0.03, 0.03, 0.9]),
        ],
    )
    def test_by_hand(self, raw: list[float], adjusted: list[float]) -> None:
        """The smallest is multiplied by all, the next by all but one, and none falls below its forerunner."""
        assert holm(raw) == pytest.approx(adjusted)

    @given(raw=st.lists(chances, max_size=30))
    def test_is_a_careful_version_of_each(self, raw: list[float]) -> None:
        """Adjusted values keep the order, are no smaller than the raw ones, nor larger than Bonferroni's."""
        adjusted = holm(raw)

        assert all(before <= after <= min(1, len(raw) * before) for before, after in zip(raw, adjusted, strict=True))
        assert [after for _, after in sorted(zip(raw, adjusted, strict=True))] == sorted(adjusted)


class TestRates:
    @pytest.mark.parametrize(("failures", "total", "odds"), [(0, 0, 1), (0, 99, 0.5 / 99.5), (5, 10, 1), (99, 99, 199)])
    def test_logit(self, failures: int, total: int, odds: float) -> None:
        """Half a failure and half a success keep the log odds finite."""
        assert logit(failures, total) == pytest.approx(math.log(odds))

    @given(total=st.integers(1, 10_000), data=st.data())
    def test_logit_is_symmetric_and_grows(self, total: int, data: st.DataObject) -> None:
        """Each failure raises the logit, and successes count like failures of the opposite."""
        failures = data.draw(st.integers(1, total))

        assert logit(failures, total) > logit(failures - 1, total)
        assert logit(failures, total) == pytest.approx(-logit(total - failures, total))

    def test_counting_noise_peaks(self) -> None:
        """However rare failures are, counting them varies the logit by at most 0.73."""
        assert [counting_noise(failures, 10_000) for failures in (0, 0.3, 1)] == pytest.approx([0.721] * 3, abs=1e-3)

    @pytest.mark.parametrize("failures", [1, 2, 3, 5, 10, 30, 100])
    def test_counting_noise_of_exact_sums(self, failures: float) -> None:
        """The stated deviation is that of ln(count + 1/2) under the Poisson distribution, or up to a tenth more."""
        counts = np.arange(400)
        shares = np.exp(counts * math.log(failures) - failures - np.array([math.lgamma(count + 1) for count in counts]))
        logs = np.log(counts + 0.5)
        exact = math.sqrt(shares @ logs**2 - (shares @ logs) ** 2)

        assert exact <= counting_noise(failures, 10**9) <= 1.11 * exact

    def test_counting_noise_of_successes(self) -> None:
        """Where nearly everything fails it is the successes that are counted."""
        assert counting_noise(990, 1000) == pytest.approx(counting_noise(10, 1000))


class TestPrior:
    def test_variances_that_differ_by_chance_alone_are_one(self) -> None:
        """Twenty metrics with the same variance know it as well as all their runs together do."""
        rng = np.random.default_rng(1)
        squares = list(0.05**2 * rng.chisquare(9, 20))
        prior = prior_of(squares, [9] * 20)

        assert prior is not None
        assert math.sqrt(prior.variance) == pytest.approx(0.05, rel=0.15)
        assert prior.df > 20

    @pytest.mark.parametrize("df", [4.0, 10.0])
    def test_finds_the_distribution_of_variances(self, df: float) -> None:
        """Variances from a scaled inverse chi-squared distribution give back its scale and degrees of freedom."""
        rng = np.random.default_rng(2)
        variances = 0.05**2 * df / rng.chisquare(df, 3_000)
        prior = prior_of(list(variances * rng.chisquare(9, 3_000)), [9] * 3_000)

        assert prior is not None
        assert math.sqrt(prior.variance) == pytest.approx(0.05, rel=0.05)
        assert prior.df == pytest.approx(df, rel=0.15)

    def test_is_worth_no_more_than_the_others_are(self) -> None:
        """Four metrics of ten runs each cannot tell more than the runs of three."""
        prior = prior_of([1.0, 1.0, 1.0, 1.0], [9] * 4)

        assert prior is not None
        assert prior.df == 27

    def test_needs_three_metrics_with_a_spread(self) -> None:
        """Two variances say nothing about how variances differ."""
        assert prior_of([1.0, 1.0, 0.0], [9, 9, 9]) is None

    def test_moderates(self) -> None:
        """A metric whose runs happen to agree is taken to vary as the others do."""
        runs, prior = [0.0, 0.001, -0.001, 0.0005], prior_of([0.0075] * 10, [3] * 10)
        alone, moderated = against_history([runs], [0.03]), against_history([runs], [0.03], prior=prior)

        assert alone.rise < 0.001
        assert moderated.rise > 0.2


class TestNoiseOfNeighbours:
    @pytest.mark.parametrize("slope", [0.0, 0.01, 0.1])
    def test_drift_does_not_widen_it(self, slope: float) -> None:
        """It is the spread of runs around a line that rises."""
        rng = np.random.default_rng(3)
        values = 0.05 * rng.standard_normal(2_000) + slope * np.arange(2_000)

        assert noise_of_neighbours(list(values)) == pytest.approx(0.05, rel=0.1)

    def test_outliers_hardly_widen_it(self) -> None:
        """One run in thirty that is ten times as slow says nothing about the others."""
        rng = np.random.default_rng(4)
        values = list(0.05 * rng.standard_normal(30))
        values[15] += 2.3

        assert noise_of_neighbours(values) < 0.08

    def test_of_too_few(self) -> None:
        """A single run has no neighbours."""
        assert noise_of_neighbours([1.0]) == noise_of_neighbours([]) == 0.0


class TestBinomialInterval:
    @pytest.mark.parametrize(
        ("count", "total", "low", "high"),
        [(0, 30, 0.0, 0.0950), (2, 30, 0.0120, 0.1953), (30, 30, 0.9050, 1.0), (1, 1, 0.05, 1.0)],
    )
    def test_exact(self, count: int, total: int, low: float, high: float) -> None:
        """The ends are where the count has a chance of 5%; with none of 30, 0.05 to the power of 1/30."""
        assert binomial_interval(count, total) == pytest.approx((low, high), abs=1e-4)


class TestSkewness:
    def test_by_hand(self) -> None:
        """Of 1, 2, 9 it is the G1 of spreadsheets, 1.63."""
        assert skewness([1, 2, 9]) == pytest.approx(1.6300, abs=1e-4)

    def test_of_no_spread(self) -> None:
        """Equal values lean to neither side."""
        assert skewness([1.0] * 4) == 0

    def test_of_too_few(self) -> None:
        """Two values lean to neither side by necessity."""
        with pytest.raises(TooFewRunsError):
            skewness([1.0, 2.0])

    @given(values=histories, scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
    def test_has_no_unit_and_a_sign(self, values: Sequence[float], scale: float, shift: float) -> None:
        """Scale and origin do not matter, direction does."""
        assert skewness([-scale * value + shift for value in values]) == pytest.approx(-skewness(values), abs=1e-6)
