"""What gates found, in words: true to the numbers, the important first, and the same in every format."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ciload.errors import ExitCode
from ciload.reports import comparison as words
from ciload.reports.console import console_summary
from ciload.reports.console_comparison import console_comparisons
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import Failure
from ciload.result.judgement import judge_comparisons
from tests.reports.results import (
    NASTY,
    comparison,
    contribution,
    earlier_run,
    gated,
    hostile,
    hostile_comparison,
    result,
    verdict,
)

SUSPICIOUS, UNSUSPICIOUS = GateVerdict.SUSPICIOUS, GateVerdict.UNSUSPICIOUS
REGRESSION, OK, INCONCLUSIVE, IMPROVED, MISSING = (
    GateVerdict.REGRESSION, GateVerdict.OK, GateVerdict.INCONCLUSIVE, GateVerdict.IMPROVED, GateVerdict.MISSING
)  # fmt: skip


def console(*comparisons: Comparison) -> list[str]:
    """The lines of the console's report, with runs of spaces as one."""
    return [" ".join(line.split()) for line in console_comparisons(comparisons, color=False).splitlines()]


# --- cells


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (None, words.NONE), (math.nan, words.NONE),
        (0.0, "+0.0%"), (-0.00001, "+0.0%"), (0.0416, "+4.2%"), (-0.0994, "-9.9%"),
        (0.09996, "+10%"), (0.234, "+23%"), (-0.5, "-50%"), (8.99, "+899%"), (9.0, "10 times"), (12.5, "14 times"),
        (998.9, "1,000 times"), (1.64e6, "over 1,000 times"), (math.inf, "over 1,000 times"), (-math.inf, words.NONE),
    ],
)  # fmt: skip
def test_changes_have_a_sign_and_no_more_digits_than_they_are_worth(change: float | None, text: str) -> None:
    """One decimal below 10%, none above, and a dash for what is not known."""
    assert words.change_cell(change) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(None, "ms", words.NONE), (math.nan, "share", words.NONE), (283.434, "ms", "283.43ms"), (0.0012, "share", "0.12%"),
     (0.0, "share", "0%"), (512.3, "/s", "512.3/s")],
)  # fmt: skip
def test_values_are_written_as_elsewhere(value: float | None, unit: str, text: str) -> None:
    """Shares are percentages; times and rates have their units."""
    assert words.value_cell(value, unit) == text


@pytest.mark.parametrize(
    ("history", "bars"),
    [([], ""), ([1.0], ""), ([5.0, 5.0], "▅▅"), ([0.0, 0.0], "▄▄"), ([1.0, 2.0, 8.0], "▁▂█"), ([math.nan, 1, 8], "▁█")],
)
def test_bars_follow_the_values(history: list[float], bars: str) -> None:
    """The lowest is short, the highest tall; a level course stays in the middle."""
    assert words.sparkline(history) == bars


def test_noise_does_not_look_like_mountains() -> None:
    """A range of 2% takes a step of the height at most, not all of it."""
    heights = [words.BARS.index(bar) for bar in words.sparkline([100.0, 101.0, 100.5, 102.0])]
    assert max(heights) - min(heights) <= 1


@given(st.lists(st.floats(), max_size=40))
def test_bars_hold_for_any_history(history: list[float]) -> None:
    """At most twenty bars, whatever the numbers are."""
    bars = words.sparkline(history)
    assert len(bars) <= words.MOST_BARS
    assert set(bars) <= set(words.BARS)


def test_triangles_point_where_an_improved_number_went() -> None:
    """Times get better downwards, rates upwards."""
    assert words.verdict_cell(gated(IMPROVED, -0.3)) == "▼ improved"
    assert words.verdict_cell(gated(IMPROVED, 0.3, metric="requests/s", unit="/s")) == "▲ improved"


def test_long_endpoints_lose_their_middle() -> None:
    """Two URLs of the same site differ at the end."""
    text = words.label(gated(endpoint="http://localhost:8080/" + "x" * 100 + "/detail"), 40)
    assert len(text) == 40
    assert text.startswith("GET http://")
    assert text.endswith("/detail")


