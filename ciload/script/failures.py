"""What a script raised: counted, shown once with the script's own frames, never with ours."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import ciload
from ciload.http.answer_samples import sample_of
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Scope
from ciload.script.at_hand import answer_at_hand
from ciload.script.hints import hint

OUR_CODE = str(Path(ciload.__file__).parent)
LONGEST_MESSAGE = 500
LONGEST_TRACEBACK = 8_000


class ScriptBlockedError(BaseException):
    """Raised inside script code that keeps the event loop from running when it has to stop."""


def record_script_error(scope: Scope, error: BaseException) -> None:
    """Count an exception of the script's."""
    detail = "" if error.__traceback__ is None else script_traceback(error)  # one that nobody has raised has no place
    message, sample = one_line(error), None
    if scope.registry.errors.is_news("script", message) and (reply := answer_at_hand(_first_of(error))) is not None:
        sample = sample_of(reply)
    scope.registry.errors.add("script", message, detail, sample=sample)
    scope.sink(BUILTIN["script_errors"]).add(1)


def one_line(error: BaseException) -> str:
    """Kind and message; of a group, those of its first error."""
    error = _first_of(error)
    try:
        text = " ".join(str(error).split())
    except BaseException:  # noqa: BLE001  # the script's own exceptions may raise here
        text = ""
    shown = f"{type(error).__name__}: {text}" if text else type(error).__name__
    shown += f"; {hint(error)}" if hint(error) else ""
    return shown if len(shown) <= LONGEST_MESSAGE else shown[: LONGEST_MESSAGE - 1] + "…"


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def script_traceback(error: BaseException) -> str:
    """The traceback as the script's author would write it: without the frames of ciload and of the import system."""
    report = traceback.TracebackException.from_exception(error, compact=True)
    seen: set[int] = set()
    parts: list[traceback.TracebackException | None] = [report]
    while parts:
        part = parts.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if _is_theirs(frame)])
        parts += [part.__cause__, part.__context__, *(part.exceptions or ())]
    here = f'File "{Path.cwd()}{os.sep}'  # results travel between machines: paths as seen from where ciload runs
    text = "".join(report.format()).rstrip().replace(here, 'File "')
    text += f"\n{hint(error)}" if hint(error) else ""
    return text if len(text) <= LONGEST_TRACEBACK else text[:LONGEST_TRACEBACK] + "\n…"


def _is_theirs(frame: traceback.FrameSummary) -> bool:
    return not frame.filename.startswith((OUR_CODE, "<frozen"))
