"""`ciload baseline` and `ciload accept`, through the command line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ciload.cli import app
from ciload.gate.document import Baseline
from ciload.gate.store import read_baseline
from tests.gate.runs import START, fingerprint, stored_runs


def ciload(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def shifted() -> Baseline:
    runs = stored_runs([10.0, 10.0, 20.0, 20.0, 20.0])
    alarms = [run.model_copy(update={"accepted": False, "alarm": "worse"}) for run in runs[2:]]
    return Baseline(runs=[*runs[:2], *alarms])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "base.json"
    path.write_text(shifted().to_json())
    return path


def test_show_lists_runs_and_the_shift(file: Path) -> None:
    """Each run has a row with its state, and a shifted level says what to do."""
    result = ciload("baseline", "show", file)
    assert result.exit_code == 0
    for text in ("run-1", "2026-11-02 09:30", "01234567", "main", "accepted", "alarm: worse", "20ms", "1,000"):
        assert text in result.stdout
    assert "the last 3 runs are all worse" in result.stdout


def test_accept_moves_the_level(file: Path) -> None:
    """Accepting says which runs, and how far the level moved; it is then in the file and in `show`."""
    result = ciload("accept", file, "--reason", "new index", "--by", "ann")
    assert result.exit_code == 0, result.stderr
    assert "run-3" in result.stdout
    assert "p50 10ms → 20ms (+100.0%)" in result.stdout
    saved = read_baseline(str(file))
    assert saved is not None
    assert all(run.accepted for run in saved.runs)
    assert "level 2 accepted by ann" in ciload("baseline", "show", file).stdout
    again = ciload("accept", file, "--reason", "again")
    assert (again.exit_code, "nothing to accept" in again.stderr) == (2, True)


def test_show_says_which_alarms_count(tmp_path: Path) -> None:
    """An alarm that ended by itself has a level again, and one that has not has none."""
    runs = stored_runs([10.0, 14.0, 10.0, 14.0])
    runs[1::2] = [run.model_copy(update={"accepted": False, "alarm": "worse"}) for run in runs[1::2]]
    path = tmp_path / "baseline.json"
    path.write_text(Baseline(runs=runs).to_json(), encoding="utf-8")

    rows = [row.split() for row in ciload("baseline", "show", path).stdout.splitlines() if " run-" in row]
    states = {row[0]: " ".join(row[5:9]) for row in rows}
    assert states["run-2"].startswith("1 alarm: worse, counts")
    assert states["run-4"].startswith("alarm: worse")


def test_accept_says_what_it_left_out(tmp_path: Path) -> None:
    """An alarm that is no part of the new level is named, with the reason."""
    p50s = [10.0, 10.1, 9.9, 10.05, 9.95, 10.0, 10.1, 9.9, 13.5, 11.9, 12.0, 12.1]
    runs = stored_runs(p50s)
    runs[8:] = [run.model_copy(update={"accepted": False, "alarm": "worse"}) for run in runs[8:]]
    path = tmp_path / "baseline.json"
    path.write_text(Baseline(runs=runs).to_json(), encoding="utf-8")

    said = ciload("accept", path, "--reason", "moved", "--by", "ann").stdout
    assert "left out: run-9 of 2026-11-02 17:30, worse: it is far from the other runs of the new level" in said


def test_accepting_from_one_run_on(file: Path) -> None:
    """--run leaves earlier alarms alone."""
    assert ciload("accept", file, "--reason", "new index", "--run", "run-4").exit_code == 0
    saved = read_baseline(str(file))
    assert saved is not None
    assert [run.accepted for run in saved.runs] == [True, True, False, True, True]


def test_who_accepts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --by it is the user of the CI job."""
    monkeypatch.setenv("GITHUB_ACTOR", "octocat")
    ciload("accept", file, "--reason", "new index")
    saved = read_baseline(str(file))
    assert saved is not None
    assert saved.acceptances[0].by == "octocat"


def test_a_reason_is_needed(file: Path) -> None:
    """A level without a reason would be a riddle."""
    before = file.read_bytes()
    assert ciload("accept", file).exit_code == 2
    assert ciload("accept", file, "--reason", " ").exit_code == 2
    assert file.read_bytes() == before


def test_prune_and_merge(file: Path, tmp_path: Path) -> None:
    """Merging adds the runs of other files, pruning leaves the newest."""
    other = tmp_path / "new.json"
    assert "5 runs" in ciload("baseline", "merge", other, file).stdout
    assert "3 runs removed, 2 left" in ciload("baseline", "prune", other, "--keep", "1").stdout
    assert ciload("baseline", "prune", other, "--keep", "0").exit_code == 2


@pytest.mark.parametrize(
    "args",
    [
        ("baseline", "show", "F"),
        ("baseline", "prune", "F"),
        ("baseline", "merge", "F", "F"),
        ("accept", "F", "--reason", "x"),
    ],
)
def test_exit_codes(args: tuple[str, ...], tmp_path: Path) -> None:
    """A missing file is wrong usage and is not made; a broken one is 97 and stays as it is."""
    path = tmp_path / "base.json"
    command = [str(path) if arg == "F" else arg for arg in args]
    missing = ciload(*command)
    assert (missing.exit_code, path.exists()) == (2, False)
    path.write_text("broken")
    broken = ciload(*command)
    assert (broken.exit_code, path.read_text()) == (97, "broken")
    assert len(broken.stderr.splitlines()) == 1


def test_hostile_text_is_shown_harmlessly(tmp_path: Path) -> None:
    """Control characters do not reach the terminal, and markup is only text."""
    evil = "[red]\x1b[2J\x9b\u202e\n"
    runs = stored_runs(
        [10.0], run_id=evil, branch=evil, commit=evil, tainted=[evil], fingerprint=fingerprint(target=evil)
    )
    path = tmp_path / "base.json"
    path.write_text(Baseline(runs=runs).to_json())
    out = ciload("baseline", "show", path).stdout
    assert "[red]" in out
    assert not any(character in out for character in "\x1b\x9b\u202e")


def test_export_writes_the_newest_kind(tmp_path: Path) -> None:
    """Runs that cannot be compared are no series together: what is left out is said, and can be asked for."""
    path = tmp_path / "baseline.json"
    ours = stored_runs([10.0, 20.0])
    others = [
        run.model_copy(update={"fingerprint": fingerprint(runner="arm"), "run_id": f"arm-{run.run_id}"})
        for run in stored_runs([50.0], at=START + timedelta(days=1))
    ]
    path.write_text(Baseline(runs=[*ours, *others]).to_json())
    newest = ciload("baseline", "export", path)
    older = ciload("baseline", "export", path, "--kind", "1", "-o", tmp_path / "out.csv")

    assert [line.split(",")[3] for line in newest.stdout.splitlines()] == ["run", "arm-run-1"]
    assert "left out: --kind 1, 2 runs of sha256:5a1e" in newest.stderr
    assert (older.exit_code, older.stdout) == (0, "")
    assert [line.split(",")[3] for line in (tmp_path / "out.csv").read_text().splitlines()] == ["run", "run-1", "run-2"]
    assert ciload("baseline", "export", path, "--kind", "3").exit_code == 2
