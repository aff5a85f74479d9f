"""The error rates that the gates promise, measured on simulated jobs. Every seed is fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ciload.gate.block_statistics import side_by_side
from ciload.gate.statistics import Estimate, against_history, counting_noise, holm, logit

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]

JOBS = 40_000
ALPHA = 0.01
SCREEN = 0.10


def judge(history: Floats, fresh: Floats, **options: Any) -> Estimate:
    """Gate A for one job per row: columns are the accepted runs, and the fresh ones."""
    levels: Any = [history]
    latest: Any = fresh
    return against_history(levels, latest, **options)


def pair(*runs: Floats) -> Estimate:
    """Gate B for one job per row: an array of block differences for each run of the job."""
    rows: Any = runs
    return side_by_side(rows)


def percent(claims: Any) -> float:
    return 100 * float(np.mean(claims))


def alarms(estimate: Estimate, alpha: float = ALPHA) -> Any:
    return np.asarray(estimate.rise) < alpha


def normal(cv: float) -> Draw:
    return lambda rng, shape: cv * rng.standard_normal(shape)


def t3(cv: float) -> Draw:
    return lambda rng, shape: cv * rng.standard_t(3, shape)


def runner_pool(slow_share: float, cv: float) -> Draw:
    """Two classes of runners, one 25% slower."""
    return lambda rng, shape: cv * rng.standard_normal(shape) + np.log(1.25) * (rng.random(shape) < slow_share)


def history_alarms(draw: Draw, n: int, *, slower: float = 0.0, **options: Any) -> float:
    """Percent of jobs with an alarm after n accepted runs."""
    rng = np.random.default_rng(n)
    history, fresh = draw(rng, (JOBS, n)), draw(rng, (JOBS, 1))
    return percent(alarms(judge(history, fresh + np.log1p(slower), **options)))


class TestHistory:
    @pytest.mark.parametrize("cv", [0.03, 0.1, 0.3])
    @pytest.mark.parametrize("n", [3, 4, 5, 6, 8, 10, 15, 20, 30])
    def test_log_normal_runs_raise_a_false_alarm_in_one_percent_of_jobs(self, n: int, cv: float) -> None:
        """The 1% holds for any spread of the runs from three accepted runs on."""
        assert 0.8 < history_alarms(normal(cv), n) < 1.2

    @pytest.mark.parametrize(("n", "found"), [(3, [94, 63, 23]), (4, [100, 93, 41])])
    def test_power_of_three_or_four_runs(self, n: int, found: list[float]) -> None:
        """Runs that differ by 3, 5 and 10% show a rise by half this often."""
        powers = [history_alarms(normal(cv), n, slower=0.5) for cv in (0.03, 0.05, 0.10)]

        assert powers == pytest.approx(found, abs=2)

    @pytest.mark.parametrize("n", [5, 10, 20, 30])
    def test_heavy_tails(self, n: int) -> None:
        """Runs with t3 tails after the log double the false alarms, and no more."""
        assert history_alarms(t3(0.05), n) < 2.5

    @pytest.mark.parametrize(("slow_share", "cv"), [(0.7, 0.05), (0.5, 0.05), (0.3, 0.05), (0.3, 0.1)])
    @pytest.mark.parametrize("n", [6, 8, 10, 20, 30])
    def test_two_classes_of_runners(self, n: int, slow_share: float, cv: float) -> None:
        """A pool with a quarter's difference between runners raises at most 3% from six runs on."""
        assert history_alarms(runner_pool(slow_share, cv), n) <= 3.1

    @pytest.mark.parametrize(("slow_share", "n"), [(0.3, 5), (0.1, 5), (0.1, 10), (0.1, 20), (0.1, 30)])
    def test_accepted_runs_may_all_have_missed_the_slower_runners(self, slow_share: float, n: int) -> None:
        """A class of runners that is rarer than the accepted runs can show raises 3 to 5%: no rule knows the unseen."""
        assert 3 < history_alarms(runner_pool(slow_share, 0.05), n) < 5.2

    def test_a_new_level_keeps_what_older_ones_say_about_the_noise(self) -> None:
        """After an accepted shift the spread stays known, and the rate stays at 1%."""
        rng = np.random.default_rng(1)
        before, since = normal(0.05)(rng, (JOBS, 8)), normal(0.05)(rng, (JOBS, 2)) + 0.4
        levels: Any = [before, since]
        fresh: Any = normal(0.05)(rng, (JOBS, 1)) + 0.4

        assert 0.8 < percent(alarms(against_history(levels, fresh))) < 1.2


