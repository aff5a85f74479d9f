"""What the gate finds on this machine: two equal servers, one that is 10% slower, and some runs after one another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import ciload
from ciload.doctor.server import steps_for
from ciload.errors import CiloadError, ExitCode
from ciload.gate.calibration import calibrate
from ciload.gate.document import Baseline
from ciload.gate.stored_run import stored_run, taints
from ciload.gate.verdicts import Terms
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import RunResult
from ciload.result.reader import read_result

WORK_S = 0.002  # of CPU time for each request
SLOWER = 0.10
RATE = "150/s"
MOST_VUS = "20"
LEAST_S = 12  # side by side, ten blocks of a second after a warm-up
RUNS = 6
RUN_PART = 4  # a run of the history takes this part of the seconds
SHORTEST_RUN_S = 2
OF_HISTORY = 10  # runs that the answer is about
SCRIPT = """
from ciload import http

async def default():
    await http.get("/")
"""
# A run of ours must not be taken for one of the job's: no options, no CI, no secrets.
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "PYTHONPATH", "SYSTEMROOT")
PATIENCE_S = 60.0  # beyond the load
ALARMS = (GateVerdict.REGRESSION, GateVerdict.IMPROVED)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What was found. Changes are relative: 0.1 is 10% more; None: it could not be judged."""

    seconds: int
    too_short: bool = False
    unjudged: str = ""  # why the gate had no answer about equal servers
    false_alarms: list[str] = field(default_factory=list)  # metrics of equal servers that were called different
    finds: dict[str, float] = field(default_factory=dict)  # side by side, by metric: found 8 times in 10
    slower_found: list[str] = field(default_factory=list)  # metrics in which the slower server was found
    history_finds: float | None = None  # with ten runs, likewise, of p50
    history_runs: int = 0  # that this is known from
    disturbed: list[str] = field(default_factory=list)  # why runs were no good measure

    @property
    def side_by_side_finds(self) -> float | None:
        """Of latencies."""
        return self.finds.get("p50")

    @property
    def usable(self) -> bool:
        """Whether the gate keeps its word here, as far as was looked."""
        return self.too_short or bool(not self.unjudged and not self.false_alarms and self.slower_found)


def run_selftest(seconds: int, say: Callable[[str], None]) -> SelfTest:
    """Load servers of our own.

    Args:
        seconds: of each comparison; from `LEAST_S` on, something can be said.
        say: is told what is being done.

    Raises:
        CiloadError: a run did not come to its end.
    """
    steps = steps_for(WORK_S)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ciload-doctor-")))
        (folder / "load.py").write_text(SCRIPT, encoding="utf-8")
        one, same, slower = (
            stack.enter_context(serving(each)) for each in (steps, steps, round(steps * (1 + SLOWER)))
        )  # fmt: skip
        say(f"two equal servers side by side, {seconds} s …")
        equal = _side_by_side(folder, seconds, new=same, old=one)
        if seconds < LEAST_S:
            return SelfTest(seconds, too_short=True)
        say(f"one that takes {SLOWER:.0%} more, {seconds} s …")
        slow = _side_by_side(folder, seconds, new=slower, old=one)
        each_s = max(SHORTEST_RUN_S, seconds // RUN_PART)
        say(f"{RUNS} runs one after the other, {each_s} s each …")
        runs = [_run(folder, each_s, one) for _ in range(RUNS)]
    return judged(seconds, equal, slow, runs)


def judged(seconds: int, equal: Comparison, slow: Comparison, runs: Sequence[RunResult]) -> SelfTest:
    """What follows.

    Args:
        seconds: that each comparison took.
        equal: two equal servers.
        slow: one that takes `SLOWER` more.
        runs: of one server, after one another.
    """
    stored = [stored_run(each) for each in runs]
    good = [each for each in stored if not each.tainted]
    kinds = calibrate(Baseline(runs=good), Terms(equal.false_alarm, 0.0))
    history = [each for kind in kinds for each in kind.metrics if (each.metric, each.endpoint) == ("p50", "")]
    reasons = [why for each in runs for why in taints(each)]
    open_because = equal.reason or "it could not be judged"
    return SelfTest(
        seconds,
        unjudged=open_because if equal.verdict in (GateVerdict.INCONCLUSIVE, GateVerdict.MISSING) else "",
        false_alarms=[f"{each.metric} {each.changed}" for each in _of_all(equal) if each.verdict in ALARMS],
        finds={each.metric: each.detectable for each in _of_all(equal) if each.detectable is not None},
        slower_found=[each.metric for each in _of_all(slow) if each.verdict is GateVerdict.REGRESSION],
        history_finds=history[0].detectable.get(OF_HISTORY) if history else None,
        history_runs=len(good),
        disturbed=list(dict.fromkeys(reasons)),
    )


def _of_all(comparison: Comparison) -> list[GatedMetric]:
    return [each for each in comparison.metrics if not each.endpoint and each.unit == "ms"]


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs."""

    url: str
    pid: int


@contextmanager
def serving(steps: int) -> Iterator[Served]:
    """A server in a process of its own, while inside."""
    with subprocess.Popen(  # noqa: S603  # ourselves
        [sys.executable, "-m", "ciload.doctor.server", str(steps)], env=_environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise CiloadError("the server of the self-test did not start; --quick does without")
        try:
            yield Served(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.kill()


def _side_by_side(folder: Path, seconds: int, *, new: Served, old: Served) -> Comparison:
    result = _run(
        folder, seconds, new, "--compare-url", old.url, "--compare-process", str(old.pid), "--tolerance", "0"
    )  # fmt: skip
    return result.comparisons[0]


def _run(folder: Path, seconds: int, target: Served, *more: str) -> RunResult:
    command = [
        sys.executable, "-m", "ciload", "run", "load.py", "--quiet", "--rate", RATE, "--vus", MOST_VUS,
        "--duration", f"{seconds}s", "--base-url", target.url, "--target-process", str(target.pid), *more,
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603  # ourselves
            command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=seconds + PATIENCE_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CiloadError(f"a self-test of {seconds} s did not end; --quick does without") from None
    if done.returncode not in (ExitCode.PASSED, ExitCode.REGRESSION):
        raise CiloadError(f"a run of the self-test failed (exit code {done.returncode}):\n{done.stderr.strip()}")
    return read_result(folder / "ciload-results" / "result.json")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    ours = str(Path(ciload.__file__).parents[1])
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (ours, kept.get("PYTHONPATH", ""))))}
