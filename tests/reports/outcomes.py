"""Every way a run can come out, as a developer meets it on a pull request."""

from __future__ import annotations

from typing import Any

from ciload.errors import ExitCode
from ciload.metrics.metric import Kind
from ciload.result.comparison import Accepted, Comparison, GatedMetric, GateVerdict
from ciload.result.document import CI, Failure, Git, Load, MetricResult, RunResult, ThresholdResult
from ciload.result.judgement import Evidence, judge
from tests.reports.results import (
    NASTY,
    answer,
    check,
    comparison,
    contribution,
    distribution,
    earlier_run,
    endpoint,
    error,
    gated,
    hostile_comparison,
    metrics,
    result,
    second,
    slow_request,
    threshold,
)

REGRESSION, IMPROVED, OK, UNSUSPICIOUS, SUSPICIOUS, INCONCLUSIVE, MISSING = GateVerdict
SHOP = ("/v3/report", "/v3/users", "/v3/users/{id}", "/v3/orders")
TRACE = (
    'Traceback (most recent call last):\n  File "load.py", line 14, in default\n    user = created.json()["id"]\n'
    "           ~~~~~~~~~~~~~~^^^^^^\nKeyError: 'id'"
)
CI_RUN = CI(
    provider="github", job="load", run_id="1", pull_request="7", run_url="https://github.test/a/b/actions/runs/1"
)
NO_VALUES: dict[str, Any] = {"passes": None, "fails": None, "value": None, "min": None, "max": None}
LONG_REASON = "too few data: 243 requests; p95 needs 400"


def shop(**changes: Any) -> RunResult:
    """A minute of load on a small shop, in a pull request."""
    facts: dict[str, Any] = {
        "options": {"name": "shop-api", "vus": 5, "baseline": ".ciload/baseline.json"},
        "git": Git(commit="0123456789abcdef0123456789abcdef01234567", branch="faster-report", dirty=False),
        "ci": CI_RUN,
        "endpoints": [
            endpoint(name, method="POST" if name == "/v3/orders" else "GET", requests=243, duration=distribution(p95))
            for name, p95 in zip(SHOP, (59.2, 24.15, 22.8, 31.6), strict=True)
        ],
        "metrics": metrics(requests=972),
        "thresholds": [threshold(59.2, limit=500), threshold(24.1, metric="http_req_waiting", limit=400)],
        "checks": [check("status is 200", passes=972), check("has an id", group="::orders", passes=243)],
        "timeline": [second(at, p95=60.0 + at % 7, p50=19.0 + at % 3) for at in range(1, 61)],
    }
    run = result(**facts | changes)
    return run if "verdict" in changes else run.model_copy(update={"verdict": judged(run)})


def judged(run: RunResult, **evidence: Any) -> Any:
    """The verdict that the run would get."""
    facts: dict[str, Any] = {
        "thresholds": run.thresholds, "comparisons": run.comparisons, "iterations": 1_000, "requests": 972,
        "answered": 972, "on_missing_baseline": run.options.get("on_missing_baseline", "warn"),
        "on_inconclusive": run.options.get("on_inconclusive", "warn"),
    }  # fmt: skip
    return judge(Evidence(**facts | evidence))


def compared(verdict: GateVerdict, *found: GatedMetric, **changes: Any) -> Comparison:
    runs = [earlier_run(number, branch="main") for number in range(6)]
    return comparison(verdict, *found, **{"runs": runs} | changes)


def moved(
    verdict: GateVerdict, old: float, new: float, metric: str = "p95", where: str = "", **more: Any
) -> GatedMetric:
    change = new - old if more.get("unit") == "share" else new / old - 1
    facts: dict[str, Any] = {
        "endpoint": where, "method": "GET" if where else "", "metric": metric, "old": old, "new": new,
        "low": change - 0.09, "high": change + 0.1, "history": [old] * 6 + [new], "detectable": 0.13,
    }  # fmt: skip
    return gated(verdict, change, **facts | more)


def not_judged(where: str) -> GatedMetric:
    return gated(INCONCLUSIVE, endpoint=where, reason=LONG_REASON, decides=False, change=0.5, detectable=None)


def regression(**changes: Any) -> Comparison:
    found = [
        moved(REGRESSION, 30.2, 59.2),
        moved(REGRESSION, 9.8, 18.8, "p50"),
        *(moved(REGRESSION, 8.8 + at, 17.5 + 2 * at, "p50", where) for at, where in enumerate(SHOP)),
        *(not_judged(where) for where in SHOP),
        moved(OK, 0.0, 0.0, "failed requests", unit="share"),
        moved(UNSUSPICIOUS, 190.0, 191.0, "requests/s", unit="/s"),
    ]
    facts: dict[str, Any] = {
        "mean_old": 12.9, "mean_new": 25.5,
        "contributions": [
            contribution(SHOP[0], 6.4, receiving_ms=0.01), *(contribution(each, 2.1) for each in SHOP[1:]),
        ],
    }  # fmt: skip
    return compared(REGRESSION, *found, **facts | changes)


