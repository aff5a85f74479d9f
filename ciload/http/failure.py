"""What can go wrong with a request, as k6's error codes: every foreign exception is mapped here, at the edge."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from enum import IntEnum

from ciload.http.timings import Dialed


class ErrorCode(IntEnum):
    """k6's numbers. 4xx and 5xx responses get 1000 + status and no error text."""

    UNKNOWN = 1000
    INVALID_URL = 1020
    TIMEOUT = 1050
    DNS = 1100
    NO_SUCH_HOST = 1101
    BLOCKED_ADDRESS = 1110
    BLOCKED_HOST = 1111
    TCP = 1200
    BROKEN_PIPE = 1201
    DIAL = 1210
    DIAL_TIMEOUT = 1211
    REFUSED = 1212
    RESET = 1220
    TLS = 1300
    NOT_TLS = 1301
    UNKNOWN_AUTHORITY = 1310
    HOSTNAME_MISMATCH = 1311
    HTTP2_GOAWAY = 1610  # from here on: 1611 + the code of an HTTP/2 error, or this for one that nobody knows
    HTTP2_STREAM = 1630
    HTTP2_CONNECTION = 1650
    DECOMPRESSION = 1701


class RequestFailedError(Exception):
    """The target (or the way to it) failed a request. Becomes a response with status 0, never a crash."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.dialed = Dialed()  # how long the attempt to get a connection took


class MalformedError(RequestFailedError):
    """What came is no HTTP response."""

    def __init__(self, why: str) -> None:
        super().__init__(ErrorCode.UNKNOWN, f"malformed HTTP response: {why}")


class ConnectionLostError(RequestFailedError):
    """The connection ended while a response was due."""


class NotProcessedError(ConnectionLostError):
    """The same, and the server says that it has not begun with the request (RFC 9113 8.7)."""


def from_lookup(error: OSError) -> RequestFailedError:
    missing = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
    if error.errno in missing:
        return RequestFailedError(ErrorCode.NO_SUCH_HOST, "lookup: no such host")
    return RequestFailedError(ErrorCode.DNS, f"lookup: {error.strerror or error}")


def from_dial(error: OSError) -> RequestFailedError:
    if error.errno == errno.ECONNREFUSED:
        return RequestFailedError(ErrorCode.REFUSED, "dial: connection refused")
    if error.errno == errno.ETIMEDOUT:
        return RequestFailedError(ErrorCode.DIAL_TIMEOUT, "dial: i/o timeout")
    if error.errno == errno.ECONNRESET:
        return RequestFailedError(ErrorCode.RESET, "dial: connection reset by peer")
    if error.errno == errno.ENOENT:
        return RequestFailedError(ErrorCode.DIAL, "dial: no such socket")
    # Not strerror of the exception: asyncio puts the address there.
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return RequestFailedError(ErrorCode.DIAL, f"dial: {reason.lower()}")


# X509_V_ERR_* of OpenSSL: the certificate is for another name or address.
WRONG_NAME = {62, 64}
# Alerts of a server that asked for a certificate and got none, or one that it does not like.
CERTIFICATE_WANTED = ("CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "CERTIFICATE_UNKNOWN")


WANTS_CERTIFICATE = "tls: the server wants a client certificate, or another one"


ONLY_HTTP2 = "the server speaks only HTTP/2: run with http2: "
NO_HTTP2 = "tls: the server does not speak HTTP/2: run without http2: only"


def _wants_certificate(reason: str | None) -> bool:
    return reason is not None and reason.endswith(CERTIFICATE_WANTED)


def from_tls(error: Exception, *, http2: bool = False) -> RequestFailedError:
    """`http2`: the server was offered that, and not HTTP/1.1 alone."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = ErrorCode.HOSTNAME_MISMATCH if error.verify_code in WRONG_NAME else ErrorCode.UNKNOWN_AUTHORITY
        return RequestFailedError(code, f"tls: certificate not trusted: {error.verify_message}")
    reason = getattr(error, "reason", None)
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return RequestFailedError(ErrorCode.NOT_TLS, "tls: the server does not speak TLS on this port")
    if isinstance(error, ConnectionResetError):
        return RequestFailedError(ErrorCode.RESET, "tls: connection reset during the handshake")
    if _wants_certificate(reason):
        return RequestFailedError(ErrorCode.TLS, WANTS_CERTIFICATE)
    if "no application protocol" in str(error).lower().replace("_", " "):  # an alert that Python knows no reason for
        return RequestFailedError(ErrorCode.TLS, NO_HTTP2 if http2 else f"tls: {ONLY_HTTP2}auto")
    if reason is not None and reason.endswith("ALERT_HANDSHAKE_FAILURE"):
        why = "the server refused: no common cipher, or it wants a client certificate"
        return RequestFailedError(ErrorCode.TLS, f"tls: handshake failed: {why}")
    return RequestFailedError(ErrorCode.TLS, f"tls: handshake failed: {reason or str(error) or type(error).__name__}")


def from_loss(error: Exception | None, received: bool) -> ConnectionLostError:
    """`error` is what the transport reported, None for an orderly close; `received`: some bytes had arrived."""
    when = "in the middle of the response" if received else "before any response"
    if isinstance(error, ConnectionResetError):
        return ConnectionLostError(ErrorCode.RESET, f"connection reset by the server {when}")
    if isinstance(error, BrokenPipeError):
        return ConnectionLostError(ErrorCode.BROKEN_PIPE, "write: broken pipe")
    if isinstance(error, ssl.SSLError):
        text = WANTS_CERTIFICATE if _wants_certificate(error.reason) else f"tls: {error.reason or error}"
        return ConnectionLostError(ErrorCode.TLS, text)
    if isinstance(error, OSError):
        return ConnectionLostError(ErrorCode.TCP, f"connection lost {when}: {error.strerror or error}")
    return ConnectionLostError(ErrorCode.UNKNOWN, f"connection closed by the server {when}")
