"""The gates of one run: the baseline is read before the load; then compare, confirm, keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ciload.errors import BaselineError
from ciload.result.comparison import Accepted, Comparison, GateVerdict
from ciload.result.document import Fingerprint, RunResult
from ciload.secrets import without_secrets
from ciload.text import one_line

if TYPE_CHECKING:
    from ciload.gate.document import Baseline
    from ciload.gate.until_clear import UntilClear
    from ciload.gate.verdicts import Terms

ARTIFACT, PACKAGE = "artifact:", "package:"
ELSEWHERE = (ARTIFACT, PACKAGE)  # what the CI keeps


class Places(Protocol):
    """Where baselines are that are neither files nor at URLs; see `ci/places.py`."""

    def fetch(self, place: str) -> bytes | None: ...

    def store(self, place: str, change: Callable[[bytes | None], bytes], is_in: Callable[[bytes], bool]) -> None: ...


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What is asked of the gates; the names are those of the options."""

    baseline: str = ""
    baseline_from: str = ""
    save_baseline: str = ""
    compare_url: str = ""
    until_clear: bool = False
    confirm: int = 0
    false_alarm: float = 0.01
    tolerance: Mapping[str, float] = field(default_factory=dict)  # by name; "" is everything else

    @property
    def terms(self) -> Terms:
        from ciload.gate.verdicts import terms_of  # late: most runs have no gate

        return terms_of(self.false_alarm, self.tolerance)

    @property
    def against_history(self) -> bool:
        return bool(self.baseline or self.save_baseline)


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates that are asked for.

    Attributes:
        settings: what is asked for.
        places: what the CI keeps.
        history: what the baseline held before the load.
        inherited: that is from another test's baseline, since there was none of this one.
        accepted: who says that the level has moved, if somebody does. Alarms that the history ends with are a new
            level then, and a regression that this run shows fails nothing and begins one.
    """

    settings: GateSettings
    places: Places
    history: Baseline | None = None
    inherited: bool = False
    accepted: Accepted | None = None

    @classmethod
    def open(cls, settings: GateSettings, places: Places) -> Gates:
        """See to it that everything is there before a load is made.

        Args:
            settings: what is asked for.
            places: what the CI keeps.

        Raises:
            BaselineError: the baseline cannot be read, or the new one could not be written.
        """
        if not settings.against_history:
            return cls(settings, places)
        from ciload.gate.store import check_writable, parse_baseline, read_baseline  # late: most need none

        def read(place: str) -> Baseline | None:
            if not place.startswith(ELSEWHERE):
                return read_baseline(place)
            data = places.fetch(place)
            return None if data is None else parse_baseline(data, one_line(place))

        kept = None
        if settings.save_baseline.startswith(ARTIFACT):
            raise BaselineError(
                f"{one_line(settings.save_baseline)}: an artifact is uploaded by the pipeline: save in a file, as "
                "docs/ci.md shows"
            )
        if settings.save_baseline:
            if not settings.save_baseline.startswith(PACKAGE):
                check_writable(Path(settings.save_baseline))
            kept = read(settings.save_baseline)
        # Who saves without comparing compares with what is saved: a regression must not become a level of its own.
        history = read(settings.baseline) if settings.baseline else kept
        if settings.baseline_from and not (history and history.runs):
            return cls(settings, places, read(settings.baseline_from), inherited=True)
        return cls(settings, places, history)

    def accept(self, accepted: Accepted) -> Gates:
        """The same gates, for a run of which somebody has said this."""
        return replace(self, accepted=accepted)

    def until_clear(self, measured_s: float) -> UntilClear | None:
        """What says that the load has shown what it is for; None when it is to be done whole.

        Args:
            measured_s: how long it is measured at most.
        """
        if not (self.settings.until_clear and self.settings.compare_url):
            return None
        from ciload.gate.until_clear import UntilClear

        return UntilClear(self.settings.terms, measured_s)

    def compare(self, results: Sequence[RunResult]) -> list[Comparison]:
        """What the gates say of a run (the first) and its confirmation reruns."""
        settings, comparisons = self.settings, []
        if not (settings.against_history or settings.compare_url):
            return []
        from ciload.gate.alarms import compare_results_with_history, compare_side_by_side

        terms = settings.terms
        if settings.compare_url:
            comparisons.append(compare_side_by_side(results, terms))
        if settings.against_history:
            history = self.history and self._accept(self.history, results[0].fingerprint)
            comparisons.append(compare_results_with_history(results, history, self._against, terms))
        if self.accepted:
            meant = {"accepted": self.accepted}
            comparisons = [
                each.model_copy(update=meant) if each.verdict is GateVerdict.REGRESSION else each
                for each in comparisons
            ]
        return comparisons

    @property
    def _against(self) -> str:
        settings = self.settings
        place = settings.baseline or settings.save_baseline
        return without_secrets(settings.baseline_from if self.inherited and self.history else place)

    def wants_confirmation(self, result: RunResult, comparisons: Sequence[Comparison]) -> str:
        """What looks like a regression and should be looked at again; "" if nothing does, or nobody wants to know."""
        if not (self.settings.confirm and comparisons) or self.accepted:
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

    def keep(self, result: RunResult) -> str:
        """Add the run to the file that is to hold it; answers what became of it, "" if it was not to be kept.

        It is no measure for others if a gate raised an alarm. If there was nothing to compare it with, the file that
        it goes to is asked: a regression must not become the level there.

        Raises:
            BaselineError: it could not be added; the file is as it was.
        """
        place = self.settings.save_baseline
        if not place:
            return ""
        from ciload.gate.alarms import compare_with_history, mark
        from ciload.gate.document import Baseline
        from ciload.gate.levels import SHIFT, merge
        from ciload.gate.store import update
        from ciload.gate.stored_run import UnusableRunError, stored_run

        try:
            run = stored_run(result)
        except UnusableRunError as error:
            raise BaselineError(f"--save-baseline: this run cannot be kept: {error}") from None
        terms = self.settings.terms

        def add(baseline: Baseline) -> Baseline:
            nonlocal run
            replaced = self.inherited or self.settings.baseline.startswith(ELSEWHERE)
            if self.history is not None and replaced:
                # What is saved takes its place: without what is in there, no history would ever grow.
                baseline = merge(baseline, self.history)
            baseline = self._accept(baseline, run.fingerprint)
            compared = list(result.comparisons)
            if all(each.verdict is GateVerdict.MISSING for each in compared if each.gate == "history"):
                compared.append(compare_with_history(run, [], baseline, place, terms))
            run = mark(run, compared)
            return self._accept(merge(baseline, Baseline(runs=[run])), run.fingerprint)

        if place.startswith(PACKAGE):
            self._store(place, add, run.run_id)
        else:
            update(Path(place), add)
        if run.alarm and self.accepted:
            return f"saved in {place}; from now on, runs are compared with this level: {self.accepted}"
        if run.alarm == "better":
            return (
                f"saved in {place}; it is better than the level there, which moves by itself after {SHIFT} such runs "
                "in a row"
            )
        if run.alarm:
            return f"saved in {place}, but not as a measure for later runs: it is {run.alarm} than the level there"
        if run.tainted:
            return f"saved in {place}, but not as a measure for later runs: {run.tainted[0]}"
        return f"saved in {place}"

    def _store(self, place: str, add: Callable[[Baseline], Baseline], run_id: str) -> None:
        from ciload.gate.document import Baseline
        from ciload.gate.store import parse_baseline

        shown = one_line(place)

        def change(data: bytes | None) -> bytes:
            return add(Baseline() if data is None else parse_baseline(data, shown)).to_json().encode()

        def is_in(data: bytes) -> bool:
            return any(run.run_id == run_id for run in parse_baseline(data, shown).runs)

        self.places.store(place, change, is_in)

    def _accept(self, baseline: Baseline, fingerprint: Fingerprint) -> Baseline:
        """The alarms that the runs of this test end with as a new level, if somebody has said so."""
        from ciload.gate import levels

        kinds = [kind for kind in levels.kinds(baseline) if kind.scenario == fingerprint.scenario]
        if self.accepted is None or not any(levels.recent_alarms(baseline, kind) for kind in kinds):
            return baseline
        said = {"by": self.accepted.by, "reason": self.accepted.reason, "scenario": fingerprint.scenario}
        return levels.accept(baseline, at=datetime.now(UTC), **said).baseline
