"""Metrics to an OpenTelemetry collector, over HTTP: sums, gauges and exponential histograms, every ten seconds.

The names are k6's. What is sent is what came since the last time (delta temporality). A thread makes and sends it, so
that a collector that is slow costs the load nothing.

Source: OpenTelemetry Metrics Data Model, Exponential Histogram; https://opentelemetry.io/docs/specs/otel/metrics/data-model/
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ciload.metrics.metric import Metric
from ciload.metrics.series import Tags
from ciload.metrics.sinks import CounterSink, GaugeSink, RateSink, Sink, TrendSink
from ciload.metrics.snapshot import Snapshot
from ciload.outputs.output import CLOSES_S, OutputFailedError, Second
from ciload.secrets import without_secrets
from ciload.version import __version__

EVERY_S = 10.0
SEND_S = 5.0  # what the collector gets to answer
MOST_BUCKETS = 160  # the data model's own default
FINEST_SCALE = 8  # buckets of 0.3%, about what is known of a value
UNITS = {"ms": "ms", "bytes": "By"}
MISSING = "opentelemetry-exporter-otlp-proto-http is not installed: pip install 'ciload[otel]'"


class OTLP:
    """The output `otlp`."""

    def __init__(self, url: str, about: Mapping[str, str], mask: Callable[[str], str]) -> None:
        """
        Args:
            url: of the collector; without a path, /v1/metrics is asked. Headers come from OTEL_EXPORTER_OTLP_HEADERS.
            about: attributes of the resource.
            mask: hides secrets in attributes.

        Raises:
            OutputFailedError: the exporter is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        except ImportError:
            raise OutputFailedError(f"otlp: {MISSING}") from None
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # what fails is told once, by us
        logging.getLogger("opentelemetry").propagate = False
        endpoint = url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1/metrics"
        self._exporter = OTLPMetricExporter(endpoint=endpoint, timeout=SEND_S)
        self._about = {name: mask(value) for name, value in about.items() if value}
        self._mask = mask
        self._name = f"otlp={without_secrets(url)}"
        self.problem = ""
        self._collected = Snapshot({})
        self._from = self._until = 0.0
        self._made = self._lost = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ciload-otlp", daemon=True)
        self._thread.start()

    def take(self, second: Second) -> None:
        with self._changed:
            self._collected.merge(second.measured)
            self._from = self._from or second.at - 1.0
            self._until = second.at

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSES_S)
        if self._thread.is_alive():
            self.problem = f"{self._name}: given up {CLOSES_S:.0f} s after the load"
        elif self._lost and not self.problem:
            self.problem = f"{self._name}: {self._lost} of {self._made} reports could not be sent"

    def _run(self) -> None:
        """The thread's."""
        while True:
            with self._changed:
                closing = self._closing or self._changed.wait_for(lambda: self._closing, EVERY_S)
                collected, self._collected = self._collected, Snapshot({})
                begin, self._from, end = self._from, self._until, self._until
            if collected.series:
                self._send(collected, begin, end)
            if closing:
                return

    def _send(self, snapshot: Snapshot, begin: float, end: float) -> None:
        from opentelemetry.sdk.metrics.export import MetricExportResult

        self._made += 1
        try:
            sent = self._exporter.export(metrics_data(snapshot, self._about, begin, end, self._mask), SEND_S * 1e3)
        except Exception as error:  # noqa: BLE001  # whatever the exporter makes of an answer must not end the thread
            self.problem = f"{self._name}: {type(error).__name__}"
            return
        if sent is not MetricExportResult.SUCCESS:
            self._lost += 1


