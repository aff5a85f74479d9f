"""The result as GitLab's load performance report: the three lines that its merge request widget compares.

The widget is older than k6's present summary: it reads the flat shape of `k6 run --summary-export`, and of that only
these keys. It subtracts two numbers, so times are in ms in every report. Where a run has no requests, its
operations take their place.
"""

from __future__ import annotations

import json

from ciload.result.document import RunResult


def load_performance_json(result: RunResult) -> str:
    """The report; a metric that measured nothing is left out, since the widget makes NaN of it."""
    metrics: dict[str, dict[str, float]] = {}
    waiting = result.duration if result.of_operations else result.metrics.get("http_req_waiting")
    requests, checks = result.counted, result.metrics.get("checks")
    if requests is not None and requests.rate is not None:
        metrics["http_reqs"] = {"count": requests.count or 0, "rate": requests.rate}
    if waiting is not None and (trend := waiting.trend) is not None and trend.count:
        metrics["http_req_waiting"] = {
            "avg": trend.avg, "min": trend.min, "med": trend.med, "max": trend.max, "p(90)": trend.p90,
            "p(95)": trend.p95,
        }  # fmt: skip
    if checks is not None and (total := (checks.passes or 0) + (checks.fails or 0)):
        passes = checks.passes or 0
        metrics["checks"] = {"passes": passes, "fails": checks.fails or 0, "value": passes / total}
    return json.dumps({"metrics": metrics}, indent=1) + "\n"
