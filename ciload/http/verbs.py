"""`http.get` and its brothers: `http.request` with the method filled in.

An `async def` each would cost every request one more frame, 1 to 3% of it. So each is `request` itself: a function of
the same code with a name and a docstring of its own, bound to its method as a method is to its object.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from ciload.http.client import request

if TYPE_CHECKING:
    from typing import Unpack

    from ciload.http.request import RequestOptions
    from ciload.http.response import Response

    async def get(url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a GET request and measure it."""

    async def head(url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a HEAD request and measure it."""

    async def options(url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send an OPTIONS request and measure it."""

    async def delete(url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a DELETE request and measure it."""

    async def post(url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a POST request and measure it; the body is `json=`, `data=` or `content=`."""

    async def put(url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a PUT request and measure it; the body is `json=`, `data=` or `content=`."""

    async def patch(url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a PATCH request and measure it; the body is `json=`, `data=` or `content=`."""


def _verb(method: str) -> Any:
    name, code = method.lower(), request.__code__
    verb = FunctionType(code, request.__globals__, name, request.__defaults__, request.__closure__)
    verb.__kwdefaults__ = request.__kwdefaults__
    verb.__annotations__ = request.__annotations__
    verb.__module__, verb.__qualname__ = "ciload.http", f"http.{name}"  # as it is called in a TypeError
    about = (request.__doc__ or "").replace("Send a request", f"Send a {method} request")
    verb.__doc__ = about.replace("        method: any HTTP method.\n", "")
    return MethodType(verb, method)


request.__module__, request.__qualname__ = "ciload.http", "http.request"

if not TYPE_CHECKING:
    get, head, options, delete = _verb("GET"), _verb("HEAD"), _verb("OPTIONS"), _verb("DELETE")
    post, put, patch = _verb("POST"), _verb("PUT"), _verb("PATCH")
