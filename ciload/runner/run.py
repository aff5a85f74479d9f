"""One run: prepare, execute, judge, publish."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from ciload.engine.aggregator import RunOutcome
from ciload.engine.control import Control
from ciload.errors import CiloadError, ExitCode
from ciload.runner.execute import Execution
from ciload.runner.interface import Interface
from ciload.runner.judge import judge, result_of
from ciload.runner.prepare import PreparationFailedError, PreparedRun, RunRequest, prepare
from ciload.runner.publish import Finished, publish, publish_failure, save_result
from ciload.runner.signals import Signals


def run(request: RunRequest, interface: Interface) -> Finished:
    """Do the run; every outcome of it is in the result, and on disk.

    Raises:
        CiloadError: there was no load. Unless it was a UsageError, reports say so.
    """
    with Signals(Control(), lambda text: interface.say(text, "error")) as signals, ExitStack() as stack:
        try:
            prepared = prepare(request, signals.control, interface, stack)
        except PreparationFailedError as failed:
            signals.load_ended()
            publish_failure(failed, request, interface)
            error: CiloadError = failed.error
            raise error from None

        def finish(outcome: RunOutcome) -> Finished:
            problems = prepared.outputs.close()
            outcome.warnings += problems
            result, evidence = result_of(prepared, outcome)
            save_result(prepared, result)
            result, evidence = judge(prepared, result, evidence, signals, interface)
            finished = publish(prepared, result, evidence, interface)
            if problems and prepared.plan.options.output_required:
                interface.say(f"{problems[0]}; --output-required is set", "error")
                finished = replace(finished, exit_code=finished.exit_code or ExitCode.USAGE)
            return finished

        is_clear = prepared.gates.until_clear(prepared.plan.measured_s)
        execution = Execution(
            prepared.plan, prepared.script, prepared.registry, signals, interface,
            lambda outcome: finish(outcome).exit_code, prepared.cpu_sources, is_clear, prepared.outputs,
        )  # fmt: skip
        finished = finish(execution.run())
        if execution.abandoned:
            interface.leave(finished.exit_code)
        return finished


__all__ = ["Finished", "Interface", "PreparedRun", "RunRequest", "run"]
