"""Why a load ends before its plan is done: something stops it, and the first reason wins; or it has shown enough."""

from __future__ import annotations

from dataclasses import dataclass

from ciload.errors import Abort, ExitCode


@dataclass(frozen=True, slots=True)
class Stop:
    code: ExitCode
    reason: str


class Control:
    """Where a signal handler, a script's `abort()` and the lifecycle say that the run must end.

    Setting it is all they do: the engine's ticker looks at it, since a signal handler may not touch an event loop.

    Attributes:
        stop: why the load must end at once.
        finished: the load has shown what it was for: iterations that run may end, but none begins.
        ending: one of the two.
    """

    def __init__(self) -> None:
        self.stop: Stop | None = None
        self.finished = False
        self.ending = False

    def request(self, code: ExitCode, reason: str) -> None:
        if self.stop is None:
            self.stop = Stop(code, reason)
            self.ending = True

    def finish(self) -> None:
        self.finished = self.ending = True

    def abort(self, order: Abort) -> None:
        self.request(order.exit_code, order.reason)
