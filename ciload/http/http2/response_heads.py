"""Heads of responses, from the HPACK blocks of one connection (RFC 7541).

A block that has put nothing into the dynamic table says the same again until another one does: what is known by its
bytes needs no decoding.
"""

from __future__ import annotations

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from ciload.http.head import Head, head_of_fields
from ciload.http.http2.errors import BrokenConnectionError, Http2Code

LARGEST_HEAD = 64 * 1024  # decoded, with 32 bytes for each field
MOST_REMEMBERED = 32
SIZE_UPDATE = range(0x20, 0x40)  # the first byte of a block that changes the table's size

Fields = list[tuple[bytes, bytes]]


class CountingTable(HeaderTable):
    """HPACK's table, which can tell that it is another one than before."""

    def __init__(self) -> None:
        super().__init__()
        self.additions = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.additions += 1
        super().add(name, value)


class ResponseHeads:
    """The decoder of one connection. Each block has to pass through it, or both sides get out of step."""

    __slots__ = ("_decoder", "_known", "_table")

    def __init__(self) -> None:
        self._decoder = Decoder(LARGEST_HEAD)
        self._decoder.header_table = self._table = CountingTable()
        self._known: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """The head of a response.

        Raises:
            MalformedError: this response is none; the connection can go on.
            BrokenConnectionError: it cannot.
        """
        head = self._known.get(block)
        if head is None:
            additions = self._table.additions
            head = head_of_fields(self.fields(block))
            if self._table.additions == additions and block[0] not in SIZE_UPDATE:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[block] = head
        return head

    def fields(self, block: bytes) -> Fields:
        """What is in a block, trailers for example.

        Raises:
            BrokenConnectionError: it cannot be decoded, and so none after it can.
        """
        additions = self._table.additions
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError:
            why = f"response headers larger than {LARGEST_HEAD // 1024} KiB"
            raise BrokenConnectionError(Http2Code.ENHANCE_YOUR_CALM, why) from None
        except (HPACKError, IndexError) as error:
            raise BrokenConnectionError(
                Http2Code.COMPRESSION_ERROR, f"header compression: {type(error).__name__}"
            ) from None
        if self._table.additions != additions or (block[:1] and block[0] in SIZE_UPDATE):
            self._known.clear()
        return fields
