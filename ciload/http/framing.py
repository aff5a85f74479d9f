"""Where the body of a response ends: after its length, with its last chunk, or with the connection (RFC 9112 6.3)."""

from __future__ import annotations

import re
from typing import Protocol

from ciload.http.failure import MalformedError

# The end of a chunk and the size of the next. Go and curl take blanks behind the size, and lines that end in LF alone.
NEXT_SIZE = re.compile(rb"\r?\n([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
FIRST_SIZE = re.compile(NEXT_SIZE.pattern.removeprefix(rb"\r?\n"))
BEGINNING = re.compile(rb"\r?(?:\n|\Z)(?:[0-9A-Fa-f]{1,15}[ \t]*(?:;[^\n]*)?\r?)?\Z")
TRAILERS_END = re.compile(rb"\n\r?\n")
LAST_CHUNK = b"\r\n0\r\n\r\n"
LONGEST_SIZE_LINE = 4_096  # extensions included
LONGEST_TRAILERS = 64 * 1024
# What is no data, beyond 16 bytes for each chunk and twice its data: Go's bound.
MOST_OVERHEAD = 16 * 1024


class Framing(Protocol):
    """Takes a body apart as it comes.

    `ended` once the body is complete; then `surplus` is what came behind it.
    """

    ended: bool
    surplus: bytes

    def feed(self, data: bytes) -> bytes:
        """What of `data` belongs to the body.

        Raises:
            MalformedError: no body can go on like this.
        """

    def connection_ended(self) -> bool:
        """Whether that was the end of the body as well."""


class Sized:
    """A body of so many bytes."""

    __slots__ = ("_left", "ended", "surplus")

    def __init__(self, size: int) -> None:
        self._left = size
        self.ended = size == 0
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        if len(data) < self._left:
            self._left -= len(data)
            return data
        self.ended = True
        self.surplus = data[self._left :]
        return data[: self._left]

    def connection_ended(self) -> bool:
        return False


class UntilClose:
    """A body that ends with the connection."""

    __slots__ = ("ended", "surplus")

    def __init__(self) -> None:
        self.ended = False
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        return data

    def connection_ended(self) -> bool:
        self.ended = True
        return True


class Chunked:
    """Chunks and trailers (RFC 9112 7.1). Trailers are read over."""

    __slots__ = ("_in_trailers", "_left", "_overhead", "_rest", "_size", "ended", "surplus")

    def __init__(self) -> None:
        self._size = FIRST_SIZE
        self._left = 0  # of the chunk under way
        self._rest = b""  # of a line whose end has not come yet
        self._overhead = 0
        self._in_trailers = False
        self.ended = False
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        if self._rest:
            data, self._rest = self._rest + data, b""
        elif self._size is FIRST_SIZE and (payload := _only_chunk(data)) is not None:
            self.ended = True
            return payload
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left:
                pieces.append(data[at : at + self._left])
                at += len(pieces[-1])
                self._left -= len(pieces[-1])
            elif self._in_trailers:
                self._find_the_end(data[at:])
                break
            elif (line := self._size.match(data, at)) is not None:
                self._begin(line)
                at = line.end() - self._in_trailers  # with the line end that an empty line would follow
            else:
                self._keep(data[at:])
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _begin(self, line: re.Match[bytes]) -> None:
        """A chunk, or the last one."""
        self._left = int(line[1], 16)
        self._in_trailers = self._left == 0
        self._size = NEXT_SIZE
        self._overhead = max(0, self._overhead + line.end() - line.start() - 16 - 2 * self._left)
        if self._overhead > MOST_OVERHEAD or line.end() - line.start() > LONGEST_SIZE_LINE:
            raise MalformedError("chunks with too much around their data")

    def _keep(self, rest: bytes) -> None:
        beginning = b"\n" + rest if self._size is FIRST_SIZE else rest
        if not BEGINNING.match(beginning):
            raise MalformedError(f"no chunk begins with {rest[:20].decode('latin-1')!r}")
        if len(rest) > LONGEST_SIZE_LINE:
            raise MalformedError("chunks with too much around their data")
        self._rest = rest

    def _find_the_end(self, rest: bytes) -> None:
        end = TRAILERS_END.search(rest)
        if (end.start() if end else len(rest)) > LONGEST_TRAILERS:
            raise MalformedError(f"trailers larger than {LONGEST_TRAILERS // 1024} KiB")
        if end is None:
            self._rest = rest
        else:
            self.ended = True
            self.surplus = rest[end.end() :]

    def connection_ended(self) -> bool:
        return False


def _only_chunk(data: bytes) -> bytes | None:
    """The body, if it is complete and in one chunk, as most are."""
    line = FIRST_SIZE.match(data) if data.endswith(LAST_CHUNK) else None
    if line is None or line.end() + int(line[1], 16) + len(LAST_CHUNK) != len(data):
        return None
    return data[line.end() : -len(LAST_CHUNK)]
