"""When virtual users may start iterations. Each executor is a short loop over a schedule or a count.

Closed model: a virtual user asks for its next iteration when its last one has ended. Open model: it takes the next
start of the schedule that nobody has taken, and waits for its time; a start that comes while nobody is free is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, tee

import anyio
from anyio.abc import TaskGroup

from ciload.engine.schedules import Ramp, constant_arrivals, ramping_arrivals, stints, vu_steps
from ciload.engine.virtual_users import LATE_S, NextStart, ScenarioSinks, ScenarioVUs, Starts, VirtualUser, VUAtTarget
from ciload.metrics.blocks import Arm
from ciload.options.scenarios import (
    ConstantArrivalRate,
    ConstantVUs,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    SharedIterations,
)

GRAIN_S = 0.001  # of timers: who becomes free so shortly after a start was due has not missed it


async def run_scenario(vus: ScenarioVUs, begins_at: float) -> None:
    """All iterations of a scenario, from `begins_at` (on the load's clock) until its graceful stop is over."""
    scenario, clock = vus.scenario, vus.context.clock
    vus.progress.began_at = begins_at
    await anyio.sleep(max(0.0, begins_at - clock()))
    over_at = begins_at + scenario.length_s + (scenario.graceful_stop or 0.0)
    with anyio.CancelScope(deadline=anyio.current_time() + over_at - clock()) as vus.scope:
        match scenario:
            case ConstantVUs():
                done_at = await _constant_vus(vus, begins_at)
            case RampingVUs():
                done_at = await _ramping_vus(vus, scenario, begins_at)
            case SharedIterations() | PerVUIterations():
                done_at = await _iterations(vus, scenario, begins_at)
            case ConstantArrivalRate() | RampingArrivalRate():
                done_at = await _arrivals(vus, scenario, begins_at)
        # A clock may run a little behind the timers.
        vus.ended_early = not vus.context.control.ending and clock() < done_at - GRAIN_S


async def _constant_vus(vus: ScenarioVUs, begins_at: float) -> float:
    """Each executor answers when its plan was done: if it ended before, that was not its doing."""
    may_start = _until(vus, begins_at + vus.scenario.length_s)
    async with anyio.create_task_group() as tasks:
        for virtual_user in vus.virtual_users:
            tasks.start_soon(vus.work, virtual_user, may_start)
    return begins_at + vus.scenario.length_s


def _until(vus: ScenarioVUs, ends_at: float) -> Starts:
    clock = vus.context.clock
    return Starts(lambda: now if (now := clock()) < ends_at else None, vus.next_number)


# --- ramping-vus


async def _ramping_vus(vus: ScenarioVUs, scenario: RampingVUs, begins_at: float) -> float:
    stages = [Ramp(stage.duration, stage.target) for stage in scenario.stages]
    steps = vu_steps(scenario.start_vus, stages)
    planned, staying = stints(steps, scenario.length_s), steps[-1][1]
    async with anyio.create_task_group() as tasks:
        for virtual_user in vus.virtual_users:
            number = vus.segment.number(virtual_user.index)
            on_off = planned[number] if number < len(planned) else []
            own = [(on, off, off + scenario.graceful_ramp_down) for on, off in on_off]
            if own and number < staying:  # the end of the stages is no ramp down: it has the graceful stop alone
                own[-1] = (*on_off[-1], math.inf)
            tasks.start_soon(_come_and_go, vus, virtual_user, own, begins_at)
    mine = [planned[number] for number in range(vus.segment.index, len(planned), vus.segment.count)]
    return begins_at + max((off for on_off in mine for _, off in on_off), default=0.0)


async def _come_and_go(
    vus: ScenarioVUs, virtual_user: VirtualUser, planned: list[tuple[float, float, float]], begins_at: float
) -> None:
    """One virtual user through its stints: from when, until when, and when an iteration that runs on is cut."""
    clock = vus.context.clock
    for place, (on, off, cut) in enumerate(planned):
        await anyio.sleep(max(0.0, begins_at + on - clock()))
        for next_on, _, next_cut in planned[place + 1 :]:  # called back before it had to go: it may go on
            if next_on > cut:
                break
            cut = next_cut
        with anyio.CancelScope(deadline=anyio.current_time() + begins_at + cut - clock()) as virtual_user.cut_scope:
            await vus.work(virtual_user, _until(vus, begins_at + off))


# --- shared-iterations, per-vu-iterations


async def _iterations(vus: ScenarioVUs, scenario: SharedIterations | PerVUIterations, begins_at: float) -> float:
    """One pot of iterations for all virtual users, or a pot for each; what is left at the end was dropped."""
    part = vus.segment.among(scenario.vus)
    if part is None:
        return begins_at
    if isinstance(scenario, SharedIterations):
        pots = [[part.share(scenario.iterations)]] * vus.made
    else:
        pots = [[scenario.iterations] for _ in range(vus.made)]
    ends_at = begins_at + scenario.length_s
    old_pots: dict[int, list[int]] = {}  # of the old target, once each target has the load for itself

    def from_pot(pot: list[int]) -> Starts:
        def apart(at_target: VUAtTarget) -> Starts:
            own = old_pots.setdefault(id(pot), list(pot))
            return Starts(_from_pot(vus, own if at_target.arm == "old" else pot, ends_at), vus.next_number)

        return Starts(_from_pot(vus, pot, ends_at), vus.next_number, apart=apart)

    try:
        async with anyio.create_task_group() as tasks:
            for virtual_user in vus.virtual_users:
                tasks.start_soon(vus.work, virtual_user, from_pot(pots[virtual_user.index]))
    finally:
        if not vus.context.control.ending:
            vus.schedule_sinks.dropped.total += sum(left for (left,) in {id(pot): pot for pot in pots}.values())
    return ends_at if any(left for (left,) in pots) else begins_at


def _from_pot(vus: ScenarioVUs, pot: list[int], ends_at: float) -> NextStart:
    clock = vus.context.clock

    def next_start() -> float | None:
        now = clock()
        if pot[0] == 0 or now >= ends_at:
            return None
        pot[0] -= 1
        return now

    return next_start


# --- constant-arrival-rate, ramping-arrival-rate


async def _arrivals(vus: ScenarioVUs, scenario: ConstantArrivalRate | RampingArrivalRate, begins_at: float) -> float:
    part = vus.segment.among(scenario.most_vus)
    if part is None:
        return begins_at
    if isinstance(scenario, ConstantArrivalRate):
        starts = constant_arrivals(scenario.peak_per_s, scenario.length_s, part)
    else:
        unit_s = scenario.time_unit
        stages = [Ramp(stage.duration, stage.target / unit_s) for stage in scenario.stages]
        starts = ramping_arrivals(scenario.start_rate / unit_s, stages, part)
    arrivals = Arrivals(vus, starts, begins_at)
    vus.drop_missed = arrivals.drop_missed
    try:
        async with anyio.create_task_group() as tasks:
            arrivals.tasks = tasks
            for virtual_user in list(vus.virtual_users):
                tasks.start_soon(arrivals.serve, virtual_user)
            if not vus.virtual_users:
                arrivals.reinforce()
    finally:
        left = arrivals.left
        if not vus.context.control.ending:
            arrivals.drop_the_rest()
    return begins_at + scenario.length_s if left else begins_at


class Arrivals:
    """The starts of an open-model scenario, and the virtual users that wait for them.

    One of these always waits for the next start, as long as the scenario may have more of them.
    """

    tasks: TaskGroup

    def __init__(
        self,
        vus: ScenarioVUs,
        starts: Iterator[tuple[int, float]],
        begins_at: float,
        arm: Arm = "new",
        whole: Arrivals | None = None,
    ) -> None:
        """
        Args:
            vus: the scenario's virtual users.
            starts: number and time of each, counted from `begins_at`.
            begins_at: on the load's clock.
            arm: whose schedule this is; that of the new target is what is told.
            whole: what this is a part of, when each target has a schedule of its own.
        """
        self._vus = vus
        self._clock = vus.context.clock
        self._starts = starts
        self._begins_at = begins_at
        self._arm = arm
        self._whole = whole or self
        self._next = next(starts, None)
        self._waiting = 0
        self._coming: set[int] = set()  # who is doing its vu_start(), by its index
        self._parts: dict[Arm, Arrivals] = {}  # of each target, once these are loaded apart

    def reinforce(self) -> None:
        """Let one more virtual user wait, if there may be one."""
        if self._vus.made < self._vus.most and self._next is not None:
            self._whole.tasks.start_soon(self._join)

    async def _join(self) -> None:
        vus = self._vus
        while vus.made < vus.most and self._next is not None and self._waiting == 0:
            index = vus.made
            self._coming.add(index)
            virtual_user = await vus.add()
            if virtual_user is not None:
                await self._whole.serve(virtual_user)
                return
            self._coming.discard(index)  # its vu_start() raised; it does nothing, and leaves out one start
            if (missed := self._next) is not None:
                await anyio.sleep(max(0.0, self._begins_at + missed[1] - self._clock()))
                if self._next is missed:
                    self._drop()

    async def serve(self, virtual_user: VirtualUser) -> None:
        await self._vus.work(virtual_user, self._starts_for(virtual_user))

    def _starts_for(self, virtual_user: VirtualUser) -> Starts:
        number = 0

        def next_start() -> float | None:
            nonlocal number
            start = self.take(self._clock())
            self._coming.discard(virtual_user.index)
            if start is None:
                return None
            number, due = start
            return due

        def apart(at_target: VUAtTarget) -> Starts:
            return self._part(at_target.arm)._starts_for(virtual_user)  # one of our own

        return Starts(next_start, lambda: number, self._wait, apart)

    def _part(self, arm: Arm) -> Arrivals:
        """The schedule of one target, which goes on where the common one is left."""
        if not self._parts:
            rest = self._starts if self._next is None else chain([self._next], self._starts)
            new, old = tee(rest)
            self._parts = {
                "new": Arrivals(self._vus, new, self._begins_at, "new", self),
                "old": Arrivals(self._vus, old, self._begins_at, "old", self),
            }
            self._next = None
            self._starts = iter(())
        return self._parts[arm]

    def take(self, now: float) -> tuple[int, float] | None:
        """Number and due time of the next start, for a virtual user that is free now; None when there is none left."""
        self.drop_missed(now)
        start = self._next
        if start is None:
            return None
        self._next = next(self._starts, None)
        return start[0], self._begins_at + start[1]

    def drop_missed(self, now: float) -> None:
        """Give up the starts that came while nobody was free and no virtual user could be added.

        While somebody can be or is on the way, a start that lies behind was held up by this process, and takes place
        late.
        """
        for part in self._parts.values():
            part.drop_missed(now)
        if self._waiting == 0 and not self._coming and self._vus.made >= self._vus.most:
            while self._next is not None and self._begins_at + self._next[1] < now - GRAIN_S:
                self._drop()

    @property
    def left(self) -> bool:
        """Whether there are starts that nobody has taken."""
        return self._next is not None or any(part.left for part in self._parts.values())

    def drop_the_rest(self) -> None:
        for part in (self, *self._parts.values()):
            while part._next is not None:
                part._drop()

    def _drop(self) -> None:
        self._sinks.dropped.total += 1
        self._next = next(self._starts, None)

    @property
    def _sinks(self) -> ScenarioSinks:
        """Where the schedule's own samples go."""
        return self._vus.sinks[self._arm]

    async def _wait(self, due: float) -> float:
        self._waiting += 1
        try:
            await anyio.sleep(max(0.0, due - self._clock()))  # at least a turn, in which others may come to wait
        finally:
            self._waiting -= 1
        if self._waiting == 0:
            self.reinforce()
        late_s = max(0.0, self._clock() - due)
        sinks = self._sinks
        sinks.delays.pending.append(late_s * 1e3)
        if late_s > LATE_S:
            sinks.late.total += 1
        return late_s
