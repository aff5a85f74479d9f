"""What is shown while a run goes on: a live display on a terminal, a plain line every 10 s elsewhere. On stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ciload.engine.aggregator import Observer, TimelinePoint
from ciload.options.plan import Plan
from ciload.options.scenarios import (
    ConstantArrivalRate,
    ConstantVUs,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    Scenario,
    SharedIterations,
)
from ciload.reports.format import format_value
from ciload.script.loader import Script
from ciload.text import visible

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_EVERY_S = 10.0
REDRAW_EVERY_S = 0.25


@contextmanager
def progress_for(plan: Plan, script: Script) -> Iterator[Observer]:
    """The display that fits stderr and the options."""
    if plan.options.quiet:
        yield Silent()
        return
    title = (
        f"{script.page or script.path.name}: {'; '.join(describe(name, each) for name, each in plan.scenarios.items())}"
    )
    title += ", each at both targets" if plan.options.compare_url else ""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console
        from rich.live import Live

        live = Live(
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # a script's print() must reach a pipe untouched
        )
        with live:
            yield Display(plan, title, live.update)
        return
    sys.stderr.write(f"{visible(title)}\n")
    yield Lines(plan)


def describe(name: str, scenario: Scenario) -> str:
    """What a scenario does, in a few words."""
    label = "" if name == "default" else f"{name}: "
    begin = f" from {_time(scenario.start_time)} on" if scenario.start_time else ""
    return label + _load(scenario) + begin


def _load(scenario: Scenario) -> str:
    length = _time(scenario.length_s)
    match scenario:
        case ConstantVUs():
            return f"{_many(scenario.vus, 'virtual user')} for {length}"
        case RampingVUs():
            return f"up to {_many(scenario.most_vus, 'virtual user')} in {length}"
        case SharedIterations():
            return f"{_many(scenario.vus, 'virtual user')}, {_many(scenario.iterations, 'iteration')}"
        case PerVUIterations():
            return f"{_many(scenario.vus, 'virtual user')}, {_many(scenario.iterations, 'iteration')} each"
        case ConstantArrivalRate():
            most = _many(scenario.most_vus, "virtual user")
            return f"{scenario.peak_per_s:g} iterations/s for {length}, up to {most}"
        case RampingArrivalRate():
            most = _many(scenario.most_vus, "virtual user")
            return f"up to {scenario.peak_per_s:g} iterations/s in {length}, up to {most}"


def _time(seconds: float) -> str:
    return format_value(seconds * 1e3, "ms")


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


class Silent:
    def tick(self, elapsed_s: float) -> None:
        pass

    def second(self, moment: TimelinePoint) -> None:
        pass


class Totals:
    """What the seconds so far add up to."""

    def __init__(self, plan: Plan) -> None:
        self.iterations_in_all = plan.iterations_in_all
        self.length_s = plan.length_s
        self.latest: TimelinePoint | None = None

    def second(self, moment: TimelinePoint) -> None:
        self.latest = moment

    def share(self, elapsed_s: float) -> float:
        """How far the run is, from 0 to 1."""
        if self.iterations_in_all is None:
            return min(1.0, elapsed_s / self.length_s)
        return min(1.0, (self.latest.iterations if self.latest else 0) / self.iterations_in_all)

    def text(self) -> str:
        moment = self.latest
        if moment is None:
            return "starting"
        p95 = "no response" if moment.p95_ms is None else f"p95 {format_value(moment.p95_ms, 'ms')}"
        parts = [
            f"{moment.vus} VUs",
            f"{moment.iterations} iterations",
            f"{moment.requests_per_s:.1f} req/s",
            p95,
            f"{moment.failed} failed",
        ]
        if moment.dropped:
            parts.append(f"{moment.dropped} dropped")
        if moment.script_errors:
            parts.append(f"{moment.script_errors} script errors")
        return " · ".join(parts)


class Lines(Totals):
    """A line now and then, for logs."""

    next_line_s = LINE_EVERY_S

    def tick(self, elapsed_s: float) -> None:
        if elapsed_s >= self.next_line_s:
            self.next_line_s += LINE_EVERY_S
            sys.stderr.write(f"{elapsed_s:5.0f}s  {self.share(elapsed_s):4.0%}  {self.text()}\n")
            sys.stderr.flush()


class Display(Totals):
    """A bar with the current figures, redrawn in place."""

    def __init__(self, plan: Plan, title: str, update: Update) -> None:
        super().__init__(plan)
        self.title = title
        self.update = update
        self.next_draw_s = 0.0

    def tick(self, elapsed_s: float) -> None:
        if elapsed_s >= self.next_draw_s:
            self.next_draw_s = elapsed_s + REDRAW_EVERY_S
            self.update(self._render(elapsed_s), refresh=True)

    def _render(self, elapsed_s: float) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        bar = Table.grid(padding=(0, 1))
        share = self.share(elapsed_s)
        bar.add_row(ProgressBar(total=1, completed=share, width=40), f"{share:4.0%}", f"{elapsed_s:.0f}s")
        return Group(Text(visible(self.title), style="bold"), bar, Text(self.text()))


if TYPE_CHECKING:
    from typing import Protocol

    class Update(Protocol):
        def __call__(self, renderable: RenderableType, *, refresh: bool = False) -> None: ...
