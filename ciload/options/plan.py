"""From what the user said to what will be done: layers merged, values checked, load options made into scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ciload.errors import Complaint, OptionsError
from ciload.metrics.metric import BUILTIN, GATEABLE, Metric
from ciload.options.elsewhere import INSTEAD
from ciload.options.model import LOAD_OPTIONS, URL_OPTIONS, Options
from ciload.options.scenarios import (
    EXECUTORS,
    LONGEST_ITERATIONS_S,
    ConstantArrivalRate,
    ConstantVUs,
    PerVUIterations,
    RampingVUs,
    Scenario,
    SharedIterations,
    Stage,
)
from ciload.options.sources import Source
from ciload.options.values import AS_WRITTEN, BY_PORT, names_in
from ciload.result.thresholds import Threshold, parse_threshold
from ciload.text import closest

IN_HELP = "`ciload run --help` lists them"
# Below these keys stand values that may be secret: complaints name the key alone.
UNQUOTED = frozenset({"env", "tags", "secrets", "headers", "tls_auth", *URL_OPTIONS})
# Of a load at two targets, unless --warmup says something else.
WARMUP_SHARE = 0.1
LONGEST_WARMUP_S = 5.0
LEAST_LEFT_S = 10.0  # what the gate needs at least
OF_THE_GATE = ("baseline", "baseline_from", "save_baseline", "compare_url", "confirm", "until_clear", "accept")
# What may be said together about the load; everything else contradicts itself.
TOGETHER = ({"duration", "iterations"}, {"duration", "rate"})

# Says what is wrong with a function of the script that a scenario wants to run; None when nothing is.
FunctionCheck = Callable[[str], Complaint | None]


class Plan(BaseModel):
    """What a run does: frozen and serialisable, so that it can be handed to whoever runs a part of it."""

    model_config = ConfigDict(frozen=True)

    options: Options
    scenarios: dict[str, Annotated[Scenario, Field(discriminator="executor")]]
    thresholds: tuple[Threshold, ...]
    warnings: tuple[str, ...] = ()

    @property
    def length_s(self) -> float:
        """How long iterations may start."""
        return max(each.start_time + each.length_s for each in self.scenarios.values())

    @property
    def measured_s(self) -> float:
        """How long of that is measured."""
        return self.length_s - self.options.warmup

    @property
    def ends_s(self) -> float:
        """When the load is over at the latest, graceful stops included."""
        return max(each.ends_s for each in self.scenarios.values())

    @property
    def most_vus(self) -> int:
        """The largest number of virtual users at one time, as far as the plan tells."""
        scenarios = self.scenarios.values()
        return max(
            sum(each.most_vus for each in scenarios if each.start_time <= begun.start_time < each.ends_s)
            for begun in scenarios
        )

    @property
    def iterations_in_all(self) -> int | None:
        """How many iterations end the load; None when time ends it."""
        numbers = [each.iterations_in_all for each in self.scenarios.values()]
        return None if None in numbers else sum(number or 0 for number in numbers)

    def gated_metrics(self, metrics: Mapping[str, Metric]) -> list[Metric]:
        """The further metrics that the gate is asked to judge, which `metrics` knows."""
        found = (metrics[name] for name in self.options.gate_metrics)
        return [replace(each, better=each.better or GATEABLE.get(each.name, "lower")) for each in found]

    def vus_before(self, name: str) -> int:
        """How many ids of virtual users the scenarios before this one take."""
        before = list(self.scenarios)[: list(self.scenarios).index(name)]
        return sum(self.scenarios[each].most_vus for each in before)


def make_plan(sources: Sequence[Source], metrics: Mapping[str, Metric], check_function: FunctionCheck) -> Plan:
    """Merge the sources, strongest first, and check everything.

    Raises:
        OptionsError: all that is wrong, each with its place.
    """
    owner = _owners(sources)
    complaints = [complaint for source in sources for complaint in source.complaints]
    complaints += [_unknown(key, source) for key, source in owner.items() if key not in Options.model_fields]
    contradiction = _contradiction(owner)
    complaints += [contradiction] if contradiction else []
    if "compare_url" in owner and "base_url" not in owner:
        where = owner["compare_url"].where(("compare_url",))
        complaints.append(Complaint(where, "there is no new target to compare with", "say --base-url too"))
    complaints += _about_processes(owner)
    known = {key: source.values[key] for key, source in owner.items() if key in Options.model_fields}
    if "secrets" in known:  # a stronger place adds to them: nothing that is secret anywhere may get out
        known["secrets"] = [name for source in sources for name in names_in(source.values.get("secrets", ()))]
    broken = set()
    try:
        options = Options.model_validate(known, context=AS_WRITTEN)
    except ValidationError as error:
        complaints += [_complaint(details, owner) for details in error.errors()]
        # The rest is still looked at, so that one round of mending is enough.
        broken = {str(details["loc"][0]) for details in error.errors()}
        options = Options.model_validate({key: value for key, value in known.items() if key not in broken})
    thresholds = _thresholds(options, owner, metrics, complaints)
    complaints += _about_gate_metrics(options, owner, metrics)
    scenarios: dict[str, Scenario] = {}
    if contradiction is None and not broken & {"vus", "graceful_stop", *LOAD_OPTIONS}:
        scenarios = _scenarios(options, owner, complaints)
    left_out = _left_out(options, scenarios, owner, complaints)
    scenarios = {name: each for name, each in scenarios.items() if name not in left_out}
    functions = {name: each.functions for name, each in scenarios.items()}
    if "scenarios" not in owner:
        functions = {"default": list(options.weights or ["default"])}  # whatever else may be wrong with the load
    elif options.weights:
        where = owner["weights"].where(("weights",))
        complaints.append(Complaint(where, "weights: with scenarios, each has its own", "write them into a scenario"))
    complaints += _about_functions(functions, owner, check_function)
    if complaints:
        raise OptionsError(complaints)
    elsewhere = [each for each in thresholds if _is_only_of(left_out, scenarios, each)]
    warnings = [*_lost(sources), *_about_thresholds(elsewhere)]
    if options.http_debug != "off" and options.workers != 1:
        options = options.model_copy(update={"workers": 1})
        warnings.append("http_debug shows what one process does: the load is not spread over workers")
    thresholds = [each for each in thresholds if each not in elsewhere]
    plan = Plan(options=options, scenarios=scenarios, thresholds=tuple(thresholds), warnings=tuple(warnings))
    if options.once:
        return _only_once(plan)
    if options.compare_url and "warmup" not in owner and plan.iterations_in_all is None:
        # A copy that was just started is slower than one that is warm, and that is no regression.
        warmup_s = float(
            int(max(0.0, min(LONGEST_WARMUP_S, WARMUP_SHARE * plan.length_s, plan.length_s - LEAST_LEFT_S)))
        )
        plan = plan.model_copy(update={"options": options.model_copy(update={"warmup": warmup_s})})
    if options.warmup >= plan.length_s:
        message = f"a warm-up of {options.warmup:g} s leaves nothing to measure of a load of {plan.length_s:g} s"
        raise OptionsError([Complaint(owner["warmup"].where(("warmup",)), message)])
    return plan


def _only_once(plan: Plan) -> Plan:
    """The plan that shows whether the script works. How fast it is, one iteration cannot tell."""
    kept = ("env", "tags", "graceful_stop")
    scenarios: dict[str, Scenario] = {
        (f"{name}-{function}" if each.weights else name): PerVUIterations(
            exec=function, **{field: getattr(each, field) for field in kept}
        )
        for name, each in plan.scenarios.items()
        for function in each.functions
    }
    unused = {
        name: Options.model_fields[name].get_default(call_default_factory=True)
        for name in (*OF_THE_GATE, "warmup", "min_iteration_duration", "workers")
    }
    return Plan(options=plan.options.model_copy(update=unused), scenarios=scenarios, thresholds=())


def origins(sources: Sequence[Source]) -> dict[str, str]:
    """Where each option that is not a default was said."""
    return {key: source.where((key,)) for key, source in _owners(sources).items()}


def _owners(sources: Sequence[Source]) -> dict[str, Source]:
    """Which source decides each option."""
    owner: dict[str, Source] = {}
    load_decided = False
    for source in sources:
        for key in source.values:
            if not (load_decided and key in LOAD_OPTIONS):
                owner.setdefault(key, source)
        load_decided |= any(key in source.values for key in LOAD_OPTIONS)
    return owner


def _lost(sources: Sequence[Source]) -> Iterable[str]:
    """What somebody said about the load and a stronger source has replaced by something else.

    A flag over the same option of the script is what flags are for, and no news.
    """
    decider, load_option = next(
        ((source, key) for source in sources for key in LOAD_OPTIONS if key in source.values), (None, "")
    )
    for source in sources:
        if decider is not None and source is not decider:
            keys = [key for key in LOAD_OPTIONS if key in source.values and key not in decider.values]
            if keys:
                replaced = ", ".join(f"{key} ({source.where((key,))})" for key in keys)
                yield f"{decider.where((load_option,))} decides the load and replaces {replaced}"


def _contradiction(owner: Mapping[str, Source]) -> Complaint | None:
    """Load options that cannot go together; all that are left by `_owners` come from one place."""
    said = [key for key in LOAD_OPTIONS if key in owner]
    place = {key: owner[key].where((key,)) for key in (*said, "vus") if key in owner}
    if len(said) > 1 and set(said) not in TOGETHER:
        message = f"{' and '.join(said)} contradict each other"
        return Complaint(place[said[-1]], message, "say one of them, or write `scenarios`")
    if said == ["scenarios"] and "vus" in owner:
        hint = "set vus in the scenario, or give a duration or iterations too, to replace the scenarios"
        return Complaint(place["vus"], "vus does not apply to scenarios", hint)
    if said == ["rate"]:
        return Complaint(place["rate"], "a rate needs a duration", "for example --duration 30s")
    return None


def _about_processes(owner: Mapping[str, Source]) -> Iterable[Complaint]:
    """A process of a target that there is none of would be watched for nothing."""
    for option, url in (("target_process", "base_url"), ("compare_process", "compare_url")):
        if option not in owner or url in owner:
            continue
        by_port = str(owner[option].values[option]).strip() in BY_PORT
        if by_port or option == "compare_process":  # a script with full URLs has a target that only it knows
            why = "there is no URL that has a port" if by_port else "there is no old target"
            yield Complaint(owner[option].where((option,)), why, f"say --{url.replace('_', '-')} too")


def _unknown(key: str, source: Source) -> Complaint:
    where = source.where((key,))
    if key in INSTEAD:
        return Complaint(where, f"ciload has no option {key!r}", INSTEAD[key])
    return Complaint(where, f"unknown option {key!r}", _meant(key, Options.model_fields, IN_HELP))


def _meant(key: str, known: Iterable[str], otherwise: str) -> str:
    meant = closest(key, known, cutoff=0.65)
    return f"did you mean {meant!r}?" if meant else otherwise


def _complaint(details: Any, owner: Mapping[str, Source]) -> Complaint:
    path = tuple(str(part) for part in details["loc"] if part not in EXECUTORS)
    where = owner[path[0]].where(path)
    given = details["input"]
    kind, name = details["type"], ".".join(path)
    if kind == "extra_forbidden" and len(path) > 1:
        executor = next((each for part, each in EXECUTORS.items() if part in details["loc"]), None)
        fields = Stage.model_fields if "stages" in path or executor is None else executor.model_fields
        hint = _meant(path[-1], fields, f"it has {', '.join(fields)}")
        return Complaint(where, f"unknown field {path[-1]!r} in {'.'.join(path[:-1])}", hint)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        said = details["ctx"].get("tag")
        hint = _meant(str(said), EXECUTORS, f"use {', '.join(EXECUTORS)}")
        return Complaint(where, f"{name}.executor: " + (f"unknown {said!r}" if said else "missing"), hint)
    message = str(details["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    quotable = kind != "missing" and isinstance(given, str | int | float) and not UNQUOTED.intersection(path)
    quoted = repr(given) in message or message.startswith(str(given))
    return Complaint(where, f"{name}: {message}", f"got {_shown(given)}" if quotable and not quoted else "")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _thresholds(
    options: Options, owner: Mapping[str, Source], metrics: Mapping[str, Metric], complaints: list[Complaint]
) -> list[Threshold]:
    parsed = []
    for key, limits in options.thresholds.items():
        for index, limit in enumerate(limits):
            where = owner["thresholds"].where(("thresholds", key, str(index)))
            try:
                parsed.append(parse_threshold(key, limit, metrics, where))
            except ValueError as error:
                complaints.append(Complaint(where, f"threshold on {key!r}: {error}"))
    return parsed


def _about_gate_metrics(
    options: Options, owner: Mapping[str, Source], metrics: Mapping[str, Metric]
) -> Iterator[Complaint]:
    for index, name in enumerate(options.gate_metrics):
        where = owner["gate_metrics"].where(("gate_metrics", str(index)))
        if name not in metrics:
            meant = closest(name, [*GATEABLE, *(each for each in metrics if each not in BUILTIN)])
            yield Complaint(where, f"there is no metric {name!r}", f"did you mean {meant!r}?" if meant else "")
        elif name in BUILTIN and name not in GATEABLE:
            judged = name in ("http_req_duration", "http_req_failed", "op_duration", "op_failed", "checks")
            why = "is judged anyway" if judged else "says nothing of the target"
            yield Complaint(where, f"gate_metrics: {name!r} {why}")


def _scenarios(options: Options, owner: Mapping[str, Source], complaints: list[Complaint]) -> dict[str, Scenario]:
    """The scenarios as they will run: the shortcuts written out, the run's graceful stop filled in."""
    if options.scenarios is not None:
        scenarios = options.scenarios
    else:
        try:
            scenarios = {"default": _shortcut(options)}
        except ValidationError as error:
            key = next(key for key in ("iterations", "stages", "rate", "vus") if key in owner)
            message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            complaints.append(Complaint(owner[key].where((key,)), message))
            return {}
    return {
        name: each
        if each.graceful_stop is not None
        else each.model_copy(update={"graceful_stop": options.graceful_stop})
        for name, each in scenarios.items()
    }


