"""The measured HTTP client that scripts use: `from ciload import http`.

call ──► Prepared (bytes) ──► Connection (protocol and parser) ──► Response
                                   │ time stamps
                                   ▼
                              HttpSeries (metrics)
"""

from __future__ import annotations

from functools import partial

from ciload.http.batch import batch
from ciload.http.client import request
from ciload.http.request import Request
from ciload.http.response import Headers, HTTPStatusError, RequestError, Response, Timings

__all__ = ["HTTPStatusError", "Headers", "Request", "RequestError", "Response", "Timings", "batch", "delete", "get",
           "head", "options", "patch", "post", "put", "request"]  # fmt: skip


# Bound arguments instead of functions of their own: an `async def` each would cost every request one more frame.
# Their keyword arguments are those of `request`.
get = partial(request, "GET")
head = partial(request, "HEAD")
options = partial(request, "OPTIONS")
delete = partial(request, "DELETE")
post = partial(request, "POST")
put = partial(request, "PUT")
patch = partial(request, "PATCH")
