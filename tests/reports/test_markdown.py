"""The job summary: says what matters first, survives anything in names, and fits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ciload.errors import ExitCode
from ciload.reports.markdown import markdown_summary
from ciload.result.comparison import GateVerdict
from ciload.result.document import CI, ErrorRow, Failure, Git, RunResult, TimelineRow
from tests.reports import results
from tests.reports.results import (
    NASTY,
    answer,
    check,
    comparison,
    contribution,
    earlier_run,
    endpoint,
    error,
    gated,
    hostile,
    hostile_comparison,
    judged,
    result,
    second,
    slow_request,
    threshold,
    verdict,
)

LIMIT = 900 * 1024
BEHIND = "errors · tracebacks · answers · thresholds · comparison · endpoints · slowest · checks"
SUMMARIES = {f"<summary>{title}</summary>" for title in ("About this run", BEHIND, "Runs compared with")}
OUR_HTML = {"<details>", "</details>", "<code>", "</code>", "<sub>", "</sub>", "<!-- ciload summary -->"} | SUMMARIES
OTHERS = {"link_open", "image", "em_open", "s_open", "hr", "code_block", "blockquote_open", "ordered_list_open"}
HEADINGS_BELOW = ["Endpoints", "Checks", "Over time"]
HEADINGS = {
    "Thresholds", "Errors", "Tracebacks", "First answers that failed", "Slowest requests", *HEADINGS_BELOW
}  # fmt: skip
GATE_HEADING = "❌ Regression gate, against history: regression"
Row = list[str]


def tokens(markdown: str) -> list[Token]:
    """What GitHub's dialect makes of it: CommonMark with tables, raw HTML and bare links."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)


def inline_text(token: Token) -> str:
    """The text that is seen, without the tags that we put around it."""
    return "".join(child.content for child in token.children or () if child.type != "html_inline")


def rows(run: RunResult) -> Iterator[Row]:
    """The rows of all tables, headers included, as they are seen."""
    row: Row = []
    for token in tokens(markdown_summary(run)):
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            yield row
        elif token.type == "inline" and token.level > 3:
            row.append(inline_text(token))


def table(run: RunResult, column: str) -> list[Row]:
    """The rows under the header that has `column`, of an open table and its folded rest together."""
    found: list[Row] = []
    header: Row = []
    known = [
        ["", "Metric", "Threshold", "Measured"],
        ["Method", "Name", "Requests", "Rate", "Failed", "p50", "p95", "p99", "Max"],
        ["", "Check", "Passed", "Failed", "Share"],
        ["Count", "Where", "What"],
        ["", "What", "limit", "this run"],
        ["", "Metric", "baseline", "this run", "Change", "plausible range"],
        ["", "Endpoint", "Metric", "Old", "New", "Change", "Plausible range", "Would find", "Last runs"],
        ["Endpoint", "Moved the mean by", "Connecting", "Sending", "Waiting", "Receiving"],
        ["Commit", "When", "Run"],
        ["", ""],
    ]
    for row in rows(run):
        if row in known:
            header = row
        elif column in header:
            found.append(row)
    return found


def headings(run: RunResult) -> Row:
    all_tokens = tokens(markdown_summary(run))
    return [inline_text(after) for each, after in pairwise(all_tokens) if each.type == "heading_open"]


def charts(run: RunResult) -> list[str]:
    return [each.content for each in tokens(markdown_summary(run)) if each.type == "fence" and each.info == "mermaid"]


def lines(chart: str) -> list[list[float]]:
    return [[float(number) for number in each.split(",")] for each in re.findall(r"line \[(.*)\]", chart)]


def seen_in(run: RunResult) -> list[str]:
    """The lines of text, as they are seen, cells of tables included."""
    return [inline_text(each) for each in tokens(markdown_summary(run)) if each.type == "inline"]


