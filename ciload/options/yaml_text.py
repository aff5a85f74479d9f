"""YAML as it is written: `no`, `1.10`, `010` and `2024-01-01` are the text that stands there.

YAML 1.1 would make false, 1.1, 8 and a date of them. The option knows what it is to be: its type makes a number of a
text that is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

Lines = Mapping[tuple[str, ...], int]

MOST_VALUES = 100_000  # aliases can make very many of a few lines
KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
# What the parser quotes behind these words is the user's text, which may be a secret.
QUOTING = re.compile(r"\b(alias|anchor|tag|tag handle|directive)\b.*", re.DOTALL)


class YAMLTextError(Exception):
    """What is wrong, in words that quote nothing; `line` counts from 1, 0 when it is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class _TextLoader(yaml.SafeLoader):
    """Scalars stay text, unless they are null or have a tag."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # so is PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag in KEPT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_yaml(text: str) -> tuple[Any, Lines]:
    """The document as plain values, and the line of each key path, counted from 1.

    Raises:
        YAMLTextError: it is not YAML, says a key twice, or is too large.
    """
    try:
        loader = _TextLoader(text)
        node = loader.get_single_node()
        lines: dict[tuple[str, ...], int] = {}
        _collect(node, (), lines)
        return (None if node is None else loader.construct_document(node)), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise YAMLTextError(f"not YAML: {_unquoted(error)}", mark.line + 1 if mark else 0) from None
    except ValueError:  # from an explicit tag, such as !!int or !!timestamp
        raise YAMLTextError("not YAML: a value does not fit its tag") from None
    except RecursionError:
        raise YAMLTextError("not YAML that ends: it is nested too deeply, or contains itself") from None


def _unquoted(error: yaml.YAMLError) -> str:
    first_line = str(getattr(error, "problem", None) or error).splitlines()[0]
    return QUOTING.sub(r"\1", first_line)


def _collect(node: yaml.Node | None, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    if len(lines) > MOST_VALUES:
        raise YAMLTextError(f"more than {MOST_VALUES:,} values")
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen and name != "<<":
                raise YAMLTextError(f"{name!r} is said twice", line)
            seen.add(name)
            lines[(*path, name)] = line
            _collect(value, (*path, name), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, str(index))] = value.start_mark.line + 1
            _collect(value, (*path, str(index)), lines)
