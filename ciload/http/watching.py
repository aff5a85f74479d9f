"""Seeing what goes over the wire: `--trace` gives each request an id, `--http-debug` shows requests and answers.

Both stand around `exchange`, and only in a run that asks for them: in any other, nothing looks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Protocol

from ciload.http.answer_samples import TRACEPARENT, body_shown, mask_for, trace_of
from ciload.http.request import Prepared
from ciload.http.response import Response
from ciload.http.streaming import StreamedResponse
from ciload.redaction import redacted, redacted_header, redacted_url
from ciload.text import several_lines

if TYPE_CHECKING:
    from ciload.http.client import Client
    from ciload.http.exchange import Transfer
    from ciload.http.expectations import Expectation
    from ciload.http.session import Session
    from ciload.metrics.registry import Labels

MOST_SHOWN = 100  # requests
MOST_SHOWN_BYTES = 256 * 1024
LONGEST_BODY = 4_096  # bytes of one that are shown
HEAD_END = b"\r\n\r\n"


class Exchange(Protocol):
    """One hop, as `exchange` does it."""

    async def __call__(
        self,
        session: Session,
        client: Client,
        prepared: Prepared,
        raw: bytes,
        deadline: float,
        name: str | None,
        labels: Labels,
        special: Transfer | None = None,
        expect: Expectation | None = None,
    ) -> Response: ...


Watch = Callable[[Exchange], Exchange]


def watch_for(*, trace: bool, show: WireLog | None) -> Watch | None:
    """What a run asks for, None for nothing."""
    if not trace and show is None:
        return None

    def watch(exchange: Exchange) -> Exchange:
        watched = exchange if show is None else shown(exchange, show)
        return traced(watched) if trace else watched

    return watch


# --- trace context


def traced(exchange: Exchange) -> Exchange:
    """Each hop with a `traceparent` of its own (W3C Trace Context), unless the script gives it one."""
    random = Random()  # noqa: S311  # of our own: a script may seed the one that all share

    async def send(
        session: Session,
        client: Client,
        prepared: Prepared,
        raw: bytes,
        deadline: float,
        name: str | None,
        labels: Labels,
        special: Transfer | None = None,
        expect: Expectation | None = None,
    ) -> Response:
        if not any(header.lower() == "traceparent" for header, _ in prepared.headers):
            # Neither id may be 0; the flag says that it is sampled.
            parent = f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-01"
            begin = len(prepared.head)
            raw = b"%b%b%b\r\n%b" % (prepared.head, TRACEPARENT, parent.encode(), raw[begin:])
        response = await exchange(session, client, prepared, raw, deadline, name, labels, special, expect)
        response.traced = trace = trace_of(prepared, raw)
        if not isinstance(response, StreamedResponse) and any(response.phases):  # what was sent, and is recorded by now
            key = (name or prepared.name, prepared.method, response.status_code, response.error, labels)
            series = session.scope.http.get(key)
            if series is not None and trace:
                series.add_trace(trace)
        return response

    return send


# --- what is sent and what comes


class WireLog:
    """Shows requests and answers without secrets, each as it happens; says when it has shown enough."""

    def __init__(self, write: Callable[[str], None], *, full: bool) -> None:
        self._write = write
        self._full = full
        self._number = 0
        self._left = MOST_SHOWN_BYTES

    def request(self, prepared: Prepared, raw: bytes, *, in_pieces: bool) -> int:
        """Show it; answers its number, by which its answer is known, 0 when no more is shown."""
        if self._left <= 0 or self._number == MOST_SHOWN:
            return 0
        self._number += 1
        head, _, body = raw.partition(HEAD_END)
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        target, _, version = rest.rpartition(" ")
        lines = [f"{method} {redacted(redacted_url(target))} {version}"]
        lines += [_field(*field.split(": ", 1)) for field in fields if ": " in field]
        if self._full and (body or in_pieces):
            text = body[: 4 * LONGEST_BODY].decode(errors="replace")
            lines += ["", "(a body that is sent piece by piece)" if in_pieces else _beginning(redacted(text))]
        self._say(self._number, ">", f"{prepared.target.origin.key}", lines)
        return self._number

    def answer(self, number: int, response: Response, raw: bytes) -> None:
        if not number:
            return
        if not response.status_code:
            self._say(number, "<", f"no answer: {response.error}", [])
            return
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.head.pairs]
        lines = [_field(name, value) for name, value in fields]
        if self._full and response.content:
            lines += ["", mask_for(response, raw)(body_shown(response.content, response, LONGEST_BODY))]
        status = f"{response.status_code} {response.reason_phrase}".strip()
        self._say(number, "<", f"{status} after {sum(response.phases) * 1e3:.1f} ms", lines)

    def gone(self, number: int) -> None:
        if number:
            self._say(number, "<", "no answer: nobody waits for it any more", [])

    def _say(self, number: int, mark: str, what: str, lines: list[str]) -> None:
        if self._left <= 0:
            return
        shown = several_lines("\n".join([f"#{number} {what}", *lines]))
        text = "".join(f"{mark} {line}".rstrip() + "\n" for line in shown.split("\n"))
        self._left -= len(text)
        over = self._left <= 0 or (mark == "<" and number == MOST_SHOWN)
        if over:
            self._left = 0
            text += f"http debug ends here, after {self._number} requests; the load goes on\n"
        self._write(text)


def _field(name: str, value: str) -> str:
    return f"{name}: {redacted_header(name, value)}"


def _beginning(text: str) -> str:
    return text if len(text) <= LONGEST_BODY else text[:LONGEST_BODY] + "…"


def shown(exchange: Exchange, log: WireLog) -> Exchange:
    """Each hop, and what came of it, in the log."""

    async def send(
        session: Session,
        client: Client,
        prepared: Prepared,
        raw: bytes,
        deadline: float,
        name: str | None,
        labels: Labels,
        special: Transfer | None = None,
        expect: Expectation | None = None,
    ) -> Response:
        number = log.request(prepared, raw, in_pieces=special is not None and special.uploads)
        try:
            response = await exchange(session, client, prepared, raw, deadline, name, labels, special, expect)
        except BaseException:
            log.gone(number)
            raise
        log.answer(number, response, raw)
        return response

    return send
