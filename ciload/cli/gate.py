"""What `ciload run` does about baselines: read before the load, compare after it, confirm, keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ciload.errors import BaselineError
from ciload.options.model import Options
from ciload.result.comparison import Comparison, GateVerdict
from ciload.result.document import RunResult
from ciload.result.judgement import with_comparisons
from ciload.secrets import without_secrets
from ciload.text import one_line

if TYPE_CHECKING:
    from ciload.gate.document import Baseline

ARTIFACT = "artifact:"


@dataclass(frozen=True, slots=True)
class Gate:
    """The gates that the options ask for; `history` is what the baseline held before the load."""

    options: Options
    history: Baseline | None = None

    @classmethod
    def open(cls, options: Options, environment: Mapping[str, str]) -> Gate:
        """See to it that everything is there before a load is made.

        Raises:
            BaselineError: the baseline cannot be read, or the new one could not be written.
        """
        if not (options.baseline or options.save_baseline):
            return cls(options)
        from ciload.gate.store import check_writable, read_baseline  # late: most runs need none of it

        if options.save_baseline:
            check_writable(Path(options.save_baseline))
            kept = read_baseline(options.save_baseline)
        # Who saves without comparing compares with what is saved: a regression must not become the level of its own.
        return cls(options, _read(options.baseline, environment) if options.baseline else kept)

    def compare(self, results: Sequence[RunResult]) -> list[Comparison]:
        """What the gates say of a run (the first) and its confirmation reruns."""
        options, comparisons = self.options, []
        if not (options.baseline or options.save_baseline or options.compare_url):
            return []
        from ciload.gate.alarms import Terms, compare_results_with_history, compare_side_by_side

        terms = Terms(options.false_alarm, options.tolerance)
        if options.compare_url:
            comparisons.append(compare_side_by_side(results, terms))
        if options.baseline or options.save_baseline:
            against = without_secrets(options.baseline) if options.baseline else options.save_baseline
            comparisons.append(compare_results_with_history(results, self.history, against, terms))
        return comparisons

    def wants_confirmation(self, result: RunResult, comparisons: Sequence[Comparison]) -> str:
        """What looks like a regression and should be looked at again; "" if nothing does, or nobody wants to know."""
        if not (self.options.confirm and comparisons):
            return ""
        from ciload.gate.alarms import suspects
        from ciload.gate.stored_run import UnusableRunError, generator_faults, stored_run

        try:
            if generator_faults(stored_run(result)):  # reruns do not make a run better that is no measure
                return ""
        except UnusableRunError:  # nor one whose clock is wrong
            return ""
        found = [each for comparison in comparisons for each in suspects(comparison)]
        return f"{found[0].label} {found[0].metric} {found[0].changed}" if found else ""

    def judged(self, result: RunResult, comparisons: Sequence[Comparison]) -> RunResult:
        """The result with what the gates found, and the verdict that follows."""
        verdict = with_comparisons(
            result.verdict, comparisons, self.options.on_missing_baseline, self.options.on_inconclusive
        )
        return result.model_copy(update={"comparisons": list(comparisons), "verdict": verdict})

    def keep(self, result: RunResult) -> str:
        """Add the run to the file that is to hold it; answers what became of it, "" if it was not to be kept.

        It is no measure for others if a gate raised an alarm. If there was nothing to compare it with, the file that
        it goes to is asked: a regression must not become the level there.

        Raises:
            BaselineError: it could not be added; the file is as it was.
        """
        place = self.options.save_baseline
        if not place:
            return ""
        from ciload.gate.alarms import Terms, compare_with_history, mark
        from ciload.gate.document import Baseline
        from ciload.gate.levels import merge
        from ciload.gate.store import update
        from ciload.gate.stored_run import UnusableRunError, stored_run

        try:
            run = stored_run(result)
        except UnusableRunError as error:
            raise BaselineError(f"--save-baseline: this run cannot be kept: {error}") from None
        terms = Terms(self.options.false_alarm, self.options.tolerance)

        def add(baseline: Baseline) -> Baseline:
            nonlocal run
            if self.history is not None and self.options.baseline.startswith(ARTIFACT):
                # The next artifact takes its place: without what is in this one, no history would ever grow.
                baseline = merge(baseline, self.history)
            compared = list(result.comparisons)
            if all(each.verdict is GateVerdict.MISSING for each in compared if each.gate == "history"):
                compared.append(compare_with_history(run, [], baseline, place, terms))
            run = mark(run, compared)
            return merge(baseline, Baseline(runs=[run]))

        update(Path(place), add)
        if run.alarm:
            return (
                f"saved in {place}, but not as a measure for later runs: it is {run.alarm} than the level there; if "
                f"that is to stay: ciload accept {place} --reason …"
            )
        if run.tainted:
            return f"saved in {place}, but not as a measure for later runs: {run.tainted[0]}"
        return f"saved in {place}"


def _read(place: str, environment: Mapping[str, str]) -> Baseline | None:
    from ciload.gate.store import parse_baseline, read_baseline

    if not place.startswith(ARTIFACT):
        return read_baseline(place)
    from ciload.ci.artifacts import fetch

    data = fetch(place, environment)
    return None if data is None else parse_baseline(data, one_line(place, 200))