def slow(value: float = 168.0, **changes: Any) -> ThresholdResult:
    return threshold(value, limit=100, passed=False, **changes)


def script_error(**changes: Any) -> RunResult:
    raised = MetricResult(kind=Kind.COUNTER, unit="", count=37, rate=0.6, **NO_VALUES)
    met = error("HTTP 500", source="POST /v3/orders", count=41).model_copy(update={"sample": answer()})
    rows = [met, error("KeyError: 'id'", detail=TRACE, count=37)]
    run = shop(metrics=metrics(requests=972, failed=41) | {"script_errors": raised}, errors=rows, **changes)
    return run.model_copy(update={"verdict": judged(run, script_errors=37)})


def stopped(code: ExitCode, reason: str, **changes: Any) -> RunResult:
    """A run that something ended."""
    run = shop(**changes)
    return run.model_copy(update={"verdict": judged(run, stops=[Failure(code=code, reason=reason)])})


NOTHING: dict[str, Any] = {
    "endpoints": [], "checks": [], "thresholds": [], "metrics": {}, "timeline": [],
    "load": Load(
        started_at="2026-01-02T03:04:05.678+00:00", setup_s=0, load_s=0, teardown_s=0, iterations=0,
        iterations_interrupted=0, setup_requests=0, vus_max=0,
    ),
}  # fmt: skip


def never_begun(code: ExitCode, reason: str) -> RunResult:
    """A run that ended before its load."""
    return stopped(code, reason, scenarios=[], options={"name": "shop-api"}, **NOTHING)


def hostile_everywhere() -> RunResult:
    text, other = "x".join(NASTY), " ".join(reversed(NASTY))
    long = "<b>|`" * 300
    run = shop(
        name=text,
        options={"name": text, text: other},
        git=Git(commit=text, branch=other, dirty=False),
        ci=CI(provider=text, job=other, run_url="javascript:alert(1)", pull_request=text),
        endpoints=[endpoint(text, method=other), endpoint(long)],
        checks=[check(text, group=f"::{other}", fails=7), check(long, fails=9)],
        thresholds=[slow(metric=text), slow(metric=long), threshold(None, metric=other, passed=False, hint=text)],
        errors=[
            error(text, source=other, detail=f"{text}\n{other}").model_copy(
                update={"sample": answer(text, body=f"{other}\n{text}", trace=text)}
            ),
            error(long, source=long),
        ],
        slowest=[slow_request(name=text, method=other, trace=text), slow_request(name=long, status=0, error=text)],
        comparisons=[hostile_comparison(text, other), hostile_comparison(long, "W" * 400)],
    )
    reasons = [Failure(code=ExitCode.MARKED_FAILED, reason=each) for each in (text, other, long)]
    return run.model_copy(update={"verdict": judged(run, stops=reasons, warnings=[text, other, long])})


def sixty_endpoints() -> RunResult:
    names = [f"/v3/shops/{{shop}}/things/{number}" for number in range(60)]
    slower = [moved(REGRESSION, 20.0 + at, 41.0 + 3 * at, "p50", name) for at, name in enumerate(names[:20])]
    few = [not_judged(name) for name in names[20:]]
    found = compared(
        REGRESSION, moved(REGRESSION, 30.2, 59.2), moved(REGRESSION, 9.8, 18.8, "p50"), *slower, *few, mean_old=20.0,
        mean_new=31.0, contributions=[contribution(name, 5.0 / (at + 1)) for at, name in enumerate(names)],
    )  # fmt: skip
    return shop(comparisons=[found], endpoints=[endpoint(name, requests=16) for name in names])


def several_thresholds_and_script_errors() -> RunResult:
    thresholds = [
        slow(),
        threshold(0.0312, metric="http_req_failed", limit=0.01, passed=False).model_copy(
            update={"aggregation": "rate", "expression": "rate<0.01", "unit": ""}
        ),
        slow(612.0, metric="http_req_duration{name:/v3/report}"),
        threshold(None, metric="checkout_time", limit=300, passed=False, hint="the script never fed it"),
        threshold(),
    ]
    return script_error(thresholds=thresholds, checks=[check("has an id", passes=206, fails=37)])


def unjudged(verdict: GateVerdict, **changes: Any) -> Comparison:
    reason = "2 comparable runs; 3 are needed to know how much runs differ"
    names = ("p50", "p95")
    found = [moved(INCONCLUSIVE, 30.0, 31.0, name, detectable=None, reason=reason) for name in names]
    runs = [earlier_run(number, branch="main") for number in range(2)]
    return compared(verdict, *found, reason=reason, runs=runs, runs_needed=3, **changes)


MISSING_REASON = ".ciload/baseline.json does not exist; --save-baseline makes one"
ACCEPTED = Accepted(by="ann", reason="TLS to the database", where="the text of pull request 7")
PAIRS: dict[str, Any] = {"gate": "side by side", "against": "http://old:8080", "runs": [], "blocks": 24}

