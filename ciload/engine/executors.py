"""When a virtual user may start an iteration. An executor is the rule alone; the loop that obeys it is in `vus.py`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Protocol

from ciload.options.plan import Scenario


class Rule(Protocol):
    """Permission to start iterations. `left` counts the ones that were due and have not been started."""

    def for_vu(self) -> Callable[[], float | None]:
        """A function that one virtual user asks before each iteration: it starts now, or None ends the user."""

    @property
    def left(self) -> int: ...


class WhileTimeLasts:
    """constant-vus: start iterations until the time is over."""

    def __init__(self, clock: Callable[[], float], ends_at: float) -> None:
        self._clock, self._ends_at = clock, ends_at

    def for_vu(self) -> Callable[[], float | None]:
        clock, ends_at = self._clock, self._ends_at
        return lambda: now if (now := clock()) < ends_at else None

    @property
    def left(self) -> int:
        return 0


class WhileAnyAreLeft:
    """Iterations to hand out, and a time after which none starts any more.

    shared-iterations has one pot for all virtual users, per-vu-iterations a pot for each.
    """

    def __init__(self, pots: list[int], shared: bool, clock: Callable[[], float], ends_at: float) -> None:
        self._pots, self._clock, self._ends_at = pots, clock, ends_at
        self._turns = repeat(0) if shared else iter(range(len(pots)))

    def for_vu(self) -> Callable[[], float | None]:
        pot = next(self._turns)

        def next_start() -> float | None:
            now = self._clock()
            if self._pots[pot] == 0 or now >= self._ends_at:
                return None
            self._pots[pot] -= 1
            return now

        return next_start

    @property
    def left(self) -> int:
        return sum(self._pots)


def rule_for(scenario: Scenario, clock: Callable[[], float], started_at: float) -> Rule:
    """The rule of a scenario that starts now."""
    ends_at = started_at + scenario.duration_s
    if scenario.executor == "constant-vus":
        return WhileTimeLasts(clock, ends_at)
    assert scenario.iterations is not None
    if scenario.executor == "shared-iterations":
        return WhileAnyAreLeft([scenario.iterations], True, clock, ends_at)
    return WhileAnyAreLeft([scenario.iterations] * scenario.vus, False, clock, ends_at)
