"""Heads: as lenient as Go and curl, never out of step; and the short cuts for known ones say what the parser says."""

from __future__ import annotations

from contextlib import suppress

import h11
import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ciload import http
from ciload.http.failure import MalformedError
from ciload.http.head import Head, parse_head, read_head
from ciload.http.heads import Heads
from tests.http.server import Answer, End, Server, in_turn, pieces, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio


def decides(head: Head) -> tuple[object, ...]:
    """All that a head says."""
    return (
        head.status_code, head.http_version, head.keep_alive, head.body_bytes, head.chunked, head.codings,
        head.location, head.set_cookies, head.reason, head.pairs,
    )  # fmt: skip


# --- leniency

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LENIENT: dict[str, tuple[bytes, bytes, dict[str, str]]] = {  # response, body, headers
    "lines end in LF": (b"HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 5\n\nhello", b"hello", {"x-a": "1"}),
    "some lines end in LF": (b"HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 5\r\n\nhello", b"hello", {"x-a": "1"}),
    "empty line in LF, blank line in the body": (
        b"HTTP/1.1 200 OK\nContent-Length: 9\n\nab\r\n\r\ncde",
        b"ab\r\n\r\ncde",
        {},
    ),
    "folded": (OK + b"X-A: one\r\n two\r\n\tthree\r\nContent-Length: 2\r\n\r\nok", b"ok", {"x-a": "one two three"}),
    "folded length": (OK + b"Content-Length:\r\n 2\r\n\r\nok", b"ok", {"content-length": "2"}),
    "control characters": (OK + b"X-A: a\x01b\x7f\rc\r\nContent-Length: 2\r\n\r\nok", b"ok", {"x-a": "a\x01b\x7f\rc"}),
    "the same length twice": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", b"ok", {}),
    "a list of the same length": (OK + b"Content-Length: 2, 2\r\n\r\nok", b"ok", {}),
    "blanks around values": (OK + b"X-A: \t 1 \t\r\nContent-Length:\t2 \r\n\r\nok", b"ok", {"x-a": "1"}),
    "blank behind a chunk size": (CHUNKED + b"5 \r\nhello\r\n0\t\r\n\r\n", b"hello", {}),
    "chunks in LF": (CHUNKED + b"5\nhello\n0\n\n", b"hello", {}),
    "chunk size with zeros": (CHUNKED + b"00005\r\nhello\r\n000\r\n\r\n", b"hello", {}),
    "chunk extensions": (CHUNKED + b'5;a="b\\"c";d\r\nhello\r\n0;last\r\n\r\n', b"hello", {}),
    "upper case": (OK + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello", {}),
    "identity": (OK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", b"ok", {}),
    "no header": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", {}),
    "blank lines before": (b"\r\n\n" + response(b"ok"), b"ok", {}),
}


@pytest.mark.parametrize(("raw", "body", "headers"), LENIENT.values(), ids=LENIENT.keys())
async def test_what_go_and_curl_take_is_taken(raw: bytes, body: bytes, headers: dict[str, str]) -> None:
    """Sloppy, yet unambiguous: the response counts, the connection goes on, however often it comes and is cut."""
    answers: list[Answer] = [raw, raw, raw, *(pieces(raw, cut) for cut in range(1, len(raw)))]
    async with Server(in_turn(*answers)) as server, virtual_user() as vu:
        for _ in answers:
            seen = await http.get(server.url)
            assert (seen.error, seen.content) == ("", body)
            assert headers.items() <= dict(seen.headers).items()
        assert vu.failed() == (0, len(answers))
    assert server.connections == 1


async def test_length_and_chunks_are_chunks_and_the_connection_ends() -> None:
    """Go and curl believe the chunks; who believes the length has another idea of what follows."""
    raw = OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with Server(raw) as server, virtual_user():
        assert [(await http.get(server.url)).text for _ in range(3)] == ["hello"] * 3
    assert server.connections == 3


async def test_transfer_coding_without_chunks_ends_with_the_connection() -> None:
    """RFC 9112 6.3: whatever the length says."""
    raw = OK + b"Content-Length: 2\r\nTransfer-Encoding: x-odd\r\n\r\nhello"
    async with Server([raw, End.CLOSE]) as server, virtual_user():
        assert (await http.get(server.url)).text == "hello"


@pytest.mark.parametrize(
    "line", ["HTTP/1.1 099 X", "HTTP/1.1 20 X", "HTTP/1.1 2000 X", "HTTP/1.1 200OK", "HTTP/2.0 200 OK", "ICY 200 OK"]
)
async def test_status_lines_that_are_none(line: str) -> None:
    """They fail at once, and do not wait for a response that cannot come."""
    async with Server([f"{line}\r\nContent-Length: 0\r\n\r\n".encode(), End.STALL]) as server, virtual_user():
        answer = await http.get(server.url, timeout=5)
    assert "malformed HTTP response: it begins with" in answer.error


async def test_body_of_an_interim_response_is_not_glued_to_the_real_one() -> None:
    """1xx has no body: what follows it there is no response."""
    raw = b"HTTP/1.1 199 X\r\nContent-Length: 5\r\n\r\nhello" + response(b"real")
    async with Server(raw) as server, virtual_user():
        answer = await http.get(server.url)
    assert (answer.status_code, answer.content) == (0, b"")
    assert "malformed" in answer.error


# --- known heads and known shapes

names = st.sampled_from(
    ["Content-Length", "content-length", "Connection", "Keep-Alive", "X-Request-Id", "X-Id", "Date", "Content-Type",
     "Content-Encoding", "Transfer-Encoding", "Set-Cookie", "Location", "X-Frame-Option", "Trailer", "Bocation"]
)  # fmt: skip
values = st.one_of(
    st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{3}", fullmatch=True).map(bytes.decode),
    st.integers(0, 2000).map(str),
    st.sampled_from(["close", "keep-alive", "gzip", "chunked", "identity", "a b", "", "12, 12", "clone", "/x"]),
)
lines = st.lists(st.tuples(names, values), max_size=6)


def block_of(status: int, headers: list[tuple[str, str]]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in headers)]).encode()


