"""After the load: the result, what the gates say of it, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

from ciload.engine.aggregator import RunOutcome
from ciload.errors import CiloadError, ExitCode
from ciload.metrics.registry import Registry
from ciload.result.build import build_result
from ciload.result.comparison import Comparison
from ciload.result.document import Failure, RunResult
from ciload.result.judgement import Evidence
from ciload.result.judgement import judge as judge_evidence
from ciload.runner.execute import Execution
from ciload.runner.facts import facts_of_run
from ciload.runner.interface import Interface
from ciload.runner.masking import masked
from ciload.runner.prepare import PreparedRun
from ciload.runner.publish import publish
from ciload.runner.signals import Signals
from ciload.script.loader import load_script
from ciload.text import one_line, request_label

LONGEST_ERROR = 300


def result_of(prepared: PreparedRun, outcome: RunOutcome) -> tuple[RunResult, Evidence]:
    """The result as far as the load alone tells, and what its verdict is made from."""
    options = prepared.plan.options
    result, evidence = build_result(outcome.snapshot, facts_of_run(prepared.identity, prepared.plan, outcome))
    stops = [*evidence.stops, *(_what_does_not_work(result) if options.once else ())]
    return masked(result, prepared.request.mask), replace(
        evidence, stops=stops, on_missing_baseline=options.on_missing_baseline,
        on_inconclusive=options.on_inconclusive,
    )  # fmt: skip


def _what_does_not_work(result: RunResult) -> Iterator[Failure]:
    """Of a run with --once, in which nothing may fail."""
    code = ExitCode.THRESHOLDS_FAILED
    for check in result.checks:
        if check.fails:
            group = f" in group {check.group.removeprefix('::')}" if check.group else ""
            yield Failure(code=code, reason=f"--once: check {check.name!r}{group} failed")
    for endpoint in result.endpoints:
        if endpoint.failed:
            requests = f"{endpoint.failed} of {endpoint.requests} requests"
            label = request_label(endpoint.method, endpoint.name)
            why = next((f": {each.message}" for each in result.errors if each.source == label), "")
            yield Failure(code=code, reason=f"--once: {label}: {requests} failed{why}")


def judge(
    prepared: PreparedRun, result: RunResult, evidence: Evidence, signals: Signals, interface: Interface
) -> tuple[RunResult, Evidence]:
    """Let the gates look at the run, and run it again where they want that."""
    comparisons = _compare(prepared, result, evidence, signals, interface)
    stops = [*evidence.stops]
    if signals.received:
        reason = "interrupted after the load, while it was compared"
        stops.append(Failure(code=ExitCode.INTERRUPTED, reason=reason))
    evidence = replace(evidence, stops=stops, comparisons=comparisons)
    return judged(result, evidence), evidence


def judged(result: RunResult, evidence: Evidence) -> RunResult:
    """The result with the verdict that follows from the evidence."""
    return result.model_copy(update={"comparisons": list(evidence.comparisons), "verdict": judge_evidence(evidence)})


def _compare(
    prepared: PreparedRun, result: RunResult, evidence: Evidence, signals: Signals, interface: Interface
) -> list[Comparison]:
    """What the gates say; with reruns, if they suspect a regression that somebody wants confirmed.

    How many there are is fixed in advance: to stop at the first good one would take the regressions out as well.
    """
    gates, wanted = prepared.gates, prepared.plan.options.confirm
    comparisons = gates.compare([result])
    suspicion = gates.wants_confirmation(result, comparisons)
    reruns: list[RunResult] = []

    def finish(_: RunOutcome) -> int:
        """The rerun cannot be left: what was measured before stands."""
        first = replace(evidence, comparisons=comparisons)
        return publish(prepared, judged(result, first), first, interface).exit_code

    while suspicion and len(reruns) < wanted and not signals.received:
        interface.say(f"this may be a regression ({suspicion}): run {len(reruns) + 1} of {wanted} to confirm")
        registry = Registry()
        try:
            script = load_script(prepared.request.script, registry)
        except CiloadError as error:  # its top level could be run once only: what was measured stands
            interface.say(f"cannot run again to confirm: {one_line(str(error), LONGEST_ERROR)}", "warning")
            break
        outcome = Execution(
            prepared.plan, script, registry, signals, interface, finish, prepared.cpu_sources
        ).run()  # fmt: skip
        again = replace(prepared, identity=replace(prepared.identity, run_id=uuid4().hex))
        reruns.append(result_of(again, outcome)[0])
        if reruns[-1].verdict.exit_code == ExitCode.INTERRUPTED:
            signals.received += 1
    return gates.compare([result, *reruns]) if reruns else comparisons
