"""The command line of the scoreboard: measure, and print who does how much.

A missed goal never fails the command, since shared machines are noisy; a generator that did not work does.
Exit codes: 0 all generators worked; 1 one did not; 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.rounds import SCENARIOS, WARM_UP, Run, Scenario, Stage, play
from benchmarks.scores import scores
from benchmarks.server import CONNECTIONS, ServerFailedError, nginx
from benchmarks.tools import MissingToolError, Tools, announce, prepare

SPARE_FILES = 200  # what a generator opens besides its connections


class UnsuitableMachineError(Exception):
    """This machine cannot do the measurement; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    chosen = [SCENARIOS[name] for name in dict.fromkeys(options.scenario or SCENARIOS)]
    # As Ctrl-C does: through every `finally`, so that no server and no generator is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        generator_core, server_core = two_cores()
        allow_open_files(max(scenario.vus for scenario in chosen))
        facts = report.machine()
        tools = prepare()
        runs = measure(chosen, tools, generator_core, server_core, options.rounds, options.seconds)
    except (MissingToolError, ServerFailedError, UnsuitableMachineError) as error:
        announce(f"cannot measure: {error}")
        return 2
    except KeyboardInterrupt:
        announce("interrupted")
        return 128 + signal.SIGINT
    board = [score for scenario in chosen for score in scores(scenario, runs)]
    if options.json:
        options.json.write_text(report.document(board, runs, tools.versions, facts))
    facts |= {"nginx": tools.versions["nginx"], "rounds": str(options.rounds)}
    print("\n" + report.table(board, tools.versions))
    print("\nMarkdown:\n\n" + report.markdown(board, tools.versions))
    print("\n" + ", ".join(f"{name}: {value}" for name, value in facts.items()) + ".")
    if failures := report.failures(runs):
        print("\n" + failures)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.scoreboard",
        description="The same HTTP job for ciload and its peers: requests per CPU second, and peak memory.",
    )
    result.add_argument(
        "--scenario", action="append", choices=list(SCENARIOS), help="which load; repeat for several (default: all)"
    )
    result.add_argument("--rounds", type=positive, default=5, help="times each generator runs (default: 5)")
    result.add_argument("--seconds", type=positive, help="length of one run in seconds (default: 10)")
    result.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    return result


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def measure(
    chosen: Sequence[Scenario], tools: Tools, generator_core: int, server_core: int, rounds: int, seconds: int | None
) -> list[Run]:
    os.sched_setaffinity(0, {server_core})  # this process waits; let it not do so on the generators' core
    with nginx(tools.paths, server_core) as server:
        stage = Stage(server, tools.paths, generator_core)
        return [
            run for scenario in chosen for run in play(scenario, stage, rounds, seconds or scenario.seconds, progress)
        ]


def progress(run: Run) -> None:
    label = "warm-up" if run.round == WARM_UP else f"round {run.round}"
    outcome = f"{run.per_cpu_s:>9,.0f} requests per CPU s, {run.peak_rss_mb:.0f} MB" if run.ok else "FAILED"
    announce(f"{run.scenario:8} {label:8} {run.generator:7} {outcome}")


def two_cores() -> tuple[int, int]:
    """One core for the generators, another one for the server.

    Raises:
        UnsuitableMachineError: this process may use one core only.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise UnsuitableMachineError("it takes two cores, one for the generator and one for the server")
    return cores[0], cores[1]


def allow_open_files(vus: int) -> None:
    """Raise this process's limit, and so its children's, to the hard limit.

    Raises:
        UnsuitableMachineError: even that is too low for this many VUs.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if hard == resource.RLIM_INFINITY else hard
    if wanted < vus + SPARE_FILES:
        raise UnsuitableMachineError(f"{vus} VUs need more open files than {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
