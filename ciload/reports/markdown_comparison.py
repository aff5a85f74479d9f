"""What a gate found, as markdown: a section of the job summary, with budgets of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ciload.reports.comparison import (
    NONE,
    by_importance,
    changes_of,
    circumstances,
    fold_reasons,
    interval_cell,
    is_empty,
    label,
    legend,
    movement,
    signed_ms,
    sparkline,
    title,
    verdict_cell,
    verdict_word,
)
from ciload.reports.format import format_short
from ciload.reports.gfm import KIB, Row, bullets, code, fold, prose, table
from ciload.result.comparison import Comparison, Contribution, GatedMetric, GateVerdict, RunReference

# Of one comparison, and there are two at most.
METRICS_BUDGET = 24 * KIB
REASONS_BUDGET = 6 * KIB
CONTRIBUTIONS_BUDGET = 6 * KIB
RUNS_BUDGET = 6 * KIB
NOTES_BUDGET = 6 * KIB
LONGEST_LABEL = 100

MARKS = {
    GateVerdict.REGRESSION: "❌", GateVerdict.IMPROVED: "✅", GateVerdict.OK: "✅",
    GateVerdict.UNSUSPICIOUS: "✅", GateVerdict.SUSPICIOUS: "⚠️", GateVerdict.INCONCLUSIVE: "⚠️",
    GateVerdict.MISSING: "⚠️",
}  # fmt: skip
METRIC = (
    "", "Endpoint", "Metric", ">Old", ">New", ">Change", ">Plausible range", ">Would find", "Last runs"
)  # fmt: skip
CONTRIBUTION = ("Endpoint", ">Moved the mean by", ">Connecting", ">Sending", ">Waiting", ">Receiving")
RUN = ("Commit", "When", "Run")


def comparison_section(comparison: Comparison, share: float = 1.0) -> str:
    """One comparison under a heading that has its verdict, in a share of the room."""
    parts = [
        f"### {MARKS[comparison.verdict]} {title(comparison)}: {verdict_word(comparison)}",
        _sentence(circumstances(comparison)),
        _metrics([each for each in by_importance(comparison.metrics) if not is_empty(each)], share),
        bullets(
            [f"? {prose(names)}: {prose(reason)}" for names, reason in fold_reasons(comparison)],
            int(REASONS_BUDGET * share),
        ),
        _movement_table(comparison, share),
        bullets([f"Note: {prose(note)}" for note in comparison.notes], int(NOTES_BUDGET * share)),
        _runs(comparison.runs, share),
    ]
    return "\n\n".join(part for part in parts if part)


def _sentence(text: str) -> str:
    return f"{prose(text[:1].upper() + text[1:]).removesuffix('.')}."


def _metrics(metrics: Sequence[GatedMetric], share: float) -> str:
    if not metrics:
        return ""
    return f"{table('', METRIC, _metric, metrics, int(METRICS_BUDGET * share))}\n\n<sub>{prose(legend(metrics))}</sub>"


def _metric(each: GatedMetric) -> Row:
    bars = sparkline(each.history)
    change, seen = changes_of(each, each.change, each.detectable)
    return (
        verdict_cell(each),
        code(label(each, LONGEST_LABEL)),
        each.metric,
        prose(format_short(each.old, each.unit)),
        prose(format_short(each.new, each.unit)),
        f"**{change}**" if each.verdict is GateVerdict.REGRESSION else change,
        interval_cell(each),
        seen,
        code(bars) if bars else "",
    )


def _movement_table(comparison: Comparison, share: float) -> str:
    if not comparison.contributions:
        return ""
    by = f" ({movement(comparison)})" if movement(comparison) else ""
    budget = int(CONTRIBUTIONS_BUDGET * share)
    rows = table("", CONTRIBUTION, _contribution, comparison.contributions, budget)
    return f"What moved the mean time of all requests{by}:\n\n{rows}"


def _contribution(each: Contribution) -> Row:
    parts = (each.moved_ms, each.connecting_ms, each.sending_ms, each.waiting_ms, each.receiving_ms)
    return code(label(each, LONGEST_LABEL)), *(signed_ms(ms) for ms in parts)


def _runs(runs: Sequence[RunReference], share: float) -> str:
    newest_first = runs[::-1]
    rows = table("", RUN, _run, newest_first, int(RUNS_BUDGET * share))
    return fold("Runs compared with", rows) if rows else ""


def _run(each: RunReference) -> Row:
    return code(each.commit, 40) if each.commit else NONE, code(each.at, 40), code(each.run_id, 60)
