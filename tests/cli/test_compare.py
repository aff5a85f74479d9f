"""`ciload compare` and `ciload calibrate`: what they read, print and exit with."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ciload.cli import app
from ciload.gate.document import Baseline
from ciload.result.document import BlockRow, Blocks, OldArm, Phases, RunResult
from tests.gate.runs import START, endpoint, fingerprint, stored_runs
from tests.reports.results import distribution, metrics, result

QUIET = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 100.7]


def ciload(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


def a_result(p95: float, number: int = 0, **changes: Any) -> RunResult:
    measured = metrics()
    trend = measured["http_req_duration"].model_copy(update={"trend": distribution(p95)})
    facts = {
        "run_id": f"run-{number}", "metrics": measured | {"http_req_duration": trend}, "fingerprint": fingerprint(),
        "phases": Phases(connecting=0, sending=0, waiting=50.0, receiving=0),
    }  # fmt: skip
    return result(**facts | changes)


def write(folder: Path, name: str, document: RunResult | str) -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else document.to_json(), encoding="utf-8")
    return path


def history(folder: Path, p95s: Sequence[float] = QUIET) -> list[Path]:
    return [write(folder, f"old-{n}.json", a_result(p95, n)) for n, p95 in enumerate(p95s)]


def new(folder: Path, p95: float, **changes: Any) -> Path:
    return write(folder, "new.json", a_result(p95, 100, **changes))


def side_by_side(factor: float) -> RunResult:
    arms: list[tuple[Any, list[Any]]] = [
        ("new", [factor * (50.0 + n % 5 / 10) for n in range(12)]),
        ("old", [50.0] * 12),
    ]
    rows = [
        BlockRow(
            arm=arm, name="", requests=[200] * 12, failed=[0] * 12, avg=times, p50=times, p95=times
        )
        for arm, times in arms
    ]  # fmt: skip
    old = OldArm(
        url="http://old.test", iterations=9, script_errors=0, requests=2_400, failed=0, duration=distribution(100.0),
        phases=None, endpoints=[],
    )  # fmt: skip
    return a_result(100.0 * factor, 100, old_arm=old, blocks=Blocks(span_s=1.0, count=12, rows=rows))


class TestVerdicts:
    def test_a_regression_exits_96(self, tmp_path: Path) -> None:
        """The last file is judged by those before it."""
        done = ciload("compare", *history(tmp_path), new(tmp_path, 150.0))

        assert done.exit_code == 96
        assert "REGRESSION" in done.stdout
        assert "p95" in done.stdout
        assert "\n  ✗ load: slower, p95 100 → 150 ms (+50%)\n" in done.stdout
        assert "ciload accept" not in done.stdout  # results are no baseline

    def test_no_regression_exits_0(self, tmp_path: Path) -> None:
        """A run like the others passes, quietly."""
        done = ciload("compare", *history(tmp_path), new(tmp_path, 100.0))

        assert (done.exit_code, done.stderr) == (0, "")
        assert "OK" in done.stdout
        assert "\n  ✓ load: no slower than " in done.stdout

    def test_one_run_each_has_a_change_and_no_verdict(self, tmp_path: Path) -> None:
        """Two files alone do not tell noise from news; only those who ask for it fail on that."""
        files = [*history(tmp_path, [100.0]), new(tmp_path, 150.0)]

        done = ciload("compare", *files)
        assert done.exit_code == 0
        assert "one run each: it takes 3 earlier ones to know how much runs differ" in done.stderr
        assert "one run each" in done.stdout
        assert "+50%" in done.stdout
        assert ciload("compare", *files, "--on-inconclusive", "fail").exit_code == 97
        assert ciload("compare", *files, "--on-inconclusive", "pass").stderr == ""

    def test_one_run_each_begins_with_the_plain_difference(self, tmp_path: Path) -> None:
        """Old and new values first, once; then that nobody can tell whether it is noise."""
        done = ciload("compare", *history(tmp_path, [100.0]), new(tmp_path, 14_900.0))
        rows = [" ".join(line.split()) for line in done.stdout.splitlines()]

        assert rows[1].startswith("DIFFERENCE ")
        for row in ("all requests mean 50ms 7.45s 149 times", "p95 100ms 14.9s 149 times"):
            assert row in rows
        assert not any(row.startswith("failed ") for row in rows)  # none has, before or after
        assert any(row.startswith("requests/s 16.67/s") for row in rows)
        assert done.stdout.index("DIFFERENCE") < done.stdout.index("INCONCLUSIVE")
        assert done.stdout.count("14.9s") == 1
        assert "%" not in "".join(row for row in rows if "149 times" in row)

    def test_runs_that_cannot_be_compared_have_a_difference(self, tmp_path: Path) -> None:
        """Two machines, or two loads: the numbers are shown, and that they are no comparison."""
        other = new(tmp_path, 150.0, fingerprint=fingerprint(runner="other"))
        done = ciload("compare", *history(tmp_path, [100.0]), other)

        assert "+50%" in done.stdout
        assert "no run on this class of machine yet" in done.stdout

    def test_json_has_no_difference(self, tmp_path: Path) -> None:
        """Whoever reads JSON has the files."""
        done = ciload("compare", *history(tmp_path, [100.0]), new(tmp_path, 150.0), "--json")

        assert [each["verdict"] for each in json.loads(done.stdout)] == ["inconclusive"]

    def test_the_same_file_again_is_no_further_run(self, tmp_path: Path) -> None:
        """Three copies of one run do not tell how much runs differ."""
        done = ciload("compare", *history(tmp_path, [100.0]) * 3, new(tmp_path, 150.0))

        assert done.exit_code == 0
        assert "one run each" in done.stdout

    def test_runs_of_another_kind_are_no_baseline(self, tmp_path: Path) -> None:
        """Results of another machine are not compared, and the reason is printed."""
        files = [*history(tmp_path), new(tmp_path, 150.0, fingerprint=fingerprint(runner="other"))]

        done = ciload("compare", *files)
        assert done.exit_code == 0
        assert "no run on this class of machine yet" in done.stdout
        assert ciload("compare", *files, "--on-missing-baseline", "fail").exit_code == 97

    def test_the_terms_can_be_set(self, tmp_path: Path) -> None:
        """Percentages and shares both work; a tolerance of 100% lets half as much again pass."""
        files = [*history(tmp_path), new(tmp_path, 150.0)]

        assert ciload("compare", *files, "--tolerance", "100%").exit_code == 0
        assert ciload("compare", *files, "--tolerance", "0.1", "--false-alarm", "0.05").exit_code == 96

    def test_as_json(self, tmp_path: Path) -> None:
        """`--json` prints the documents and nothing else."""
        done = ciload("compare", *history(tmp_path), new(tmp_path, 150.0), "--json")

        (comparison,) = json.loads(done.stdout)
        assert (comparison["gate"], comparison["verdict"]) == ("history", "regression")
        assert comparison["metrics"][1]["change"] == pytest.approx(0.5, abs=0.01)

    def test_two_targets_are_compared_again(self, tmp_path: Path) -> None:
        """A result that holds blocks of two targets needs no other file."""
        done = ciload("compare", write(tmp_path, "new.json", side_by_side(1.3)), "--json")

        assert done.exit_code == 96
        assert [(each["gate"], each["verdict"]) for each in json.loads(done.stdout)] == [("side by side", "regression")]

    def test_a_baseline_file(self, tmp_path: Path) -> None:
        """With --baseline, the stored runs are the history."""
        runs = stored_runs([40.0, 40.2, 39.8, 40.1, 39.9, 40.0], at=START - timedelta(days=400))
        file = tmp_path / "baseline.json"
        file.write_text(Baseline(runs=runs).model_dump_json(by_alias=True), encoding="utf-8")

        assert ciload("compare", new(tmp_path, 150.0), "--baseline", file).exit_code == 96
        assert ciload("compare", new(tmp_path, 80.0), "--baseline", file).exit_code == 0

    def test_a_baseline_that_is_not_there_is_missing(self, tmp_path: Path) -> None:
        """The first run of a project has no baseline, which is a verdict and no error."""
        files = (new(tmp_path, 150.0), "--baseline", tmp_path / "none.json")

        assert ciload("compare", *files).exit_code == 0
        assert ciload("compare", *files, "--on-missing-baseline", "fail").exit_code == 97


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ([], "compare with what?"),
            (["--tolerance", "lots", "--baseline", "b.json"], "--tolerance: "),
            (["--false-alarm", "90%", "--baseline", "b.json"], "--false-alarm: "),
            (["--on-inconclusive", "maybe", "--baseline", "b.json"], "--on-inconclusive: "),
        ],
    )
    def test_flags_that_make_no_sense_exit_2(self, tmp_path: Path, flags: list[str], message: str) -> None:
        """Wrong usage is named."""
        done = ciload("compare", new(tmp_path, 100.0), *flags)

        assert done.exit_code == 2
        assert message in done.stderr

    def test_a_baseline_and_old_results_are_too_much(self, tmp_path: Path) -> None:
        """Either the files are the history, or the baseline is."""
        assert ciload("compare", *history(tmp_path), new(tmp_path, 1.0), "--baseline", "b.json").exit_code == 2

    def test_a_file_that_is_not_there_exits_2(self, tmp_path: Path) -> None:
        """A misspelt name is wrong usage."""
        done = ciload("compare", tmp_path / "none.json", new(tmp_path, 1.0))

        assert done.exit_code == 2
        assert "there is no such file" in done.stderr


def without_bounds(document: RunResult, **changes: Any) -> str:
    return json.dumps(json.loads(document.to_json()) | changes)


class TestHostileFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is no result of this ciload"),
            ("[]", "is no result of this ciload"),
            ("[" * 100_000, "is no result of this ciload"),
            (without_bounds(a_result(1.0), schema="ciload/result/9"), "is no result of this ciload: schema: "),
            (without_bounds(a_result(1.0), **{"\x1b[31mevil\n": 1}), "is no result of this ciload"),
            (a_result(1.0).to_json().replace('"cpu_s": 12.6', '"cpu_s": NaN'), "numbers that are infinite, or none"),
            (a_result(1.0).to_json().replace('"cpu_s": 12.6', '"cpu_s": 1e999'), "numbers that are infinite, or none"),
            (a_result(1.0).to_json().replace('"passes": 0', '"passes": -1'), "failed"),
            (a_result(-1.0).to_json(), "avg: Input should be greater"),
            (a_result(1e300).to_json(), "avg: Input should be less"),
            (without_bounds(a_result(1.0), run_id=""), "run_id"),
            (a_result(1.0).to_json().replace("2026-01-02T03", "someday"), "someday"),
        ],
    )  # fmt: skip
    def test_what_is_no_result_exits_97_with_its_place(self, tmp_path: Path, text: str, message: str) -> None:
        """A file from a cache that anybody may have written is an error in one line, and nothing else."""
        done = ciload("compare", write(tmp_path, "old.json", text), new(tmp_path, 100.0))

        assert done.exit_code == 97
        assert message in done.stderr
        assert "old.json" in done.stderr
        assert (done.stderr.count("\n"), "\x1b" in done.stderr, done.stdout) == (1, False, "")

    def test_a_huge_file_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        """What is larger than any result is refused before it is parsed."""
        huge = tmp_path / "huge.json"
        with huge.open("wb") as file:
            file.truncate(65 << 20)

        done = ciload("compare", huge, new(tmp_path, 1.0))
        assert done.exit_code == 97
        assert "larger than the 64 MiB" in done.stderr

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        """What cannot be read is told without a traceback."""
        assert ciload("compare", tmp_path, new(tmp_path, 1.0)).exit_code == 97

    @pytest.mark.parametrize("change", [{"requests": [-1] * 12}, {"failed": [999] * 12}, {"p50": [-1.0] * 12}])
    def test_impossible_blocks_are_refused(self, tmp_path: Path, change: dict[str, Any]) -> None:
        """Arithmetic never sees negative counts."""
        good = side_by_side(1.3)
        assert good.blocks is not None
        rows = [row.model_copy(update=change) for row in good.blocks.rows]
        bad = good.model_copy(update={"blocks": good.blocks.model_copy(update={"rows": rows})})

        assert ciload("compare", write(tmp_path, "new.json", bad)).exit_code == 97


class TestCalibrate:
    def test_tables_of_a_baseline(self, tmp_path: Path) -> None:
        """Promises, alarms and what can be found are printed for each kind of run."""
        p50s = [10 * math.exp(0.05 * math.sin(n * n)) for n in range(12)]
        hostile = endpoint("/[red]x[/red]\x1b[31m\n::error::")
        file = tmp_path / "baseline.json"
        file.write_text(
            Baseline(runs=stored_runs(p50s, endpoints=[hostile, endpoint("/b")])).model_dump_json(by_alias=True),
            encoding="utf-8",
        )

        done = ciload("calibrate", file)

        assert done.exit_code == 0
        assert "12 RUNS" in done.stdout
        assert "promised: 1.0% of unchanged runs" in done.stdout
        assert "0 of 12" in done.stdout
        assert "RECOMMENDED" in done.stdout
        assert "tolerance: " in done.stdout
        assert "side by side (--compare-url): " in done.stdout
        assert "(90% interval 0.0% to 22.1%)" in done.stdout
        assert "[red]x[/red]" in done.stdout
        assert "\x1b" not in done.stdout
        assert not any(line.startswith("::") for line in done.stdout.splitlines())

    def test_a_baseline_without_enough_runs_says_so(self, tmp_path: Path) -> None:
        """Three runs are nothing to leave one out of."""
        file = tmp_path / "baseline.json"
        file.write_text(
            Baseline(runs=stored_runs([1.0, 2.0, 3.0], at=START + timedelta(1))).model_dump_json(by_alias=True)
        )

        assert "no kind of run has 4 accepted runs yet" in ciload("calibrate", file).stdout

    def test_no_baseline_exits_97(self, tmp_path: Path) -> None:
        """There is nothing to calibrate without a file."""
        assert ciload("calibrate", tmp_path / "none.json").exit_code == 97
