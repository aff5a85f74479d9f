"""Where samples land: one series per tag combination, found by one dict lookup and filled by plain appends."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ciload.metrics.metric import BUILTIN
from ciload.metrics.sinks import CounterSink, RateSink, Sink, TrendSink, new_sink

Tags = tuple[tuple[str, str], ...]

# Phases that are 0 for every request on a kept-alive connection: only their non-zero values are appended.
SPARSE = ("blocked", "looking_up", "connecting", "tls_handshaking")
DENSE = ("sending", "waiting", "receiving")


class FoldedRequests(NamedTuple):
    """What one fold moved: requests finished since the last one, and the durations of those that were sent."""

    requests: int
    durations_ms: npt.NDArray[np.float64]


class HttpSeries:
    """Every built-in HTTP metric of one tag combination. Times wait in seconds, as the clock gives them.

    The status is a tag, so whether the requests of a series failed is one fact about the series, not a sample.
    """

    __slots__ = (*SPARSE, *DENSE, "bytes_received", "bytes_sent", "error", "failed", "sinks", "tags", "unsent")

    def __init__(self, tags: Tags, failed: bool, error: str) -> None:
        self.tags = tags
        self.failed = failed
        self.error = error
        self.unsent = 0  # requests that never reached a connection: counted as failed, without times
        self.bytes_sent = 0
        self.bytes_received = 0
        self.sinks: dict[str, Sink] = {}
        self._renew()

    def _renew(self) -> None:
        self.sending, self.waiting, self.receiving = array("d"), array("d"), array("d")
        self.blocked, self.looking_up = array("d"), array("d")
        self.connecting, self.tls_handshaking = array("d"), array("d")

    def add_dial(self, seconds: Iterable[float]) -> None:
        """What opening the connection cost, in the order of SPARSE."""
        for phase, value in zip(SPARSE, seconds, strict=True):
            getattr(self, phase).append(value)

    def fold(self) -> FoldedRequests:
        """Move what waits into the sinks. Answers what moved, for the timeline."""
        sent = len(self.waiting)
        requests = sent + self.unsent
        if requests == 0:
            return FoldedRequests(0, np.zeros(0))
        self._count(requests)
        phases = {phase: np.frombuffer(getattr(self, phase)) * 1e3 for phase in SPARSE + DENSE}
        durations = phases["sending"] + phases["waiting"] + phases["receiving"]
        self._trend("duration").add_many(durations)
        for phase, values in phases.items():
            self._trend(phase).add_many(values, zeros=max(0, sent - len(values)))
        self._renew()
        return FoldedRequests(requests, durations)

    def _count(self, requests: int) -> None:
        for name, amount in (
            ("http_reqs", requests),
            ("data_sent", self.bytes_sent),
            ("data_received", self.bytes_received),
        ):
            counter = self._sink(name)
            assert isinstance(counter, CounterSink)
            counter.total += amount
        rate = self._sink("http_req_failed")
        assert isinstance(rate, RateSink)
        rate.merge(RateSink(requests if self.failed else 0, requests))
        self.unsent = self.bytes_sent = self.bytes_received = 0

    def _trend(self, phase: str) -> TrendSink:
        sink = self._sink(f"http_req_{phase}")
        assert isinstance(sink, TrendSink)
        return sink

    def _sink(self, name: str) -> Sink:
        sink = self.sinks.get(name)
        if sink is None:
            metric = BUILTIN[name]
            sink = self.sinks[name] = new_sink(metric.kind, metric.unit)
        return sink
