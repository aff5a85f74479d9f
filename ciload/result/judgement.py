"""From what was measured to one verdict. Fails closed: a run that measured nothing has not passed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ciload.errors import ExitCode
from ciload.result.comparison import Comparison, GateVerdict, Reaction
from ciload.result.document import Failure, ThresholdOutcome, ThresholdResult, Verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a verdict is made from."""

    stops: Sequence[Failure] = ()  # failures of the run itself (a signal, setup, an abort), in the order they happened
    script_errors: int = 0  # exceptions in iterations, hooks, checks and the script's own tasks
    allow_script_errors: bool = False
    marked_failed: Sequence[str] = ()  # reasons given to fail_test()
    ended_early: Sequence[str] = ()  # scenarios that nobody stopped and that were not done
    unanswered: int = 0  # requests that outlived the graceful stop
    longest_unanswered_s: float = 0.0
    thresholds: Sequence[ThresholdResult] = ()
    iterations: int = 0  # that finished without an exception
    requests: int = 0
    answered: int = 0  # requests that got a response of any status
    operations: int = 0  # that the script has measured by name
    succeeded: int = 0  # of these
    own_metrics: bool = False  # the script has fed a metric of its own
    allow_empty: bool = False
    comparisons: Sequence[Comparison] = ()
    on_missing_baseline: Reaction = "warn"
    on_inconclusive: Reaction = "warn"
    warnings: Sequence[str] = ()  # what does not fail the run, but must be read beside the verdict


def judge(evidence: Evidence) -> Verdict:
    """What a pass is. A run passes if all of this holds; whatever does not is a failure that names its reason:

    1. nothing ended it before its plan was done: no signal, no abort, no error of setup or teardown, no lost worker;
    2. the script raised nowhere (unless `--allow-script-errors`) and did not call `fail_test()`;
    3. every scenario reached its planned end, or did all its iterations;
    4. no request outlived the graceful stop without an answer;
    5. every threshold had the data that it selects, and holds;
    6. something was measured (unless `--allow-empty`): an iteration finished, and a request was made, an operation
       measured, or a metric of the script's own fed; and if there were requests, one of them got a response; if there
       were none of those, but operations, one of them succeeded;
    7. the gate found no regression that nobody has accepted, and nothing else that it was asked to fail on.

    Returns:
        The failures in order of precedence, of which the first gives the exit code: what ended the run, what the script
        got wrong, what was measured, what the gate found.
    """
    failures = [*_of_the_script(evidence), *_of_measurements(evidence)]
    failures += _of_emptiness(evidence, failures)
    of_gates, open_questions = _of_gates(evidence)
    failures += of_gates
    return Verdict(
        passed=not failures,
        exit_code=failures[0].code if failures else ExitCode.PASSED,
        failures=failures,
        warnings=[
            *(threshold_reason(each) for each in evidence.thresholds if each.warns),
            *evidence.warnings,
            *open_questions,
        ],
    )


def _of_the_script(evidence: Evidence) -> Iterator[Failure]:
    yield from (each for each in evidence.stops if each.code != ExitCode.THRESHOLDS_FAILED)
    if evidence.script_errors and not evidence.allow_script_errors:
        times = "once" if evidence.script_errors == 1 else f"{evidence.script_errors} times"
        yield Failure(code=ExitCode.SCRIPT_ERROR, reason=f"the script raised {times}")
    yield from (Failure(code=ExitCode.MARKED_FAILED, reason=reason) for reason in evidence.marked_failed)


def _of_measurements(evidence: Evidence) -> Iterator[Failure]:
    """A stop because of what was measured, such as a threshold that aborts, is the first of these."""
    yield from (each for each in evidence.stops if each.code == ExitCode.THRESHOLDS_FAILED)
    for name in evidence.ended_early:
        yield _not_as_planned(
            f"the load of scenario {name!r} ended before its plan was done, though nothing stopped it"
        )
    if evidence.unanswered:
        requests = "1 request" if evidence.unanswered == 1 else f"{evidence.unanswered} requests"
        yield _not_as_planned(
            f"no answer after {evidence.longest_unanswered_s:.0f} s: {requests} outlived the graceful stop"
        )
    for index, each in enumerate(evidence.thresholds):
        if each.fails:
            yield Failure(code=ExitCode.THRESHOLDS_FAILED, reason=threshold_reason(each), threshold=index)


