"""The places that options come from, each as plain values that know where they were written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ciload.errors import Complaint, UsageError, place
from ciload.options.scenarios import snake_case
from ciload.options.yaml_text import Lines, YAMLTextError, read_yaml
from ciload.secrets import SECRET_PREFIX

PREFIX = "CILOAD_"
# These say what to read, and who we are in CI, not how to run it.
NOT_OPTIONS = frozenset(
    {
        "CILOAD_CONFIG",
        "CILOAD_SCRIPT",
        "CILOAD_FAIL_FAST",
        "CILOAD_GITHUB_TOKEN",
        "CILOAD_GITLAB_TOKEN",
        "CILOAD_COMMIT_MESSAGE",
    }
)
FLAG_NAMES = {
    "stages": "--stage", "tags": "--tag", "secrets": "--secret", "headers": "--header", "hosts": "--resolve",
    "tls_auth": "--client-cert", "local_ips": "--local-ip", "block_ips": "--block-ip",
    "block_hostnames": "--block-hostname", "gate_metrics": "--gate-metric",
}  # fmt: skip
STRUCTURED = ("thresholds", "scenarios", "weights", "tls_auth")  # variables that hold YAML or JSON
DEFAULT_FILE = Path("ciload.yaml")


@dataclass(frozen=True, slots=True)
class Source:
    """Options from one place. Keys are spelled as in `Options`; `where` gives the place of a key path.

    `complaints` are about what could not become a value at all.
    """

    values: Mapping[str, Any]
    where: Callable[[tuple[str, ...]], str]
    complaints: tuple[Complaint, ...] = ()


def from_flags(flags: Mapping[str, Any]) -> Source:
    given = {key: value for key, value in flags.items() if value is not None and value != []}
    # `--baseline "$UNSET"` must not switch the gate off.
    empty = [key for key, value in given.items() if isinstance(value, str) and not value.strip()]
    complaints = tuple(Complaint(_flag(key), "is empty; is a variable not set?") for key in empty)
    values = {key: value for key, value in given.items() if key not in empty}
    return Source(values, lambda path: _flag(path[0]), complaints)


def _flag(key: str) -> str:
    return FLAG_NAMES.get(key, "--" + key.replace("_", "-"))


def from_environment(environment: Mapping[str, str]) -> Source:
    """`CILOAD_*` variables; thresholds and scenarios are YAML or JSON.

    An empty variable counts as unset, as CI inputs need it.
    """
    values: dict[str, Any] = {}
    complaints = []
    for variable, text in environment.items():
        if not text or not _is_option(variable):
            continue
        key = variable.removeprefix(PREFIX).lower()
        try:
            values[key] = read_yaml(text)[0] if key in STRUCTURED else text
        except YAMLTextError as error:
            complaints.append(Complaint(variable, str(error)))
    return Source(values, lambda path: PREFIX + path[0].upper(), tuple(complaints))


def _is_option(variable: str) -> bool:
    ours = variable.startswith(PREFIX) and not variable.startswith(SECRET_PREFIX)
    return ours and variable not in NOT_OPTIONS


def from_script(options: Mapping[str, Any], path: object, lines: Lines) -> Source:
    """The script's `options`; `lines` says where each of its keys is written."""
    return Source({snake_case(key): value for key, value in options.items()}, _finder(path, lines))


def _finder(path: object, lines: Lines) -> Callable[[tuple[str, ...]], str]:
    """Places of keys, however these are spelled."""
    spelled = {_spelled(keys): line for keys, line in lines.items()}
    return lambda keys: place(path, spelled, _spelled(keys))


def _spelled(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(snake_case(key) for key in keys)


def from_file(path: Path | None) -> Source:
    """The YAML file; without `--config`, `ciload.yaml` if it exists.

    Raises:
        UsageError: the file was asked for and cannot be read.
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
        values, lines = read_yaml(text)
    except YAMLTextError as error:
        where = f"{path}:{error.line}" if error.line else str(path)
        return Source({}, lambda _: str(path), (Complaint(where, str(error)),))
    if values is None:
        values = {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        return Source({}, lambda _: str(path), (Complaint(str(path), "expected options as `name: value` lines"),))
    return Source({snake_case(key): value for key, value in values.items()}, _finder(path, lines))
