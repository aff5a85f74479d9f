"""Compressed, long and unwanted response bodies: decoded where they can be, bounded always, counted in full."""

from __future__ import annotations

import gzip
import random
import sys
import zlib
from collections.abc import Callable
from time import perf_counter

import brotli
import pytest

from ciload import http

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd
from tests.http.server import End, Server, in_turn, pieces, response
from tests.http.vu import PeakMemory, virtual_user

pytestmark = pytest.mark.anyio

TEXT = b"".join(b"line %d\n" % number for number in range(2_000))
NOISE = random.Random(1).randbytes(50_000)
KIB = 1024


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


Packer = Callable[[bytes], bytes]
PACKERS: dict[str, Packer] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "gzip, br": lambda body: brotli.compress(gzip.compress(body)),
    "deflate, x-gzip, zstd": lambda body: zstd.compress(gzip.compress(zlib.compress(body))),
}


# --- content encodings


@pytest.mark.parametrize("body", [b"x", TEXT, NOISE], ids=["byte", "text", "noise"])
@pytest.mark.parametrize("encoding", PACKERS)
async def test_compressed_body_is_decoded(encoding: str, body: bytes) -> None:
    """A script sees what was compressed; the bytes counted are those that came over the wire."""
    raw = response(PACKERS[encoding](body), f"Content-Encoding: {encoding}")
    async with Server(in_turn(raw, raw, pieces(raw, 50))) as server, virtual_user() as vu:
        for _ in range(3):
            answer = await http.get(server.url)
            assert (answer.content, answer.truncated) == (body, False)
        assert vu.count("data_received") == 3 * len(raw)


@pytest.mark.parametrize("encoding", PACKERS)
async def test_long_bodies_that_compress_well_are_whole(encoding: str) -> None:
    """What a decoder holds back is asked for."""
    body = bytes(range(256)) * 8_000
    raw = response(PACKERS[encoding](body), f"Content-Encoding: {encoding}")
    async with Server(in_turn(raw, pieces(raw, 100), raw)) as server, virtual_user():
        assert [(await http.get(server.url)).content == body for _ in range(2)] == [True, True]
        assert await (await http.get(server.url, stream=True)).aread() == body


async def test_deflate_without_its_header_is_decoded() -> None:
    """Servers that send "deflate" as a bare stream are understood, as browsers do."""
    async with Server(response(bare_deflate(TEXT), "Content-Encoding: deflate")) as server, virtual_user():
        assert (await http.get(server.url)).content == TEXT


async def test_gzip_of_several_members_is_decoded_whole() -> None:
    """A gzip body made of several members (RFC 1952 2.2) is all of them."""
    packed = gzip.compress(b"one, ") + gzip.compress(b"two, ") + gzip.compress(b"three")
    async with Server(response(packed, "Content-Encoding: gzip")) as server, virtual_user():
        assert (await http.get(server.url)).text == "one, two, three"


async def test_gzip_of_very_many_members_does_not_stall_the_others() -> None:
    """A hostile body of countless empty members is decoded in time in proportion to its length."""
    packed = gzip.compress(b"", mtime=0) * 150_000 + gzip.compress(b"end", mtime=0)
    async with Server(response(packed, "Content-Encoding: gzip")) as server, virtual_user():
        started = perf_counter()
        answer = await http.get(server.url)
        assert perf_counter() - started < 2
    assert answer.status_code == 0 or answer.text == "end"  # refusing it is fine as well


async def test_identity_and_unknown_encodings_are_left_alone() -> None:
    """What ciload cannot decode, and never asked for, stays as it came."""
    answers = [response(b"abc", f"Content-Encoding: {encoding}") for encoding in ("identity", "exi", "")]
    async with Server(in_turn(*answers)) as server, virtual_user():
        assert [(await http.get(server.url)).content for _ in answers] == [b"abc"] * 3


