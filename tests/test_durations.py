"""Durations as people write them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("1h30m", 5400), ("1d12h", 129_600), ("1.5s", 1.5), ("10", 10)],
)
def test_units_add_up(text: str, seconds: float) -> None:
    """k6's spelling works; a bare number means seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "30 s x", "s", "1x", "-5s", "-1", "nan", "inf", "1s2", "999999999d", True, None, [1], 10**400]
)
def test_anything_else_is_refused(text: Any) -> None:
    """A typo is an error, not a default."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.text())
def test_no_text_crashes_it(text: str) -> None:
    """Whatever is written, the outcome is a number of seconds or a ValueError."""
    with suppress(ValueError):
        assert parse_duration(text) >= 0
