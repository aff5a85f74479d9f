"""How requests of a document sign in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ciload.starter.document import Document
from ciload.text import one_line

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PLACES = ("header", "query", "cookie")


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to sign in: `kind` is bearer, basic, header, query or cookie; `name` that of the key."""

    kind: str
    name: str = ""


def schemes_of(document: Document, node: Mapping[str, Any]) -> tuple[tuple[Scheme, ...], str]:
    """What an operation takes: the first of its alternatives that a script can do; and why there is none.

    Where it may be left out, it is: a script that needs no secrets is easier to begin with.
    """
    alternatives = node.get("security", document.root.get("security"))
    ways = [each for each in alternatives if isinstance(each, Mapping)] if isinstance(alternatives, list) else []
    if not ways or any(not each for each in ways):
        return (), ""
    components = document.mapping(document.root.get("components"))
    known = document.mapping(components.get("securitySchemes", document.root.get("securityDefinitions")))
    for way in ways:
        found = [_scheme(document.mapping(known.get(name))) for name in way]
        if all(found):
            return tuple(dict.fromkeys(each for each in found if each)), ""
    return (), f"signs in by {', '.join(_kinds(document, known, ways[0]))}, which is for you to add"


def _kinds(document: Document, known: Mapping[str, Any], way: Mapping[str, Any]) -> Iterator[str]:
    for name in way:
        scheme = document.mapping(known.get(name))
        kind = scheme.get("scheme") if scheme.get("type") == "http" else scheme.get("type")
        yield one_line(str(kind or f"{name!r}, which is not described"), 60)


def _scheme(node: Mapping[str, Any]) -> Scheme | None:
    kind, scheme = node.get("type"), str(node.get("scheme", "")).lower()
    if kind in ("oauth2", "openIdConnect") or (kind == "http" and scheme == "bearer"):
        return Scheme("bearer")
    if kind == "basic" or (kind == "http" and scheme == "basic"):
        return Scheme("basic")
    place, name = node.get("in"), node.get("name")
    if kind == "apiKey" and isinstance(name, str) and isinstance(place, str) and place in PLACES:
        return Scheme(place, name) if place == "query" or TOKEN.fullmatch(name) else None
    return None
