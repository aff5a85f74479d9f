"""`ciload baseline`: look at the file that earlier runs were saved in, and keep it in order.

All text of the file may be hostile.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.text import Text

from ciload.cli.command import exit_code_of, show_parts
from ciload.errors import ExitCode, UsageError
from ciload.gate import levels as of
from ciload.gate.document import Acceptance, Baseline, StoredRun
from ciload.gate.gates import ELSEWHERE
from ciload.gate.store import parse_baseline, read_baseline, update
from ciload.reports.format import format_share, format_value
from ciload.reports.terminal import Grid, Printable, grid, line
from ciload.result.document import Fingerprint
from ciload.secrets import without_secrets
from ciload.text import one_line

COLUMNS = ("run", "when (UTC)", "commit", "branch", "level", "state", "requests", "p(50)", "p(95)", "failed")
RIGHT_FROM = 6
LONGEST_REASON = 1_000


def show_command(place: str) -> int:
    """Print the runs and levels of each kind, the kind that was run last at the end."""

    def act() -> int:
        show_parts(_describe(existing_baseline(place), place))
        return ExitCode.PASSED

    return exit_code_of(act)


def prune_command(file: str, keep: int) -> int:
    """Prune the file, and print how many runs are gone."""

    def act() -> int:
        removed, left = prune_file(file, keep)
        show_parts([line(f"{one_line(file)}: {removed} runs removed, {left} left")])
        return ExitCode.PASSED

    return exit_code_of(act)


def merge_command(file: str, others: Sequence[str]) -> int:
    """Merge the others into the file, and print how many runs it has."""

    def act() -> int:
        show_parts([line(f"{one_line(file)}: {len(merge_files(file, others).runs)} runs")])
        return ExitCode.PASSED

    return exit_code_of(act)


def prune_file(file: str, keep: int) -> tuple[int, int]:
    """Keep the newest runs of each kind; answers how many are gone, and how many are left."""
    before = 0

    def change(baseline: Baseline) -> Baseline:
        nonlocal before
        before = len(baseline.runs)
        return of.prune(baseline, keep=keep)

    after = len(change_file(file, change).runs)
    return before - after, after


def merge_files(file: str, others: Sequence[str]) -> Baseline:
    """Merge others into the file, which may be new; answers what it holds now."""
    added = [existing_baseline(other) for other in others]

    def change(baseline: Baseline) -> Baseline:
        for other in added:
            baseline = of.merge(baseline, other)
        return baseline

    return update(file, change)


def change_file(file: str, change: Callable[[Baseline], Baseline]) -> Baseline:
    """Change a file that exists already; answers what it holds now."""
    existing_baseline(file)  # update() would make the file
    return update(file, change)


def existing_baseline(place: str) -> Baseline:
    """The baseline at a path, at a URL, or where the CI keeps it. What nobody has made there yet holds nothing.

    Raises:
        UsageError: there is none.
        BaselineError: it cannot be read.
    """
    baseline = baseline_at(place)
    if baseline is not None:
        return baseline
    if place.startswith(ELSEWHERE):
        return Baseline()
    raise UsageError(f"{one_line(without_secrets(place))}: there is no such file; a run with --save-baseline makes one")


def baseline_at(place: str) -> Baseline | None:
    """The baseline at a path, at a URL, or where the CI keeps it; None when there is none yet.

    Raises:
        BaselineError: it cannot be read.
    """
    if not place.startswith(ELSEWHERE):
        return read_baseline(place)
    from ciload.ci.places import CiPlaces  # late: few are there

    data = CiPlaces(os.environ).fetch(place)
    return None if data is None else parse_baseline(data, one_line(place))


# --- text


def _describe(baseline: Baseline, place: str) -> Iterator[Printable]:
    if not baseline.runs:
        yield line(f"  {one_line(without_secrets(place))} holds no runs")
    for kind in of.kinds(baseline):
        yield from _kind(baseline, kind)


def _kind(baseline: Baseline, kind: Fingerprint) -> Iterator[Printable]:
    levels = of.levels(baseline, kind)
    number = {run.run_id: str(n) for n, level in enumerate(levels, 1) for run in level.runs}
    runs = sorted((run for run in baseline.runs if run.fingerprint == kind), key=lambda run: (run.at, run.run_id))
    alarms = of.recent_alarms(baseline, kind)
    yield from kind_title(kind)
    yield run_table(runs, number, [run.run_id for run in alarms])
    ids = {run.run_id for run in runs}
    for acceptance in baseline.acceptances:
        if not ids.isdisjoint(acceptance.run_ids):
            yield line(f"    {_describe_acceptance(acceptance, number)}")
    yield from describe_level(levels)
    if len(alarms) >= of.SHIFT:
        yield line(
            f"    the last {len(alarms)} runs are all {alarms[-1].alarm}: the level has shifted; "
            "`ciload accept` makes it the new one",
            "yellow",
        )


def kind_title(kind: Fingerprint) -> Iterator[Printable]:
    """What runs of one kind have in common."""
    parts = (kind.scenario, kind.target, f"load {kind.load}", f"runner {kind.runner}", f"ciload {kind.ciload}")
    name, *rest = (one_line(part, 60) for part in parts)
    yield ""
    yield Text.assemble((f"  {name}", "bold"), "".join(f" · {each}" for each in rest))


def _describe_acceptance(acceptance: Acceptance, number: dict[str, str]) -> str:
    level = next((number[run_id] for run_id in acceptance.run_ids if run_id in number), "?")
    who, why = one_line(acceptance.by, 60), one_line(acceptance.reason, LONGEST_REASON)
    return f"level {level} accepted by {who} on {_when(acceptance.at)}: {why}"


def run_table(runs: Iterable[StoredRun], number: dict[str, str], alarms: Sequence[str]) -> Grid:
    """A row for each run. `number` has the level of those that count, `alarms` the ids of recent ones."""
    table = grid(COLUMNS, RIGHT_FROM)
    for run in runs:
        total = run.total
        table.add_row(
            "", one_line(run.run_id, 12), _when(run.at), one_line(run.commit or "-")[:8],
            one_line(run.branch or "-", 30), number.get(run.run_id, ""),
            _state(run, recent=run.run_id in alarms, counts=run.run_id in number), f"{total.requests:,}",
            format_value(total.p50, "ms"), format_value(total.p95, "ms"), format_share(total.failed, total.requests),
        )  # fmt: skip
    return table


def _state(run: StoredRun, *, recent: bool, counts: bool) -> Text:
    if run.tainted:
        return Text(f"tainted: {one_line('; '.join(run.tainted))}", style="dim")
    if run.accepted:
        return Text("accepted" + f", was {run.alarm}" * bool(run.alarm), style="green")
    if counts:  # it ended by itself, or is one of the runs with which the level moved by itself
        return Text(f"alarm: {run.alarm}, counts")
    return Text(f"alarm: {run.alarm}" if run.alarm else "not accepted", style="red" if recent else "")


def describe_level(levels: Sequence[of.Level]) -> Iterator[Text]:
    """How far the last level is from the one before it; nothing when there is only one."""
    if len(levels) < 2:
        return
    before, after = (level.runs for level in levels[-2:])
    changes = []
    for name in ("p50", "p95"):
        old, new = _mean(before, name), _mean(after, name)
        if old and new:
            changes.append(f"{name} {format_value(old, 'ms')} → {format_value(new, 'ms')} ({new / old - 1:+.1%})")
    compared = ", ".join(changes) or "no times to compare"
    moved = "; it began by itself, as runs were better" if levels[-1].by_itself else ""
    yield line(f"    level {len(levels)} against level {len(levels) - 1}: {compared}{moved}")


def _mean(runs: Sequence[StoredRun], name: str) -> float | None:
    values = [value for run in runs if (value := getattr(run.total, name))]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def _when(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
