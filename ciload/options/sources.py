"""The places that options come from, each as plain values that know where they were written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ciload.errors import Complaint, OptionsError, UsageError, place

PREFIX = "CILOAD_"
NOT_OPTIONS = frozenset({"CILOAD_CONFIG", "CILOAD_SCRIPT"})  # these say what to read, not how to run it
DEFAULT_FILE = Path("ciload.yaml")


@dataclass(frozen=True, slots=True)
class Source:
    """Options from one place. Keys are spelled as in `Options`; `where` gives the place of a key path."""

    values: Mapping[str, Any]
    where: Callable[[tuple[str, ...]], str]


def snake_case(key: str) -> str:
    """`batchPerHost` and `batch-per-host` mean `batch_per_host`: k6's spelling and a flag's are welcome everywhere."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).replace("-", "_").lower()


def from_flags(flags: Mapping[str, Any]) -> Source:
    given = {key: value for key, value in flags.items() if value is not None}
    return Source(given, lambda path: "--" + path[0].replace("_", "-"))


def from_environment(environment: Mapping[str, str]) -> Source:
    """`CILOAD_*` variables; thresholds are YAML or JSON. An empty variable counts as unset, as CI inputs need it."""
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_OPTIONS or not text:
            continue
        key = variable.removeprefix(PREFIX).lower()
        values[key] = _structured(variable, text) if key == "thresholds" else text
    return Source(values, lambda path: PREFIX + path[0].upper())


def _structured(variable: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise OptionsError([Complaint(variable, f"not YAML: {_first_line(error)}")]) from None


def from_script(options: Mapping[str, Any], where: Callable[..., str]) -> Source:
    """The script's `options`. Its own spelling of a key is kept for saying where it stands."""
    spelled = {snake_case(key): key for key in options}
    values = {snake_case(key): value for key, value in options.items()}
    return Source(values, lambda path: where(spelled.get(path[0], path[0]), *path[1:]))


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
    spelled = {snake_case(key): value for key, value in values.items()}
    return Source(spelled, lambda keys: place(path, lines, keys))


def _first_line(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _collect(node: yaml.Node | None, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            # Only the top level holds option names; below it, keys are the user's own words.
            name = snake_case(str(key.value)) if not path else str(key.value)
            lines[(*path, name)] = key.start_mark.line + 1
            _collect(value, (*path, name), lines)