def test_passed_run_says_so_first() -> None:
    """The heading has verdict, name and p95; then comes what was judged; the figures are small, at the end."""
    text = seen_in(result(metrics=results.metrics(12_345, 52)))
    assert text[:2] == ["✅ load passed: p95 283 ms", "Thresholds: 1 of 1 hold."]
    assert text[-1] == "12,345 requests in 1m, 206/s, 0.42% failed, 10 VUs · 4f2a · ciload 0.1.0"


def test_failed_run_says_why_first() -> None:
    """The first reason is the heading; further ones that are in no row of the table stand below it."""
    slow = threshold(900.0, passed=False)
    trace = 'Traceback (most recent call last):\n  File "load.py", line 12, in default\n    name = user["name"]'
    run = result(
        thresholds=[slow],
        errors=[error(detail=trace)],
        verdict=judged([slow], marked_failed=["orders got lost"], script_errors=1),
    )
    text = seen_in(run)
    assert text[:3] == [
        "❌ load: load.py:12 raised KeyError: 'name'",
        'name = user["name"]',
        "Thresholds: 0 of 1 hold.",
    ]
    assert "also fail_test(): orders got lost" in text
    assert table(run, "limit") == [
        ["🔴", "http_req_duration p(95)", "< 500\u00a0ms".replace(" ", "\u00a0"), "900\u00a0ms"]
    ]


def test_run_without_thresholds_does_not_claim_that_they_hold() -> None:
    """Nothing was judged, and the heading says that."""
    assert headings(result(thresholds=[]))[0] == "✅ load passed: p95 283 ms, no thresholds set"


@pytest.mark.parametrize(("warned", "held", "mark"), [(0, 3, "✅"), (1, 0, "⚠️"), (1, 2, "⚠️"), (2, 1, "⚠️")])
def test_passed_run_does_not_claim_that_warnings_hold(warned: int, held: int, mark: str) -> None:
    """A run may pass although a threshold that only warns does not hold; heading and counts say so."""
    thresholds = [threshold(900.0, passed=False, severity="warn")] * warned + [threshold()] * held
    text = seen_in(result(thresholds=thresholds, verdict=judged(thresholds)))
    warning = "p(95) of http_req_duration is 900 ms, limit 500 ms (only a warning)"
    assert text[0] == (f"⚠️ load passed; {warning}" if warned else "✅ load passed: p95 283 ms")
    assert text[0].startswith(mark)
    assert text[1] == f"Thresholds: {held} of {warned + held} hold."


def test_warnings_stand_between_failures_and_what_holds() -> None:
    """Thresholds that fail the run come first, those that only warn next, with a mark of their own."""
    thresholds = [
        threshold(metric="good", severity="warn"),
        threshold(900.0, passed=False, metric="warned", severity="warn"),
        threshold(None, metric="empty", severity="warn"),
        threshold(900.0, passed=False, metric="bad"),
    ]
    found = table(result(thresholds=thresholds, verdict=judged(thresholds)), "Measured")
    assert [row[:2] for row in found] == [["✗", "bad"], ["⚠️", "warned"], ["⚠️", "empty"], ["✓", "good"]]


def test_thresholds_show_the_measured_value_beside_the_limit() -> None:
    """Failed ones come first; a value near its limit has the digits that tell on which side it is."""
    run = result(
        thresholds=[
            threshold(283.4312),
            threshold(500.0004, passed=False, metric="List Users"),
            threshold(None, metric="http_req_duration{name:/a|b}"),
        ]
    )
    assert table(run, "Measured") == [
        ["✗", "List Users", "p(95)<500", "500.0004 ms"],
        ["✗", "http_req_duration{name:/a|b}", "p(95)<500", "no data"],
        ["✓", "http_req_duration", "p(95)<500", "283.43 ms"],
    ]


def test_endpoints_show_load_failures_and_times() -> None:
    """Those with failures come first; one that never sent a request has no times."""
    down = endpoint("/down", failed=1_000, duration=None)
    run = result(endpoints=[endpoint(duration=results.distribution(p95=200.0)), down])
    assert table(run, "p99") == [
        ["GET", "/down", "1,000", "16.67/s", "100%", "-", "-", "-", "-"],
        ["GET", "/v3/users", "1,000", "16.67/s", "0%", "80ms", "200ms", "300ms", "400ms"],
    ]


