"""Load a scenario script: run its top level once, find its functions and options, complain about all that is wrong."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ciload.errors import Complaint, OptionsError, ScriptError, UsageError, place
from ciload.http.session import Session, current
from ciload.metrics.registry import Registry, Scope
from ciload.script.failures import script_traceback

MODULE = "ciload_script"
INJECTED = ("vu", "data")


@dataclass(frozen=True, slots=True)
class Function:
    """A scenario function and which of `vu` and `data` it asks for, in its own order."""

    call: Callable[..., Awaitable[Any]]
    parameters: tuple[str, ...]

    def arguments(self, **available: Any) -> tuple[Any, ...]:
        return tuple(available[name] for name in self.parameters)


@dataclass(frozen=True, slots=True)
class Script:
    path: Path
    default: Function
    setup: Function | None
    teardown: Function | None
    options: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]  # where each key of `options` is written

    def where(self, *keys: str) -> str:
        """`file:line` of an option, as near as the script tells."""
        return place(self.path, self.lines, keys)


def load_script(path: Path, registry: Registry) -> Script:
    """Run the script's top level; metrics that it defines are declared in `registry`.

    Raises:
        UsageError: there is no such file.
        ScriptError: it does not parse, or its top level raises.
        OptionsError: `default` is missing, or a function cannot be called as virtual users call it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such script" + _nearby(path))
    module = _run_top_level(path, registry)
    complaints: list[Complaint] = []
    default = _function(module, "default", INJECTED, path, complaints)
    setup = _function(module, "setup", ("vu",), path, complaints)
    teardown = _function(module, "teardown", INJECTED, path, complaints)
    if default is None and not complaints:
        close = difflib.get_close_matches("default", list(vars(module)), n=1)
        hint = f"did you mean to call `{close[0]}` so?" if close else "add: async def default(): ..."
        complaints.append(Complaint(str(path), "no `default` function", hint))
    options = getattr(module, "options", {})
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        complaints.append(Complaint(str(path), "`options` must be a dict with text keys"))
    if complaints or default is None:
        raise OptionsError(complaints)
    return Script(path, default, setup, teardown, options, option_lines(path.read_bytes()))


def _nearby(path: Path) -> str:
    scripts = sorted(each.name for each in path.parent.glob("*.py")) if path.parent.is_dir() else []
    return f"; scripts in {path.parent}: {', '.join(scripts[:5])}" if scripts else ""


def _run_top_level(path: Path, registry: Registry) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python script (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    sys.path.insert(0, str(path.resolve().parent))  # so that a script can import its neighbours
    token = current.set(Session(None, Scope(registry)))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever the script raises
        raise ScriptError(f"{path}: the script failed while it was loaded\n{script_traceback(error)}") from None
    finally:
        current.reset(token)
    return module


def _function(
    module: ModuleType, name: str, injected: tuple[str, ...], path: Path, complaints: list[Complaint]
) -> Function | None:
    function = getattr(module, name, None)
    if function is None:
        return None
    where = f"{path}:{getattr(getattr(function, '__code__', None), 'co_firstlineno', 1)}"
    if not inspect.iscoroutinefunction(function):
        complaints.append(Complaint(where, f"`{name}` is not async", f"write: async def {name}(...):"))
        return None
    parameters = inspect.signature(function).parameters.values()
    unknown = [
        each.name
        for each in parameters
        if each.name not in injected and each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    if unknown:
        offered = " and ".join(f"`{each}`" for each in injected)
        complaints.append(Complaint(where, f"`{name}` asks for {', '.join(unknown)}", f"a function may take {offered}"))
        return None
    return Function(function, tuple(each.name for each in parameters if each.name in injected))


def option_lines(source: bytes) -> dict[tuple[str, ...], int]:
    """Lines of the keys of the dict literal that the script assigns to `options`, by their path."""
    lines: dict[tuple[str, ...], int] = {}
    for statement in ast.parse(source).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if any(isinstance(target, ast.Name) and target.id == "options" for target in targets):
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            _collect(statement.value, (), lines)
    return lines


def _collect(node: ast.expr | None, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                lines[(*path, key.value)] = key.lineno
                _collect(value, (*path, key.value), lines)
