"""The import direction of docs/architecture.md, kept true."""

from __future__ import annotations

import ast
from pathlib import Path

import ciload

ROOT = Path(ciload.__file__).parent
# From the top of the house to the bottom: a folder may import from itself and from what stands below it.
MAY_IMPORT = {
    "cli": {
        "options",
        "script",
        "engine",
        "gate",
        "reports",
        "ci",
        "result",
        "metrics",
        "starter",
        "convert",
        "runner",
        "doctor",
    },
    "doctor": {"ci", "engine", "gate", "result", "metrics", "script"},
    "outputs": {"metrics"},
    "runner": {
        "outputs",
        "options",
        "script",
        "engine",
        "gate",
        "reports",
        "ci",
        "http",
        "result",
        "metrics",
        "processes",
    },
    "engine": {"options", "script", "http", "result", "metrics"},
    "script": {"http", "metrics"},
    "sync": {"script", "http", "metrics"},
    "options": {"result", "metrics"},
    "gate": {"result", "metrics"},
    "reports": {"result", "metrics"},
    "ci": {"reports", "result"},
    "http": {"metrics"},
    "result": {"metrics"},
    "metrics": set(),
    "convert": {"starter"},
    "starter": set(),
    "processes": {"metrics"},
}
ANYWHERE = {"child", "errors", "durations", "files", "redaction", "secrets", "streams", "text", "version"}


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return names | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


def test_imports_only_go_down() -> None:
    """No folder imports from one above or beside it, except as the table says."""
    wrong = []
    for folder, allowed in MAY_IMPORT.items():
        for path in (ROOT / folder).rglob("*.py"):
            for name in imported_modules(path):
                parts = name.split(".")
                if parts[0] == "ciload" and len(parts) > 1 and parts[1] not in allowed | {folder} | ANYWHERE:
                    wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_every_folder_is_in_the_table() -> None:
    """A new folder must be given its place."""
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(MAY_IMPORT)


def test_signatures_need_typer_alone() -> None:
    """`ciload --version` and `--help` are answered at once: what a command does is imported when it is given."""
    tree = ast.parse((ROOT / "cli" / "signatures.py").read_text(encoding="utf-8"))
    names = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert [name for name in names if name and name.startswith("ciload")] == ["ciload.cli.flags", "ciload.version"]


def test_the_engine_knows_no_asyncio() -> None:
    """Pacing must be testable in virtual time on trio."""
    assert [path.name for path in (ROOT / "engine").glob("*.py") if "asyncio" in imported_modules(path)] == []
