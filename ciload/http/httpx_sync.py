"""The same transport for `httpx.Client`: plain calls, each of which waits for a coroutine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from ciload.http.httpx_response import Reading, Stream
from ciload.http.httpx_transport import HttpxTransport, library_of

if TYPE_CHECKING:
    Base = Any  # as in `httpx_transport.py`
else:
    Base = httpx.BaseTransport

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class SyncHttpxTransport(Base):  # type: ignore[misc]
    """`transport` for clients without `await`; `run` gives what a coroutine gives, to code that cannot await it."""

    def __init__(self, transport: HttpxTransport, run: Run) -> None:
        self._transport = transport
        self._run = run

    def handle_request(self, request: Any) -> Any:
        """As `HttpxTransport.handle_async_request`."""
        response = self._run(self._transport.handle_async_request(request))
        reading = response.stream
        if isinstance(reading, Reading):
            response.stream = _stream_class(library_of(request))(reading, self._run)
            response.stream.response, reading.response = response, None
        return response


class _SyncReading(Stream):
    """A body that is read while it comes."""

    def __init__(self, reading: Reading, run: Run) -> None:
        self._reading = reading
        self._run = run

    def __iter__(self) -> Iterator[bytes]:
        pieces = aiter(self._reading)

        async def following() -> bytes | None:
            return await anext(pieces, None)

        while (piece := self._run(following())) is not None:
            yield piece

    def close(self) -> None:
        self._reading.close()
        super().close()


@cache
def _stream_class(library: Any) -> Any:
    return type("Reading", (_SyncReading, library.SyncByteStream), {})
