"""Example data: what the document gives as an example, else something of the right type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from ciload.starter.document import Document

DEEPEST = 8
MOST_VALUES = 500  # in one body
MOST_ITEMS = 10
LONGEST = 1_000
LARGEST = 50_000  # characters of an example, about
MISSING: Any = object()  # null is a value
FORMATS = {
    "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "date": "2025-01-31",
    "date-time": "2025-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1M",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uri-reference": "/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "byte": "ZXhhbXBsZQ==",
    "password": "correct horse",
}


def given(document: Document, node: Mapping[str, Any]) -> Any:
    """What a parameter, media type or schema gives as its example; MISSING when it gives none."""
    for key in ("example", "x-example"):
        if key in node and _is_small(node[key]):
            return node[key]
    examples = node.get("examples")
    if isinstance(examples, list) and examples and _is_small(examples[0]):
        return examples[0]
    if isinstance(examples, Mapping):
        for each in examples.values():
            found = document.mapping(each)
            if "value" in found and _is_small(found["value"]):
                return found["value"]
    return MISSING


def _is_small(value: object) -> bool:
    """Whether it can stand in a script, once for each operation that refers to it."""
    left = LARGEST
    rest = [value]
    while rest and left >= 0:
        each = rest.pop()
        left -= 50 + (len(each) if isinstance(each, str) else 0)
        if isinstance(each, Mapping):
            left -= sum(map(len, islice(each, LARGEST)))
            rest += islice(each.values(), LARGEST)
        elif isinstance(each, list):
            rest += islice(each, LARGEST)
    return left >= 0


def value_of(document: Document, node: Mapping[str, Any]) -> Any:
    """Data for a parameter or a media type; MISSING when there is nothing to go by."""
    found = given(document, node)
    if found is not MISSING:
        return found
    schema = node.get("schema") if "schema" in node else node if "type" in node or "enum" in node else None
    return Maker(document).make(schema) if isinstance(schema, Mapping) else MISSING


class Maker:
    """Makes one value from a schema, with bounds on its size."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.left = MOST_VALUES

    def make(self, node: object, depth: int = 0, above: frozenset[str] = frozenset()) -> Any:
        """A value of this schema; MISSING where it would contain itself, or become too large."""
        schema, references = self.document.resolve(node)
        self.left -= 1
        if depth > DEEPEST or self.left < 0 or not above.isdisjoint(references):
            return MISSING
        above |= set(references)
        found = given(self.document, schema)
        if found is not MISSING:
            return found
        for key in ("const", "default"):
            if key in schema and _is_small(schema[key]):
                return schema[key]
        if isinstance(choices := schema.get("enum"), list) and choices:
            return choices[0]
        schema, above = self._whole(schema, above)
        found = given(self.document, schema)
        if found is not MISSING:
            return found
        if isinstance(choices := schema.get("enum"), list) and choices:
            return choices[0]
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth, above)
        if kind == "array":
            return self._array(schema, depth, above)
        make: Callable[[Mapping[str, Any]], Any] = SCALARS.get(kind, _string)
        return make(schema)

    def whole(self, node: object) -> Mapping[str, Any]:
        """A schema with all of its parts put together."""
        schema, references = self.document.resolve(node)
        return self._whole(schema, frozenset(references))[0]

    def _whole(
        self, schema: Mapping[str, Any], above: frozenset[str], depth: int = 0
    ) -> tuple[Mapping[str, Any], frozenset[str]]:
        """All of `allOf`, and the first branch of `oneOf` and `anyOf` that is something."""
        parts: list[object] = list(each) if isinstance(each := schema.get("allOf"), list) else []
        for key in ("oneOf", "anyOf"):
            branches = schema.get(key)
            if isinstance(branches, list):
                parts += [each for each in branches if self.document.mapping(each).get("type") != "null"][:1]
        whole: dict[str, Any] = {key: each for key, each in schema.items() if key not in ("allOf", "oneOf", "anyOf")}
        for part in parts[:MOST_ITEMS]:
            found, references = self.document.resolve(part)
            self.left -= 1
            if depth > DEEPEST or self.left < 0 or not above.isdisjoint(references):
                continue
            above |= set(references)
            found, above = self._whole(found, above, depth + 1)
            for key, each in found.items():
                if key == "properties" and isinstance(each, Mapping) and isinstance(whole.get(key), Mapping):
                    whole[key] = {**each, **whole[key]}
                elif key == "required" and isinstance(each, list) and isinstance(whole.get(key), list):
                    whole[key] = [*whole[key], *each]
                else:
                    whole.setdefault(key, each)
        return whole, above

    def _object(self, schema: Mapping[str, Any], depth: int, above: frozenset[str]) -> dict[str, Any]:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return {}
        required = schema.get("required")
        needed = [each for each in required if isinstance(each, str)] if isinstance(required, list) else []
        made = {}
        for name, each in islice(properties.items(), MOST_VALUES):
            found = self.document.mapping(each)
            if found.get("readOnly") is True:
                continue
            if needed and name not in needed and given(self.document, found) is MISSING:
                continue
            value = self.make(each, depth + 1, above)
            if value is not MISSING:
                made[name] = value
        return made

    def _array(self, schema: Mapping[str, Any], depth: int, above: frozenset[str]) -> list[Any]:
        count = max(1, min(MOST_ITEMS, int(_number(schema.get("minItems")) or 1)))
        if _number(schema.get("maxItems")) == 0:
            return []
        made = [self.make(schema.get("items", {}), depth + 1, above) for _ in range(count)]
        return [each for each in made if each is not MISSING]


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _limit(schema: Mapping[str, Any], name: str, exclusive: str, step: float) -> float | None:
    """The limit itself, or next to it if it is exclusive: a flag in OpenAPI 3.0, a number in 3.1."""
    limit, other = _number(schema.get(name)), _number(schema.get(exclusive))
    if other is not None:
        return other + step
    return limit + step if limit is not None and schema.get(exclusive) is True else limit


def _amount(schema: Mapping[str, Any], step: float) -> float:
    least = _limit(schema, "minimum", "exclusiveMinimum", step)
    most = _limit(schema, "maximum", "exclusiveMaximum", -step)
    value = 1.0
    if least is not None and value < least:
        value = least
    if most is not None and value > most:
        value = most
    every = _number(schema.get("multipleOf"))
    if every is not None and every > 0 and math.isfinite(value / every):
        value = math.ceil(value / every) * every
        if most is not None and value > most:
            value -= every
    return value


def _integer(schema: Mapping[str, Any]) -> int:
    return math.ceil(_amount(schema, 1))


def _decimal(schema: Mapping[str, Any]) -> float:
    return _amount(schema, 0.5)


def _string(schema: Mapping[str, Any]) -> str:
    kind = schema.get("format")
    text = FORMATS.get(kind, "") if isinstance(kind, str) else ""
    if text:
        return text
    text = "example"
    least, most = _number(schema.get("minLength")), _number(schema.get("maxLength"))
    if least is not None:
        text = text.ljust(int(min(least, LONGEST)), "e")
    return text[: int(max(0, most))] if most is not None and most < len(text) else text


def _true(_: Mapping[str, Any]) -> bool:
    return True


def _nothing(_: Mapping[str, Any]) -> None:
    pass


SCALARS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "integer": _integer, "number": _decimal, "boolean": _true, "null": _nothing,
}  # fmt: skip
