"""How often side by side alarms, rightly and falsely, when servers are queues: `make gate-queues`.

    python -m benchmarks.queue_rates rates.jsonl [--runs 100] [--minutes 10] [--only "2 pinned"] [--shifts 0,0.05,0.1]

Simulated runs of every combination of workers, load, ways to reach a worker and troubles, judged by the gate without a
tolerance. What was counted is appended to the file, a line for each cell and batch of seeds; what is there already is
not done again, so the command can be stopped at any time, and more runs only add to those before. An engine that does
not renew connections is simulated with `--keep-connections`, one that always loads both together with `--together`.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.counted import add, read, share_text, wilson
from ciload.gate.alarms import Terms
from ciload.gate.side_by_side import compare_blocks
from ciload.result.comparison import GateVerdict
from tests.gate.queue_model import Arrivals, QueueModel, Reach

REACH: tuple[Reach, ...] = ("pinned", "shared")
ARRIVALS: tuple[Arrivals, ...] = ("closed", "poisson")
WORKERS = (1, 2, 4, 8)
LOADS = (0.3, 0.6, 0.95, 1.0)
TROUBLES: dict[str, dict[str, Any]] = {
    "none": {},
    "GC": {"gc_pause_s": 0.05, "gc_every_s": 2.0},
    "warm-up": {"warm_new": 1.0, "warm_decay_s": 2.0},
    "cold workers": {"first_s": 0.5},
    "shared cache": {"cache": 0.6},
    "pinned CPUs": {"cpu_spread": 0.15},
}
FACTORS = ("workers", "reach", "load", "trouble", "load and trouble")
SHIFTS = (0.0, 0.05, 0.10)
BATCH = 25  # runs between two looks at the clock
TOLERANCE = 0.10
STATED = 0.015  # the most that a cell may alarm falsely
WITHOUT_TOLERANCE = Terms(tolerance=0.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of workers, way to reach one, load, arrivals and trouble."""

    model: QueueModel
    trouble: str

    @property
    def name(self) -> str:
        model, load = self.model, _load_text(self.model.load)
        known = [] if model.renew else ["kept"]
        known += [] if model.apart else ["together"]
        words = (model.workers, model.reach, load, model.arrivals, self.trouble, model.seconds, "s", *known)
        return " ".join(map(str, words))

    @property
    def factors(self) -> Iterator[tuple[str, str]]:
        """What rates may depend on."""
        load = f"{_load_text(self.model.load)} {self.model.arrivals}"
        yield "workers", str(self.model.workers)
        yield "reach", self.model.reach
        yield "load", load
        yield "trouble", self.trouble
        yield "load and trouble", f"{load}, {self.trouble}"


def _load_text(load: float) -> str:
    return f"{load:.0%}" if load < 1 else "saturated"


def cells(*, renew: bool = True, apart: bool = True, seconds: int = 20) -> Iterator[Cell]:
    """All combinations: workers, load, model of arrivals, way to reach a worker, trouble."""
    for trouble, load, arrivals, reach, workers in product(TROUBLES, LOADS, ARRIVALS, REACH, WORKERS):
        model = QueueModel(
            workers=workers, reach=reach, load=load, arrivals=arrivals, seconds=seconds, renew=renew,
            apart=apart, **TROUBLES[trouble],
        )  # fmt: skip
        yield Cell(model, trouble)


def count(model: QueueModel, seeds: Sequence[int]) -> dict[str, Any]:
    """What the gate says of these runs: how many alarm, by metric as well, and the sizes told, as a median."""
    alarms = beyond = improved = 0
    by_metric: Counter[str] = Counter()
    changes: list[float] = []
    for seed in seeds:
        found = compare_blocks([model.run(seed).blocks], WITHOUT_TOLERANCE)
        regressed = [each for each in found if each.verdict is GateVerdict.REGRESSION]
        alarms += bool(regressed)
        beyond += any(each.unit == "share" or each.change is None or each.change >= TOLERANCE for each in regressed)
        improved += any(each.verdict is GateVerdict.IMPROVED for each in found)
        by_metric.update({each.metric for each in regressed})
        changes += [each.change for each in found if each.metric == "p50" and each.change is not None]
    return {
        "runs": len(seeds), "alarms": alarms, "beyond_tolerance": beyond, "improved": improved,
        "by_metric": dict(by_metric), "p50_change": round(median(changes), 4) if changes else None,
    }  # fmt: skip


