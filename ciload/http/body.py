"""Request bodies: what a script gives, as bytes or as pieces that are sent one by one."""

from __future__ import annotations

import io
import json as jsonlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import IO, Any, NamedTuple, Protocol, TypeGuard, cast, runtime_checkable

from ciload.http.encoding import Encoding
from ciload.http.target import Params, encode_form

PIECE = 64 * 1024

Content = str | bytes | IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]
# httpx's: content, or (name of the file, content), or with its type, or with more headers as well.
File = (
    IO[bytes]
    | bytes
    | str
    | tuple[str | None, IO[bytes] | bytes | str]
    | tuple[str | None, IO[bytes] | bytes | str, str | None]
    | tuple[str | None, IO[bytes] | bytes | str, str | None, Mapping[str, str]]
)
Files = Mapping[str, File] | Sequence[tuple[str, File]]


@runtime_checkable
class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Upload:
    """A body that is sent piece by piece: with its length where that is known, else in chunks."""

    __slots__ = ("_encoding", "_repeatable", "_source", "_start", "_taken", "size")

    def __init__(self, source: Readable | Iterable[bytes] | AsyncIterable[bytes], size: int | None = None) -> None:
        self._source = source
        self._encoding: Encoding | None = None
        self._taken = False  # something of it
        self._start: int | None = None  # of a file that can be read again
        if isinstance(source, io.TextIOBase):
            raise TypeError("a body is made of bytes: open files with 'rb'")
        if isinstance(source, Readable):
            self._start, left = _extent(source)
            size = left if size is None else size
        # A list gives a new iterator every time, a generator does not.
        self._repeatable = isinstance(source, Iterable) and iter(source) is not source
        self.size = size

    def encode(self, encoding: Encoding) -> None:
        """Compress it on the way."""
        self._encoding, self.size = encoding, None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces as they go on the wire, chunks apart.

        Raises:
            TypeError: a piece is not bytes.
            Whatever the script's generator or file raises.
        """
        self._taken = True
        pieces = self._read()
        async for piece in pieces if self._encoding is None else self._encoding.encode_pieces(pieces):
            yield piece

    async def _read(self) -> AsyncIterator[bytes]:
        source = self._source
        if isinstance(source, Readable):
            while piece := source.read(PIECE):
                yield _checked(piece)
        elif isinstance(source, AsyncIterable):
            async for piece in source:
                yield _checked(piece)
        else:
            for piece in source:
                yield _checked(piece)

    def rewind(self) -> bool:
        """Get ready to be sent again; False: what was taken of it is gone."""
        if not self._taken:
            return True
        if self._start is not None:
            self._source.seek(self._start)  # type: ignore[union-attr]
        elif not self._repeatable:
            return False
        self._taken = False
        return True


async def sized(pieces: AsyncIterator[bytes], size: int | None) -> AsyncIterator[bytes]:
    """The pieces that are not empty; together they are to be as long as the head says, if it does.

    Raises:
        ValueError: they are not.
    """
    left = size
    async for piece in pieces:
        if left is not None:
            left -= len(piece)
            if left < 0:
                raise ValueError(f"the body is longer than the {size} bytes of its Content-Length")
        if piece:
            yield piece
    if left:
        raise ValueError(f"the body is {left} bytes shorter than the {size} of its Content-Length")


def _extent(file: Readable) -> tuple[int | None, int | None]:
    """Where reading begins, and how much there is from there on; None: nobody knows."""
    try:
        start = file.tell()  # type: ignore[attr-defined]
        end = file.seek(0, 2)  # type: ignore[attr-defined]
        file.seek(start)  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None, None
    return start, max(0, end - start)


def _checked(piece: object) -> bytes:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise TypeError(f"a body is made of bytes, and not of {type(piece).__name__}: open files with 'rb'")
    return bytes(piece)


class Body(NamedTuple):
    """What is sent, and what the headers say about it."""

    content: bytes | Upload
    content_type: str | None
    content_encoding: str | None = None

    def rewind(self) -> bool:
        return not isinstance(self.content, Upload) or self.content.rewind()


def encode_body(
    json: Any, data: Params | Content | None, content: Content | None, files: Files | None, compression: Any
) -> Body:
    """The body and the headers that it implies; one of the arguments is given, or `files` with a form in `data`.

    Raises:
        ValueError: more than one was given, or an unknown compression.
        TypeError: the value cannot be a body.
    """
    given = [value is not None for value in (json, data, content)]
    if sum(given) > 1 or (files is not None and (given[0] or given[2])):
        raise ValueError("give one of json=, data= and content=, or files= with or without data=")
    body, content_type = _encode(json, data, content, files)
    if compression is None:
        return Body(body, content_type)
    encoding = Encoding(compression)
    if isinstance(body, bytes):
        body = encoding.encode(body)
    else:
        body.encode(encoding)
    return Body(body, content_type, encoding.header)


def _encode(
    json: Any, data: Params | Content | None, content: Content | None, files: Files | None
) -> tuple[bytes | Upload, str | None]:
    if files is not None:
        return _multipart(data, files)
    if json is not None:
        text = jsonlib.dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode(), "application/json"
    if content is None and _is_form(data):
        return encode_form(data).encode(), "application/x-www-form-urlencoded"
    raw = data if content is None else content
    if isinstance(raw, str):
        return raw.encode(), "text/plain; charset=utf-8" if content is not None else None
    if isinstance(raw, bytes | bytearray | memoryview):
        return bytes(raw), None
    if isinstance(raw, Readable | AsyncIterable) or (isinstance(raw, Iterable) and not isinstance(raw, Mapping)):
        return Upload(cast("Iterable[bytes]", raw)), None
    raise TypeError(f"a body must be text, bytes, a file or an iterator of bytes, got {type(raw).__name__}")


def _is_form(data: object) -> TypeGuard[Params]:
    return isinstance(data, Mapping | list | tuple)


def _multipart(data: object, files: Files) -> tuple[bytes | Upload, str]:
    """multipart/form-data (RFC 7578) as httpx writes it; files are read while they are sent.

    Raises:
        TypeError: a file is not bytes, or was opened as text.
    """
    import httpx

    if data is not None and not isinstance(data, Mapping):
        raise TypeError(f"beside files=, data= is a mapping of form fields, not {type(data).__name__}")
    request = httpx.Request("POST", "http://multipart.invalid/", data=dict(data or {}), files=files)
    length = request.headers.get("content-length")
    upload = Upload(cast("Iterable[bytes]", request.stream), None if length is None else int(length))
    pairs = files.items() if isinstance(files, Mapping) else files
    in_memory = all(isinstance(file[1] if isinstance(file, tuple) else file, bytes | str) for _, file in pairs)
    content = b"".join(cast("Iterable[bytes]", request.stream)) if in_memory else upload
    return content, request.headers["content-type"]