def test_checks_are_listed_with_their_groups() -> None:
    """Those that failed come first, and 100% means all."""
    run = result(checks=[check(), check("is JSON", group="::log in::form", passes=999_999, fails=1)])
    assert table(run, "Check") == [
        ["✗", "log in::form :: is JSON", "999,999", "1", "99.9999%"],
        ["✓", "status is 200", "1,000", "0", "100%"],
    ]


def test_errors_are_counted_and_tracebacks_folded() -> None:
    """The table has one line for each kind; the traceback is as it was, in a block that can be opened."""
    trace = "Traceback (most recent call last):\n  File \"load.py\", line 12, in default\nKeyError: 'name'"
    run = result(errors=[error("HTTP 500", source="POST /orders", count=1_042), error(detail=trace)])
    assert table(run, "Where") == [["3", "load.py:12", "KeyError: 'name'"], ["1,042", "POST /orders", "HTTP 500"]]
    folded = markdown_summary(run).partition("### Tracebacks")[2]
    assert trace in folded


def test_warnings_stand_above_the_tables() -> None:
    """What must be read beside the verdict is not to be scrolled for."""
    text = markdown_summary(result(verdict=verdict(warnings=("the generator used 97% of a core",))))
    assert "⚠️ the generator used 97% of a core" in text.partition("### ")[0]


def test_details_name_machine_commit_and_options() -> None:
    """What one looks up to compare two runs is there, folded."""
    run = result(
        git=Git(commit="4f2a", branch="main", dirty=True),
        ci=CI(provider="github", job="load", run_url="https://github.test/1"),
    )
    facts = {row[0]: row[1] for row in rows(run) if len(row) == 2}
    assert facts["Commit"] == "4f2a, with uncommitted changes"
    assert facts["CI"] == "github load https://github.test/1"
    assert facts["Machine"] == "CPU, 4 cores, 8 GB"
    assert facts["Generator"] == "21% of a core, event loop 1.5ms late at its 99th percentile"
    options = next(each for each in tokens(markdown_summary(run)) if each.info == "json")
    assert '"vus": 10' in options.content


def test_charts_have_a_point_for_each_second_of_a_short_run() -> None:
    """Up to a minute nothing is summed up; the axis ends where the load did."""
    timeline = [second(at, p95=100.0 + at, p50=float(at)) for at in range(1, 31)]
    latency, rate = charts(result(timeline=timeline))
    assert lines(latency) == [[100.0 + at for at in range(1, 31)], [float(at) for at in range(1, 31)]]
    assert 'x-axis "seconds" 1.0 --> 30.0' in latency
    assert lines(rate) == [[16.0] * 30]


def test_long_runs_are_summed_up_without_losing_a_spike() -> None:
    """Points show the worst second in them, because a mean would hide it, and the mean rate."""
    timeline = [
        second(at, p95=5_000.0 if at == 1_800 else 100.0, requests_per_s=float(at % 60)) for at in range(1, 3_601)
    ]
    latency, rate = charts(result(timeline=timeline))
    assert [len(line) for line in lines(latency)] == [60, 60]
    assert lines(latency)[0].count(5_000.0) == 1
    assert lines(rate) == [[29.5] * 60]


def test_remainder_of_the_last_second_is_no_point_of_its_own() -> None:
    """One request within a few milliseconds is a rate of hundreds per second, and means nothing."""
    timeline = [second(at) for at in range(1, 11)] + [second(10.01, requests_per_s=100.0)]
    _, rate = charts(result(timeline=timeline))
    assert len(lines(rate)[0]) == 10
    assert lines(rate)[0][-1] == pytest.approx(16.8, abs=0.1)


