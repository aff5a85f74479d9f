"""Values in replies that a later request may need, and how a script gets at them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ciload.convert.har import location_of
from ciload.convert.journey import Reply, Step
from ciload.convert.reading import json_body
from ciload.starter.data import MISSING
from ciload.starter.literals import text_literal
from ciload.starter.names import words

TAG = re.compile(r"<(?:input|meta)\b[^<>]{0,4000}>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
MOST_VALUES = 20_000  # of one reply
LONGEST = 4_096
# Names whose values are there to be sent back.
TELLING = frozenset({
    "id", "ids", "uuid", "guid", "key", "token", "csrf", "xsrf", "nonce", "code", "cursor", "session", "sid", "ref",
    "reference", "number", "no", "hash", "etag", "state", "ticket", "signature", "secret", "version", "jwt",
})  # fmt: skip
GLUED = ("token", "id", "csrf", "uuid", "nonce", "key", "session")
NOT_SPECIAL = re.compile(
    r"\d{4}-\d\d(-\d\d)?([T ].*)?|[\d.,:%-]+(px|em|ms|s|kb)?|.*@.*|[a-z]+/[\w.+-]+|https?://.*|v?\d+(\.\d+)+|#\w+",
    re.IGNORECASE | re.DOTALL,
)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SHORTEST_STRONG = 16
AROUND = 48


@dataclass(frozen=True, slots=True)
class Found:
    """A value in a reply: what it is called there, what it is about (`orders`), and the expression for it."""

    value: str
    key: str
    about: str
    code: str
    is_text: bool = True


def values_of(step: Step) -> Iterator[Found]:
    """The values of a step's replies, the more telling places first."""
    about = noun_of(step.request.path)
    last = len(step.replies) - 1
    codes = ["reply" if index == last else f"reply.history[{index}]" for index in range(last + 1)]
    for code, reply in zip(codes, step.replies, strict=True):
        yield from _of_headers(reply, code)
    text = step.reply.text
    if (value := json_body(text) if text.lstrip()[:1] in ("{", "[") else MISSING) is not MISSING:
        yield from _of_json(value, about)
    elif "<" in text:
        yield from _of_html(text)
    for code, reply in zip(codes, step.replies, strict=True):
        if location_of(reply) or (reply.status == 201 and reply.header("location")):
            yield from _of_location(reply.header("location"), f'{code}.headers["location"]')


def _of_headers(reply: Reply, code: str) -> Iterator[Found]:
    for name, line in reply.headers:
        lower = name.lower()
        if lower == "set-cookie":
            for each in line.split("\n"):
                key, _, value = (part.strip() for part in each.split(";", 1)[0].partition("="))
                at = f"{code}.cookies[{text_literal(key)}]"
                yield Found(value, key, key, at)
                if unquote(value) != value:
                    yield Found(unquote(value), key, key, f"unquote({at})")
        elif lower == "etag" or is_telling(lower):
            yield Found(line, name, name, f"{code}.headers[{text_literal(lower)}]")


def _of_location(location: str, code: str) -> Iterator[Found]:
    try:
        parts = urlsplit(location)
    except ValueError:
        return
    segments = [each for each in parts.path.split("/") if each]
    for before, segment in zip(["", *segments], segments, strict=False):
        if before:
            at = f"{code}.partition({text_literal(f'/{before}/')})[2]"
            is_last = segment is segments[-1] and not parts.query and not parts.path.endswith("/")
            end = "?" if segment is segments[-1] and not parts.path.endswith("/") else "/"
            yield Found(unquote(segment), "id", before, at if is_last else f'{at}.partition("{end}")[0]')
    for name, value in parse_qsl(parts.query):
        yield Found(value, name, name, f'{code}.partition({text_literal(f"{name}=")})[2].partition("&")[0]')


def _of_json(root: Any, about: str) -> Iterator[Found]:
    waiting: list[tuple[Any, str, str, str]] = [(root, "", about, "")]
    for count, (value, key, inside, path) in enumerate(waiting):
        if count > MOST_VALUES:
            return
        if isinstance(value, dict):
            inner = key or inside
            waiting += [(each, name, inner, f"{path}[{text_literal(name)}]") for name, each in value.items()]
        elif isinstance(value, list):
            waiting += [(each, key, inside, f"{path}[{index}]") for index, each in enumerate(value[:MOST_VALUES])]
        elif isinstance(value, str) and 0 < len(value) <= LONGEST:
            yield Found(value, key, inside, f"reply.json(){path}")
        elif isinstance(value, int) and not isinstance(value, bool):
            yield Found(str(value), key, inside, f"reply.json(){path}", is_text=False)


