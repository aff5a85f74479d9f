"""Which kind of material something is, told by what is in it, and the script that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ciload.convert.clean import host_of, may_load
from ciload.convert.curl import looks_like_curl, read_curl
from ciload.convert.har import read_har
from ciload.convert.journey import Journey
from ciload.convert.log_lines import looks_like_log
from ciload.convert.log_source import log_script
from ciload.convert.log_traffic import LogTraffic, read_log
from ciload.convert.postman import read_collection
from ciload.convert.reading import decoded, mapping, mappings, read_json, read_source, shown_place, text_of
from ciload.convert.recording import finish, finish_recording
from ciload.convert.shell import split_commands
from ciload.convert.source import journey_script
from ciload.errors import UsageError

LOCAL = "http://localhost:8000"  # in place of a base URL that nothing tells
KINDS = "a HAR recording, a Postman collection, an access log, or a curl command"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user wants of it."""

    hosts: Sequence[str] = ()
    keep_static: bool = False
    duration_s: float | None = None
    variables: str = ""  # a file with Postman's environment


@dataclass(slots=True)
class Converted:
    """A script, and what there is to say about it."""

    script: str
    summary: str
    base_url: str = ""  # that it needs to be told
    settings: list[tuple[str, str]] = field(default_factory=list)  # variables to set, and what they are
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def convert(place: str, file: str, choices: Choices) -> Converted:
    """The script of a file, or of standard input for `-`.

    Args:
        place: the file.
        file: the script's name.
        choices: what to keep.

    Raises:
        UsageError: it cannot be read, is nothing that we know, or has nothing to send.
    """
    shown = shown_place(place)
    text = decoded(read_source(place))
    made_by = f"ciload convert {'-' if place == '-' else Path(place).name}"
    start = text.lstrip()[:1]
    if start == "{" and not _is_lines(text):
        root = mapping(read_json(text, shown))
        return _journey(_of_json(root, shown, choices), made_by, file)
    if looks_like_curl(text):
        return _journey(_of_curl(split_commands(text, shown), shown), made_by, file)
    if not looks_like_log(text):
        raise UsageError(f"{shown}: is neither {KINDS}")
    return _log(read_log(text, shown, choices.hosts, keep_static=choices.keep_static), made_by, file, choices)


def convert_curl(arguments: Sequence[str], file: str) -> Converted:
    """The script of a curl command on our own command line.

    Raises:
        UsageError: it has a mistake, or options that we do not know.
    """
    return _journey(_of_curl([list(arguments)], "curl"), "ciload convert curl …", file)


def _of_curl(commands: list[list[str]], shown: str) -> Journey:
    journey = read_curl(commands, shown)
    finish(journey)
    return journey


def _is_lines(text: str) -> bool:
    """Several objects, one on each line, are a log."""
    first, _, rest = text.strip().partition("\n")
    if not (first.rstrip().endswith("}") and rest.lstrip().startswith("{")):
        return '"log"' not in first and '"item"' not in first and looks_like_log(first) and not rest.strip()
    return True


def _of_json(root: Mapping[str, Any], shown: str, choices: Choices) -> Journey:
    if "log" in root and "entries" in mapping(root["log"]):
        journey = read_har(root, shown)
        finish_recording(journey, choices.hosts, keep_static=choices.keep_static)
        journey.title = f"Journey at {host_of(journey.base_url) or 'a service'}"
        return journey
    collection = mapping(root.get("collection")) or root  # as Postman's API gives it
    if "item" in collection and ("info" in collection or "request" in text_of(collection.get("item"))):
        values = read_json(decoded(read_source(choices.variables)), shown_place(choices.variables)) if (
            choices.variables) else {}  # fmt: skip
        journey = read_collection(collection, shown, mappings(mapping(values).get("values")))
        finish(journey)
        return journey
    if "openapi" in root or "swagger" in root:
        raise UsageError(f"{shown}: is an OpenAPI document: ciload init {shown} writes a script from it")
    if "values" in root and "name" in root:
        raise UsageError(f"{shown}: is a Postman environment: name the collection, and this with --variables")
    raise UsageError(f"{shown}: is JSON, but neither a HAR recording (`log.entries`) nor a Postman collection (`item`)")


def _journey(journey: Journey, made_by: str, file: str) -> Converted:
    journey.made_by = made_by
    count, groups = len(journey.steps), len({each.group for each in journey.steps if each.group})
    extracted = [each.name for step in journey.steps for each in step.extractions]
    summary = f"{count} request{'s' * (count != 1)}" + (f" in {groups} groups" if groups > 1 else "") + "."
    made = Converted(journey_script(journey, file), summary, "" if may_load(journey) else journey.base_url or LOCAL)
    if extracted:
        made.summary += f" Taken from replies: {', '.join(dict.fromkeys(extracted))}."
    made.settings = [(each.variable, each.about) for each in journey.settings if not each.default]
    made.left_out, made.notes = journey.left_out, journey.notes
    return made


def _log(traffic: LogTraffic, made_by: str, file: str, choices: Choices) -> Converted:
    script, settings = log_script(traffic, made_by, file, choices.duration_s)
    return Converted(
        script, traffic.summary, f"https://{traffic.host}" if traffic.host else LOCAL, settings, traffic.left_out,
        traffic.notes,
    )  # fmt: skip
