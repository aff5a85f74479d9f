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
    yield "passed", "", "1 if the run passed", float(result.verdict.passed)
    noun = "operation" if result.of_operations else "request"
    if (counted := result.counted) is not None and counted.rate is not None:
        yield f"{noun}s_per_second", "", f"{noun.capitalize()}s per second of load", counted.rate
    if (failed := result.failed) is not None and failed.rate is not None:
        yield f"failed_{noun}s_ratio", "ratio", f"Share of {noun}s that failed", failed.rate
    if (duration := result.duration) is not None and (trend := duration.trend) is not None:
        for name, ms in (("p50", trend.med), ("p95", trend.p95), ("p99", trend.p99)):
            yield f"{noun}_duration_{name}_seconds", "seconds", f"{name} of the {noun}s' duration", ms / 1e3
    if (checks := result.metrics.get("checks")) is not None and checks.rate is not None:
        yield "passed_checks_ratio", "ratio", "Share of checks that passed", checks.rate


def _digits(value: float) -> str:
    return format_digits(value, 3)
