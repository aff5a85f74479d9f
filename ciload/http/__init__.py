"""The measured HTTP client that scripts use: `from ciload import http`.

call ──► Prepared (bytes) ──► Connection (protocol and parser) ──► Response
                                   │ time stamps
                                   ▼
                              HttpSeries (metrics)
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ciload.http.batch import batch
from ciload.http.client import request
from ciload.http.request import Request
from ciload.http.response import Headers, HTTPStatusError, RequestError, Response, Timings

__all__ = ["HTTPStatusError", "Headers", "Request", "RequestError", "Response", "Timings", "batch", "delete", "get",
           "head", "options", "patch", "post", "put", "request"]  # fmt: skip


# Plain functions that hand over the coroutine: an `async def` each would cost every request one more frame.


def get(url: str, **arguments: Any) -> Coroutine[Any, Any, Response]:
    """GET; the keyword arguments are those of `request`."""
    return request("GET", url, **arguments)


def head(url: str, **arguments: Any) -> Coroutine[Any, Any, Response]:
    """HEAD; the keyword arguments are those of `request`."""
    return request("HEAD", url, **arguments)


def options(url: str, **arguments: Any) -> Coroutine[Any, Any, Response]:
    """OPTIONS; the keyword arguments are those of `request`."""
    return request("OPTIONS", url, **arguments)


def delete(url: str, **arguments: Any) -> Coroutine[Any, Any, Response]:
    """DELETE; the keyword arguments are those of `request`."""
    return request("DELETE", url, **arguments)


def post(url: str, **arguments: Any) -> Coroutine[Any, Any, Response]:
    """POST; the keyword arguments are those of `request`."""
    return request("POST", url, **arguments)


def put(url: str, **arguments: Any) -> Coroutine[Any, Any, Response]:
    """PUT; the keyword arguments are those of `request`."""
    return request("PUT", url, **arguments)


def patch(url: str, **arguments: Any) -> Coroutine[Any, Any, Response]:
    """PATCH; the keyword arguments are those of `request`."""
    return request("PATCH", url, **arguments)
