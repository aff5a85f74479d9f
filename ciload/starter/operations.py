"""The requests that a document describes, with data to send."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from ciload.starter.data import MISSING, given, value_of
from ciload.starter.document import Document
from ciload.text import SAFE_PATH, SAFE_QUERY, one_line

READS = ("get", "head", "options")
METHODS = (*READS, "post", "put", "patch", "delete")
MOST_OPERATIONS = 500  # ciload itself keeps 1,000 series apart
MOST_PARAMETERS = 100
MOST_STATUSES = 8
LONGEST_NAME = 40  # of a function: lines with it stay short
LOCAL = ("localhost", "127.0.0.1", "0.0.0.0", "::1", "host.docker.internal")  # noqa: S104  # nothing listens there
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VARIABLE = re.compile(r"\{([^{}]*)\}")
NOT_OURS = (
    "accept",
    "content-type",
    "authorization",
    "content-length",
    "transfer-encoding",
    "host",
)  # OpenAPI: ignored
TAKEN = {
    *keyword.kwlist, *keyword.softkwlist, *dir(builtins), "os", "base64", "ciload", "check", "http", "sleep", "options",
    "default", "setup", "teardown", "vu_start", "vu_stop", "handle_summary",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to authenticate: `kind` is bearer, basic, header, query or cookie; `name` that of the key."""

    kind: str
    name: str = ""


