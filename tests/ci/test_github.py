"""Step summary, outputs and annotations of a job in GitHub Actions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

from ciload.ci.github import SUMMARY_BYTES, annotate, append_outputs, append_summary, outputs_of
from ciload.ci.publish import publish
from ciload.result.comparison import GateVerdict
from ciload.result.document import CI, Failure, RunResult, ThresholdResult
from tests.ci.model import Command, RunnerModel
from tests.reports import results
from tests.reports.results import comparison, gated, hostile, hostile_comparison, judged, result, threshold, verdict
from tests.runner.reports import write_reports


def environment(folder: Path, **changes: str) -> dict[str, str]:
    return {
        "GITHUB_STEP_SUMMARY": str(folder / "step.md"), "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_WORKSPACE": str(folder),
    } | changes  # fmt: skip


def large(**changes: object) -> RunResult:
    names = [f"/{number}/{'名' * 150}" for number in range(1_000)]
    return result(
        endpoints=[results.endpoint(name) for name in names], checks=[results.check(name) for name in names], **changes
    )


# --- summary


def test_summary_is_added_to_what_stands_there(tmp_path: Path) -> None:
    """Several runs, and other tools, share a step's summary."""
    (tmp_path / "step.md").write_text("# Mine")
    assert append_summary(result(), tmp_path, environment(tmp_path)) == ""
    text = (tmp_path / "step.md").read_text(encoding="utf-8")
    assert text.startswith("# Mine\n\n## ✅ load passed: p95 283 ms")


@pytest.mark.parametrize("before", [0, 800_000, 1_000_000, 1_040_000, 1_047_000])
def test_summary_of_a_step_is_never_too_large(tmp_path: Path, before: int) -> None:
    """GitHub would drop all of it; what was left out is said, in the summary and in the log."""
    (tmp_path / "step.md").write_text("x" * before)
    said = [append_summary(large(), tmp_path, environment(tmp_path)) for _ in range(5)]
    assert before < (tmp_path / "step.md").stat().st_size <= SUMMARY_BYTES
    assert "summary.md has it all" in said[-1]
    assert "Shortened" in (tmp_path / "step.md").read_text()


def test_full_summary_is_left_alone_and_told(tmp_path: Path) -> None:
    """There is room for nothing, so nothing is written."""
    (tmp_path / "step.md").write_text("x" * SUMMARY_BYTES)
    assert "no room" in append_summary(result(), tmp_path, environment(tmp_path))
    assert (tmp_path / "step.md").stat().st_size == SUMMARY_BYTES


def test_shortened_summary_ends_at_rows(tmp_path: Path) -> None:
    """No row is cut, and the rows that are missing are counted."""
    (tmp_path / "step.md").write_text("x" * 1_000_000 + "\n")
    append_summary(large(), tmp_path, environment(tmp_path))
    text = (tmp_path / "step.md").read_text()
    assert all(line.endswith("|") for line in text.split("\n") if line.startswith("|"))
    assert re.search(r"… and [\d,]+ more", text)


# --- outputs


def read_outputs(path: Path) -> dict[str, str]:
    """As the runner reads them."""
    found, lines = {}, iter(path.read_text(encoding="utf-8").split("\n"))
    for line in lines:
        name, delimiter, end = line.partition("<<")
        if not delimiter:
            assert not line
            continue
        value = []
        while (part := next(lines)) != end:
            value.append(part)
        found[name] = "\n".join(value)
    return found


def test_outputs_are_what_later_steps_ask_for(tmp_path: Path) -> None:
    """Numbers without units, and paths that hold in the workspace."""
    folder = tmp_path / "sub" / "out"
    folder.mkdir(parents=True)
    run = result(comparisons=[comparison(GateVerdict.REGRESSION, gated(GateVerdict.REGRESSION, 0.3)), comparison()])
    files = write_reports(folder, run)
    append_outputs(outputs_of(run, 99, folder, files, environment(tmp_path)), environment(tmp_path))
    assert read_outputs(tmp_path / "output") == {
        "verdict": "failed", "exit-code": "99", "p95": "283.43", "rate": "16.6667", "error-rate": "0",
        "gate": "regression", "results": "sub/out", "result-json": "sub/out/result.json",
        "junit": "sub/out/junit.xml", "summary": "sub/out/summary.md",
        "load-performance": "sub/out/load-performance.json", "metrics": "sub/out/metrics.txt",
        "final-status": "sub/out/final-status.xml",
    }  # fmt: skip


def test_run_without_measurements_has_empty_outputs(tmp_path: Path) -> None:
    """Empty is not zero."""
    found = outputs_of(result(metrics={}), 107, tmp_path, [], {})
    assert (found["p95"], found["rate"], found["error-rate"], found["gate"]) == ("", "", "", "")


@given(text=hostile)
def test_no_value_sets_another_output(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """A folder's name may have line breaks in it."""
    folder = tmp_path_factory.mktemp("outputs")
    value = f"{text}\nverdict=passed\nverdict<<x\npassed\nx\nEOF"
    append_outputs({"results": value, "verdict": "failed"}, environment(folder))
    found = read_outputs(folder / "output")
    assert set(found) == {"results", "verdict"}
    assert found["verdict"] == "failed"


# --- annotations


def commands(run: RunResult, folder: Path) -> list[Command]:
    runner = RunnerModel()
    runner.read(*annotate(run, environment(folder)))
    assert runner.text == []
    return runner.commands


def failed(number: int = 1, **changes: object) -> list[ThresholdResult]:
    return [threshold(900.0, passed=False, metric=f"m{each}", where=f"load.py:{each + 3}") for each in range(number)]


def test_threshold_is_shown_on_the_line_that_declares_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the file's path from the workspace on, wherever the step was."""
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path / "tests")
    thresholds = failed()
    [(level, properties, text)] = commands(result(thresholds=thresholds, verdict=judged(thresholds)), tmp_path)
    assert (level, properties["file"], properties["line"]) == ("error", "tests/load.py", "3")
    assert properties["title"] == "load: p(95) of m0 is 900 ms, limit 500 ms"
    assert text == "m0: p(95) is 900ms, the threshold is p(95)<500 (ms)"


