"""Files as they are given: unpacked, with limits, and with values that may be of any type looked at one by one."""

from __future__ import annotations

import gzip
import io
import json
import math
import sys
import zlib
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from ciload.convert.marks import clean
from ciload.errors import UsageError
from ciload.files import read_file, reason_of
from ciload.starter.data import MISSING
from ciload.text import one_line

MOST_BYTES = 512 << 20
GZIP, ZIP, ZSTD = b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
DEEPEST = 40  # of JSON in a script: Python's own parser has a limit, and so has whoever reads it
BROKEN = (EOFError, OSError, zlib.error)


def read_source(place: str) -> bytes:
    """A file, or standard input for `-`, unpacked.

    Raises:
        UsageError: it cannot be read, or is larger than we take.
    """
    shown = shown_place(place)
    try:
        data = sys.stdin.buffer.read(MOST_BYTES + 1) if place == "-" else read_file(place, MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{shown}: {reason_of(error)}") from None
    if data[:4] in (ZIP, ZSTD):
        raise UsageError(f"{shown}: is an archive; unpack it, and name the file in it")
    if data[:2] == GZIP:
        try:
            data = _unpacked(io.BytesIO(data))
        except BROKEN as error:
            raise UsageError(f"{shown}: cannot be unpacked: {one_line(reason_of(error))}") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{shown}: is larger than the {MOST_BYTES >> 20} MiB that it can have")
    if not data.strip():
        raise UsageError(f"{shown}: is empty")
    return data


def _unpacked(packed: IO[bytes]) -> bytes:
    with gzip.open(packed) as file:
        return file.read(MOST_BYTES + 1)


def shown_place(place: str) -> str:
    return "standard input" if place == "-" else one_line(place)


def decoded(data: bytes) -> str:
    """UTF-8, or UTF-16 if it says so; bytes that are neither become the replacement character."""
    utf_16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return data.decode("utf-16" if utf_16 else "utf-8-sig", errors="replace")


def read_json(text: str, shown: str) -> Any:
    """
    Raises:
        UsageError: it is none.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{shown}:{error.lineno}: broken JSON: {error.msg} (column {error.colno})") from None
    except (RecursionError, ValueError):  # a number of thousands of digits
        raise UsageError(f"{shown}: cannot be read: it is nested too deeply, or has a broken value") from None


def json_body(text: str) -> Any:
    """A body as JSON that a script can hold, MISSING if it is none."""
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (RecursionError, ValueError):
        return MISSING
    return cleaned(value) if _is_shallow(value) else MISSING


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError
    return number


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner for each in level if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]  # fmt: skip
        if not level:
            return True
    return False


def cleaned(value: Any) -> Any:
    """Without marks and halves of surrogate pairs in its text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): cleaned(each) for key, each in value.items()}
    return [cleaned(each) for each in value] if isinstance(value, list) else value


# --- values that may be anything


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in items(value) if isinstance(each, dict)]


def text_of(value: Any) -> str:
    """Text, or a number as text; empty for anything else."""
    if isinstance(value, str):
        return clean(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def number_of(value: Any) -> float:
    """A number, 0 for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 2**53 else 0.0
