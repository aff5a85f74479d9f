"""Text and JSON with marks in them, as Python source."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ciload.convert.marks import Bare, Reference, References, has_mark
from ciload.starter.literals import Code, escaped, text_literal
from ciload.text import SAFE_PATH, SAFE_QUERY


def text_source(references: References, text: str, *, exact: bool = False) -> str | Code:
    """Text, or the expression that makes it; `exact` if a number will not do."""
    if not has_mark(text):
        return text
    pieces = references.pieces(text)
    if len(pieces) == 1 and isinstance(pieces[0], Reference) and (pieces[0].is_text or not exact):
        return Code(pieces[0].code)
    plain = "".join(each for each in pieces if isinstance(each, str))
    mark = '"' if plain.count('"') <= plain.count("'") else "'"
    made = [
        f"{{{each.code}}}" if isinstance(each, Reference) else escaped(each, mark).replace("{", "{{").replace("}", "}}")
        for each in pieces
    ]
    return Code(f"f{mark}{''.join(made)}{mark}")


def json_source(references: References, value: Any) -> Any:
    """The same for all text in a value."""
    if isinstance(value, Bare):
        [reference] = references.pieces(value)
        assert isinstance(reference, Reference)
        return Code(f"int({reference.code})" if reference.is_text and reference.is_local else reference.code)
    if isinstance(value, str):
        return text_source(references, value, exact=True)
    if isinstance(value, dict):
        return {text_source(references, key, exact=True): json_source(references, each) for key, each in value.items()}
    return [json_source(references, each) for each in value] if isinstance(value, list) else value


def path_source(references: References, origin: str, path: str, bare_query: str = "") -> str:
    """The literal of a URL's path, with what an URL cannot hold encoded."""
    pieces = [
        each if isinstance(each, Reference) else quote(each, safe=SAFE_PATH, errors="replace")
        for each in references.pieces(path)
    ]
    text = "".join(references.mark(each) if isinstance(each, Reference) else each for each in pieces)
    text += f"?{quote(bare_query, safe=SAFE_QUERY, errors='replace')}" if bare_query else ""
    return text_literal(text_source(references, origin + text, exact=True))


def pairs_source(references: References, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Pairs as a mapping: names that are there twice have lists."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        key, source = text_source(references, name), text_source(references, value)
        if key not in made:
            made[key] = source
        elif isinstance(made[key], list):
            made[key].append(source)
        else:
            made[key] = [made[key], source]
    return made
