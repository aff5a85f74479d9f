"""The result as OpenMetrics text, for GitLab's metrics report and for whatever collects such files.

GitLab compares values as text and shows each that differs: few of them, with three digits, or every merge request would
seem to have changed everything. No label comes from the script or the target.
"""

from __future__ import annotations

from collections.abc import Iterator

from ciload.reports.format import format_digits
from ciload.result.document import RunResult
from ciload.result.suite import Suite, Tested


def openmetrics_text(tested: Tested) -> str:
    """Gauges, and the mark that says that the file is whole. In a suite, the label `test` names a test's folder."""
    results = [("", tested)] if isinstance(tested, RunResult) else _labelled(tested)
    gauges: dict[str, list[str]] = {}
    for label, result in results:
        for name, unit, about, value in _figures(result):
            head = [f"# TYPE ciload_{name} gauge", f"# HELP ciload_{name} {about}"]
            head[1:1] = [f"# UNIT ciload_{name} {unit}"] if unit else []
            gauges.setdefault(name, head).append(f"ciload_{name}{label} {_digits(value)}")
    return "\n".join([*(line for lines in gauges.values() for line in lines), "# EOF"]) + "\n"


def _labelled(suite: Suite) -> list[tuple[str, RunResult]]:
    return [(f'{{test="{each.results}"}}', each.result) for each in suite.tests if each.result is not None]


def _figures(result: RunResult) -> Iterator[tuple[str, str, str, float]]:
    metrics = result.metrics
    yield "passed", "", "1 if the run passed", float(result.verdict.passed)
    if (requests := metrics.get("http_reqs")) is not None and requests.rate is not None:
        yield "requests_per_second", "", "Requests per second of load", requests.rate
    if (failed := metrics.get("http_req_failed")) is not None and failed.rate is not None:
        yield "failed_requests_ratio", "ratio", "Share of requests that failed", failed.rate
    if (duration := metrics.get("http_req_duration")) is not None and (trend := duration.trend) is not None:
        for name, ms in (("p50", trend.med), ("p95", trend.p95), ("p99", trend.p99)):
            yield f"request_duration_{name}_seconds", "seconds", f"{name} of the requests' duration", ms / 1e3
    if (checks := metrics.get("checks")) is not None and checks.rate is not None:
        yield "passed_checks_ratio", "ratio", "Share of checks that passed", checks.rate


def _digits(value: float) -> str:
    return format_digits(value, 3)
