"""HPACK's decoding (RFC 7541), with the library's table and Huffman codes; its decoder takes several times as long.

Texts that were met before are known by their codes, so in a head that differs in an id alone only the id is decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from hpack import HPACKDecodingError, OversizedHeaderListError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

Field = tuple[bytes, bytes]

LARGEST_LIST = 64 * 1024  # decoded, with 32 bytes for each field
STATIC: tuple[Field, ...] = HeaderTable.STATIC_TABLE
LARGEST_TABLE = HeaderTable.DEFAULT_SIZE
MOST_ENTRIES = LARGEST_TABLE // 32  # of the dynamic table: each counts 32 bytes and its text
MOST_TEXTS = 1_024
LONGEST_TEXT = 128  # of those that are remembered
INDEXED, ADDED, RESIZED = 0x80, 0x40, 0x20  # what the first bits of a field say
LARGEST_SHIFT = 28  # of a number's parts: no length is beyond

Texts = dict[bytes, bytes]


class FieldDecoder:
    """For the blocks of one connection, in their order."""

    __slots__ = ("_later", "_table", "_texts", "added", "referred", "resized")

    def __init__(self, texts: Texts) -> None:
        """`texts` are those that all connections of a client know."""
        self._table = HeaderTable()
        # What is to be put into it: many servers add and never refer. Older entries than these have been pushed out.
        self._later: deque[Field] = deque(maxlen=MOST_ENTRIES)
        self._texts = texts
        # What the last block had to do with the dynamic table.
        self.added: list[Field] = []
        self.referred = self.resized = False

    def add(self, fields: Iterable[Field]) -> None:
        """Put them into the dynamic table."""
        self._later.extend(fields)

    def decode(self, block: bytes) -> list[Field]:
        """The fields in a block.

        Raises:
            OversizedHeaderListError: they are too large.
            HPACKDecodingError, IndexError: it is none.
        """
        self.added = []
        self.referred = self.resized = False
        fields: list[Field] = []
        at, size = 0, 0
        while at < len(block):
            first = block[at]
            if first >= INDEXED:
                index, at = _integer(block, at, 0x7F)
                field = self._entry(index)
            elif RESIZED <= first < ADDED:
                if fields:
                    raise HPACKDecodingError("a change of the table behind a field")
                self.resized = True
                table_size, at = _integer(block, at, 0x1F)
                if table_size > LARGEST_TABLE:
                    raise HPACKDecodingError("a table that is too large")
                self._bring_up_to_date()
                self._table.maxsize = table_size
                continue
            else:
                index, at = _integer(block, at, 0x3F if first >= ADDED else 0x0F)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, at = self._text(block, at)
                value, at = self._text(block, at)
                field = name, value
                if first >= ADDED:
                    self.added.append(field)
                    self._later.append(field)
            fields.append(field)
            size += 32 + len(field[0]) + len(field[1])
            if size > LARGEST_LIST:
                raise OversizedHeaderListError
        return fields

    def _entry(self, index: int) -> Field:
        if index <= len(STATIC):
            if index == 0:
                raise HPACKDecodingError("no entry has the number 0")
            return STATIC[index - 1]
        self.referred = True
        self._bring_up_to_date()
        return self._table.dynamic_entries[index - len(STATIC) - 1]

    def _bring_up_to_date(self) -> None:
        for entry in self._later:
            self._table.add(*entry)
        self._later.clear()

    def _text(self, block: bytes, at: int) -> tuple[bytes, int]:
        coded = block[at] >= 0x80
        length, at = _integer(block, at, 0x7F)
        end = at + length
        text = block[at:end]
        if len(text) != length:
            raise HPACKDecodingError("a text without its end")
        if not coded:
            return text, end
        known = self._texts.get(text)
        return (self._decode(text) if known is None else known), end

    def _decode(self, coded: bytes) -> bytes:
        text = bytes(decode_huffman(coded))
        if len(coded) <= LONGEST_TEXT:
            if len(self._texts) >= MOST_TEXTS:
                self._texts.clear()
            self._texts[coded] = text
        return text


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """A number, and where that begins which comes behind it (RFC 7541, 5.1)."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        part = block[at]
        at += 1
        value += (part & 0x7F) << shift
        if part < 0x80:
            return value, at
        shift += 7
        if shift > LARGEST_SHIFT:
            raise HPACKDecodingError("a number without end")
