"""What a gate found, in words and numbers: the same on the console, in markdown and in JUnit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from ciload.reports.format import format_share, format_value
from ciload.result.comparison import (
    NOT_KNOWN,
    Comparison,
    Contribution,
    GatedMetric,
    GateVerdict,
    RunReference,
    points,
    relative,
)
from ciload.text import one_line, request_label

NONE = NOT_KNOWN
BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 20
CALM = 0.25  # a range smaller than this part of the values does not fill the height, or noise would look like mountains
LARGEST_BAR = 1e300  # sums of larger values may be infinite
LONGEST_PLACE = 120
LONGEST_LABEL = 250
LONGEST_REASON = 400
COMMIT_DIGITS = 7
TOO_FEW = "with too few requests"
ORDER = (
    GateVerdict.REGRESSION, GateVerdict.MISSING, GateVerdict.INCONCLUSIVE, GateVerdict.SUSPICIOUS,
    GateVerdict.IMPROVED, GateVerdict.UNSUSPICIOUS, GateVerdict.OK,
)  # fmt: skip
MARKS = {
    GateVerdict.REGRESSION: "✗", GateVerdict.OK: "✓", GateVerdict.UNSUSPICIOUS: "✓", GateVerdict.SUSPICIOUS: "?",
    GateVerdict.INCONCLUSIVE: "?", GateVerdict.MISSING: "?",
}  # fmt: skip
OPEN = {GateVerdict.INCONCLUSIVE, GateVerdict.SUSPICIOUS}
GREEN = {GateVerdict.OK, GateVerdict.UNSUSPICIOUS}


# --- cells


def verdict_cell(metric: GatedMetric) -> str:
    """A mark and the word: `✗ regression`, `▼ improved`. The triangle points where the number went."""
    mark = MARKS.get(metric.verdict) or ("▲" if _rise_is_good(metric) else "▼")
    return f"{mark} {metric.verdict}"


def value_cell(value: float | None, unit: str) -> str:
    """A value as it is written elsewhere; a share as a percentage."""
    if value is None or not math.isfinite(value):
        return NONE
    return format_share(value, 1) if unit == "share" else format_value(value, unit)


def change_cell(change: float | None) -> str:
    """A relative change, such as `+23%`, `-4.2%` or `14 times`."""
    return NONE if change is None else relative(change)


def changes_of(metric: GatedMetric, *changes: float | None) -> list[str]:
    """Changes of a metric as it counts them: relative ones, or percentage points of a share."""
    in_words = points if metric.unit == "share" else relative
    return [NONE if each is None else in_words(each) for each in changes]


def interval_cell(metric: GatedMetric) -> str:
    """Where the change is: `+8.0% … +17%`."""
    if metric.low is None and metric.high is None:
        return NONE
    return " … ".join(changes_of(metric, metric.low, metric.high))


def sparkline(history: Sequence[float]) -> str:
    """The last values as bars, this run's at the end."""
    values = [value for value in history[-MOST_BARS:] if abs(value) < LARGEST_BAR]
    if len(values) < 2:
        return ""
    lowest, highest = min(values), max(values)
    span = max(highest - lowest, CALM * abs(highest))
    floor = (lowest + highest - span) / 2
    heights = ((value - floor) / span if span else 0.4 for value in values)
    return "".join(BARS[min(len(BARS) - 1, int(height * len(BARS)))] for height in heights)


def signed_ms(value: float) -> str:
    """`+12.3ms`, `-45µs`."""
    return ("-" if value < 0 else "+" if value > 0 else "") + value_cell(abs(value), "ms")


def short(text: str, most: int) -> str:
    """One line whose middle gives way: of URLs, the end tells more than the middle."""
    line = one_line(text, 2_000)
    return line if len(line) <= most else f"{line[: most // 2]}…{line[-(most - most // 2 - 1) :]}"


def label(part: GatedMetric | Contribution, most: int) -> str:
    """The endpoint, as a line that fits a column."""
    return short(request_label(part.method, part.endpoint), most) or "all requests"


# --- order


