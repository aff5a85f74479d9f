"""Heads that were met before: a server that answers the same request again sends nearly the same one.

Most are known byte for byte. Those with a request id or another length in them are known by their shape: everything
that may stand in a header's name is the same letter there, so heads of one shape have their lines in the same places.
A line whose name is as long as one that decides something must have the very name that it had; the value must be the
same as well, but for the length. Everything else goes to the parser.
"""

from __future__ import annotations

import re

from ciload.http.head import BLANKS, BODILESS, Head

MOST_HEADS = 512
MOST_SHAPES = 512
MOST_SEEN = 8_192
NAME_CHARACTERS = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MASK = bytes.maketrans(NAME_CHARACTERS, b"x" * len(NAME_CHARACTERS))
LINE = re.compile(rb"\n([^:\n]+):([^\n]*)")
LENGTH = b"content-length"
DECIDING = frozenset({b"connection", b"content-encoding", LENGTH, b"transfer-encoding"})
LENGTHS = frozenset(map(len, (*DECIDING, b"location", b"set-cookie")))


class Shape:
    """What all heads of one shape have in common."""

    __slots__ = ("_fixed", "_head", "_length")

    def __init__(self, block: bytes, head: Head) -> None:
        """`head` is what `block` says, and plain."""
        self._head = head
        fixed = [slice(0, block.find(b"\n"))]
        self._length: slice | None = None
        for line in LINE.finditer(block):
            name, value = line[1].lower(), line[2].strip(BLANKS)
            if name == LENGTH and value == b"%d" % head.body_bytes:
                start = line.start(2) + line[2].index(value)
                self._length = slice(start, start + len(value))
                fixed.append(slice(line.start(), start))
            elif len(name) in LENGTHS:
                fixed.append(slice(line.start(), line.end() if name in DECIDING else line.end(1)))
        self._fixed = [(where, block[where]) for where in fixed]

    def read(self, block: bytes) -> Head | None:
        """The head, if it decides the same."""
        for where, text in self._fixed:
            if block[where] != text:
                return None
        if self._length is None:
            return self._head.alike(block, self._head.body_bytes)
        length = block[self._length]
        return self._head.alike(block, int(length)) if length.isdigit() else None


class Heads:
    """The memory of one client. What came once may never come again, so it is kept from the second time on."""

    __slots__ = ("_seen", "_shapes", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, Head] = {}
        self._shapes: dict[bytes, Shape] = {}
        self._seen: set[int] = set()

    def look_up(self, block: bytes) -> Head | None:
        """For a head that is not known byte for byte."""
        shape = self._shapes.get(block.translate(MASK))
        head = shape.read(block) if shape is not None else None
        if head is not None and self._seen_before(block):
            self._know(block, head)
        return head

    def remember(self, block: bytes, head: Head) -> None:
        """Take note of a head that was parsed."""
        if self._seen_before(block):
            self._know(block, head)
            return
        shape = block.translate(MASK)
        if _is_plain(block, head) and self._seen_before(shape):
            if len(self._shapes) >= MOST_SHAPES:
                self._shapes.clear()
            self._shapes[shape] = Shape(block, head)

    def _know(self, block: bytes, head: Head) -> None:
        if len(self.known) >= MOST_HEADS:
            self.known.clear()
        self.known[block] = head

    def _seen_before(self, text: bytes) -> bool:
        number = hash(text)
        if number in self._seen:
            return True
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen.add(number)
        return False


def _is_plain(block: bytes, head: Head) -> bool:
    """Whether nothing but the length of its body may be another in heads of this shape."""
    if head.set_cookies or head.location is not None or head.status_code in BODILESS:
        return False
    return block.lower().count(LENGTH) < 2 and b"\n " not in block and b"\n\t" not in block
