"""The measured HTTP client in plain functions: `from ciload.sync import http`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast, overload

from ciload import http as async_http
from ciload.http import (
    BasicAuth,
    BearerAuth,
    Headers,
    HTTPStatusError,
    Request,
    RequestError,
    RequestOptions,
    ServerSentEvent,
    Timings,
)
from ciload.http.batch import Key
from ciload.http.streaming import StreamedResponse as AsyncStreamedResponse
from ciload.script.greenlets import wait_for

__all__ = ["BasicAuth", "BearerAuth", "DigestAuth", "HTTPStatusError", "Headers", "Request", "RequestError",
           "RequestOptions", "Response", "ServerSentEvent", "Timings", "batch", "delete", "get", "head", "options",
           "patch", "post", "put", "request"]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")

if TYPE_CHECKING:
    from httpx import DigestAuth as DigestAuth


class _Reading:
    """What there is of a reply besides what the asynchronous one has."""

    __slots__ = ()

    def read(self) -> bytes:
        """The whole body, which a streamed reply keeps as `content` then."""
        return wait_for(cast(async_http.Response, self).aread())

    def iter_bytes(self) -> Iterator[bytes]:
        """The body as it comes, decoded."""
        return _each(cast(async_http.Response, self).aiter_bytes())

    def iter_lines(self) -> Iterator[str]:
        """Its lines, without their ends."""
        return _each(cast(async_http.Response, self).aiter_lines())

    def iter_sse(self) -> Iterator[ServerSentEvent]:
        """Its server-sent events."""
        return _each(cast(async_http.Response, self).aiter_sse())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        cast(AsyncStreamedResponse, self).close()


class Response(_Reading, async_http.Response):
    """A reply, as in `ciload.http`; and `read()`, `iter_bytes()`, `iter_lines()`, `iter_sse()`, `close()`, `with`."""

    __slots__ = ()

    def close(self) -> None:
        """Want no more of the body, which has come already."""


class StreamedResponse(_Reading, AsyncStreamedResponse):
    """One that comes piece by piece."""

    __slots__ = ()


def _each(items: AsyncIterator[T]) -> Iterator[T]:
    while True:
        try:
            item = wait_for(cast(Coroutine[Any, Any, T], items.__anext__()))
        except StopAsyncIteration:
            return
        yield item


def _for_plain_functions(reply: async_http.Response) -> Response:
    """The reply itself, with more methods: a reply around a reply would be another object for each request."""
    streams = isinstance(reply, AsyncStreamedResponse)
    reply.__class__ = StreamedResponse if streams else Response
    return cast(Response, reply)


def _verb(function: Callable[P, Coroutine[Any, Any, async_http.Response]]) -> Callable[P, Response]:
    @wraps(function)
    def wait(*args: P.args, **kwargs: P.kwargs) -> Response:
        return _for_plain_functions(wait_for(function(*args, **kwargs)))

    return wait


request = _verb(async_http.request)
get = _verb(async_http.get)
head = _verb(async_http.head)
options = _verb(async_http.options)
delete = _verb(async_http.delete)
post = _verb(async_http.post)
put = _verb(async_http.put)
patch = _verb(async_http.patch)


@overload
def batch(requests: Mapping[Key, Request | str]) -> dict[Key, Response]: ...
@overload
def batch(requests: Sequence[Request | str]) -> list[Response]: ...
def batch(
    requests: Mapping[Key, Request | str] | Sequence[Request | str],
) -> dict[Key, Response] | list[Response]:
    """Send requests concurrently, as `ciload.http.batch` does."""
    if isinstance(requests, Mapping):
        by_key = wait_for(async_http.batch(requests))
        return {key: _for_plain_functions(reply) for key, reply in by_key.items()}
    return [_for_plain_functions(reply) for reply in wait_for(async_http.batch(requests))]


if not TYPE_CHECKING:  # type checkers must not believe that every name exists

    def __getattr__(name: str) -> Any:
        return getattr(async_http, name)
