"""What HTTP/2 calls its errors, and the failures that requests become by them, with k6's numbers."""

from __future__ import annotations

from enum import IntEnum

from ciload.http.failure import ConnectionLostError, ErrorCode, NotProcessedError, RequestFailedError


class Http2Code(IntEnum):
    """RFC 9113, 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


KNOWN = frozenset(map(int, Http2Code))


class BrokenConnectionError(Exception):
    """What the server sends is no HTTP/2 any more: the connection has to end, and all its streams with it."""

    def __init__(self, code: Http2Code, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why

    @property
    def failure(self) -> RequestFailedError:
        text = f"http2: connection error {self.code.name}: {self.why}"
        return RequestFailedError(_number(ErrorCode.HTTP2_CONNECTION, self.code), text)


class AnotherProtocolError(BrokenConnectionError):
    """The server has not begun with HTTP/2."""

    def __init__(self, first: bytes) -> None:
        shown = repr(first.partition(b"\n")[0][:40].strip().decode("latin-1"))
        super().__init__(Http2Code.PROTOCOL_ERROR, f"it begins with {shown}")

    @property
    def failure(self) -> RequestFailedError:
        text = f"the server does not speak HTTP/2: {self.why}; run without http2: only"
        return RequestFailedError(_number(ErrorCode.HTTP2_CONNECTION, self.code), text)


def broken_stream(code: Http2Code, why: str) -> RequestFailedError:
    """One response is not what HTTP/2 allows; the connection goes on."""
    return RequestFailedError(_number(ErrorCode.HTTP2_STREAM, code), f"http2: stream error {code.name}: {why}")


def from_reset(code: int) -> RequestFailedError:
    """The server has ended a stream."""
    number, text = _number(ErrorCode.HTTP2_STREAM, code), f"http2: stream error {_name(code)}: reset by the server"
    if code == Http2Code.REFUSED_STREAM:
        return NotProcessedError(number, text)
    if code == Http2Code.HTTP_1_1_REQUIRED:
        text += ", which wants HTTP/1.1: run with http2: off"
    return RequestFailedError(number, text)


def from_goaway(code: int, said: str, *, processed: bool) -> ConnectionLostError:
    """The server has ended the connection; `processed` unless it says that it has not begun with this stream."""
    text = f"http2: the server ended the connection: {_name(code)}" + (f" ({said!r})" if said else "")
    kind = ConnectionLostError if processed else NotProcessedError
    return kind(_number(ErrorCode.HTTP2_GOAWAY, code), text)


def _name(code: int) -> str:
    return Http2Code(code).name if code in KNOWN else f"error {code}"


def _number(base: ErrorCode, code: int) -> int:
    """k6's: the base is for codes that nobody knows."""
    return base + 1 + code if code in KNOWN else base