OUTCOMES: dict[str, RunResult] = {
    "passed without gate": shop(),
    "passed without thresholds": shop(thresholds=[]),
    "passed, ok": shop(comparisons=[compared(OK, moved(OK, 30.0, 30.3), moved(OK, 9.8, 9.9, "p50"))]),
    "nothing suspicious": shop(
        comparisons=[
            compared(
                UNSUSPICIOUS,
                moved(UNSUSPICIOUS, 30.0, 30.9, reason="+13% or more would have been found"),
                moved(OK, 9.8, 9.9, "p50"),
                not_judged(SHOP[0]),
            )
        ]
    ),
    "no baseline yet": shop(comparisons=[comparison(MISSING, runs=[], reason=MISSING_REASON)]),
    "too little history": shop(comparisons=[unjudged(INCONCLUSIVE)]),
    "regression": shop(comparisons=[regression()]),
    "regression with sixty endpoints": sixty_endpoints(),
    "more requests fail": shop(
        metrics=metrics(requests=972, failed=51),
        errors=[error("HTTP 500", source="POST /v3/orders", count=51)],
        comparisons=[
            compared(
                REGRESSION,
                moved(REGRESSION, 0.001, 0.0525, "failed requests", unit="share", low=0.03, high=0.08),
                moved(OK, 30.0, 30.3),
            )
        ],
    ),
    "improved": shop(comparisons=[compared(IMPROVED, moved(IMPROVED, 59.2, 30.2), moved(IMPROVED, 18.8, 9.8, "p50"))]),
    "suspicious": shop(
        comparisons=[
            compared(
                SUSPICIOUS,
                moved(SUSPICIOUS, 30.2, 34.1, reason="looks slower or worse, and may be up to +23%; rerun it"),
                moved(UNSUSPICIOUS, 9.8, 9.9, "p50"),
            )
        ]
    ),
    "inconclusive": shop(
        comparisons=[
            compared(
                INCONCLUSIVE,
                moved(INCONCLUSIVE, 30.0, 60.0, reason="this run is no good measure: the generator used 97% of a core"),
                reason="this run is no good measure: the generator used 97% of a core",
            )
        ]
    ),
    "side by side regression": shop(comparisons=[regression(**PAIRS, fresh=2)]),
    "accepted": shop(comparisons=[regression(accepted=ACCEPTED)]),
    "both gates": shop(comparisons=[regression(**PAIRS), compared(OK, moved(OK, 30.0, 30.3))]),
    "threshold failed": shop(thresholds=[slow(), threshold(24.1, metric="http_req_waiting", limit=400)]),
    "threshold that only warns": shop(thresholds=[slow(severity="warn"), threshold()]),
    "several thresholds and script errors": several_thresholds_and_script_errors(),
    "script error": script_error(),
    "script cannot be loaded": never_begun(
        ExitCode.SCRIPT_ERROR,
        'load.py: the script failed while it was loaded\n  File "load.py", line 3\n    x = = 1\n        ^\n'
        "SyntaxError: invalid syntax",
    ),
    "setup failed": stopped(
        ExitCode.SCRIPT_ERROR, "setup() raised KeyError: 'id'", errors=[error("KeyError: 'id'", detail=TRACE, count=1)],
        **NOTHING,
    ),
    "setup timed out": stopped(
        ExitCode.SETUP_TIMEOUT, "setup() did not finish within 60 s; --setup-timeout sets the limit", **NOTHING
    ),
    "nothing measured": (
        lambda run: run.model_copy(
            update={"verdict": judged(run, answered=0), "endpoints": [endpoint(failed=972, duration=None)]}
        )
    )(
        shop(
            errors=[error("dial: connection refused", source="GET /v3/users", count=972)], checks=[], thresholds=[],
            metrics={name: each for name, each in metrics(972, failed=972).items() if name != "http_req_duration"},
        )
    ),
    "load ended early": (
        lambda run: run.model_copy(update={"verdict": judged(run, unanswered=3, longest_unanswered_s=30.4)})
    )(shop()),
    "invalid options": never_begun(
        ExitCode.INVALID_OPTIONS,
        "load.py:3: unknown option 'vsu'; did you mean 'vus'?\nciload.yaml:12: rate: '5/x' is no rate",
    ),
    "target not ready": never_begun(
        ExitCode.TARGET_NOT_READY, "http://localhost:8000/health was not ready within 60 s: connection refused"
    ),
    "interrupted": stopped(ExitCode.INTERRUPTED, "interrupted by SIGTERM"),
    "aborted": stopped(ExitCode.ABORTED, "the script called abort(): the shop is closed"),
    "marked failed": (lambda run: run.model_copy(update={"verdict": judged(run, marked_failed=["orders got lost"])}))(
        shop()
    ),
    "hostile names": hostile_everywhere(),
}  # fmt: skip