def by_importance(metrics: Iterable[GatedMetric]) -> list[GatedMetric]:
    """Regressions first, the worst of them at the top; then what nobody knows, what is better, and the rest.

    Within a verdict that is not a regression, all requests together come before endpoints.
    """
    return sorted(metrics, key=_importance)


def _importance(metric: GatedMetric) -> tuple[int, float]:
    if metric.verdict is GateVerdict.REGRESSION:
        return 0, -abs(metric.change or 0.0)
    return ORDER.index(metric.verdict), float(metric.endpoint != "")


def is_empty(metric: GatedMetric) -> bool:
    """A share that was 0 and still is: a row of noughts, which says nothing."""
    return metric.unit == "share" and metric.old == 0 and metric.new == 0


def _rise_is_good(metric: GatedMetric) -> bool:
    return metric.unit == "/s"


def fold_reasons(comparison: Comparison, named: int = 2) -> list[tuple[str, str]]:
    """Of rows without a clear answer: who has a reason, and which. Each reason is given once."""
    rows: dict[str, list[str]] = {}
    for each in by_importance(comparison.metrics):
        if each.verdict in OPEN and each.reason not in ("", comparison.reason):
            rows.setdefault(one_line(each.reason, LONGEST_REASON), []).append(f"{label(each, 48)} {each.metric}")
    return [
        (", ".join(names[:named]) + (f" and {len(names) - named} more" if len(names) > named else ""), reason)
        for reason, names in rows.items()
    ]


def counted(metrics: Iterable[GatedMetric]) -> str:
    """`20 ok, 3 nothing suspicious, 2 with too few requests`, the more important first."""
    counts: Counter[str] = Counter(each.verdict if each.decides else TOO_FEW for each in metrics)
    return ", ".join(f"{counts[name]} {name}" for name in (*ORDER, TOO_FEW) if counts[name])


# --- sentences


def title(comparison: Comparison) -> str:
    """Which gate this is."""
    return "Regression gate, side by side" if comparison.gate == "side by side" else "Regression gate, against history"


def finding(comparison: Comparison) -> str:
    """What the verdict means, in a sentence without an end."""
    total = len(comparison.deciding)
    counts = Counter(each.verdict for each in comparison.metrics)
    of_total = f"of {total} metrics"
    worse, better = counts[GateVerdict.REGRESSION], counts[GateVerdict.IMPROVED]
    small = len(comparison.metrics) - total
    few = f"; {_times(small, 'metric')} with too few requests left out" if small else ""
    sentences = {
        GateVerdict.REGRESSION: f"{worse} {of_total} got worse, more than noise explains",
        GateVerdict.INCONCLUSIVE: comparison.undecided,
        GateVerdict.SUSPICIOUS: f"{counts[GateVerdict.SUSPICIOUS]} {of_total} may have got worse, and one run alone "
        "cannot tell it from noise",
        GateVerdict.UNSUSPICIOUS: f"no sign that any {of_total} got worse{_seen(comparison)}",
        GateVerdict.IMPROVED: f"{better} {of_total} got better, and no regression was found",
        GateVerdict.OK: f"none {of_total} got worse by {_percent(comparison.tolerance)} or more" if total else "",
        GateVerdict.MISSING: "" if comparison.reason else "nothing was compared",
    }
    sentence = sentences[comparison.verdict]
    return ": ".join(filter(None, (sentence, one_line(comparison.reason, LONGEST_REASON)))) + few


def _seen(comparison: Comparison) -> str:
    """What a clear answer would have taken: the smallest change of the first metric that had been found."""
    first = next((each for each in comparison.deciding if each.detectable is not None), None)
    if first is None:
        return ""
    return (
        f" (could have seen {changes_of(first, first.detectable)[0]} of {label(first, LONGEST_LABEL)} {first.metric})"
    )


def verdict_word(comparison: Comparison) -> str:
    """The verdict as headings say it."""
    if comparison.verdict is GateVerdict.MISSING and comparison.gate == "side by side":
        return "nothing to compare with"
    return comparison.verdict


