"""What the transport gives to httpx: a response whose body is as it was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import Any

from ciload.http.httpx_timeouts import TimedIncoming, TimedTransfer
from ciload.http.streaming import StreamedResponse


class Stream:
    """A body that httpx reads and closes.

    httpx wraps it in a stream that knows its response, which knows the stream: a circle for each request, which nobody
    but the garbage collection undoes. That would stop all virtual users for some 40 ms after each 2,000 responses, so a
    response whose stream is closed gets this one back.
    """

    response: Any = None  # it is of, until it is closed

    def close(self) -> None:
        response, self.response = self.response, None
        if response is not None:
            response.stream = self

    async def aclose(self) -> None:
        self.close()


class Reading(Stream):
    """A body that is read while it comes. Whoever reads again gets what is left, as some libraries do."""

    def __init__(self, library: Any, reply: StreamedResponse, transfer: TimedTransfer) -> None:
        self._library = library
        self._reply = reply
        self._transfer = transfer
        self._pieces = reply.take()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reply = self._reply
        async for piece, _ in self._pieces:
            yield piece
        if reply.error:
            raise self._transfer.error(self._library, reply.error_code, reply.error)

    def close(self) -> None:
        self._reply.close()
        super().close()


@cache
def _classes(library: Any) -> tuple[Any, Any]:
    """For a body that is there, and for one that comes: httpx asks whether a stream is one of its own."""
    return type("Whole", (Stream, library.ByteStream), {}), type("Reading", (Reading, library.AsyncByteStream), {})


def response_of(library: Any, reply: StreamedResponse, transfer: TimedTransfer) -> Any:
    """The response. A body that has come with its head is not streamed: nobody sees the difference."""
    head = reply.head
    extensions = {"http_version": b"HTTP/%b" % head.http_version.encode()}
    if head.reason:
        extensions["reason_phrase"] = head.reason.encode("latin-1")
    whole, reading = _classes(library)
    assert isinstance(transfer.incoming, TimedIncoming)
    content = transfer.incoming.whole
    if content is None:
        stream = reading(library, reply, transfer)
    else:
        stream = whole(content)
        reply.close()
    response = library.Response(head.status_code, headers=head.pairs, stream=stream, extensions=extensions)
    stream.response = response
    return response
