"""What the script makes of the result: `handle_summary(result)` and the outputs it returns."""

from __future__ import annotations

import inspect
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from ciload.engine.watchdog import Watchdog
from ciload.errors import ExitCode
from ciload.result.document import Failure, RunResult
from ciload.script.failures import ScriptBlockedError, one_line, script_traceback
from ciload.script.loader import SUMMARY, Script
from ciload.text import several_lines

TIMEOUT_S = 120.0  # k6's handleSummaryTimeout


class SummaryError(Exception):
    """What is wrong with what handle_summary() did."""


@dataclass(slots=True)
class CustomOutputs:
    """`stdout` takes the place of the console summary; files are written already."""

    stdout: str | None = None
    files: list[Path] = field(default_factory=list)
    failure: Failure | None = None


def custom_outputs(script: Script, result: RunResult) -> CustomOutputs:
    """Call the script's handle_summary(), if it has one, and write the files it wants.

    It gets the result document as plain values and returns a mapping of "stdout", "stderr" or a path to text or bytes.
    Whatever goes wrong there is a failure of the run.
    """
    made = CustomOutputs()
    if script.hook(SUMMARY) is None:
        return made
    try:
        returned = _call(script, json.loads(result.to_json()))
        for name, content in _checked(returned).items():
            if name == "stdout":
                made.stdout = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
            elif name == "stderr":
                sys.stderr.write(content.decode("utf-8", "replace") if isinstance(content, bytes) else content)
            else:
                made.files.append(_write(Path(name), content))
    except SummaryError as error:
        made.failure = Failure(code=ExitCode.SCRIPT_ERROR, reason=f"handle_summary() {error}")
    return made


def _call(script: Script, document: Any) -> Any:
    hook = script.hook(SUMMARY)
    assert hook is not None

    async def awaited(value: Any) -> Any:
        with anyio.fail_after(TIMEOUT_S):
            return await value

    try:
        with Watchdog(script.path, lambda *_: None) as watchdog:
            watchdog.stop_by = time.monotonic() + TIMEOUT_S
            value = hook.call(*hook.arguments(result=document))
            return anyio.run(awaited, value) if inspect.isawaitable(value) else value
    except (TimeoutError, ScriptBlockedError):
        raise SummaryError(f"did not finish within {TIMEOUT_S:g} s") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever the script raises is reported
        sys.stderr.write(f"{several_lines(script_traceback(error))}\n")
        raise SummaryError(f"raised {one_line(error)}") from None


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
