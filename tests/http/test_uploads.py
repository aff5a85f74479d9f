"""Bodies that go piece by piece: files, generators, multipart and compressed ones, as other servers understand them."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_multipart import create_form_parser

from ciload import http
from ciload.http.decoding import decode
from ciload.http.encoding import ENCODERS
from tests.http.server import End, Pause, Received, Server, in_turn, redirect, response
from tests.http.vu import run, virtual_user

pytestmark = pytest.mark.anyio

OK = response(b"ok")
LONG = bytes(range(256)) * 8_000


async def agen(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


def gen(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


# --- files and iterators


async def test_a_file_is_sent_with_its_length(tmp_path: Path) -> None:
    """From where it stands to its end, without being read at once, whatever its size."""
    path = tmp_path / "long.bin"
    path.write_bytes(LONG)
    async with Server(OK) as server, virtual_user() as vu:
        with path.open("rb") as file:
            file.seek(1_000)
            answer = await http.put(server.url, content=file)
        assert (answer.text, server.requests[0].body) == ("ok", LONG[1_000:])
        assert server.requests[0].header("content-length") == str(len(LONG) - 1_000)
        assert vu.count("data_sent") == len(server.requests[0].head) + len(LONG) - 1_000
        assert answer.timings.sending > 0
    assert server.connections == 1


@pytest.mark.parametrize("make", [agen, gen, lambda *pieces: list(pieces)], ids=["async", "generator", "list"])
@pytest.mark.parametrize("pieces", [(), (b"",), (b"a",), (b"one", b"", b"two"), (LONG, b"x", LONG)])
async def test_iterators_are_sent_in_chunks(make: object, pieces: tuple[bytes, ...]) -> None:
    """Their length is not known; an empty piece is not the end."""
    async with Server(OK) as server, virtual_user():
        for _ in range(2):
            body = make(*pieces)  # type: ignore[operator]
            assert (await http.post(server.url, content=body)).text == "ok"
        assert [request.body for request in server.requests] == [b"".join(pieces)] * 2
        assert {request.header("transfer-encoding") for request in server.requests} == {"chunked"}
        assert {request.header("content-length") for request in server.requests} == {None}
    assert server.connections == 1


async def test_an_iterator_may_say_its_length() -> None:
    """With a Content-Length of the script there are no chunks; a body of another length is the script's mistake."""
    async with Server(OK) as server, virtual_user() as vu:
        headers = {"Content-Length": "6"}
        assert (await http.post(server.url, content=agen(b"abc", b"def"), headers=headers)).text == "ok"
        assert (server.requests[0].body, server.requests[0].header("content-length")) == (b"abcdef", "6")
        with pytest.raises(ValueError, match="1 bytes shorter than the 6"):
            await http.post(server.url, content=agen(b"abcde"), headers=headers)
        with pytest.raises(ValueError, match="longer than the 6"):
            await http.post(server.url, content=gen(b"abc", b"defg"), headers=headers)
        assert (await http.get(server.url)).text == "ok"
        assert vu.failed() == (2, 4)


@pytest.mark.parametrize("piece", ["text", 1, None])
async def test_pieces_must_be_bytes(piece: object) -> None:
    """The message says what to do, and the connection is not used again."""
    async with Server(OK) as server, virtual_user() as vu:
        with pytest.raises(TypeError, match="made of bytes, and not of"):
            await http.post(server.url, content=gen(b"a", piece))  # type: ignore[arg-type]
        assert not any(vu.session.pool.idle.values())


