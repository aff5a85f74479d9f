"""The scoreboard as a table for the terminal, as markdown, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import resource
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rounds import Run
from benchmarks.scores import Goal, Ratio, Score

COLUMNS = ("scenario", "generator", "requests per CPU s", "requests/s", "peak RSS MB", "ciload does", "goal")
NUMBERS = range(2, 6)  # the columns that are aligned to the right
NAMES = {
    "same": "ciload, the same head each time,",
    "get": "ciload with http.get",
    "httpx": "httpx alone, nothing measured,",
    "k9": "k9-load",
    "locust": "Locust FastHttpUser",
}
OWN_RSS_MB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # what a child's peak starts from


def table(scores: Sequence[Score], versions: Mapping[str, str]) -> str:
    """Aligned columns, with a line between scenarios."""
    lines = rows(scores, versions)
    widths = [max(len(line[column]) for line in [COLUMNS, *lines]) for column in range(len(COLUMNS))]
    rule = "  ".join("─" * width for width in widths)
    text = [aligned(COLUMNS, widths)]
    for number, line in enumerate(lines):
        if number == 0 or line[0]:
            text.append(rule)
        text.append(aligned(line, widths))
    return "\n".join(text)


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column in NUMBERS else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def markdown(scores: Sequence[Score], versions: Mapping[str, str]) -> str:
    marks = ["--:" if column in NUMBERS else "---" for column in range(len(COLUMNS))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [COLUMNS, marks, *rows(scores, versions)])


def rows(scores: Sequence[Score], versions: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The cells. A scenario's title stands in its first row only."""
    titles = [score.title for score in scores]
    return [
        (
            "" if number and titles[number - 1] == score.title else score.title,
            f"{NAMES.get(score.generator, score.generator)} {versions[score.generator]}",
            *numbers(score),
            ratio_cell(score.ratio),
            goal_cell(score.goal),
        )
        for number, score in enumerate(scores)
    ]


def numbers(score: Score) -> tuple[str, str, str]:
    if score.per_cpu_s is None or score.per_s is None or score.peak_rss_mb is None:
        return ("failed", "", "")
    # A peak as small as this process was when it started the child may be this process's own.
    peak = f"< {OWN_RSS_MB:.0f}" if score.peak_rss_mb < OWN_RSS_MB * 1.2 else f"{score.peak_rss_mb:.0f}"
    return (f"{score.per_cpu_s:,.0f}", f"{score.per_s:,.0f}", peak)


def ratio_cell(ratio: Ratio | None) -> str:
    return f"{ratio.median:.2f}x ({ratio.lowest:.2f} to {ratio.highest:.2f})" if ratio else ""


def goal_cell(goal: Goal | None) -> str:
    if goal is None:
        return ""
    return f"{goal.text}: {'no result' if goal.met is None else 'met' if goal.met else 'not met'}"


def failures(runs: Sequence[Run]) -> str:
    """What went wrong in each run that did not count, with the generator's last words."""
    return "\n\n".join(
        f"FAILED: {run.generator}, scenario {run.scenario}, {f'round {run.round}' if run.round else 'warm-up'}: "
        f"{'; '.join(run.problems)}\n{indented(run.last_lines)}"
        for run in runs
        if not run.ok
    )


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()) or "    (no output)"


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return {
        "CPU": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def document(
    scores: Sequence[Score], runs: Sequence[Run], versions: Mapping[str, str], facts: Mapping[str, str]
) -> str:
    """Everything that was measured, run by run, as JSON."""
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": dict(facts),
        "versions": dict(versions),
        "scores": [dataclasses.asdict(score) for score in scores],
        "runs": [run_entry(run) for run in runs],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def run_entry(run: Run) -> dict[str, object]:
    return {
        "scenario": run.scenario,
        "generator": run.generator,
        "round": run.round,
        "seconds": run.seconds,
        "requests": run.tally.requests,
        "failures": run.tally.failures,
        "cpu_s": round(run.usage.cpu_s, 3),
        "wall_s": round(run.usage.wall_s, 3),
        "peak_rss_mb": round(run.peak_rss_mb, 1),
        "requests_per_cpu_s": round(run.per_cpu_s, 1),
        "problems": list(run.problems),
    }