# --- order


def test_regressions_come_first_and_the_worst_of_them_at_the_top() -> None:
    """Then what is inconclusive, improved and ok; all requests together before endpoints."""
    found = words.by_importance(
        [
            gated(OK, endpoint="/a"), gated(OK, endpoint="", method=""), gated(IMPROVED, -0.5), gated(REGRESSION, 0.2),
            gated(INCONCLUSIVE), gated(REGRESSION, 0.6, endpoint="/b"),
            gated(REGRESSION, -0.4, metric="requests/s", unit="/s", endpoint=""),
        ]
    )  # fmt: skip
    assert [(each.verdict, each.endpoint) for each in found] == [
        (REGRESSION, "/b"), (REGRESSION, ""), (REGRESSION, "/v3/users"), (INCONCLUSIVE, "/v3/users"),
        (IMPROVED, "/v3/users"), (OK, ""), (OK, "/a"),
    ]  # fmt: skip


def test_equal_reasons_are_told_once() -> None:
    """With the first metrics that have them, and how many more there are; not what stands in the heading."""
    metrics = [gated(INCONCLUSIVE, endpoint=f"/{number}", reason="too noisy") for number in range(5)]
    other = gated(INCONCLUSIVE, endpoint="/x", reason="too few requests")
    found = comparison(INCONCLUSIVE, *metrics, other, gated(OK), gated(INCONCLUSIVE, reason="only 2 runs"))
    assert words.fold_reasons(found.model_copy(update={"reason": "only 2 runs"})) == [
        ("GET /0 p95, GET /1 p95 and 3 more", "too noisy"),
        ("GET /x p95", "too few requests"),
    ]


# --- sentences


def test_runs_are_told_with_their_number_age_and_commits() -> None:
    """So that a gate that compares with next to nothing cannot hide it."""
    assert words.compared_with(comparison()) == (
        "against 12 runs from 2026-11-03 to 2026-11-14 (0000000…0b0b0b0) in .ciload/baseline.json"
    )
    one = comparison(runs=[earlier_run(commit=None)])
    assert words.compared_with(one) == "against 1 run of 2026-11-03 in .ciload/baseline.json"
    assert words.compared_with(comparison(runs=[])) == "against .ciload/baseline.json"
    pairs = comparison(gate="side by side", against="http://old:8080", runs=[], blocks=10)
    assert words.compared_with(pairs) == "against http://old:8080 in 10 pairs of blocks"


@pytest.mark.parametrize(
    ("found", "fresh", "text"),
    [(REGRESSION, 1, ""), (REGRESSION, 2, "confirmed with 1 rerun"), (OK, 3, "after 2 reruns")],
)
def test_reruns_are_told(found: GateVerdict, fresh: int, text: str) -> None:
    """They confirm a regression; another verdict came after them."""
    assert words.reruns(comparison(found, fresh=fresh)) == text


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (comparison(REGRESSION, gated(REGRESSION), gated()), "1 of 2 metrics got worse, more than noise explains"),
        (comparison(INCONCLUSIVE, gated(INCONCLUSIVE), gated()), "1 of 2 metrics could not be judged"),
        (comparison(INCONCLUSIVE, reason="only 2 runs"), "only 2 runs"),
        (comparison(IMPROVED, gated(IMPROVED)), "1 of 1 metrics got better, and no regression was found"),
        (comparison(OK, gated()), "none of 1 metrics got worse by 10% or more"),
        (
            comparison(SUSPICIOUS, gated(SUSPICIOUS), gated(), gated()),
            "1 of 3 metrics may have got worse, and one run alone cannot tell it from noise",
        ),
        (
            comparison(UNSUSPICIOUS, gated(UNSUSPICIOUS, detectable=0.22), gated()),
            "no sign that any of 2 metrics got worse (could have seen +22% of GET /v3/users p95)",
        ),
        (comparison(MISSING, runs=[], reason="no such file"), "no such file"),
        (comparison(MISSING, runs=[]), "nothing was compared"),
    ],
)
def test_verdicts_have_a_sentence(found: Comparison, sentence: str) -> None:
    """What the word means, with counts, or the reason that there is nothing to count."""
    assert words.finding(found) == sentence


