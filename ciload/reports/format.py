"""Numbers as people write them: short, with their unit, and never so short that they contradict a limit.

Decimals, not floats, because the text must say exactly what the comparison saw: `Decimal(repr(x))` keeps the order of
the floats it is made from, and moving to another unit is a shift of the point.
"""

from __future__ import annotations

import math
import operator as op
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, localcontext
from itertools import count, pairwise

DECIMALS = 2
NOTHING = "-"
PLAIN = range(-6, 16)  # powers of ten that are written out; beyond them 1e+300 says more than 300 zeros
MINUTE_S, HOUR_S = 60, 3_600
LONGEST_S = 10**12  # durations above are nonsense; they stay in seconds
ARITHMETIC = Context(prec=60)  # our own: scripts share this process, and may have set another

# How a unit is written, smallest first: the symbol, and the power of ten between it and the unit of the value.
Scale = tuple[tuple[str, int], ...]
NO_UNIT: Scale = (("", 0),)
SCALES: Mapping[str, Scale] = {
    "ms": (("µs", -3), ("ms", 0), ("s", 3)),
    "ms as s": (("s", 3),),
    "ms as ms": (("ms", 0),),
    "ms as us": (("µs", -3),),
    "bytes": ((" B", 0), (" kB", 3), (" MB", 6), (" GB", 9), (" TB", 12)),
    "bytes/s": ((" B/s", 0), (" kB/s", 3), (" MB/s", 6), (" GB/s", 9), (" TB/s", 12)),
    "/s": (("/s", 0),),
    "": NO_UNIT,
}
PERCENT: Scale = (("%", -2),)
NUMBER = r"(-?[\d.,]+(?:e\+?\d+)?)"
TIME = re.compile(NUMBER + "(µs|ms|s)")
WITH_UNIT = re.compile(NUMBER + "(.*)")

HOLDS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge, "==": op.eq, "===": op.eq, "!=": op.ne,
}  # fmt: skip


def format_value(value: float | None, unit: str) -> str:
    """A number for people, such as `45µs`, `283.43ms`, `1m5s`, `1.2 MB`, `12,345`, `205.75/s`.

    Two decimals at most, but two significant digits below 0.1: only 0 reads as 0.

    Args:
        value: what to write; None is written as a dash.
        unit: that of `value`: "ms", "bytes", "bytes/s", "/s", "", or any other word, which is put behind the number.
    """
    if value is None:
        return NOTHING
    return _write(_exact(value), _scale(unit), DECIMALS)[0] if math.isfinite(value) else str(value)


def format_share(part: float, whole: float) -> str:
    """A percentage that reads 100% only when it is all, and 0% only when it is nothing; a dash when `whole` is 0."""
    if not whole:
        return NOTHING
    return _agreeing(ARITHMETIC.divide(_exact(part), _exact(whole)), op.eq, Decimal(1), PERCENT)


def format_against(value: float, operator: str, limit: float, unit: str) -> str:
    """Like `format_value`, with as many more digits as it takes for the text to keep the limit exactly if `value` does.

    200.0004 against `<200` is `200.0004ms`: `200ms` would leave readers wondering, and is another number. A number
    without a unit may be a share, which reads 1 only when it is all: 0.9968 against `>0.99` is `0.997`.

    Args:
        value: what was measured.
        operator: one of `HOLDS`.
        limit: what `value` is compared with, in the same unit.
        unit: see `format_value`.
    """
    if not math.isfinite(value):
        return str(value)
    return _agreeing(_exact(value), HOLDS[operator], _exact(limit), _scale(unit))