def test_failed_requests_are_a_line_of_their_own() -> None:
    """The rate chart shows when requests failed, if any did."""
    _, rate = charts(result(timeline=[second(at, failed_per_s=float(at == 3)) for at in range(1, 6)]))
    assert lines(rate)[1] == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert "failed" in rate


def test_seconds_without_a_finished_request_are_bridged_and_told() -> None:
    """A stall is no 0 ms; the chart begins where the first request finished."""
    p95s = [None, 100.0, None, None, 400.0, 500.0, None]
    timeline = [second(float(at + 1), p95=p95, p50=p95) for at, p95 in enumerate(p95s)]
    run = result(timeline=timeline)
    latency = charts(run)[0]
    assert lines(latency)[0] == [100.0, 200.0, 300.0, 400.0, 500.0]
    assert 'x-axis "seconds" 2.0 --> 6.0' in latency
    assert "4 of 7 points have no response times" in markdown_summary(run)


@pytest.mark.parametrize("timeline", [[], [second(1)], [second(1), second(2)]], ids=len)
def test_no_chart_for_fewer_than_three_seconds(timeline: list[TimelineRow]) -> None:
    """Two points are not a course of events."""
    assert charts(result(timeline=timeline)) == []


@given(
    ends=st.lists(st.floats(0.001, 10_000).map(lambda at: round(at, 3)), max_size=200).map(sorted),
    p95=st.none() | st.floats(0, 1e6),
)
def test_charts_hold_for_any_timeline(ends: list[float], p95: float | None) -> None:
    """However unevenly the seconds came, lines have 3 to 60 points of plain decimals, and no diagram is empty."""
    for chart in charts(result(timeline=[second(at, p95=p95, p50=p95) for at in ends])):
        assert all(3 <= len(line) <= 60 for line in lines(chart))
        assert re.fullmatch(
            r'%%\{init: .*\}%%\nxychart-beta\n( {4}(title "[^"]+"|[xy]-axis "[^"]+" \S+ --> \S+|line \[[\d., ]+\])\n)+',
            chart,
        )


def hostile_error(text: str, other: str) -> ErrorRow:
    sample = answer(text, body=f"{other}\n{text}", trace=other)
    return error(text, source=other, detail=f"{text}\n{other}").model_copy(update={"sample": sample})


@given(text=hostile, other=hostile)
@example(text="x".join(NASTY), other=" ".join(reversed(NASTY)))
def test_nothing_breaks_out_of_the_markdown(text: str, other: str) -> None:
    """Hostile text everywhere: the same headings, tables and tags as ever; no link, no image, no mention."""
    run = result(
        name=text,
        git=Git(commit=text or "1", branch=other or "1", dirty=False),
        options={text: other},
        endpoints=[endpoint(text, method=other)],
        checks=[check(text, group=f"::{other}")],
        thresholds=[threshold(None, metric=text, passed=False)],
        errors=[hostile_error(text, other)],
        slowest=[slow_request(name=text, method=other, trace=text), slow_request(name=other, status=0, error=text)],
        comparisons=[hostile_comparison(text, other)],
        verdict=verdict(Failure(code=110, reason=text), Failure(code=110, reason=other), warnings=(text, other)),
    )
    markdown = markdown_summary(run)
    markdown.encode("utf-8")
    assert set(headings(run)[1:]) == HEADINGS | {GATE_HEADING}
    parsed = tokens(markdown)
    assert [each.info for each in parsed if each.type == "fence"] == ["", "", "mermaid", "mermaid", "json"]
    everything = [part for each in parsed for part in [each, *(each.children or ())]]
    assert not {each.type for each in everything} & OTHERS
    html = {line for each in everything if each.type.startswith("html") for line in each.content.split("\n") if line}
    assert html <= OUR_HTML
    # GitHub links addresses and mentions without being asked, this parser does not: look at what GitHub looks at.
    for token in (each for each in parsed if each.type == "inline"):
        assert not re.search(r"://|www\.", re.sub(r"`[^`]*`", "", token.content))
        assert not re.search(r"[@#]\w", "".join(each.content for each in token.children or () if each.type == "text"))


