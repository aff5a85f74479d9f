"""Durations as people write them: `30s`, `1h30m`, `500ms`, `1d12h`, or a number of seconds."""

from __future__ import annotations

import math
import re

UNIT_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|d|h|m|s)")
LONGEST_S = 366 * 86_400.0
LARGEST_BARE = 1_000  # from here on, a number without a unit is more likely k6's milliseconds than seconds


def parse_duration(value: float | str) -> float:
    """Seconds.

    Raises:
        ValueError: not a duration, negative, or longer than a year.
    """
    try:
        seconds = _from_text(value.strip()) if isinstance(value, str) else float(value)
    except (TypeError, OverflowError):  # files hold lists and huge numbers as well
        seconds = math.nan
    if isinstance(value, bool) or not math.isfinite(seconds) or not 0 <= seconds <= LONGEST_S:
        raise ValueError(f"{value!r} is not a duration between 0 and a year")
    return seconds


def check_unit(value: float | str) -> None:
    """Refuse a large number that says no unit: ciload counts in seconds, k6 in milliseconds.

    Raises:
        ValueError: it is large, and has none.
    """
    try:
        number = float(value)
    except ValueError:
        return  # text with a unit
    if number >= LARGEST_BARE:
        said, in_seconds = f"{number:.15g}", f"{number / 1e3:.15g}s"
        raise ValueError(f"{said} has no unit: for milliseconds, as in k6, write {in_seconds}; for seconds {said}s")


def _from_text(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    parts = PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration: write 30s, 1m30s, 500ms, or a number of seconds")
    return sum(float(number) * UNIT_S[unit] for number, unit in parts)
