"""The virtual user's loop: the innermost loop of ciload, so it does as little as it can."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, cast

import anyio
from anyio.lowlevel import checkpoint

from ciload.engine.control import Control
from ciload.engine.segment import Segment
from ciload.http.client import Client
from ciload.http.cookies import CookieJar
from ciload.http.session import Session, current
from ciload.metrics.blocks import Arm
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.series import Tags
from ciload.metrics.sinks import CounterSink, TrendSink
from ciload.options.scenarios import Scenario
from ciload.script.failures import Abort, ScriptBlockedError, record_script_error
from ciload.script.loader import Function, Script
from ciload.script.vu import VU

LATE_S = 0.05  # an iteration of the open model that starts later than this after it was due is counted as late

# What a virtual user asks before each iteration: when the next one is due, None when there is none for it.
NextStart = Callable[[], float | None]


class ScenarioSinks:
    """Where the samples that a scenario takes at one target go: the series that every iteration writes to."""

    __slots__ = ("completed", "delays", "dropped", "durations", "late", "scope")

    def __init__(self, registry: Registry, scenario: str, tags: Tags) -> None:
        self.scope = Scope(registry, scenario, tags=tags)
        self.durations = cast(TrendSink, self.scope.sink(BUILTIN["iteration_duration"]))
        self.completed = cast(CounterSink, self.scope.sink(BUILTIN["iterations"]))
        self.delays = cast(TrendSink, self.scope.sink(BUILTIN["iteration_start_delay"]))
        self.late = cast(CounterSink, self.scope.sink(BUILTIN["late_iterations"]))
        self.dropped = cast(CounterSink, self.scope.sink(BUILTIN["dropped_iterations"]))


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What all virtual users of a process share."""

    clients: Mapping[Arm, Client]  # of each target
    script: Script
    control: Control
    clock: Callable[[], float]
    registries: Mapping[Arm, Registry]
    aside: Registry  # for what vu_start() and vu_stop() measure, which is kept out of the results
    data: Mapping[Arm, Any]  # what setup() returned at each target
    rest_s: float  # the shortest time between the starts of two iterations of a virtual user


@dataclass(slots=True)
class VUAtTarget:
    """A virtual user at one target: with connections, cookies and attributes of its own."""

    arm: Arm
    vu: VU
    session: Session
    data: Any  # its own copy of what setup() returned
    arguments: tuple[Any, ...]  # of the scenario's function
    durations: TrendSink  # where the times of its iterations go
    completed: CounterSink
    cookies: CookieJar | None = None  # what vu_start() left behind: every iteration begins with it


@dataclass(slots=True)
class VirtualUser:
    """A virtual user and what the engine keeps for it."""

    index: int  # its place among the scenario's virtual users in this process, from 0
    sides: tuple[VUAtTarget, ...]  # one, or side by side two: every iteration is done at both
    number: int = 0  # of its iteration among all of the scenario


