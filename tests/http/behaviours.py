"""What servers do that they should not, by name, and what a request to each must end in."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from typing import Literal

from tests.http.server import Answer, End, Pause, Step, redirect, response

When = Literal["request", "head", "bytes", "connect"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a server sends, and what comes of it.

    `status` is 0 for a failed request, whose `code` is k6's; `words` are in the error, or are the body of a response.
    `alive` says that the connection is used again.
    """

    answer: Answer
    status: int
    code: int
    words: str
    when: When = "request"
    method: str = "GET"
    alive: bool = False


def failed(answer: Answer, code: int, words: str, when: When = "request", method: str = "GET") -> Behaviour:
    return Behaviour(answer, 0, code, words, when, method)


def answered(
    answer: Answer, body: str = "ok", *, status: int = 200, method: str = "GET", alive: bool = False
) -> Behaviour:
    return Behaviour(answer, status, 1000 + status if status >= 400 else 0, body, "request", method, alive)


def undecodable(answer: Answer) -> Behaviour:
    """The connection is in step all the same."""
    return Behaviour(answer, 0, 1701, "decompression failed", alive=True)


def misled(answer: Answer, code: int, words: str) -> Behaviour:
    """A redirect that ends in failure: it is not the fault of the connection that it came by."""
    return Behaviour(answer, 0, code, words, alive=True)


def head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1")


def slowly(data: bytes, seconds: float = 0.05) -> list[Step]:
    return [step for at in range(len(data)) for step in (data[at : at + 1], Pause(seconds))]


def repeated(data: bytes, times: int) -> list[Step]:
    return [data] * times


REFUSAL = response(b"too large", "Connection: close", status="413 Content Too Large")
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
CHUNKED = head("Transfer-Encoding: chunked")
KILOBYTE = b"x" * 1024
NO_ANSWER = "closed by the server before any response"
CUT = "closed by the server in the middle of the response"
MALFORMED = "malformed HTTP response"
TIMEOUT = "request timeout"
LARGE = "headers larger than 256 KiB"

