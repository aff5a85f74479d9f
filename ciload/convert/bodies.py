"""Bodies of requests from their text: JSON, forms, uploads, or text as it is."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

from ciload.convert.journey import Body, Journey, Pairs, Part
from ciload.convert.reading import json_body
from ciload.starter.data import MISSING
from ciload.starter.literals import literal
from ciload.starter.names import unique, words

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
BOUNDARY = re.compile(r"""boundary=(?:"([^"]+)"|([^\s;]+))""", re.IGNORECASE)
PARAMETER = re.compile(r"""(?:^|[;\s])(name|filename)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))""", re.IGNORECASE)
MEDIA = re.compile(r"[\w.+*-]+/[\w.+*-]+(\s*;[ -~]*)?", re.ASCII)
# In a script, a file that nobody has is this.
NO_FILE = b"example"
SMALL = 4_000


def media_of(text: str) -> str:
    """A Content-Type without its parameters, in lower case."""
    return text.partition(";")[0].strip().lower()


def body_of(text: str, content_type: str) -> Body:
    """The body that this is by its type; one without a type may be JSON."""
    media = media_of(content_type)
    is_json = media.endswith(("/json", "+json"))
    if is_json or (not media and text.lstrip()[:1] in ("{", "[")):
        value = json_body(text)
        if value is not MISSING and value is not None:
            return Body(json=value, media="" if media in ("application/json", "") else header_media(content_type))
    if media == FORM and (pairs := form_pairs(text)) is not None:
        return Body(form=pairs)
    if media == MULTIPART:
        return Body(parts=multipart_parts(text, content_type))
    return Body(content=text, media=header_media(content_type))


def header_media(content_type: str) -> str:
    """A Content-Type that can be sent; empty if it cannot."""
    return content_type.strip() if MEDIA.fullmatch(content_type.strip()) else ""


def form_pairs(text: str) -> Pairs | None:
    """The fields of a form; None if it is none, as when a service takes JSON under that type."""
    if text.lstrip()[:1] in ("{", "[", "<"):
        return None
    pieces = [each.partition("=") for each in text.strip().split("&") if each]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pieces]


def multipart_parts(text: str, content_type: str) -> list[Part]:
    """Parts as browsers write them down; files are often without their content there."""
    found = BOUNDARY.search(content_type)
    boundary = (found[1] or found[2]) if found else text.lstrip().partition("\n")[0].strip()[2:]
    parts = []
    for piece in text.replace("\r\n", "\n").split(f"--{boundary}")[1:] if boundary else []:
        if piece.startswith("--"):
            break
        head, _, content = piece.removeprefix("\n").partition("\n\n")
        lines = {name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in head.split("\n"))}
        given = {
            hit[1].lower(): hit[2] if hit[3] is None else hit[3]
            for hit in PARAMETER.finditer(lines.get("content-disposition", ""))
        }
        if "name" in given:
            media = header_media(lines.get("content-type", ""))
            content = content.removesuffix("\n")
            parts.append(Part(unquote(given["name"]), content, unquote(given.get("filename", "")), media))
    return parts


def with_constants(journey: Journey, body: Body) -> None:
    """Give the files of a form constants in the script, where their content is unknown or long."""
    for part in body.parts or ():
        if part.file and not part.constant and (not part.value or len(part.value) > SMALL):
            part.constant = file_constant(journey, part.file)


def file_constant(journey: Journey, file: str, there: bool = False) -> str:
    """A constant for a file's content: read from beside the script if it is there, else something in its place."""
    about = {
        True: f"The content of {file}.",
        False: f"In place of {file}: data_file(NAME).read_bytes() reads a file that lies beside the script.",
    }[there]
    called = next((name for name, _, comment in journey.constants if comment == about), "")
    if called:
        return called
    name = words(file.replace("\\", "/").rpartition("/")[2]).upper()[:30].strip("_")
    name = unique(f"FILE_{name}" if not name or name[:1].isdigit() else name, journey.taken)
    if there:
        source = f"data_file({literal(file, 0)}).read_bytes()"
    else:
        source = literal(NO_FILE, 0)
        journey.notes.append(f"{name} in the script stands for the content of {file}, which is not in the recording")
    journey.constants.append((name, source, about))
    return name
