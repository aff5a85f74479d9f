"""`ciload calibrate`: per kind of run, what the gate would have said, and what it can see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ciload.cli.command import exit_code_of, show_parts
from ciload.cli.compare import check_settings
from ciload.errors import BaselineError, ExitCode
from ciload.gate.calibration import SIZES, KindCalibration, MetricCalibration, Replay, calibrate
from ciload.gate.document import WINDOW
from ciload.gate.statistics import LEAST_RUNS
from ciload.gate.store import read_baseline
from ciload.gate.verdicts import Terms
from ciload.reports.comparison import change_cell, value_cell
from ciload.reports.terminal import Grid, Printable, grid, heading, line
from ciload.secrets import without_secrets
from ciload.text import one_line, request_label

LONGEST_NAME = 60
LONGEST_FACT = 200
SKEWED = 1.0  # with such a tail left after the logarithm, 1% becomes several
HISTORY = ("", "metric", "runs", "spread", "skew", "alarms", "with tolerance", "10% over the last run")


def calibrate_command(place: str, settings: Mapping[str, str]) -> int:
    """Judge the runs in a baseline by each other, and print how the gate does."""

    def act() -> int:
        terms = check_settings(settings).terms
        baseline = read_baseline(place)
        if baseline is None:
            raise BaselineError(f"{one_line(without_secrets(place))}: there is no baseline")
        show_parts(_describe(calibrate(baseline, terms), terms))
        return ExitCode.PASSED

    return exit_code_of(act)


def _describe(kinds: Sequence[KindCalibration], terms: Terms) -> Iterable[Printable]:
    if not kinds:
        yield line(f"\n  no kind of run has {LEAST_RUNS + 1} accepted runs yet: there is nothing to calibrate with\n")
    for kind in kinds:
        yield from _kind(kind, terms)


def _kind(kind: KindCalibration, terms: Terms) -> Iterable[Printable]:
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
    if any(each.unit != "share" and each.needed is None for each in kind.metrics):
        yield line(
            f"    out of reach: more than {WINDOW} runs would show hardly less; use --compare-url, or a --tolerance of "
            "what is found now. --confirm 2: at best, when reruns differ as much as other runs do",
            "dim",
        )
    skewed = [each for each in kind.metrics if each.skew is not None and each.skew > SKEWED]
    if skewed:
        yield line(
            f"  ⚠ {len(skewed)} of {len(kind.metrics)} metrics have slow runs that stand out: expect more false alarms",
            "yellow",
        )


def _alone(metrics: Sequence[MetricCalibration]) -> Grid:
    table = grid(HISTORY, right_from=2)
    for each in metrics:
        spread = "-" if each.spread is None else f"{each.spread:.1%}"
        skew = "-" if each.skew is None else f"{each.skew:.1f}"
        replays = (_counts(each.alone), _counts(each.tolerated), _counts(each.naive))
        table.add_row("", _name(each), each.metric, str(each.runs), spread, skew, *replays)
    return table


def _detectable(metrics: Sequence[MetricCalibration], terms: Terms) -> Grid:
    sizes = (f"{size} runs" for size in SIZES)
    table = grid(("", "metric", "now", *sizes, "now, --confirm 2", f"for {terms.tolerance:.0%}"), right_from=2)
    for each in metrics:
        cells = [_found(each, value) for value in (each.now, *map(each.detectable.get, SIZES), each.confirmed)]
        table.add_row("", _name(each), each.metric, *cells, _runs_needed(each))
    return table


def _found(metric: MetricCalibration, value: float | None) -> str:
    return value_cell(value, metric.unit) if metric.unit == "share" else change_cell(value)


def _runs_needed(metric: MetricCalibration) -> str:
    if metric.unit == "share":
        return "-"
    return f"{metric.needed} runs" if metric.needed is not None else "out of reach"


def _counts(replay: Replay) -> str:
    return "-" if replay.share is None else f"{replay.alarms} of {replay.tried}"


def _name(metric: MetricCalibration) -> str:
    return one_line(request_label(metric.method, metric.endpoint), LONGEST_NAME) or "all requests"
