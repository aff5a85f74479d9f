"""What was found, in a clause: by a threshold, a metric of the gate, or a whole comparison. The same in all reports."""

from __future__ import annotations

from ciload.reports.comparison import changes_of, label, short
from ciload.reports.format import format_against, format_move, spaced
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import ThresholdResult

LONGEST_METRIC = 70
LONGEST_ENDPOINT = 60
LONGEST_BRANCH = 40
WORSE = (GateVerdict.REGRESSION, GateVerdict.SUSPICIOUS)
# What becomes of all requests, and of an endpoint, when a metric gets worse, and when it gets better.
SLOWER = (("slower", "slower"), ("faster", "faster"))
OTHER_THAN_TIMES = {
    "failed requests": (("more requests fail", "fails more often"), ("fewer requests fail", "fails less often")),
    "failed checks": (("more checks fail", "fails more checks"), ("fewer checks fail", "fails fewer checks")),
    "requests/s": (("fewer requests per second",) * 2, ("more requests per second",) * 2),
    "CPU per request": (("more CPU per request",) * 2, ("less CPU per request",) * 2),
}
# The lead of a title: what a user notices first.
LEADS = (
    "failed requests", "failed checks", "p95", "p50", "mean", "median endpoint p50", "p99", "requests/s",
    "CPU per request",
)  # fmt: skip


def threshold_found(threshold: ThresholdResult) -> str:
    """`p(95) of http_req_duration is 168 ms, limit 100 ms`."""
    what = f"{threshold.aggregation} of {short(threshold.metric, LONGEST_METRIC)}"
    window = "" if threshold.window_s is None else f" over {threshold.window_s:g} s"
    if threshold.value is None:
        return f"no data for {what}{window}"
    return f"{what}{window} is {measured(threshold)}, {limit(threshold)}"


def measured(threshold: ThresholdResult) -> str:
    """The value, as exact as it takes to be told from the limit."""
    if threshold.value is None:
        return "no data"
    return spaced(format_against(threshold.value, threshold.operator, threshold.limit, threshold.unit))


def limit(threshold: ThresholdResult) -> str:
    """What a threshold asks for: `limit 100 ms`, `at least 0.99`."""
    asked = {"<": "limit", "<=": "limit", ">": "more than", ">=": "at least", "!=": "anything but"}
    return f"{asked.get(threshold.operator, 'exactly')} {limit_value(threshold)}"


def limit_value(threshold: ThresholdResult) -> str:
    """The limit alone, exactly."""
    return spaced(format_against(threshold.limit, "==", threshold.limit, threshold.unit))


def leading(metrics: list[GatedMetric], verdict: GateVerdict) -> GatedMetric | None:
    """The metric that stands for all of a verdict: of all requests, else of the endpoint that moved most."""
    found = [each for each in metrics if each.verdict is verdict]
    return min(found, key=_lead, default=None)


def _lead(metric: GatedMetric) -> tuple[bool, int, float]:
    moved = -abs(metric.change or 0.0)
    return (True, 0, moved) if metric.endpoint else (False, LEADS.index(metric.metric), moved)


def metric_found(metric: GatedMetric) -> str:
    """`slower, p95 30 → 59 ms (+96%)`, `GET /users fails more often, 0.1% → 5.2%`."""
    words = OTHER_THAN_TIMES.get(metric.metric, SLOWER)[metric.verdict not in WORSE]
    found = f"{label(metric, LONGEST_ENDPOINT)} {words[1]}" if metric.endpoint else words[0]
    if metric.old is None or metric.new is None:
        return found
    # Of shares both values are enough, and how many times as many fail is often infinite.
    change = "" if metric.unit == "share" or metric.change is None else f" ({changes_of(metric, metric.change)[0]})"
    name = "" if metric.metric in OTHER_THAN_TIMES else f"{metric.metric} "
    return f"{found}, {name}{format_move(metric.old, metric.new, metric.unit)}{change}"


def old_name(comparison: Comparison) -> str:
    """What was compared with: the branch that all the runs are from, else what it is."""
    if comparison.gate == "side by side":
        return "the old target"
    branches = {each.branch or "" for each in comparison.runs}
    branch = branches.pop() if len(branches) == 1 else ""
    return short(branch, LONGEST_BRANCH) or "the baseline"


def comparison_found(comparison: Comparison) -> str:
    """What a comparison came to: how much worse or better, or why nobody knows."""
    verdict, old = comparison.verdict, old_name(comparison)
    lead = leading(comparison.metrics, verdict)
    match verdict:
        case GateVerdict.REGRESSION | GateVerdict.IMPROVED:
            words = "slower" if verdict is GateVerdict.REGRESSION else "faster"
            return metric_found(lead) if lead is not None else f"{words} than {old}"
        case GateVerdict.SUSPICIOUS:
            return f"maybe {metric_found(lead)}" if lead is not None else f"maybe slower than {old}"
        case GateVerdict.OK:
            return f"no slower than {old} (within {round(comparison.tolerance * 100, 2):g}%)"
        case GateVerdict.UNSUSPICIOUS:
            return f"no slower than {old}{_seen(comparison)}"
        case GateVerdict.MISSING:
            return "nothing to compare with" + (" yet" if comparison.gate == "history" else "")
    if comparison.runs_needed is not None:
        return f"too little history to compare ({len(comparison.runs)} of {comparison.runs_needed} runs)"
    return f"cannot be compared with {old}"


def _seen(comparison: Comparison) -> str:
    """The smallest change that would have been found, of the first metric that knows it."""
    first = next((each for each in comparison.deciding if each.detectable is not None), None)
    return f" (could have seen {changes_of(first, first.detectable)[0]})" if first is not None else ""
