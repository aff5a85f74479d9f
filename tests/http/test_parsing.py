"""Responses arrive in pieces of any size, and connections go on exactly when the framing allows it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload import http
from ciload.http.heads import MOST_HEADS
from tests.http.server import Answer, End, Pause, Server, Step, in_turn, pieces, response
from tests.http.vu import run, virtual_user

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to frame a response, and what a script must see of it."""

    raw: bytes
    body: bytes = b""
    status: int = 200
    method: str = "GET"
    reused: bool = True  # the connection can carry the next request
    closed: bool = False  # by the server, right after the response


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
KINDS = {
    "content-length": Kind(response(b"hello world", "X-A: 1", "x-a: 2"), b"hello world"),
    "no body": Kind(response(b""), b""),
    "not found": Kind(response(b"no such page", status="404 Not Found"), b"no such page", 404),
    "chunked": Kind(CHUNKED + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n", b"hello world"),
    "chunked, trailers": Kind(CHUNKED + b"B\r\nhello world\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n", b"hello world"),
    "chunked, empty": Kind(CHUNKED + b"0\r\n\r\n"),
    "until close": Kind(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello world", b"hello world", reused=False, closed=True),
    "until close, empty": Kind(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", reused=False, closed=True),
    "connection: close": Kind(response(b"bye", "Connection: close"), b"bye", reused=False, closed=True),
    "HEAD": Kind(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", method="HEAD"),
    "HEAD, chunked": Kind(CHUNKED, method="HEAD"),
    "HEAD, no length": Kind(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", method="HEAD"),
    "204": Kind(b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", status=204),
    "204, content-length": Kind(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", status=204),
    "304": Kind(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', status=304),
    "304, content-length": Kind(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 11\r\n\r\n", status=304),
    "100 first": Kind(b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"hello"), b"hello"),
    "103s first": Kind(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2 + response(b"hello"), b"hello"),
    "103 before 204": Kind(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", status=204
    ),
    "HTTP/1.0": Kind(b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello", reused=False, closed=True),
    "HTTP/1.0, content-length": Kind(
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", reused=False, closed=True
    ),
    "HTTP/1.0, keep-alive": Kind(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", b"hello"
    ),
    "no reason phrase": Kind(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "upgrade offered": Kind(response(b"ok", "Upgrade: h2c", "Connection: Upgrade"), b"ok"),
    "response as a body": Kind(response(response(b"inner")), response(b"inner")),
    "blank line as a body": Kind(response(b"\r\n\r\n"), b"\r\n\r\n"),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())

# Everything that a script can see of a response, but for times.
Facts = tuple[object, ...]


def facts(seen: http.Response) -> Facts:
    return (
        seen.status_code,
        seen.reason_phrase,
        seen.http_version,
        seen.content,
        seen.headers.raw,
        seen.cookies,
        seen.error,
        seen.error_code,
        seen.truncated,
    )


async def ask(kind: Kind, splits: Iterable[Iterable[int]]) -> tuple[set[str], int, int]:
    """Ask for `kind` once per way to split it: the different facts seen, the requests made, the connections taken."""
    answers: list[Answer] = []
    for cuts in splits:
        steps: list[Step] = pieces(kind.raw, *cuts)
        answers.append([*steps, End.CLOSE] if kind.closed else steps)
    seen = set()
    async with Server(in_turn(*answers)) as server, virtual_user() as vu:
        for _ in answers:
            answer = await http.request(kind.method, server.url + "/")
            assert (answer.status_code, answer.content, answer.error) == (kind.status, kind.body, "")
            seen.add(repr(facts(answer)))
        assert vu.count() == len(answers)
        assert vu.count("data_received") == len(kind.raw) * len(answers)
    return seen, len(answers), server.connections


@every_kind
async def test_response_is_the_same_wherever_it_is_split(kind: Kind) -> None:
    """A response means the same in one piece and cut in two at any byte."""
    seen, _, _ = await ask(kind, [(), *((cut,) for cut in range(1, len(kind.raw)))])
    assert len(seen) == 1


@every_kind
async def test_response_is_the_same_byte_by_byte(kind: Kind) -> None:
    """A server that sends one byte at a time gives the same response as one that sends everything at once."""
    seen, _, _ = await ask(kind, [(), range(1, len(kind.raw))])
    assert len(seen) == 1


@every_kind
async def test_connection_is_kept_exactly_when_the_response_allows_it(kind: Kind) -> None:
    """Every request after the first uses the same connection, or each a new one, however the responses are split."""
    _, requests, connections = await ask(kind, [(), *((cut,) for cut in range(1, len(kind.raw), 3)), ()])
    assert connections == (1 if kind.reused else requests)


@given(st.sampled_from(sorted(KINDS)), st.sets(st.integers(1, 200), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_number_of_pieces_makes_the_same_response(name: str, cuts: set[int]) -> None:
    """A response means the same in any number of pieces of any size."""
    kind = KINDS[name]
    inside = sorted(cut for cut in cuts if cut < len(kind.raw))
    seen, _, _ = run(lambda: ask(kind, [(), inside, ()]))
    assert len(seen) == 1


# --- heads that were seen before

header_names = st.from_regex(r"X-[A-Za-z0-9-]{0,8}", fullmatch=True)
header_values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12)
special_headers = st.sampled_from(
    ["Connection: close", "connection: keep-alive", "Set-Cookie: a=b", "Location: /x", "Content-Encoding: gzip"]
)
header_lines = st.lists(
    st.one_of(st.tuples(header_names, header_values).map(": ".join), special_headers), max_size=5, unique=True
)
statuses = st.sampled_from(["200 OK", "201 Made", "302 Found", "404 Not Found", "503", "599 ?"])
versions = st.sampled_from(["1.1", "1.0"])


@given(statuses, versions, header_lines, st.binary(max_size=300))
@settings(max_examples=80, deadline=None)
def test_a_known_head_gives_the_same_response_as_a_new_one(
    status: str, version: str, headers: list[str], body: bytes
) -> None:
    """The second response with the same head, which takes a short cut, is no different from the first."""
    body = gzip.compress(body, mtime=0) if "Content-Encoding: gzip" in headers else body
    raw = response(body, *headers, status=status).replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1)

    async def scenario() -> tuple[list[Facts], list[int]]:
        async with Server(in_turn(raw, raw, raw, pieces(raw, len(raw) // 2))) as server, virtual_user() as vu:
            seen = [facts(await http.get(server.url, follow_redirects=False)) for _ in range(4)]
            assert len(vu.client.settings.heads.known) == 1, "the short cut was not taken"
            return seen, [request.connection for request in server.requests]

    seen, connections = run(scenario)
    assert seen[0][0] == int(status[:3])
    assert seen[1:] == seen[:1] * 3
    assert connections in ([1, 1, 1, 1], [1, 2, 3, 4])  # the same decision every time


async def test_known_head_with_another_body_gives_that_body() -> None:
    """Responses that differ only in a body of equal length are told apart."""
    async with Server(in_turn(response(b"one"), response(b"two"), response(b"six"))) as server, virtual_user():
        bodies = [(await http.get(server.url)).content for _ in range(3)]
    assert bodies == [b"one", b"two", b"six"]
    assert server.connections == 1


async def test_known_head_whose_body_comes_later_is_waited_for() -> None:
    """A head seen before does not end the response while its body is still on the way."""
    raw = response(b"hello world")
    late: list[Step] = [raw[:-11], Pause(0.005), b"hello ", Pause(0.005), b"there"]
    async with Server(in_turn(raw, raw, late, raw)) as server, virtual_user():
        bodies = [(await http.get(server.url)).content for _ in range(4)]
    assert bodies == [b"hello world", b"hello world", b"hello there", b"hello world"]
    assert server.connections == 1


@pytest.mark.parametrize("body", [b"", b"hello"])
async def test_head_request_after_get_with_the_same_head(body: bytes) -> None:
    """HEAD is answered without a body even when GET has just had the very same header block."""
    raw = response(body)
    async with Server(in_turn(raw, raw, raw[: len(raw) - len(body)], raw)) as server, virtual_user():
        methods = ["GET", "GET", "HEAD", "GET"]
        bodies = [(await http.request(method, server.url)).content for method in methods]
    assert bodies == [body, body, b"", body]
    assert server.connections == 1


async def test_memory_of_heads_is_bounded() -> None:
    """A server whose every response has another header does not make ciload grow."""
    counter = iter(range(10_000))
    async with Server(lambda _: response(b"x", f"X-Request-Id: {next(counter)}")) as server, virtual_user() as vu:
        for _ in range(MOST_HEADS + 50):
            assert (await http.get(server.url)).content == b"x"
        assert len(vu.client.settings.heads.known) <= MOST_HEADS


# --- bytes that do not belong to the response

HEAD_ONLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
SURPLUS: dict[str, tuple[str, bytes, bytes, bytes]] = {  # method, response, its body, bytes too many
    "after content-length": ("GET", response(b"first"), b"first", b"surplus"),
    "a second response": ("GET", response(b"first"), b"first", response(b"second", status="500 Oops")),
    "the same response twice": ("GET", response(b"first"), b"first", response(b"first")),
    "after chunks": ("GET", CHUNKED + b"5\r\nfirst\r\n0\r\n\r\n", b"first", b"6\r\nsecond\r\n0\r\n\r\n"),
    "body after HEAD": ("HEAD", HEAD_ONLY, b"", b"hello"),
    "response-like body after HEAD": ("HEAD", HEAD_ONLY, b"", response(b"", status="500 Oops")),
    "body after HEAD, no length": ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", b"", b"hello"),
    "chunks after HEAD": ("HEAD", CHUNKED, b"", b"5\r\nhello\r\n0\r\n\r\n"),
    "body after 204": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b"", b"hello"),
    "body after 304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"", b"hello"),
}


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(("method", "raw", "body", "surplus"), SURPLUS.values(), ids=SURPLUS.keys())
async def test_connection_with_surplus_bytes_is_not_used_again(
    method: str, raw: bytes, body: bytes, surplus: bytes, late: bool
) -> None:
    """Bytes after the end of a response never become the answer to the next request."""
    answer: Answer = [raw, Pause(0.005), surplus] if late else raw + surplus
    right = response(b"the right one")
    async with Server(in_turn(answer, right, answer, right)) as server, virtual_user() as vu:
        for _ in range(2):
            first = await http.request(method, server.url)
            if late:
                await asyncio.sleep(0.02)
            second = await http.get(server.url)
            assert (first.content, first.error) == (body, "")
            assert (second.status_code, second.content) == (200, b"the right one")
        assert vu.failed() == (0, 4)
    assert [request.connection for request in server.requests] == [1, 2, 2, 3]


async def test_blank_line_between_responses_is_harmless() -> None:
    """An empty line too many (RFC 9112 2.2 knows such peers) does not spoil the next response."""
    async with Server(in_turn(response(b"first") + b"\r\n", response(b"second"))) as server, virtual_user():
        bodies = [(await http.get(server.url)).content for _ in range(2)]
    assert bodies == [b"first", b"second"]


# --- trailers, long reads, many headers


async def test_trailers_are_no_headers() -> None:
    """Fields after the last chunk do not show up among the headers of the response."""
    raw = CHUNKED + b"2\r\nok\r\n0\r\nX-Trailer: 1\r\nSet-Cookie: a=b\r\n\r\n"
    async with Server(raw) as server, virtual_user() as vu:
        answer = await http.get(server.url)
        assert len(vu.session.jar) == 0
    assert list(answer.headers) == ["transfer-encoding"]


async def test_interim_headers_are_not_mixed_into_the_response() -> None:
    """Headers of a 103 stay out of the response that follows."""
    async with Server(KINDS["103s first"].raw) as server, virtual_user():
        answer = await http.get(server.url)
    assert "link" not in answer.headers
    assert answer.reason_phrase == "OK"


async def test_body_of_megabytes_arrives_whole() -> None:
    """A body that takes many reads is put together in order, chunked or not."""
    body = bytes(range(256)) * 12_000
    chunks = b"".join(b"%X\r\n%b\r\n" % (len(part), part) for part in (body[:100_000], body[100_000:]))
    async with Server(in_turn(response(body), CHUNKED + chunks + b"0\r\n\r\n")) as server, virtual_user():
        plain, chunked = await http.get(server.url), await http.get(server.url)
    assert plain.content == body
    assert chunked.content == body
    assert server.connections == 1


async def test_hundreds_of_headers_are_all_there() -> None:
    """A long header block is read in full."""
    headers = [f"X-{number}: {'v' * 100}" for number in range(500)]
    async with Server(response(b"ok", *headers)) as server, virtual_user():
        for _ in range(2):
            answer = await http.get(server.url)
            assert len(answer.headers) == 501
            assert answer.headers["x-499"] == "v" * 100