def _left_out(
    options: Options, scenarios: Mapping[str, Scenario], owner: Mapping[str, Source], complaints: list[Complaint]
) -> frozenset[str]:
    """The scenarios that `--scenario` does not name."""
    if not options.scenario or not scenarios:
        return frozenset()
    hint = f"there is {', '.join(scenarios)}"
    if "scenarios" not in owner:
        hint = "the load is said by other options, so no scenario has a name"
    for name in options.scenario:
        if name not in scenarios:
            where = owner["scenario"].where(("scenario",))
            complaints.append(Complaint(where, f"no scenario {name!r}", _meant(name, scenarios, hint)))
    return frozenset(scenarios) - frozenset(options.scenario)


def _is_only_of(left_out: Iterable[str], scenarios: Mapping[str, Scenario], threshold: Threshold) -> bool:
    """Whether a threshold selects scenarios that do not run, and none that do."""
    wanted = [each for each in threshold.selector.tags if each.name == "scenario"]
    return any(each.matches(name) for each in wanted for name in left_out) and not any(
        all(each.matches(name) for each in wanted) for name in scenarios
    )


def _about_thresholds(left_out: Sequence[Threshold]) -> Iterable[str]:
    if left_out:
        keys = ", ".join(dict.fromkeys(each.key for each in left_out))
        yield f"not judged, since --scenario leaves their scenarios out: thresholds on {keys}"


