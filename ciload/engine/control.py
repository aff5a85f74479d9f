"""Why a run stops before its plan is done. The first reason wins."""

from __future__ import annotations

from dataclasses import dataclass

from ciload.errors import ExitCode
from ciload.script.failures import aborted_reason


@dataclass(frozen=True, slots=True)
class Stop:
    code: ExitCode
    reason: str


class Control:
    """Where a signal handler, a script's `abort()` and the lifecycle say that the run must end.

    Setting it is all they do: the engine's ticker looks at it, since a signal handler may not touch an event loop.
    """

    def __init__(self) -> None:
        self.stop: Stop | None = None

    def request(self, code: ExitCode, reason: str) -> None:
        if self.stop is None:
            self.stop = Stop(code, reason)

    def abort(self, reason: str) -> None:
        self.request(ExitCode.ABORTED, aborted_reason(reason))
