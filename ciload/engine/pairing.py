"""Side by side: what keeps two targets comparable while a virtual user does each iteration at both.

*Pairs*: the k-th request of an endpoint at the new target and at the old one, in the same iteration, met the same
machine at nearly the same time, so their ratio is far steadier than either. Which target came first is kept apart: a
cache that both share makes the second one faster.

*Connections are renewed*, those to both targets together, at random times: a kept-alive connection belongs to one
worker process or replica behind the address, and the few connections of a run would be one draw of these for all of it.

*Saturation*: where virtual users spend nearly all their time waiting for answers, they pile up at the slower target,
and a small difference looks like a huge one. From then on each target gets the load for itself, as long as they do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

from ciload.http.client import renew_connections
from ciload.http.session import Exchange, Exchanges
from ciload.metrics.blocks import PAIRED_RATIO, Arm
from ciload.metrics.registry import Scope
from ciload.metrics.sinks import TrendSink

if TYPE_CHECKING:
    from ciload.engine.virtual_users import VUAtTarget

RENEWED_AFTER_S = (0.25, 1.0)  # at random in between
BUSY = 0.75  # share of their time that virtual users wait for answers: from here on the targets set the pace
AT_EASE = 0.5  # below, they no longer do
SETTLES_S = 2.0  # of the load: cold workers make everybody wait at first, and that says nothing about the load
HALF_A_LOOK_S = 0.5  # seconds do not begin on time to the last millisecond
LOOKS = 3  # seconds in a row that are judged together


class Ratios:
    """Where a scenario's ratios of paired requests go: new to old."""

    __slots__ = ("_scope", "_sinks")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._sinks: dict[tuple[str, str, Arm], TrendSink] = {}

    def add(self, new: Iterable[Exchange], old: Iterable[Exchange], first: Arm) -> None:
        """Take in what an iteration's requests took at both targets; pairs in which one failed are left out."""
        others: dict[tuple[str, str], list[float]] = {}
        for (name, method, *_), seconds in old:
            others.setdefault((name, method), []).append(seconds)
        followers = {key: iter(each) for key, each in others.items()}
        for (name, method, *_), seconds in new:
            other = next(followers.get((name, method), iter(())), 0.0)
            if seconds > 0 and other > 0:
                self._sink(name, method, first).pending.append(seconds / other)

    def _sink(self, name: str, method: str, first: Arm) -> TrendSink:
        key = (name, method, first)
        sink = self._sinks.get(key)
        if sink is None:
            found = self._scope.sink(PAIRED_RATIO, {"name": name, "method": method, "first": first})
            assert isinstance(found, TrendSink)
            sink = self._sinks[key] = found
        return sink


class Pacing:
    """What the virtual users of a scenario spend their time with, and whether targets are to be loaded apart."""

    __slots__ = ("_busy_s", "_seconds", "apart", "may_rejoin")

    def __init__(self, *, may_rejoin: bool = True) -> None:
        """
        Args:
            may_rejoin: targets that are loaded apart may be loaded together again. Not so when each has a schedule, or
                a number of iterations, of its own by then.
        """
        self.may_rejoin = may_rejoin
        self._busy_s = 0.0
        self._seconds: deque[tuple[float, float]] = deque(maxlen=LOOKS)  # spent waiting, of how much time
        self.apart = False  # each target has the load for itself

    def spent(self, exchanges: Exchanges) -> None:
        """Virtual users waited for these answers."""
        self._busy_s += exchanges.seconds()

    def look(self, virtual_users: int, span_s: float, at_s: float) -> None:
        """Judge the last seconds of the load. One virtual user alone waits for nobody else.

        Args:
            virtual_users: that there were.
            span_s: seconds since the last look.
            at_s: seconds since the load's start.
        """
        busy_s, self._busy_s = self._busy_s, 0.0
        if self.apart:
            virtual_users *= 2  # each is at work at both targets at once
        if at_s - span_s < SETTLES_S - HALF_A_LOOK_S:
            return
        self._seconds.append((busy_s, virtual_users * span_s))
        waited_s, had_s = map(sum, zip(*self._seconds, strict=True))
        if len(self._seconds) < LOOKS:
            return
        before = self.apart
        if not self.apart:
            self.apart = virtual_users > 1 and waited_s > BUSY * had_s
        elif self.may_rejoin:
            self.apart = waited_s >= AT_EASE * had_s
        if self.apart != before:
            self._seconds.clear()


class Pairing:
    """One virtual user's iterations at its targets: both, or one of them when these are loaded apart."""

    __slots__ = ("_clock", "_coin", "_pacing", "_renew_at", "_targets")

    def __init__(
        self, targets: tuple[VUAtTarget, ...], pacing: Pacing, clock: Callable[[], float], coin: Random
    ) -> None:
        self._targets = targets
        self._pacing = pacing
        self._clock = clock
        self._coin = coin
        self._renew_at = 0.0
        for each in targets:
            each.session.exchanges = Exchanges()

    async def begin(self) -> None:
        """Before an iteration: renew connections when it is time to. Nobody measures that."""
        if (now := self._clock()) < self._renew_at:
            return
        for each in self._targets:
            await renew_connections(each.session)
        self._renew_at = now + self._coin.uniform(*RENEWED_AFTER_S)

    def end(self, first: Arm, ratios: Ratios) -> None:
        """After an iteration: keep the ratios of its pairs."""
        done = {each.arm: exchanges for each in self._targets if (exchanges := each.session.exchanges) is not None}
        for exchanges in done.values():
            self._pacing.spent(exchanges)
        if len(done) > 1:
            ratios.add(done["new"], done["old"], first)
        for exchanges in done.values():
            exchanges.clear()
