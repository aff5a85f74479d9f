"""What `ciload calibrate` prints: per kind of run, what the gate would have said, and what it can see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from ciload.baseline.calibration import SIZES, KindCalibration, MetricCalibration, Replay
from ciload.baseline.document import WINDOW
from ciload.baseline.judging import Terms
from ciload.baseline.statistics import LEAST_RUNS
from ciload.reports.comparison import change_cell
from ciload.reports.plain import one_line
from ciload.reports.terminal import Part, grid, heading, line, rendered

LONGEST_NAME = 60
LONGEST_FACT = 200
SKEWED = 1.0  # with such a tail left after the logarithm, 1% becomes several
HISTORY = ("", "metric", "runs", "spread", "skew", "alarms", "with tolerance", "10% over the last run")


def calibrated(kinds: Sequence[KindCalibration], terms: Terms, *, color: bool) -> str:
    """All kinds as text, with ANSI colours or without."""
    return rendered(_parts(kinds, terms), color=color)


def _parts(kinds: Sequence[KindCalibration], terms: Terms) -> Iterable[Part]:
    if not kinds:
        yield line(f"\n  no kind of run has {LEAST_RUNS + 1} accepted runs yet: there is nothing to calibrate with\n")
    for kind in kinds:
        yield from _kind(kind, terms)


def _kind(kind: KindCalibration, terms: Terms) -> Iterable[Part]:
    facts = kind.fingerprint
    yield heading(f"{kind.runs} RUNS", f"  of {one_line(facts.scenario, LONGEST_NAME)}")
    for name in ("load", "target", "runner"):
        yield line(f"    {name}: {one_line(getattr(facts, name), LONGEST_FACT)}", "dim")
    yield heading("FALSE ALARMS", f"  promised: {terms.false_alarm:.1%} of unchanged runs")
    table = grid(("", "", ""), right_from=1)
    for words, replay in (
        ("each run against all others, no tolerance", kind.left_out),
        (f"each run against all others, tolerance {terms.tolerance:.0%}", kind.left_out_tolerated),
        (f"each run against those before it, tolerance {terms.tolerance:.0%}", kind.rolling),
    ):
        table.add_row("", words, _counts(replay), f"{kind.family} metrics together")
    yield table
    yield heading("EACH METRIC ALONE")
    yield _alone(kind.metrics)
    yield heading("SMALLEST CHANGE FOUND 8 TIMES IN 10", f"  {kind.family} metrics together")
    yield _detectable(kind.metrics, terms)
    skewed = [each for each in kind.metrics if each.skew is not None and each.skew > SKEWED]
    if skewed:
        yield line(
            f"  ⚠ {len(skewed)} of {len(kind.metrics)} metrics have slow runs that stand out: expect more false alarms",
            "yellow",
        )


def _alone(metrics: Sequence[MetricCalibration]) -> Table:
    table = grid(HISTORY, right_from=2)
    for each in metrics:
        spread = "-" if each.spread is None else f"{each.spread:.1%}"
        skew = "-" if each.skew is None else f"{each.skew:.1f}"
        replays = (_counts(each.alone), _counts(each.tolerated), _counts(each.naive))
        table.add_row("", Text(_name(each)), each.metric, str(each.runs), spread, skew, *replays)
    return table


def _detectable(metrics: Sequence[MetricCalibration], terms: Terms) -> Table:
    columns = ("", "metric", "now", *(f"{size} runs" for size in SIZES), "for the tolerance")
    table = grid(columns, right_from=2)
    for each in metrics:
        sizes = [change_cell(each.detectable[size]) for size in SIZES]
        table.add_row("", Text(_name(each)), each.metric, change_cell(each.now), *sizes, _needed(each, terms))
    return table


def _needed(metric: MetricCalibration, terms: Terms) -> str:
    if metric.needed is not None:
        return f"{metric.needed} runs"
    best = change_cell(metric.detectable[WINDOW])
    reruns = f", or --confirm 2 ({change_cell(metric.confirmed)} at best)" if metric.confirmed is not None else ""
    return f"{terms.tolerance:.0%} is out of reach: more runs end at {best}; use --compare-url{reruns}"


def _counts(replay: Replay) -> str:
    return "-" if replay.share is None else f"{replay.alarms} of {replay.tried}"


def _name(metric: MetricCalibration) -> str:
    return one_line(f"{metric.method} {metric.endpoint}".strip(), LONGEST_NAME) or "all requests"
