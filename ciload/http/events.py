"""Lines and server-sent events in a body that comes piece by piece."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

LONGEST_LINE = 8 * 1024 * 1024  # characters; what has no line ends is handed out in lines of this length


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event (WHATWG HTML, 9.2).

    Args:
        event: its type, "message" unless the server says another.
        data: its lines, joined.
        id: the last one that the server gave, "" for none.
        retry: ms after which to connect again, None when the server does not say.
        at: ms after the request was sent.
    """

    event: str
    data: str
    id: str
    retry: int | None
    at: float

    def json(self) -> Any:
        """The data as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.data)


async def lines(pieces: AsyncIterator[tuple[bytes, float]], charset: str) -> AsyncIterator[tuple[str, float]]:
    """Lines without their ends (LF, CRLF or CR), and when they came; what cannot be decoded is replaced."""
    try:
        b"".decode(charset)
    except (LookupError, UnicodeError):  # a charset nobody knows, or one that is none for texts
        charset = "utf-8"
    decoder = codecs.getincrementaldecoder(charset)(errors="replace")
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    rest: list[str] = []
    length = 0
    at = 0.0
    async for piece, at in pieces:
        *whole, last = newlines.decode(piece).split("\n")
        for line in whole:
            yield "".join([*rest, line]), at
            rest, length = [], 0
        rest.append(last)
        length += len(last)
        if length > LONGEST_LINE:
            yield "".join(rest), at
            rest, length = [], 0
    *whole, last = newlines.decode(b"", final=True).split("\n")
    for line in whole:
        yield "".join([*rest, line]), at
        rest = []
    if last := "".join([*rest, last]):
        yield last, at


async def events(pieces: AsyncIterator[tuple[bytes, float]]) -> AsyncIterator[ServerSentEvent]:
    """Events; one that the end of the body cuts off is none."""
    kind, data, last_id, retry = "", list[str](), "", None
    first = True
    async for line, at in lines(pieces, "utf-8"):
        if first:
            line, first = line.removeprefix("\ufeff"), False
        if not line:
            if data:
                yield ServerSentEvent(kind or "message", "\n".join(data), last_id, retry, at)
            kind, data, retry = "", [], None
            continue
        field, _, value = line.partition(":")  # a comment has no name
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            last_id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            retry = int(value)
