"""The virtual user's loop: the innermost loop of ciload, so it does as little as it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from ciload.engine.control import Control
from ciload.engine.executors import Rule
from ciload.http.client import Client
from ciload.http.session import Session, current
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Scope
from ciload.metrics.sinks import CounterSink, TrendSink
from ciload.script.failures import Abort, ScriptBlockedError, record_script_error
from ciload.script.loader import Function
from ciload.script.vu import VU


class Crew:
    """The virtual users of one scenario, and how many of them are at work."""

    def __init__(self, scope: Scope, client: Client, control: Control, clock: Callable[[], float]) -> None:
        self.scope = scope
        self.client = client
        self.control = control
        self.clock = clock
        self.active = 0
        self.interrupted = 0
        durations, completed = scope.sink(BUILTIN["iteration_duration"]), scope.sink(BUILTIN["iterations"])
        assert isinstance(durations, TrendSink)
        assert isinstance(completed, CounterSink)
        self._durations, self.completed = durations, completed

    async def run(self, number: int, function: Function, data: Any, rule: Rule) -> None:
        """One virtual user, from its first iteration to its last."""
        session = Session(self.client, self.scope)
        current.set(session)
        vu = VU(number, session)
        call, arguments, next_start = function.call, function.arguments(vu=vu, data=data), rule.for_vu()
        control, clock, jar, pool = self.control, self.clock, session.jar, session.pool
        durations, completed = self._durations, self.completed
        self.active += 1
        try:
            # The stop is asked for here as well as by the ticker, which a script that blocks keeps waiting.
            while control.stop is None and (started := next_start()) is not None:
                pool.used = False
                try:
                    await call(*arguments)
                except (Exception, ScriptBlockedError) as error:  # noqa: BLE001  # whatever the script raises counts
                    record_script_error(self.scope, error)
                else:
                    durations.pending.append((clock() - started) * 1e3)
                    completed.total += 1
                vu.iteration += 1
                if jar:
                    jar.clear()
                if not pool.used:  # an iteration that waited for nothing must not keep the others from running
                    await checkpoint()
        except anyio.get_cancelled_exc_class():
            self.interrupted += 1
            raise
        except Abort as order:
            self.control.abort(str(order))
        finally:
            self.active -= 1
            session.pool.close()
