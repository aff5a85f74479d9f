"""What was recorded, in terms that all kinds of recordings share: a journey of steps, each a request and its reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ciload.convert.marks import MARK, References
from ciload.starter.data import MISSING
from ciload.starter.names import TAKEN

Pairs = list[tuple[str, str]]
NAMES = {
    *TAKEN, "reply", "found", "group", "fail", "field", "between", "vu", "r", "html", "re", "uuid", "json", "time",
    "datetime", "quote", "unquote", "succeeded",
}  # fmt: skip


@dataclass(slots=True)
class Part:
    """A part of a multipart form. A file has a name; `constant` is that of its content in the script."""

    name: str
    value: str = ""
    file: str = ""
    media: str = ""
    constant: str = ""


@dataclass(slots=True)
class Body:
    """At most one of these is something. `media` is the Content-Type where it does not follow."""

    json: Any = MISSING
    form: Pairs | None = None
    parts: list[Part] | None = None
    content: str | bytes | None = None
    constant: str = ""  # of the script, with the content of a file
    media: str = ""


@dataclass(slots=True)
class Request:
    """`origin` is empty below the base URL. Query values of None have no equals sign."""

    method: str
    origin: str
    path: str
    query: list[tuple[str, str | None]] = field(default_factory=list)
    headers: Pairs = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)  # that no reply of the recording sets
    body: Body = field(default_factory=Body)
    auth: tuple[str, str] | None = None

    @property
    def url(self) -> str:
        pairs = [quote(name) + ("" if value is None else f"={quote(value, safe='')}") for name, value in self.query]
        return self.origin + self.path + ("?" + "&".join(pairs) if pairs else "")

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD", "OPTIONS")


@dataclass(slots=True)
class Reply:
    """What came back; empty where the recording does not say."""

    status: int = 0
    headers: Pairs = field(default_factory=list)
    media: str = ""
    text: str = ""
    url: str = ""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


class Extraction(NamedTuple):
    """A variable of the script that a reply gives."""

    name: str
    code: str


@dataclass(slots=True)
class Check:
    """A name, and what has to hold for the reply `r`."""

    name: str
    code: str


@dataclass(slots=True)
class Step:
    """A request, the replies to it (several, when redirects were followed), and what the script does around it."""

    request: Request
    replies: list[Reply] = field(default_factory=lambda: [Reply()])
    title: str = ""  # that somebody gave it
    kind: str = ""  # of resource, as the browser says: document, xhr, image …
    start: float = 0.0  # s
    end: float = 0.0
    follows: bool = True  # redirects
    group: tuple[str, ...] = ()
    name: str = ""  # what it is measured under, where that is not its path
    pause: float = 0.0  # before it, s
    checks: list[Check] = field(default_factory=list)
    extractions: list[Extraction] = field(default_factory=list)

    @property
    def reply(self) -> Reply:
        """The last one."""
        return self.replies[-1]


@dataclass(slots=True)
class Setting:
    """A constant that the environment sets: a secret, or something with a default."""

    constant: str
    variable: str
    about: str
    default: str | None = None


@dataclass(slots=True)
class Journey:
    """All steps, and what the script has besides."""

    title: str
    made_by: str
    steps: list[Step] = field(default_factory=list)
    references: References = field(default_factory=References)
    base_url: str = ""
    was_asked: bool = False  # to load the base URL, wherever that is
    settings: list[Setting] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)  # known by their places: values, and names for variables
    constants: list[tuple[str, str, str]] = field(default_factory=list)  # name, source, comment
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: set(NAMES))


# --- all text of a request


class Place(NamedTuple):
    """Where a value stands: path, query, header, cookie, form, part, json, content or auth; and under which name."""

    kind: str
    name: str


Change = Callable[[Place, Any], Any]


def change_values(request: Request, change: Change) -> None:
    """Replace each value by what `change` makes of it: text, and numbers in JSON."""
    before = ""
    segments = request.path.split("/")
    for index, segment in enumerate(segments):
        segments[index] = _segment(change, before, segment) if segment else ""
        before = segment or before
    request.path = "/".join(segments)
    request.query = [
        (name, value if value is None else change(Place("query", name), value)) for name, value in request.query
    ]
    request.headers = [(name, change(Place("header", name), value)) for name, value in request.headers]
    request.cookies = {name: change(Place("cookie", name), value) for name, value in request.cookies.items()}
    body = request.body
    if body.form is not None:
        body.form = [(name, change(Place("form", name), value)) for name, value in body.form]
    for part in body.parts or ():
        part.value = change(Place("part", part.name), part.value)
    if body.json is not MISSING:
        body.json = _json(change, body.json, "")
    if isinstance(body.content, str):
        body.content = change(Place("content", ""), body.content)


def _segment(change: Change, before: str, segment: str) -> str:
    plain = unquote(segment)
    made: str = change(Place("path", before), plain)
    if made == plain:
        return segment
    return "".join(
        piece if index % 2 else quote(piece, safe="~:@!$&'()*+,;=") for index, piece in enumerate(_split(made))
    )


def _split(text: str) -> Iterator[str]:
    """Text and marks in turn."""
    end = 0
    for hit in MARK.finditer(text):
        yield text[end : hit.start()]
        yield hit[0]
        end = hit.end()
    yield text[end:]


def _json(change: Change, value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _json(change, each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_json(change, each, key) for each in value]
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return change(Place("json", key), value)
    return value


# --- URLs

# With marks in it, it is known when the script runs.
HOST = re.compile(r"([\w.-]|\ue000\d+\ue001)+(:(\d{1,5}|\ue000\d+\ue001))?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def split_url(url: str) -> tuple[str, str, list[tuple[str, str | None]]]:
    """Origin, path and query of a URL, which may be relative.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme and not HOST.fullmatch(host):
        raise ValueError("there is no host in it, or none that can be")
    origin = f"{parts.scheme}://{host}".lower() if host and "\ue000" not in host else f"{parts.scheme}://{host}"
    return origin if host else "", parts.path or ("/" if host else ""), query_of(parts.query)


def query_of(text: str) -> list[tuple[str, str | None]]:
    """Names and values. Those without an equals sign are told from empty ones."""
    found: list[tuple[str, str | None]] = []
    for piece in text.split("&"):
        if "=" in piece:
            found += parse_qsl(piece, keep_blank_values=True, max_num_fields=1)
        elif piece:
            found.append((unquote(piece), None))
    return found
