"""Connections that are renewed, requests in pairs, and targets that are loaded apart when virtual users only wait."""

from __future__ import annotations

import pytest

from ciload.engine.pairing import LOOKS, SETTLES_S, Pacing, Ratios
from ciload.http.session import Exchanges
from ciload.metrics.blocks import PAIRED_RATIO
from ciload.metrics.registry import Registry, Scope


def exchange(name: str, seconds: float, status: int = 200) -> tuple[tuple[str, str, int, str, tuple[()]], float]:
    return (name, "GET", status, "", ()), seconds


def waited(seconds: float) -> Exchanges:
    exchanges = Exchanges()
    exchanges.append(exchange("/", seconds))
    return exchanges


def ratios_of(new: list, old: list) -> dict[tuple[str, str], list[float]]:  # type: ignore[type-arg]
    """By name and which target was first, the ratios of one iteration in which the new target was."""
    registry = Registry()
    Ratios(Scope(registry)).add(new, old, "new")
    taken = registry.take().series.get(PAIRED_RATIO.name, {})
    return {
        (dict(tags)["name"], dict(tags)["first"]): sorted(round(each, 3) for each in sink.histogram.values())  # type: ignore[union-attr]
        for tags, sink in taken.items()
    }


class TestRatios:
    def test_the_first_goes_with_the_first(self) -> None:
        """Requests of one name are matched in their order, whatever came between."""
        new = [exchange("/a", 0.2), exchange("/b", 0.5), exchange("/a", 0.3)]
        old = [exchange("/a", 0.1), exchange("/a", 0.2), exchange("/b", 0.25)]

        assert ratios_of(new, old) == {("/a", "new"): [1.5, 2.0], ("/b", "new"): [2.0]}

    def test_failed_requests_keep_their_place_and_make_no_pair(self) -> None:
        """The first failed at the old target: its place is not taken by the second."""
        new = [exchange("/a", 0.2), exchange("/a", 0.4)]
        old = [exchange("/a", 0.0, 500), exchange("/a", 0.1)]

        assert ratios_of(new, old) == {("/a", "new"): [4.0]}

    def test_what_only_one_target_was_asked_has_no_pair(self) -> None:
        assert ratios_of([exchange("/a", 0.2), exchange("/new", 0.1)], [exchange("/a", 0.2)]) == {("/a", "new"): [1.0]}


class TestPacing:
    def look(self, shares: list[float], virtual_users: int = 4) -> list[bool]:
        """Whether targets are loaded apart after each second, in which users waited for such a share of their time."""
        pacing, found = Pacing(), []
        for second, share in enumerate(shares, 1):
            pacing.spent(waited(share * virtual_users))
            pacing.look(virtual_users, 1.0, float(second))
            found.append(pacing.apart)
        return found

    def test_users_who_only_wait_part_the_targets(self) -> None:
        """After the first two seconds, which do not count, and three more."""
        seconds = int(SETTLES_S) + LOOKS
        assert self.look([1.0] * seconds) == [False] * (seconds - 1) + [True]

    def test_cold_workers_do_not(self) -> None:
        """Three seconds of waiting for workers that start, and then hardly any."""
        assert not any(self.look([1.0, 1.0, 1.0, 0.3, 0.3, 0.3, 0.3]))

    def test_users_who_are_at_ease_again_rejoin_them(self) -> None:
        """A target that stood still for some seconds costs the pairs of these only; elsewhere it is for good."""
        busy, calm = [1.0] * 5, [0.4] * 2 * LOOKS
        assert self.look([*busy, *calm])[-1] is False
        pacing = Pacing(may_rejoin=False)
        for second, share in enumerate([*busy, *calm], 1):
            pacing.spent(waited(share * 4))
            pacing.look(4, 1.0, float(second))
        assert pacing.apart

    @pytest.mark.parametrize("share", [0.3, 0.7])
    def test_pauses_leave_them_together(self, share: float) -> None:
        assert not any(self.look([share] * 20))

    def test_one_user_waits_for_nobody_else(self) -> None:
        assert not any(self.look([1.0] * 20, virtual_users=1))
