"""Scripts are run once, and what is wrong with them is said before anything else happens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ciload.errors import OptionsError, ScriptError, UsageError
from ciload.metrics.metric import Kind
from ciload.metrics.registry import Registry
from ciload.script.loader import Script, load_script


def script(folder: Path, text: str, registry: Registry | None = None) -> Script:
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    return load_script(path, registry or Registry())


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(OptionsError) as caught:
        script(folder, text)
    return str(caught.value)


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    """The message names those that are."""
    (tmp_path / "shop.py").touch()
    with pytest.raises(UsageError, match=r"nowhere\.py: no such script; scripts in .*: shop\.py"):
        load_script(tmp_path / "nowhere.py", Registry())


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    """Python alone."""
    (tmp_path / "script.js").write_text("export default function () {}")
    with pytest.raises(UsageError, match=r"must end in \.py"):
        load_script(tmp_path / "script.js", Registry())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_top_level_that_raises(tmp_path: Path, text: str, said: str) -> None:
    """The script's own traceback, without ciload's frames."""
    with pytest.raises(ScriptError) as caught:
        script(tmp_path, text)
    assert said in str(caught.value)
    assert "script.py" in str(caught.value)
    assert "loader.py" not in str(caught.value)


def test_a_script_may_import_its_neighbours(tmp_path: Path) -> None:
    """As Python's own scripts can."""
    (tmp_path / "ciload_test_neighbour.py").write_text("ANSWER = 42\n")
    loaded = script(tmp_path, "from ciload_test_neighbour import ANSWER\nasync def default(): ...\n")
    assert loaded.names["ANSWER"] == 42


def test_metrics_of_the_top_level_are_declared(tmp_path: Path) -> None:
    """So that thresholds on them can be checked before the run."""
    registry = Registry()
    script(tmp_path, "from ciload import Trend\nslow = Trend('Slow ones', unit='ms')\n", registry)
    assert registry.metrics["Slow ones"].kind is Kind.TREND


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def setup():\n    yield\n", "script.py:1: `setup` is a generator; write it without yield"),
        ("\nasync def vu_start(vu, data, page): ...\n", "script.py:2: `vu_start` asks for page"),
        ("async def setup(data): ...\n", "`setup` asks for data; a function may take `vu`"),
        ("async def teardown(result): ...\n", "`teardown` asks for result"),
        ("def handle_summary(data): ...\n", "`handle_summary` asks for data; a function may take `result`"),
        ("handle_summary = 3\n", "`handle_summary` is not a function"),
        ("vu_stop = 3\n", "`vu_stop` is not a function"),
        ("options = [1]\n", "`options` must be a dict with text keys"),
        ("options = {1: 2}\n", "`options` must be a dict with text keys"),
    ],
)
def test_a_lifecycle_that_cannot_be_called(tmp_path: Path, text: str, said: str) -> None:
    """It is found when the script is loaded, not after the load."""
    assert said in complaint(tmp_path, text)


def test_all_of_it_is_told_at_once(tmp_path: Path) -> None:
    """One round of mending is enough."""
    text = complaint(tmp_path, "setup = 1\nteardown = 2\noptions = 3\n")
    assert all(each in text for each in ("setup", "teardown", "options"))


def call(loaded: Script, name: str) -> object:
    """What a function answers that is given a "v" and a "d"."""
    return asyncio.run(loaded.function(name).bind(vu="v", data="d")())


def test_arguments_come_by_name_in_any_order(tmp_path: Path) -> None:
    """A function takes what it asks for; parameters with defaults are its own."""
    loaded = script(
        tmp_path,
        "async def default(data, vu): return data, vu\nasync def bare(): return ()\n"
        "async def own(vu, page=3, *rest, **more): return vu, page\nasync def named(*, vu, data): return vu, data\n"
        "async def first(vu, /, *, data): return vu, data\nasync def behind(page=3, vu=None): return page, vu\n",
    )
    assert call(loaded, "default") == ("d", "v")
    assert call(loaded, "bare") == ()
    assert call(loaded, "own") == ("v", 3)
    assert call(loaded, "named") == ("v", "d")
    assert call(loaded, "first") == ("v", "d")
    assert call(loaded, "behind") == (3, "v")


def test_hooks_that_are_not_there(tmp_path: Path) -> None:
    """None of them is needed."""
    loaded = script(tmp_path, "async def default(): ...\n")
    assert [loaded.hook(name) for name in ("setup", "vu_start", "vu_stop", "teardown", "handle_summary")] == [None] * 5


def test_a_missing_default_function_that_has_another_name(tmp_path: Path) -> None:
    """The one that was probably meant is proposed; hooks and options never are."""
    found = script(tmp_path, "async def defualt(): ...\n").complaint_about("default")
    assert "did you mean to call `defualt` so?" in str(found)
    found = script(tmp_path, "async def setup(): ...\n").complaint_about("setups")
    assert "did you mean" not in str(found)


@pytest.mark.parametrize("statement", ["options = ", "options: dict = "])
def test_lines_of_the_options(tmp_path: Path, statement: str) -> None:
    """Keys of nested dicts and elements of lists, as far as they are written out."""
    text = f"{statement}{{\n  'vus': 3,\n  'thresholds': {{\n    'checks': [\n      'rate>1',\n    ],\n  }},\n}}\n"
    lines = script(tmp_path, text).lines
    assert lines["vus",] == 2
    assert lines["thresholds", "checks"] == 4
    assert lines["thresholds", "checks", "0"] == 5
