"""httpx's clients, and what is built on them, on measured connections: `AsyncClient(transport=httpx_transport())`.

    httpx.Request ──► Prepared, Body ──► exchange ──► StreamedResponse ──► httpx.Response
                                            └─ no response ──► an exception of httpx

What httpx does stays its own: cookies, redirects, authentication, decoding. httpx2 has the same interface, and is
served by the same transport: responses and exceptions are those of the library that the request is of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

import httpx

from ciload.http.body import PIECE, Body, Upload
from ciload.http.client import tag_pairs
from ciload.http.exchange import unsent
from ciload.http.failure import RequestFailedError
from ciload.http.httpx_response import response_of
from ciload.http.httpx_timeouts import TimedTransfer, Timeouts
from ciload.http.request import HeaderPairs
from ciload.http.session import current_session
from ciload.http.streaming import StreamedResponse
from ciload.metrics.series import Tags
from ciload.secrets import without_secrets

if TYPE_CHECKING:
    Base = Any  # for type checkers it is a transport of httpx, and one of httpx2
else:
    Base = httpx.AsyncBaseTransport

EXTENSION = "ciload"
LABELS = frozenset({"name", "tags"})
FRAMING = frozenset({b"content-length", b"transfer-encoding"})  # the body says it, and the connection writes it
RELATIVE = "the URL names no server: make the client with base_url=vu.base_url"
Namer = Callable[[httpx.Request], str | None]


def httpx_transport(*, name: Namer | None = None, tags: Mapping[str, str] | None = None) -> HttpxTransport:
    """A transport for `httpx.AsyncClient`, or httpx2's, that sends over the measured connections of the virtual user.

    It can be made anywhere, and used by all virtual users. A request may say what it is measured under:
    `extensions={"ciload": {"name": "/users/{id}", "tags": {"tier": "read"}}}`.

    Args:
        name: a function that gets a request and gives the name to measure it under; None: the URL without query.
        tags: more tags for the samples of all requests.
    """
    return HttpxTransport(name, tag_pairs(tags or {}))


class HttpxTransport(Base):  # type: ignore[misc]
    """What `httpx_transport()` makes."""

    def __init__(self, name: Namer | None, tags: Tags) -> None:
        self._name = name
        self._tags = tags

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request of httpx or httpx2, and measure it.

        Raises:
            httpx.TransportError: there was no response; or httpx2's.
            NoVirtualUserError: nobody is there whose request it could be.
            NoTargetError: the URL is relative and there is no `--base-url`, which ends the run.
            ValueError, TypeError: the extension "ciload" is no name and tags.
        """
        session = current_session()
        client = session.client
        assert client is not None
        library = library_of(request)
        name, tags = self._labels(request)
        url = str(request.url)
        try:
            body = _body(request, library)
            key = (request.method, url, _headers(request, reuse=client.preparer.reuse))
            prepared = client.preparer.memory.get(key)
            if prepared is None:
                if request.url.is_relative_url and client.preparer.base:  # httpx itself gets no further with such a one
                    raise library.UnsupportedProtocol(RELATIVE)
                prepared = client.preparer.prepare(key, request.url.raw_path.decode())
        except RequestFailedError as failure:
            unsent(session, request.method, without_secrets(url), name, tags, failure)
            raise library.UnsupportedProtocol(failure.text) from None
        except (ValueError, TypeError) as error:
            raise library.LocalProtocolError(str(error)) from None
        raw = prepared.bare if body is None else prepared.encode(body, "")
        timeouts = Timeouts.of(request.extensions.get("timeout", {}))
        upload = body.content if body is not None and isinstance(body.content, Upload) else None
        transfer = TimedTransfer(upload, timeouts)
        deadline = perf_counter() + timeouts.connect
        reply = await client.exchange(session, client, prepared, raw, deadline, name, tags, transfer, None)
        if not isinstance(reply, StreamedResponse):
            raise transfer.error(library, reply.error_code, reply.error)
        return response_of(library, reply, transfer)

    def _labels(self, request: Any) -> tuple[str | None, Tags]:
        """What a request is measured under."""
        given = request.extensions.get(EXTENSION)
        if given is None:
            return self._name(request) if self._name is not None else None, self._tags
        if not isinstance(given, Mapping) or not given.keys() <= LABELS:
            raise ValueError('the extension "ciload" is a mapping with "name", "tags" or both')
        name = given.get("name")
        if name is None and self._name is not None:
            name = self._name(request)
        return name, (*self._tags, *tag_pairs(given.get("tags", {})))


def library_of(request: Any) -> Any:
    """httpx, or httpx2 if the request is one of its."""
    return httpx if isinstance(request, httpx.Request) else sys.modules["httpx2"]


def _headers(request: Any, *, reuse: bool) -> HeaderPairs:
    """The headers as httpx gives them, without what says how long the body is.

    That httpx wants to keep the connection is a default of its own, and no reason to do so when the run says otherwise.
    """
    return tuple(
        [
            (name.decode("latin-1"), value)
            for name, value in request.headers.raw
            if (lower := name.lower()) not in FRAMING and (reuse or lower != b"connection")
        ]
    )


def _body(request: Any, library: Any) -> Body | None:
    """The body: short ones as a whole, and everything else in pieces, each of which has its time-out.

    Raises:
        ValueError: the Content-Length is no number.
    """
    stream, length = request.stream, None
    if isinstance(stream, library.ByteStream):
        content = b"".join(stream)
        if len(content) <= PIECE:
            return Body(content, None) if content else None
        stream = [content[begin : begin + PIECE] for begin in range(0, len(content), PIECE)]
        length = len(content)
    elif "transfer-encoding" not in request.headers and "content-length" in request.headers:
        length = int(request.headers["content-length"])
    return Body(Upload(stream, length), None)