def fill(path: Path, wanted: Sequence[Cell], shifts: Sequence[float], runs: int, until: float) -> None:
    """Simulate what the file lacks, the cells that have least first, until the time is over."""
    done: Counter[tuple[str, float]] = Counter()
    for line in read(path):
        done[line["cell"], line["shift"]] += line["runs"]
    for least in range(0, runs, BATCH):
        for shift, cell in product(shifts, wanted):
            begin = done[cell.name, shift]
            if begin > least or begin >= runs:
                continue
            if time.monotonic() > until:
                return
            seeds = range(begin, min(begin + BATCH, runs))
            add(path, {"cell": cell.name, "shift": shift, **count(replace(cell.model, shift=shift), seeds)})
            done[cell.name, shift] += len(seeds)


def table(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Rates by cell. Marked: those that surely (95%) alarm falsely more often than stated."""
    shifts = sorted({line["shift"] for line in lines})
    yield "| cell | " + " | ".join(_title(shift) for shift in shifts) + " | false alarms of |"
    yield "|---" * (len(shifts) + 2) + "|"
    for cell in dict.fromkeys(line["cell"] for line in lines):
        mine = [line for line in lines if line["cell"] == cell]
        shares = [_share([line for line in mine if line["shift"] == shift]) for shift in shifts]
        by_metric: Counter[str] = Counter()
        for line in mine:
            if line["shift"] == 0:
                by_metric.update(line["by_metric"])
        blame = ", ".join(f"{metric} {number}" for metric, number in by_metric.most_common())
        yield f"| {cell} | " + " | ".join(shares) + f" | {blame} |"
    same = [line for line in lines if line["shift"] == 0]
    yield f"| all | {' | '.join(_share([line for line in lines if line['shift'] == shift]) for shift in shifts)} | |"
    counts: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    for line in same:
        counts[line["cell"]] += line["runs"]
        alarms[line["cell"]] += line["alarms"]
    over = sum(alarms[cell] > STATED * counts[cell] for cell in counts)
    sure = sum(wilson(alarms[cell], counts[cell])[0] > STATED for cell in counts)
    yield f"\n{over} of {len(counts)} cells alarmed falsely in more than {STATED:.1%} of runs, {sure} of them surely"


def by_factor(wanted: Sequence[Cell], lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The same rates of all cells that have something in common."""
    shifts = sorted({line["shift"] for line in lines})
    yield "| of all cells with | " + " | ".join(_title(shift) for shift in shifts) + " |"
    yield "|---" * (len(shifts) + 1) + "|"
    groups: dict[tuple[str, str], set[str]] = {}
    for cell in wanted:
        for common in cell.factors:
            groups.setdefault(common, set()).add(cell.name)
    for (factor, value), group in sorted(groups.items(), key=lambda each: FACTORS.index(each[0][0])):
        mine = [line for line in lines if line["cell"] in group]
        shares = [_share([line for line in mine if line["shift"] == shift]) for shift in shifts]
        yield f"| {factor}: {value} | {' | '.join(shares)} |"


def _title(shift: float) -> str:
    return f"+{shift:.0%} found" if shift else "false alarms (beyond 10%), improved"


def _share(lines: Sequence[dict[str, Any]]) -> str:
    if not lines:
        return "-"
    runs, alarms, beyond, improved = (
        sum(line[key] for line in lines) for key in ("runs", "alarms", "beyond_tolerance", "improved")
    )
    text = share_text(alarms, runs)
    if lines[0]["shift"]:
        sizes = [line["p50_change"] for line in lines if line["p50_change"] is not None]
        return f"{text}, p50 {median(sizes):+.1%}" if sizes else text
    mark = "**" if wilson(alarms, runs)[0] > STATED else ""
    return f"{mark}{text}{mark} ({beyond}), {improved}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="JSON lines; made if it is not there")
    parser.add_argument("--runs", type=int, default=100, help="of each cell (default: 100)")
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after so long (default: 10)")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--seconds", type=int, default=20, help="of a run (default: 20)")
    parser.add_argument("--shifts", default=",".join(map(str, SHIFTS)), help="how much slower the new copy is")
    parser.add_argument("--keep-connections", action="store_true")
    parser.add_argument("--together", action="store_true")
    arguments = parser.parse_args()
    every = cells(renew=not arguments.keep_connections, apart=not arguments.together, seconds=arguments.seconds)
    wanted = [cell for cell in every if arguments.only in cell.name]
    until = time.monotonic() + 60 * arguments.minutes
    fill(arguments.file, wanted, [float(shift) for shift in arguments.shifts.split(",")], arguments.runs, until)
    names = {cell.name for cell in wanted}
    lines = [line for line in read(arguments.file) if line["cell"] in names]
    print("\n".join([*table(lines), "", *by_factor(wanted, lines)]))


if __name__ == "__main__":
    main()
