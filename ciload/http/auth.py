"""Who is asking: basic, bearer, digest, a function, or any class that follows httpx's protocol for authentication."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ciload.http.body import Body
from ciload.http.request import HeaderPairs, Prepared, Preparer, header_text
from ciload.http.response import Response
from ciload.http.target import parse_target

if TYPE_CHECKING:
    import httpx

NOT_THE_FLOWS = frozenset({"host", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """User and password (RFC 7617)."""

    username: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """A token (RFC 6750)."""

    token: str = field(repr=False)

    @property
    def header(self) -> str:
        return f"Bearer {self.token}"


if TYPE_CHECKING:  # httpx is imported when somebody needs it
    Auth = tuple[str, str] | BasicAuth | BearerAuth | httpx.Auth | Callable[[httpx.Request], httpx.Request]
Send = Callable[[Prepared, Body | None, bool], Awaitable[Response]]


def fixed_header(auth: object) -> str | None:
    """The Authorization header, where it is the same for every request; else None.

    Raises:
        TypeError: it is nothing that authenticates.
    """
    if isinstance(auth, tuple) and len(auth) == 2:
        return BasicAuth(*auth).header
    if isinstance(auth, BasicAuth | BearerAuth):
        return auth.header
    if hasattr(auth, "async_auth_flow") or callable(auth):
        return None
    raise TypeError(
        "auth= takes (user, password), http.BearerAuth(token), http.DigestAuth(user, password), a class of httpx's "
        f"kind or a function of the request, not {type(auth).__name__}"
    )


async def authenticate(auth: Any, prepared: Prepared, body: Body | None, preparer: Preparer, send: Send) -> Response:
    """Let `auth` see and change the request, and answer to challenges; `send` does one hop.

    `send` is told when a 401 is what the flow waits for: the first answer to digest authentication, as in k6. A request
    without a response is the end of it.

    Raises:
        RequestFailedError: the flow wants to ask where nobody can be asked.
        Whatever the script's function or class raises.
    """
    import httpx

    content = body.content if body is not None and isinstance(body.content, bytes) else None
    headers = [(name, header_text(name, value)) for name, value in prepared.headers]
    request = httpx.Request(prepared.method, prepared.target.url, headers=headers, content=content)
    url = str(request.url)
    flow = cast("AsyncGenerator[httpx.Request, httpx.Response]", _flow(auth, request))
    history: list[Response] = []
    asked = await flow.__anext__()
    try:
        while True:
            pairs: HeaderPairs = tuple(
                (name, value) for name, value in asked.headers.multi_items() if name.lower() not in NOT_THE_FLOWS
            )
            target = prepared.target if str(asked.url) == url else parse_target(str(asked.url), base=preparer.base)
            hop = preparer.make(asked.method, target, (*pairs, *_hosts(prepared.headers)))
            challenge = isinstance(auth, httpx.DigestAuth) and "authorization" not in asked.headers
            response = await send(hop, body if asked is request else _body_of(asked), challenge)
            if not response.status_code:
                break
            if getattr(auth, "requires_response_body", False):
                await response.aread()
            try:
                asked = await flow.asend(_as_httpx(response, asked))
            except StopAsyncIteration:
                break
            if asked is request and body is not None and not body.rewind():
                break  # the challenge is the answer: there is nothing to send again
            await response.aread()
            history.append(response)
    finally:
        await flow.aclose()
    response.history = tuple(history)
    return response


def _flow(auth: Any, request: httpx.Request) -> Any:
    if hasattr(auth, "async_auth_flow"):
        return auth.async_auth_flow(request)

    async def once() -> AsyncGenerator[httpx.Request, httpx.Response]:
        yield auth(request)

    return once()


def _body_of(request: httpx.Request) -> Body | None:
    content = request.read()
    return Body(content, None) if content else None


def _hosts(headers: HeaderPairs) -> HeaderPairs:
    return tuple(pair for pair in headers if pair[0].lower() == "host")


def _as_httpx(response: Response, request: httpx.Request) -> httpx.Response:
    """What a flow may ask of it; its body is decoded already."""
    import httpx

    headers = [pair for pair in response.head.pairs if pair[0].lower() not in (b"content-encoding", b"content-length")]
    return httpx.Response(response.status_code, headers=headers, content=response.content, request=request)