async def test_head_of_a_compressed_page_is_no_error() -> None:
    """HEAD, 304 and an empty body have nothing to decode."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 40\r\n\r\n"
    not_modified = b"HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n"
    empty = response(b"", "Content-Encoding: gzip")
    async with Server(in_turn(head, not_modified, empty)) as server, virtual_user():
        answers = [await http.request(method, server.url) for method in ("HEAD", "GET", "GET")]
    assert [(answer.status_code, answer.content, answer.error) for answer in answers] == [
        (200, b"", ""),
        (304, b"", ""),
        (200, b"", ""),
    ]


BROKEN = {
    "not gzip at all": (b"plain text", "gzip"),
    "checksum": (gzip.compress(TEXT)[:-8] + b"\x00" * 8, "gzip"),
    "cut short": (gzip.compress(TEXT)[:-9], "gzip"),
    "half": (gzip.compress(NOISE)[:10_000], "gzip"),
    "header only": (gzip.compress(TEXT)[:10], "gzip"),
    "zlib cut short": (zlib.compress(TEXT)[:-1], "deflate"),
    "not deflate at all": (b"\xff\xff\xff\xff", "deflate"),
    "not br at all": (b"plain text", "br"),
    "br cut short": (brotli.compress(TEXT)[:-1], "br"),
    "not zstd at all": (b"plain text", "zstd"),
    "zstd cut short": (zstd.compress(TEXT)[:-1], "zstd"),
    "gzip within br cut short": (brotli.compress(gzip.compress(TEXT)[:-1]), "gzip, br"),
    "six codings": (gzip.compress(TEXT), "gzip, gzip, gzip, gzip, gzip, gzip"),
}


@pytest.mark.parametrize(("body", "encoding"), BROKEN.values(), ids=BROKEN.keys())
async def test_broken_compression_is_1701(body: bytes, encoding: str) -> None:
    """A body that cannot be decoded is code 1701 and status 0, time after time, and the connection is fine."""
    async with Server(response(body, f"Content-Encoding: {encoding}")) as server, virtual_user() as vu:
        for _ in range(2):
            answer = await http.get(server.url)
            assert (answer.status_code, answer.error_code, answer.content) == (0, 1701, b"")
            assert "decompression failed" in answer.error
        assert vu.failed(error_code="1701") == (2, 2)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [
        (gzip.compress, "gzip"),
        (zlib.compress, "deflate"),
        (bare_deflate, "deflate"),
        (brotli.compress, "br"),
        (zstd.compress, "zstd"),
        (lambda body: gzip.compress(gzip.compress(body)), "gzip, gzip"),
    ],
    ids=["gzip", "zlib", "bare deflate", "br", "zstd", "gzip twice"],
)
async def test_decompression_bomb_is_bounded(pack: Packer, encoding: str) -> None:
    """Ten thousandfold compression unpacks to `max_body_kept` and no further, in about as much memory."""
    raw = response(pack(bytes(100 * KIB * KIB)), f"Content-Encoding: {encoding}")
    async with Server(raw) as server, virtual_user(max_body_kept=200 * KIB):
        with PeakMemory() as peak:
            answer = await http.get(server.url)
    assert (answer.status_code, len(answer.content), answer.truncated) == (200, 200 * KIB, True)
    assert peak.bytes < 10 * KIB * KIB


@pytest.mark.parametrize("surplus", [-1, 0, 1])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "bare deflate"])
@pytest.mark.parametrize("kept", [100, 257, 258, 259, 2_000, 65_536])
async def test_bound_of_a_decoded_body_is_exact(kept: int, encoding: str, surplus: int) -> None:
    """A decoded body of exactly `max_body_kept` is whole, and one byte more is cut."""
    body = b"a" * (kept + surplus)
    packed = (PACKERS | {"bare deflate": bare_deflate})[encoding](body)
    assert len(packed) < kept, "it would be cut before it is decoded"
    raw = response(packed, f"Content-Encoding: {encoding.removeprefix('bare ')}")
    async with Server(raw) as server, virtual_user(max_body_kept=kept):
        answer = await http.get(server.url)
    assert (answer.error, len(answer.content)) == ("", min(len(body), kept))
    assert answer.truncated == (surplus > 0)


async def test_compressed_body_that_was_cut_is_decoded_as_far_as_it_goes() -> None:
    """When the compressed bytes exceed `max_body_kept`, the beginning is decoded and marked as cut."""
    raw = response(gzip.compress(NOISE), "Content-Encoding: gzip")
    async with Server(raw) as server, virtual_user(max_body_kept=10_000) as vu:
        answer = await http.get(server.url)
        assert (answer.status_code, answer.truncated) == (200, True)
        assert 9_000 < len(answer.content) <= 10_000
        assert NOISE.startswith(answer.content)
        assert vu.count("data_received") == len(raw)


# --- long bodies

CHUNK = b"3E8\r\n%b\r\n" % (b"x" * 1_000)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK * 3 + b"0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000


@pytest.mark.parametrize("raw", [response(b"x" * 3_000), CHUNKED, UNTIL_CLOSE], ids=["length", "chunked", "close"])
async def test_long_body_is_cut_but_counted(raw: bytes) -> None:
    """Of a body longer than `max_body_kept`, a script gets the beginning, `json()` refuses, and all bytes count."""
    closes = raw is UNTIL_CLOSE
    async with Server([raw, End.CLOSE] if closes else raw) as server, virtual_user(max_body_kept=1_500) as vu:
        for _ in range(2):
            answer = await http.get(server.url)
            assert (answer.status_code, answer.content, answer.truncated) == (200, b"x" * 1_500, True)
            with pytest.raises(ValueError, match="max_body_kept"):
                answer.json()
        assert vu.count("data_received") == 2 * len(raw)
        assert vu.failed() == (0, 2)
    assert server.connections == (2 if closes else 1)


@pytest.mark.parametrize(("length", "cut"), [(1_499, False), (1_500, False), (1_501, True)])
async def test_bound_of_a_body_is_exact(length: int, cut: bool) -> None:
    """A body of exactly `max_body_kept` is whole, every time it comes."""
    async with Server(response(b"x" * length)) as server, virtual_user(max_body_kept=1_500):
        answers = [await http.get(server.url) for _ in range(3)]
    assert [answer.truncated for answer in answers] == [cut] * 3
    assert [len(answer.content) for answer in answers] == [min(length, 1_500)] * 3


async def test_long_bodies_do_not_grow_memory() -> None:
    """A download of 60 MB is read at the price of what is kept."""
    steps = [b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n", *([b"x" * 1_000_000] * 60)]
    async with Server(steps) as server, virtual_user(max_body_kept=100_000) as vu:
        with PeakMemory() as peak:
            answer = await http.get(server.url)
        assert vu.count("data_received") > 60_000_000
    assert len(answer.content) == 100_000
    assert peak.bytes < 20_000_000  # most of it is the server's


@pytest.mark.parametrize(
    "raw",
    [response(TEXT), CHUNKED, response(gzip.compress(TEXT), "Content-Encoding: gzip"), response(b"")],
    ids=["length", "chunked", "gzip", "empty"],
)
async def test_discarded_bodies_are_read_and_counted(raw: bytes) -> None:
    """With bodies discarded, responses are complete and counted, but hold nothing; that is no truncation."""
    async with Server(in_turn(raw, raw, pieces(raw, 20))) as server, virtual_user(discard_bodies=True) as vu:
        for _ in range(3):
            answer = await http.get(server.url)
            assert (answer.status_code, answer.content, answer.truncated, answer.error) == (200, b"", False, "")
        assert vu.count("data_received") == 3 * len(raw)
    assert server.connections == 1


async def test_discarded_bodies_take_the_short_cut() -> None:
    """Dropping bodies is not slower than keeping them: a known head is recognised all the same."""
    async with Server(response(TEXT)) as server, virtual_user(discard_bodies=True) as vu:
        for _ in range(2):
            await http.get(server.url)
        assert len(vu.client.settings.heads.known) == 1


async def test_discarded_body_cut_short_is_an_error() -> None:
    """A body nobody wants must still arrive in full."""
    async with Server([response(TEXT)[:-1], End.CLOSE]) as server, virtual_user(discard_bodies=True) as vu:
        assert (await http.get(server.url)).error_code == 1000
        assert vu.failed() == (1, 1)


async def test_gzip_as_a_transfer_coding_is_undone() -> None:
    """RFC 9112 7: servers rarely do that, and curl and browsers understand it."""
    packed = gzip.compress(TEXT)
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    async with Server(raw) as server, virtual_user():
        assert [(await http.get(server.url)).content for _ in range(2)] == [TEXT, TEXT]
    assert server.connections == 1
