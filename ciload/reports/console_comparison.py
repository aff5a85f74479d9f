"""What a gate found, for a terminal or a log: the verdict, the table, what moved, and how much of it is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from ciload.reports.comparison import (
    GREEN,
    by_importance,
    changes_of,
    circumstances,
    counted,
    finding,
    fold_reasons,
    interval_cell,
    is_empty,
    label,
    legend,
    movement,
    phases,
    signed_ms,
    sparkline,
    title,
    value_cell,
    verdict_cell,
    verdict_word,
)
from ciload.reports.terminal import Grid, Printable, line, render
from ciload.result.comparison import Comparison, Contribution, GatedMetric, GateVerdict
from ciload.text import one_line

MOST_OTHERS = 12  # rows that are neither a regression nor about all requests
MOST_REASONS = 5
MOST_CONTRIBUTIONS = 5
MOST_NOTES = 10
LONGEST_LABEL = 48
LONGEST_NOTE = 400
STYLES = {
    GateVerdict.REGRESSION: "bold red", GateVerdict.MISSING: "bold yellow", GateVerdict.INCONCLUSIVE: "yellow",
    GateVerdict.SUSPICIOUS: "yellow", GateVerdict.IMPROVED: "green", GateVerdict.UNSUSPICIOUS: "green",
    GateVerdict.OK: "green",
}  # fmt: skip
COLUMNS = ("", "", "old", "new", "change", "plausible range", "would find")
MARKS = {
    GateVerdict.REGRESSION: "✗", GateVerdict.IMPROVED: "✓", GateVerdict.OK: "✓", GateVerdict.UNSUSPICIOUS: "✓"
}  # fmt: skip


def console_comparisons(comparisons: Sequence[Comparison], *, color: bool, shown: bool = False) -> str:
    """All comparisons as text, with ANSI colours or without; "" when there are none.

    `shown`: the reader knows old and new values already, so a table that says no more than these is left out.
    """
    return render((part for each in comparisons for part in comparison_parts(each, shown=shown)), color=color)


def comparison_parts(comparison: Comparison, *, shown: bool = False) -> Iterable[Printable]:
    """One comparison: the verdict in a word first, then what it rests on."""
    verdict = comparison.verdict
    yield Text.assemble(
        (f"\n  {title(comparison).upper()}", "bold"),
        (f"  {MARKS.get(verdict, '?')} {verdict_word(comparison).upper()}", STYLES[verdict]),
        f"  {finding(comparison)}",
    )
    yield line(f"    {circumstances(comparison)}", "dim")
    metrics = [each for each in by_importance(comparison.metrics) if not is_empty(each)]
    if metrics and not (shown and all(each.p_value is None for each in metrics)):
        yield from _table(metrics)
    yield from _reasons(comparison)
    if verdict not in GREEN:
        yield from _movement(comparison)
    for note in comparison.notes[:MOST_NOTES]:
        yield line(f"    note: {one_line(note, LONGEST_NOTE)}")
    if (more := len(comparison.notes) - MOST_NOTES) > 0:
        yield line(f"    … and {more} more notes in result.json")


def _table(metrics: Sequence[GatedMetric]) -> Iterable[Printable]:
    shown, left_out = _selection(metrics)
    table = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("    ", no_wrap=True)
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if index > 1 else "left", no_wrap=True)
    table.add_column("", no_wrap=True)
    for each in shown:
        style = STYLES[each.verdict]
        change, seen = changes_of(each, each.change, each.detectable)
        table.add_row(
            Text(f"    {verdict_cell(each)}", style=style),
            label(each, LONGEST_LABEL),
            each.metric,
            value_cell(each.old, each.unit),
            value_cell(each.new, each.unit),
            Text(change, style=style),
            interval_cell(each),
            seen,
            sparkline(each.history),
        )
    yield table
    if left_out:
        yield line(f"    … and {len(left_out)} more: {counted(left_out)}")
    yield line(f"    {legend(shown)}", "dim")


def _selection(metrics: Sequence[GatedMetric]) -> tuple[list[GatedMetric], list[GatedMetric]]:
    """What is shown and what is only counted, in the order given."""
    shown: list[GatedMetric] = []
    left_out: list[GatedMetric] = []
    others = 0
    for each in metrics:
        always = each.verdict is GateVerdict.REGRESSION or not each.endpoint
        others += not always
        (shown if always or others <= MOST_OTHERS else left_out).append(each)
    return shown, left_out


def _reasons(comparison: Comparison) -> Iterable[Printable]:
    folded = fold_reasons(comparison)
    for names, reason in folded[:MOST_REASONS]:
        yield line(f"    ? {names}: {reason}", "yellow")
    if (more := len(folded) - MOST_REASONS) > 0:
        yield line(f"    ? … and {more} more reasons in result.json", "yellow")


def _movement(comparison: Comparison) -> Iterable[Printable]:
    contributions = comparison.contributions
    if not contributions:
        return
    by = f" ({movement(comparison)})" if movement(comparison) else ""
    yield line(f"    what moved the mean time of all requests{by}:")
    for each in contributions[:MOST_CONTRIBUTIONS]:
        yield line(f"      · {_contribution(each)}")
    if rest := contributions[MOST_CONTRIBUTIONS:]:
        yield line(f"      … and {len(rest)} more, {signed_ms(sum(each.moved_ms for each in rest))} together")


def _contribution(each: Contribution) -> str:
    parts = ", ".join(f"{name} {signed_ms(ms)}" for name, ms in phases(each))
    return f"{label(each, LONGEST_LABEL)} {signed_ms(each.moved_ms)}" + (f" ({parts})" if parts else "")
