"""An OpenAPI 3 or Swagger 2 file as plain data. It may be anything: what is made of it has text keys and no cycles."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import yaml

from ciload.errors import UsageError
from ciload.files import read_file, reason_of
from ciload.text import one_line

MOST_BYTES = 16 << 20
MOST_NODES = 1_000_000  # aliases of YAML make a few bytes as large as one likes
DEEPEST = 60
MOST_REFERENCES = 20
LARGEST = 2**63
# What PyYAML makes of nonsense that is tagged as a number, a date or a key.
BROKEN = (RecursionError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Dates stay text: they are examples of what is sent."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Document:
    """The whole file, and what its references point to."""

    root: Mapping[str, Any]

    @property
    def is_swagger(self) -> bool:
        return "swagger" in self.root

    def resolve(self, node: object) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The mapping that this is or refers to, and the references on the way; empty when there is none."""
        passed: list[str] = []
        while isinstance(node, Mapping) and isinstance(reference := node.get("$ref"), str):
            if reference in passed or len(passed) >= MOST_REFERENCES:
                return {}, tuple(passed)
            passed.append(reference)
            node = self._at(reference)
        return node if isinstance(node, Mapping) else {}, tuple(passed)

    def mapping(self, node: object) -> Mapping[str, Any]:
        return self.resolve(node)[0]

    def _at(self, reference: str) -> object:
        if not reference.startswith("#/"):
            return None
        node: object = self.root
        for part in unquote(reference[2:]).split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping):
                node = node.get(key)
            elif isinstance(node, list) and key.isascii() and key.isdigit() and len(key) < 6:
                node = node[int(key)] if int(key) < len(node) else None
            else:
                return None
        return node


def read_document(place: str) -> Document:
    """The document in a file.

    Raises:
        UsageError: there is none, it cannot be read, or it is no OpenAPI document.
    """
    shown = one_line(place)
    try:
        root = _plain(_parsed(_text(place)), DEEPEST, [MOST_NODES])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = one_line(str(getattr(error, "problem", None) or "not valid"))
        raise UsageError(f"{shown}{line}: neither YAML nor JSON: {problem}") from None
    except BROKEN:
        raise UsageError(
            f"{shown}: cannot be read as YAML or JSON: it is nested too deeply, or has a broken value"
        ) from None
    if not isinstance(root, dict) or not ("openapi" in root or "swagger" in root):
        raise UsageError(
            f"{shown}: is no OpenAPI document, which begins with `openapi: 3` or `swagger: '2.0'`; "
            "without one, give the URL of a page to begin with: ciload init http://localhost:8000/"
        )
    return Document(root)


def _parsed(text: str) -> object:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)  # some hundred times faster
        except json.JSONDecodeError:
            pass
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe one


def _text(place: str) -> str:
    shown = one_line(place)
    try:
        data = read_file(place, MOST_BYTES)
    except FileNotFoundError:
        raise UsageError(f"{shown}: there is no such file; a URL begins with http:// or https://") from None
    except OSError as error:
        raise UsageError(f"{shown}: {reason_of(error)}; give an OpenAPI file or a URL") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{shown}: is not UTF-8; an OpenAPI file is") from None


def _plain(value: object, depth: int, left: list[int]) -> Any:
    """A copy that is what JSON can say, without aliases to itself."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < LARGEST else LARGEST - 1
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_key(key): _plain(each, depth - 1, left) for key, each in value.items()} if depth else {}
    if isinstance(value, list | tuple | set):
        return [_plain(each, depth - 1, left) for each in value] if depth else []
    return _text_of(value)


def _text_of(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent


def _key(key: object) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return _text_of(key) if not isinstance(key, int) or abs(key) < LARGEST else "0"
