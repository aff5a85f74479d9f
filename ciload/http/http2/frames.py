"""Frames on the wire (RFC 9113, 4 and 6)."""

from __future__ import annotations

from struct import Struct

from ciload.http.http2.errors import BrokenConnectionError, Http2Code

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES = 9
LARGEST_FRAME = 16_384  # what we take, and what everybody has to take
LARGEST_WINDOW = LAST_STREAM = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 2, 3, 4, 5, 6

HEADER = Struct(">BHBBL")  # 24 bits of length, in two parts; type, flags, stream
NUMBER = Struct(">L")
TWO_NUMBERS = Struct(">LL")
SETTING = Struct(">HL")


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    size = len(payload)
    return HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*pair) for pair in pairs))


def window_update(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, NUMBER.pack(size))


def reset(stream: int, code: Http2Code) -> bytes:
    return frame(RST_STREAM, 0, stream, NUMBER.pack(code))


def goaway(code: Http2Code) -> bytes:
    """No stream is named as processed: servers open none here."""
    return frame(GOAWAY, 0, 0, TWO_NUMBERS.pack(0, code))


def head_frames(stream: int, block: bytes, largest: int, *, ends: bool) -> bytes:
    """A header block, which may need several frames."""
    flags = END_STREAM if ends else 0
    if len(block) <= largest:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    parts = [block[at : at + largest] for at in range(0, len(block), largest)]
    frames = [frame(HEADERS, flags, stream, parts[0])]
    frames += [frame(CONTINUATION, 0, stream, part) for part in parts[1:-1]]
    return b"".join((*frames, frame(CONTINUATION, END_HEADERS, stream, parts[-1])))


def without_padding(payload: bytes) -> bytes:
    """Raises BrokenConnectionError: there is more padding than payload."""
    padding = payload[0] if payload else 0
    if len(payload) <= padding:
        raise BrokenConnectionError(Http2Code.PROTOCOL_ERROR, "more padding than there is payload")
    return payload[1 : len(payload) - padding]


def block_in(flags: int, payload: bytes) -> bytes:
    """The header block in a HEADERS frame.

    Raises:
        BrokenConnectionError: there is no room for what the flags announce.
    """
    if flags & PADDED:
        payload = without_padding(payload)
    if flags & WITH_PRIORITY:
        if len(payload) < 5:
            raise BrokenConnectionError(Http2Code.FRAME_SIZE_ERROR, "a HEADERS frame that is too short")
        payload = payload[5:]
    return payload
