"""What `ciload run` does about baselines: read before the load, compare after it, confirm, keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ciload.errors import BaselineError
from ciload.options.model import Options
from ciload.result.comparison import Comparison
from ciload.result.document import RunResult
from ciload.result.judgement import with_comparisons
from ciload.secrets import without_secrets

if TYPE_CHECKING:
    from ciload.baseline.document import Baseline


@dataclass(frozen=True, slots=True)
class Gate:
    """The gates that the options ask for; `history` is what the baseline held before the load."""

    options: Options
    history: Baseline | None = None

    @classmethod
    def open(cls, options: Options) -> Gate:
        """See to it that everything is there before a load is made.

        Raises:
            BaselineError: the baseline cannot be read, or the new one could not be written.
        """
        if not (options.baseline or options.save_baseline):
            return cls(options)
        from ciload.baseline.store import check_writable, read_baseline  # late: most runs need none of it

        if options.save_baseline:
            check_writable(Path(options.save_baseline))
            kept = read_baseline(options.save_baseline)
        # Who saves without comparing compares with what is saved: a regression must not become the level of its own.
        return cls(options, read_baseline(options.baseline) if options.baseline else kept)

    def compare(self, results: Sequence[RunResult]) -> list[Comparison]:
        """What the gates say of a run (the first) and its confirmation reruns."""
        options, comparisons = self.options, []
        if not (options.baseline or options.save_baseline or options.compare_url):
            return []
        from ciload.baseline.gate import Terms, compare_side_by_side, compare_with_history
        from ciload.baseline.stored import stored_run

        terms = Terms(options.false_alarm, options.tolerance)
        if options.compare_url:
            comparisons.append(compare_side_by_side(results, terms))
        if options.baseline or options.save_baseline:
            new, *reruns = [stored_run(each) for each in results]
            against = without_secrets(options.baseline) if options.baseline else options.save_baseline
            comparisons.append(compare_with_history(new, reruns, self.history, against, terms))
        return comparisons

    def wants_confirmation(self, result: RunResult, comparisons: Sequence[Comparison]) -> str:
        """What looks like a regression and should be looked at again; "" if nothing does, or nobody wants to know."""
        if not (self.options.confirm and comparisons):
            return ""
        from ciload.baseline.gate import suspicious
        from ciload.baseline.stored import spoilt, stored_run

        if spoilt(stored_run(result)):  # reruns do not make a run better that is no measure
            return ""
        return next((_worst(each) for each in comparisons if suspicious(each)), "")

    def judged(self, result: RunResult, comparisons: Sequence[Comparison]) -> RunResult:
        """The result with what the gates found, and the verdict that follows."""
        verdict = with_comparisons(
            result.verdict, comparisons, self.options.on_missing_baseline, self.options.on_inconclusive
        )
        return result.model_copy(update={"comparisons": list(comparisons), "verdict": verdict})

    def keep(self, result: RunResult) -> None:
        """Add the run to the file that is to hold it; as no measure for others if a gate raised an alarm.

        Raises:
            BaselineError: it could not be added; the file is as it was.
        """
        if not self.options.save_baseline:
            return
        from ciload.baseline.gate import mark
        from ciload.baseline.store import save_run
        from ciload.baseline.stored import stored_run

        try:
            run = mark(stored_run(result), result.comparisons)
        except ValueError as error:
            raise BaselineError(f"--save-baseline: this run cannot be kept: {error}") from None
        save_run(Path(self.options.save_baseline), run)


def _worst(comparison: Comparison) -> str:
    """The metric that is most likely to have become worse, in words."""
    found = min((each for each in comparison.metrics if each.p_value is not None), key=lambda each: each.p_value or 0.0)
    return f"{found.label} {found.metric} {found.changed}"
