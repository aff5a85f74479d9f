"""How single values are written: durations, rates, stages, tags, counts; each type checks one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo

from ciload.durations import check_unit, parse_duration
from ciload.metrics.expected import parse_statuses

# Validation of what a user has written, as against what ciload hands to itself.
AS_WRITTEN = {"as_written": True}


def _duration(value: Any, info: ValidationInfo) -> float:
    seconds = parse_duration(value)
    if info.context is AS_WRITTEN:
        check_unit(value)
    return seconds


# Seconds; written as a number of seconds or as text with units.
Duration = Annotated[float, BeforeValidator(_duration)]
Count = Annotated[int, Field(ge=1)]
# k6's bound as well: a shorter load says nothing about anything.
LoadDuration = Annotated[Duration, Field(ge=1.0)]


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


OneOrMore = BeforeValidator(_as_list)


def _web_address(value: str) -> str:
    """A URL that can be requested. Complaints never quote it: it may hold a password."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https", "http+unix") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if value and not usable:
        raise ValueError(f"not a URL like http://localhost:8000{_about_at_sign(value)}")
    if usable and "@" in value and "@" not in parts.netloc:
        # https://tok/en@host asks the host `tok`. In a path, an @ that is meant can be written as %40.
        raise ValueError(f"not a URL like http://localhost:8000{_about_at_sign(value)}")
    return value


def _about_at_sign(value: str) -> str:
    if "@" not in value:
        return ""
    return "; before an @, write / as %2F, ? as %3F, # as %23 and @ as %40; an @ in a path as %40 too"


WebAddress = Annotated[str, AfterValidator(_web_address)]


def _place(value: str) -> str:
    return _web_address(value) if value.lower().startswith(("http://", "https://")) else value


# A file, a URL, or what else the gate can read.
Place = Annotated[str, AfterValidator(_place)]


def _root_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.query or parts.fragment:
        raise ValueError("paths are put behind it, so it can have no query (?...) and no fragment (#...)")
    return value


# What relative URLs are put behind.
RootAddress = Annotated[WebAddress, AfterValidator(_root_address)]


def _share(value: object) -> object:
    """`10%` or 0.1."""
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ValueError("not a share: write 10% or 0.1") from None
    if not text.endswith("%") and share >= 1:
        raise ValueError(f"more than all: write {text}% if that is meant")
    return share


Share = Annotated[float, BeforeValidator(_share)]


def names_in_list(value: object) -> object:
    """Names as a list, or in one text with commas between them."""
    return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value


EVERYTHING_ELSE = ""  # what has no tolerance of its own
USUAL_TOLERANCE = 0.1
MOST_TOLERATED = 10.0


def _tolerance(value: object) -> dict[str, float]:
    """`10%`; or a mapping, `GET /search=20%`, or a list of these, in which a share alone is that of everything else."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        pairs = [("", each) if "=" not in str(each) else str(each).rsplit("=", 1) for each in value]
        value = {str(name).strip(): share for name, share in pairs}
    elif not isinstance(value, Mapping):
        value = {EVERYTHING_ELSE: value}
    shares = {str(name).strip(): share for name, share in value.items()}
    return {EVERYTHING_ELSE: USUAL_TOLERANCE} | {name: _tolerated(name, share) for name, share in shares.items()}


def _tolerated(name: str, value: object) -> float:
    of = f"of {name!r}: " if name else ""
    try:
        share = float(str(_share(value)))
    except ValueError as error:
        raise ValueError(f"{of}{error}") from None
    if not 0 <= share <= MOST_TOLERATED:
        raise ValueError(f"{of}a tolerance is from 0 to {MOST_TOLERATED:.0%}")
    return share


# Shares by what they are about: an endpoint, a metric of it, or everything else.
Tolerances = Annotated[
    dict[str, float],
    BeforeValidator(_tolerance),
    PlainSerializer(lambda shares: shares[EVERYTHING_ELSE] if len(shares) == 1 else shares),
]


def _text_by_name(value: object) -> object:
    """`a=1,b=2`, k6's `a:1,b:2`, or a list of such pairs; and a mapping, whose plain values become text."""
    if isinstance(value, str):
        value = [pair.strip() for pair in value.split(",") if pair.strip()]
    if isinstance(value, list | tuple):
        return dict(_pair(number, pair) for number, pair in enumerate(value, 1))
    if isinstance(value, Mapping):
        return {_name(name): _plain_text(each) for name, each in value.items()}
    return value


