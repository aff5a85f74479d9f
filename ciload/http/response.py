"""What a script sees of an answer: httpx's names, k6's timings."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ciload.http.events import ServerSentEvent, events, lines
from ciload.http.head import Head, Headers
from ciload.http.timings import Dialed, Timings

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

CHARSET = re.compile(r"""(?i);\s*charset\s*=\s*["']?([^\s;"']+)""")


class HTTPStatusError(Exception):
    """`raise_for_status()` met a 4xx or 5xx response."""

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.response = response


class RequestError(HTTPStatusError):
    """`raise_for_status()` met a request that got no response at all."""


class SentRequest(NamedTuple):
    """What was asked. The URL carries no userinfo."""

    method: str
    url: str


_ELSEWHERE = {  # names in k6, requests and aiohttp, and what does their work here
    "body": "it is text, content (bytes), or json()",
    "html": "text has it",
    "ok": "it is is_success (2xx), or `status_code < 400`",
    "proto": "it is http_version",
    "protocol": "it is http_version",
    "reason": "it is reason_phrase",
    "status": "it is status_code",
    "status_text": "it is reason_phrase",
    "success": "count what you expect with check()",
}


class Response:
    """The answer to a request, or what came instead: then `status_code` is 0 and `error` says why."""

    __slots__ = ("_dialed", "_headers", "_phases", "content", "error", "error_code", "head", "history", "method",
                 "status_code", "traced", "truncated", "url")  # fmt: skip

    traced: str  # set with --trace alone

    def __init__(
        self,
        status_code: int,
        head: Head,
        content: bytes,
        method: str,
        url: str,
        dialed: Dialed,
        phases: tuple[float, float, float],
    ) -> None:
        self.status_code = status_code
        self.head = head
        self.content = content
        self.method = method
        self.url = url
        self._dialed = dialed
        self._phases = phases
        self._headers: Headers | None = None
        self.error = ""
        self.error_code = 0
        self.truncated = False  # the body was longer than `max_body_kept`; `content` is its beginning
        self.history: tuple[Response, ...] = ()

    @property
    def trace(self) -> str:
        """The id of the trace that was sent with the request (--trace); "" for none."""
        return getattr(self, "traced", "")

    @property
    def phases(self) -> tuple[float, float, float]:
        """Sending, waiting and receiving, in seconds."""
        return self._phases

    @property
    def timings(self) -> Timings:
        return Timings(*(seconds * 1e3 for seconds in self._dialed + self._phases))

    @property
    def elapsed(self) -> timedelta:
        return timedelta(milliseconds=self.timings.duration)

    @property
    def request(self) -> SentRequest:
        return SentRequest(self.method, self.url)

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = Headers(self.head.pairs)
        return self._headers

    @property
    def reason_phrase(self) -> str:
        if self.head.reason or not self.status_code:
            return self.head.reason
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def http_version(self) -> str:
        return self.head.http_version

    @property
    def encoding(self) -> str:
        """The charset of the Content-Type, else utf-8."""
        found = CHARSET.search(self.headers.get("content-type", ""))
        return found[1].lower() if found else "utf-8"

    @property
    def text(self) -> str:
        try:
            return self.content.decode(self.encoding, errors="replace")
        except (LookupError, UnicodeError):  # a charset nobody knows, or one that is none for texts
            return self.content.decode("utf-8", errors="replace")

    def json(self, **options: Any) -> Any:
        """The body as JSON; parsed by orjson where that is installed and there are no options.

        orjson makes floats of integers beyond 64 bits.

        Raises:
            ValueError: it is not JSON, was cut at `max_body_kept`, or there is no response.
        """
        if self.truncated:
            raise ValueError("the body is longer than max_body_kept and was cut: raise that option to parse it")
        if not self.status_code:
            raise ValueError(f"no body to parse: {self.error}")
        if orjson is not None and not options:
            with suppress(ValueError):  # what it does not take, NaN or UTF-16 for example, the standard library may
                return orjson.loads(self.content)
        try:
            return json.loads(self.content, **options)
        except RecursionError:
            raise ValueError("the JSON is nested too deeply") from None

    @property
    def cookies(self) -> dict[str, str]:
        """Names and values that this response set."""
        pairs = (line.split(";", 1)[0].partition("=") for line in self.head.set_cookies)
        return {name.strip(): value.strip() for name, _, value in pairs}

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status_code < 400

    @property
    def has_redirect_location(self) -> bool:
        return self.status_code in (301, 302, 303, 307, 308) and self.head.location is not None

    @property
    def is_client_error(self) -> bool:
        return 400 <= self.status_code < 500

    @property
    def is_server_error(self) -> bool:
        return 500 <= self.status_code < 600

    @property
    def is_error(self) -> bool:
        return self.status_code == 0 or self.status_code >= 400

    # --- the body as it comes; of a response that was not streamed, it is there at once

    async def pieces(self) -> AsyncIterator[tuple[bytes, float]]:
        """The body in pieces, and how many ms after the request was sent each of them came."""
        if self.content:
            yield self.content, self.timings.duration

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, decoded, in pieces as they come."""
        async for piece, _ in self.pieces():
            yield piece

    async def aiter_lines(self) -> AsyncIterator[str]:
        """The body as text, line by line, without the line ends."""
        async for line, _ in lines(self.pieces(), self.encoding):
            yield line

    async def aiter_sse(self) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events; the `at` of the first one is the time to the first event."""
        async for event in events(self.pieces()):
            yield event

    async def aread(self) -> bytes:
        """The whole body, as `content` has it from now on."""
        return self.content

    async def aclose(self) -> None:
        """Want no more of it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def raise_for_status(self) -> Response:
        """Itself when the status is below 400.

        Raises:
            RequestError: there was no response.
            HTTPStatusError: 4xx or 5xx.
        """
        shown = f"{self.method} {self.url.partition('?')[0]}"  # it carries no userinfo
        if self.status_code == 0:
            raise RequestError(f"{shown}: {self.error}", self)
        if self.status_code >= 400:
            raise HTTPStatusError(f"{shown}: {self.status_code} {self.reason_phrase}", self)
        return self

    def __repr__(self) -> str:
        return f"<Response [{self.status_code or self.error}]>"

    if not TYPE_CHECKING:  # type checkers must not believe that every attribute exists

        def __getattr__(self, name: str) -> Any:
            if name in _ELSEWHERE:
                raise AttributeError(f"a response has no {name!r}: {_ELSEWHERE[name]}")
            # With these two, Python's traceback guesses what was meant.
            raise AttributeError(f"a response has no {name!r}", name=name, obj=self)
