"""Bodies of requests: JSON, forms, uploads and plain content, with data that fits the document."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ciload.starter.data import MISSING, Maker, given, value_of
from ciload.starter.document import Document
from ciload.text import one_line

MEDIA = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
MOST_PARTS = 100
FILE = b"example"
BINARY = "application/octet-stream"
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
IN_A_HEADER = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers write names of fields


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form; a file has a name."""

    name: str
    content: str | bytes
    file: str = ""
    media: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """At most one of these is something. `media` is said in the Content-Type where it does not follow."""

    json: Any = MISSING
    form: Mapping[str, Any] | None = None
    parts: tuple[Part, ...] | None = None
    content: str | bytes | None = None
    media: str = ""
    unmade: str = ""  # the media type of a body that there is no data for


NO_BODY = Body()


def body_of(document: Document, node: Mapping[str, Any]) -> Body:
    """The first kind of body that there is data for."""
    content = document.mapping(node.get("requestBody")).get("content")
    if not isinstance(content, Mapping) or not content:
        return NO_BODY
    for media, each in content.items():
        found = _body(document, media.partition(";")[0].strip().lower(), document.mapping(each))
        if found is not None:
            return found
    return Body(unmade=one_line(next(iter(content)), 60))


def _body(document: Document, media: str, node: Mapping[str, Any]) -> Body | None:
    value = value_of(document, node)
    if media.endswith(("/json", "+json")) or media == "*/*":
        is_special = media.endswith("+json") and MEDIA.fullmatch(media)
        return Body(json={} if value is MISSING else value, media=media if is_special else "")
    if media == FORM and (value is MISSING or isinstance(value, Mapping)):
        return Body(form={name: primitive(each) for name, each in value.items()} if value is not MISSING else {})
    if media == MULTIPART:
        return Body(parts=tuple(_parts(document, node, value if isinstance(value, Mapping) else {}))[:MOST_PARTS])
    if not MEDIA.fullmatch(media):
        return None
    example = given(document, node)
    if isinstance(example, str):
        return Body(content=example, media=media)
    if media.startswith("text/") and isinstance(value, str):
        return Body(content=value, media=media)
    if media == BINARY or media.partition("/")[0] in ("image", "audio", "video") or _is_file(document, node):
        return Body(content=FILE, media=media)
    return None


def form_body(fields: Mapping[str, Any], files: Mapping[str, None], consumes: object) -> Body:
    """A form of Swagger 2, where fields are parameters."""
    if not files and not (isinstance(consumes, list) and MULTIPART in consumes):
        return Body(form=fields)
    parts = [part for name, value in fields.items() for part in _fields(name, value, "")]
    return Body(parts=(*parts, *(_file(name, "") for name in files))[:MOST_PARTS])


def _parts(document: Document, node: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[Part]:
    schema = Maker(document).whole(node.get("schema"))
    properties, encodings = document.mapping(schema.get("properties")), document.mapping(node.get("encoding"))
    for name, each in value.items():
        said = str(document.mapping(encodings.get(name)).get("contentType", "")).partition(",")[0].strip()
        described = Maker(document).whole(properties.get(name))
        if described.get("type") == "array":
            described = Maker(document).whole(described.get("items"))
        if _says_file(described):
            yield _file(name, said or str(described.get("contentMediaType") or ""))
        else:
            yield from _fields(name, each, said)


def _is_file(document: Document, node: Mapping[str, Any]) -> bool:
    return _says_file(Maker(document).whole(node.get("schema")))


def _says_file(schema: Mapping[str, Any]) -> bool:
    is_text = schema.get("format") in ("byte", "base64") or "contentEncoding" in schema
    return schema.get("format") == "binary" or schema.get("type") == "file" or (
        "contentMediaType" in schema and not is_text
    )  # fmt: skip


def _file(name: str, media: str) -> Part:
    media = media.replace("/*", "/png") if media.startswith("image/") else media
    media = media.lower() if MEDIA.fullmatch(media) else BINARY
    ending = mimetypes.guess_extension(media) if media != BINARY else ".bin"
    return Part(name.translate(IN_A_HEADER), FILE, f"example{ending or '.bin'}", media)


def _fields(name: str, value: Any, media: str) -> Iterator[Part]:
    media = media if MEDIA.fullmatch(media) else ""
    name = name.translate(IN_A_HEADER)
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, Mapping | list):
            yield Part(name, json.dumps(each, ensure_ascii=False), "", media or "application/json")
        else:
            yield Part(name, flat(each), "", media)


# --- values as text


def primitive(value: Any) -> Any:
    """What a query or a form can hold: text, numbers, and lists of these."""
    if isinstance(value, list):
        return [flat(each) if isinstance(each, list | Mapping) else each for each in value]
    return flat(value) if isinstance(value, Mapping) else value


def flat(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(flat(each) for each in value)
    if isinstance(value, Mapping):
        return ",".join(f"{key},{flat(each)}" for key, each in value.items())
    return "" if value is None else str(value)
