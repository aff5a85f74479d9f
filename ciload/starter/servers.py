"""Where the requests of a document go: its servers, and the paths below them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from ciload.starter.document import Document
from ciload.starter.places import is_local
from ciload.text import SAFE_PATH, SAFE_QUERY

MOST_SERVERS = 20
VARIABLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Server:
    """`origin` is empty where the document names none; `prefix` is what its paths begin with."""

    origin: str = ""
    prefix: str = ""


def server_of(document: Document, home: str, *owners: Mapping[str, Any]) -> Server:
    """The server of an operation: of the innermost of its `owners` that names some, else of the whole document.

    Of several, the one that the document came from (`home`, an origin) is best, then one that is relative, or local.
    """
    found = next((some for each in owners if (some := _named(document, each))), None)
    if found is None:
        found = [_of_swagger(document.root)] if document.is_swagger else _named(document, document.root)
    if not found:
        return Server()
    return min(found, key=lambda each: (each.origin != home, bool(each.origin), not is_local(each.origin)))


def _named(document: Document, owner: Mapping[str, Any]) -> list[Server]:
    servers = owner.get("servers")
    nodes = servers[:MOST_SERVERS] if isinstance(servers, list) else []
    return [_server(_filled(document, document.mapping(each))) for each in nodes]


def _filled(document: Document, server: Mapping[str, Any]) -> str:
    """Its URL, with the defaults of its variables."""
    variables = document.mapping(server.get("variables"))

    def value(hit: re.Match[str]) -> str:
        variable = document.mapping(variables.get(hit[1]))
        choices = variable.get("enum")
        return str(variable.get("default") or (choices[0] if isinstance(choices, list) and choices else ""))

    return VARIABLE.sub(value, str(server.get("url", "")))


def _of_swagger(root: Mapping[str, Any]) -> Server:
    schemes, host, path = root.get("schemes"), root.get("host"), str(root.get("basePath") or "")
    scheme = schemes[0] if isinstance(schemes, list) and schemes else "http"
    return _server(f"{scheme}://{host}/{path.lstrip('/')}" if isinstance(host, str) and host else path)


def _server(url: str) -> Server:
    try:
        path = urlsplit(url.strip()).path.strip("/")
    except ValueError:
        return Server()
    return Server(origin(url), quote(f"/{path}", safe=SAFE_PATH, errors="replace") if path else "")


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


def url_path(path: str, filled: Mapping[str, str]) -> str:
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
