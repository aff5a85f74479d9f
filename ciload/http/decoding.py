"""Undoing gzip, deflate, br and zstd, piece by piece, within bounds of memory and time that no server can break."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Protocol

from ciload.http.failure import ErrorCode, RequestFailedError

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 64 * 1024  # decoded at once, at most
FED_AT_ONCE = 4_096  # zlib copies what it did not use, for every piece and every member
MOST_MEMBERS = 10_000  # of a gzip body, frames of a zstd one: a server can make them of nothing
MOST_CODINGS = 5  # in a row: curl's bound
LARGEST_WINDOW_LOG = 23  # 8 MiB: RFC 9659


class Decoder(Protocol):
    """Undoes one coding. `complete` once the end has come that the coding itself announces."""

    complete: bool

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` makes, in pieces of at most `PIECE` bytes.

        Raises:
            RequestFailedError: it is not what the coding says.
        """


class Zlib:
    """gzip, of one member or more (RFC 1952 2.2), and deflate, with zlib's header or without, as some servers send."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflater: zlib._Decompress | None = None
        self._start = b""  # too little to tell what it is
        self._members = 0
        self.complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        data, self._start = self._start + data, b""
        rest = memoryview(data)
        more = False  # zlib may hold some of it back, with nothing left to feed
        while rest or more:
            if self._inflater is None and not self._begin(rest):
                return
            assert self._inflater is not None
            piece = rest[:FED_AT_ONCE]
            try:
                decoded = self._inflater.decompress(piece, PIECE)
            except zlib.error as error:
                raise _failed(str(error)) from None
            unused = len(self._inflater.unconsumed_tail) + len(self._inflater.unused_data)
            rest = rest[len(piece) - unused :]
            more = len(decoded) == PIECE and not self._inflater.eof
            if self._inflater.eof:
                self._inflater, self.complete = None, True
            if decoded:
                yield decoded

    def _begin(self, data: memoryview) -> bool:
        """Whether it goes on with this; what follows a complete body is ignored, as browsers do."""
        if self.complete and (not self._gzip or data[:2] != GZIP_MAGIC):
            if self._gzip and len(data) < len(GZIP_MAGIC) and GZIP_MAGIC.startswith(bytes(data)):
                self._start = bytes(data)
            return False
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise _failed(f"more than {MOST_MEMBERS} members")
        # 32: zlib's header or gzip's; -15: neither.
        bare = not self._gzip and data[0] & 0x0F != 8
        self._inflater, self.complete = zlib.decompressobj(-15 if bare else 32 + 15), False
        return True


class Brotli:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        import brotli  # five megabytes, for those who meet it

        self._error: type[Exception] = brotli.error
        self._decoder = brotli.Decompressor()
        self.complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while not self.complete:
            try:
                decoded: bytes = self._decoder.process(data, output_buffer_limit=PIECE)
            except self._error as error:
                raise _failed(str(error)) from None
            self.complete = self._decoder.is_finished()
            if not decoded and self._decoder.can_accept_more_data():
                return
            yield decoded
            data = b""  # it may hold back more, whether or not it would take more


class Zstd:
    """zstd (RFC 8878), one frame or more."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        self._error = zstd.ZstdError
        bounds: dict[int, int] = {zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW_LOG}
        self._new: Callable[[], zstd.ZstdDecompressor] = lambda: zstd.ZstdDecompressor(options=bounds)
        self._decoder = self._new()
        self._frames = 0
        self.complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not self._decoder.needs_input:
            if self._decoder.eof:
                self._frames += 1
                if self._frames > MOST_MEMBERS:
                    raise _failed(f"more than {MOST_MEMBERS} frames")
                self._decoder = self._new()
            try:
                decoded = self._decoder.decompress(data, PIECE)
            except self._error as error:
                raise _failed(str(error)) from None
            self.complete = self._decoder.eof
            data = self._decoder.unused_data if self._decoder.eof else b""
            if decoded:
                yield decoded
            if self._decoder.eof and not data:
                return


DECODERS: dict[bytes, Callable[[], Decoder]] = {
    b"gzip": lambda: Zlib(gzip=True),
    b"x-gzip": lambda: Zlib(gzip=True),
    b"deflate": lambda: Zlib(gzip=False),
    b"br": Brotli,
    b"zstd": Zstd,
}


class Decoding:
    """Undoes several codings in a row, the last one first (RFC 9110 8.4)."""

    def __init__(self, codings: tuple[bytes, ...]) -> None:
        """Codings of which one is unknown are left alone: the script gets what was sent.

        Raises:
            RequestFailedError: too many of them.
        """
        if len(codings) > MOST_CODINGS:
            raise _failed(f"more than {MOST_CODINGS} codings in a row")
        known = all(coding in DECODERS for coding in codings)
        self._decoders = [DECODERS[coding]() for coding in reversed(codings)] if known else []
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` makes, in pieces.

        Raises:
            RequestFailedError: it is not what the codings say.
        """
        self._fed |= bool(data)
        pieces: Iterable[bytes] = [data] if data else []
        for decoder in self._decoders:
            pieces = chain.from_iterable(map(decoder.feed, pieces))
        yield from pieces

    @property
    def complete(self) -> bool:
        """Whether the body may end here; one without any bytes may always."""
        return not self._fed or all(decoder.complete for decoder in self._decoders)


def decode(data: bytes, codings: tuple[bytes, ...], most_bytes: int, *, whole: bool) -> bytes:
    """At most `most_bytes` of what was encoded.

    Raises:
        RequestFailedError: it is not what `codings` say, or, when it should be `whole`, ends too early.
    """
    decoding = Decoding(codings)
    pieces: list[bytes] = []
    for piece in decoding.feed(data):
        pieces.append(piece[:most_bytes])
        most_bytes -= len(pieces[-1])
        if most_bytes == 0:
            return b"".join(pieces)
    if whole and not decoding.complete:
        raise _failed("the body ends too early")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _failed(why: str) -> RequestFailedError:
    return RequestFailedError(ErrorCode.DECOMPRESSION, f"decompression failed: {why}")
