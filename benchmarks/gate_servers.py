"""Does side by side keep its word on the servers people run? The guide's API behind gunicorn: `make gate-runs`.

    python -m benchmarks.gate_servers [--minutes 60] [--keep runs/] [--only "2 sync"]
    python -m benchmarks.gate_servers --keep runs/ --judge-again

Each run starts two fresh copies of the API with 1, 2 or 4 workers, sync or with 4 threads each, and loads them side by
side: the same code twice at light load and near saturation, and a copy that burns 10% or 5% more CPU for each request.
Whichever cell is furthest behind its goal is next, so that all meet the same hours. A run adds one line to the file,
gate-runs.jsonl beside this module. Runs that are there count, so the command can be stopped and goes on later.

Loads are shares of what the copies can answer together. That is measured first, for a few seconds without pauses: once
for each kind of server, and near saturation in every run. On a machine with few cores it is the machine's limit rather
than that of the workers, since both copies and the generator share it. Each line has the share that was reached.
"""

from __future__ import annotations

import argparse
import gzip
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.copies import ROOT, Server, copies
from benchmarks.counted import Line, add, read, rewrite, share_text
from ciload.gate.alarms import Terms, compare_side_by_side
from ciload.result.document import RunResult

LINES = Path(__file__).parent / "gate-runs.jsonl"
SCRIPT = """
import os, random
from ciload import check, http, sleep
TOKEN = "c110add0c110add0c110add0c110add0c110add0"
PAUSE_S = float(os.environ["PAUSE_S"])
async def default():
    reply = await http.get("/v3/users", headers={"Authorization": f"Token {TOKEN}"})
    check(reply, {"status is 200": lambda r: r.status_code == 200})
    if PAUSE_S:
        await sleep(PAUSE_S * random.uniform(0.5, 1.5))
"""
WORKERS = (1, 2, 4)
SERVERS: tuple[Server, ...] = ("sync", "gthread")
CALIBRATION_S = 10
CALIBRATION_WARMUP = "5s"  # the first request that a worker answers takes half a second of CPU
CALIBRATION_VUS = 8
RESPONSES_BUSY = 5  # how many times longer than alone a request takes near saturation: a guess that sets the pause
# A generator that has to wait for one of few cores tells its own delay as the server's. Root may help it.
FIRST = ("nice", "-n", "-5") if os.geteuid() == 0 else ()
WITHOUT_TOLERANCE = Terms(tolerance=0.0)
TOLERANCE = 0.10


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked of the gate.

    Attributes:
        title: in the table.
        share: how much more CPU the new copy burns for each request.
        seconds: of load; the warm-up that the gate has by default is a part of it.
        load: share of what both copies can answer.
        vus: virtual users for each worker, and at least.
        goal: runs for each number of workers and kind of server.
    """

    title: str
    share: float
    seconds: int
    load: float
    vus: tuple[int, int]
    goal: int


KINDS = {
    "same": Kind("the same, light load", 0.0, 20, 0.30, (3, 3), 20),
    "busy": Kind("the same, near saturation", 0.0, 20, 0.93, (20, 60), 10),
    "ten": Kind("+10% CPU, light load, 20 s", 0.10, 20, 0.30, (3, 3), 15),
    "five": Kind("+5% CPU, light load, 60 s", 0.05, 60, 0.30, (3, 3), 15),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of question about one kind of server."""

    kind: str
    server: Server
    workers: int

    def __str__(self) -> str:
        return f"{self.kind} {self.workers} {self.server}"

    @property
    def vus(self) -> int:
        each, least = KINDS[self.kind].vus
        return max(least, each * self.workers)

    def pause_s(self, most_per_s: float) -> float:
        """Between requests, so that the load is what it should be if so many iterations a second are the most.

        An iteration is a request and a pause at each copy.
        """
        kind = KINDS[self.kind]
        responses = RESPONSES_BUSY if self.kind == "busy" else 1
        return max(0.0, (self.vus / kind.load / 2 - responses) / most_per_s)


