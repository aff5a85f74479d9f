"""The measured HTTP client that scripts use: `from ciload import http`.

call ──► Prepared (bytes) ──► Connection (protocol and parser) ──► Response
                                   │ time stamps
                                   ▼
                              HttpSeries (metrics)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ciload.http.auth import BasicAuth, BearerAuth
from ciload.http.batch import batch
from ciload.http.client import request
from ciload.http.events import ServerSentEvent
from ciload.http.head import Headers
from ciload.http.request import Request, RequestOptions
from ciload.http.response import HTTPStatusError, RequestError, Response
from ciload.http.timings import Timings
from ciload.http.verbs import delete, get, head, options, patch, post, put

__all__ = ["BasicAuth", "BearerAuth", "DigestAuth", "HTTPStatusError", "Headers", "Request", "RequestError",
           "RequestOptions", "Response", "ServerSentEvent", "Timings", "batch", "delete", "get", "head", "options",
           "patch", "post", "put", "request"]  # fmt: skip

_ELSEWHERE = {  # names in k6, requests and httpx, and what does their work here
    **dict.fromkeys(("AsyncClient", "Client", "Session"), "`http` is the virtual user's client: await http.get(url)"),
    **dict.fromkeys(("CookieJar", "cookieJar", "cookies"), "they are the virtual user's: vu.cookies[name]"),
    **dict.fromkeys(("expectedStatuses", "setResponseCallback"), "http.get(url, expected={404}), or option `expected`"),
    "asyncRequest": "await http.request(method, url)",
    "del_": "it is http.delete",
    "file": "files={'name': ('file name', content, 'type')}, as in httpx",
    "url": "give the request a name: http.get(url, name=…)",
}

if TYPE_CHECKING:
    from httpx import DigestAuth as DigestAuth
else:  # type checkers must not believe that every name exists

    def __getattr__(name: str) -> Any:
        if name == "DigestAuth":  # httpx's, which takes 85 ms to import
            from httpx import DigestAuth

            return DigestAuth
        hint = f": {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        raise AttributeError(f"ciload's http has no {name!r}{hint}", name=name)