def outcome(block: bytes) -> tuple[object, ...] | None:
    try:
        return decides(parse_head(block))
    except MalformedError:
        return None


@given(
    st.sampled_from([200, 204, 302]), lines, st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=1)))
)
@example(200, [("Content-Length", "12")], [(31, b"a")])
@settings(max_examples=400, deadline=None)
def test_a_known_head_or_shape_says_what_the_parser_says(
    status: int, headers: list[tuple[str, str]], changes: list[tuple[int, bytes]]
) -> None:
    """However little the heads differ that were met before."""
    heads = Heads()
    with suppress(MalformedError):
        for number in range(3):  # a shape is known after two heads that have it
            alike = block_of(status, [*headers, ("X-Id", f"{number}")])
            heads.remember(alike, parse_head(alike))
    changed = bytearray(block_of(status, [*headers, ("X-Id", "7")]))
    for at, new in changes:
        if at < len(changed):
            changed[at : at + 1] = new
    found = heads.look_up(bytes(changed))
    if found is not None:
        assert decides(found) == outcome(bytes(changed))


@given(st.integers(0, 10**6), st.sampled_from(["x-request-id", "X-Trace", "Date"]))
def test_heads_with_an_id_and_another_length_are_known_by_their_shape(number: int, name: str) -> None:
    """What the short cut is for: it is taken."""
    heads = Heads()
    blocks = [
        block_of(200, [("Connection", "keep-alive"), ("Content-Length", f"{100 + n}"), (name, f"{number + n:032x}")])
        for n in range(3)
    ]
    for block in blocks[:2]:
        heads.remember(block, parse_head(block))
    found = heads.look_up(blocks[2])
    assert found is not None
    assert decides(found) == decides(parse_head(blocks[2]))
    assert found.body_bytes == 102


# --- h11 and httptools agree

plain_lines = st.lists(
    st.tuples(
        st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,9}", fullmatch=True), st.from_regex(r"[!-~]{0,12}", fullmatch=True)
    ),
    max_size=5,
)
framings = st.sampled_from(
    [[("Content-Length", "5")], [("Transfer-Encoding", "chunked")], [], [("content-length", "0")],
     [("Content-Length", "5"), ("Content-Length", "6")], [("Content-Length", "+5")], [("Content-Length", "5_0")]]
)  # fmt: skip


class Parsed:
    """What llhttp makes of a head."""

    def __init__(self, raw: bytes) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self.complete = False
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(raw)
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


@given(st.integers(100, 999), plain_lines, framings)
@settings(max_examples=300, deadline=None)
def test_heads_are_read_as_others_read_them(
    status: int, headers: list[tuple[str, str]], framing: list[tuple[str, str]]
) -> None:
    """Status and headers are those that llhttp and h11 see; what both of them refuse is refused."""
    raw = block_of(status, headers + framing) + b"\r\n\r\n"
    theirs: list[tuple[int, list[tuple[bytes, bytes]]]] = []
    with suppress(httptools.HttpParserError):
        parsed = Parsed(raw)
        if parsed.complete:
            theirs.append((parsed.status, parsed.pairs))
    with suppress(h11.RemoteProtocolError):
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        connection.receive_data(raw)
        event = connection.next_event()
        assert isinstance(event, h11.Response | h11.InformationalResponse)
        theirs.append((event.status_code, [(name, value) for name, value in event.headers.raw_items()]))
    try:
        head, end = read_head(raw)
    except MalformedError:
        assert not theirs
        return
    assert head is not None
    assert end == len(raw)
    for status_code, pairs in theirs:
        assert (head.status_code, head.pairs) == (status_code, pairs)
