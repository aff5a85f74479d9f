"""What the report shows of a failed request: the request line, the status, and the beginning of the body."""

from __future__ import annotations

import re

from ciload.http.request import Prepared
from ciload.http.response import Response
from ciload.metrics.errors_tally import AnswerSample
from ciload.metrics.registry import Registry
from ciload.metrics.series import HttpSeries
from ciload.redaction import redacted, redacted_url, secret_values
from ciload.secrets import Masker, credentials_in
from ciload.text import one_line

LONGEST_BODY = 2_048  # bytes
LONGEST_LINE = 300
TRACE_ID = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-")
TRACEPARENT = b"traceparent: "  # the header of W3C's trace context, as it is written behind a prepared head


def sample_if_first(
    registry: Registry, series: HttpSeries, response: Response, prepared: Prepared | None = None, raw: bytes = b""
) -> None:
    """Keep what came of a request that has failed, if it is the first of its kind."""
    if registry.wants_sample_of(series):
        registry.keep_sample(series, sample_of(response, prepared, raw))


def sample_of(response: Response, prepared: Prepared | None = None, raw: bytes = b"") -> AnswerSample:
    """One exchange without secrets.

    Args:
        response: what came, or what came instead.
        prepared: the request, as far as it is known, of which the target may repeat secrets.
        raw: its bytes.
    """
    mask = mask_for(response, raw)
    return AnswerSample(
        one_line(f"{response.method} {mask(redacted(redacted_url(response.url)))}", LONGEST_LINE),
        response.status_code,
        mask(body_shown(response.content, response, LONGEST_BODY)),
        trace_of(prepared, raw) if prepared is not None else response.trace,
    )


def mask_for(response: Response, raw: bytes) -> Masker:
    """Hides what the request and the head of its answer hold to identify somebody, wherever the target repeats it."""
    headers = [*_fields(raw), *(("set-cookie", line) for line in response.head.set_cookies)]
    return Masker([*secret_values(headers), *credentials_in(response.url)])


def body_shown(content: bytes, response: Response, most: int) -> str:
    """The beginning of a body as text, without what looks like a secret; an ellipsis stands for the rest."""
    if not content:
        return ""
    read = content[: 2 * most]  # what is hidden may be long
    try:
        text = read.decode(response.encoding, errors="replace")
    except (LookupError, UnicodeError):  # a charset nobody knows, or one that is none for texts
        text = read.decode(errors="replace")
    if _is_binary(text):
        kind = one_line(response.headers.get("content-type", "") or "no text", 80)
        return f"({len(content):,} bytes: {kind})"
    shown = redacted(text)
    kept = shown.encode(errors="replace")[:most].decode(errors="ignore")
    whole = len(kept) == len(shown) and len(read) == len(content) and not response.truncated
    return kept if whole else f"{kept}…"


def _is_binary(text: str) -> bool:
    odd = sum(each == "\ufffd" or (each < " " and each not in "\t\r\n") for each in text)
    return "\0" in text or odd * 10 > len(text)


def trace_of(prepared: Prepared, raw: bytes) -> str:
    """The id of the trace that a request was sent with: ours, or the script's own; "" for none."""
    begin = len(prepared.head)
    if raw.startswith(TRACEPARENT, begin):
        begin += len(TRACEPARENT)
        return _trace_id(raw[begin : begin + LONGEST_LINE].decode("latin-1"))
    return next((_trace_id(str(value)) for name, value in prepared.headers if name.lower() == "traceparent"), "")


def _trace_id(traceparent: str) -> str:
    match = TRACE_ID.match(traceparent)
    return match[1] if match else ""


def _fields(raw: bytes) -> list[tuple[str, str]]:
    """The header lines of a request."""
    head = raw.partition(b"\r\n\r\n")[0].decode("latin-1")
    return [(name, value) for name, colon, value in (line.partition(": ") for line in head.split("\r\n")[1:]) if colon]
