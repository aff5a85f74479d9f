"""The virtual user's loop: the innermost loop of ciload, so it does as little as it can."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any, cast

import anyio
from anyio.lowlevel import checkpoint

from ciload.engine.control import Control
from ciload.engine.pairing import Pacing, Pairing, Ratios
from ciload.engine.progress import ScenarioProgress, iteration_function
from ciload.engine.segment import Segment
from ciload.errors import Abort
from ciload.http.client import Client
from ciload.http.cookies import CookieJar
from ciload.http.session import Session, current
from ciload.metrics.blocks import Arm
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.series import Tags
from ciload.metrics.sinks import CounterSink, TrendSink
from ciload.options.scenarios import ConstantVUs, RampingVUs, Scenario
from ciload.script.calling import Ended, call, settle
from ciload.script.failures import record_script_error
from ciload.script.loader import Function, Script
from ciload.script.vu import VU

LATE_S = 0.05  # an iteration of the open model that starts later than this after it was due is counted as late

# What a virtual user asks before each iteration: when the next one is due, None when there is none for it.
NextStart = Callable[[], float | None]


@dataclass(frozen=True, slots=True)
class Starts:
    """Where the iterations of a virtual user come from.

    Attributes:
        next: when its next iteration is due.
        number: of that iteration, among all of the scenario.
        wait: in the open model, waits until then and answers how many seconds later it is.
        apart: what takes the place of these when each target has the load for itself; None: the same for both.
    """

    next: NextStart
    number: Callable[[], int]
    wait: Callable[[float], Awaitable[float]] | None = None
    apart: Callable[[VUAtTarget], Starts] | None = None


class ScenarioSinks:
    """Where the samples that a scenario takes at one target go: the series that every iteration writes to."""

    __slots__ = ("completed", "delays", "dropped", "durations", "late", "ratios", "scope")

    def __init__(self, registry: Registry, scenario: str, tags: Tags) -> None:
        self.scope = Scope(registry, scenario, tags=tags)
        self.durations = cast(TrendSink, self.scope.sink(BUILTIN["iteration_duration"]))
        self.completed = cast(CounterSink, self.scope.sink(BUILTIN["iterations"]))
        self.delays = cast(TrendSink, self.scope.sink(BUILTIN["iteration_start_delay"]))
        self.late = cast(CounterSink, self.scope.sink(BUILTIN["late_iterations"]))
        self.dropped = cast(CounterSink, self.scope.sink(BUILTIN["dropped_iterations"]))
        self.ratios = Ratios(self.scope)  # side by side, of the old target's: kept beside what was measured there


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
    stage_tag: bool = False  # samples are tagged with the stage that the scenario is in


class VUAtTarget:
    """A virtual user at one target: with connections, cookies and attributes of its own. It owns its session."""

    __slots__ = ("arm", "completed", "cookies", "data", "durations", "function", "session", "user", "vu")

    def __init__(self, arm: Arm, user: VirtualUser, data: Any) -> None:
        vus, sinks = user.vus, user.vus.sinks[arm]
        self.arm = arm
        self.user = user
        self.data = data  # its own copy of what setup() returned
        self.session = Session(vus.context.clients[arm], sinks.scope, self)
        self.vu = VU(user.id, self.session, vus.name, vus.env, vus.progress)
        functions = {name: each.bind(vu=self.vu, data=data) for name, each in vus.functions.items()}
        self.function = iteration_function(self, functions, vus.progress if vus.context.stage_tag else None)
        self.durations: TrendSink = sinks.durations  # where the times of its iterations go
        self.completed: CounterSink = sinks.completed
        self.cookies: CookieJar | None = None  # what vu_start() left behind: every iteration begins with it

    @property
    def random(self) -> Random:
        return self.vu.random

    @property
    def iteration_jar(self) -> CookieJar:
        """The jar that is as vu_start() left it when an iteration begins; nothing is in it if cookies are kept."""
        client = self.session.client
        assert client is not None
        return CookieJar() if client.keep_cookies else self.session.jar

    def abort(self, order: Abort) -> None:
        self.user.vus.context.control.abort(order)

    def cut_off(self, waited_s: float) -> str:
        return self.user.cut_off(waited_s, self.arm)


class VirtualUser:
    """A virtual user and what the engine keeps for it."""

    __slots__ = ("cut_scope", "id", "index", "targets", "vus")

    def __init__(self, index: int, vu_id: int, vus: ScenarioVUs) -> None:
        self.index = index  # its place among the scenario's virtual users in this process, from 0
        self.id = vu_id
        self.vus = vus
        self.cut_scope: anyio.CancelScope | None = None  # of a ramp down, which cuts this virtual user alone
        # One, or side by side two: every iteration is done at both.
        self.targets = tuple(VUAtTarget(arm, self, vus.copy_of_data(arm)) for arm in vus.sinks)

    def cut_off(self, waited_s: float, arm: Arm) -> str:
        """A request of an iteration is cancelled; why, in words."""
        vus = self.vus
        if vus.context.control.stop is not None:
            grace_s = 0.0
        elif vus.context.control.finished:
            grace_s = vus.scenario.graceful_stop or 0.0
        elif self.cut_scope is not None and self.cut_scope.cancel_called:
            grace_s = getattr(vus.scenario, "graceful_ramp_down", 0.0)
        elif vus.scope is not None and vus.scope.cancel_called:
            grace_s = vus.scenario.graceful_stop or 0.0
        else:
            return "cancelled by the script"
        if arm == "new":
            vus.unanswered.add(waited_s, graceful=grace_s > 0)
        return "no answer when the load ended"


@dataclass(slots=True)
class Unanswered:
    """Requests that the end of the load cut off."""

    outlived: int = 0  # with a graceful stop, which these had not been answered in
    longest_s: float = 0.0  # that one of those has waited
    cut: int = 0  # without

    def add(self, waited_s: float, *, graceful: bool) -> None:
        if graceful:
            self.outlived += 1
            self.longest_s = max(self.longest_s, waited_s)
        else:
            self.cut += 1

    def merge(self, other: Unanswered) -> None:
        self.outlived += other.outlived
        self.longest_s = max(self.longest_s, other.longest_s)
        self.cut += other.cut


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
        self.not_started = 0  # virtual users whose vu_start() raised
        self.unanswered = Unanswered()
        self.pacing = Pacing(may_rejoin=isinstance(scenario, ConstantVUs | RampingVUs))
        self.scope: anyio.CancelScope | None = None  # around all of its work; cancelled when the graceful stop is over
        self.ended_early = False  # before its plan was done, although nobody had asked for it
        self.env = ChainMap(scenario.env, cast(dict[str, str], os.environ))
        self.functions = {name: context.script.function(name) for name in scenario.functions}
        self.progress = ScenarioProgress(scenario, context.clock)
        self._ids_before = ids_before
        self._start_hook = context.script.hook("vu_start")
        self._stop_hook = context.script.hook("vu_stop")
        hooks = (*self.functions.values(), self._start_hook, self._stop_hook)
        self._data_wanted = any(each is not None and each.asks_for("data") for each in hooks)
        # In the open model: gives up the starts that came while nobody was free.
        self.drop_missed: Callable[[float], None] | None = None
        part = segment.among(scenario.most_vus) or segment
        self.next_number = count(part.index, part.count).__next__
        self._coin = Random()  # noqa: S311  # which target of a pair is first; nobody gains from guessing it

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
        return VirtualUser(index, self._ids_before + self.segment.number(index) + 1, self)

    def copy_of_data(self, arm: Arm) -> Any:
        """What setup() returned, for one virtual user to do with as it likes; None where no function asks for it."""
        return deepcopy(self.context.data[arm]) if self._data_wanted else None

    async def _start(self, virtual_user: VirtualUser) -> bool:
        """Its vu_start(), after which it is one of the scenario's; false when that raised."""
        if self._start_hook is not None:
            for at_target in virtual_user.targets:
                if not await self._call_hook(self._start_hook, "::vu_start", at_target):
                    self.not_started += 1
                    return False
                jar = at_target.iteration_jar
                at_target.cookies = jar.copy() if jar else None
        self.virtual_users.append(virtual_user)
        return True

    async def stop(self) -> None:
        """Let all of them do their vu_stop() and close their connections."""
        if self._stop_hook is not None:
            async with anyio.create_task_group() as stops:
                for virtual_user in self.virtual_users:
                    for at_target in virtual_user.targets:
                        stops.start_soon(self._call_hook, self._stop_hook, "::vu_stop", at_target)

    def close(self) -> None:
        for virtual_user in self.virtual_users:
            for at_target in virtual_user.targets:
                at_target.session.pool.close()

    async def _call_hook(self, hook: Function, group: str, at_target: VUAtTarget) -> bool:
        """Whether it came to its end."""
        session = at_target.session
        session.scope = Scope(self.context.aside, self.name, group)
        current.set(session)
        made = await call(hook.bind(vu=at_target.vu, data=at_target.data))
        if made.error is not None and made.ended is Ended.RAISED:
            record_script_error(Scope(self.context.registries[at_target.arm], self.name, group), made.error)
        return made.ended is Ended.FINISHED

    # --- its work

    def work(self, virtual_user: VirtualUser, starts: Starts) -> Coroutine[Any, Any, None]:
        """Iterations of one virtual user until there is none left for it."""
        if len(virtual_user.targets) > 1:
            return self._work_at_both(virtual_user, starts)
        return self._work(virtual_user.targets, starts)

    async def _work_at_both(self, virtual_user: VirtualUser, starts: Starts) -> None:
        """Every iteration at both targets, until these are to be loaded apart; then each has its own iterations."""

        together = replace(starts, next=lambda: None if self.pacing.apart else starts.next())
        apart = replace(starts, next=lambda: starts.next() if self.pacing.apart else None)
        while True:
            await self._work(virtual_user.targets, together)
            if not self.pacing.apart:
                return
            async with anyio.create_task_group() as halves:
                for each in virtual_user.targets:
                    halves.start_soon(self._work, (each,), starts.apart(each) if starts.apart else apart)
            if self.pacing.apart:
                return

    async def _work(  # noqa: C901  # one piece, since a further call or frame here is 1 to 3% of a small request
        self, targets: tuple[VUAtTarget, ...], starts: Starts
    ) -> None:
        context = self.context
        control, clock, rest_s = context.control, context.clock, context.rest_s
        next_start, next_number, wait = starts.next, starts.number, starts.wait
        turns = [
            (each, each.vu, each.session, each.session.pool, each.iteration_jar, each.function) for each in targets
        ]
        pairing = Pairing(targets, self.pacing, clock, self._coin) if len(self.sinks) > 1 else None
        current.set(targets[0].session)
        counts = targets[0].arm == "new"  # what is counted is about the new target alone
        while True:
            running, late, sinks = False, 0.0, None
            self._come(counts and wait is None)
            try:
                # The stop is asked for here as well as by the ticker, which a script that blocks keeps waiting.
                while not control.ending and (due := next_start()) is not None:
                    number, begun = next_number(), due
                    if wait is not None:
                        late = await wait(due)
                        self._come(counts)
                        begun = clock()  # a timer may come a moment early
                    if pairing is not None:
                        await pairing.begin()
                        self._coin.shuffle(turns)
                    if sinks is not self.sinks:  # exchanged after the warm-up; an iteration keeps its own
                        sinks = self._open_sinks(targets)
                    running, began = True, begun
                    for at_target, vu, session, pool, jar, function in turns:
                        if pairing is not None:
                            current.set(session)
                            began = clock()
                        vu.iteration_in_test = number
                        session.late = late
                        pool.used = False
                        try:
                            await function()
                        except BaseException as error:
                            if isinstance(error, GeneratorExit):  # perhaps Python closes us: no more of this
                                raise
                            _settle(error, session.scope)
                        else:
                            at_target.durations.pending.append((clock() - began + late) * 1e3)
                            at_target.completed.total += 1
                        vu.iteration += 1
                        if jar or at_target.cookies is not None:
                            jar.return_to(at_target.cookies)
                        if pool.streams:
                            pool.close_streams()
                    running = False
                    if pairing is not None:
                        pairing.end(turns[0][0].arm, sinks["old"].ratios)
                    if wait is not None:
                        self.active -= counts
                    if rest_s:
                        await anyio.sleep(max(0.0, begun + rest_s - clock()))
                    elif not pool.used:  # an iteration that waited for nothing must not keep the others from running
                        await checkpoint()
                return
            except BaseException as error:
                # The script can cancel this very task, and then it is we who meet the exception.
                _settle(error, targets[0].session.scope)
                if isinstance(error, GeneratorExit):
                    raise
            finally:
                self.interrupted += running and counts
                self.active -= counts and (running or wait is None)

    def _open_sinks(self, targets: tuple[VUAtTarget, ...]) -> Mapping[Arm, ScenarioSinks]:
        """Let a virtual user's samples go to the sinks that are open now; answers them."""
        for each in targets:
            sinks = self.sinks[each.arm]
            each.durations, each.completed = sinks.durations, sinks.completed
            each.session.scope = sinks.scope.tagged(each.vu.own_tags)
        return self.sinks

    def look_at_pacing(self, span_s: float, at_s: float) -> None:
        """Side by side: see whether the virtual users of the last seconds waited for answers nearly all the time."""
        if len(self.sinks) > 1:
            self.pacing.look(self.most if self.drop_missed is not None else self.active, span_s, at_s)

    def _come(self, now: bool) -> None:
        self.active += now
        self.peak = max(self.peak, self.active)

    def take_peak(self) -> int:
        """The most virtual users that were at work since this was last asked."""
        peak, self.peak = self.peak, self.active
        return peak


def _settle(error: BaseException, scope: Scope) -> None:
    """Count what the script has raised; let go on what the engine did."""
    ended = settle(error)
    if ended is Ended.INTERRUPTED:
        raise error
    if ended is Ended.RAISED:
        record_script_error(scope, error)
