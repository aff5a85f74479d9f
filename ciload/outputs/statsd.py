"""Sums and percentiles to a StatsD daemon, once a second, with tags as Datadog has them."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator

from ciload.metrics.series import Tags
from ciload.metrics.sinks import CounterSink, GaugeSink, RateSink, Sink
from ciload.metrics.snapshot import Snapshot
from ciload.outputs.output import OutputFailedError, Second

PREFIX = "ciload."
LONGEST_DATAGRAM = 1_400  # bytes that an Ethernet frame carries
NOT_IN_NAMES = re.compile(r"[:|@#,\s]+")
PERCENTILES = (50, 90, 95, 99)


class StatsD:
    """The output `statsd`. A datagram that is lost is lost: nothing waits for anybody."""

    def __init__(self, address: str, mask: Callable[[str], str]) -> None:
        """
        Args:
            address: HOST:PORT.
            mask: hides secrets in names and values of tags.

        Raises:
            OutputFailedError: the host is not known.
        """
        self.problem = ""
        self._mask = mask
        host, _, port = address.rpartition(":")
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.setblocking(False)
            self._socket.connect(where)
        except OSError as error:
            raise OutputFailedError(f"statsd={address}: {error.strerror or error}") from None
        self._name = f"statsd={address}"

    def take(self, second: Second) -> None:
        datagram = b""
        for line in self._lines(second.measured):
            if datagram and len(datagram) + len(line) > LONGEST_DATAGRAM:
                self._send(datagram)
                datagram = b""
            datagram += line
        if datagram:
            self._send(datagram)

    def _lines(self, measured: Snapshot) -> Iterator[bytes]:
        for name, by_tags in measured.series.items():
            for tags, sink in by_tags.items():
                end = self._tags(tags)
                for part, value, kind in _figures(sink):
                    yield f"{PREFIX}{_plain(name)}{part}:{value:.10g}|{kind}{end}\n".encode(errors="replace")

    def _tags(self, tags: Tags) -> str:
        shown = ",".join(f"{_plain(name)}:{_plain(self._mask(value))}" for name, value in tags)
        return f"|#{shown}" if shown else ""

    def _send(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except OSError as error:  # nobody listens, or there is no room: the next second may do better
            self.problem = f"{self._name}: {error.strerror or error}"

    def close(self) -> None:
        self._socket.close()


def _figures(sink: Sink) -> Iterator[tuple[str, float, str]]:
    """What of a sink is sent: the end of its name, the value, and StatsD's kind."""
    if isinstance(sink, CounterSink):
        yield "", sink.total, "c"
    elif isinstance(sink, GaugeSink):
        yield "", sink.last, "g"
    elif isinstance(sink, RateSink):
        yield ".true", sink.passes, "c"
        yield ".total", sink.total, "c"
    elif not sink.empty:
        yield ".count", sink.count, "c"
        for percent, value in zip(PERCENTILES, sink.percentiles(PERCENTILES), strict=True):
            yield f".p{percent}", value, "g"
        yield ".max", sink.largest, "g"


def _plain(text: str) -> str:
    return NOT_IN_NAMES.sub("_", text)