def test_only_phases_that_matter_are_named() -> None:
    """The largest first; what is next to nothing beside it is left out."""
    moved = contribution(connecting_ms=0.01, sending_ms=0.0, waiting_ms=-1.0, receiving_ms=13.0)
    assert words.phases(moved) == [("receiving", 13.0), ("waiting", -1.0)]


# --- the console


def test_console_says_what_regressed_by_how_much_and_where_the_time_went() -> None:
    """Verdict, terms, the row with its interval and power, the reason of what is unknown, what moved, and notes."""
    lines = console(
        comparison(
            REGRESSION,
            gated(OK, -0.012, endpoint="", method="", metric="p50"),
            gated(INCONCLUSIVE, 0.09, endpoint="/v3/carts", reason="too few requests"),
            gated(REGRESSION, 0.234, low=0.17, high=0.31),
            mean_old=120.0, mean_new=134.1, contributions=[contribution()], fresh=3, notes=["one run was left out"],
        )
    )  # fmt: skip
    assert lines[1:] == [
        "REGRESSION GATE, AGAINST HISTORY ✗ REGRESSION 1 of 3 metrics got worse, more than noise explains",
        f"{words.compared_with(comparison())}; confirmed with 2 reruns; false alarms ≤ 1%, tolerance 10%",
        "old new change plausible range would find",
        "✗ regression GET /v3/users p95 200ms 246.8ms +23% +17% … +31% +12% ▁▂▂▃▁▂▂▃▁▂▂▃█",
        "? inconclusive GET /v3/carts p95 200ms 218ms +9.0% +5.0% … +13% +12% ▃▄▄▄▃▄▄▄▃▄▄▄▆",
        "✓ ok all requests p50 200ms 197.6ms -1.2% -5.2% … +2.8% +12% ▄▄▅▅▄▄▅▅▄▄▅▅▄",
        words.legend(comparison(OK, gated()).metrics),
        "? GET /v3/carts p95: too few requests",
        "what moved the mean time of all requests (120ms → 134.1ms, +14.1ms):",
        "· GET /v3/users +12.3ms (waiting +12ms, receiving +300µs)",
        "note: one run was left out",
    ]


def test_missing_baseline_is_loud() -> None:
    """A gate that compares with nothing says so in its heading, in the run's summary as well."""
    nothing = comparison(MISSING, runs=[], reason="cannot read b.json: no such file")
    heading = "REGRESSION GATE, AGAINST HISTORY ? NO BASELINE cannot read b.json: no such file"
    assert heading in console(nothing)
    summary = console_summary(result(comparisons=[nothing]), [], color=False)
    assert heading in [" ".join(line.split()) for line in summary.splitlines()]


def test_long_families_show_what_matters_and_count_the_rest() -> None:
    """All regressions and the rows of all requests are there; of the others a dozen."""
    kinds = [OK, OK, INCONCLUSIVE, REGRESSION]
    many = [gated(kinds[number % 4], endpoint=f"/things/{number}") for number in range(80)]
    overall = [gated(OK, endpoint="", method="", metric=metric) for metric in ("p50", "p95")]
    lines = console(comparison(REGRESSION, *many, *overall))
    starts = [line.split(" /")[0] for line in lines if line[:1] in "✗✓?" and " p" in line]
    assert starts.count("✗ regression GET") == 20
    assert starts.count("? inconclusive GET") == 12
    assert sum(line.startswith("✓ ok all requests") for line in lines) == 2
    assert "… and 48 more: 8 inconclusive, 40 ok" in lines