class TestTails:
    @pytest.mark.parametrize(("cv", "least"), [(0.03, 0.65), (0.1, 0.4), (0.2, 0.25), (0.3, 0.1)])
    @pytest.mark.parametrize("n", [3, 5, 10, 20, 30])
    def test_log_normal_percentiles_alarm_less_often(self, n: int, cv: float, least: float) -> None:
        """Without the long tail that the rule expects it errs on the side of silence, more so the noisier the runs."""
        assert (0 if n < 5 else least) <= history_alarms(normal(cv), n, tail=True) < 1.2

    @pytest.mark.parametrize("n", [5, 10, 20, 30])
    def test_skewed_runs_keep_their_rate(self, n: int) -> None:
        """Gumbel noise of 26% after the log, skewed by 1.1, alarms three times too often without the rule."""
        gumbel: Draw = lambda rng, shape: 0.2 * rng.gumbel(size=shape)  # noqa: E731

        assert history_alarms(gumbel, n) > 2.3
        assert history_alarms(gumbel, n, tail=True) < 1.7

    @pytest.mark.parametrize(("cv", "slower", "cost"), [(0.03, 0.12, 5), (0.05, 0.2, 7), (0.1, 0.42, 15)])
    def test_power_that_the_rule_costs(self, cv: float, slower: float, cost: float) -> None:
        """On quiet runners hardly a slower percentile escapes for it."""
        plain = history_alarms(normal(cv), 10, slower=slower)

        assert plain - cost < history_alarms(normal(cv), 10, slower=slower, tail=True) < plain


class TestDetectable:
    """The effects of the table, in percent, by spread and by accepted runs."""

    @pytest.mark.parametrize(
        ("cv", "reruns", "table"),
        [
            (0.03, 1, [17.4, 12.5, 11.1]),
            (0.05, 1, [30.6, 21.7, 19.1]),
            (0.10, 1, [70.6, 48.2, 41.9]),
            (0.05, 3, [19.5, 13.1, 11.2]),
        ],
    )
    def test_the_table(self, cv: float, reruns: int, table: list[float]) -> None:
        """Runs with exactly this spread promise the rises of the noncentral t distribution."""
        promised = [100 * np.expm1(known_spread(cv, n, reruns).detectable(ALPHA)) for n in (5, 10, 20)]

        assert promised == pytest.approx(table, abs=0.1)

    @pytest.mark.parametrize(("cv", "reruns"), [(0.03, 1), (0.05, 1), (0.10, 1), (0.05, 3)])
    @pytest.mark.parametrize("n", [5, 10, 20])
    def test_is_found_in_four_jobs_of_five(self, cv: float, reruns: int, n: int) -> None:
        """A true rise by the detectable effect raises an alarm with the power stated."""
        rng = np.random.default_rng(n)
        effect = known_spread(cv, n, reruns).detectable(ALPHA)
        history, fresh = normal(cv)(rng, (JOBS, n)), normal(cv)(rng, (JOBS, reruns)) + effect

        assert percent(alarms(judge(history, fresh, same_job=False))) == pytest.approx(80, abs=1)

    @pytest.mark.parametrize("n", [5, 10, 20])
    def test_holds_for_tails(self, n: int) -> None:
        """So does one of a high percentile by what is detectable there."""
        rng = np.random.default_rng(n)
        history, fresh = normal(0.05)(rng, (JOBS, n)), normal(0.05)(rng, (JOBS, 1))
        effect = known_spread(0.05, n, 1, tail=True).detectable(ALPHA)

        assert percent(alarms(judge(history, fresh + effect, tail=True))) == pytest.approx(80, abs=3)

    @pytest.mark.parametrize("n", [10, 20])
    def test_holds_for_blocks(self, n: int) -> None:
        """Independent blocks find their detectable effect about as often as stated."""
        blocks = normal(0.07)(np.random.default_rng(n), (JOBS, n))
        effect = float(np.mean(pair(blocks).detectable(ALPHA)))

        assert percent(alarms(pair(blocks + effect))) == pytest.approx(80, abs=4)


