"""What long measurements have counted: a file that lines can be added to at any time, and shares with their doubt."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def read(path: Path) -> list[Line]:
    """The lines of a file; none if there is no file. A last one that was cut off when it was written is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def add(path: Path, line: Line) -> None:
    """Write one more line; what was cut off before it goes."""
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(_encoded(line))


def rewrite(path: Path, lines: Iterable[Line]) -> None:
    """Replace the file as a whole."""
    new = path.with_suffix(".new")
    new.write_bytes(b"".join(map(_encoded, lines)))
    new.replace(path)


def _encoded(line: Line) -> bytes:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def wilson(found: int, among: int, z: float = 1.96) -> tuple[float, float]:
    """A 95% interval for a share.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, J. Am. Stat. Assoc. 22, 1927.
    """
    share = found / among
    middle = share + z**2 / (2 * among)
    reach = z * math.sqrt(share * (1 - share) / among + z**2 / (4 * among**2))
    return max(0.0, (middle - reach) / (1 + z**2 / among)), min(1.0, (middle + reach) / (1 + z**2 / among))


def share_text(found: int, among: int) -> str:
    """3 of 40: 7.5% [2.6%, 19.9%]"""
    if not among:
        return "-"
    low, high = wilson(found, among)
    return f"{found} of {among}: {found / among:.1%} [{low:.1%}, {high:.1%}]"
