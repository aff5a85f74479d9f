"""HAR: what the developer tools of browsers, Playwright and proxies export."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from ciload.convert.bodies import MULTIPART, body_of, media_of
from ciload.convert.headers import basic_pair, cookies_in, kept_headers
from ciload.convert.journey import Body, Journey, Part, Reply, Request, Step, split_url
from ciload.convert.reading import mapping, mappings, number_of, text_of
from ciload.errors import UsageError
from ciload.starter.security import TOKEN
from ciload.text import one_line

MOST_STEPS = 1_000
MOST_TEXT = 2 << 20  # of a reply, that values are looked for in
DESTINATIONS = {"empty": "xhr", "style": "stylesheet", "iframe": "document", "video": "media", "audio": "media",
                "track": "texttrack"}  # fmt: skip
NOT_SENT = {"CONNECT": "tunnel{s}", "TRACE": "TRACE request{s}"}


def read_har(root: Mapping[str, Any], shown: str) -> Journey:
    """All requests of a recording that were sent over HTTP and answered, in the order in which they began.

    Raises:
        UsageError: there are none.
    """
    log = mapping(root.get("log"))
    entries = mappings(log.get("entries"))
    journey = Journey("Journey", "")
    left_out: Counter[str] = Counter()
    steps = []
    for entry in entries:
        found = _step(entry)
        if isinstance(found, Step):
            steps.append(found)
        else:
            left_out[found] += 1
    steps.sort(key=lambda step: step.start)
    if len(steps) > MOST_STEPS:
        left_out[f"request{{s}} beyond the first {MOST_STEPS:,}"] = len(steps) - MOST_STEPS
    journey.steps = steps[:MOST_STEPS]
    journey.left_out = [f"{count:,} {what.replace('{s}', 's' * (count != 1))}" for what, count in left_out.items()]
    if not steps:
        why = f" ({', '.join(journey.left_out)})" if left_out else "; `log.entries` is empty"
        raise UsageError(f"{shown}: there is no request in this recording that can be sent{why}")
    return journey


def _step(entry: Mapping[str, Any]) -> Step | str:
    """A step, or why it is none."""
    asked, answered = mapping(entry.get("request")), mapping(entry.get("response"))
    url, method = text_of(asked.get("url")).strip(), text_of(asked.get("method")).upper()
    try:
        parts = urlsplit(url)
        scheme, user = parts.scheme.lower(), parts.username
        origin, path, query = split_url(url) if scheme in ("http", "https") else ("", "", [])
    except ValueError:
        return "request{s} with a broken URL"
    status = int(number_of(answered.get("status")))
    if scheme in ("ws", "wss") or status == 101 or entry.get("_resourceType") == "websocket":
        return "websocket{s}"
    if scheme not in ("http", "https"):
        return f"{one_line(scheme, 20)}: URL{{s}}" if scheme else "relative URL{s}"
    if not TOKEN.fullmatch(method) or method in NOT_SENT:
        return NOT_SENT.get(method, "request{s} with a broken method")
    headers = _pairs(asked.get("headers"))
    if method == "OPTIONS" and any(name.lower() == "access-control-request-method" for name, _ in headers):
        return "CORS preflight{s}"
    if not 100 < status < 600:
        return "request{s} without an answer (aborted or blocked)"
    request = Request(method, origin, path, query, kept_headers(headers), _cookies(asked, headers))
    if user is not None:
        request.auth = (user, parts.password or "")
    elif pair := basic_pair(headers):
        request.auth = pair
    request.body = _body(asked, headers)
    start = _seconds(entry.get("startedDateTime"))
    step = Step(request, [_reply(answered, url)], start=start)
    step.kind = text_of(entry.get("_resourceType")).lower() or _kind(headers, step.reply)
    step.end = start + max(0.0, number_of(entry.get("time"))) / 1e3
    step.group = (text_of(entry.get("pageref")),)
    return step


def _kind(headers: list[tuple[str, str]], reply: Reply) -> str:
    """What the request was for, where the recording does not say: as the browser told the server, or by the reply."""
    said = next((value for name, value in headers if name.lower() == "sec-fetch-dest"), "")
    if said:
        return DESTINATIONS.get(said, said)
    accept = next((value for name, value in headers if name.lower() == "accept"), "")
    return "document" if reply.media == "text/html" and accept.startswith("text/html") else ""


def _pairs(value: Any) -> list[tuple[str, str]]:
    return [(text_of(each.get("name")), text_of(each.get("value"))) for each in mappings(value)]


def _cookies(asked: Mapping[str, Any], headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in _pairs(asked.get("cookies")) if name} | cookies_in(headers)


def _body(asked: Mapping[str, Any], headers: list[tuple[str, str]]) -> Body:
    posted = mapping(asked.get("postData"))
    text, params = text_of(posted.get("text")), mappings(posted.get("params"))
    said = next((value for name, value in headers if name.lower() == "content-type"), "")
    media = said or text_of(posted.get("mimeType"))
    if posted.get("encoding") == "base64":
        text = _from_base64(text)
    if params and (not text or media_of(media) == MULTIPART):
        if media_of(media) == MULTIPART:
            body = body_of(text, media) if text else Body(parts=[])
            return body if body.parts else Body(parts=[_part(each) for each in params])
        return Body(form=[(text_of(each.get("name")), text_of(each.get("value"))) for each in params])
    return body_of(text, media) if text else Body()


def _part(param: Mapping[str, Any]) -> Part:
    file, media = text_of(param.get("fileName")), text_of(param.get("contentType"))
    return Part(text_of(param.get("name")), text_of(param.get("value")), file, media)


def _reply(answered: Mapping[str, Any], url: str) -> Reply:
    content = mapping(answered.get("content"))
    headers = _pairs(answered.get("headers"))
    text = text_of(content.get("text"))
    if content.get("encoding") == "base64":
        text = _from_base64(text)
    reply = Reply(int(number_of(answered.get("status"))), headers, media_of(text_of(content.get("mimeType"))))
    reply.text, reply.url = text[:MOST_TEXT], url
    location = reply.header("location") or text_of(answered.get("redirectURL"))
    if location and not reply.header("location"):
        reply.headers.append(("Location", location))
    return reply


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=False).decode("utf-8", errors="replace")
    except (binascii.Error, ValueError):
        return ""


def _seconds(value: Any) -> float:
    """The time at which it began, on some clock; 0 if it does not say."""
    try:
        at = datetime.fromisoformat(text_of(value))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def location_of(reply: Reply) -> str:
    """Where a redirect points to, as a whole URL without its fragment; empty if there is none."""
    location = reply.header("location")
    if not location or not 300 <= reply.status < 400:
        return ""
    try:
        return urljoin(reply.url, location).partition("#")[0]
    except ValueError:
        return ""