def known_spread(cv: float, n: int, reruns: int, **options: Any) -> Estimate:
    """The estimate of a history whose sample deviation is the true one."""
    ramp = np.arange(n) - (n - 1) / 2
    return judge(cv * ramp / ramp.std(ddof=1), np.zeros(reruns), same_job=False, **options)


class TestConfirmation:
    """A first run that is suspicious at 10% is repeated; the mean of all decides at 1%."""

    @pytest.mark.parametrize("reruns", [1, 2])
    @pytest.mark.parametrize("n", [5, 6, 10, 20])
    @pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
    def test_keeps_the_rate_however_alike_reruns_are(self, share: float, n: int, reruns: int) -> None:
        """False alarms stay within 1.5%, whatever share of the variance reruns on one runner have to themselves."""
        assert confirmed(n, reruns, share) < 1.6
        assert confirmed(n, reruns, share, within=0.05 * np.sqrt(share / 2)) < 1.6

    @pytest.mark.parametrize(("reruns", "share", "power"), [(1, 0.0, 73), (1, 1.0, 83), (2, 0.5, 82), (2, 1.0, 88)])
    def test_power_on_one_runner(self, reruns: int, share: float, power: float) -> None:
        """A rise by 20% is found in 73% of jobs by one run, and more often the more a rerun can tell."""
        assert confirmed(10, reruns, share, slower=0.2) == pytest.approx(power, abs=1.5)

    @pytest.mark.parametrize(("reruns", "power"), [(1, 94), (2, 97)])
    def test_power_on_runners_of_their_own(self, reruns: int, power: float) -> None:
        """Independent reruns count in full."""
        assert confirmed(10, reruns, 1.0, slower=0.2, same_job=False) == pytest.approx(power, abs=1)
        assert 0.5 < confirmed(10, reruns, 1.0, same_job=False) < 1.0

    @pytest.mark.parametrize("blocks", [10, 20])
    def test_keeps_the_rate_side_by_side(self, blocks: int) -> None:
        """Reruns of a paired job add their blocks."""
        rng = np.random.default_rng(blocks)
        first, second = normal(0.07)(rng, (JOBS, blocks)), normal(0.07)(rng, (JOBS, blocks))

        assert 0.4 < percent(alarms(pair(first), SCREEN) & alarms(pair(first, second))) < 1.0


def confirmed(n: int, reruns: int, share: float, *, slower: float = 0.0, **options: Any) -> float:
    """Percent of jobs with an alarm when the suspicious ones are repeated; runs differ by 5%."""
    rng = np.random.default_rng(n)
    history = normal(0.05)(rng, (JOBS, n))
    runner, rerun = normal(0.05)(rng, (JOBS, 1)), normal(0.05)(rng, (JOBS, 1 + reruns))
    fresh = np.sqrt(1 - share) * runner + np.sqrt(share) * rerun + np.log1p(slower)
    suspicious = alarms(judge(history, fresh[:, :1]), SCREEN)
    return percent(suspicious & alarms(judge(history, fresh, **options)))


def autocorrelated(rng: np.random.Generator, blocks: int, phi: float) -> Floats:
    """First-order autoregression with variance 1, one series per row."""
    shocks = rng.standard_normal((JOBS, blocks))
    series = shocks.copy()
    for block in range(1, blocks):
        series[:, block] = phi * series[:, block - 1] + np.sqrt(1 - phi * phi) * shocks[:, block]
    return series