@given(text=hostile, other=hostile)
@example(text="x".join(NASTY), other=" ".join(reversed(NASTY)))
def test_every_row_has_the_columns_of_its_table(text: str, other: str) -> None:
    """Nothing in a name adds a cell or ends a row, which parsers would hide by dropping what is too much."""
    run = result(
        endpoints=[endpoint(text, method=other)],
        checks=[check(text, group=other)],
        thresholds=[threshold(metric=text)],
        errors=[hostile_error(text, other)],
        slowest=[slow_request(name=text, method=other, trace=text), slow_request(name=other, status=0, error=text)],
        comparisons=[hostile_comparison(text, other)],
    )
    markdown = re.sub(r"(?ms)^(`{3,})\S*\n.*?^\1$", "", markdown_summary(run))
    blocks = [block.split("\n") for block in markdown.split("\n\n") if block.startswith("|")]
    assert [len(block) for block in blocks] == [3, 3, 3, 4, 3, 4, 3, 4, 3, 11]
    # What changed, errors, thresholds; the gate's metrics, what moved and runs; endpoints, slowest, checks, about
    for block in blocks:
        assert {line.count("|") for line in block} == {block[0].count("|")}


@example("&lt;b&gt;&#64;team")
@example("**a**_b_~c~<b>`d`|\\|e[f](g)")
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
def test_names_are_shown_as_they_are(name: str) -> None:
    """Escaping is seen by parsers only: in a table's cell and in a sentence the reader gets the original."""
    run = result(endpoints=[endpoint(name)], verdict=verdict(Failure(code=110, reason=name)))
    assert table(run, "p99")[0][1].replace("\u200b", "") == name
    seen = [inline_text(each) for each in tokens(markdown_summary(run)) if each.type == "inline"]
    assert seen[0].replace("\u200b", "") == f"❌ load: fail_test(): {name}"


@pytest.mark.parametrize("name", ["", " ", "\n", "\u2028"])
def test_names_of_nothing_are_named(name: str) -> None:
    """An empty code span would be two backticks."""
    assert table(result(endpoints=[endpoint(name)]), "p99")[0][1] == "(empty)"


def test_the_first_answer_of_each_kind_of_error_can_be_unfolded() -> None:
    """What was asked, the status, the trace and the body; what got no answer and has no trace says nothing more."""
    rows = [error("HTTP 500", source="POST /v3/orders"), error("dial: connection refused", source="GET /v3/users")]
    samples = [answer(trace="4bf92f35"), answer(status=0, body="")]
    with_samples = [row.model_copy(update={"sample": each}) for row, each in zip(rows, samples, strict=True)]
    failing = check("has an id", fails=3).model_copy(update={"sample": answer("GET http://shop.test/", 200, body="{}")})
    run = result(errors=with_samples, checks=[failing])
    assert [each.content for each in tokens(markdown_summary(run)) if each.type == "fence" and not each.info] == [
        'POST http://shop.test/v3/orders → 500, trace 4bf92f35\n\n{"error": "the database is down"}\n',
        "GET http://shop.test/ → 200\n\n{}\n",
    ]


def test_an_answer_in_one_line_is_shown_whole() -> None:
    """Two kilobytes of JSON have no line ends, and are all there."""
    body = "".join(f"<{number}>" for number in range(400))
    run = result(errors=[error("HTTP 500").model_copy(update={"sample": answer(body=body)})])
    [block] = [each.content for each in tokens(markdown_summary(run)) if each.type == "fence" and not each.info]
    assert block.replace("\n", "").endswith(body)


