"""The measured HTTP client that scripts use: `from ciload import http`.

call ──► Prepared (bytes) ──► Connection (protocol and parser) ──► Response
                                   │ time stamps
                                   ▼
                              HttpSeries (metrics)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ciload.http.batch import batch
from ciload.http.client import request
from ciload.http.head import Headers
from ciload.http.request import Request, RequestOptions
from ciload.http.response import HTTPStatusError, RequestError, Response
from ciload.http.timings import Timings
from ciload.http.verbs import delete, get, head, options, patch, post, put

__all__ = ["HTTPStatusError", "Headers", "Request", "RequestError", "RequestOptions", "Response", "Timings", "batch",
           "delete", "get", "head", "options", "patch", "post", "put", "request"]  # fmt: skip

_ELSEWHERE = {  # names in k6, requests and httpx, and what does their work here
    **dict.fromkeys(("AsyncClient", "Client", "Session"), "`http` is the virtual user's client: await http.get(url)"),
    **dict.fromkeys(("CookieJar", "cookieJar", "cookies"), "each virtual user keeps its cookies for an iteration"),
    **dict.fromkeys(("expectedStatuses", "setResponseCallback"), "check() the status; below 400 counts as expected"),
    "asyncRequest": "await http.request(method, url)",
    "del_": "it is http.delete",
    "file": "build the multipart body yourself, and send it with content= and its Content-Type",
    "url": "give the request a name: http.get(url, name=…)",
}

if not TYPE_CHECKING:  # type checkers must not believe that every name exists

    def __getattr__(name: str) -> Any:
        hint = f": {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        raise AttributeError(f"ciload's http has no {name!r}{hint}", name=name)
