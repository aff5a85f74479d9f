"""`ciload trends`, through the command line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ciload.cli import app
from ciload.gate.document import Baseline
from tests.gate.runs import START, stored_runs


def ciload(*args: object) -> Result:
    return CliRunner().invoke(app, ["trends", *map(str, args)])


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two copies of a baseline at different times; the newer one has lost what the older one still knows."""
    monkeypatch.chdir(tmp_path)
    runs = stored_runs([10.0] * 100)
    runs[-1] = runs[-1].model_copy(update={"accepted": False, "alarm": "worse"})
    Path("old.json").write_text(Baseline(runs=runs[:70]).to_json())
    Path("new.json").write_text(Baseline(runs=runs[60:]).to_json())


def test_a_page_of_all_runs() -> None:
    """Files are put together, and nothing is pruned; again is no trouble."""
    done = ciload("old.json", "new.json", "-o", "site")

    assert (done.exit_code, done.stdout) == (0, "site/index.html: 100 runs, 1 kind of runs, 1 open alarm\n")
    assert ciload("new.json", "-o", "site").stdout == "site/index.html: 40 runs, 1 kind of runs, 1 open alarm\n"
    assert str(int((START + timedelta(hours=99)).timestamp())) in Path("site/index.html").read_text()
    assert [each.name for each in Path("site").iterdir()] == ["index.html"]


def test_a_page_of_somebody_else_is_left_alone() -> None:
    """A folder of Pages may have one."""
    Path("site").mkdir()
    Path("site/index.html").write_text("<!doctype html><h1>Welcome")
    done = ciload("new.json", "-o", "site")

    assert (done.exit_code, "not of ciload's" in done.stderr) == (2, True)
    assert "Welcome" in Path("site/index.html").read_text()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["none.json"], 2, "there is no such file"),
        (["broken.json"], 97, "broken.json: is empty"),
        (["new.json", "--repository", "javascript:x"], 2, "--repository: write an address"),
        (["new.json", "-o", "new.json"], 2, "cannot be written"),
    ],
)
def test_what_goes_wrong_is_said(args: list[str], code: int, said: str) -> None:
    """With what to do, and no page."""
    Path("broken.json").touch()
    done = ciload(*args)

    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    assert not Path("ciload-trends").exists()