def _of_emptiness(evidence: Evidence, failures: Sequence[Failure]) -> Iterator[Failure]:
    if evidence.requests and not evidence.answered:
        # What ended the run explains why there was no answer yet.
        if all(each.code == ExitCode.THRESHOLDS_FAILED for each in evidence.stops):
            yield _not_as_planned(f"no data: none of the {evidence.requests} requests got a response")
    elif evidence.operations and not evidence.requests and not evidence.succeeded:
        if all(each.code == ExitCode.THRESHOLDS_FAILED for each in evidence.stops):
            yield _not_as_planned(f"no data: none of the {evidence.operations} operations succeeded")
    elif evidence.allow_empty or failures:
        return
    elif not evidence.iterations:
        yield _not_as_planned("no data: not one iteration finished")
    elif not (evidence.requests or evidence.operations or evidence.own_metrics):
        yield _not_as_planned(
            "no data: nothing was measured, no request, no operation and no metric of the script's own; was an `await` "
            "forgotten, or another client used (which `measure` measures)? --allow-empty lets it pass"
        )


def _of_gates(evidence: Evidence) -> tuple[list[Failure], list[str]]:
    """Failures, and warnings."""
    failures, warnings = list[Failure](), list[str]()
    found = sorted(enumerate(evidence.comparisons), key=lambda each: each[1].verdict is not GateVerdict.REGRESSION)
    for index, each in found:
        if each.verdict is GateVerdict.REGRESSION and each.accepted:
            warnings.append(open_question(each))
        elif each.verdict is GateVerdict.REGRESSION:
            failures.append(Failure(code=ExitCode.REGRESSION, reason=_regression(each), comparison=index))
        elif each.verdict in (GateVerdict.MISSING, GateVerdict.INCONCLUSIVE, GateVerdict.SUSPICIOUS):
            missing = each.verdict is GateVerdict.MISSING
            reaction = evidence.on_missing_baseline if missing else evidence.on_inconclusive
            reason = open_question(each)
            if reaction == "fail":
                failures.append(Failure(code=ExitCode.NO_COMPARISON, reason=reason, comparison=index))
            elif reaction == "warn":
                warnings.append(reason)
    return failures, warnings


def judge_comparisons(comparisons: Sequence[Comparison], on_missing: Reaction, on_inconclusive: Reaction) -> Verdict:
    """The verdict on comparisons alone, of results that were judged when they were made.

    Args:
        comparisons: of each gate.
        on_missing: whether to fail when there is nothing to compare with.
        on_inconclusive: whether to fail when a gate cannot tell.
    """
    only = Evidence(
        allow_empty=True, comparisons=comparisons, on_missing_baseline=on_missing, on_inconclusive=on_inconclusive
    )
    return judge(only)


def _not_as_planned(reason: str) -> Failure:
    return Failure(code=ExitCode.THRESHOLDS_FAILED, reason=reason)


def _regression(comparison: Comparison) -> str:
    found = [each for each in comparison.metrics if each.verdict is GateVerdict.REGRESSION]
    worst = min(found, key=lambda each: each.p_value if each.p_value is not None else 1.0)
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"regression ({comparison.gate}, {comparison.against}): {worst.label} {worst.metric} {worst.changed}{more}"


def open_question(comparison: Comparison) -> str:
    """What there is to know of a comparison that fails nothing."""
    if comparison.accepted:
        return f"{_regression(comparison)}; {comparison.accepted}"
    where = f"({comparison.gate}, {comparison.against})"
    if comparison.verdict is GateVerdict.MISSING:
        said = "no baseline" if comparison.gate == "history" else "nothing to compare with"
        return f"{said} {where}: {comparison.reason}"
    if comparison.verdict is GateVerdict.SUSPICIOUS:
        why = f"; {comparison.reason}" if comparison.reason else ""
        return f"suspicious, not confirmed {where}: {comparison.suspected}{why}"
    reason = comparison.reason or comparison.undecided or "no metric could be decided"
    return f"the regression gate is inconclusive {where}: {reason}"


def threshold_reason(threshold: ThresholdResult) -> str:
    name = f"{threshold.metric} {threshold.expression}"
    only = " (warning only)" if threshold.warns else ""
    if threshold.outcome is ThresholdOutcome.NO_DATA:
        return f"no data for threshold{only} {name}" + (f" ({threshold.hint})" if threshold.hint else "")
    return f"threshold{only} failed: {name}"
