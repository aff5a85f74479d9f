"""URLs of Postman: text or its parts, with rows that may be disabled, and hosts that may be variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ciload.convert.journey import Journey, split_url
from ciload.convert.marks import START, Reference
from ciload.convert.reading import items, mapping, mappings, text_of


def raw_url(url: Mapping[str, Any]) -> str:
    """A URL as it is written, or put together from its parts."""
    if raw := text_of(url.get("raw")):
        return raw
    host = url.get("host")
    whole = ".".join(text_of(each) for each in items(host)) or text_of(host)
    protocol, port = text_of(url.get("protocol")), text_of(url.get("port"))
    path = url.get("path")
    segments = [text_of(each if isinstance(each, str) else mapping(each).get("value")) for each in items(path)]
    made = f"{protocol}://{whole}" if protocol else whole
    made += (f":{port}" if port else "") + "/" + ("/".join(segments) or text_of(path).lstrip("/"))
    rows = [(text_of(each.get("key")), text_of(each.get("value"))) for each in mappings(url.get("query"))]
    return made + ("?" + "&".join(f"{key}={value}" for key, value in rows) if rows else "")


def without_disabled(raw: str, url: Mapping[str, Any]) -> str:
    """The query as its rows say, since the raw text may hold disabled ones."""
    rows = mappings(url.get("query"))
    if not any(each.get("disabled") is True for each in rows):
        return raw
    kept = [each for each in rows if each.get("disabled") is not True]
    made = [
        f"{quote(text_of(each.get('key')), safe='{}$[]')}={quote(text_of(each.get('value')), safe='{}$[] ')}"
        for each in kept
    ]
    return raw.partition("?")[0] + ("?" + "&".join(made) if made else "")


def split_marked(url: str) -> tuple[str, str, list[tuple[str, str | None]]]:
    """Origin, path and query of a URL, whose host may be a mark."""
    if url.startswith(START):
        origin, slash, rest = url.partition("/")
        _, path, query = split_url(slash + rest) if slash else ("", "", [])
        return origin, path or "/", query
    return split_url(url)


def choose_base(journey: Journey) -> None:
    """The first host is the base URL. A variable without a value in its place is one as well: the base URL's."""
    first = journey.steps[0].request.origin
    for step in journey.steps:
        if step.request.origin == first:
            step.request.origin = ""
    if first.startswith("http") and START not in first:
        journey.base_url = first
        return
    unused = [each for each in journey.references.pieces(first) if isinstance(each, Reference)]
    journey.settings = [each for each in journey.settings if each.constant not in {one.code for one in unused}]
