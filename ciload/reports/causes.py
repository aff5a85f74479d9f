"""Why: one sentence on what is behind the headline, as far as the result knows."""

from __future__ import annotations

from ciload.metrics.metric import Kind
from ciload.reports.comparison import label, phases
from ciload.reports.format import format_share, format_short
from ciload.reports.script_errors import OF_SCRIPT
from ciload.result.comparison import Comparison, Contribution, GatedMetric
from ciload.result.document import Endpoint, RunResult, ThresholdResult
from ciload.text import one_line, request_label

LONGEST_LABEL = 60
LONGEST_ERROR = 120
MOST, ALL = 0.5, 0.95  # parts of a whole that are called so
LEAST_SHARE = 0.01  # of all requests: a slow endpoint that is hardly asked is not what is behind a percentile
IN_PHASE = {
    "connecting": "connecting", "sending": "sending the request", "waiting": "waiting for the server",
    "receiving": "receiving the answer",
}  # fmt: skip


def cause_of_change(comparison: Comparison, lead: GatedMetric, result: RunResult) -> str:
    """What moved the mean and in which phase, or what requests and checks failed with."""
    if lead.metric == "failed requests":
        return _common_error(result)
    if lead.metric == "failed checks":
        return _worst_check(result)
    of_requests = bool(lead.method) or not lead.endpoint
    return _largest_part(comparison) if of_requests and lead.unit == "ms" and lead.metric != "CPU per request" else ""


def cause_of_threshold(threshold: ThresholdResult, result: RunResult) -> str:
    """What stands out among the endpoints, errors or checks that a threshold is about."""
    if threshold.value is None:
        return f"{_sentence(one_line(threshold.hint, 300))}" if threshold.hint else ""
    metric = threshold.metric.partition("{")[0]
    if metric in ("http_req_failed", "op_failed"):
        return _common_error(result)
    if metric == "checks":
        return _worst_check(result)
    return _slowest(threshold, result) if threshold.metric in ("http_req_duration", "op_duration") else ""


def cause_of_silence(result: RunResult) -> str:
    """What the requests met, where none or many got an answer."""
    return _common_error(result)


def _largest_part(comparison: Comparison) -> str:
    """`Most of it: GET /v3/report, +6.4 of +12.6 ms, all of it waiting for the server.`"""
    if not comparison.contributions:
        return ""
    first = comparison.contributions[0]
    total = sum(each.moved_ms for each in comparison.contributions)
    if comparison.mean_old is not None and comparison.mean_new is not None:
        total = comparison.mean_new - comparison.mean_old
    same = total * first.moved_ms > 0 and abs(first.moved_ms) <= abs(total)
    parts = [_signed(first.moved_ms), _signed(total)]
    parts[0] = parts[0].removesuffix(" ms") if parts[1].endswith(" ms") else parts[0]
    how_much = f"{' of '.join(parts)} in the mean" if same else _signed(first.moved_ms)
    share = first.moved_ms / total if same else 0.0
    part = "All of it" if share >= ALL else "Most of it" if share >= MOST else "The largest part"
    return f"{part}: {label(first, LONGEST_LABEL)}, {how_much}{_in_phase(first)}."


def _in_phase(contribution: Contribution) -> str:
    found = phases(contribution)
    if not found or not contribution.moved_ms:
        return ""
    name, ms = found[0]
    share = ms / contribution.moved_ms
    if share < MOST:
        return ""
    return f", {'all' if share >= ALL else 'most'} of it {IN_PHASE[name]}"


def _signed(ms: float) -> str:
    return ("+" if ms > 0 else "-" if ms < 0 else "") + format_short(abs(ms), "ms")


def _common_error(result: RunResult) -> str:
    rows = [each for each in result.errors if each.source != OF_SCRIPT]
    if not rows:
        return ""
    first = max(rows, key=lambda each: each.count)
    others = f", and {len(rows) - 1} other kinds of errors" if len(rows) > 1 else ""
    return _sentence(
        f"most often {one_line(first.source, LONGEST_LABEL)}: {one_line(first.message, LONGEST_ERROR)}, "
        f"{first.count:,} times{others}"
    )


def _worst_check(result: RunResult) -> str:
    worst = max(result.checks, key=lambda each: each.fails, default=None)
    if worst is None or not worst.fails:
        return ""
    count = worst.passes + worst.fails
    return f"Most often: {one_line(worst.name, LONGEST_LABEL)!r} failed {worst.fails:,} of {count:,} times."


def _slowest(threshold: ThresholdResult, result: RunResult) -> str:
    """The endpoint that is slowest by the number the threshold looks at."""
    part = {"p(90)": "p90", "p(95)": "p95", "p(99)": "p99", "avg": "avg", "med": "med", "max": "max"}
    name = part.get(threshold.aggregation)
    of_requests = threshold.metric == "http_req_duration"
    noun = "requests" if of_requests else "operations"
    endpoints = [each for each in result.endpoints if bool(each.method) == of_requests]
    requests = sum(each.requests for each in endpoints)
    known = [each for each in endpoints if each.duration and each.requests >= LEAST_SHARE * requests]
    if name is None or len(known) < 2:
        return ""

    def value(endpoint: Endpoint) -> float:
        return float(getattr(endpoint.duration, name))

    slowest = max(known, key=value)
    share = format_share(slowest.requests, requests)
    endpoint = one_line(request_label(slowest.method, slowest.name), LONGEST_LABEL)
    return f"Slowest: {endpoint}, {threshold.aggregation} {format_short(value(slowest), 'ms')}, {share} of the {noun}."


def failed_share(result: RunResult) -> str:
    """How many requests failed, "" when there were none."""
    failed = result.failed
    if failed is None or failed.kind is not Kind.RATE:
        return ""
    passes, fails = failed.passes or 0, failed.fails or 0  # a "pass" of this metric is a failed request
    return format_share(passes, passes + fails)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."