def format_short(value: float | None, unit: str) -> str:
    """A number to be read in passing, of three digits at most, a space before its unit: `30.2 ms`, `1.25 s`, `512/s`.

    Args:
        value: what to write; None, and what is no number, is written as a dash.
        unit: see `format_value`; "share" is written as a percentage.
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if unit == "share":
        return format_share(value, 1)
    if unit == "ms" and MINUTE_S * 1e3 <= value < LONGEST_S:
        value = round(value, -3)
    return spaced(format_value(_digits_kept(value, 3), unit))


def format_move(old: float, new: float, unit: str) -> str:
    """From one value to another, in whole numbers from 10 on: `30 → 59 ms`, `0.98 → 1.4 s`, `0.1% → 5.2%`."""
    if unit == "share" or not (math.isfinite(old) and math.isfinite(new)):
        return f"{format_short(old, unit)} → {format_short(new, unit)}"
    for digits in (2, 3):
        texts = [spaced(format_value(_digits_kept(value, digits, whole_from=10), unit)) for value in (old, new)]
        if texts[0] != texts[1] or old == new:
            break
    (first, symbol), (last, other) = (_apart(text) for text in texts)
    return f"{first} → {last}{other}" if symbol == other else f"{first}{symbol} → {last}{other}"


def spaced(text: str) -> str:
    """What `format_value` or `format_against` wrote, for sentences: `168ms` is `168 ms`."""
    time = TIME.fullmatch(text)
    return f"{time[1]} {time[2]}" if time else text


def format_digits(value: float, digits: int) -> str:
    """A number for other programs, of so many significant digits, or more: it reads 1 only when it is 1."""
    texts = (f"{value:.{each}g}" for each in count(digits))
    return next(text for text in texts if (float(text) == 1) == (value == 1))


def _apart(text: str) -> tuple[str, str]:
    """The number, and what follows it."""
    found = WITH_UNIT.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def _digits_kept(value: float, digits: int, whole_from: float = math.inf) -> float:
    """Rounded to so many significant digits; from 100, or `whole_from`, on to whole numbers."""
    size = abs(value)
    if size >= min(100, whole_from) and size < 1e15:
        return float(round(value))
    return float(f"{value:.{digits}g}")


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))


def _scale(unit: str) -> Scale:
    return SCALES.get(unit) or ((f" {unit}", 0),)


def _agreeing(value: Decimal, holds: Callable[[Decimal, Decimal], bool], limit: Decimal, scale: Scale) -> str:
    for decimals in count(DECIMALS):  # ends: with enough decimals the text is exact
        text, shown = _write(value, scale, decimals)
        told_from_limit = holds(shown, limit) == holds(value, limit) and (shown == limit) == (value == limit)
        if told_from_limit and (scale is not NO_UNIT or (shown == 1) == (value == 1)):
            return text
    raise AssertionError


def _write(value: Decimal, scale: Scale, decimals: int) -> tuple[str, Decimal]:
    """The text, and the value that the text stands for."""
    if not value:
        return "0" + next((symbol for symbol, power in scale if power == 0), scale[0][0]), value
    with localcontext(ARITHMETIC):
        symbol, power, shown = _on_scale(abs(value), scale, decimals)
        long = symbol == "s" and MINUTE_S <= shown < LONGEST_S
        text = _minutes(shown) if long else _digits(shown) + symbol
        return "-" * (value < 0) + text, shown.scaleb(power).copy_sign(value)


def _on_scale(value: Decimal, scale: Scale, decimals: int) -> tuple[str, int, Decimal]:
    """The symbol to use, its power, and the rounded number in front of it."""
    for (symbol, power), (_, next_power) in pairwise(scale):
        shown = _round(value.scaleb(-power), decimals)
        # Looked at after rounding: 999.999ms is 1s, not 1000ms.
        if shown < 10 ** (next_power - power):
            return symbol, power, shown
    symbol, power = scale[-1]
    return symbol, power, _round(value.scaleb(-power), decimals)


def _round(value: Decimal, decimals: int) -> Decimal:
    places = decimals if value >= Decimal("0.1") else decimals - 1 - value.adjusted()
    exponent = value.as_tuple().exponent
    # Nothing to round in a whole number, however large: rounding would write out all of its zeros.
    return value if isinstance(exponent, int) and exponent >= -places else round(value, places)


def _digits(value: Decimal) -> str:
    short = value.normalize()
    return f"{short:,f}" if short.adjusted() in PLAIN else f"{short:e}"


def _minutes(seconds: Decimal) -> str:
    hours, rest = divmod(seconds, HOUR_S)
    minutes, rest = divmod(rest, MINUTE_S)
    parts = [f"{number:f}{symbol}" for number, symbol in ((hours, "h"), (minutes, "m")) if number]
    return "".join(parts) + (f"{_digits(rest)}s" if rest else "")
