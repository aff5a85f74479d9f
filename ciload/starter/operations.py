"""The requests that a document describes, with data to send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ciload.starter.bodies import NO_BODY, Body, body_of, flat, form_body, primitive
from ciload.starter.choice import READS, Choice, Described, choose
from ciload.starter.data import MISSING, given, value_of
from ciload.starter.document import Document
from ciload.starter.names import LONGEST, TAKEN, unique, words
from ciload.starter.places import is_local
from ciload.starter.security import TOKEN, Scheme, schemes_of
from ciload.starter.servers import Server, server_of, url_path
from ciload.text import one_line

MOST_PARAMETERS = 100
MOST_STATUSES = 8
HEALTH = re.compile(r"health|ready|live|ping|status", re.IGNORECASE)
NOT_OURS = (
    "accept",
    "content-type",
    "authorization",
    "content-length",
    "transfer-encoding",
    "host",
    "cookie",
)  # OpenAPI: ignored, or has a place of its own


@dataclass(slots=True)
class Operation:
    """One request. All text in it is the document's, and not to be believed."""

    function: str
    method: str
    name: str  # what it is measured under
    url: str
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    body: Body = NO_BODY
    statuses: tuple[int, ...] = ()  # that are a success; none when the document does not say
    schemes: tuple[Scheme, ...] = ()

    @property
    def reads(self) -> bool:
        return self.method in READS


@dataclass(frozen=True, slots=True)
class ApiDescription:
    """What a script is made from."""

    title: str
    operations: tuple[Operation, ...]
    base_url: str  # the origin that may be loaded: a local one, or that of the document
    server: str  # the origin that the document names, if it does
    open_page: str  # an URL path that answers without data and without signing in
    missing: tuple[str, ...]  # what is not written, and why
    others: int  # operations that were not asked for
    left_out: int  # beyond the limit
    beyond: Mapping[str, int]  # these by tag


def read_api(document: Document, choice: Choice | None = None, home: str = "") -> ApiDescription:
    """What the document can be asked for; `home` is the origin that it came from.

    Raises:
        UsageError: nothing is like what was asked for.
    """
    server = server_of(document, home)
    may_load = is_local(server.origin) or (bool(home) and server.origin in ("", home))
    base_url = (server.origin or home) if may_load else home if is_local(home) else ""
    chosen = choose(document, choice or Choice())
    missing, taken = chosen.missing, set(TAKEN)
    operations: list[Operation] = []
    for each in chosen.operations:
        here = server_of(document, home, each.node, each.item)
        absolute = here.origin if here.origin not in ("", server.origin, base_url) else ""
        if absolute and not is_local(absolute):
            missing.append(f"{each.name}: is served by {absolute}, which is not loaded")
            continue
        operation = _operation(document, each, Server(absolute, here.prefix), missing)
        operation.function = unique(operation.function, taken)
        operations.append(operation)
    missing += (f"{what}: {why}" for what, why in document.unfollowed.items())
    title = one_line(str(document.mapping(document.root.get("info")).get("title") or "an API"), 80)
    return ApiDescription(
        title, tuple(operations), base_url, server.origin, _open_page(operations), tuple(missing), chosen.others,
        chosen.left_out, chosen.beyond,
    )  # fmt: skip


def _open_page(operations: list[Operation]) -> str:
    pages = [
        each.url
        for each in operations
        if each.method == "get" and "{" not in each.name and not (each.schemes or each.params) and each.url[0] == "/"
    ]
    return next((each for each in pages if HEALTH.search(each)), pages[0] if pages else "")


def _operation(document: Document, described: Described, server: Server, missing: list[str]) -> Operation:
    method, node, item = described.method, described.node, described.item
    operation = Operation(_function_name(described), method, described.name, "")
    filled: dict[str, str] = {}
    fields: dict[str, Any] = {}
    files: dict[str, None] = {}
    for parameter in _parameters(document, item, node):
        if parameter["in"] == "formData" and parameter.get("type") == "file":
            files[parameter["name"]] = None
        else:
            _add_parameter(document, parameter, operation, filled, fields)
    operation.url = server.origin + url_path(server.prefix + described.path, filled)
    if fields or files:
        operation.body = form_body(fields, files, node.get("consumes", document.root.get("consumes")))
    if "requestBody" in node:
        operation.body = body_of(document, node)
    if operation.body.unmade:
        missing.append(f"the body of {described.name}: no data for {operation.body.unmade}; add content=")
    operation.statuses = _statuses(document, node)
    operation.schemes, why = schemes_of(document, node)
    if why:
        missing.append(f"{described.name}: {why}")
    return operation


def _parameters(document: Document, *owners: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of the path and of the operation, which wins."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for owner in owners:
        nodes = owner.get("parameters")
        for node in nodes[:MOST_PARAMETERS] if isinstance(nodes, list) else []:
            parameter = document.mapping(node)
            name, place = parameter.get("name"), parameter.get("in")
            if isinstance(name, str) and isinstance(place, str):
                found[place, name] = parameter
    return list(found.values())


def _add_parameter(
    document: Document, parameter: Mapping[str, Any], operation: Operation, filled: dict[str, str], form: dict[str, Any]
) -> None:
    name, place, required = parameter["name"], parameter["in"], parameter.get("required") is True
    value = value_of(document, _with_media(document, parameter))
    if value is MISSING:
        value = "example"
    if place == "path":
        filled[name] = flat(value)
    elif place == "body":
        operation.body = Body(json=value)
    elif place == "formData":
        form[name] = primitive(value)
    elif not required and given(document, parameter) is MISSING:
        return
    elif place == "query":
        operation.params |= _query(name, value, parameter.get("style") == "deepObject")
    elif place == "header" and TOKEN.fullmatch(name) and name.lower() not in NOT_OURS:
        operation.headers[name] = _header(value)
    elif place == "cookie" and TOKEN.fullmatch(name):
        operation.cookies.append(f"{name}={quote(flat(value), errors='replace')}")


def _with_media(document: Document, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parameter may hide its schema in a media type."""
    content = parameter.get("content")
    return document.mapping(next(iter(content.values()))) if isinstance(content, Mapping) and content else parameter


def _statuses(document: Document, node: Mapping[str, Any]) -> tuple[int, ...]:
    """Those below 300 that are documented, else those below 400."""
    codes = [int(code) for code in document.mapping(node.get("responses")) if re.fullmatch(r"[23]\d\d", code, re.ASCII)]
    return tuple(sorted({code for code in codes if code < 300} or set(codes))[:MOST_STATUSES])


# --- values


def _query(name: str, value: Any, deep: bool) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {f"{name}[{key}]" if deep else key: primitive(each) for key, each in value.items()}
    return {name: primitive(value)}


def _header(value: Any) -> str:
    return "".join(each for each in flat(value) if " " <= each <= "~").strip()


# --- names of functions


def _function_name(described: Described) -> str:
    said = described.node.get("operationId")
    said_words, path = words(said if isinstance(said, str) else ""), words(described.path)
    # FastAPI makes its ids of the function's name, the path and the method; the name alone says more.
    name = said_words.removesuffix(f"_{path}_{described.method}") or said_words or words(described.name)
    name = name[:LONGEST].strip("_")
    return f"call_{name}" if name[:1].isdigit() else name