CELLS = [Cell(kind, server, workers) for kind in KINDS for workers in WORKERS for server in SERVERS]


def load(urls: tuple[str, str], vus: int, seconds: int, pause_s: float, folder: Path, *flags: str) -> RunResult:
    """Load both copies side by side, with further flags for the command line; what was measured."""
    old, new = urls
    script = folder / "load.py"
    script.write_text(SCRIPT, encoding="utf-8")
    found = folder / "out" / "result.json"
    found.unlink(missing_ok=True)  # of the run before
    command = [
        *FIRST, sys.executable, "-m", "ciload", "run", str(script), "-u", str(vus), "-d", f"{seconds}s", "-q",
        "--base-url", new, "--compare-url", old, "--out-dir", str(folder / "out"), *flags,
    ]  # fmt: skip
    with (folder / "ciload.log").open("wb") as log:
        subprocess.run(
            command, check=False, cwd=ROOT, stdout=log, stderr=log, timeout=seconds + 120,
            env=os.environ | {"PAUSE_S": str(pause_s)},
        )  # fmt: skip
    if not found.exists():
        said = (folder / "ciload.log").read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"ciload left no result. The end of what it said:\n{said[-2000:]}")
    return RunResult.model_validate_json(found.read_text(encoding="utf-8"))


@cache
def most_per_s(server: Server, workers: int) -> float:
    """Iterations a second that two copies can do together, without pauses."""
    with tempfile.TemporaryDirectory() as folder, copies(server, workers, 0.0, Path(folder)) as urls:
        return _most_of(urls, workers, Path(folder))


def _most_of(urls: tuple[str, str], workers: int, folder: Path) -> float:
    return _per_s(load(urls, CALIBRATION_VUS * workers, CALIBRATION_S, 0.0, folder, "--warmup", CALIBRATION_WARMUP))


def _per_s(result: RunResult) -> float:
    assert result.old_arm is not None
    return result.old_arm.iterations / result.load.load_s


def make_run(cell: Cell, keep: Path | None) -> Line:
    """One run, judged; its result is kept in the folder as well, if there is one."""
    kind = KINDS[cell.kind]
    most = None if cell.kind == "busy" else most_per_s(cell.server, cell.workers)
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with copies(cell.server, cell.workers, kind.share, folder) as urls:
            # Near saturation a machine that is a little faster or slower than it was is another load.
            most = most or _most_of(urls, cell.workers, folder)
            result = load(urls, cell.vus, kind.seconds, cell.pause_s(most), folder)
    name = f"{began:%Y%m%d-%H%M%S}-{cell.kind}-{cell.workers}-{cell.server}"
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{name}.json.gz").write_bytes(gzip.compress(result.model_dump_json(by_alias=True).encode()))
    return {
        "run": name, "kind": cell.kind, "workers": cell.workers, "server": cell.server, "seconds": kind.seconds,
        "measured_s": round(result.load.load_s, 1),
        "vus": cell.vus, "per_s": round(_per_s(result), 1),
        "of_most": round(_per_s(result) / most, 3), "commit": commit(), **judged(result),
    }  # fmt: skip


def judged(result: RunResult) -> dict[str, Any]:
    """What the gate says without a tolerance, and of each metric: endpoint, verdict, change, p, what could be found."""
    found = compare_side_by_side([result], WITHOUT_TOLERANCE)
    return {
        "verdict": str(found.verdict),
        "notes": [*filter(None, [found.reason]), *found.notes],
        "metrics": [
            [each.metric, each.endpoint, str(each.verdict), *map(_short, (each.change, each.p_value, each.detectable))]
            for each in found.metrics
        ],
    }


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.3g}")


@cache
def commit() -> str:
    """Of ciload; with a plus if its source differs from that."""
    git = ["git", "-C", str(ROOT)]
    named = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "ciload"], check=False).returncode
    return named.stdout.strip() + ("+" if changed else "")


