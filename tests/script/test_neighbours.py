"""Modules beside a script: who finds them, and who must not."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import ciload
from ciload.script.neighbours import OURS, NeighbourFinder

ROOT = Path(__file__).parents[2]


def test_no_library_of_ours_can_be_shadowed() -> None:
    """Every module that ciload imports is the standard library's or on the list."""
    imported = set()
    for path in Path(ciload.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) - OURS == set()
    assert len(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]) <= len(OURS)


def test_only_the_scripts_own_modules_look_beside_it(tmp_path: Path) -> None:
    """A library that asks for a name finds what it would find without a script."""
    (tmp_path / "common.py").write_text("")
    (tmp_path / "json.py").write_text("")
    (tmp_path / "data").mkdir()
    finder = NeighbourFinder([str(tmp_path)])
    find = "found = finder.find_spec(name)"

    def asked_by(file: Path, name: str) -> object:
        space = {"finder": finder, "name": name}
        exec(compile(find, str(file), "exec"), space)
        return space["found"]

    assert asked_by(tmp_path / "load.py", "common") is not None
    assert asked_by(tmp_path / "load.py", "json") is None
    assert asked_by(tmp_path / "load.py", "data") is None
    assert asked_by(tmp_path / "venv/lib/python3/site-packages/library.py", "common") is None
    assert asked_by(Path("/usr/lib/elsewhere.py"), "common") is None
