"""From what the user said to what will be done: layers merged, values checked, load options made into scenarios."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ciload.errors import Complaint, OptionsError
from ciload.metrics.metric import Metric
from ciload.options.model import LOAD_OPTIONS, URL_OPTIONS, Options
from ciload.options.sources import Source
from ciload.result.thresholds import Threshold, parse_threshold

LONGEST_ITERATIONS_S = 600.0  # k6's maxDuration


class Scenario(BaseModel):
    """Who runs what for how long. `duration_s` bounds when iterations may start."""

    model_config = ConfigDict(frozen=True)

    name: str
    executor: Literal["constant-vus", "shared-iterations", "per-vu-iterations"]
    vus: int
    iterations: int | None
    duration_s: float
    graceful_stop_s: float


class Plan(BaseModel):
    """What a run does: frozen and serialisable, so that it can be handed to whoever runs a part of it."""

    model_config = ConfigDict(frozen=True)

    options: Options
    scenarios: tuple[Scenario, ...]
    thresholds: tuple[Threshold, ...]


def make_plan(sources: Sequence[Source], metrics: Mapping[str, Metric]) -> Plan:
    """Merge the sources, strongest first, and check everything.

    Raises:
        OptionsError: all that is wrong, each with its place.
    """
    owner = _owners(sources)
    values = {key: source.values[key] for key, source in owner.items()}
    complaints = [
        Complaint(source.where((key,)), f"unknown option {key!r}", _meant(key))
        for key, source in owner.items()
        if key not in Options.model_fields
    ]
    known = {key: value for key, value in values.items() if key in Options.model_fields}
    try:
        options = Options.model_validate(known)
    except ValidationError as error:
        complaints += [_complaint(details, owner) for details in error.errors()]
        # Thresholds are still looked at, so that one round of mending is enough.
        options = _valid_part(known, {str(details["loc"][0]) for details in error.errors()})
    thresholds = _thresholds(options, owner, metrics, complaints)
    if options.iterations is not None and options.iterations < (options.vus or 1):
        place = owner["iterations"].where(("iterations",))
        message = f"{options.iterations} iterations cannot keep {options.vus} virtual users busy"
        complaints.append(Complaint(place, message, "use at least one iteration for each"))
    if complaints:
        raise OptionsError(complaints)
    return Plan(options=options, scenarios=(_scenario(options),), thresholds=tuple(thresholds))


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


def _meant(key: str) -> str:
    close = difflib.get_close_matches(key, list(Options.model_fields), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else "`ciload run --help` lists them"


def _complaint(details: Any, owner: Mapping[str, Source]) -> Complaint:
    path = tuple(str(part) for part in details["loc"])
    message = str(details["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    # A URL may hold a password, and what does not parse cannot be shown without it.
    hint = "" if path[0] in URL_OPTIONS else f"got {_shown(details['input'])}"
    return Complaint(owner[path[0]].where(path), f"{'.'.join(path)}: {message}", hint)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _valid_part(values: Mapping[str, Any], broken: set[str]) -> Options:
    return Options.model_validate({key: value for key, value in values.items() if key not in broken})


def _thresholds(
    options: Options, owner: Mapping[str, Source], metrics: Mapping[str, Metric], complaints: list[Complaint]
) -> list[Threshold]:
    parsed = []
    for key, expressions in options.thresholds.items():
        where = owner["thresholds"].where(("thresholds", key))
        for expression in expressions:
            try:
                parsed.append(parse_threshold(key, expression, metrics, where))
            except ValueError as error:
                complaints.append(Complaint(where, f"threshold on {key!r}: {error}"))
    return parsed


def _scenario(options: Options) -> Scenario:
    """k6's shortcuts: iterations are shared, a duration keeps virtual users busy, nothing runs once."""
    vus = options.vus or 1
    executor: Literal["constant-vus", "shared-iterations", "per-vu-iterations"]
    if options.iterations is not None or (options.duration is None and options.vus is not None):
        executor, iterations = "shared-iterations", options.iterations or vus
    elif options.duration is not None:
        executor, iterations = "constant-vus", None
    else:
        executor, iterations = "per-vu-iterations", 1
    return Scenario(
        name="default",
        executor=executor,
        vus=vus,
        iterations=iterations,
        duration_s=options.duration or LONGEST_ITERATIONS_S,
        graceful_stop_s=options.graceful_stop,
    )
