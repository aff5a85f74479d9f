"""Where samples land: one series per tag combination, found by one dict lookup and filled by plain appends."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ciload.metrics.errors_tally import AnswerSample
from ciload.metrics.metric import BUILTIN
from ciload.metrics.sinks import CounterSink, RateSink, Sink, TrendSink, new_sink

if TYPE_CHECKING:
    from ciload.metrics.slowest import Slowest

Tags = tuple[tuple[str, str], ...]

# Phases that are 0 for every request on a kept-alive connection: only their non-zero values are appended.
SPARSE = ("blocked", "looking_up", "connecting", "tls_handshaking")
DENSE = ("sending", "waiting", "receiving")
HTTP_METRICS = frozenset(name for name in BUILTIN if name.startswith(("http_", "data_")))  # what an HttpSeries feeds


class HttpSeries:
    """Every built-in HTTP metric of one tag combination. Times wait in seconds, as the clock gives them.

    The status is a tag, so whether the requests of a series failed is one fact about the series, not a sample.
    """

    __slots__ = (
        *SPARSE, *DENSE, "bytes_received", "bytes_sent", "error", "failed", "sample", "sampled", "sinks", "tags",
        "traced_at", "traces", "unsent", "waited", "waited_at",
    )  # fmt: skip

    def __init__(self, tags: Tags, failed: bool, error: str) -> None:
        self.tags = tags
        self.failed = failed
        self.error = error
        self.unsent = 0  # requests that never reached a connection: counted as failed, without times
        self.bytes_sent = 0
        self.bytes_received = 0
        self.sinks: dict[str, Sink] = {}
        self.sample: AnswerSample | None = None  # of a failed request, until somebody takes it
        self.sampled = False  # there is one, or was
        self._renew()

    def _renew(self) -> None:
        self.sending, self.waiting, self.receiving = array("d"), array("d"), array("d")
        self.blocked, self.looking_up = array("d"), array("d")
        self.connecting, self.tls_handshaking = array("d"), array("d")
        # Time between when a request was due and when it could be sent, for those that had any: to which of the
        # samples it belongs, and how long it was.
        self.waited_at, self.waited = array("q"), array("d")
        # Ids of traces, and to which of the samples they belong; of runs that send any.
        self.traced_at, self.traces = array("q"), list[str]()

    def add_wait(self, late: float, dial: Sequence[float]) -> None:
        """What came before the request that is recorded next could be sent.

        Args:
            late: seconds since it was due.
            dial: what opening the connection cost, in the order of SPARSE; zeros when there was one.
        """
        self.waited_at.append(len(self.waiting))
        self.waited.append(late + dial[0])
        if dial[0]:
            for phase, value in zip(SPARSE, dial, strict=True):
                getattr(self, phase).append(value)

    def add_trace(self, trace: str) -> None:
        """The id that was sent with the request that was recorded last."""
        self.traced_at.append(len(self.waiting) - 1)
        self.traces.append(trace)

    def fold(self, slowest: Slowest | None = None) -> None:
        """Move what waits into the sinks; `slowest` is shown how long each request took."""
        sent = len(self.waiting)
        requests = sent + self.unsent
        if requests == 0:
            return
        self._count(requests)
        phases = {phase: np.frombuffer(getattr(self, phase)) * 1e3 for phase in SPARSE + DENSE}
        durations = phases["sending"] + phases["waiting"] + phases["receiving"]
        if slowest is not None and sent:
            slowest.look(durations, self.tags, dict(zip(self.traced_at, self.traces, strict=True)))
        of_all = TrendSink()
        of_all.add_many(durations)
        self._trend("duration").merge(of_all)
        if self.waited:  # otherwise it is the same, and putting values into a histogram is what a fold costs
            of_all = TrendSink()
            of_all.add_many(self._since_due(durations))
        self._trend("response_time").merge(of_all)
        for phase, values in phases.items():
            self._trend(phase).add_many(values, zeros=max(0, sent - len(values)))
        self._renew()

    def _since_due(self, durations: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        times = durations.copy()
        times[np.frombuffer(self.waited_at, dtype=np.int64)] += np.frombuffer(self.waited) * 1e3
        return times

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
            sink = self.sinks[name] = new_sink(BUILTIN[name])
        return sink