def test_both_gates_are_shown() -> None:
    """Against history and side by side each have their heading; without gates there is nothing."""
    pairs = comparison(OK, gated(history=[]), gate="side by side", against="http://old:8080", runs=[], blocks=10)
    lines = console(comparison(REGRESSION, gated(REGRESSION, 0.3)), pairs)
    headings = [line.partition("  ")[0] for line in lines if line.startswith("REGRESSION GATE")]
    assert [heading.split(" ")[2] for heading in headings] == ["AGAINST", "SIDE"]
    assert console_comparisons([], color=False) == ""


def test_what_moved_is_left_out_when_nothing_is_wrong() -> None:
    """Of a run as fast as ever nobody asks which endpoint was 0.1 ms slower."""
    assert not any("moved" in line for line in console(comparison(OK, gated(), contributions=[contribution()])))


def test_colours_of_comparisons_only_when_asked_for() -> None:
    """Logs stay free of escape sequences."""
    found = [comparison(REGRESSION, gated(REGRESSION, 0.3))]
    assert "\x1b[" not in console_comparisons(found, color=False)
    assert "\x1b[1;31m" in console_comparisons(found, color=True)


def test_every_reason_of_a_failed_run_is_told_or_counted() -> None:
    """Below FAILED stand the regression and ten others; how many more there are is said."""
    others = [Failure(code=ExitCode.MARKED_FAILED, reason=f"marked {number}") for number in range(20)]
    regressed = Failure(code=ExitCode.REGRESSION, reason="regression: GET /v3/users p95 +23%")
    text = console_summary(result(verdict=verdict(regressed, *others)), [], color=False)
    assert "FAILED (exit code 96)  load: regression: GET /v3/users p95 +23%" in text
    assert "also: fail_test(): marked 9\n    also: 10 more reasons in result.json" in text


@given(text=hostile, other=hostile)
@example(text="x".join(NASTY), other=" ".join(reversed(NASTY)))
@example(text="x" * 500 + " ::error::y " * 20, other="::error::")
def test_nothing_breaks_out_of_the_console(text: str, other: str) -> None:
    """Hostile text everywhere: as many lines as ever, none of which starts with it, and no control characters."""
    output = console_comparisons([hostile_comparison(text, other)], color=False)
    output.encode("utf-8")
    assert output.count("\n") == console_comparisons([hostile_comparison("a", "b")], color=False).count("\n")
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in output.replace("\n", ""))
    assert not any(line.lstrip().startswith("::") for line in output.split("\n"))


@given(st.floats(allow_nan=True), st.floats(allow_nan=True), st.sampled_from(["ms", "share", "/s"]))
def test_any_number_can_be_shown(value: float, change: float, unit: str) -> None:
    """A document from elsewhere may hold any number; a report is no place to fail."""
    metric: GatedMetric = gated(
        REGRESSION,
        change,
        old=value,
        new=value,
        unit=unit,
        low=change,
        high=None,
        detectable=change,
        history=[value] * 3,
    )
    found = comparison(REGRESSION, metric, mean_old=value, mean_new=change, contributions=[contribution("/", value)])
    assert "REGRESSION" in console_comparisons([found], color=False)


def test_undecided_metrics_are_counted_once() -> None:
    """Heading and warning say the same number: endpoints with too few requests are counted apart."""
    few = [gated(INCONCLUSIVE, endpoint=f"/{n}", decides=False, reason=f"{n} requests") for n in range(3)]
    unsure = [gated(INCONCLUSIVE, endpoint=f"/x{n}", reason=f"cannot tell {n}") for n in range(2)]
    found = comparison(INCONCLUSIVE, *few, *unsure, *[gated() for _ in range(8)], reason="")
    judged = judge_comparisons([found], "warn", "warn")
    said = "2 of 10 metrics could not be judged"
    assert words.finding(found) == f"{said}; 3 metrics with too few requests left out"
    assert [each.partition(": ")[2] for each in judged.warnings] == [said]
    assert words.counted(found.metrics) == "2 inconclusive, 8 ok, 3 with too few requests"
