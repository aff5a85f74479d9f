"""The places that options come from, each as plain values that know where they were written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ciload.errors import Complaint, OptionsError, UsageError, place
from ciload.options.scenarios import snake_case

PREFIX = "CILOAD_"
# These say what to read, and who we are in CI, not how to run it.
NOT_OPTIONS = frozenset({"CILOAD_CONFIG", "CILOAD_SCRIPT", "CILOAD_GITHUB_TOKEN", "CILOAD_GITLAB_TOKEN"})
FLAG_NAMES = {"stages": "--stage", "tags": "--tag"}
STRUCTURED = ("thresholds", "scenarios")  # variables that hold YAML or JSON
DEFAULT_FILE = Path("ciload.yaml")

Lines = Mapping[tuple[str, ...], int]


@dataclass(frozen=True, slots=True)
class Source:
    """Options from one place. Keys are spelled as in `Options`; `where` gives the place of a key path."""

    values: Mapping[str, Any]
    where: Callable[[tuple[str, ...]], str]


def from_flags(flags: Mapping[str, Any]) -> Source:
    given = {key: value for key, value in flags.items() if value is not None and value != []}
    empty = [key for key, value in given.items() if isinstance(value, str) and not value.strip()]
    if empty:  # `--baseline "$UNSET"` must not switch the gate off
        raise OptionsError([Complaint(_flag(key), "is empty; is a variable not set?") for key in empty])
    return Source(given, lambda path: _flag(path[0]))


def _flag(key: str) -> str:
    return FLAG_NAMES.get(key, "--" + key.replace("_", "-"))


def from_environment(environment: Mapping[str, str]) -> Source:
    """`CILOAD_*` variables; thresholds and scenarios are YAML or JSON.

    An empty variable counts as unset, as CI inputs need it.
    """
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_OPTIONS or not text:
            continue
        key = variable.removeprefix(PREFIX).lower()
        values[key] = _structured(variable, text) if key in STRUCTURED else text
    return Source(values, lambda path: PREFIX + path[0].upper())


def _structured(variable: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise OptionsError([Complaint(variable, f"not YAML: {_first_line(error)}")]) from None


def from_script(options: Mapping[str, Any], path: Path, lines: Lines) -> Source:
    """The script's `options`; `lines` says where each of its keys is written."""
    return Source({snake_case(key): value for key, value in options.items()}, _finder(path, lines))


def _finder(path: Path, lines: Lines) -> Callable[[tuple[str, ...]], str]:
    """Places of keys, however these are spelled."""
    spelled = {_spelled(keys): line for keys, line in lines.items()}
    return lambda keys: place(path, spelled, _spelled(keys))


def _spelled(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(snake_case(key) for key in keys)


def from_file(path: Path | None) -> Source:
    """The YAML file; without `--config`, `ciload.yaml` if it exists.

    Raises:
        UsageError: the file was asked for and cannot be read.
        OptionsError: it is not a YAML mapping.
    """
    if path is None:
        if not DEFAULT_FILE.is_file():
            return Source({}, lambda _: str(DEFAULT_FILE))
        path = DEFAULT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot read the configuration: {error}") from None
    try:
        values, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise OptionsError([Complaint(where, f"not YAML: {_first_line(error)}")]) from None
    if values is None:
        values = {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise OptionsError([Complaint(str(path), "expected options as `name: value` lines")])
    lines: dict[tuple[str, ...], int] = {}
    _collect(node, (), lines)
    return Source({snake_case(key): value for key, value in values.items()}, _finder(path, lines))


def _first_line(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _collect(node: yaml.Node | None, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*path, str(key.value))] = key.start_mark.line + 1
            _collect(value, (*path, str(key.value)), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, str(index))] = value.start_mark.line + 1
            _collect(value, (*path, str(index)), lines)
