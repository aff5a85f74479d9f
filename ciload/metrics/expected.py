"""Which answers are expected: what does not count in `http_req_failed`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LOWEST, HIGHEST = 100, 999
PART = re.compile(r"(?P<hundreds>[1-9])xx|(?P<low>\d{1,4})(?:\s*-\s*(?P<high>\d{1,4}))?", re.IGNORECASE)
# What leads on to the answer where redirects are followed.
REDIRECTS = ((301, 303), (307, 308))
MOST_REMEMBERED = 256
HOW = "write 404, '2xx', '200-399', '2xx,404' or a set of these"


@dataclass(frozen=True, slots=True)
class Statuses:
    """Statuses by ranges, both ends included. No answer at all is status 0, which is in none."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self.ranges)

    def and_also(self, *ranges: tuple[int, int]) -> Statuses:
        return Statuses((*self.ranges, *ranges))

    def __str__(self) -> str:
        return ",".join(map(_spelled, self.ranges))


StatusTypes = Statuses | str | int | Iterable[str | int]

EXPECTED_UNLESS_SET = Statuses(((200, 399),))  # as in k6


def parse_statuses(value: Any) -> Statuses:
    """Statuses as a script or an option says them: 404, "2xx", "200-399", "2xx,404", or several of these.

    Raises:
        ValueError: one of them is no status.
        TypeError: it is nothing that could be one.
    """
    if isinstance(value, Statuses):
        return value
    if isinstance(value, set | list | range):
        value = tuple(value)
    if not isinstance(value, str | int | tuple | frozenset):
        raise TypeError(f"expected statuses: {HOW}, not {type(value).__name__}")
    return _parse(value)


@lru_cache(MOST_REMEMBERED, typed=True)  # requests say the same ones over and over
def _parse(value: str | int | tuple[object, ...] | frozenset[object]) -> Statuses:
    ranges = tuple(sorted(set(_ranges(value))))
    if not ranges:
        raise ValueError(f"no status is expected: {HOW}")
    return Statuses(ranges)


def _ranges(value: object) -> Iterable[tuple[int, int]]:
    if isinstance(value, tuple | frozenset):
        for each in value:
            yield from _ranges(each)
    elif isinstance(value, str):
        for part in value.split(","):
            yield _range(part.strip())
    elif isinstance(value, int) and not isinstance(value, bool):
        yield _range(str(value))
    else:
        raise TypeError(f"expected statuses: {HOW}, not {type(value).__name__}")


def _range(text: str) -> tuple[int, int]:
    match = PART.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no status: {HOW}")
    if match["hundreds"]:
        low = 100 * int(match["hundreds"])
        return low, low + 99
    low = int(match["low"])
    high = int(match["high"] or low)
    if low == 0:
        raise ValueError("status 0 is no answer at all, which cannot be expected")
    if not LOWEST <= low <= high <= HIGHEST:
        raise ValueError(f"{text!r} is no status: they go from {LOWEST} to {HIGHEST}")
    return low, high


def _spelled(ends: tuple[int, int]) -> str:
    low, high = ends
    if low == high:
        return str(low)
    return f"{low // 100}xx" if low % 100 == 0 and high == low + 99 else f"{low}-{high}"