def test_the_slowest_requests_can_be_unfolded() -> None:
    """Time, endpoint, status, the second in which each ended; traces have a column where there are any."""
    plain = [slow_request(), slow_request(900.0, status=0, error="no answer when the load ended", at_s=59.5)]
    seen = [row for row in rows(result(slowest=plain)) if len(row) == 5]
    [header, *found] = [row for row in seen if row[-1] in ("Second", "42", "60")]
    assert header == ["Time", "Method", "Name", "Status", "Second"]
    assert found == [
        ["1.2s", "GET", "/v3/report", "200", "42"],
        ["900ms", "GET", "/v3/report", "no answer when the load ended", "60"],
    ]
    traced = list(rows(result(slowest=[slow_request(trace="4bf92f35")])))
    assert ["1.2s", "GET", "/v3/report", "200", "42", "4bf92f35"] in traced


def test_all_but_the_headline_is_folded() -> None:
    """What there is to unfold is named, and the machine is apart from it."""
    text = markdown_summary(result())
    assert re.findall("<summary>(.*)</summary>", text) == ["thresholds · endpoints · checks", "About this run"]
    assert "|" not in text.partition("<details>")[0]


def test_a_thousand_endpoints_are_all_there_and_mostly_folded() -> None:
    """The first rows are one click away, the rest two."""
    run = result(endpoints=[endpoint(f"/v3/things/{number}/parts") for number in range(1_000)])
    assert [row[1] for row in table(run, "p99")] == [f"/v3/things/{number}/parts" for number in range(1_000)]
    assert "<summary>975 more</summary>" in markdown_summary(run)


def test_giant_results_fit_and_say_what_was_left_out() -> None:
    """With everything as large as it gets the summary stays below GitHub's limit; rows are whole and counted."""
    huge, many = "|`<@é名" * 20_000, range(5_000)
    outcome = verdict(*[Failure(code=110, reason=huge)] * 500, warnings=(huge,) * 500)
    giant = hostile_comparison(huge, huge).model_copy(
        update={
            "metrics": [gated(GateVerdict.INCONCLUSIVE, endpoint=huge, reason=f"{each}{huge}") for each in range(500)],
            "contributions": [contribution(huge)] * 500,
            "runs": [earlier_run(commit=huge, at=huge, run_id=huge)] * 500,
            "notes": [huge] * 500,
        }
    )
    run = result(
        name=huge,
        options={huge: huge, "list": list(many)},
        scenarios=result().scenarios * 5_000,
        endpoints=[endpoint(huge)] * 5_000,
        checks=[check(huge, group=huge)] * 5_000,
        thresholds=[threshold(None, metric=huge)] * 5_000,
        errors=[hostile_error(huge, huge)] * 500,
        slowest=[slow_request(name=huge, error=huge, status=0, trace=huge)] * 10,
        comparisons=[giant, giant],
        verdict=outcome,
    )
    text = markdown_summary(run)
    assert len(text.encode("utf-8")) < LIMIT
    for column in ("Measured", "Share"):  # thresholds, checks
        shown = len(table(run, column))
        assert 25 < shown < 5_000
        assert f"… and {5_000 - shown:,} more" in text
    gate = markdown_section(text, f"### {GATE_HEADING}")
    assert len(gate.encode("utf-8")) < 60 * 1024
    assert gate.count("… and ") == 5  # metrics, reasons, what moved, notes, runs


def markdown_section(text: str, heading: str) -> str:
    return text[text.index(heading) :].partition("\n### ")[0]


