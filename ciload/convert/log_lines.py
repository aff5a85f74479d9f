"""Lines of access logs: common and combined, with a virtual host before them, and JSON of nginx, Caddy and Traefik."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ciload.convert.marks import clean
from ciload.convert.reading import mapping, number_of, text_of

LINE = re.compile(
    r"(?P<before>\S.{0,1000}?)\s+\[(?P<time>\d{1,2}/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?)\]\s+"
    r'(?:(?P<host>[\w.-]+(?::\d+)?)\s+)?"(?P<request>(?:[^"\\]|\\.)*)"\s+(?P<status>\d{3})\s+(?:\d+|-)',
    re.ASCII,
)
VHOST = re.compile(r"(?=.*[A-Za-z.])([A-Za-z0-9_][\w.-]*?)(?::\d+)?", re.ASCII)
REQUEST = re.compile(r"([A-Z]{3,20}) (\S+)(?: HTTP/[\d.]+)?")
ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})|\\(.)")
MONTHS = {name: number for number, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)}  # fmt: skip
LONGEST = 100_000
TRIED = 20


@dataclass(frozen=True, slots=True)
class Line:
    """A request in a log. `at` is in seconds on some clock."""

    at: float
    method: str
    target: str
    status: int
    host: str = ""


def parse_line(text: str) -> Line | None:
    """None if it is no line of a log that we know, or its request is broken."""
    if len(text) > LONGEST:
        return None
    return _from_json(text) if text.lstrip()[:1] == "{" else _from_text(text)


def looks_like_log(text: str) -> bool:
    """Whether one of the first lines is one of a log."""
    lines = [each for each in text[:200_000].split("\n", TRIED * 5) if each.strip()][: TRIED * 5]
    return any(parse_line(each) is not None for each in lines)


def _from_text(text: str) -> Line | None:
    hit = LINE.match(text.strip())
    if hit is None:
        return None
    at = _clf_time(hit["time"])
    request = REQUEST.fullmatch(clean(ESCAPE.sub(_character, hit["request"])))
    if at is None or request is None:
        return None
    words = hit["before"].split()
    host = hit["host"] or ""
    # host client - user: a virtual host is one word more, and no address.
    if not host and len(words) >= 4 and words[2] == "-" and (name := VHOST.fullmatch(words[0])):
        host = name[1]
    return Line(at, request[1], request[2], int(hit["status"]), host.lower().partition(":")[0])


def _character(hit: re.Match[str]) -> str:
    return chr(int(hit[1], 16)) if hit[1] else hit[2]


def _clf_time(text: str) -> float | None:
    date, _, zone = text.partition(" ")
    day, month, rest = date.split("/")
    year, hour, minute, second = rest.split(":")
    try:
        whole = datetime(
            int(year), MONTHS[month.lower()], int(day), int(hour), int(minute), int(second[:2]), tzinfo=UTC
        )
    except (ValueError, KeyError, OverflowError):
        return None
    offset = (int(zone[:3]) * 3600 + int(zone[0] + zone[3:]) * 60) if zone else 0
    return whole.timestamp() - offset


# --- JSON

TIMES = (
    "time_iso8601",
    "time",
    "ts",
    "timestamp",
    "@timestamp",
    "StartUTC",
    "time_local",
    "msec",
    "start_time",
    "date",
)
METHODS = ("request_method", "method", "RequestMethod", "http_method", "verb")
TARGETS = ("request_uri", "uri", "RequestPath", "url", "path", "request_path")
STATUSES = ("status", "DownstreamStatus", "status_code", "OriginStatus", "response_status", "statusCode")
HOSTS = ("host", "server_name", "RequestHost", "http_host", "vhost")


def _from_json(text: str) -> Line | None:
    try:
        root = mapping(json.loads(text))
    except (ValueError, RecursionError):
        return None
    request = root.get("request")
    inner = mapping(request) or mapping(root.get("http_request"))  # Caddy's
    method, target = _first(inner, METHODS) or _first(root, METHODS), _first(inner, TARGETS) or _first(root, TARGETS)
    if isinstance(request, str) and (hit := REQUEST.fullmatch(clean(request))):
        method, target = hit[1], hit[2]
    at = next((found for key in TIMES if (found := _json_time(root.get(key))) is not None), None)
    status = int(number_of(root.get(key))) if (key := next((each for each in STATUSES if each in root), "")) else 0
    if key and not status and text_of(root[key]).isdecimal():
        status = int(text_of(root[key])[:4])
    if at is None or not REQUEST.fullmatch(f"{method} {target}") or not 100 <= status < 600:
        return None
    host = _first(inner, HOSTS) or _first(root, HOSTS)
    return Line(at, method, target, status, host.lower().partition(":")[0] if "[" not in host else "")


def _first(root: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((found for name in names if (found := text_of(root.get(name)))), "")


def _json_time(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = number_of(value)
        return number / 1e3 if number > 1e11 else number if number > 0 else None
    text = text_of(value)
    if re.fullmatch(r"\d{9,13}(\.\d+)?", text):
        return _json_time(float(text))
    if re.fullmatch(r"\d{1,2}/\w{3}/\d{4}:\d\d:\d\d:\d\d( [+-]\d{4})?", text, re.ASCII):
        return _clf_time(text)
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