async def test_what_the_generator_raises_is_raised() -> None:
    """It is the script's own error, and the request has failed."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise KeyError("mine")

    async with Server(OK) as server, virtual_user() as vu:
        with pytest.raises(KeyError, match="mine"):
            await http.post(server.url, content=broken())
        assert vu.failed() == (1, 1)
        assert (await http.get(server.url)).text == "ok"


async def test_an_early_answer_ends_the_upload() -> None:
    """A server that refuses is heard while the generator has more to give, even when it gives nothing for long."""
    ended = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"x" * 1_000
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    refusal = response(b"no", "Connection: close", status="413 Content Too Large")
    async with Server([refusal, End.HALF_CLOSE], when="head") as server, virtual_user() as vu:
        started = perf_counter()
        answer = await http.post(server.url, content=endless())
        assert (answer.status_code, answer.text) == (413, "no")
        assert perf_counter() - started < 2
        assert ended == [True]
        assert vu.failed(status="413") == (1, 1)


async def test_a_slow_reader_slows_the_generator() -> None:
    """What the server does not take is not produced: memory stays bounded."""
    made = 0

    async def plenty() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(1_000):
            made += 1
            yield b"x" * 100_000

    async with Server([Pause(5)], when="head") as server, virtual_user():
        answer = await http.post(server.url, content=plenty(), timeout=0.3)
        assert answer.error_code == 1050
    assert made < 200


async def test_uploads_and_connections_that_have_ended() -> None:
    """A body that can be read again is sent again, a generator that has begun is not."""
    async with Server(in_turn(OK, [End.CLOSE], OK)) as server, virtual_user() as vu:
        await http.get(server.url)
        assert (await http.put(server.url, content=io.BytesIO(LONG))).text == "ok"
        assert server.requests[-1].body == LONG
        assert vu.failed() == (0, 2)
    async with Server(in_turn(OK, [End.CLOSE], OK)) as server, virtual_user() as vu:
        await http.get(server.url)
        answer = await http.put(server.url, content=agen(b"a", b"b"))
        assert (answer.status_code, answer.error_code) == (0, 1000)


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
async def test_uploads_and_redirects(status: str) -> None:
    """307 and 308 repeat the body: a file can be, a generator cannot, and says so."""
    async with Server(in_turn(redirect("/b", status=status), OK)) as server, virtual_user():
        assert (await http.post(server.url, content=io.BytesIO(LONG))).text == "ok"
        assert [request.body for request in server.requests] == [LONG, LONG]
    async with Server(redirect("/b", status=status)) as server, virtual_user():
        answer = await http.post(server.url, content=agen(b"a"))
        assert answer.error == "redirected, and the body cannot be sent again"
    async with Server(in_turn(redirect("/b", status="303 See Other"), OK)) as server, virtual_user():
        assert (await http.post(server.url, content=agen(b"a"))).text == "ok"
        assert [request.method for request in server.requests] == ["POST", "GET"]


# --- multipart

Part = tuple[str, str | None, str | None, bytes]  # field, file name, type, content


def parts(request: Received) -> list[Part]:
    """The parts of a form, as python-multipart reads them."""
    found: list[Part] = []

    def on_field(field: Any) -> None:
        found.append((field.field_name.decode(), None, None, field.value))

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        content_type = None if file.content_type is None else file.content_type
        found.append((file.field_name.decode(), file.file_name.decode(), content_type, file.file_object.read()))

    parser = create_form_parser({"Content-Type": (request.header("content-type") or "").encode()}, on_field, on_file)
    parser.write(request.body)
    parser.finalize()
    return found


async def test_files_are_multipart(tmp_path: Path) -> None:
    """Fields and files, in memory and not, arrive as a parser that nobody here wrote reads them."""
    path = tmp_path / "photo.png"
    path.write_bytes(LONG)
    async with Server(OK) as server, virtual_user():
        with path.open("rb") as photo:
            await http.post(
                server.url,
                data={"title": "caf\u00e9", "tag": ["a", "b"]},
                files={"photo": photo, "note": ('n\u00f6te "1".txt', b"hello", "text/plain")},
            )
        await http.post(server.url, files=[("f", b"one"), ("f", ("two.bin", b"two"))])
    first, second = (parts(request) for request in server.requests)
    assert first == [
        ("title", None, None, "caf\u00e9".encode()),
        ("tag", None, None, b"a"),
        ("tag", None, None, b"b"),
        ("photo", "photo.png", "image/png", LONG),
        ("note", "n\u00f6te %221%22.txt", "text/plain", b"hello"),  # as browsers write quotes (WHATWG HTML)
    ]
    assert second == [
        ("f", "upload", "application/octet-stream", b"one"),
        ("f", "two.bin", "application/octet-stream", b"two"),
    ]
    assert server.requests[0].header("content-length") == str(len(server.requests[0].body))


async def test_a_text_file_is_the_scripts_mistake(tmp_path: Path) -> None:
    """Nothing is sent then."""
    path = tmp_path / "a.txt"
    path.write_text("a")
    async with Server(OK) as server, virtual_user() as vu:
        with path.open() as file, pytest.raises(TypeError, match="binary mode"):
            await http.post(server.url, files={"f": file})  # type: ignore[dict-item]
        with pytest.raises(ValueError, match="give one of json="):
            await http.post(server.url, json={}, files={"f": b"x"})
        assert vu.count() == 0


# --- compression


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br", ["deflate", "zstd"]])
@pytest.mark.parametrize("streamed", [False, True])
async def test_compressed_bodies_are_what_was_given(coding: str | list[str], streamed: bool) -> None:
    """A server that undoes the codings has the body; what is streamed comes in chunks."""
    async with Server(OK) as server, virtual_user():
        content = agen(LONG[:1_000], LONG[1_000:]) if streamed else LONG
        assert (await http.post(server.url, content=content, compression=coding)).text == "ok"
    request = server.requests[0]
    header = coding if isinstance(coding, str) else ", ".join(coding)
    assert request.header("content-encoding") == header
    assert (request.header("transfer-encoding") == "chunked") == streamed
    codings = tuple(name.encode() for name in header.split(", "))
    assert decode(request.body, codings, 10**8, whole=True) == LONG
    assert len(request.body) < len(LONG)


def test_our_codings_are_those_of_the_standard_library() -> None:
    """The oracle for two of them."""
    for coding, undo in (("gzip", gzip.decompress), ("deflate", zlib.decompress)):
        encoder = ENCODERS[coding]()
        assert undo(encoder.compress(LONG) + encoder.flush()) == LONG


async def test_what_cannot_be_sent_is_told_before_anything_is(tmp_path: Path) -> None:
    """Also of a batch, all of which stays unsent then."""
    path = tmp_path / "a.txt"
    path.write_text("a")
    async with Server(OK) as server, virtual_user() as vu:
        mistakes: list[tuple[dict[str, Any], type[Exception], str]] = [
            ({"json": {}, "compression": "gzip", "headers": {"Content-Encoding": "br"}}, ValueError, "not both"),
            ({"cookies": {"a": "1; b"}}, ValueError, "cookies: "),
            ({"auth": 1}, TypeError, "auth= takes"),
        ]
        with path.open() as text:
            mistakes.append(({"content": text}, TypeError, "'rb'"))
            for options, kind, words in mistakes:
                with pytest.raises(kind, match=words):
                    await http.post(server.url, **options)
                with pytest.raises(kind, match=words):
                    await http.batch([server.url, http.Request("POST", server.url, **options)])
        assert vu.count() == 0


async def test_unknown_compression_is_the_scripts_mistake() -> None:
    """It says which there are."""
    async with Server(OK) as server, virtual_user() as vu:
        with pytest.raises(ValueError, match="unknown coding 'lzma'; there are gzip, deflate, br, zstd"):
            await http.post(server.url, json={}, compression="lzma")
        assert vu.count() == 0


@given(st.lists(st.binary(max_size=300), max_size=8), st.booleans())
@settings(max_examples=40, deadline=None)
def test_whatever_the_pieces_the_body_arrives(pieces: list[bytes], slow: bool) -> None:
    """In order and whole, on a connection that goes on."""

    async def scenario() -> None:
        async with Server(OK) as server, virtual_user():
            for _ in range(2):
                content = agen(*pieces) if slow else gen(*pieces)
                assert (await http.post(server.url, content=content)).text == "ok"
            assert [request.body for request in server.requests] == [b"".join(pieces)] * 2
            assert server.connections == 1

    run(scenario)
