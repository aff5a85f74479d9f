"""Which of a document's operations a script is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ciload.errors import UsageError
from ciload.starter.document import Document
from ciload.text import closest, one_line

READS = ("get", "head", "options")
METHODS = (*READS, "post", "put", "patch", "delete")
LIMIT = 100  # a script that somebody can read
MOST = 1_000  # ciload keeps as many series apart
SHOWN = 6
NO_TAG = "(none)"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants of it: operations with one of the tags, at one of the paths, so many of them."""

    tags: Sequence[str] = ()
    paths: Sequence[str] = ()
    limit: int = LIMIT


@dataclass(frozen=True, slots=True)
class Described:
    """An operation as it stands in the document: its path, and what both the path and the method say."""

    method: str
    path: str
    node: Mapping[str, Any]
    item: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {one_line(self.path, 150)}"

    @property
    def tags(self) -> list[str]:
        tags = self.node.get("tags")
        return [each for each in tags if isinstance(each, str)] if isinstance(tags, list) else []


@dataclass(slots=True)
class Chosen:
    """`beyond` counts, by tag, the operations beyond the limit; `missing` says what cannot be one, and why."""

    operations: list[Described] = field(default_factory=list)
    others: int = 0  # of other tags and paths
    beyond: Counter[str] = field(default_factory=Counter)
    left_out: int = 0  # beyond the limit
    missing: list[str] = field(default_factory=list)


def choose(document: Document, choice: Choice) -> Chosen:
    """
    Raises:
        UsageError: nothing is like what was asked for.
    """
    chosen = Chosen()
    tags, paths = {each.casefold() for each in choice.tags}, list(choice.paths)
    seen_tags: set[str] = set()
    seen_paths: set[str] = set()
    for each in _all(document, chosen.missing):
        seen_tags.update(each.tags)
        seen_paths.add(each.path)
        of_tags = not tags or not tags.isdisjoint(tag.casefold() for tag in each.tags)
        of_paths = not paths or any(fnmatchcase(each.path, pattern) for pattern in paths)
        if not (of_tags and of_paths):
            chosen.others += 1
        elif len(chosen.operations) < choice.limit:
            chosen.operations.append(each)
        else:
            chosen.left_out += 1
            chosen.beyond[each.tags[0] if each.tags else NO_TAG] += 1
    known = {each.casefold() for each in seen_tags}
    for tag in choice.tags:
        if tag.casefold() not in known:
            raise UsageError(f"--tag {one_line(tag)}: no operation has this tag; {_there_are(seen_tags, tag)}")
    if not chosen.operations and chosen.others:
        said = " ".join(f"--path '{one_line(each)}'" for each in paths)
        raise UsageError(f"{said}: no operation is like this; {_there_are(seen_paths, paths[0])}")
    return chosen


def _there_are(names: set[str], asked: str) -> str:
    if not names:
        return "the document has none"
    near = closest(asked, sorted(names))
    some = ([near] if near else []) + [each for each in sorted(names) if each != near]
    more = f" and {len(some) - SHOWN} more" * (len(some) > SHOWN)
    return "there are " + ", ".join(one_line(each, 60) for each in some[:SHOWN]) + more


def _all(document: Document, missing: list[str]) -> Iterator[Described]:
    for path, node in document.mapping(document.root.get("paths")).items():
        item = document.mapping(node)
        if not path.startswith("/"):
            if not path.startswith("x-"):
                missing.append(f"{one_line(path, 60)!r}: a path begins with a slash")
            continue
        if "trace" in item:
            missing.append(f"TRACE {one_line(path, 150)}: is no request that clients make")
        for method in METHODS:
            operation = document.mapping(item.get(method))
            if operation or isinstance(item.get(method), Mapping):
                yield Described(method, path, operation, item)
    webhooks = document.root.get("webhooks")
    if isinstance(webhooks, Mapping) and webhooks:
        missing.append(f"{len(webhooks)} webhooks: the service makes these requests itself")