def test_worst_comes_first_and_ten_are_enough(tmp_path: Path) -> None:
    """GitHub shows ten of a level: nine, and how many more there are."""
    thresholds = failed(30)
    judgement = judged(thresholds, marked_failed=["orders got lost"])
    found = commands(result(thresholds=thresholds, verdict=judgement), tmp_path)
    assert (found[0][1]["title"], found[0][2]) == (
        "load: fail_test(): orders got lost",
        "orders got lost (exit code 110)",
    )
    assert found[9][2] == "… and 22 more: the job summary has them all"
    assert len(found) == 10


def test_script_error_is_shown_at_the_line_that_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the top of the script, where nobody would look."""
    monkeypatch.chdir(tmp_path)
    trace = 'Traceback (most recent call last):\n  File "load.py", line 12, in default\n    user["name"]\n'
    run = result(errors=[results.error(detail=trace)], verdict=judged([], script_errors=3))
    [(level, properties, text)] = commands(run, tmp_path)
    assert (level, properties["file"], properties["line"]) == ("error", "load.py", "12")
    assert properties["title"] == "load: load.py:12 raised KeyError: 'name'"
    assert text == "the script raised 3 times (exit code 107)"


def test_warnings_are_warnings(tmp_path: Path) -> None:
    """A threshold that only warns has its own line, other warnings that of the script."""
    thresholds = [threshold(900.0, passed=False, severity="warn", where="load.py:9")]
    found = commands(
        result(thresholds=thresholds, verdict=judged(thresholds, warnings=["generator was busy"])), tmp_path
    )
    assert [(level, properties.get("line"), text.partition(";")[0]) for level, properties, text in found] == [
        ("warning", "9", "http_req_duration: p(95) is 900ms, the threshold is p(95)<500 (ms)"),
        ("warning", None, "generator was busy"),
    ]


def test_each_regression_is_an_annotation(tmp_path: Path) -> None:
    """What got worse, by how much, against what; what is fine is not mentioned."""
    worse = [gated(GateVerdict.REGRESSION, change, endpoint=f"/{change}") for change in (0.2, 0.5)]
    gate = comparison(GateVerdict.REGRESSION, *worse, gated())
    found = commands(
        result(comparisons=[gate], verdict=verdict(Failure(code=96, reason="regression", comparison=0))), tmp_path
    )
    assert [re.search(r"/0\.\d", text)[0] for _, _, text in found] == ["/0.5", "/0.2"]  # type: ignore[index]
    assert found[0][1]["title"] == "load: GET /0.5 slower, p95 200 → 300 ms (+50%)"


def test_mistakes_in_options_are_shown_at_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, each on its own line."""
    monkeypatch.chdir(tmp_path)
    reason = "load.py:3: unknown option 'vsu'\nciload.yaml:12: rate: nonsense"
    found = commands(result(verdict=verdict(Failure(code=104, reason=reason))), tmp_path)
    assert [(each[1]["file"], each[1]["line"], each[2]) for each in found] == [
        ("load.py", "3", "unknown option 'vsu'"), ("ciload.yaml", "12", "rate: nonsense"),
    ]  # fmt: skip


@given(text=hostile, other=hostile)
def test_nothing_breaks_out_of_an_annotation(tmp_path_factory: pytest.TempPathFactory, text: str, other: str) -> None:
    """One command for each finding, with our properties only."""
    thresholds = [threshold(None, metric=text, where=f"{other}:7")]
    run = result(
        name=text, thresholds=thresholds, comparisons=[hostile_comparison(text, other)],
        verdict=verdict(
            Failure(code=99, reason="x", threshold=0), Failure(code=96, reason=text, comparison=0),
            Failure(code=110, reason=f"{text}\n{other}"), warnings=(other,),
        ),
    )  # fmt: skip
    found = commands(run, tmp_path_factory.getbasetemp())
    assert [each[0] for each in found] == ["error"] * 3 + ["warning"]
    assert all(set(each[1]) <= {"file", "line", "title"} for each in found)
    assert all("\x1b" not in each[2] and "\r" not in each[2] for each in found)


def test_megabytes_of_text_are_a_few_lines(tmp_path: Path) -> None:
    """An error page of 10 MB is no annotation of 10 MB."""
    text = ("x" * 1_000 + "\n") * 10_000
    [(_, _, shown)] = commands(result(verdict=verdict(Failure(code=110, reason=text))), tmp_path)
    assert len(shown) < 12_000
    assert "more lines" in shown


# --- all of it


def test_what_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    """In a container without these files, or with files of root's, the verdict is what counts."""
    run = result(ci=CI(provider="github"))
    files = write_reports(tmp_path, run)
    said = publish(run, files, tmp_path, {}, nothing, exit_code=0).said
    assert [each.partition(" is not set")[0] for each in said] == [
        "warning: GITHUB_STEP_SUMMARY", "warning: GITHUB_OUTPUT",
    ]  # fmt: skip
    nowhere = environment(tmp_path / "nowhere")
    said = publish(run, files, tmp_path, nowhere, nothing, exit_code=0).said
    assert all("cannot write there: No such file" in each for each in said)
    assert len(said) == 2


def nothing(_: str) -> Path:
    """No comment was asked for."""
    raise AssertionError("a comment was written")
