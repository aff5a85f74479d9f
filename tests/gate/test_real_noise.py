"""The gates on real runs from a noisy shared machine, where slow runs burn 0.25 ms of CPU more per request."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gate_evidence import ALPHA, HISTORIES, TAILS, Evidence, load, paired
from ciload.gate.statistics import skewness


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load()


@pytest.mark.parametrize("metric", ["mean", "p50", "p95", "p99"])
def test_the_naive_rule_cries_wolf(evidence: Evidence, metric: str) -> None:
    """10% worse than the last run happens to every third run of nothing new."""
    assert evidence.naive(metric).false_alarms > 0.3


@pytest.mark.parametrize("metric", ["mean", "p50", "p95", "p99"])
@pytest.mark.parametrize("n", HISTORIES)
def test_history_keeps_its_rate(evidence: Evidence, metric: str, n: int) -> None:
    """After any number of runs, each metric by its own rule, the gate alarms in at most 1.5% of random windows."""
    assert evidence.random_windows(metric, n, tail=metric in TAILS).false_alarms < 0.015


@pytest.mark.parametrize("n", [10, 20, 30])
def test_high_percentiles_need_their_rule(evidence: Evidence, n: int) -> None:
    """Their noise leans to the right even after the log, so that the plain rule alarms two to four times too often."""
    for metric in TAILS:
        assert skewness(evidence.same[metric].tolist()) > 0.4
        assert evidence.random_windows(metric, n, tail=False).false_alarms > 0.02


def test_means_and_medians_do_not(evidence: Evidence) -> None:
    """The logs of means and medians lean to neither side."""
    assert abs(skewness(evidence.same["mean"].tolist())) < 0.2
    assert abs(skewness(evidence.same["p50"].tolist())) < 0.2


@pytest.mark.parametrize("metric", ["mean", "p50"])
def test_drifting_neighbours_defeat_short_histories(evidence: Evidence, metric: str) -> None:
    """Runs back to back on a machine that drifts are alike, so ten of them promise less noise than there is."""
    logs = evidence.same[metric]

    assert np.corrcoef(logs[1:], logs[:-1])[0, 1] > 0.6
    assert 0.05 < evidence.rolling_windows(metric, 10, tail=False).false_alarms < 0.10
    assert evidence.rolling_windows(metric, 30, tail=False).false_alarms == 0


@pytest.mark.parametrize("merged", [1, 2])
def test_side_by_side_finds_what_history_cannot(evidence: Evidence, merged: int) -> None:
    """A median slower by 15% is found in four runs of five by blocks, and in one of twenty by any history."""
    assert evidence.blocks("p50", merged).detections > 0.8
    assert evidence.random_windows("p50", 30, tail=False).detections < 0.06


@pytest.mark.parametrize(("metric", "false_alarms"), [("p50", 2), ("p95", 0)])
@pytest.mark.parametrize("merged", [1, 2])
def test_side_by_side_on_the_same_target(evidence: Evidence, metric: str, false_alarms: int, merged: int) -> None:
    """Of 40 runs that differ in nothing, at most two alarm."""
    assert round(40 * evidence.blocks(metric, merged).false_alarms) == false_alarms


def test_a_rerun_confirms(evidence: Evidence) -> None:
    """Two runs together find more of the slow ones and let fewer false ones pass than one."""
    once, twice = evidence.blocks("p50", 1), evidence.confirmed_blocks("p50")

    assert twice.detections > once.detections
    assert twice.false_alarms < once.false_alarms


@pytest.mark.parametrize("metric", ["mean", "p50", "p95", "p99"])
def test_forty_paired_runs_settle_it(evidence: Evidence, metric: str) -> None:
    """With whole runs as blocks there is no doubt which target was slower, outlier and all."""
    assert paired(evidence.paired_slow[metric][None]).rise < ALPHA
    assert paired(evidence.paired_same[metric][None]).rise > 0.3
    assert paired(evidence.paired_same[metric][None]).fall > 0.2
