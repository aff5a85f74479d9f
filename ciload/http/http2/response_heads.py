"""Heads of responses, from the HPACK blocks of one connection (RFC 7541).

To decode a block takes longer than all else about a response, and most blocks come again. One that refers to nothing in
the dynamic table means the same on every connection, so it is known by its bytes, with what it puts into the table. One
that does refer to it means the same again until something else is put there.
"""

from __future__ import annotations

from hpack import HPACKError, OversizedHeaderListError

from ciload.http.head import Head, head_of_fields
from ciload.http.http2.errors import BrokenConnectionError, Http2Code
from ciload.http.http2.field_decoder import LARGEST_LIST, Field, FieldDecoder, Texts

MOST_KNOWN = 512
MOST_KNOWN_HERE = 32


class Known:
    """What all connections of a client know of responses."""

    __slots__ = ("heads", "texts")

    def __init__(self) -> None:
        self.heads: dict[bytes, tuple[Head, list[Field]]] = {}  # by their blocks; what these put into the table
        self.texts: Texts = {}


class ResponseHeads:
    """The decoder of one connection. Each block has to pass through it, or both sides get out of step."""

    __slots__ = ("_decoder", "_known", "_known_here")

    def __init__(self, known: Known) -> None:
        self._decoder = FieldDecoder(known.texts)
        self._known = known.heads
        self._known_here: dict[bytes, Head] = {}

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
                self._decoder.add(entries)
                self._known_here.clear()
            return head
        return self._known_here.get(block) or self._decode(block)

    def _decode(self, block: bytes) -> Head:
        head = head_of_fields(self.fields(block))
        decoder = self._decoder
        if decoder.resized:
            return head
        if not decoder.referred:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[block] = head, decoder.added
        elif not decoder.added:
            if len(self._known_here) >= MOST_KNOWN_HERE:
                self._known_here.clear()
            self._known_here[block] = head
        return head

    def fields(self, block: bytes) -> list[Field]:
        """What is in a block, trailers for example.

        Raises:
            BrokenConnectionError: it cannot be decoded, and so none after it can.
        """
        decoder = self._decoder
        try:
            fields = decoder.decode(block)
        except OversizedHeaderListError:
            why = f"response headers larger than {LARGEST_LIST // 1024} KiB"
            raise BrokenConnectionError(Http2Code.ENHANCE_YOUR_CALM, why) from None
        except (HPACKError, IndexError):
            raise BrokenConnectionError(Http2Code.COMPRESSION_ERROR, "headers that cannot be decoded") from None
        if decoder.added or decoder.resized:
            self._known_here.clear()
        return fields
