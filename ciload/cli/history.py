"""What `ciload baseline` and `ciload accept` do and print. All text of the file may be hostile."""

from __future__ import annotations

import getpass
import math
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from ciload.errors import UsageError
from ciload.gate import levels as of
from ciload.gate.document import Acceptance, Baseline, StoredRun
from ciload.gate.store import printable, read_baseline, update
from ciload.reports.format import format_share, format_value
from ciload.reports.terminal import Printable
from ciload.result.document import Fingerprint
from ciload.secrets import without_secrets

USERS = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID")
COLUMNS = ("run", "when (UTC)", "commit", "branch", "level", "state", "requests", "p(50)", "p(95)", "failed")
RIGHT_FROM = 6
LONGEST_REASON = 1_000


def shown(place: str) -> Iterable[Printable]:
    """The runs and levels of each kind, newest kind last."""
    baseline = _existing(place)
    if not baseline.runs:
        yield Text(f"\n  {printable(place)} holds no runs")
    for kind in of.kinds(baseline):
        yield from _kind(baseline, kind)


def pruned(file: str, keep: int) -> Iterable[Printable]:
    """Prune the file; answers what to say of it."""
    before = 0

    def change(baseline: Baseline) -> Baseline:
        nonlocal before
        before = len(baseline.runs)
        return of.prune(baseline, keep=keep)

    after = len(_change(file, change).runs)
    return [Text(f"{printable(file)}: {before - after} runs removed, {after} left")]


def merged(file: str, others: Sequence[str]) -> Iterable[Printable]:
    """Merge others into the file, which may be new; answers what to say of it."""
    added = [_existing(other) for other in others]

    def change(baseline: Baseline) -> Baseline:
        for other in added:
            baseline = of.merge(baseline, other)
        return baseline

    return [Text(f"{printable(file)}: {len(update(file, change).runs)} runs")]


def accepted(file: str, reason: str, by: str, run: str) -> Iterable[Printable]:
    """Accept the latest alarms; answers which, and how far the level moved."""
    reason, who = reason.strip(), (by.strip() or _user())[:LONGEST_REASON]
    if not 0 < len(reason) <= LONGEST_REASON:
        raise UsageError(f"--reason: say why, in up to {LONGEST_REASON} characters; later readers will want to know")
    runs: list[StoredRun] = []

    def change(baseline: Baseline) -> Baseline:
        changed, taken = of.accept(baseline, by=who, reason=reason, at=datetime.now(UTC), run_id=run or None)
        runs.extend(taken)
        return changed

    baseline = _change(file, change)
    yield Text(f"\n  accepted by {printable(who)}: {printable(reason, LONGEST_REASON)}", style="bold")
    for kind in of.kinds(baseline):
        if mine := [each for each in runs if each.fingerprint == kind]:
            yield _title(kind)
            yield _rows(mine, {}, ())
            yield from _moved(of.levels(baseline, kind))
    yield Text(f"\n  From now on runs are compared with this new level. Keep {printable(file)}, as after a run.")


def _change(file: str, change: Callable[[Baseline], Baseline]) -> Baseline:
    _existing(file)  # update() would make the file
    return update(file, change)


def _existing(place: str) -> Baseline:
    baseline = read_baseline(place)
    if baseline is None:
        raise UsageError(
            f"{printable(without_secrets(place))}: there is no such file; a run with --save-baseline makes one"
        )
    return baseline


def _user() -> str:
    for variable in USERS:
        if name := os.environ.get(variable, "").strip():
            return name
    try:
        git = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607
            capture_output=True, text=True, errors="replace", timeout=5, check=False,
        )  # fmt: skip
        if name := git.stdout.strip():
            return name
    except (OSError, subprocess.SubprocessError):
        pass
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        raise UsageError("who accepts this? give --by NAME") from None


# --- text


def _kind(baseline: Baseline, kind: Fingerprint) -> Iterator[Printable]:
    levels = of.levels(baseline, kind)
    number = {run.run_id: str(n) for n, level in enumerate(levels, 1) for run in level}
    runs = sorted((run for run in baseline.runs if run.fingerprint == kind), key=lambda run: (run.at, run.run_id))
    alarms = of.recent_alarms(baseline, kind)
    yield _title(kind)
    yield _rows(runs, number, [run.run_id for run in alarms])
    ids = {run.run_id for run in runs}
    for acceptance in baseline.acceptances:
        if not ids.isdisjoint(acceptance.run_ids):
            yield Text(f"    {_said(acceptance, number)}")
    yield from _moved(levels)
    if len(alarms) >= of.SHIFT:
        yield Text(
            f"    the last {len(alarms)} runs are all {alarms[-1].alarm}: the level has shifted; "
            "`ciload accept` makes it the new one",
            style="yellow",
        )


def _title(kind: Fingerprint) -> Text:
    parts = (kind.scenario, kind.target, f"load {kind.load}", f"runner {kind.runner}", f"ciload {kind.ciload}")
    name, *rest = (printable(part, 60) for part in parts)
    return Text.assemble((f"\n  {name}", "bold"), "".join(f" · {each}" for each in rest))


def _said(acceptance: Acceptance, number: dict[str, str]) -> str:
    level = next((number[run_id] for run_id in acceptance.run_ids if run_id in number), "?")
    who, why = printable(acceptance.by, 60), printable(acceptance.reason, LONGEST_REASON)
    return f"level {level} accepted by {who} on {_when(acceptance.at)}: {why}"


def _rows(runs: Iterable[StoredRun], number: dict[str, str], alarms: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", width=2)
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if index >= RIGHT_FROM else "left", overflow="fold", max_width=60)
    for run in runs:
        total = run.total
        table.add_row(
            "", Text(printable(run.run_id, 12)), _when(run.at), Text(printable(run.commit or "-")[:8]),
            Text(printable(run.branch or "-", 30)), number.get(run.run_id, ""), _state(run, run.run_id in alarms),
            f"{total.requests:,}", format_value(total.p50, "ms"), format_value(total.p95, "ms"),
            format_share(total.failed, total.requests),
        )  # fmt: skip
    return table


def _state(run: StoredRun, recent: bool) -> Text:
    if run.tainted:
        return Text(f"tainted: {printable('; '.join(run.tainted))}", style="dim")
    if run.accepted:
        return Text("accepted" + f", was {run.alarm}" * bool(run.alarm), style="green")
    return Text(f"alarm: {run.alarm}" if run.alarm else "not accepted", style="red" if recent else "")


def _moved(levels: Sequence[Sequence[StoredRun]]) -> Iterator[Text]:
    if len(levels) < 2:
        return
    before, after = levels[-2:]
    said = []
    for name in ("p50", "p95"):
        old, new = _mean(before, name), _mean(after, name)
        if old and new:
            said.append(f"{name} {format_value(old, 'ms')} → {format_value(new, 'ms')} ({new / old - 1:+.1%})")
    yield Text(f"    level {len(levels)} against level {len(levels) - 1}: {', '.join(said) or 'no times to compare'}")


def _mean(runs: Sequence[StoredRun], name: str) -> float | None:
    values = [value for run in runs if (value := getattr(run.total, name))]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def _when(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
