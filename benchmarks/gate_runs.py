"""Do the gates keep their word on real runs? False alarms and detections against the guide's API, on this machine.

    python -m benchmarks.gate_runs runs/ [--same 100] [--slower 40] [--seconds 20] [--share 0.1]
    python -m benchmarks.gate_runs runs/ --same 0 --slower 0      # judge the stored runs again

Side-by-side runs of a copy of the API against a copy that is the same, and against one that burns a share more CPU for
each request; the two kinds alternate, so that both meet the same hours. Results are kept in the folder. The table
counts how often side by side alarmed; how often a prediction interval over the runs before did (each run's new target
alone against the last 10 and 30 runs of the unchanged one); and how often the usual rule would have: "more than 10%
worse than the last run".
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ciload.gate.alarms import Terms, compare_side_by_side
from ciload.gate.statistics import against_history
from ciload.result.comparison import GatedMetric, GateVerdict
from ciload.result.document import RunResult

SCRIPT = """
from ciload import check, http, sleep
TOKEN = "c110add0c110add0c110add0c110add0c110add0"
async def default():
    reply = await http.get("/v3/users", headers={"Authorization": f"Token {TOKEN}"})
    check(reply, {"status is 200": lambda r: r.status_code == 200})
    await sleep(0.005)
"""
VUS = "3"
LISTENING = "listening on "
KINDS = ("same", "slower")
METRICS = ("mean", "p50", "p95", "p99")
WINDOWS = (10, 30)
TERMS = (Terms(tolerance=0.0), Terms(tolerance=0.03), Terms(tolerance=0.10))
USUAL_RULE = math.log(1.10)


@contextmanager
def api(share: float) -> Iterator[str]:
    """A copy of the guide's API, slower by `share`; its address."""
    command = [sys.executable, "-m", "benchmarks.slowed", "--share", str(share)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield next(line for line in server.stdout if line.startswith(LISTENING)).removeprefix(LISTENING).strip()
        finally:
            server.terminate()


def make_runs(folder: Path, same: int, slower: int, seconds: int, share: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "load.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = {kind: len(list(folder.glob(f"*-{kind}.json"))) for kind in KINDS}
    while done["same"] < same or done["slower"] < slower:
        # Whichever kind is further behind its goal.
        kind = min(("same", same), ("slower", slower), key=lambda each: done[each[0]] / max(each[1], 1e-9))[0]
        out = folder / "out"
        # Fresh copies for every run, as in CI: how a process happens to lie in memory is part of the noise.
        with api(0) as old, api(share if kind == "slower" else 0) as new:
            command = [
                sys.executable, "-m", "ciload", "run", str(script), "-u", VUS, "-d", f"{seconds}s", "-q",
                "--warmup", "1s", "--base-url", new, "--compare-url", old, "--out-dir", str(out),
            ]  # fmt: skip
            subprocess.run(command, check=False, timeout=seconds + 120)
        number = sum(done.values())
        (out / "result.json").rename(folder / f"{number:04d}-{kind}.json")
        done[kind] += 1
        print(f"{number + 1} runs", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """A run of one kind, in the order in which they were made."""

    kind: str
    result: RunResult

    def value(self, metric: str, arm: str) -> float:
        trend = self.result.metrics["http_req_duration"].trend
        if arm == "old":
            assert self.result.old_arm is not None
            trend = self.result.old_arm.duration
        assert trend is not None
        return math.log({"mean": trend.avg, "p50": trend.med, "p95": trend.p95, "p99": trend.p99}[metric])


def read(folder: Path) -> list[Stored]:
    return [
        Stored(path.stem.partition("-")[2], RunResult.model_validate_json(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("[0-9]*.json"))
    ]


def report(runs: Sequence[Stored]) -> None:
    _print_changes(runs)
    print(f"\n{'':<52} {'same: false alarms':<23}slower: found")
    for terms in TERMS:
        found = [compare_side_by_side([run.result], terms) for run in runs]
        regressed = [each.verdict is GateVerdict.REGRESSION for each in found]
        _print_row(f"side by side, tolerance {terms.tolerance:.0%}, all metrics", runs, regressed)
        for metric in ("p50", "p95", "failed requests", "failed checks"):
            _print_row(f"  of these {metric}", runs, [_regressed(each.metrics, metric) for each in found])
        verdicts = {kind: _verdicts(runs, [each.verdict for each in found], kind) for kind in KINDS}
        print(f"{'  verdicts':<52} same: {verdicts['same']}; slower: {verdicts['slower']}")
    numbered = list(enumerate(runs))
    for window in WINDOWS:
        for metric in METRICS:
            alarms = [_against_history(runs, index, run, metric, window) for index, run in numbered]
            _print_row(f"against the last {window} runs, {metric} alone", runs, alarms)
    for metric in METRICS:
        alarms = [_usual_rule(runs, index, run, metric) for index, run in numbered]
        _print_row(f"more than 10% worse than the last run, {metric}", runs, alarms)


def _print_changes(runs: Sequence[Stored]) -> None:
    """How much slower the new target really was, as far as all runs together know."""
    for kind in KINDS:
        for metric in METRICS:
            changes = [run.value(metric, "new") - run.value(metric, "old") for run in runs if run.kind == kind]
            if len(changes) > 1:
                mean, between = statistics.mean(changes), statistics.stdev(changes)
                error = between / math.sqrt(len(changes))
                print(
                    f"{kind:>7} {metric:>5}: change {math.expm1(mean):+6.1%} ± {error:.1%} (between runs {between:.1%})"
                )


def _print_row(title: str, runs: Sequence[Stored], alarms: Sequence[bool | None]) -> None:
    """Alarms among runs of both kinds; those that could not be judged yet are left out."""
    cells = []
    for kind in KINDS:
        judged = [alarm for run, alarm in zip(runs, alarms, strict=True) if run.kind == kind and alarm is not None]
        share = f"{sum(judged) / len(judged):6.1%}" if judged else "     -"
        cells.append(f"{sum(judged):>4} of {len(judged):<4} {share}")
    print(f"{title:<52} {'   '.join(cells)}")


def _regressed(metrics: Sequence[GatedMetric], name: str) -> bool:
    return any(each.metric == name and each.verdict is GateVerdict.REGRESSION for each in metrics)


def _verdicts(runs: Sequence[Stored], verdicts: Sequence[GateVerdict], kind: str) -> str:
    mine = [verdict for run, verdict in zip(runs, verdicts, strict=True) if run.kind == kind]
    return ", ".join(f"{mine.count(each)} {each}" for each in GateVerdict if each in mine)


def _before(runs: Sequence[Stored], index: int, metric: str) -> list[float]:
    """The unchanged target in the runs before: its old copy, which every run has."""
    return [run.value(metric, "old") for run in runs[:index]]


def _against_history(runs: Sequence[Stored], index: int, run: Stored, metric: str, window: int) -> bool | None:
    before = _before(runs, index, metric)[-window:]
    if len(before) < window:
        return None
    estimate = against_history([before], [run.value(metric, "new")], tail=metric in ("p95", "p99"))
    return estimate.rise <= 0.01


def _usual_rule(runs: Sequence[Stored], index: int, run: Stored, metric: str) -> bool | None:
    before = _before(runs, index, metric)
    return run.value(metric, "new") - before[-1] > USUAL_RULE if before else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--same", type=int, default=100)
    parser.add_argument("--slower", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.10)
    arguments = parser.parse_args()
    make_runs(arguments.folder, arguments.same, arguments.slower, arguments.seconds, arguments.share)
    report(read(arguments.folder))


if __name__ == "__main__":
    main()
