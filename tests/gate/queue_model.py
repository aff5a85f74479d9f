"""A side-by-side run as a queueing model: what the gate would be given if servers were no more than queues.

Two copies of a target, each with a number of workers, and virtual users who ask both in every iteration as those of
the engine do: connections are renewed at random, and when virtual users only wait, each copy gets a load of its own.
Workers answer first come, first served; so when a request arrives it is known when it will be answered, and one event a
request is all there is to simulate. Every run is a function of its model and its seed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ciload.engine.pairing import BUSY, LOOKS, RENEWED_AFTER_S, SETTLES_S
from ciload.metrics.blocks import MOST_BLOCKS
from ciload.result.build import QUARTILES_APART
from ciload.result.document import BlockRow, Blocks

Floats = NDArray[np.float64]
Reach = Literal["pinned", "shared"]
Arrivals = Literal["closed", "poisson", "constant"]

OLD, NEW = 0, 1
SLOT_S = 0.1  # steps in which the speed of the copies changes
DRIFT_KEPT = 0.7  # of the environment's state, from one second to the next
BURSTS = 0.1  # of all seconds have failures
CHUNK = 4096  # random numbers drawn at once

# How many virtual users for each worker make up a load: so many that they need to pause between iterations.
VUS_A_WORKER = ((0.45, 4), (0.8, 8), (1.0, 60))
VUS_WHEN_SATURATED = 20


@dataclass(frozen=True, slots=True)
class QueueModel:
    """Two copies of a target and the load on them.

    Attributes:
        workers: of each copy.
        reach: how a request finds its worker. "pinned": a connection belongs to one that is drawn when it is opened, as
            with SO_REUSEPORT or replicas behind a balancer. "shared": the next free worker takes it.
        load: share of what a copy can answer; from 1 on saturated, when closed virtual users do not pause.
        arrivals: "closed" virtual users that pause, or an open model, whose starts come at random ("poisson") or evenly
            ("constant").
        seconds: that are measured.
        warmup_s: before these, of which iterations that begin in it are not measured.
        pairs_per_s: iterations; the time of a request follows from these, the load and the workers.
        service_cv: coefficient of variation of log-normal service times; None makes them exponential.
        exponential_pauses: pauses are all the same otherwise.
        renew: virtual users open their connections anew, every 1/4 to 1 s, both at once.
        apart: from the second after one in which virtual users were waiting for 90% of the time, each of them works at
            both copies at once, in iterations of their own.
        shift: how much more time requests take at the new copy: 0.1 is 10%.
        cpu_spread: standard deviation of the logarithm of workers' speeds. Worker i of both copies is as fast, and all
            together are as fast as workers that do not differ.
        gc_pause_s: a worker stands still for so long, now and then.
        gc_every_s: on average.
        warm_new: by how much more time requests take in the beginning, at the new copy; this decays.
        warm_old: at the old one.
        warm_decay_s: time in which the extra time goes down to 37%.
        first_s: how much more time the first request takes that a worker answers: imports, connections to databases.
        cache: second requests of a pair take so much of the time that first ones do, since the first have filled a
            cache that both copies share.
        slow_new: share of requests to the new copy that are answered later by `slow_s`, without keeping a worker busy.
        slow_old: to the old one.
        slow_s: see there.
        failing_new: share of requests to the new copy that fail, in bursts of a second.
        failing_old: to the old one.
        drift: standard deviation of the logarithm of the machine's speed, which changes every second: AR(1) with 0.7.
        most_vus: of an open model; None for as many as it takes, unless it is saturated.
    """

    workers: int = 1
    reach: Reach = "pinned"
    load: float = 0.3
    arrivals: Arrivals = "closed"
    seconds: int = 20
    warmup_s: float = 2.0
    pairs_per_s: float = 200.0
    service_cv: float | None = 0.3
    exponential_pauses: bool = False
    renew: bool = True
    apart: bool = True
    shift: float = 0.0
    cpu_spread: float = 0.0
    gc_pause_s: float = 0.0
    gc_every_s: float = 2.0
    warm_new: float = 0.0
    warm_old: float = 0.0
    warm_decay_s: float = 2.0
    first_s: float = 0.0
    cache: float = 1.0
    slow_new: float = 0.0
    slow_old: float = 0.0
    slow_s: float = 0.3
    failing_new: float = 0.0
    failing_old: float = 0.0
    drift: float = 0.05
    most_vus: int | None = None

    @property
    def saturated(self) -> bool:
        return self.load >= 1

    @property
    def service_s(self) -> float:
        """Mean time that a request keeps a worker of the old copy busy, on a machine of average speed."""
        return self.load * self.workers / self.pairs_per_s

    @property
    def vus(self) -> int:
        """Virtual users of a closed model, the most there may be of an open one."""
        if self.arrivals == "closed" or self.saturated:
            each = next((each for load, each in VUS_A_WORKER if self.load < load), VUS_WHEN_SATURATED)
            return self.most_vus or each * self.workers
        return self.most_vus or 100_000

    @property
    def pause_s(self) -> float:
        """Between iterations of a closed model, so that the load is what it should be."""
        return 0.0 if self.saturated or self.arrivals != "closed" else pause_for(self)

    def run(self, seed: int) -> QueueRun:
        """One run."""
        return _Simulation(self, seed).run()


@dataclass(frozen=True, slots=True)
class QueueRun:
    """What was measured in a run.

    Attributes:
        blocks: as in a result document.
        ends: seconds since the end of the warm-up at which each request was answered.
        durations: of each request, in s.
        arms: which copy answered it, 0 (old) or 1 (new).
        utilisation: share of the time that the workers of the old copy, and of the new one, were busy with requests.
        apart: whether the copies were loaded apart in the end.
        dropped: starts of an open model for which no virtual user was free.
    """

    blocks: Blocks
    ends: Floats
    durations: Floats
    arms: Floats
    utilisation: tuple[float, float]
    apart: bool
    dropped: int


class _Simulation:
    """The state of a run."""

    def __init__(self, model: QueueModel, seed: int) -> None:
        self.model = model
        self.rng = np.random.default_rng(seed)
        self.until = model.warmup_s + model.seconds
        slots = math.ceil(self.until / SLOT_S) + 1
        self.slowness = self._slowness(slots)
        self.failing = [self._failing(share) for share in (model.failing_old, model.failing_new)]
        speeds = np.exp(model.cpu_spread * self.rng.standard_normal(model.workers))
        self.worker_slowness: list[float] = (speeds.mean() / speeds).tolist()
        # One row for each request and each pair, one after the other, which costs less than a tuple for each.
        self.requests: list[float] = []  # answered at, duration, arm, failed
        self.pairs: list[float] = []  # answered at, new/old, arm asked first
        self.busy = [0.0, 0.0]
        self.dropped = 0
        self.apart = False

    def _slowness(self, slots: int) -> list[list[float]]:
        """What service times are multiplied with, by copy and slot."""
        model = self.model
        at = SLOT_S * np.arange(slots)
        seconds = math.ceil(slots * SLOT_S) + 1
        steps = self.rng.standard_normal(seconds).tolist()
        state, machine = steps[0], []
        for step in steps:
            machine.append(state)
            state = DRIFT_KEPT * state + math.sqrt(1 - DRIFT_KEPT**2) * step
        shared = np.exp(model.drift * np.array(machine))[at.astype(int)]
        cold = np.exp(-at / model.warm_decay_s)
        old = shared * (1 + model.warm_old * cold)
        new = shared * (1 + model.warm_new * cold) * (1 + model.shift)
        return [old.tolist(), new.tolist()]

    def _failing(self, share: float) -> list[float]:
        """The share of requests that fail, by second."""
        bursts = self.rng.random(math.ceil(self.until) + 1) < BURSTS
        failing: list[float] = np.where(bursts, min(1.0, share / BURSTS), 0.0).tolist()
        return failing

    def _numbers(self, draw: Callable[[int], Floats]) -> Callable[[], float]:
        """Random numbers, drawn many at once."""

        def endless() -> Iterator[float]:
            while True:
                yield from draw(CHUNK).tolist()

        return endless().__next__

    def _services(self) -> Callable[[], float]:
        mean, cv = self.model.service_s, self.model.service_cv
        if cv is None:
            return self._numbers(lambda size: self.rng.exponential(mean, size))
        sigma = math.sqrt(math.log1p(cv**2))
        return self._numbers(lambda size: self.rng.lognormal(math.log(mean) - sigma**2 / 2, sigma, size))

    def run(self) -> QueueRun:
        model = self.model
        if model.arrivals == "closed":
            pause = model.pause_s
            pauses = self._numbers(
                lambda size: (
                    self.rng.exponential(pause, size)
                    if model.exponential_pauses
                    else np.broadcast_to(np.float64(pause), size)
                )
            )
            # As the engine does: all virtual users begin at once.
            self._simulate([(0.0, vu) for vu in range(model.vus)], pauses, None)
        else:
            gap = 1 / model.pairs_per_s
            gaps = self._numbers(
                lambda size: (
                    self.rng.exponential(gap, size)
                    if model.arrivals == "poisson"
                    else np.broadcast_to(np.float64(gap), size)
                )
            )
            self._simulate([(gaps(), -1)], None, gaps)
        return self._measured()

    def _simulate(  # noqa: C901  # one piece, since a call for each request would double the time
        self,
        events: list[tuple[float, int]],
        pauses: Callable[[], float] | None,
        gaps: Callable[[], float] | None,
    ) -> None:
        """Go from event to event: a virtual user is ready for its next step, or (number -1) a start is due.

        Args:
            events: the first ones: when, and whose.
            pauses: of a closed model, between iterations.
            gaps: of an open model, between starts.
        """
        model, until, warmup_s = self.model, self.until, self.model.warmup_s
        most, workers, second_takes, saturated_s = model.vus, model.workers, model.cache, BUSY * model.vus * LOOKS
        step: list[int] = []  # 0: begins an iteration; 1: has its first answer; 2: has all
        at_arm: list[int] = []  # where it works; -1: at both
        first_arm: list[int] = []
        first_took: list[float] = []
        begun: list[float] = []
        renew_at: list[float] = []
        connected: tuple[list[int], list[int]] = ([], [])  # by copy and virtual user: the worker of its connection
        is_open: list[bool] = []
        made = 0

        def make(arm: int) -> int:
            for number, each in ((0, step), (arm, at_arm), (0, first_arm), (0, connected[0]), (0, connected[1])):
                each.append(number)
            for times in (first_took, begun, renew_at):
                times.append(0.0)
            is_open.append(False)
            return len(step) - 1

        for _ in events if gaps is None else ():
            make(-1)
        free_at = ([0.0] * workers, [0.0] * workers)
        idle: tuple[deque[int], ...] = (deque(), deque(), deque())  # at the old copy, the new one, both
        next_pause: list[list[float]] = [[math.inf] * workers for _ in range(2)]
        gc_pause_s, pinned, renew, may_part = model.gc_pause_s, model.reach == "pinned", model.renew, model.apart
        gc_gaps = self._numbers(lambda size: self.rng.exponential(model.gc_every_s, size))
        if gc_pause_s:
            next_pause = [[gc_gaps() for _ in range(workers)] for _ in range(2)]
        service = self._services()
        chance = self._numbers(self.rng.random)
        slow_share, some_slow = (model.slow_old, model.slow_new), bool(model.slow_old or model.slow_new)
        cold, some_cold = ([model.first_s] * workers, [model.first_s] * workers), bool(model.first_s)
        some_fail = bool(model.failing_old or model.failing_new)
        slowness, failing, worker_slowness = self.slowness, self.failing, self.worker_slowness
        shortest, longest = RENEWED_AFTER_S
        requests, pairs, busy = self.requests, self.pairs, self.busy
        slots_a_s = 1 / SLOT_S
        waited = [0.0] * (math.ceil(until) + 1)  # by virtual users, in iterations that ended in each second
        next_look = int(SETTLES_S) + LOOKS

        heapify(events)
        while events:
            now, vu = heappop(events)
            if now >= until:
                break
            if may_part and now >= next_look:
                if not self.apart and sum(waited[next_look - LOOKS : next_look]) > saturated_s:
                    self.apart = True
                    while idle[2]:
                        at_arm[idle[2][0]] = NEW
                        idle[NEW].append(idle[2].popleft())
                        idle[OLD].append(make(OLD))
                next_look += 1
            if vu < 0:
                assert gaps is not None
                heappush(events, (now + gaps(), -1))
                for place in (OLD, NEW) if self.apart else (2,):
                    if idle[place]:
                        heappush(events, (now, idle[place].popleft()))
                    elif made < most:
                        made += 1
                        heappush(events, (now, make(place if self.apart else -1)))
                        if self.apart:
                            idle[1 - place].append(make(1 - place))
                    else:
                        self.dropped += 1
                continue
            at = step[vu]
            if (
                at != 1 and self.apart and at_arm[vu] < 0
            ):  # it goes on at the new copy, and somebody else at the old one
                at_arm[vu] = NEW
                other = make(OLD)
                if at == 2:
                    idle[OLD].append(other)
                else:
                    heappush(events, (now, other))
            if at == 2:  # of an open model; a closed one goes on below
                step[vu] = 0
                idle[at_arm[vu]].append(vu)  # -1 is the last of them
                continue
            if at == 0:
                begun[vu] = now
                if not is_open[vu] or (renew and now >= renew_at[vu]):
                    connected[0][vu] = int(chance() * workers)
                    connected[1][vu] = int(chance() * workers)
                    renew_at[vu] = now + shortest + chance() * (longest - shortest)
                    is_open[vu] = True
                arm = at_arm[vu]
                if arm < 0:
                    arm = NEW if chance() < 0.5 else OLD
                first_arm[vu] = arm
            else:
                arm = 1 - first_arm[vu]
            takes = service() * slowness[arm][int(now * slots_a_s)]
            if at == 1:
                takes *= second_takes
            free = free_at[arm]
            worker = connected[arm][vu] if pinned else free.index(min(free))
            takes *= worker_slowness[worker]
            if some_cold and cold[arm][worker]:
                takes += cold[arm][worker]
                cold[arm][worker] = 0.0
            starts = free[worker]
            if starts < now:
                starts = now
            ends = starts + takes
            if gc_pause_s:
                coming = next_pause[arm]
                while coming[worker] < ends:
                    if coming[worker] > starts:
                        ends += gc_pause_s
                    elif (over := coming[worker] + gc_pause_s) > starts:
                        ends += over - starts
                        starts = over
                    coming[worker] += gc_pause_s + gc_gaps()
            free[worker] = ends
            busy[arm] += takes
            if some_slow and chance() < slow_share[arm]:
                ends += model.slow_s
            took = ends - now
            measured = begun[vu] >= warmup_s and ends < until
            if measured:
                failed = some_fail and chance() < failing[arm][int(ends)]
                requests += (ends, took, arm, failed)
            if at == 0 and at_arm[vu] < 0:
                first_took[vu] = took
                step[vu] = 1
                heappush(events, (ends, vu))
                continue
            if at == 1:
                if measured:
                    pairs += (ends, took / first_took[vu] if arm else first_took[vu] / took, 1 - arm)
                if ends < until:
                    waited[int(ends)] += first_took[vu] + took
            if pauses is None:
                step[vu] = 2
                heappush(events, (ends, vu))
            else:
                step[vu] = 0
                heappush(events, (ends + pauses(), vu))

    def _measured(self) -> QueueRun:
        model = self.model
        requests = np.array(self.requests, dtype=float).reshape(-1, 4)
        pairs = np.array(self.pairs, dtype=float).reshape(-1, 3)
        requests[:, 0] -= model.warmup_s
        pairs[:, 0] -= model.warmup_s
        return QueueRun(
            _blocks(model.seconds, requests, pairs),
            requests[:, 0],
            requests[:, 1],
            requests[:, 2],
            utilisation=(self.busy[OLD] / self.until / model.workers, self.busy[NEW] / self.until / model.workers),
            apart=self.apart,
            dropped=self.dropped,
        )


def _blocks(seconds: int, requests: Floats, pairs: Floats) -> Blocks:
    """What a run's document has: seconds, merged until there are few enough blocks."""
    span = 1
    while (seconds - 1) // span >= MOST_BLOCKS:
        span *= 2
    count = -(-seconds // span)
    rows = [_row(arm, span, count, requests[requests[:, 2] == arm], pairs) for arm in (NEW, OLD)]
    return Blocks(span_s=float(span), count=count, rows=rows)


def _row(arm: int, span: int, count: int, requests: Floats, pairs: Floats) -> BlockRow:
    block = (requests[:, 0] / span).astype(int)
    durations = 1e3 * requests[:, 1]
    in_block, bounds = _grouped(block, durations, count)
    sums = np.bincount(block, durations, count)
    sizes = np.diff(bounds)
    ratios: dict[str, Any] = {}
    if arm == NEW and len(pairs):
        for name, first in (("new_first", NEW), ("old_first", OLD)):
            mine = pairs[pairs[:, 2] == first]
            values, ends = _grouped((mine[:, 0] / span).astype(int), mine[:, 1], count)
            ratios[f"pairs_{name}"] = np.diff(ends).tolist()
            ratios[f"ratio_{name}"] = _quantiles(values, ends, 0.5)
            quartiles = (_quantiles(values, ends, 0.25), _quantiles(values, ends, 0.75))
            ratios[f"spread_{name}"] = [
                math.log(high / low) / QUARTILES_APART if low and high else None
                for low, high in zip(*quartiles, strict=True)
            ]
    return BlockRow(
        name="", arm="new" if arm == NEW else "old",
        requests=sizes.tolist(), failed=np.bincount(block, requests[:, 3], count).astype(int).tolist(),
        avg=[None if not size else whole / size for whole, size in zip(sums.tolist(), sizes.tolist(), strict=True)],
        p5=_quantiles(in_block, bounds, 0.05), p50=_quantiles(in_block, bounds, 0.5),
        p95=_quantiles(in_block, bounds, 0.95), p99=_quantiles(in_block, bounds, 0.99), **ratios,
    )  # fmt: skip


def _grouped(block: Any, values: Floats, count: int) -> tuple[Floats, Any]:
    """The values by block and size, and where each block begins and ends."""
    order = np.lexsort((values, block))
    bounds = np.searchsorted(block[order], np.arange(count + 1))
    return values[order], bounds


def _quantiles(values: Floats, bounds: Any, quantile: float) -> list[float | None]:
    """Of each block, between the two nearest values as numpy has it by default; None where there are none."""
    sizes = np.diff(bounds)
    if not len(values):
        return [None] * len(sizes)
    place = bounds[:-1] + quantile * np.maximum(sizes - 1, 0)
    below = np.minimum(place.astype(int), len(values) - 1)
    above = np.minimum(below + 1, np.maximum(bounds[1:] - 1, 0))
    found = values[below] + (place - below) * (values[np.maximum(above, below)] - values[below])
    return [value if size else None for value, size in zip(found.tolist(), sizes.tolist(), strict=True)]


@lru_cache(maxsize=256)
def pause_for(model: QueueModel) -> float:
    """The pause between iterations with which closed virtual users make the load; 0 if they are too few for it."""
    low, high = 0.0, model.vus / model.pairs_per_s
    for _ in range(40):
        middle = (low + high) / 2
        if closed_throughput(model, middle) > model.pairs_per_s:
            low = middle
        else:
            high = middle
    return high


def closed_throughput(model: QueueModel, pause_s: float) -> float:
    """Iterations per second of a closed model: exact for exponential times and one worker, else near enough.

    Mean value analysis. Pinned workers are stations of their own; k that share a queue are one k times as fast after a
    delay. With service times that vary less, who arrives finds less of the request that is being served.

    Source: Reiser and Lavenberg, Mean-Value Analysis of Closed Multichain Queuing Networks, J. ACM 27(2), 1980; for
    several workers Seidmann, Schweitzer and Shalev-Oren, Computerized Closed Queueing Network Models of Flexible
    Manufacturing Systems, Large Scale Systems 12, 1987; for the variation Reiser, A Queueing Network Analysis of
    Computer Communication Networks with Window Flow Control, IEEE Trans. Comm. 27(8), 1979.
    """
    remaining = 1.0 if model.service_cv is None else (1 + model.service_cv**2) / 2
    demand = model.service_s / model.workers
    stations = 2 * model.workers if model.reach == "pinned" else 2
    delay = pause_s
    if model.reach == "shared":
        delay += 2 * demand * (model.workers - 1)
    queue = throughput = 0.0
    for vus in range(1, model.vus + 1):
        response = demand * (1 + queue - throughput * demand * (1 - remaining))
        throughput = vus / (delay + stations * response)
        queue = throughput * response
    return throughput
