"""`ciload calibrate`: per kind of run, what the gate would have said, and what it can see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ciload.cli.baseline import baseline_at
from ciload.cli.command import exit_code_of, show_parts
from ciload.cli.compare import check_settings
from ciload.errors import BaselineError, ExitCode
from ciload.gate.calibration import SIZES, TARGET, KindCalibration, MetricCalibration, Replay, calibrate
from ciload.gate.document import WINDOW
from ciload.gate.statistics import LEAST_RUNS
from ciload.gate.verdicts import Terms
from ciload.reports.comparison import change_cell, value_cell
from ciload.reports.terminal import Grid, Printable, grid, heading, line
from ciload.secrets import without_secrets
from ciload.text import one_line, request_label

LONGEST_NAME = 60
LONGEST_FACT = 200
TOLERANCES = (0.03, 0.05, 0.10)  # smaller ones are changes that nobody acts on
SKEWED = 1.0  # with such a tail left after the logarithm, 1% becomes several
HISTORY = ("", "metric", "runs", "spread", "skew", "alarms", "with tolerance", "10% over the last run")


def calibrate_command(place: str, settings: Mapping[str, str]) -> int:
    """Judge the runs in a baseline by each other, and print how the gate does."""

    def act() -> int:
        terms = check_settings(settings).terms
        baseline = baseline_at(place)
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
    table = grid(("", "", "", "", ""), right_from=2)
    for words, replay in (
        ("these runs as they came: alarms that ended by themselves", kind.ended),
        ("each run against all others, no tolerance", kind.left_out),
        (f"each run against all others, tolerance {terms.tolerance:.0%}", kind.left_out_tolerated),
        (f"each run against those before it, tolerance {terms.tolerance:.0%}", kind.rolling),
    ):
        table.add_row("", words, _counts(replay), _share(replay), f"{kind.family} metrics together")
    yield table
    yield heading("EACH METRIC ALONE")
    yield _alone(kind.metrics)
    yield heading("SMALLEST CHANGE FOUND 8 TIMES IN 10", f"  {kind.family} metrics together")
    yield _detectable(kind.metrics, terms)
    yield line("    --confirm 2: at best, when reruns differ as much as other runs do", "dim")
    skewed = [each for each in kind.metrics if each.skew is not None and each.skew > SKEWED]
    if skewed:
        yield line(
            f"  ⚠ {len(skewed)} of {len(kind.metrics)} metrics have slow runs that stand out: expect more false alarms",
            "yellow",
        )
    yield heading("RECOMMENDED")
    for advice in _recommend(kind, terms):
        yield line(f"    {advice}")


def _recommend(kind: KindCalibration, terms: Terms) -> Iterator[str]:
    """What to set, and why, by the metric that says most of all requests."""
    middle = kind.middle
    if middle is None or middle.now is None:
        yield f"more runs: {LEAST_RUNS} at this level are the least to say anything"
        return
    noise, target = middle.noise_alone, (1 + terms.tolerance) ** TARGET - 1
    fits = next((each for each in TOLERANCES if noise <= each), None)
    if fits is None:
        yield (
            f"tolerance: leave it at {terms.tolerance:.0%}; a smaller one would show nothing more, since noise alone "
            f"hides what is below {change_cell(noise)}"
        )
    else:
        yield f"tolerance: {fits:.0%} (--tolerance {fits:.0%}); noise alone hides what is below {change_cell(noise)}"
    if middle.needed is None:
        yield (
            f"runs: no number of them finds {change_cell(target)} 8 times in 10; {WINDOW} find "
            f"{change_cell(middle.detectable[WINDOW])}, the {middle.runs} there are {change_cell(middle.now)}"
        )
    elif middle.needed > middle.runs:
        yield f"runs: {middle.needed} find {change_cell(target)} 8 times in 10; {middle.runs} are too few for that"
    else:
        yield f"runs: the {middle.runs} there are find {change_cell(middle.now)} 8 times in 10; that is enough"
    if middle.needed is None:
        yield "side by side (--compare-url): yes, where the old version can run beside the new one; it finds 5 to 10%"
    else:
        yield "side by side (--compare-url): not needed for that; it finds 5 to 10% and needs no history"
    ended = kind.ended
    if ended.tried and ended.interval[0] > terms.false_alarm:
        yield (
            f"there were more false alarms than promised ({_counts(ended)}): runs are not alike; use the same class of "
            "machine, --confirm 2, or side by side"
        )


def _share(replay: Replay) -> str:
    if replay.share is None:
        return ""
    low, high = replay.interval
    return f"{replay.share:.1%} (90% interval {low:.1%} to {high:.1%})"


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
    table = grid(
        ("", "metric", "now", *sizes, "now, --confirm 2", f"for {change_cell((1 + terms.tolerance) ** TARGET - 1)}"),
        right_from=2,
    )
    for each in metrics:
        cells = [_found(each, value) for value in (each.now, *map(each.detectable.get, SIZES), each.confirmed)]
        table.add_row("", _name(each), each.metric, *cells, _runs_needed(each))
    return table


def _found(metric: MetricCalibration, value: float | None) -> str:
    return value_cell(value, metric.unit) if metric.unit == "share" else change_cell(value)


def _runs_needed(metric: MetricCalibration) -> str:
    if metric.unit == "share":
        return "-"
    return f"{metric.needed} runs" if metric.needed is not None else "no number"


def _counts(replay: Replay) -> str:
    return "-" if replay.share is None else f"{replay.alarms} of {replay.tried}"


def _name(metric: MetricCalibration) -> str:
    return one_line(request_label(metric.method, metric.endpoint), LONGEST_NAME) or "all requests"
