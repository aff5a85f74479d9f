"""Names of groups and requests, and the pauses between what a user does."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import unquote

from ciload.convert.journey import Journey, Step
from ciload.convert.marks import has_mark
from ciload.convert.values import is_id, singular
from ciload.starter.data import MISSING
from ciload.starter.names import words
from ciload.text import one_line

PAUSE_S = 0.8  # what is shorter, a program does
LONGEST_PAUSE_S = 30.0
NO_NOUN = re.compile(r"(api|rest|v\d+|graphql|index(\.\w+)?)", re.IGNORECASE)
GROUP_WORDS = 40


def template(journey: Journey, path: str) -> str:
    """A path with names in the place of what stands for one of many: `/orders/{order_id}`."""
    before, made = "", []
    for segment in path.split("/"):
        if has_mark(segment):
            made.append(journey.references.labelled(segment))
        elif is_id(unquote(segment)):
            noun = singular(words(unquote(before)))
            made.append(f"{{{noun}_id}}" if noun and not noun[:1].isdigit() else "{id}")
        else:
            made.append(segment)
            before = segment
    return "/".join(made)


def name_requests(journey: Journey) -> None:
    """Measure requests whose paths hold ids, or that are all sent to one path, under names of their own."""
    for step in journey.steps:
        path = template(journey, step.request.path)
        operation = _graphql(step.request.body.json)
        if operation:
            path += f" {operation}"
        if path != step.request.path and not step.name:
            step.name = one_line(path, 150)


def label(journey: Journey, step: Step) -> str:
    """What a step is called in checks and comments."""
    return step.title or f"{step.request.method} {step.name or template(journey, step.request.path) or '/'}"


def _graphql(value: object) -> str:
    if value is MISSING or not isinstance(value, dict) or not isinstance(value.get("query"), str):
        return ""
    said = value.get("operationName")
    if isinstance(said, str) and re.fullmatch(r"\w{1,80}", said):
        return said
    hit = re.search(r"\b(?:query|mutation)\s+(\w{1,80})", value["query"])
    return hit[1] if hit else ""


def group_recording(journey: Journey) -> None:
    """Groups by what a user did: a new page, or something after a pause."""
    end: float | None = None
    page: tuple[str, ...] = ()
    parts: list[list[Step]] = []
    for step in journey.steps:
        gap = step.start - end if end is not None and step.start else 0.0
        pause = round(min(gap, LONGEST_PAUSE_S) * 2) / 2 if gap >= PAUSE_S else 0.0
        if not parts or pause or (step.group != page and step.group != ("",)) or step.kind == "document":
            parts.append([])
            parts[-1].append(step)
            step.pause = pause
        else:
            parts[-1].append(step)
        page, end = step.group, max(end or 0.0, step.end)
    seen: Counter[str] = Counter()
    for part in parts:
        name = _doing(part)
        seen[name] += 1
        for step in part:
            step.group = (name if seen[name] == 1 else f"{name} {seen[name]}",)


def _doing(part: list[Step]) -> str:
    """What the steps of a group are about: what it writes, else its page, else its first request."""
    telling = next((each for each in part if each.request.writes), None)
    telling = telling or next((each for each in part if each.kind == "document"), part[0])
    nouns = [
        words(unquote(each))
        for each in telling.request.path.split("/")
        if each and not has_mark(each) and not is_id(unquote(each)) and not NO_NOUN.fullmatch(each)
    ]
    said = " ".join(filter(None, nouns)).replace("_", " ")[-GROUP_WORDS:].strip() or "home"
    verb = {"PUT": "update ", "PATCH": "update ", "DELETE": "delete "}.get(telling.request.method, "")
    last = nouns[-1] if nouns else ""
    if telling.request.method == "POST":
        verb = "submit " if telling.request.body.form is not None else "add to " if last.endswith("s") else ""
    return verb + said
