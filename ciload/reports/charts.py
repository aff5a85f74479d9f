"""The timeline as Mermaid charts, which GitHub and GitLab draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median

import numpy as np

from ciload.reports.format import format_value
from ciload.result.document import TimelineRow

# What GitHub and GitLab draw by themselves is 500 pixels high, in colours that can hardly be told apart.
LOOK = (
    '%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{}"}}}}, '
    '"xyChart": {{"width": 700, "height": 220}}}}}}%%'
)
RED, BLUE = ("red", "#d1242f"), ("blue", "#0969da")
MOST_POINTS = 60
FEWEST_POINTS = 3


def timeline_charts(timeline: Sequence[TimelineRow]) -> str:
    """Response times and rate over the load, with a caption; "" when there are too few points to draw."""
    if len(timeline) < FEWEST_POINTS or timeline[-1].at_s <= 0:
        return ""
    points = _points(timeline)
    width_s = timeline[-1].at_s / len(points)
    p95, p50 = _highest(points, "p95"), _highest(points, "p50")
    rate, failed = _mean(points, "requests_per_s"), _mean(points, "failed_per_s")
    requests = {"requests": rate, "failed": failed} if any(failed) else {"requests": rate}
    charts = [
        _chart("Response time", "ms", {"p95": p95, "p50": p50}, (RED, BLUE), width_s),
        _chart("Rate", "per second", requests, (BLUE, RED), width_s),
    ]
    return "\n\n".join(["### Over time", *filter(None, charts), _caption(p95, width_s)])


Point = list[tuple[TimelineRow, float]]  # rows, and how many seconds each of them tells about
Line = list[float | None]


def _points(timeline: Sequence[TimelineRow]) -> list[Point]:
    """The rows in at most MOST_POINTS parts of the same length, each row where the middle of its second is."""
    ends = [row.at_s for row in timeline]
    spans = [end - start for start, end in pairwise([0.0, *ends])]
    # The load's end cuts the last second short; what little is left of it is no point of its own.
    number = min(MOST_POINTS, len(timeline) - (spans[-1] < median(spans) / 2))
    points: list[Point] = [[] for _ in range(number)]
    for row, span in zip(timeline, spans, strict=True):
        if span > 0:
            at = int((row.at_s - span / 2) / ends[-1] * number)
            points[min(number - 1, at)].append((row, span))
    return points


def _highest(points: Iterable[Point], name: str) -> Line:
    return [
        max((value for row, _ in rows if (value := getattr(row, name)) is not None), default=None) for rows in points
    ]


def _mean(points: Iterable[Point], name: str) -> Line:
    return [
        fmean([getattr(row, name) for row, _ in rows], [span for _, span in rows]) if rows else None for rows in points
    ]


def _chart(title: str, unit: str, lines: Mapping[str, Line], colors: Sequence[tuple[str, str]], width_s: float) -> str:
    """A Mermaid chart, "" for too few points. All lines know their values at the same points."""
    known = [at for at, value in enumerate(next(iter(lines.values()))) if value is not None]
    if len(known) < FEWEST_POINTS:
        return ""
    # Mermaid has no gaps: where no request finished, a straight line joins the points around it.
    at = np.arange(known[0], known[-1] + 1)
    drawn = [np.interp(at, known, [values[each] or 0.0 for each in known]) for values in lines.values()]
    top = max(float(values.max()) for values in drawn) * 1.1 or 1.0
    named = [f"{name} ({color})" for name, (color, _) in zip(lines, colors, strict=False)]
    rows = [
        f'    title "{title}: {", ".join(named)}"',
        f'    x-axis "seconds" {(known[0] + 1) * width_s:.1f} --> {(known[-1] + 1) * width_s:.1f}',
        f'    y-axis "{unit}" 0 --> {top:.2f}',
        *(f"    line [{', '.join(f'{value:.2f}' for value in values)}]" for values in drawn),
    ]
    return "\n".join(["```mermaid", LOOK.format(", ".join(code for _, code in colors)), "xychart-beta", *rows, "```"])


def _caption(p95: Line, width_s: float) -> str:
    each = f"Each point stands for {format_value(width_s * 1e3, 'ms')}"
    if width_s > 1.5:
        each += ": the highest p95 and p50 of the seconds in it, and their mean rate"
    missing = sum(value is None for value in p95)
    return f"{each}." + (
        f" {missing} of {len(p95)} points have no response times; the lines pass over them." if missing else ""
    )
