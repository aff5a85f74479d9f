"""Heads of responses, from the HPACK blocks of one connection (RFC 7541).

To decode a block takes longer than all else about a response, and most blocks come again. One that refers to nothing in
the dynamic table means the same on every connection, so it is known by its bytes, with what it puts into the table. One
that does refer to it means the same again until something else is put there.
"""

from __future__ import annotations

from collections import deque

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from ciload.http.head import Head, head_of_fields
from ciload.http.http2.errors import BrokenConnectionError, Http2Code

LARGEST_HEAD = 64 * 1024  # decoded, with 32 bytes for each field
MOST_KNOWN = 512
MOST_KNOWN_HERE = 32
SIZE_UPDATE = range(0x20, 0x40)  # the first byte of a block that changes the table's size
MOST_ENTRIES = HeaderTable.DEFAULT_SIZE // 32  # of the dynamic table: each counts 32 bytes and its text

Field = tuple[bytes, bytes]
KnownHeads = dict[bytes, tuple[Head, tuple[Field, ...]]]  # by their blocks, and what these put into the table


class WatchedTable(HeaderTable):
    """HPACK's table, which can tell what one block has to do with its dynamic part."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[Field] = []
        self.referred = False

    def watch(self) -> None:
        self.added, self.referred = [], False

    def add(self, name: bytes, value: bytes) -> None:
        self.added.append((name, value))
        super().add(name, value)

    def get_by_index(self, index: int) -> Field:
        self.referred |= index > self.STATIC_TABLE_LENGTH
        return super().get_by_index(index)


class ResponseHeads:
    """The decoder of one connection. Each block has to pass through it, or both sides get out of step."""

    __slots__ = ("_decoder", "_known", "_known_here", "_later", "_table")

    def __init__(self, known: KnownHeads) -> None:
        """`known` is what all connections of a client share."""
        self._decoder = Decoder(LARGEST_HEAD)
        self._decoder.header_table = self._table = WatchedTable()
        self._known = known
        self._known_here: dict[bytes, Head] = {}
        # What known blocks have put into the table: nobody looks it up before a block comes that has to be decoded.
        # Older entries than these have been pushed out.
        self._later: deque[Field] = deque(maxlen=MOST_ENTRIES)

    def read(self, block: bytes) -> Head:
        """The head of a response.

        Raises:
            MalformedError: this response is none; the connection can go on.
            BrokenConnectionError: it cannot.
        """
        known = self._known.get(block)
        if known is not None:
            head, entries = known
            if entries:
                self._later.extend(entries)
                self._known_here.clear()
            return head
        return self._known_here.get(block) or self._decode(block)

    def _decode(self, block: bytes) -> Head:
        head = head_of_fields(self.fields(block))
        table = self._table
        if block[0] in SIZE_UPDATE:
            return head
        if not table.referred:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[block] = head, tuple(table.added)
        elif not table.added:
            if len(self._known_here) >= MOST_KNOWN_HERE:
                self._known_here.clear()
            self._known_here[block] = head
        return head

    def fields(self, block: bytes) -> list[Field]:
        """What is in a block, trailers for example.

        Raises:
            BrokenConnectionError: it cannot be decoded, and so none after it can.
        """
        table = self._table
        for entry in self._later:
            table.add(*entry)
        self._later.clear()
        table.watch()
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError:
            why = f"response headers larger than {LARGEST_HEAD // 1024} KiB"
            raise BrokenConnectionError(Http2Code.ENHANCE_YOUR_CALM, why) from None
        except (HPACKError, IndexError) as error:
            why = f"header compression: {type(error).__name__}"
            raise BrokenConnectionError(Http2Code.COMPRESSION_ERROR, why) from None
        if table.added or (block and block[0] in SIZE_UPDATE):
            self._known_here.clear()
        return fields
