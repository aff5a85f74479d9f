"""What the script makes of the result: `handle_summary(result)` and the outputs it returns."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio

from ciload.engine.control import Control
from ciload.engine.run import StageOwner
from ciload.engine.watchdog import Watchdog
from ciload.errors import ExitCode
from ciload.http.session import Session, current
from ciload.metrics.registry import Registry, Scope
from ciload.result.document import Failure, RunResult
from ciload.script.calling import Call, Ended, call, call_plain
from ciload.script.event_loop import AbandonedError, CancelledByScriptError, EventLoop
from ciload.script.failures import ScriptBlockedError, one_line, script_traceback
from ciload.script.loader import SUMMARY, Script
from ciload.text import several_lines

TIMEOUT_S = 120.0  # k6's handleSummaryTimeout
LATE = f"did not finish within {TIMEOUT_S:g} s"

Stream = Literal["stdout", "stderr"]


class SummaryError(Exception):
    """What is wrong with what handle_summary() did."""


@dataclass(slots=True)
class CustomOutputs:
    """What to print: on stdout, it takes the place of the console summary. Files are written already."""

    printed: dict[Stream, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    failure: Failure | None = None


def call_summary_hook(
    script: Script, result: RunResult, registry: Registry, give_up: Callable[[Failure], object]
) -> CustomOutputs:
    """Call the script's handle_summary(), if it has one, and write the files it wants.

    It gets the result document as plain values and returns a mapping of "stdout", "stderr" or a path to text or bytes.
    Whatever goes wrong there is a failure of the run.

    Args:
        script: whose hook it is.
        result: what it is given.
        registry: that of the run.
        give_up: called, on top of it, if it holds this thread for good; does not return.
    """
    outputs = CustomOutputs()
    hook = script.hook(SUMMARY)
    if hook is None:
        return outputs
    control = Control()
    session = Session(None, Scope(registry), StageOwner(SUMMARY, control))
    token = current.set(session)
    try:
        made = _call(script, hook.bind(result=json.loads(result.to_json())), give_up)
        if control.stop is not None:  # whatever became of the exception
            outputs.failure = Failure(code=control.stop.code, reason=control.stop.reason)
            return outputs
        for name, content in _contents(made, outputs).items():
            if name in ("stdout", "stderr"):
                text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
                outputs.printed["stdout" if name == "stdout" else "stderr"] = text
            else:
                outputs.files.append(_write(Path(name), content))
    except SummaryError as error:
        outputs.failure = _failure(str(error))
    finally:
        current.reset(token)
    return outputs


def _call(script: Script, hook: Callable[[], Any], give_up: Callable[[Failure], object]) -> Call:
    def abandon(blocked: bool) -> None:
        if blocked:
            give_up(_failure(LATE))
        loop.abandon()

    async def finish(value: Awaitable[Any]) -> Call | None:
        with anyio.move_on_after(TIMEOUT_S):
            return await call(lambda: value)
        return None

    loop = EventLoop()
    with Watchdog(script.path, lambda *_: None, abandon) as watchdog, watchdog.limit(TIMEOUT_S):
        made = call_plain(hook)
        if made.ended is Ended.FINISHED and inspect.isawaitable(made.value):
            try:
                made = loop.run(lambda: finish(made.value)) or Call(Ended.RAISED)
            except (AbandonedError, CancelledByScriptError):
                raise SummaryError(LATE) from None
    if (made.error is None and made.ended is Ended.RAISED) or isinstance(made.error, ScriptBlockedError):
        raise SummaryError(LATE)
    return made


def _contents(made: Call, outputs: CustomOutputs) -> Mapping[str, str | bytes]:
    """What it returned, which is the script's as well."""
    read = call_plain(_checked, made.value) if made.error is None else made
    if read.error is None:
        contents: Mapping[str, str | bytes] = read.value
        return contents
    if isinstance(read.error, SummaryError):
        raise read.error
    outputs.printed["stderr"] = f"{several_lines(script_traceback(read.error))}\n"
    raise SummaryError(f"raised {one_line(read.error)}")


def _failure(text: str) -> Failure:
    return Failure(code=ExitCode.SCRIPT_ERROR, reason=f"handle_summary() {text}")


def _checked(returned: Any) -> Mapping[str, str | bytes]:
    if returned is None:
        return {}
    if not isinstance(returned, Mapping):
        raise SummaryError(f"must return a mapping of paths to text or bytes, not {type(returned).__name__}")
    for name, content in returned.items():
        if not isinstance(name, str | Path) or not isinstance(content, str | bytes):
            raise SummaryError(f"returned {type(content).__name__} for {str(name)!r}: outputs are text or bytes")
    return {str(name): content for name, content in returned.items()}


def _write(path: Path, content: str | bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        raise SummaryError(f"wants to write {path}, which failed: {error}") from None
    return path