BEHAVIOURS: dict[str, Behaviour] = {
    # --- connections
    "closes at once": failed([Pause(0.02), End.CLOSE], 1000, NO_ANSWER, "connect"),
    "resets at once": failed([End.RESET], 1220, "reset by the server", "connect"),
    "says nothing": failed([End.STALL], 1050, TIMEOUT, "connect"),
    "refuses before it is asked": Behaviour(
        [response(b"full", status="503 Service Unavailable"), End.CLOSE], 503, 1503, "full", "connect"
    ),
    "closes when asked": failed([End.CLOSE], 1000, NO_ANSWER),
    "resets when asked": failed([End.RESET], 1220, "reset by the server before any response"),
    "stalls when asked": failed([End.STALL], 1050, TIMEOUT),
    "half-closes when asked": failed([End.HALF_CLOSE], 1000, NO_ANSWER),
    "closes while it is written to": failed([End.CLOSE], 1220, "reset by the server", "head", "POST"),
    "answers and closes without a word": answered([response(b"ok"), End.CLOSE]),
    "answers and resets": answered([response(b"ok"), End.RESET]),
    "says close and stays": answered([response(b"ok", "Connection: close"), End.STALL]),
    "answers while it is written to": Behaviour(
        [REFUSAL, Pause(0.05), End.CLOSE],
        413,
        1413,
        "too large",
        "head",
        "POST",
    ),
    "answers twice": answered(response(b"ok") + response(b"wrong")),
    # --- heads
    "speaks another protocol": failed(b"220 mail.example.com ESMTP\r\n\r\n", 1000, MALFORMED),
    "speaks TLS": failed(b"\x15\x03\x01\x00\x02\x02\x0a", 1000, ""),
    "speaks HTTP/0.9": failed([b"<html>hello</html>", End.CLOSE], 1000, ""),
    "sends random bytes": failed([bytes(range(256)) * 8, End.CLOSE], 1000, ""),
    "sends blank lines for ever": failed([*repeated(b"\r\n" * 4096, 60), End.STALL], 1000, ""),
    "has no status": failed(b"HTTP/1.1\r\n\r\n", 1000, MALFORMED),
    "has a status that is no number": failed(b"HTTP/1.1 abc OK\r\n\r\n", 1000, MALFORMED),
    "has a status of two digits": failed(b"HTTP/1.1 99 Low\r\n\r\n", 1000, MALFORMED),
    "has a status of four digits": failed(b"HTTP/1.1 2000 High\r\n\r\n", 1000, MALFORMED),
    "has no reason": answered(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", alive=True),
    "has an unknown status": answered(response(b"ok", status="799 Odd"), status=799, alive=True),
    "cuts the status line": failed([b"HTTP/1.1 20", End.CLOSE], 1000, CUT),
    "cuts the head": failed([b"HTTP/1.1 200 OK\r\nContent-Le", End.RESET], 1220, "in the middle of the response"),
    "stalls in the head": failed([b"HTTP/1.1 200 OK\r\nContent-Le", End.STALL], 1050, TIMEOUT),
    "drips the head": failed(slowly(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200), 1050, TIMEOUT),
    "sends one byte at a time": answered(slowly(response(b"ok"), 0.001), alive=True),
    "has a head without end": failed(
        [b"HTTP/1.1 200 OK\r\n", *repeated(b"X-A: b\r\n" * 512, 100)], 1000, "larger than 256"
    ),
    "has a line without end": failed(
        [b"HTTP/1.1 200 OK\r\nX-A: ", *repeated(KILOBYTE * 4, 100)], 1000, "larger than 256"
    ),
    "ends lines with LF alone": answered(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", alive=True),
    "folds a header": answered(b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", alive=True),
    "has a header without colon": failed(head("nonsense", "Content-Length: 2") + b"ok", 1000, MALFORMED),
    "has a blank before the colon": failed(head("X-A : b", "Content-Length: 2") + b"ok", 1000, MALFORMED),
    "has a NUL in a header": failed(head("X-A: b\0c", "Content-Length: 2") + b"ok", 1000, MALFORMED),
    "has bytes in a header": answered(response(b"ok", "X-A: \xe4\xff"), alive=True),
    "has a cookie that is none": answered(response(b"ok", "Set-Cookie: =;;=;Domain=com;;", "Set-Cookie:"), alive=True),
    "has thousands of headers": answered(response(b"ok", *[f"X-{n}: {n}" for n in range(5000)]), alive=True),
    # --- lengths
    "has the length twice": answered(head("Content-Length: 2", "Content-Length: 2") + b"ok", alive=True),
    "has two lengths": failed(head("Content-Length: 2", "Content-Length: 3") + b"ok", 1000, MALFORMED),
    "has a negative length": failed(head("Content-Length: -2") + b"ok", 1000, MALFORMED),
    "has a length with a sign": failed(head("Content-Length: +2") + b"ok", 1000, MALFORMED),
    "has a hexadecimal length": failed(head("Content-Length: 0x2") + b"ok", 1000, MALFORMED),
    "has an empty length": failed([head("Content-Length: ") + b"ok", End.CLOSE], 1000, ""),
    "has an impossible length": failed([head("Content-Length: 1" + "0" * 40) + b"ok", End.CLOSE], 1000, ""),
    "has no length and closes": answered([head() + b"ok", End.CLOSE]),
    "has no length and resets": failed([head() + b"ok", End.RESET], 1220, "in the middle of the response"),
    "sends less than it says": failed([head("Content-Length: 9") + b"ok", End.CLOSE], 1000, CUT),
    "stalls in the body": failed([head("Content-Length: 9") + b"ok", End.STALL], 1050, TIMEOUT),
    "drips the body": failed([head("Content-Length: 200"), *slowly(b"x" * 200)], 1050, TIMEOUT),
    "sends more than it says": answered(head("Content-Length: 2") + b"ok and more"),
    "sends a body without end": failed([head(), *repeated(KILOBYTE * 64, 40), End.STALL], 1050, TIMEOUT),
    "sends a body with 204": answered(response(b"body", status="204 No Content"), "", status=204),
    "has a length with 304": answered(NOT_MODIFIED, "", status=304, alive=True),
    "sends a body to HEAD": answered(response(b"body"), "", method="HEAD"),
    # --- chunks
    "has a length and chunks": answered(
        head("Content-Length: 9", "Transfer-Encoding: chunked") + b"2\r\nok\r\n0\r\n\r\n"
    ),
    "has an unknown transfer coding": answered([head("Transfer-Encoding: foo") + b"ok", End.CLOSE]),
    "has a chunk whose size is no number": failed(CHUNKED + b"zz\r\nok\r\n0\r\n\r\n", 1000, MALFORMED),
    "has a chunk of negative size": failed(CHUNKED + b"-2\r\nok\r\n0\r\n\r\n", 1000, MALFORMED),
    "has a chunk of impossible size": failed(CHUNKED + b"f" * 40 + b"\r\nok\r\n0\r\n\r\n", 1000, MALFORMED),
    "has a chunk that is longer": failed(CHUNKED + b"2\r\nokok\r\n0\r\n\r\n", 1000, MALFORMED),
    "has a chunk without end": failed([CHUNKED + b"2;", *repeated(b"a=b;" * 1024, 100)], 1000, ""),
    "ends in a chunk": failed([CHUNKED + b"9\r\nok", End.CLOSE], 1000, CUT),
    "ends between chunks": failed([CHUNKED + b"2\r\nok\r\n", End.RESET], 1220, "in the middle"),
    "stalls before the last chunk": failed([CHUNKED + b"2\r\nok\r\n", End.STALL], 1050, TIMEOUT),
    "has trailers": answered(CHUNKED + b"2\r\nok\r\n0\r\nX-A: b\r\n\r\n", alive=True),
    "has trailers without end": failed([CHUNKED + b"0\r\n", *repeated(b"X-A: b\r\n" * 512, 100)], 1000, ""),
    # --- before the response
    "says continue first": answered(b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"ok"), alive=True),
    "gives hints first": answered(head().replace(b"200 OK", b"103 Early Hints") + response(b"ok"), alive=True),
    "says continue for ever": failed(repeated(b"HTTP/1.1 100 Continue\r\n\r\n" * 200, 100), 1000, "interim"),
    "wants to speak otherwise": failed(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", 1000, "status 101"),
    # --- codings
    "sends broken gzip": undecodable(response(b"not gzip", "Content-Encoding: gzip")),
    "cuts gzip": undecodable(response(gzip.compress(KILOBYTE * 9)[:-12], "Content-Encoding: gzip")),
    "sends broken deflate": undecodable(response(b"\0not", "Content-Encoding: deflate")),
    "sends broken brotli": undecodable(response(b"\xff\xff\xffnot", "Content-Encoding: br")),
    "sends broken zstd": undecodable(response(b"not zstd", "Content-Encoding: zstd")),
    "sends raw deflate": answered(response(zlib.compress(b"ok")[2:-4], "Content-Encoding: deflate"), alive=True),
    "has an unknown coding": answered(response(b"ok", "Content-Encoding: rot13"), alive=True),
    "says gzip of nothing": answered(response(b"", "Content-Encoding: gzip"), "", alive=True),
    # --- redirects
    "redirects in a circle": misled(redirect("/"), 1000, "too many redirects"),
    "redirects to no URL": misled(redirect("http://[::1/"), 1020, "invalid URL"),
    "redirects to another protocol": misled(redirect("file:///etc/passwd"), 1000, "unsupported protocol scheme"),
    "redirects nowhere": answered(redirect(""), "", status=302, alive=True),
    "redirects to who is not there": misled(redirect("http://127.0.0.1:1/"), 1212, "refused"),
}
