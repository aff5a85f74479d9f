"""RunResult values for tests of reports: a small run that went well, and everything that can be different about it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ciload.errors import ExitCode
from ciload.metrics.metric import Kind
from ciload.result.comparison import Comparison, Contribution, GatedMetric, GateVerdict, RunReference
from ciload.result.document import (
    CI,
    AnswerSample,
    Check,
    Distribution,
    Endpoint,
    Environment,
    ErrorRow,
    Failure,
    Fingerprint,
    Generator,
    Git,
    Load,
    MetricResult,
    RunResult,
    ScenarioResult,
    SlowRequest,
    ThresholdOutcome,
    ThresholdResult,
    TimelineRow,
    Verdict,
)
from ciload.result.judgement import Evidence, judge

# What breaks out of markdown, HTML, Mermaid, XML or CI logs when it is let.
NASTY = (
    "|", "\\|", "`", "```", "</code>", "<script>alert(1)</script>", "</details>", "<!--", "-->", "]]>", "&lt;", "&#64;",
    "![x](http://evil.test/x.png)", "[x](javascript:x)", "https://evil.test", "www.evil.test", "a@evil.test", "@team",
    "**", "_", "~~", "#1", "\n", "\r\n", "\n\n## ", "\n- ", "\n| --- |", "\x00", "\x1b[31m", "\x85", "\u2028", "\u202e",
    "\ud800", "\ufffe", "$`x`$", ":tada:", "\\", "::error::", "[[ATTACHMENT|/etc/passwd]]", '"', "'", "é", "名", "🎉",
)  # fmt: skip
hostile = st.lists(st.sampled_from(NASTY) | st.text(max_size=8), max_size=6).map("".join)


def distribution(p95: float = 283.43, count: int = 1_000) -> Distribution:
    facts: dict[str, Any] = {
        "count": count, "avg": p95 / 2, "min": p95 / 10, "med": p95 / 2.5, "max": p95 * 2,
        "p90": p95 * 0.9, "p95": p95, "p99": p95 * 1.5,
    }  # fmt: skip
    return Distribution(**facts)


def endpoint(name: str = "/v3/users", **changes: Any) -> Endpoint:
    facts: dict[str, Any] = {
        "name": name, "method": "GET", "requests": 1_000, "rate": 16.666, "failed": 0, "statuses": {"200": 1_000},
        "duration": distribution(), "waiting_avg": 140.0, "bytes_received": 181_000,
    }  # fmt: skip
    return Endpoint(**facts | changes)


def threshold(
    value: float | None = 283.43,
    *,
    metric: str = "http_req_duration",
    operator: str = "<",
    limit: float = 500,
    passed: bool = True,
    where: str = "load.py:7",
    **changes: Any,
) -> ThresholdResult:
    outcome = ThresholdOutcome.NO_DATA if value is None else ThresholdOutcome.PASS if passed else ThresholdOutcome.FAIL
    return ThresholdResult(
        metric=metric, expression=f"p(95){operator}{limit:g}", aggregation="p(95)", operator=operator, limit=limit,
        unit="ms", value=value, outcome=outcome, where=where, **changes,
    )  # fmt: skip


def check(name: str = "status is 200", group: str = "", passes: int = 1_000, fails: int = 0) -> Check:
    return Check(name=name, group=group, passes=passes, fails=fails)


def error(message: str = "KeyError: 'name'", source: str = "script", detail: str = "", count: int = 3) -> ErrorRow:
    return ErrorRow(source=source, message=message, count=count, detail=detail)


def answer(request: str = "POST http://shop.test/v3/orders", status: int = 500, **changes: Any) -> AnswerSample:
    facts: dict[str, Any] = {"body": '{"error": "the database is down"}', "trace": ""}
    return AnswerSample(request=request, status=status, **facts | changes)


def slow_request(ms: float = 1_204.0, name: str = "/v3/report", **changes: Any) -> SlowRequest:
    facts: dict[str, Any] = {"method": "GET", "status": 200, "at_s": 41.003}
    return SlowRequest(duration=ms, name=name, **facts | changes)


def second(at_s: float, p95: float | None = 280.0, p50: float | None = 110.0, **changes: Any) -> TimelineRow:
    facts: dict[str, Any] = {
        "vus": 10, "iterations": int(at_s * 16), "requests_per_s": 16.0, "failed_per_s": 0.0, "bytes_per_s": 3_000.0,
    }  # fmt: skip
    return TimelineRow(at_s=at_s, p50=p50, p95=p95, **facts | changes)


def metrics(requests: int = 1_000, failed: int = 0) -> dict[str, MetricResult]:
    facts: dict[str, dict[str, Any]] = {
        "http_reqs": {"kind": Kind.COUNTER, "count": requests, "rate": requests / 60},
        "http_req_duration": {"kind": Kind.TREND, "unit": "ms", "trend": distribution(count=requests)},
        "http_req_failed": {"kind": Kind.RATE, "rate": failed / requests, "passes": failed, "fails": requests - failed},
    }
    return {name: MetricResult(**{"unit": ""} | values) for name, values in facts.items()}


def verdict(*failures: Failure, warnings: tuple[str, ...] = ()) -> Verdict:
    code = failures[0].code if failures else ExitCode.PASSED
    return Verdict(passed=not failures, exit_code=code, failures=list(failures), warnings=list(warnings))


def judged(thresholds: list[ThresholdResult], **changes: Any) -> Verdict:
    """The verdict that a real run with these thresholds gets."""
    facts: dict[str, Any] = {
        "stops": [], "script_errors": 0, "allow_script_errors": False, "marked_failed": [], "iterations": 1_000,
        "requests": 1_000, "answered": 1_000, "warnings": [],
    }  # fmt: skip
    return judge(Evidence(thresholds=thresholds, **facts | changes))


def gated(verdict: GateVerdict = GateVerdict.OK, change: float = 0.01, **changes: Any) -> GatedMetric:
    """The p95 of an endpoint, against twelve runs."""
    facts: dict[str, Any] = {
        "endpoint": "/v3/users", "method": "GET", "metric": "p95", "unit": "ms", "old": 200.0,
        "new": 200.0 * (1 + change), "change": change, "low": change - 0.04, "high": change + 0.04, "p_value": 0.4,
        "detectable": 0.12, "history": [*(200.0 + 3 * (at % 4) for at in range(12)), 200.0 * (1 + change)],
    }  # fmt: skip
    return GatedMetric(verdict=verdict, **facts | changes)


def contribution(endpoint: str = "/v3/users", moved_ms: float = 12.3, **changes: Any) -> Contribution:
    facts: dict[str, Any] = {
        "method": "GET", "connecting_ms": 0.0, "sending_ms": 0.0, "waiting_ms": moved_ms - 0.3, "receiving_ms": 0.3
    }  # fmt: skip
    return Contribution(endpoint=endpoint, moved_ms=moved_ms, **facts | changes)


def earlier_run(number: int = 0, **changes: Any) -> RunReference:
    facts: dict[str, Any] = {
        "run_id": f"run-{number}", "at": f"2026-11-{3 + number % 27:02}T01:02:03+00:00", "commit": f"{number:02x}" * 20
    }  # fmt: skip
    return RunReference(**facts | changes)


def comparison(verdict: GateVerdict = GateVerdict.OK, *metrics: GatedMetric, **changes: Any) -> Comparison:
    """A comparison with twelve earlier runs."""
    facts: dict[str, Any] = {
        "gate": "history", "against": ".ciload/baseline.json", "false_alarm": 0.01, "tolerance": 0.1,
        "runs": [earlier_run(number) for number in range(12)],
    }  # fmt: skip
    return Comparison(verdict=verdict, metrics=list(metrics), **facts | changes)


def hostile_comparison(text: str, other: str) -> Comparison:
    """A comparison with hostile text wherever text can be."""
    return comparison(
        GateVerdict.REGRESSION,
        gated(GateVerdict.REGRESSION, 0.3, endpoint=f"/{text}", method=other),
        gated(GateVerdict.INCONCLUSIVE, endpoint=f"/{other}", method=text, reason=f"r{text}"),
        against=text,
        reason=f"c{other}",
        runs=[earlier_run(0, commit=text, at=other, run_id=text), earlier_run(1, commit=other, at=text, run_id=other)],
        mean_old=1.0,
        mean_new=2.0,
        contributions=[contribution(text, method=other)],
        notes=[text, other],
    )


def result(**changes: Any) -> RunResult:
    """A run of a minute that passed, unless `changes` says otherwise."""
    facts: dict[str, Any] = {
        "run_id": "0123abcd",
        "name": "load.py",
        "script_sha256": "0" * 64,
        "options": {"vus": 10, "duration": 60.0},
        "scenarios": [
            ScenarioResult(
                name="default", executor="constant-vus", vus=10, iterations=1_000, duration_s=60.0, graceful_stop_s=30.0
            )
        ],
        "git": Git(commit="4f2a", branch="main", dirty=False),
        "ci": CI(provider=None),
        "environment": Environment(
            ciload="0.1.0", python="3.11.7", os="Linux 6.1", machine="x86_64", cpu="CPU", cores=4,
            memory_bytes=8_000_000_000,
        ),
        "fingerprint": Fingerprint(
            scenario="sha256:0", load="sha256:1", target="localhost:8000", runner="Linux CPU x4", ciload="0"
        ),
        "load": Load(
            started_at="2026-01-02T03:04:05.678+00:00", setup_s=0.5, load_s=60.02, teardown_s=0.25, iterations=1_000,
            iterations_interrupted=0, setup_requests=1, vus_max=10,
        ),
        "metrics": metrics(),
        "expected_duration": distribution(),
        "endpoints": [endpoint()],
        "checks": [check()],
        "thresholds": [threshold()],
        "errors": [],
        "timeline": [second(at) for at in range(1, 61)],
        "generator": Generator(
            cpu_share=0.21, cpu_s=12.6, loop_lag_p50=0.1, loop_lag_p99=1.5, loop_lag_max=9.0, warnings=[]
        ),
        "verdict": verdict(),
    }  # fmt: skip
    return RunResult(**facts | changes)
