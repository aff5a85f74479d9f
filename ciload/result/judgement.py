"""From what was measured to one verdict. Fails closed: a run that measured nothing has not passed."""

from __future__ import annotations

from collections.abc import Sequence

from ciload.errors import ExitCode
from ciload.result.comparison import Comparison, GateVerdict, Reaction
from ciload.result.document import Failure, ThresholdOutcome, ThresholdResult, Verdict


def judge(
    *,
    stops: Sequence[Failure],
    script_errors: int,
    allow_script_errors: bool,
    marked_failed: Sequence[str],
    thresholds: Sequence[ThresholdResult],
    iterations: int,
    requests: int,
    answered: int,
    warnings: Sequence[str],
) -> Verdict:
    """Weigh everything that can fail a run.

    Args:
        stops: failures of the run itself (a signal, setup, an abort), in the order they happened.
        script_errors: exceptions in iterations and checks.
        allow_script_errors: they do not fail the run.
        marked_failed: reasons given to `fail_test()`.
        thresholds: all of them, with their outcome.
        iterations: how many finished without an exception.
        requests: how many were made.
        answered: how many of them got a response of any status.
        warnings: what does not fail the run, but must be read beside the verdict.

    Returns:
        The failures in order of precedence: what ended the run, what the script got wrong, what was measured. A stop
        because of what was measured, such as a threshold that aborts, is the first of the last kind.
    """
    measured = [each for each in stops if each.code == ExitCode.THRESHOLDS_FAILED]
    failures = [each for each in stops if each.code != ExitCode.THRESHOLDS_FAILED]
    ended = bool(failures)
    if script_errors and not allow_script_errors:
        times = "once" if script_errors == 1 else f"{script_errors} times"
        failures.append(Failure(code=ExitCode.SCRIPT_ERROR, reason=f"the script raised {times}"))
    failures += [Failure(code=ExitCode.MARKED_FAILED, reason=reason) for reason in marked_failed]
    failures += measured
    failures += [
        Failure(code=ExitCode.THRESHOLDS_FAILED, reason=_threshold_reason(each), threshold=index)
        for index, each in enumerate(thresholds)
        if each.fails
    ]
    if iterations == 0 and not failures:
        failures.append(Failure(code=ExitCode.THRESHOLDS_FAILED, reason="no data: not one iteration finished"))
    if requests and not answered and not ended:
        reason = f"no data: none of the {requests} requests got a response"
        failures.append(Failure(code=ExitCode.THRESHOLDS_FAILED, reason=reason))
    return Verdict(
        passed=not failures,
        exit_code=failures[0].code if failures else ExitCode.PASSED,
        failures=failures,
        warnings=[*(_threshold_reason(each) for each in thresholds if each.warns), *warnings],
    )


def with_comparisons(
    verdict: Verdict, comparisons: Sequence[Comparison], on_missing: Reaction, on_inconclusive: Reaction
) -> Verdict:
    """The verdict with what the gates found, which comes after everything that the run itself did wrong.

    Args:
        verdict: of the run.
        comparisons: of each gate.
        on_missing: whether to fail when there is nothing to compare with.
        on_inconclusive: whether to fail when a gate cannot tell.
    """
    failures, warnings = list(verdict.failures), list(verdict.warnings)
    found = sorted(enumerate(comparisons), key=lambda each: each[1].verdict is not GateVerdict.REGRESSION)
    for index, each in found:
        if each.verdict is GateVerdict.REGRESSION:
            failures.append(Failure(code=ExitCode.REGRESSION, reason=_regression(each), comparison=index))
        elif each.verdict in (GateVerdict.MISSING, GateVerdict.INCONCLUSIVE):
            reaction = on_missing if each.verdict is GateVerdict.MISSING else on_inconclusive
            reason = _undecided(each)
            if reaction == "fail":
                failures.append(Failure(code=ExitCode.NO_COMPARISON, reason=reason, comparison=index))
            elif reaction == "warn":
                warnings.append(reason)
    return Verdict(
        passed=not failures,
        exit_code=failures[0].code if failures else ExitCode.PASSED,
        failures=failures,
        warnings=warnings,
    )


def _regression(comparison: Comparison) -> str:
    found = [each for each in comparison.metrics if each.verdict is GateVerdict.REGRESSION]
    worst = min(found, key=lambda each: each.p_value if each.p_value is not None else 1.0)
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"regression ({comparison.gate}, {comparison.against}): {worst.label} {worst.metric} {worst.changed}{more}"


def _undecided(comparison: Comparison) -> str:
    where = f"({comparison.gate}, {comparison.against})"
    if comparison.verdict is GateVerdict.MISSING:
        said = "no baseline" if comparison.gate == "history" else "nothing to compare with"
        return f"{said} {where}: {comparison.reason}"
    reason = comparison.reason or comparison.undecided or "no metric could be decided"
    return f"the regression gate is inconclusive {where}: {reason}"


def _threshold_reason(threshold: ThresholdResult) -> str:
    name = f"{threshold.metric} {threshold.expression}"
    only = " (warning only)" if threshold.warns else ""
    if threshold.outcome is ThresholdOutcome.NO_DATA:
        return f"no data for threshold{only} {name}" + (f" ({threshold.hint})" if threshold.hint else "")
    return f"threshold{only} failed: {name}"
