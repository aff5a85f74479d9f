"""Which scripts are asked for: arguments, patterns, lines of a variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from ciload.cli.scripts import Scripts, asked_scripts, find_scripts
from ciload.errors import UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scripts, a helper, one below, and one whose name looks like a pattern."""
    monkeypatch.chdir(tmp_path)
    for name in ("loads/b.py", "loads/a.py", "loads/_helper.py", "loads/more/c.py", "loads/x[1].py", "loads/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    return tmp_path


def found(*asked: str) -> list[str]:
    return [str(each) for each in find_scripts(asked, "run").found]


def test_lines_of_the_variable_stand_in_for_arguments() -> None:
    """Paths may have blanks; what the command line says is all there is."""
    lines = {"CILOAD_SCRIPT": "\n a b.py \n# none\nloads/*.py\r\n"}
    assert asked_scripts((), lines) == ["a b.py", "loads/*.py"]
    assert asked_scripts(["c.py"], lines) == ["c.py"]
    assert asked_scripts((), {}) == []


@pytest.mark.parametrize(
    ("asked", "paths"),
    [
        (("loads/[ab].py",), ["loads/a.py", "loads/b.py"]),
        (("loads/b.py", "loads/[ab].py", "loads/b.py"), ["loads/b.py", "loads/a.py"]),
        (("loads/**/*.py",), ["loads/a.py", "loads/b.py", "loads/more/c.py", "loads/x[1].py"]),
        (("loads/x[1].py", "loads/a.py"), ["loads/x[1].py", "loads/a.py"]),
        (("http://h/a", "loads/a.py", "http://h/a"), ["h/a", "loads/a.py"]),
    ],
)
def test_patterns_become_files(asked: tuple[str, ...], paths: list[str]) -> None:
    """In order, each once; helpers are left out, and a file that is called like a pattern is that file."""
    assert found(*asked) == paths


def test_a_pattern_is_a_suite_even_if_it_finds_one_script() -> None:
    """What a test is called does not change with the number of its neighbours."""
    assert find_scripts(["loads/more/*.py"], "run") == Scripts((Path("loads/more/c.py"),), True)
    assert find_scripts(["loads/more/c.py"], "run") == Scripts((Path("loads/more/c.py"),), False)
    assert find_scripts(["loads/x[1].py"], "run").is_suite is False


def test_a_helper_that_is_named_alone_is_run() -> None:
    """Who names one script means it."""
    assert found("loads/_helper.py") == ["loads/_helper.py"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((), "which script?"),
        (("nothere/*.py",), "no script matches nothere/*.py"),
        (("loads/*.md",), "no script matches"),
        (("loads/_*.py",), "no script is left"),
        (("loads/a.py", "loads"), "script 2 of 2 is no file"),
        (("localhost:8000/x",), "write its whole URL"),
    ],
)
def test_nothing_found_is_wrong_usage(asked: tuple[str, ...], said: str) -> None:
    """A gate that has nothing to run is no gate."""
    with pytest.raises(UsageError, match=said.replace("*", r"\*").replace("?", r"\?")):
        find_scripts(asked, "run")
