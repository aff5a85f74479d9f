"""How single values are written: durations, rates, stages, tags, counts; each type checks one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from ciload.durations import parse_duration

# Seconds; written as a number of seconds or as text with units.
Duration = Annotated[float, BeforeValidator(parse_duration)]
Count = Annotated[int, Field(ge=1)]
# k6's bound as well: a shorter load says nothing about anything.
LoadDuration = Annotated[Duration, Field(ge=1.0)]


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


OneOrMore = BeforeValidator(_as_list)


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if value and not usable:
        raise ValueError("not a URL like http://localhost:8000")
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]


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


def _text_by_name(value: object) -> object:
    """`a=1,b=2`, k6's `a:1,b:2`, or a list of such pairs; and a mapping, whose plain values become text."""
    if isinstance(value, str):
        value = [pair.strip() for pair in value.split(",") if pair.strip()]
    if isinstance(value, list | tuple):
        return dict(_pair(str(pair)) for pair in value)
    if isinstance(value, Mapping):
        return {str(name): _plain_text(each) for name, each in value.items()}
    return value


def _pair(text: str) -> tuple[str, str]:
    mark = min((text.index(mark) for mark in "=:" if mark in text), default=0)
    if not text[:mark].strip():
        raise ValueError(f"{text!r} is not a pair: write name=value")
    return text[:mark].strip(), text[mark + 1 :].strip()


def _plain_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Pairs = Annotated[dict[str, str], BeforeValidator(_text_by_name)]


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
