"""Compressing request bodies (RFC 9110 8.4), whole or piece by piece."""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol


class Encoder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Brotli:
    def __init__(self) -> None:
        import brotli

        self._compressor = brotli.Compressor()

    def compress(self, data: bytes) -> bytes:
        compressed: bytes = self._compressor.process(data)
        return compressed

    def flush(self) -> bytes:
        compressed: bytes = self._compressor.finish()
        return compressed


def _zstd() -> Encoder:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdCompressor()


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "gzip": lambda: zlib.compressobj(wbits=31),
    "deflate": zlib.compressobj,
    "br": Brotli,
    "zstd": _zstd,
}


class Encoding:
    """Codings in the order in which they are applied, as k6's `compression`."""

    __slots__ = ("codings",)

    def __init__(self, codings: str | Sequence[str]) -> None:
        """Codings are names in a list, or in one text with commas.

        Raises:
            ValueError: an unknown one.
        """
        names = codings.split(",") if isinstance(codings, str) else codings
        self.codings = [str(name).strip().lower() for name in names]
        unknown = [name for name in self.codings if name not in ENCODERS]
        if unknown or not self.codings:
            raise ValueError(f"compression: unknown coding {(unknown or [''])[0]!r}; there are {', '.join(ENCODERS)}")

    @property
    def header(self) -> str:
        return ", ".join(self.codings)

    def encode(self, data: bytes) -> bytes:
        for coding in self.codings:
            encoder = ENCODERS[coding]()
            data = encoder.compress(data) + encoder.flush()
        return data

    async def encode_pieces(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        encoders = [ENCODERS[coding]() for coding in self.codings]
        async for piece in pieces:
            for encoder in encoders:
                piece = encoder.compress(piece)
            yield piece
        rest = b""
        for encoder in encoders:
            rest = encoder.compress(rest) + encoder.flush()
        yield rest