def next_cell(wanted: Sequence[Cell], lines: Sequence[Line]) -> Cell | None:
    """The one that is furthest behind its goal; None when all have reached theirs."""
    done = Counter(Cell(line["kind"], line["server"], line["workers"]) for line in lines)
    cell = min(wanted, key=lambda each: done[each] / KINDS[each.kind].goal)
    return cell if done[cell] < KINDS[cell.kind].goal else None


def judge_again(lines: Sequence[Line], folder: Path) -> Iterator[Line]:
    """All lines, with the verdicts of this ciload on those runs that are in the folder."""
    for line in lines:
        kept = folder / f"{line['run']}.json.gz"
        if kept.exists():
            result = RunResult.model_validate_json(gzip.decompress(kept.read_bytes()))
            yield line | {"commit": commit(), **judged(result)}
        else:
            yield line


def alarms(line: Line, tolerance: float) -> bool:
    """Whether the gate would call it a regression with this tolerance."""
    return any(
        verdict == "regression" and (change is None or change >= tolerance or "failed" in metric)
        for metric, _, verdict, change, *_ in line["metrics"]
    )


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Alarms without a tolerance and with the default one, by kind of run and kind of server."""
    yield "| runs | servers | of the most | regression, tolerance 0% | 10% | improved | p50 told | alarms of |"
    yield "|---" * 8 + "|"
    for name, kind in KINDS.items():
        mine = [line for line in lines if line["kind"] == name]
        for workers in WORKERS:
            for server in SERVERS:
                these = [line for line in mine if (line["workers"], line["server"]) == (workers, server)]
                if these:
                    yield _row(kind.title, f"{workers} {server}", these)
        for workers in WORKERS:
            if these := [line for line in mine if line["workers"] == workers]:
                yield _row(kind.title, f"**{workers}, both**", these)
        if mine:
            yield _row(kind.title, "**all**", mine)


def _row(title: str, servers: str, lines: Sequence[Line]) -> str:
    alarmed = [share_text(sum(alarms(line, tolerance) for line in lines), len(lines)) for tolerance in (0.0, TOLERANCE)]
    improved = sum(line["verdict"] == "improved" for line in lines)
    medians = [change for line in lines for metric, _, _, change, *_ in line["metrics"] if metric == "p50"]
    told = [each for each in medians if each is not None]
    blame = Counter(metric for line in lines for metric, _, verdict, *_ in line["metrics"] if verdict == "regression")
    reached = sorted(line["of_most"] for line in lines)[len(lines) // 2]
    size = f"{sum(told) / len(told):+.1%}" if told else "-"
    by_metric = ", ".join(f"{metric} {number}" for metric, number in blame.most_common())
    return f"| {title} | {servers} | {reached:.0%} | {alarmed[0]} | {alarmed[1]} | {improved} | {size} | {by_metric} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no run after so long (default: 60)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each run's result there")
    parser.add_argument("--judge-again", action="store_true", help="make no run: judge those in the folder once more")
    parser.add_argument("--only", default="", help='cells whose name contains this, such as "2 sync" or "same"')
    parser.add_argument("--file", type=Path, default=LINES, help=f"(default: {LINES.relative_to(ROOT)})")
    arguments = parser.parse_args()
    if arguments.judge_again and arguments.keep is None:
        parser.error("--judge-again needs --keep: the folder with the runs")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the copies end as well
    if arguments.judge_again:
        rewrite(arguments.file, list(judge_again(read(arguments.file), arguments.keep)))
    else:
        wanted = [cell for cell in CELLS if arguments.only in str(cell)]
        until = time.monotonic() + 60 * arguments.minutes
        while time.monotonic() < until and (cell := next_cell(wanted, read(arguments.file))):
            line = make_run(cell, arguments.keep)
            add(arguments.file, line)
            print(f"{line['run']}: {line['verdict']}, {line['of_most']:.0%} of the most", file=sys.stderr, flush=True)
    print("\n".join(table(read(arguments.file))))


if __name__ == "__main__":
    main()
