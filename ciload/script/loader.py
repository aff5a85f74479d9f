"""Load a scenario script: run its top level once, find its functions and options, complain about all that is wrong."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from ciload.errors import Abort, CiloadError, Complaint, ExitCode, OptionsError, ScriptError, UsageError
from ciload.http.session import NoVirtualUserError, Session, current
from ciload.metrics.registry import Registry, Scope
from ciload.script.calling import call_plain
from ciload.script.failures import script_traceback
from ciload.script.neighbours import add_neighbours
from ciload.script.page import OPTIONS, Page
from ciload.text import closest

MODULE = "ciload_script"
NEEDS_HTTPX = re.compile(rb"\b(?:files|auth)\s*=|\bDigestAuth\b")
INJECTED = ("vu", "data")  # what a scenario's function may ask for
SUMMARY = "handle_summary"
HOOKS = {  # the lifecycle's functions, and what these may ask for
    "setup": ("vu",), "vu_start": INJECTED, "vu_stop": INJECTED, "teardown": INJECTED, SUMMARY: ("result",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the script and which of the offered arguments it asks for, in its own order."""

    call: Callable[..., Any]
    positional: tuple[str, ...] = ()
    by_keyword: tuple[str, ...] = ()
    plain: bool = False  # without `await`: it runs in a greenlet

    def asks_for(self, name: str) -> bool:
        return name in self.positional or name in self.by_keyword

    def bind(self, **available: Any) -> Callable[[], Any]:
        """The function with the arguments that it asks for; whether plain or not, what it returns is to be awaited."""
        bound = self.call
        if self.positional or self.by_keyword:
            named = {name: available[name] for name in self.by_keyword}
            bound = partial(self.call, *(available[name] for name in self.positional), **named)
        if self.plain:
            from ciload.script.greenlets import PlainFunction  # late: only what needs it takes the 10 ms

            return PlainFunction(bound, getattr(self.call, "__name__", "the function"))
        return bound


@dataclass(frozen=True, slots=True)
class Script:
    """A loaded script. Its functions are looked at when a scenario or the lifecycle wants them."""

    path: Path
    names: Mapping[str, Any]  # everything that its top level has defined
    options: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]  # where each key of `options` is written
    page: Page | None = None  # that it is about, when it is in no file
    app: Any = None  # of `asgi()`

    @property
    def source(self) -> Path | Page:
        """What it is loaded from; as text, what it is called."""
        return self.page or self.path

    def complaint_about(self, name: str) -> Complaint | None:
        """Why a scenario cannot run the function of this name; None when it can."""
        found = self._find(name, INJECTED)
        if found is not None:
            return found if isinstance(found, Complaint) else None
        ours = {each for each in (*HOOKS, "options") if each != name}
        close = closest(name, (each for each in self.names if each not in ours))
        if name == "default":
            hint = f"did you mean to call `{close}` so?" if close else "add: async def default(): ..."
        else:
            hint = f"did you mean {close!r}?" if close else f"add: async def {name}(): ..."
        return Complaint(str(self.path), f"no `{name}` function", hint)

    def function(self, name: str) -> Function:
        """A function that nobody complains about."""
        found = self._find(name, INJECTED)
        assert isinstance(found, Function)
        return found

    def hook(self, name: str) -> Function | None:
        """A function of the lifecycle, if the script has it."""
        found = self._find(name, HOOKS[name])
        return found if isinstance(found, Function) else None

    def _find(self, name: str, injected: tuple[str, ...]) -> Function | Complaint | None:
        function = self.names.get(name)
        if function is None:
            return None
        where = f"{self.path}:{getattr(getattr(function, '__code__', None), 'co_firstlineno', 1)}"
        if not callable(function):
            return Complaint(where, f"`{name}` is not a function", f"write: async def {name}(...): or def {name}(...):")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return Complaint(where, f"`{name}` is a generator", "write it without yield")
        parameters = [
            each
            for each in inspect.signature(function).parameters.values()
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        ]
        unknown = [each.name for each in parameters if each.name not in injected and each.default is each.empty]
        if unknown:
            offered = " and ".join(f"`{each}`" for each in injected)
            return Complaint(where, f"`{name}` asks for {', '.join(unknown)}", f"a function may take {offered}")
        # What stands behind an argument with a default that we leave out can only be given by its name.
        leading = list(takewhile(lambda each: each.name in injected and each.kind is not each.KEYWORD_ONLY, parameters))
        named = [each for each in parameters[len(leading) :] if each.name in injected]
        if any(each.kind is each.POSITIONAL_ONLY for each in named):
            return Complaint(where, f"`{name}` takes {named[0].name} by position alone", "put it first")
        plain = name != SUMMARY and not inspect.iscoroutinefunction(function)
        return Function(function, tuple(each.name for each in leading), tuple(each.name for each in named), plain)


class AbortedError(CiloadError):
    """The script called `abort()` before there was a run."""

    exit_code = ExitCode.ABORTED


@dataclass(slots=True)
class TopLevel:
    """Whose code the top level of a script is: nobody's virtual user. Keeps what it asks of the run."""

    aborted: Abort | None = None
    app: Any = None  # that is to be the target

    @property
    def random(self) -> Random:
        raise NoVirtualUserError

    def abort(self, order: Abort) -> None:
        self.aborted = order if self.aborted is None else self.aborted

    def cut_off(self, _waited_s: float, /) -> str:
        raise NoVirtualUserError


def load_script(path: Path | Page, registry: Registry) -> Script:
    """Run the script's top level; metrics that it defines are declared in `registry`. A page has none.

    Raises:
        UsageError: there is no such file.
        ScriptError: it does not parse, or its top level raises.
        AbortedError: its top level calls `abort()`.
        OptionsError: a function of the lifecycle cannot be called as it would be.
    """
    if isinstance(path, Page):
        return Script(Path(str(path)), {"default": path.function()}, OPTIONS, {}, path)
    if not path.is_file():
        raise UsageError(f"{path}: no such script" + _nearby(path))
    owner = TopLevel()
    names = vars(_run_top_level(path, registry, owner))
    options = names.get("options", {})
    source = path.read_bytes()
    if NEEDS_HTTPX.search(source):
        import httpx  # noqa: F401  # takes 85 ms, for which the first such request would stop the whole load
    script = Script(path, names, options, option_lines(source), app=owner.app)
    found = (script._find(name, injected) for name, injected in HOOKS.items())
    complaints = [each for each in found if isinstance(each, Complaint)]
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        complaints.append(Complaint(str(path), "`options` must be a dict with text keys"))
    if complaints:
        raise OptionsError(complaints)
    return script


def _nearby(path: Path) -> str:
    scripts = sorted(each.name for each in path.parent.glob("*.py")) if path.parent.is_dir() else []
    return f"; scripts in {path.parent}: {', '.join(scripts[:5])}" if scripts else ""


def _run_top_level(path: Path, registry: Registry, owner: TopLevel) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python script (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    add_neighbours(path.resolve().parent)
    token = current.set(Session(None, Scope(registry), owner))
    call = call_plain(spec.loader.exec_module, module)
    current.reset(token)
    if owner.aborted is not None:
        raise AbortedError(owner.aborted.reason)
    if call.error is not None:
        message = f"{path}: the script failed while it was loaded"
        raise ScriptError(f"{message}\n{script_traceback(call.error)}") from None
    return module


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
    elif isinstance(node, ast.List | ast.Tuple):
        for index, value in enumerate(node.elts):
            lines[(*path, str(index))] = value.lineno
            _collect(value, (*path, str(index)), lines)