class ScenarioVUs:
    """The virtual users of one scenario in this process."""

    def __init__(
        self,
        name: str,
        scenario: Scenario,
        segment: Segment,
        ids_before: int,
        sinks: Mapping[Arm, ScenarioSinks],
        context: LoadContext,
    ) -> None:
        self.name = name
        self.scenario = scenario
        self.segment = segment
        self.sinks = sinks
        self.context = context
        self.most = segment.share(scenario.most_vus)
        self.virtual_users: list[VirtualUser] = []
        self.made = 0
        self.active = 0  # at work; in the open model, within an iteration
        self.peak = 0  # the most that were since somebody asked
        self.interrupted = 0
        self._ids_before = ids_before
        self._env = ChainMap(scenario.env, cast(dict[str, str], os.environ))
        self._function = context.script.function(scenario.exec)
        self._start_hook = context.script.hook("vu_start")
        self._stop_hook = context.script.hook("vu_stop")
        # In the open model: gives up the starts that came while nobody was free.
        self.drop_missed: Callable[[float], None] | None = None
        part = segment.among(scenario.most_vus) or segment
        self._next_number = count(part.index, part.count).__next__
        self._coin = Random()  # noqa: S311  # which side of a pair is first; nobody gains from guessing it

    @property
    def schedule_sinks(self) -> ScenarioSinks:
        """Where the schedule's own samples go."""
        return self.sinks["new"]

    # --- a virtual user's beginning and end

    async def prepare(self) -> None:
        """Make the virtual users that the plan knows of, before the load begins."""
        made = [self._make() for _ in range(self.segment.share(self.scenario.prepared_vus))]
        if self._start_hook is None:
            self.virtual_users += made
            return
        async with anyio.create_task_group() as starts:
            for virtual_user in made:
                starts.start_soon(self._start, virtual_user)

    async def add(self) -> VirtualUser | None:
        """One more virtual user; None when its vu_start() raised."""
        virtual_user = self._make()
        return virtual_user if await self._start(virtual_user) else None

    def _make(self) -> VirtualUser:
        index, self.made = self.made, self.made + 1
        number = self._ids_before + self.segment.number(index) + 1
        return VirtualUser(index, tuple(self._side(arm, number) for arm in self.sinks))

    def _side(self, arm: Arm, number: int) -> VUAtTarget:
        schedule_sinks, data = self.sinks[arm], deepcopy(self.context.data[arm])
        session = Session(self.context.clients[arm], schedule_sinks.scope)
        vu = VU(number, session, self.name, self._env)
        arguments = self._function.arguments(vu=vu, data=data)
        return VUAtTarget(arm, vu, session, data, arguments, schedule_sinks.durations, schedule_sinks.completed)

    async def _start(self, virtual_user: VirtualUser) -> bool:
        """Its vu_start(), after which it is one of the scenario's; false when that raised."""
        if self._start_hook is not None:
            for side in virtual_user.sides:
                if not await self._call(self._start_hook, "::vu_start", side):
                    return False
                jar = side.session.jar
                side.cookies = jar.copy() if jar else None
        self.virtual_users.append(virtual_user)
        return True

    async def stop(self) -> None:
        """Let all of them do their vu_stop() and close their connections."""
        if self._stop_hook is not None:
            async with anyio.create_task_group() as stops:
                for virtual_user in self.virtual_users:
                    for side in virtual_user.sides:
                        stops.start_soon(self._call, self._stop_hook, "::vu_stop", side)

    def close(self) -> None:
        for virtual_user in self.virtual_users:
            for side in virtual_user.sides:
                side.session.pool.close()

    async def _call(self, hook: Function, group: str, side: VUAtTarget) -> bool:
        session = side.session
        session.scope = Scope(self.context.aside, self.name, group)
        current.set(session)
        try:
            await hook.call(*hook.arguments(vu=side.vu, data=side.data))
        except Abort as order:
            self.context.control.abort(order)
        except (Exception, ScriptBlockedError) as error:  # noqa: BLE001  # whatever the script raises counts
            record_script_error(Scope(self.context.registries[side.arm], self.name, group), error)
            return False
        return True

    # --- its work

    async def work(  # noqa: C901  # one piece, since a further call or frame here is 1 to 3% of a small request
        self, virtual_user: VirtualUser, next_start: NextStart, wait: Callable[[float], Awaitable[float]] | None = None
    ) -> None:
        """Iterations of one virtual user until there is none left for it.

        Args:
            virtual_user: the virtual user.
            next_start: when its next iteration is due.
            wait: in the open model, waits until then and answers how many seconds later it is.
        """
        context, next_number, call = self.context, self._next_number, self._function.call
        control, clock, rest_s = context.control, context.clock, context.rest_s
        turns = [(side, side.vu, side.session, side.session.pool, side.session.jar) for side in virtual_user.sides]
        side_by_side = len(turns) > 1
        current.set(virtual_user.sides[0].session)
        running, late, sinks = False, 0.0, None
        self._come(wait is None)
        try:
            # The stop is asked for here as well as by the ticker, which a script that blocks keeps waiting.
            while control.stop is None and (due := next_start()) is not None:
                if wait is None:
                    virtual_user.number, begun = next_number(), due
                else:
                    late = await wait(due)
                    self._come(True)
                    begun = clock()  # a timer may come a moment early
                if sinks is not self.sinks:  # exchanged after the warm-up; an iteration stays with what it began with
                    sinks = self._open_books(virtual_user)
                if side_by_side:
                    self._coin.shuffle(turns)
                running, began = True, begun
                for side, vu, session, pool, jar in turns:
                    if side_by_side:
                        current.set(session)
                        began = clock()
                    vu.iteration_in_test = virtual_user.number
                    session.late = late
                    pool.used = False
                    try:
                        await call(*side.arguments)
                    except (Exception, ScriptBlockedError) as error:  # noqa: BLE001  # whatever the script raises counts
                        record_script_error(session.scope, error)
                    else:
                        side.durations.pending.append((clock() - began + late) * 1e3)
                        side.completed.total += 1
                    vu.iteration += 1
                    if jar or side.cookies is not None:
                        jar.return_to(side.cookies)
                running = False
                if wait is not None:
                    self.active -= 1
                if rest_s:
                    await anyio.sleep(max(0.0, begun + rest_s - clock()))
                elif not pool.used:  # an iteration that waited for nothing must not keep the others from running
                    await checkpoint()
        except anyio.get_cancelled_exc_class():
            self.interrupted += running
            raise
        except Abort as order:
            control.abort(order)
        finally:
            self.active -= running or wait is None

    def _open_books(self, virtual_user: VirtualUser) -> Mapping[Arm, ScenarioSinks]:
        """Let a virtual user's samples go to the sinks that are open now; answers them."""
        for side in virtual_user.sides:
            schedule_sinks = self.sinks[side.arm]
            side.durations, side.completed = schedule_sinks.durations, schedule_sinks.completed
            side.session.scope = schedule_sinks.scope.tagged(side.vu.own_tags)
        return self.sinks

    def _come(self, now: bool) -> None:
        self.active += now
        self.peak = max(self.peak, self.active)

    def take_peak(self) -> int:
        """The most virtual users that were at work since this was last asked."""
        peak, self.peak = self.peak, self.active
        return peak
