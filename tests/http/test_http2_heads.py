"""Compressed heads, ours against the library's: what we decode and encode is what it does, however tables change."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, HPACKError, NeverIndexedHeaderTuple
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.http.failure import MalformedError
from ciload.http.http2.errors import BrokenConnectionError
from ciload.http.http2.request_heads import HTTPS, MOST_REMEMBERED, NO_TABLE, RequestHeads
from ciload.http.http2.response_heads import MOST_KNOWN, MOST_KNOWN_HERE, Known, ResponseHeads

NAMES = [b"server", b"date", b"x-id", b"content-type", b"x"]
VALUES = [b"", b"a", b"text/html", b"x" * 200, b"long" * 300, b"0123456789abcdef"]
FIELDS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.binary(max_size=8).map(bytes.hex).map(str.encode)),
    max_size=6,
)
SIZES = st.sampled_from([0, 40, 200, 4096])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(FIELDS, st.booleans(), st.booleans(), SIZES, st.booleans()), max_size=30))
def test_blocks_say_what_the_library_has_said(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, bool, int, bool]],
) -> None:
    """With heads that repeat, tables that change their size, and fields that are never in one."""
    encoder, ours = Encoder(), ResponseHeads(Known())
    for fields, huffman, never, size, trailers in blocks:
        if never:
            encoder.header_table_size = size
        sent = [NeverIndexedHeaderTuple(*field) if never else field for field in fields]
        if trailers:
            assert ours.fields(encoder.encode(sent, huffman)) == fields
        else:
            block = encoder.encode([(b":status", b"200"), *sent], huffman)
            assert ours.read(block).pairs == [(name, value) for name, value in fields]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from([
    b"\x88", b"\x40\x01a\x01b", b"\x40\x81\x1f\x03xyz", b"\xbe", b"\xbf", b"\x7e\x01c", b"\x00\x01d\x00", b"\x20",
    b"\x3f\xe1\x1f", b"\x10\x01e\x85\xf2\xb2\x4a\x87\xff", b"\x48\x03302", b"\xff\x80\x01",
    b"\x0f\x2f\x01v", b"\x80", b"\x5c\x011",
]) | st.binary(max_size=3), max_size=6).map(b"".join), max_size=6))  # fmt: skip
def test_any_bytes_are_decoded_alike(blocks: list[bytes]) -> None:
    """Valid or not: the same fields as the library's decoder, and an error where it has one."""
    theirs, ours = Decoder(64 * 1024), ResponseHeads(Known())
    for block in blocks:
        try:
            expected = [(bytes(name), bytes(value)) for name, value in theirs.decode(block, raw=True)]
        except HPACKError:
            try:
                ours.fields(block)
            except BrokenConnectionError:
                return
            raise AssertionError(f"{block!r} was decoded") from None
        assert ours.fields(block) == expected


def test_known_heads_keep_the_table_in_step() -> None:
    """Blocks that are not decoded put their fields into the table all the same; connections share what they know."""
    known = Known()
    for _ in range(2):
        encoder, ours = Encoder(), ResponseHeads(known)
        new = encoder.encode([(b":status", b"200"), (b"x-a", b"1"), (b"x-b", b"2")], huffman=False)
        for _ in range(100):  # the same bytes again and again, as nginx sends them, push all else out of the table
            assert ours.read(new).pairs == [(b"x-a", b"1"), (b"x-b", b"2")]
        refers = encoder.encode([(b":status", b"200"), (b"x-b", b"2"), (b"x-a", b"1")], huffman=False)
        assert len(refers) == 3
        for _ in range(2):
            assert ours.read(refers).pairs == [(b"x-b", b"2"), (b"x-a", b"1")]
        assert ours.read(b"\x88\x40\x01c\x013").pairs == [(b"c", b"3")]
        assert ours.read(refers).pairs == [(b"c", b"3"), (b"x-b", b"2")]  # one further back, now
        assert ours.fields(b"\xff\x2f") == [(b"x-a", b"1")]  # the last of the 113 for which there is room
        with pytest.raises(BrokenConnectionError):
            ours.fields(b"\xff\x30")


def test_what_is_known_is_bounded() -> None:
    """Heads and texts that never come again do not fill the memory."""
    known = Known()
    encoder, ours = Encoder(), ResponseHeads(known)
    for number in range(3 * MOST_KNOWN):
        fields = [(b":status", b"200"), (b"x-id", b"%d" % number)]
        assert ours.read(encoder.encode(fields)).pairs == [(b"x-id", b"%d" % number)]
    assert len(known.heads) <= MOST_KNOWN
    assert len(known.texts) <= 1024
    for number in range(3 * MOST_KNOWN_HERE):  # they refer to the entry that was added last
        fields = [(b"x-id", b"%d" % (3 * MOST_KNOWN - 1))] * number
        assert len(ours.read(encoder.encode([(b":status", b"200"), *fields])).pairs) == number
    assert len(ours._known_here) <= MOST_KNOWN_HERE
    heads = RequestHeads()
    for number in range(2 * MOST_REMEMBERED):
        heads.encode(b"GET / HTTP/1.1\r\nx-id: %d" % number, HTTPS)
    assert len(heads._remembered) <= MOST_REMEMBERED


def test_a_head_that_is_wrong_is_not_known() -> None:
    """It is wrong each time, and what it puts into the table is there."""
    ours = ResponseHeads(Known())
    for _ in range(2):
        with pytest.raises(MalformedError, match="its status is ''"):
            ours.read(b"\x40\x01a\x01b")
    assert ours.fields(b"\xbe") == [(b"a", b"b")]


@given(st.sampled_from(["GET", "POST", "PATCH"]), st.sampled_from(["/", "/a?b=c", "/" + "x" * 300]), FIELDS)
def test_requests_mean_what_they_say(method: str, path: str, fields: list[tuple[bytes, bytes]]) -> None:
    """The library decodes our blocks, in a connection's first place and in others, with nothing in its table."""
    heads, theirs = RequestHeads(), Decoder()
    lines = b"".join(b"\r\n%b: %b" % field for field in fields)
    raw = f"{method} {path} HTTP/1.1\r\nhost: h:1".encode() + lines
    expected = [
        (b":method", method.encode()),
        (b":scheme", b"https"),
        (b":path", path.encode()),
        (b":authority", b"h:1"),
    ]
    for before in (NO_TABLE, b"", b""):
        block, closes = heads.encode(raw, HTTPS)
        assert list(theirs.decode(before + block, raw=True)) == expected + fields
        assert not closes
    assert not theirs.header_table.dynamic_entries
