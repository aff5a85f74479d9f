"""CPU per request: against earlier runs, and side by side."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from ciload.gate.alarms import Terms, compare_side_by_side, compare_with_history
from ciload.gate.document import Baseline, StoredCpu
from ciload.gate.stored_run import stored_run
from ciload.reports.console import console_summary
from ciload.reports.junit import junit_xml
from ciload.reports.markdown import markdown_summary
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import BlockRow, RunResult, TargetCpu
from tests.gate.runs import START, stored_runs
from tests.gate.runs import stored_run as earlier_run
from tests.gate.test_side_by_side import row, run

TERMS = Terms()
BLOCKS = 20


def cpu_of(comparison: Comparison) -> GatedMetric:
    [found] = [each for each in comparison.metrics if each.metric == "CPU per request"]
    return found


def cpu(cpu_s: float | None = 4.0, **changes: Any) -> TargetCpu:
    return TargetCpu(**{"process": "shop, PID 7", "cpu_s": cpu_s, "per_request": 2.0, "cores": 0.2} | changes)


def side_by_side(
    new: Sequence[float], old: Sequence[float], of_new: TargetCpu | None, of_old: TargetCpu | None
) -> RunResult:
    """Two targets, equally fast, that used so many CPU seconds in each block."""
    rows: list[BlockRow] = [
        row(arm, [10.0] * len(new)).model_copy(update={"cpu_s": list(cpu_s)})
        for arm, cpu_s in (("new", new), ("old", old))
    ]
    made = run(*rows)
    assert made.old_arm is not None
    return made.model_copy(
        update={"target_cpu": of_new, "old_arm": made.old_arm.model_copy(update={"target_cpu": of_old})}
    )


def uses(cpu_s: float, seed: int, spread: float = 0.02) -> list[float]:
    chance = random.Random(seed)
    return [cpu_s * math.exp(chance.gauss(0, spread)) for _ in range(BLOCKS)]


class TestSideBySide:
    def test_more_cpu_at_the_same_latency_is_a_regression(self) -> None:
        """A fifth more CPU per request is found where no request became slower; all reports say so."""
        result = side_by_side(uses(0.48, 1), uses(0.40, 2), cpu(), cpu())
        comparison = compare_side_by_side([result], TERMS)
        found = cpu_of(comparison)

        assert comparison.verdict is found.verdict is GateVerdict.REGRESSION
        assert found.change == pytest.approx(0.2, abs=0.03)
        assert found.old == pytest.approx(2.0, rel=0.02)
        assert found.unit == "ms"
        told = result.model_copy(update={"comparisons": [comparison]})
        assert "2ms of CPU time per request, 20% of a core (shop, PID 7)" in console_summary(told, [], color=False)
        for report in (console_summary(told, [], color=False), markdown_summary(told), junit_xml(told)):
            assert "CPU per request" in report

    def test_the_same_is_ok(self) -> None:
        """Two targets that use as much raise no alarm."""
        comparison = compare_side_by_side([side_by_side(uses(0.4, 1), uses(0.4, 2), cpu(), cpu())], TERMS)

        assert cpu_of(comparison).verdict is GateVerdict.OK

    def test_short_blocks_are_put_together(self) -> None:
        """With 0.12 s of CPU time a second, two seconds make a block; ten of these are enough."""
        comparison = compare_side_by_side([side_by_side(uses(0.18, 1), uses(0.12, 2), cpu(), cpu())], TERMS)

        assert cpu_of(comparison).verdict is GateVerdict.REGRESSION

    def test_too_little_cpu_is_not_judged(self) -> None:
        """Ticks of 10 ms would be most of it: it says how much is needed; other metrics are judged."""
        comparison = compare_side_by_side([side_by_side(uses(0.05, 1), uses(0.05, 2), cpu(), cpu())], TERMS)

        assert cpu_of(comparison).verdict is GateVerdict.INCONCLUSIVE
        assert cpu_of(comparison).reason.startswith(
            "0.99 s of CPU time a side; CPU per request needs 2 s, 0.2 in each of"
        )

    @pytest.mark.parametrize(
        ("new", "old", "reason"),
        [
            (cpu(), None, "of the old target, no process was named: --compare-process"),
            (None, cpu(), "of the target, no process was named: --target-process"),
            (cpu(None, reason="its process was gone before the load ended"), cpu(), "shop, PID 7: its process was"),
        ],
    )
    def test_what_is_not_known_is_not_passed_over(
        self, new: TargetCpu | None, old: TargetCpu | None, reason: str
    ) -> None:
        """Somebody asked for it, and the answer is that nobody knows."""
        comparison = compare_side_by_side([side_by_side([], [], new, old)], TERMS)

        assert comparison.verdict is cpu_of(comparison).verdict is GateVerdict.INCONCLUSIVE
        assert reason in cpu_of(comparison).reason

    def test_nobody_asked(self) -> None:
        """Without the options there is no such metric."""
        comparison = compare_side_by_side([side_by_side([], [], None, None)], TERMS)

        assert "CPU per request" not in {each.metric for each in comparison.metrics}


class TestHistory:
    def baseline(self, spread: float = 0.01) -> Baseline:
        chance = random.Random(5)
        runs = stored_runs([10.0 + 0.05 * (n % 3) for n in range(12)])
        return Baseline(
            runs=[
                each.model_copy(update={"target_cpu": StoredCpu(cpu_s=4.0 * math.exp(chance.gauss(0, spread)))})
                for each in runs
            ]
        )

    def compared(self, new: StoredCpu | None) -> Comparison:
        run = earlier_run(run_id="new", at=START.replace(day=20), target_cpu=new)
        return compare_with_history(run, [], self.baseline(), "baseline.json", TERMS)

    def test_a_target_that_needs_more_is_found(self) -> None:
        """A fifth more per request than in earlier runs, at the same latency."""
        found = cpu_of(self.compared(StoredCpu(cpu_s=4.8)))

        assert found.verdict is GateVerdict.REGRESSION
        assert found.old == pytest.approx(4.0, rel=0.02)
        assert cpu_of(self.compared(StoredCpu(cpu_s=4.02))).verdict is GateVerdict.OK

    @pytest.mark.parametrize(
        ("new", "reason"),
        [
            (StoredCpu(reason="its process was gone"), "too few data: its process was gone"),
            (StoredCpu(cpu_s=0.05), "too few data: the target used 0.05 s of CPU time; CPU per request needs 0.2 s"),
            (None, "not in this run"),
        ],
    )
    def test_what_is_missing_is_told(self, new: StoredCpu | None, reason: str) -> None:
        """A gate that has lost a metric does not go green."""
        comparison = self.compared(new)

        assert (comparison.verdict, cpu_of(comparison).reason) == (GateVerdict.INCONCLUSIVE, reason)

    def test_a_result_is_stored_with_it(self) -> None:
        """What the next run is compared with."""
        assert stored_run(side_by_side([], [], cpu(3.5), None)).target_cpu == StoredCpu(cpu_s=3.5)
