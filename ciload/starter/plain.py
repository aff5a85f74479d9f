"""JSON and YAML as plain data, with text keys, a bounded size and no cycles, whatever a file holds."""

from __future__ import annotations

import json
import math
from typing import Any

import yaml

from ciload.errors import UsageError
from ciload.text import one_line

MOST_NODES = 1_000_000  # of all documents; aliases of YAML make a few bytes as large as one likes
DEEPEST = 60
LARGEST = 2**63
# What PyYAML makes of nonsense that is tagged as a number, a date or a key.
BROKEN = (RecursionError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
TIMESTAMP = "tag:yaml.org,2002:timestamp"
MERGE = "tag:yaml.org,2002:merge"


class Reference(str):
    """What a `$ref` says. `place` is the document that it stands in, `at` where it stands there."""

    place: str = ""
    at: str = ""


class _Loader(yaml.SafeLoader):
    """Dates stay text: they are examples of what is sent. Merging mappings has an end."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._left = MOST_NODES

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """`<<: [*a, *a, …]` looks at all of it again and again, and PyYAML before 6.0.4 copies it, level by level."""
        for key, value in node.value:
            if key.tag == MERGE:
                for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    self._left -= 1
                    if isinstance(each, yaml.MappingNode):
                        self.flatten_mapping(each)
                        self._left -= len(each.value)
                    if self._left < 0:
                        raise ValueError
        super().flatten_mapping(node)


def parse(data: bytes, shown: str, place: str, left: list[int] | None = None) -> Any:
    """Plain values.

    Args:
        data: JSON or YAML.
        shown: what messages call it.
        place: where it is, for the references in it.
        left: how many values it may have; counts down.

    Raises:
        UsageError: it is neither, or has more of something than we take.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{shown}: is not UTF-8; an OpenAPI file is") from None
    try:
        return _Copier(place, [MOST_NODES] if left is None else left).copy(_parsed(text), DEEPEST, None)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = one_line(str(getattr(error, "problem", None) or "not valid"))
        raise UsageError(f"{shown}{line}: neither YAML nor JSON: {problem}") from None
    except BROKEN:
        raise UsageError(
            f"{shown}: cannot be read as YAML or JSON: it is nested too deeply, too large, or has a broken value"
        ) from None


def _parsed(text: str) -> object:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)  # some hundred times faster
        except json.JSONDecodeError:
            pass
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe one


At = tuple["At", str] | None  # keys on the way, the last one first


class _Copier:
    """Copies what JSON can say, without aliases to itself; references know where they stand."""

    def __init__(self, place: str, left: list[int]) -> None:
        self._place = place
        self._left = left

    def copy(self, value: object, depth: int, at: At) -> Any:
        self._left[0] -= 1
        if self._left[0] < 0:
            raise ValueError
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) < LARGEST else LARGEST - 1
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, dict):
            return self._mapping(value, depth, at) if depth else {}
        if isinstance(value, list | tuple | set):
            return [self.copy(each, depth - 1, (at, str(n))) for n, each in enumerate(value)] if depth else []
        return _text_of(value)

    def _mapping(self, value: dict[object, object], depth: int, at: At) -> dict[str, Any]:
        made = {}
        for each, of_it in value.items():
            key = _key(each)
            made[key] = self.copy(of_it, depth - 1, (at, key))
        if type(reference := made.get("$ref")) is str:
            made["$ref"] = Reference(reference)
            made["$ref"].place, made["$ref"].at = self._place, _pointer(at)
        return made


def _pointer(at: At) -> str:
    keys: list[str] = []
    while at is not None:
        at, key = at
        keys.append(key.replace("~", "~0").replace("/", "~1"))
    return "#" + "".join(f"/{each}" for each in reversed(keys))


def _text_of(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent


def _key(key: object) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return _text_of(key) if not isinstance(key, int) or abs(key) < LARGEST else "0"
