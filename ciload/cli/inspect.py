"""`ciload inspect`: what a run would do, for people. Nothing is sent, written or removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ByteSize

from ciload.cli.command import show, wants_color
from ciload.cli.flags import Asked
from ciload.cli.load_chart import axis_s, sketches, time_text
from ciload.cli.with_script import act_on_script
from ciload.engine.control import Control
from ciload.engine.machine import usable_cores
from ciload.engine.schedules import Ramp, planned_constant, planned_ramping
from ciload.engine.workers import processes
from ciload.errors import ExitCode
from ciload.metrics.registry import Registry
from ciload.options.model import URL_OPTIONS, Options
from ciload.options.plan import Plan, origins
from ciload.options.scenarios import (
    ConstantArrivalRate,
    ConstantVUs,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    Scenario,
    SharedIterations,
    Stage,
)
from ciload.options.sources import from_environment, from_flags
from ciload.reports.format import format_value
from ciload.reports.terminal import Grid, Printable, heading, line, render
from ciload.result.thresholds import Threshold
from ciload.runner.prepare import RunRequest, load
from ciload.script.loader import Script
from ciload.secrets import without_secrets

MOST_STAGES = 10
MOST_COLUMN = 90

Fact = tuple[str, str]


def inspect_command(asked: Asked) -> int:
    """Print what a run would do; mistakes end as they do in a run."""
    return act_on_script("inspect", asked, lambda request, _: _inspect(request))


def _inspect(request: RunRequest) -> int:
    sources = [from_flags(request.flags), from_environment(request.environment)]
    script, plan = load(request, sources, Registry(), Control())
    plan = request.mask.document(plan)  # before lines are broken in the middle of a secret
    show(request.mask(render(describe_plan(script, plan, origins(sources)), color=wants_color())))
    return ExitCode.PASSED


def describe_plan(script: Script, plan: Plan, places: Mapping[str, str]) -> Iterator[Printable]:
    """Scenarios with their load over time, what was set where, limits and totals.

    `places` says where each option that is not a default was set.
    """
    yield ""
    yield line(f"  {script.source}", "bold")
    for section in (_scenarios(plan), _options(plan, places), _thresholds(plan), _totals(script, plan)):
        yield from section


def _grid(rows: Iterable[Sequence[str]], *styles: str) -> Grid:
    table = Grid(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(width=2)
    for style in styles:
        table.add_column(style=style, overflow="fold", max_width=MOST_COLUMN)
    for row in rows:
        table.add_row("", *row)
    return table


# --- scenarios


def _scenarios(plan: Plan) -> Iterator[Printable]:
    end_s, charts = axis_s(plan), sketches(plan)
    for name, scenario in plan.scenarios.items():
        yield heading(f"SCENARIO {name}")
        yield _grid(_facts(scenario), "dim", "")
        yield "\n" + "\n".join(f"    {row}" for row in charts[name])
        for caption in _captions(scenario, end_s):
            yield line(f"    {caption}", "dim")


def _facts(scenario: Scenario) -> Iterator[Fact]:
    yield "executor", scenario.executor
    yield "exec", _functions(scenario)
    yield "start", time_text(scenario.start_time)
    limit = "at most " if scenario.iterations_in_all is not None else ""
    yield "duration", limit + time_text(scenario.length_s)
    yield from _load(scenario)
    yield "graceful stop", time_text(scenario.graceful_stop or 0.0)
    if isinstance(scenario, RampingVUs):
        yield "ramp down", f"{time_text(scenario.graceful_ramp_down)} for an iteration to end"
    if scenario.tags:
        yield "tags", _pairs(scenario.tags)
    if scenario.env:
        yield "env", f"{', '.join(scenario.env)} (values not shown)"


def _functions(scenario: Scenario) -> str:
    if not scenario.weights:
        return f"{scenario.exec}()"
    total = sum(scenario.weights.values())
    return ", ".join(f"{name}() {weight / total:.0%}" for name, weight in scenario.weights.items())


def _load(scenario: Scenario) -> Iterator[Fact]:
    match scenario:
        case ConstantVUs():
            yield "VUs", _number(scenario.vus)
        case RampingVUs():
            yield "VUs", f"from {_number(scenario.start_vus)}, then {_stages(scenario.stages)}"
        case SharedIterations():
            yield "VUs", _number(scenario.vus)
            yield "iterations", f"{_number(scenario.iterations)}, shared by all"
        case PerVUIterations():
            yield "VUs", _number(scenario.vus)
            yield "iterations", f"{_number(scenario.iterations)} each, {_number(scenario.iterations_in_all)} in all"
        case ConstantArrivalRate():
            yield "rate", _rate(scenario.rate, scenario.time_unit)
            yield "iterations", _number(planned_constant(scenario.peak_per_s, scenario.length_s))
            yield "VUs", _vus(scenario)
        case RampingArrivalRate():
            unit_s = scenario.time_unit
            lines = [Ramp(each.duration, each.target / unit_s) for each in scenario.stages]
            yield "rate", f"from {_rate(scenario.start_rate, unit_s)}, then {_stages(scenario.stages)}"
            yield "iterations", _number(planned_ramping(scenario.start_rate / unit_s, lines))
            yield "VUs", _vus(scenario)


def _vus(scenario: ConstantArrivalRate | RampingArrivalRate) -> str:
    prepared = scenario.prepared_vus
    made = f"{_number(prepared)} of them made before the load" if prepared else "made when they are needed"
    return f"at most {_number(scenario.most_vus)}, {made}"


def _captions(scenario: Scenario, end_s: float) -> Iterator[str]:
    over_s = scenario.start_time + scenario.length_s
    if scenario.iterations_in_all is not None:
        beyond = ", which is beyond this chart" if over_s > end_s else ""
        yield f"until the iterations are done, at most {time_text(scenario.length_s)}{beyond}"


# --- what was set, and where


def _options(plan: Plan, places: Mapping[str, str]) -> Iterator[Printable]:
    said = [name for name in Options.model_fields if name in places and name != "thresholds"]
    yield heading("OPTIONS", "" if said else "  all have their defaults")
    yield _grid(((name, _option(name, plan), places[name]) for name in said), "", "", "dim")


def _option(name: str, plan: Plan) -> str:
    value: Any = getattr(plan.options, name)
    if name in URL_OPTIONS:
        return without_secrets(value)
    match value:
        case bool():
            return str(value).lower()
        case ByteSize():
            return value.human_readable().replace(".0", "")
        case float():  # options that are plain numbers are whole
            return time_text(value)
        case _ if name == "scenarios":
            return ", ".join(value)
        case _ if name == "stages":
            return _stages(value)
        case _ if name == "rate":
            return _rate(*value)
        case _ if name == "tags":
            return _pairs(value)
    return str(value)


def _thresholds(plan: Plan) -> Iterator[Printable]:
    if plan.thresholds:
        yield heading("THRESHOLDS")
        rows = ((each.key, each.expression, _consequence(each), each.where) for each in plan.thresholds)
        yield _grid(rows, "", "", "", "dim")


def _consequence(threshold: Threshold) -> str:
    if threshold.severity == "warn":
        return "warns"
    if not threshold.abort_on_fail:
        return "fails the run"
    delay = f", not before {time_text(threshold.delay_abort_eval_s)}" if threshold.delay_abort_eval_s else ""
    return f"aborts the run{delay}"


# --- what it comes to


def _totals(script: Script, plan: Plan) -> Iterator[Printable]:
    yield heading("IN ALL")
    yield _grid(_sums(script, plan), "dim", "")
    for warning in plan.warnings:
        yield line(f"  ⚠ {warning}", "yellow")


def _sums(script: Script, plan: Plan) -> Iterator[Fact]:
    options = plan.options
    yield "time", f"at most {time_text(plan.length_s)}, {time_text(plan.ends_s)} with graceful stops"
    for hook, limit_s in (("setup", options.setup_timeout), ("teardown", options.teardown_timeout)):
        if script.hook(hook) is not None:
            yield f"{hook}()", f"at most {time_text(limit_s)} more"
    if options.warmup:
        yield "measured", f"from {time_text(options.warmup)} on"
    yield "VUs", f"at most {_number(plan.most_vus)}"
    cores = usable_cores()
    used = processes(plan, cores)
    asked = f" (auto, of {cores} cores)" if options.workers == "auto" else ""
    fewer = f" (not {options.workers}: none is without a VU)" if not asked and used != options.workers else ""
    yield "workers", f"{used}{asked or fewer}"


# --- values


def _number(value: float) -> str:
    return format_value(value, "")


def _rate(count: float, unit_s: float) -> str:
    unit = {1.0: "s", 60.0: "m", 3600.0: "h"}.get(unit_s) or time_text(unit_s)
    return f"{_number(count)}/{unit}"


def _stages(stages: Sequence[Stage]) -> str:
    shown = ", ".join(f"{time_text(each.duration)}:{each.target}" for each in stages[:MOST_STAGES])
    more = len(stages) - MOST_STAGES
    return f"{shown} … and {more} more" if more > 0 else shown


def _pairs(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in pairs.items())