def _shortcut(options: Options) -> Scenario:
    """k6's shortcuts: iterations are shared, a duration keeps virtual users busy, nothing runs once."""
    return _shape(options).model_copy(update={"weights": options.weights})


def _shape(options: Options) -> Scenario:
    vus, duration = options.vus, options.duration
    if options.stages is not None:
        return RampingVUs(start_vus=1 if vus is None else vus, stages=_plain(options.stages))
    if options.rate is not None and duration is not None:
        count, unit_s = options.rate
        return ConstantArrivalRate(rate=count, time_unit=unit_s, duration=duration, max_vus=vus)
    if options.iterations is not None or (duration is None and vus is not None):
        vus = vus or 1
        return SharedIterations(
            vus=vus, iterations=options.iterations or vus, max_duration=duration or LONGEST_ITERATIONS_S
        )
    if duration is not None:
        return ConstantVUs(vus=vus or 1, duration=duration)
    return PerVUIterations()


def _plain(stages: tuple[Stage, ...]) -> Any:
    """For validating them once more as part of a scenario."""
    return [stage.model_dump() for stage in stages]


def _about_functions(
    functions: Mapping[str, Sequence[str]], owner: Mapping[str, Source], check_function: FunctionCheck
) -> Iterable[Complaint]:
    """What is wrong with the functions that scenarios, by their names, run."""
    for name, function in ((name, function) for name, some in functions.items() for function in some):
        complaint = check_function(function)
        key = "weights" if len(functions[name]) > 1 else "exec"
        if complaint is None:
            continue
        if "scenarios" in owner:
            where = owner["scenarios"].where(("scenarios", name, key))
            yield Complaint(where, f"scenarios.{name}.{key}: {complaint}")
        elif "weights" in owner:
            yield Complaint(owner["weights"].where(("weights", function)), f"weights: {complaint}")
        else:
            yield complaint