def test_regression_is_told_with_its_numbers() -> None:
    """How much in the heading, how many below it, the row with old, new and range; folded, all that was compared."""
    found = comparison(
        GateVerdict.REGRESSION,
        gated(endpoint="", method="", metric="p50"),
        gated(GateVerdict.REGRESSION, 0.234, low=0.17, high=0.31),
        gated(GateVerdict.INCONCLUSIVE, 0.09, endpoint="/v3/carts", reason="too few requests"),
        gated(endpoint="", method="", metric="failed requests", unit="share", old=0.0, new=0.0, change=0.0),
        mean_old=120.0, mean_new=134.1, contributions=[contribution()], notes=["one run was left out"],
    )  # fmt: skip
    run = result(comparisons=[found], thresholds=[])
    run = run.model_copy(update={"verdict": judged([], comparisons=[found])})
    assert headings(run) == ["❌ load: GET /v3/users slower, p95 200 → 247 ms (+23%)", GATE_HEADING, *HEADINGS_BELOW]
    assert seen_in(run)[1] == (
        "1 of 4 metrics regressed against 12 runs of the baseline (chance of a false alarm ≤ 1%); 2 unchanged, "
        "1 not judged (too few requests)."
    )
    assert table(run, "plausible range") == [
        ["🔴", "GET /v3/users p95", "200\u00a0ms", "247\u00a0ms", "+23%", "+17%\u00a0…\u00a0+31%"]
    ]
    assert table(run, "Would find")[:2] == [
        ["✗ regression", "GET /v3/users", "p95", "200 ms", "247 ms", "+23%", "+17% … +31%", "+12%", "▁▂▂▃▁▂▂▃▁▂▂▃█"],
        [
            "? inconclusive",
            "GET /v3/carts",
            "p95",
            "200 ms",
            "218 ms",
            "+9.0%",
            "+5.0% … +13%",
            "+12%",
            "▃▄▄▄▃▄▄▄▃▄▄▄▆",
        ],
    ]
    assert not [row for row in table(run, "Would find") if "failed requests" in row]
    assert table(run, "Moved the mean by") == [["GET /v3/users", "+12.3ms", "0ms", "0ms", "+12ms", "+300µs"]]
    assert table(run, "When")[0] == ["0b" * 20, "2026-11-14T01:02:03+00:00", "run-11"]
    text = seen_in(run)
    assert "Most of it: GET /v3/users, +12.3 of +14.1 ms in the mean, all of it waiting for the server." in text
    assert (
        "Against 12 runs from 2026-11-03 to 2026-11-14 (0000000…0b0b0b0) in .ciload/baseline.json; "
        "false alarms ≤ 1%, tolerance 10%."
    ) in text
    assert "? GET /v3/carts p95: too few requests" in text
    assert "Note: one run was left out" in text
    assert text[-1].endswith(
        "exit code 96 · 4f2a · ciload 0.1.0 · meant? ciload accept .ciload/baseline.json --reason REASON"
    )


def test_gates_that_found_nothing_are_told_at_the_top() -> None:
    """A run that passed without a baseline does not look like one that was compared."""
    missing = comparison(GateVerdict.MISSING, runs=[], reason="no such file")
    pairs = comparison(GateVerdict.OK, gated(), gate="side by side", against="http://old:8080", runs=[], blocks=10)
    text = seen_in(result(comparisons=[missing, pairs]))
    assert text[0] == "⚠️ load passed; nothing to compare with yet"
    assert text[1].startswith("1 of 1 metric unchanged against http://old:8080 in 10 pairs of blocks (chance")
    assert text[2] == "No such file."


def test_ten_rows_are_enough() -> None:
    """Those of all requests are the first; how many more there are is said."""
    slower = [gated(GateVerdict.REGRESSION, 0.3 + at / 100, endpoint=f"/{at}") for at in range(30)]
    overall = gated(GateVerdict.REGRESSION, 0.2, endpoint="", method="")
    run = result(comparisons=[comparison(GateVerdict.REGRESSION, *slower, overall)])
    found = table(run, "plausible range")
    assert [row[1] for row in found][:3] == ["all requests p95", "GET /29 p95", "GET /28 p95"]
    assert len(found) == 10
    assert "… and 21 more below" in seen_in(run)


def test_run_that_ended_before_its_load_has_a_summary() -> None:
    """Without a single measurement the summary is the reason, and no empty tables or charts."""
    stop = Failure(code=ExitCode.TARGET_NOT_READY, reason="the target did not answer within 60 s")
    run = result(
        scenarios=[], endpoints=[], checks=[], thresholds=[], metrics={}, timeline=[], options={}, verdict=verdict(stop)
    )
    assert headings(run) == ["❌ load: the target was never ready"]
    assert seen_in(run)[1:3] == ["The load never began.", "The target did not answer within 60 s."]
