"""How many: one line on the metrics, thresholds and checks of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ciload.reports.comparison import ORDER, compared_with, reruns
from ciload.reports.findings import old_name
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import RunResult
from ciload.text import one_line

LONGEST_REASON = 60
TOO_FEW = "too few data: "  # how reasons of metrics begin that have too few requests


def worst_first(result: RunResult) -> list[Comparison]:
    """The comparisons of a run, as their verdicts matter."""
    return sorted(result.comparisons, key=lambda each: ORDER.index(each.verdict))


def counts_of(result: RunResult) -> Iterator[str]:
    """A sentence each on the script's errors, comparisons, thresholds and checks, where there is something to count."""
    errors = result.metrics.get("script_errors")
    if errors is not None and errors.count:
        times = "once" if errors.count == 1 else f"{errors.count:,.0f} times"
        yield f"The script raised {times}; {result.load.iterations:,} iterations finished."
    yield from (_of_comparison(each) for each in worst_first(result) if each.metrics)
    if result.thresholds:
        held = sum(not (each.fails or each.warns) for each in result.thresholds)
        yield f"Thresholds: {held} of {len(result.thresholds)} hold."
    if (failed := sum(each.fails for each in result.checks)) > 0:
        yield f"Checks: {failed:,} of {sum(each.passes + each.fails for each in result.checks):,} failed."
    if not result.scenarios:
        yield "The load never began."


def _of_comparison(comparison: Comparison) -> str:
    """`6 of 12 metrics regressed against 6 runs of main (chance of a false alarm ≤ 1%); 4 more not judged (…).`"""
    deciding = comparison.deciding or comparison.metrics
    counts, total = Counter(each.verdict for each in deciding), len(deciding)
    few = len(comparison.metrics) - total
    words = {
        GateVerdict.REGRESSION: "regressed", GateVerdict.SUSPICIOUS: "suspicious", GateVerdict.IMPROVED: "improved"
    }  # fmt: skip
    moved = [f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict]]
    same = counts[GateVerdict.OK] + counts[GateVerdict.UNSUSPICIOUS]
    same_word = "without a sign of change" if counts[GateVerdict.UNSUSPICIOUS] else "unchanged"
    unknown = counts[GateVerdict.INCONCLUSIVE]
    parts = [
        *moved,
        *([f"{same} {same_word}"] if same else []),
        *([f"{unknown} not judged{_why_not_judged(comparison, deciding)}"] if unknown else []),
        *([f"{few} more not judged{_why_not_judged(comparison, comparison.metrics)}"] if few else []),
    ]
    number, _, word = (parts[0] if parts else f"{total} compared").partition(" ")
    metrics = "metric" if total == 1 else "metrics"
    tail = f"; {', '.join(parts[1:])}" if parts[1:] else ""
    return f"{number} of {total} {metrics} {word} {_against(comparison)}{tail}."


def _against(comparison: Comparison) -> str:
    alarm = f"chance of a false alarm ≤ {round(comparison.false_alarm * 100, 2):g}%"
    facts = "; ".join(filter(None, [alarm, reruns(comparison)]))
    if comparison.gate == "side by side":
        return f"{compared_with(comparison)} ({facts})"
    runs = "1 run" if len(comparison.runs) == 1 else f"{len(comparison.runs)} runs"
    return f"against {runs} of {old_name(comparison)} ({facts})"


def _why_not_judged(comparison: Comparison, metrics: Sequence[GatedMetric]) -> str:
    """The most common reason, unless it is that of the whole comparison, which is told apart."""
    unknown = [each for each in metrics if each.verdict is GateVerdict.INCONCLUSIVE]
    if not unknown:
        return ""
    [(reason, _)] = Counter(each.reason.removeprefix(TOO_FEW) for each in unknown).most_common(1)
    reason = "" if reason in comparison.reason else reason
    return f" ({one_line(reason.replace('; ', ', '), LONGEST_REASON)})" if reason else ""
