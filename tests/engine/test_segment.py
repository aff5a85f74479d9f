"""Segments: stripes that make up the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.engine.segment import WHOLE, Segment


def test_the_whole_is_everything() -> None:
    """Without other processes every number is one's own."""
    assert [WHOLE.share(total) for total in (0, 1, 10)] == [0, 1, 10]
    assert WHOLE.number(7) == 7
    assert WHOLE.among(5) == WHOLE


@pytest.mark.parametrize(("index", "share"), [(0, 4), (1, 3), (2, 3)])
def test_what_does_not_divide_goes_to_the_first(index: int, share: int) -> None:
    """10 in 3 segments are 4, 3 and 3."""
    assert Segment(index, 3).share(10) == share


@given(st.integers(1, 9), st.integers(0, 200))
def test_shares_are_a_partition(count: int, total: int) -> None:
    """Every number belongs to exactly one segment, the one that k % count says."""
    segments = [Segment(index, count) for index in range(count)]
    owned = {segment.number(local): segment.index for segment in segments for local in range(segment.share(total))}
    assert owned == {number: number % count for number in range(total)}
    assert sum(segment.share(total) for segment in segments) == total


@given(st.integers(1, 9), st.integers(0, 20), st.integers(0, 200))
def test_fewer_can_take_part(count: int, most: int, total: int) -> None:
    """When only some segments get a virtual user, these are the whole, and the others get nothing."""
    parts = [Segment(index, count).among(most) for index in range(count)]
    assert [part is not None for part in parts] == [index < most for index in range(count)]
    assert sum(part.share(total) for part in parts if part) == (total if most else 0)
