"""What can be measured: a metric's name, kind and unit, and the ones every run has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Better = Literal["lower", "higher"]


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    RATE = "rate"
    TREND = "trend"


@dataclass(frozen=True, slots=True)
class Metric:
    """A named quantity.

    Attributes:
        unit: for people and reports: "ms", "bytes" or "".
        better: in which direction, if the regression gate is to judge it; None: it is not.
    """

    name: str
    kind: Kind
    unit: str = ""
    better: Better | None = None


# What the gate can judge of these when it is asked to, and in which direction.
GATEABLE: dict[str, Better] = {
    **dict.fromkeys(("http_reqs", "iterations", "ops"), "higher"),
    **dict.fromkeys(
        (
            "http_req_response_time", "http_req_blocked", "http_req_looking_up", "http_req_connecting",
            "http_req_tls_handshaking", "http_req_sending", "http_req_waiting", "http_req_receiving",
            "data_sent", "data_received", "group_duration", "iteration_duration", "iteration_start_delay",
            "dropped_iterations", "late_iterations",
        ),
        "lower",
    ),
}  # fmt: skip

# Names and meanings are k6's, so that thresholds and dashboards carry over. Differences, each on purpose:
# http_req_duration has no 0 ms samples for requests that were never sent, data_sent and data_received count
# HTTP bytes before TLS, and `iterations` leaves out iterations that raised (script_errors counts those).
# Not k6's: http_req_response_time is from when a request was due (in the open model; else, when the script asked for
# it) to its last byte, connecting included; late_iterations started more than 50 ms after they were due; ops, op_failed
# and op_duration are of operations, which a script measures by name.
BUILTIN: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("http_reqs", Kind.COUNTER),
        Metric("http_req_failed", Kind.RATE),
        Metric("http_req_duration", Kind.TREND, "ms"),
        Metric("http_req_response_time", Kind.TREND, "ms"),
        Metric("http_req_blocked", Kind.TREND, "ms"),
        Metric("http_req_looking_up", Kind.TREND, "ms"),
        Metric("http_req_connecting", Kind.TREND, "ms"),
        Metric("http_req_tls_handshaking", Kind.TREND, "ms"),
        Metric("http_req_sending", Kind.TREND, "ms"),
        Metric("http_req_waiting", Kind.TREND, "ms"),
        Metric("http_req_receiving", Kind.TREND, "ms"),
        Metric("ops", Kind.COUNTER),
        Metric("op_failed", Kind.RATE),
        Metric("op_duration", Kind.TREND, "ms"),
        Metric("data_sent", Kind.COUNTER, "bytes"),
        Metric("data_received", Kind.COUNTER, "bytes"),
        Metric("checks", Kind.RATE),
        Metric("group_duration", Kind.TREND, "ms"),
        Metric("iterations", Kind.COUNTER),
        Metric("iteration_duration", Kind.TREND, "ms"),
        Metric("dropped_iterations", Kind.COUNTER),
        Metric("late_iterations", Kind.COUNTER),
        Metric("iteration_start_delay", Kind.TREND, "ms"),
        Metric("script_errors", Kind.COUNTER),
        Metric("vus", Kind.GAUGE),
        Metric("vus_max", Kind.GAUGE),
    )
}
