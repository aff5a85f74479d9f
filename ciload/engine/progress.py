"""How far a scenario is, and what its next iteration runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, cast

from ciload.metrics.metric import BUILTIN
from ciload.metrics.sinks import CounterSink, TrendSink
from ciload.options.scenarios import PerVUIterations, RampingArrivalRate, RampingVUs, Scenario, SharedIterations

if TYPE_CHECKING:
    from ciload.engine.virtual_users import VUAtTarget
    from ciload.script.vu import VU

IterationFunction = Callable[[], Awaitable[object]]


class ScenarioProgress:
    """How far a scenario is.

    Attributes:
        began_at: on the clock; None before it has.
    """

    def __init__(self, scenario: Scenario, clock: Callable[[], float]) -> None:
        self.began_at: float | None = None
        self._scenario = scenario
        self._clock = clock
        stages = scenario.stages if isinstance(scenario, RampingVUs | RampingArrivalRate) else ()
        self._ends_s = list(accumulate(stage.duration for stage in stages))

    @property
    def _elapsed_s(self) -> float:
        return 0.0 if self.began_at is None else self._clock() - self.began_at

    def share(self, vu: VU) -> float:
        """From 0 to 1: of the time; of the iterations, where these end it (k6's `scenario.progress`)."""
        scenario = self._scenario
        if isinstance(scenario, SharedIterations):
            return min(1.0, vu.iteration_in_test / scenario.iterations)
        if isinstance(scenario, PerVUIterations):
            return min(1.0, vu.iteration / scenario.iterations)
        return max(0.0, min(1.0, self._elapsed_s / scenario.length_s))

    @property
    def stage(self) -> int | None:
        """Which of its stages it is in, from 0; the last one when they are over, None if it has none."""
        if not self._ends_s:
            return None
        elapsed_s = self._elapsed_s
        return next((index for index, ends_s in enumerate(self._ends_s) if elapsed_s < ends_s), len(self._ends_s) - 1)


def iteration_function(
    at_target: VUAtTarget, functions: Mapping[str, IterationFunction], progress: ScenarioProgress | None
) -> IterationFunction:
    """What a virtual user awaits for each iteration.

    Args:
        at_target: the virtual user.
        functions: of the script, by name; of several, one is chosen for each iteration by the scenario's weights.
        progress: tags samples with the stage; None: it does not.
    """
    weights = at_target.user.vus.scenario.weights
    if not weights and progress is None:
        [function] = functions.values()
        return function
    names, cumulated = list(functions), list(accumulate(weights.values() if weights else (1.0,)))
    vu, session = at_target.vu, at_target.session

    async def iteration() -> None:
        [name] = vu.random.choices(names, cum_weights=cumulated) if weights else names
        if weights:
            vu.tags["function"] = name
        if progress is not None and progress.stage is not None:
            vu.tags["stage"] = progress.stage
        at_target.durations = cast(TrendSink, session.scope.sink(BUILTIN["iteration_duration"]))
        at_target.completed = cast(CounterSink, session.scope.sink(BUILTIN["iterations"]))
        await functions[name]()

    return iteration