def metrics_data(
    snapshot: Snapshot, about: Mapping[str, str], begin: float, end: float, mask: Callable[[str], str]
) -> Any:
    """A snapshot as OpenTelemetry's `MetricsData`; `begin` and `end` are seconds since the epoch."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    times: dict[str, Any] = {"start_time_unix_nano": int(begin * 1e9), "time_unix_nano": int(end * 1e9)}
    metrics = [
        _metric(snapshot.metrics[name], by_tags, times, mask)
        for name, by_tags in snapshot.series.items()
        if by_tags and name in snapshot.metrics
    ]
    scope = ScopeMetrics(InstrumentationScope("ciload", __version__), metrics, "")
    return MetricsData([ResourceMetrics(Resource(dict(about)), [scope], "")])


def _metric(metric: Metric, by_tags: Mapping[Tags, Sink], times: Mapping[str, Any], mask: Callable[[str], str]) -> Any:
    from opentelemetry.sdk.metrics.export import AggregationTemporality, ExponentialHistogram, Gauge, Sum
    from opentelemetry.sdk.metrics.export import Metric as OTelMetric

    points = [
        point
        for tags, sink in by_tags.items()
        for point in _points(sink, {mask(name): mask(value) for name, value in tags}, times)
    ]
    sink = next(iter(by_tags.values()))
    data: Any
    if isinstance(sink, GaugeSink):
        data = Gauge(points)
    elif isinstance(sink, TrendSink):
        data = ExponentialHistogram(points, AggregationTemporality.DELTA)
    else:
        data = Sum(points, AggregationTemporality.DELTA, is_monotonic=isinstance(sink, RateSink))
    return OTelMetric(metric.name, "", UNITS.get(metric.unit, metric.unit), data)


def _points(sink: Sink, attributes: Mapping[str, str], times: Mapping[str, Any]) -> Iterator[Any]:
    from opentelemetry.sdk.metrics.export import NumberDataPoint

    if isinstance(sink, CounterSink):
        yield NumberDataPoint(attributes, value=float(sink.total), **times)
    elif isinstance(sink, GaugeSink):
        yield NumberDataPoint(attributes, value=float(sink.last), **times)
    elif isinstance(sink, RateSink):  # as k6 does it
        yield NumberDataPoint({**attributes, "condition": "nonzero"}, value=sink.passes, **times)
        yield NumberDataPoint({**attributes, "condition": "zero"}, value=sink.total - sink.passes, **times)
    elif not sink.empty:
        yield _histogram(sink, attributes, times)


def _histogram(sink: TrendSink, attributes: Mapping[str, str], times: Mapping[str, Any]) -> Any:
    from opentelemetry.sdk.metrics._internal.point import Buckets
    from opentelemetry.sdk.metrics.export import ExponentialHistogramDataPoint

    values, counts = sink.counted()
    positive, negative = values > 0, values < 0
    scale = min(_scale(values[positive]), _scale(-values[negative]))
    return ExponentialHistogramDataPoint(
        attributes, count=sink.count, sum=sink.sum, scale=scale, zero_count=int(counts[values == 0].sum()),
        positive=Buckets(*_buckets(values[positive], counts[positive], scale)),
        negative=Buckets(*_buckets(-values[negative], counts[negative], scale)),
        flags=0, min=sink.smallest, max=sink.largest, **times,
    )  # fmt: skip


def _scale(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> int:
    """The finest one at which these positive values have no more than MOST_BUCKETS buckets between them."""
    if not len(values):
        return FINEST_SCALE
    octaves = float(np.log2(values.max() / values.min()))
    if octaves == 0:
        return FINEST_SCALE
    return min(FINEST_SCALE, math.floor(math.log2((MOST_BUCKETS - 2) / octaves)))


def _buckets(
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
    counts: np.ndarray[tuple[int], np.dtype[np.int64]],
    scale: int,
) -> tuple[int, list[int]]:
    """Offset and counts: bucket i has values above 2^(i / 2^scale) up to 2^((i + 1) / 2^scale)."""
    if not len(values):
        return 0, []
    indices = np.ceil(np.log2(values) * 2.0**scale).astype(np.int64) - 1
    offset = int(indices.min())
    return offset, np.bincount(indices - offset, weights=counts).astype(np.int64).tolist()