def _of_html(text: str) -> Iterator[Found]:
    for count, tag in enumerate(TAG.finditer(text)):
        if count > MOST_VALUES:
            return
        given = {
            hit[1].lower(): html.unescape(hit[2] if hit[3] is None else hit[3]) for hit in ATTRIBUTE.finditer(tag[0])
        }
        name, value = given.get("name", ""), given.get("value", given.get("content", ""))
        if name and value and len(value) <= LONGEST and (given.get("type", "hidden").lower() == "hidden"):
            yield Found(value, name, name, f"field(reply, {text_literal(name)})")


def between(text: str, value: str, key: str) -> Found | None:
    """A value anywhere in a text, by what stands around it; None if that does not lead to it."""
    at = text.find(value)
    if at < 0:
        return None
    after = text[at + len(value) : at + len(value) + 1]
    line = text[max(0, at - AROUND) : at].rpartition("\n")[2]
    if not after or after.isalnum() or is_strong_part(line):
        return None
    # `"apiToken":"` and `<sessionId>` say what it is.
    called = re.findall(r"[A-Za-z_][\w-]+", line)
    key = called[-1] if called else key or "value"
    for length in range(4, len(line) + 1):
        before = line[-length:]
        if text.partition(before)[2].partition(after)[0] == value:
            before = line[-max(length, min(len(line), 12)) :]
            if text.partition(before)[2].partition(after)[0] == value:
                return Found(value, key, key, f"between(reply, {text_literal(before)}, {text_literal(after)})")
    return None


def is_strong_part(text: str) -> bool:
    return any(is_strong(each) for each in re.findall(r"[\w+/=-]{8,}", text))


# --- how special a value is


def is_telling(name: str) -> bool:
    """A name whose values are there to be sent back."""
    last = words(name).rpartition("_")[2]
    return not TELLING.isdisjoint(words(name).split("_")[-2:]) or (len(last) > 4 and last.endswith(GLUED))


def is_strong(value: str) -> bool:
    """No coincidence, whatever it is called: long, with digits and letters, and no date, address or number."""
    if UUID.fullmatch(value):
        return True
    if not 8 <= len(value) <= LONGEST or any(each.isspace() for each in value) or NOT_SPECIAL.fullmatch(value):
        return False
    digits = any(each.isdigit() for each in value)
    letters = any(each.isalpha() for each in value)
    return digits and letters and (len(value) >= SHORTEST_STRONG or re.fullmatch(r"[0-9a-fA-F]+", value) is not None)


def is_special(found: Found) -> bool:
    """A value that is sent later because it was received, wherever it is sent."""
    value = found.value
    if is_strong(value):
        return True
    if not is_telling(found.key) or (NOT_SPECIAL.fullmatch(value) and not value.isdigit()):
        return False
    return (len(value) >= 5 and any(each.isdigit() for each in value)) or (len(value) >= 12 and " " not in value)


def fits(found: Found, kind: str, name: str) -> bool:
    """A short id, sent where an id of that thing goes: behind `/orders`, or as `order_id`."""
    if words(found.key).rpartition("_")[2] not in ("id", "uuid", "number", "code") or not found.value:
        return False
    about, key, place = singular(words(found.about)), words(found.key), words(name)
    if kind == "path":
        return singular(place) in (about, singular(key.removesuffix("_id")))
    return place in (key, f"{about}_{key}", f"{about}{key}") and (key != "id" or place != "id")


def noun_of(path: str) -> str:
    """What a path is about: its last word that is no id."""
    nouns = [each for each in path.split("/") if each and not is_id(unquote(each)) and "\ue000" not in each]
    return nouns[-1] if nouns else ""


def is_id(segment: str) -> bool:
    """A part of a path that stands for one of many."""
    return bool(
        segment.isdigit() or UUID.fullmatch(segment) or (is_strong(segment) and not re.fullmatch(r"[a-z]+\d?", segment))
    ) and not re.search(r"\.\w{2,5}$", segment)


def singular(noun: str) -> str:
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("sses", "xes", "ches", "shes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) and len(noun) > 2 else noun