def _pair(number: int, pair: object) -> tuple[str, str]:
    text = pair if isinstance(pair, str) else ""
    mark = min((text.index(mark) for mark in "=:" if mark in text), default=0)
    if not text[:mark].strip():
        raise ValueError(f"entry {number} is not a pair: write name=value")  # unquoted: it may be a secret
    return text[:mark].strip(), text[mark + 1 :].strip()


def _name(name: object) -> str:
    if name is None or not str(name).strip():
        raise ValueError("a name is missing")
    return str(name)


def _plain_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Pairs = Annotated[dict[str, str], BeforeValidator(_text_by_name)]


def names_in(value: object) -> list[object]:
    """The names in `A,B` or in a list; what is neither stands for itself."""
    if isinstance(value, str):
        return [each.strip() for each in value.split(",") if each.strip()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _variable_names(value: object) -> list[object]:
    names = names_in(value)
    for number, name in enumerate(names, 1):
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):  # unquoted: it may be the secret itself
            raise ValueError(f"entry {number} is no name of an environment variable")
    return names


VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VariableNames = Annotated[tuple[str, ...], BeforeValidator(_variable_names)]


# Names as they are: `a,b`, or a list.
ScenarioNames = Annotated[tuple[str, ...], BeforeValidator(names_in)]


def _statuses_text(value: object) -> str:
    """Statuses, as one text."""
    try:
        return str(parse_statuses(value))
    except TypeError as error:
        raise ValueError(str(error)) from None


StatusesText = Annotated[str, BeforeValidator(_statuses_text)]


BY_PORT = ("port", "auto")  # whoever listens there
PROCESS = re.compile(rf"[1-9][0-9]{{0,9}}|{'|'.join(BY_PORT)}|container:\S+")


def _process(value: object) -> str:
    text = str(value).strip()
    if text and not PROCESS.fullmatch(text):
        raise ValueError("not a process: write its PID, `port` (whoever listens on the URL's port), or container:NAME")
    return text


Process = Annotated[str, BeforeValidator(_process)]


def split_rate(text: str) -> tuple[float, float]:
    """How many, and in how many seconds: `50/s`, `3000/m`, `1/500ms`; a bare number is per second.

    Raises:
        ValueError: not a rate.
    """
    number, slash, unit = text.strip().partition("/")
    unit = unit.strip()
    try:
        count = float(number)
        if slash and not unit:
            raise ValueError
        seconds = parse_duration(unit if unit[:1].isdigit() else f"1{unit}") if slash else 1.0
    except ValueError:
        raise ValueError(f"{text!r} is not a rate: write 50/s, 3000/m, or 1/500ms") from None
    if not 0 < count <= 1e6 or seconds <= 0:
        raise ValueError(f"{text!r} is not a rate above 0 and up to a million")
    return count, seconds


def _split_stages(value: object) -> object:
    """`30s:20,1m:0`, or a list of such texts and of mappings with `duration` and `target`."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return value
    each_alone = (part for each in value for part in (each.split(",") if isinstance(each, str) else [each]))
    return [_split_stage(each) for each in each_alone if not isinstance(each, str) or each.strip()]


def _split_stage(value: object) -> Any:
    if not isinstance(value, str):
        return value
    duration, colon, target = value.strip().partition(":")
    if not colon:
        raise ValueError(f"{value!r} is not a stage: write DURATION:TARGET, such as 30s:20")
    return {"duration": duration, "target": target}


AsStages = BeforeValidator(_split_stages)
