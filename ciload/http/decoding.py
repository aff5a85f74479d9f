"""Undoing gzip and deflate, within bounds of memory and time that no server can break."""

from __future__ import annotations

import zlib

ENCODINGS = frozenset({b"gzip", b"x-gzip", b"deflate"})
GZIP_MAGIC = b"\x1f\x8b"
INFLATED_AT_ONCE = 4_096


def inflate(data: bytes, encoding: bytes, most_bytes: int, *, whole: bool) -> bytes:
    """At most `most_bytes` of what was compressed; a gzip body may have several members (RFC 1952 2.2).

    Raises:
        zlib.error: it is not what `encoding` says, or, when it should be `whole`, ends too early.
    """
    # 32: zlib or gzip, told by the header. Some servers send "deflate" without the zlib header: -15.
    bits = -15 if encoding == b"deflate" and data[0] & 0x0F != 8 else 32 + 15
    rest, out = memoryview(data), [b""]
    while most_bytes > 0 and (out == [b""] or rest[:2] == GZIP_MAGIC):
        inflater = zlib.decompressobj(bits)
        while rest and most_bytes > 0 and not inflater.eof:
            piece = rest[:INFLATED_AT_ONCE]  # zlib copies what it did not use, for every member
            out.append(inflater.decompress(piece, most_bytes))
            most_bytes -= len(out[-1])
            rest = rest[len(piece) - len(inflater.unconsumed_tail) - len(inflater.unused_data) :]
        if most_bytes and not inflater.eof:
            if whole:
                raise zlib.error("the body ends too early")
            break
    return b"".join(out)