@dataclass(slots=True)
class Operation:
    """One request. All text in it is the document's, and not to be believed."""

    function: str
    method: str
    name: str  # what it is measured under
    url: str
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    form: dict[str, Any] | None = None
    unmade: str = ""  # media type of a body that is not made here
    statuses: tuple[int, ...] = ()  # that are a success; none when the document does not say
    schemes: tuple[Scheme, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiDescription:
    """What a script is made from."""

    title: str
    operations: tuple[Operation, ...]
    left_out: int
    server: str  # origin, if the document names one
    is_local: bool
    open_page: str  # an URL path that answers without data and authentication


def read_api(document: Document) -> ApiDescription:
    """Everything that the document can be asked for."""
    server, prefix = _server(document)
    taken = set(TAKEN)
    operations: list[Operation] = []
    left_out, page = 0, ""
    for method, path, node, item in _all(document):
        if len(operations) >= MOST_OPERATIONS:
            left_out += 1
            continue
        operation = _operation(document, method, path, node, item, prefix)
        operation.function = _unique(operation.function, taken)
        operations.append(operation)
        if not page and method == "get" and "{" not in path and not operation.schemes and not operation.params:
            page = operation.url
    info = document.mapping(document.root.get("info"))
    title = one_line(str(info.get("title") or "an API"), 80)
    is_local = bool(server) and urlsplit(server).hostname in LOCAL
    return ApiDescription(title, tuple(operations), left_out, server, is_local, page)


def _all(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    for path, node in document.mapping(document.root.get("paths")).items():
        item = document.mapping(node)
        if path.startswith("/"):
            yield from (
                (method, path, item[method], item) for method in METHODS if isinstance(item.get(method), Mapping)
            )


def _operation(
    document: Document, method: str, path: str, node: Mapping[str, Any], item: Mapping[str, Any], prefix: str
) -> Operation:
    words = node.get("operationId")
    name = f"{method.upper()} {one_line(path, 150)}"
    operation = Operation(_identifier(words if isinstance(words, str) else "") or _identifier(name), method, name, "")
    filled: dict[str, str] = {}
    form: dict[str, Any] = {}
    for parameter in _parameters(document, item, node):
        _add_parameter(document, parameter, operation, filled, form)
    operation.url = _url(prefix + path, filled)
    if form:
        operation.form = form
    _add_body(document, node, operation)
    operation.statuses = _statuses(document, node)
    operation.schemes = _schemes(document, node)
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
        filled[name] = _flat(value)
    elif place == "body":
        operation.json = value
    elif place == "formData":
        if parameter.get("type") == "file":
            operation.unmade = "multipart/form-data"
        else:
            form[name] = _primitive(value)
    elif not required and given(document, parameter) is MISSING:
        return
    elif place == "query":
        operation.params |= _query(name, value, parameter.get("style") == "deepObject")
    elif place == "header" and TOKEN.fullmatch(name) and name.lower() not in NOT_OURS:
        operation.headers[name] = _header(value)
    elif place == "cookie" and TOKEN.fullmatch(name):
        cookies = [each for each in (operation.headers.get("Cookie"),) if each]
        operation.headers["Cookie"] = "; ".join([*cookies, f"{name}={quote(_flat(value))}"])


def _with_media(document: Document, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parameter may hide its schema in a media type."""
    content = parameter.get("content")
    return document.mapping(next(iter(content.values()))) if isinstance(content, Mapping) and content else parameter


def _add_body(document: Document, node: Mapping[str, Any], operation: Operation) -> None:
    content = document.mapping(node.get("requestBody")).get("content")
    if not isinstance(content, Mapping) or not content:
        return
    for media, each in content.items():
        kind = media.partition(";")[0].strip().lower()
        value = value_of(document, document.mapping(each))
        if value is MISSING:
            value = {}
        if kind.endswith(("/json", "+json")) or kind == "*/*":
            operation.json = value
            if kind.endswith("+json") and TOKEN.fullmatch(kind.replace("/", "-")):
                operation.headers["Content-Type"] = kind
            return
        if kind == "application/x-www-form-urlencoded" and isinstance(value, Mapping):
            operation.form = {key: _primitive(one) for key, one in value.items()}
            return
    operation.unmade = one_line(next(iter(content)), 60)


def _statuses(document: Document, node: Mapping[str, Any]) -> tuple[int, ...]:
    """Those below 300 that are documented, else those below 400."""
    codes = [int(code) for code in document.mapping(node.get("responses")) if re.fullmatch(r"[23]\d\d", code, re.ASCII)]
    return tuple(sorted({code for code in codes if code < 300} or set(codes))[:MOST_STATUSES])


def _schemes(document: Document, node: Mapping[str, Any]) -> tuple[Scheme, ...]:
    """What the first of the alternatives takes."""
    alternatives = node.get("security", document.root.get("security"))
    if not isinstance(alternatives, list) or not alternatives or not isinstance(alternatives[0], Mapping):
        return ()
    components = document.mapping(document.root.get("components"))
    known = document.mapping(components.get("securitySchemes", document.root.get("securityDefinitions")))
    found = (_scheme(document.mapping(known.get(name))) for name in alternatives[0])
    return tuple(dict.fromkeys(each for each in found if each))


def _scheme(node: Mapping[str, Any]) -> Scheme | None:
    kind, scheme = node.get("type"), str(node.get("scheme", "")).lower()
    if kind in ("oauth2", "openIdConnect") or (kind == "http" and scheme == "bearer"):
        return Scheme("bearer")
    if kind == "basic" or (kind == "http" and scheme == "basic"):
        return Scheme("basic")
    place, name = node.get("in"), node.get("name")
    if kind == "apiKey" and isinstance(name, str) and isinstance(place, str) and place in ("header", "query", "cookie"):
        return Scheme(place, name) if place == "query" or TOKEN.fullmatch(name) else None
    return None


# --- URLs


def _server(document: Document) -> tuple[str, str]:
    """Origin and path of the first server; either may be empty."""
    root = document.root
    if document.is_swagger:
        schemes = root.get("schemes")
        scheme = schemes[0] if isinstance(schemes, list) and schemes else "http"
        host, url = root.get("host"), str(root.get("basePath") or "")
        url = f"{scheme}://{host}/{url.lstrip('/')}" if isinstance(host, str) and host else url
    else:
        servers = root.get("servers")
        server = document.mapping(servers[0]) if isinstance(servers, list) and servers else {}
        variables = document.mapping(server.get("variables"))
        url = VARIABLE.sub(
            lambda hit: str(document.mapping(variables.get(hit[1])).get("default", "")), str(server.get("url", ""))
        )
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return "", ""
    path = "/" + parts.path.strip("/") if parts.path.strip("/") else ""
    return origin(url), quote(path, safe=SAFE_PATH)


def origin(url: str) -> str:
    """`http://host:port`, of characters that mean nothing to any shell or CI; empty when it is none such."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[0-9a-z.-]+|[0-9a-f:]+", host):
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _url(path: str, filled: Mapping[str, str]) -> str:
    """The path with data in it. Two slashes at its start would name another server."""
    parts, last = [], 0
    path = path.partition("#")[0]
    for hit in VARIABLE.finditer(path):
        parts += [quote(path[last : hit.start()], safe=SAFE_QUERY, errors="replace")]
        value = filled.get(hit[1], "")
        parts += [quote(value if value.strip(".") else "1", safe="", errors="replace")]
        last = hit.end()
    parts += [quote(path[last:], safe=SAFE_QUERY, errors="replace")]
    return "/" + "".join(parts).lstrip("/")


# --- values


def _query(name: str, value: Any, deep: bool) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {f"{name}[{key}]" if deep else key: _primitive(each) for key, each in value.items()}
    return {name: _primitive(value)}


def _primitive(value: Any) -> Any:
    """What a query or a form can hold: text, numbers, and lists of these."""
    if isinstance(value, list):
        return [_flat(each) if isinstance(each, list | Mapping) else each for each in value]
    return _flat(value) if isinstance(value, Mapping) else value


def _flat(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_flat(each) for each in value)
    if isinstance(value, Mapping):
        return ",".join(f"{key},{_flat(each)}" for key, each in value.items())
    return "" if value is None else str(value)


def _header(value: Any) -> str:
    return "".join(each for each in _flat(value) if " " <= each <= "~").strip()


# --- names of functions


def _identifier(text: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text[:200])
    name = re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_")[:LONGEST_NAME].strip("_")
    return f"call_{name}" if name[:1].isdigit() else name


def _unique(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while not found or found in taken:
        number += 1
        found = f"{name or 'call'}_{number}" if number > 2 or name not in TAKEN else f"call_{name}"
    taken.add(found)
    return found