def drifting(rng: np.random.Generator, blocks: int) -> Floats:
    """Differences of slices that take turns on a machine whose speed drifts by 6%, each with 4% of its own."""
    speed = 0.06 * autocorrelated(rng, 2 * blocks, 0.7)
    slices = speed + normal(0.04)(rng, speed.shape)
    return slices[:, 1::2] - slices[:, 0::2]


class TestSideBySide:
    @pytest.mark.parametrize("blocks", [10, 20, 40])
    def test_drift_of_the_machine_cancels(self, blocks: int) -> None:
        """A machine that both targets share raises no alarms, however its speed drifts."""
        assert percent(alarms(pair(drifting(np.random.default_rng(blocks), blocks)))) < 1.0

    @pytest.mark.parametrize(("slower", "power"), [(0.05, 26), (0.10, 84), (0.20, 100)])
    def test_power_of_ten_blocks(self, slower: float, power: float) -> None:
        """Ten blocks on the drifting machine find a rise by 10% in 84% of jobs."""
        blocks = drifting(np.random.default_rng(2), 10) + np.log1p(slower)

        assert percent(alarms(pair(blocks))) == pytest.approx(power, abs=1)

    @pytest.mark.parametrize(
        ("phi", "limits"),
        [
            (-0.5, [0.2, 0.1, 0.1]),
            (-0.3, [0.4, 0.3, 0.3]),
            (0.0, [1.2, 1.1, 1.0]),
            (0.2, [2.3, 1.9, 1.5]),
            (0.3, [3.3, 2.5, 1.8]),
            (0.5, [6.3, 4.0, 2.4]),
        ],
    )
    def test_alike_neighbours(self, phi: float, limits: list[float]) -> None:
        """Autocorrelated blocks are seen for what they are the better, the more there are."""
        rng = np.random.default_rng(3)
        rates = [percent(alarms(pair(0.07 * autocorrelated(rng, blocks, phi)))) for blocks in (10, 20, 40)]

        assert all(rate < limit for rate, limit in zip(rates, limits, strict=True)), rates

    @pytest.mark.parametrize("blocks", [10, 20, 40])
    def test_heavy_tails_and_outliers(self, blocks: int) -> None:
        """Blocks with t3 tails, and one in twenty 5 deviations off to either side, raise no more alarms."""
        rng = np.random.default_rng(blocks)
        outliers = 5 * (rng.random((JOBS, blocks)) < 0.05) * rng.choice([-1, 1], (JOBS, blocks))

        assert percent(alarms(pair(t3(0.07)(rng, (JOBS, blocks))))) < 1.0
        assert percent(alarms(pair(0.07 * (normal(1)(rng, (JOBS, blocks)) + outliers)))) < 1.0


class TestFamilies:
    @pytest.mark.parametrize("correlation", [0.5, 0.9])
    @pytest.mark.parametrize("metrics", [3, 12, 30])
    def test_correlated_metrics_together_keep_the_rate(self, metrics: int, correlation: float) -> None:
        """Of many correlated metrics of a job, any at all alarms falsely in 0.2 to 1.2% of jobs."""
        jobs, n = 6_000, 10
        rng = np.random.default_rng(metrics)
        common, own = rng.standard_normal((jobs, 1, n + 1)), rng.standard_normal((jobs, metrics, n + 1))
        runs = 0.05 * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
        chances = np.asarray(judge(runs[..., :n], runs[..., n:]).rise)

        assert 0.2 < percent([min(holm(job)) < ALPHA for job in chances.tolist()]) < 1.2


class TestCounting:
    @pytest.mark.parametrize("failures", [0.1, 0.5, 1, 1.3, 2, 3, 5, 20, 100])
    def test_noise_of_counts(self, failures: float) -> None:
        """No run's logit varies more by counting alone than the formula says, nor much less from one failure on."""
        counts: Any = np.random.default_rng(4).poisson(failures, 200_000)
        actual = float(np.std(logit(counts, 10_000)))
        stated = counting_noise(failures, 10_000)

        assert actual < 1.01 * stated
        assert failures < 1 or actual > 0.9 * stated
