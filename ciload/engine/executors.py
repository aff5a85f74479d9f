"""When virtual users may start iterations. Each executor is a short loop over a schedule or a count.

Closed model: a virtual user asks for its next iteration when its last one has ended. Open model: it takes the next
start of the schedule that nobody has taken, and waits for its time; a start that comes while nobody is free is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import anyio
from anyio.abc import TaskGroup

from ciload.engine.schedules import Stage, constant_arrivals, ramping_arrivals, stints, vu_steps
from ciload.engine.vus import LATE_S, Crew, Member, NextStart
from ciload.options.scenarios import (
    ConstantArrivalRate,
    ConstantVUs,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    SharedIterations,
)

GRAIN_S = 0.001  # of timers: who becomes free so shortly after a start was due has not missed it


async def run_scenario(crew: Crew, begins_at: float) -> None:
    """All iterations of a scenario, from `begins_at` (on the crew's clock) until its graceful stop is over."""
    scenario, clock = crew.scenario, crew.equipment.clock
    await anyio.sleep(max(0.0, begins_at - clock()))
    over_at = begins_at + scenario.length_s + (scenario.graceful_stop or 0.0)
    with anyio.CancelScope(deadline=anyio.current_time() + over_at - clock()):
        match scenario:
            case ConstantVUs():
                await _constant_vus(crew, begins_at)
            case RampingVUs():
                await _ramping_vus(crew, scenario, begins_at)
            case SharedIterations() | PerVUIterations():
                await _iterations(crew, scenario, begins_at)
            case ConstantArrivalRate() | RampingArrivalRate():
                await _arrivals(crew, scenario, begins_at)


async def _constant_vus(crew: Crew, begins_at: float) -> None:
    may_start = _until(crew, begins_at + crew.scenario.length_s)
    async with anyio.create_task_group() as virtual_users:
        for member in crew.members:
            virtual_users.start_soon(crew.work, member, may_start)


def _until(crew: Crew, ends_at: float) -> NextStart:
    clock = crew.equipment.clock
    return lambda: now if (now := clock()) < ends_at else None


# --- ramping-vus


async def _ramping_vus(crew: Crew, scenario: RampingVUs, begins_at: float) -> None:
    stages = [Stage(stage.duration, stage.target) for stage in scenario.stages]
    steps = vu_steps(scenario.start_vus, stages)
    planned, staying = stints(steps, scenario.length_s), steps[-1][1]
    async with anyio.create_task_group() as virtual_users:
        for member in crew.members:
            number = crew.segment.number(member.index)
            on_off = planned[number] if number < len(planned) else []
            own = [(on, off, off + scenario.graceful_ramp_down) for on, off in on_off]
            if own and number < staying:  # the end of the stages is no ramp down: it has the graceful stop alone
                own[-1] = (*on_off[-1], math.inf)
            virtual_users.start_soon(_come_and_go, crew, member, own, begins_at)


async def _come_and_go(crew: Crew, member: Member, planned: list[tuple[float, float, float]], begins_at: float) -> None:
    """One virtual user through its stints: from when, until when, and when an iteration that runs on is cut."""
    clock = crew.equipment.clock
    for place, (on, off, cut) in enumerate(planned):
        await anyio.sleep(max(0.0, begins_at + on - clock()))
        for next_on, _, next_cut in planned[place + 1 :]:  # called back before it had to go: it may go on
            if next_on > cut:
                break
            cut = next_cut
        with anyio.CancelScope(deadline=anyio.current_time() + begins_at + cut - clock()):
            await crew.work(member, _until(crew, begins_at + off))


# --- shared-iterations, per-vu-iterations


async def _iterations(crew: Crew, scenario: SharedIterations | PerVUIterations, begins_at: float) -> None:
    """One pot of iterations for all virtual users, or a pot for each; what is left at the end was dropped."""
    part = crew.segment.among(scenario.vus)
    if part is None:
        return
    if isinstance(scenario, SharedIterations):
        pots = [[part.share(scenario.iterations)]] * crew.hired
    else:
        pots = [[scenario.iterations] for _ in range(crew.hired)]
    ends_at = begins_at + scenario.length_s
    try:
        async with anyio.create_task_group() as virtual_users:
            for member in crew.members:
                virtual_users.start_soon(crew.work, member, _from_pot(crew, pots[member.index], ends_at))
    finally:
        if crew.equipment.control.stop is None:
            crew.book.dropped.total += sum(left for (left,) in {id(pot): pot for pot in pots}.values())


def _from_pot(crew: Crew, pot: list[int], ends_at: float) -> NextStart:
    clock = crew.equipment.clock

    def next_start() -> float | None:
        now = clock()
        if pot[0] == 0 or now >= ends_at:
            return None
        pot[0] -= 1
        return now

    return next_start


# --- constant-arrival-rate, ramping-arrival-rate


async def _arrivals(crew: Crew, scenario: ConstantArrivalRate | RampingArrivalRate, begins_at: float) -> None:
    part = crew.segment.among(scenario.most_vus)
    if part is None:
        return
    if isinstance(scenario, ConstantArrivalRate):
        starts = constant_arrivals(scenario.peak_per_s, scenario.length_s, part)
    else:
        unit_s = scenario.time_unit
        stages = [Stage(stage.duration, stage.target / unit_s) for stage in scenario.stages]
        starts = ramping_arrivals(scenario.start_rate / unit_s, stages, part)
    arrivals = Arrivals(crew, starts, begins_at)
    crew.drop_missed = arrivals.drop_missed
    try:
        async with anyio.create_task_group() as virtual_users:
            arrivals.virtual_users = virtual_users
            for member in list(crew.members):
                virtual_users.start_soon(arrivals.serve, member)
            if not crew.members:
                arrivals.reinforce()
    finally:
        if crew.equipment.control.stop is None:
            arrivals.drop_the_rest()


class Arrivals:
    """The starts of an open-model scenario, and the virtual users that wait for them.

    One of these always waits for the next start, as long as the scenario may have more of them.
    """

    virtual_users: TaskGroup

    def __init__(self, crew: Crew, starts: Iterator[tuple[int, float]], begins_at: float) -> None:
        self._crew = crew
        self._clock = crew.equipment.clock
        self._starts = starts
        self._begins_at = begins_at
        self._next = next(starts, None)
        self._waiting = 0
        self._coming: set[int] = set()  # who is doing its vu_start(), by its index

    def reinforce(self) -> None:
        """Let one more virtual user wait, if there may be one."""
        if self._crew.hired < self._crew.most and self._next is not None:
            self.virtual_users.start_soon(self._join)

    async def _join(self) -> None:
        crew = self._crew
        while crew.hired < crew.most and self._next is not None and self._waiting == 0:
            index = crew.hired
            self._coming.add(index)
            member = await crew.hire()
            if member is not None:
                await self.serve(member)
                return
            self._coming.discard(index)  # its vu_start() raised; it does nothing, and leaves out one start
            if (missed := self._next) is not None:
                await anyio.sleep(max(0.0, self._begins_at + missed[1] - self._clock()))
                if self._next is missed:
                    self._drop()

    async def serve(self, member: Member) -> None:
        def next_start() -> float | None:
            start = self.take(self._clock())
            self._coming.discard(member.index)
            if start is None:
                return None
            member.number, due = start
            return due

        await self._crew.work(member, next_start, self._wait)

    def take(self, now: float) -> tuple[int, float] | None:
        """Number and due time of the next start, for a virtual user that is free now; None when there is none left."""
        self.drop_missed(now)
        start = self._next
        if start is None:
            return None
        self._next = next(self._starts, None)
        return start[0], self._begins_at + start[1]

    def drop_missed(self, now: float) -> None:
        """Give up the starts that came while nobody was free and nobody could be hired.

        While somebody can be or is on the way, a start that lies behind was held up by this process, and takes place
        late.
        """
        if self._waiting == 0 and not self._coming and self._crew.hired >= self._crew.most:
            while self._next is not None and self._begins_at + self._next[1] < now - GRAIN_S:
                self._drop()

    def drop_the_rest(self) -> None:
        while self._next is not None:
            self._drop()

    def _drop(self) -> None:
        self._crew.book.dropped.total += 1
        self._next = next(self._starts, None)

    async def _wait(self, due: float) -> float:
        self._waiting += 1
        try:
            await anyio.sleep(max(0.0, due - self._clock()))  # at least a turn, in which others may come to wait
        finally:
            self._waiting -= 1
        if self._waiting == 0:
            self.reinforce()
        late_s = max(0.0, self._clock() - due)
        book = self._crew.book
        book.delays.pending.append(late_s * 1e3)
        if late_s > LATE_S:
            book.late.total += 1
        return late_s