def _times(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{round(share * 100, 2):g}%"


def compared_with(comparison: Comparison) -> str:
    """`against 12 runs from 2026-11-03 to 2026-11-20 (1a2b3c4…9f8e7d6) in baseline.json`, or against what else."""
    against = short(comparison.against, LONGEST_PLACE)
    if comparison.gate == "side by side":
        pairs = f" in {_times(comparison.blocks, 'pair')} of blocks" if comparison.blocks is not None else ""
        return f"against {against}{pairs}"
    if not comparison.runs:
        return f"against {against}"
    return f"against {_times(len(comparison.runs), 'run')} {_period(comparison.runs)} in {against}"


def _period(runs: Sequence[RunReference]) -> str:
    first, last = day(runs[0].at), day(runs[-1].at)
    when = f"of {first}" if first == last else f"from {first} to {last}"
    commits = [commit for each in runs if (commit := short_commit(each.commit))]
    if not commits:
        return when
    return f"{when} ({commits[0]})" if commits[0] == commits[-1] else f"{when} ({commits[0]}…{commits[-1]})"


def day(at: str) -> str:
    """The date of an ISO 8601 time; what is none is shown as it is."""
    try:
        return datetime.fromisoformat(at).date().isoformat()
    except ValueError:
        return one_line(at, 40) or NONE


def short_commit(commit: str | None) -> str:
    """The first digits of a commit, "" when there is none."""
    return one_line(commit or "", 200)[:COMMIT_DIGITS]


def reruns(comparison: Comparison) -> str:
    """How often the load was run again to be sure, "" when it was not."""
    again = comparison.fresh - 1
    if again < 1:
        return ""
    word = "confirmed with" if comparison.verdict is GateVerdict.REGRESSION else "after"
    return f"{word} {_times(again, 'rerun')}"


def circumstances(comparison: Comparison) -> str:
    """What it was compared with, how often, and on what terms."""
    return "; ".join(filter(None, (compared_with(comparison), reruns(comparison), terms(comparison))))


def describe_metric(metric: GatedMetric, comparison: Comparison) -> str:
    """Old, new, the change and how well it is known, in a line."""
    old, new = value_cell(metric.old, metric.unit), value_cell(metric.new, metric.unit)
    change, seen = changes_of(metric, metric.change, metric.detectable)
    change = f"{change} (90% interval {interval_cell(metric)})"
    facts = [
        f"{metric.verdict}: {label(metric, LONGEST_LABEL)} {metric.metric} went from {old} to {new}",
        change if metric.change is not None else "",
        f"{seen} would be found 8 times in 10" if metric.detectable is not None else "",
        compared_with(comparison),
        reruns(comparison),
    ]
    return "; ".join(filter(None, facts))


def terms(comparison: Comparison) -> str:
    """What the gate promises: `false alarms ≤ 1%, tolerance 10%`."""
    return f"false alarms ≤ {_percent(comparison.false_alarm)}, tolerance {_percent(comparison.tolerance)}"


def legend(metrics: Sequence[GatedMetric]) -> str:
    """How to read the columns that have something to read."""
    parts = ["plausible range: a 90% interval"]
    if any(each.detectable is not None for each in metrics):
        parts.append("would find: a change for the worse that is found 8 times in 10")
    if any(each.unit == "share" for each in metrics):
        parts.append("points: percentage points")
    if any(sparkline(each.history) for each in metrics):
        parts.append("last bar: this run")
    return "; ".join(parts)


def movement(comparison: Comparison) -> str:
    """How the mean of all requests moved: `120ms → 134.1ms, +14.1ms`; "" when it is not known."""
    old, new = comparison.mean_old, comparison.mean_new
    if old is None or new is None:
        return ""
    return f"{value_cell(old, 'ms')} → {value_cell(new, 'ms')}, {signed_ms(new - old)}"


def phases(contribution: Contribution) -> list[tuple[str, float]]:
    """The phases in which an endpoint moved, as far as they matter beside the largest one; that one first."""
    parts = {
        "connecting": contribution.connecting_ms, "sending": contribution.sending_ms,
        "waiting": contribution.waiting_ms, "receiving": contribution.receiving_ms,
    }  # fmt: skip
    least = max(map(abs, parts.values())) * 0.02
    return sorted(((name, ms) for name, ms in parts.items() if abs(ms) > least), key=lambda part: -abs(part[1]))
