"""Headers that a script sends: not those that a browser or a client makes by itself."""

from __future__ import annotations

import base64
import binascii
import re

from ciload.convert.journey import Pairs
from ciload.convert.marks import END, START
from ciload.starter.security import TOKEN

OF_CLIENTS = frozenset({
    "accept-charset", "accept-encoding", "accept-language", "access-control-request-headers",
    "access-control-request-method", "alt-used", "cache-control", "connection", "content-length", "content-type",
    "cookie", "dnt", "expect", "forwarded", "host", "http2-settings", "if-modified-since", "if-none-match",
    "keep-alive", "origin", "postman-token", "pragma", "priority", "proxy-authorization", "proxy-connection", "purpose",
    "range", "referer", "save-data", "te", "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade",
    "upgrade-insecure-requests", "user-agent", "via", "x-client-data",
})  # fmt: skip
OF_CLIENTS_TOO = re.compile(r":|sec-|x-forwarded-|x-b3-|cf-|x-datadog-|x-newrelic")
ANYTHING = re.compile(r"\*/\*|text/html\b.*|image/.*|text/css\b.*", re.IGNORECASE)  # what browsers say for themselves


def kept_headers(headers: Pairs, *, all_of_them: bool = False) -> Pairs:
    """Those that mean something to a service; `all_of_them` if somebody chose them, one by one."""
    kept = []
    for name, value in headers:
        lower = name.lower()
        is_made = lower in OF_CLIENTS or OF_CLIENTS_TOO.match(lower)
        if lower in ("content-type", "cookie", "content-length", "host", "transfer-encoding", "connection"):
            continue
        if is_made and (not all_of_them or lower.startswith((":", "sec-"))):
            continue
        if (lower == "accept" and ANYTHING.match(value)) or not TOKEN.fullmatch(name):
            continue
        if lower == "authorization" and basic_pair([(name, value)]):
            continue
        kept.append((name, sendable(value)))
    return kept


def sendable(value: str) -> str:
    """Without what a header cannot hold."""
    return "".join(each for each in value if " " <= each <= "~" or each in (START, END)).strip()


def cookies_in(headers: Pairs) -> dict[str, str]:
    """What Cookie headers say."""
    pieces = [each for name, value in headers if name.lower() == "cookie" for each in value.split(";")]
    pairs = [each.strip().partition("=") for each in pieces]
    return {name: value for name, equals, value in pairs if equals and TOKEN.fullmatch(name)}


def basic_pair(headers: Pairs) -> tuple[str, str] | None:
    """User and password of basic authentication, if that is how a request signs in."""
    said = next((value for name, value in headers if name.lower() == "authorization"), "")
    scheme, _, encoded = said.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
