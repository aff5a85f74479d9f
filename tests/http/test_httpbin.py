"""Conformance with a server that nobody here wrote: httpbin under gunicorn, which says what it has understood."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ciload import http
from ciload.http.request import RequestDefaults
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_methods(httpbin: str, method: str) -> None:
    """Query, headers and the name of the method arrive as they were given."""
    async with virtual_user():
        reply = await http.request(
            method, f"{httpbin}/anything/a%20b", params={"q": ["ä", "b&c"], "n": 1}, headers={"X-Test": "1,2"}
        )
    seen = reply.json()
    assert (reply.status_code, seen["method"]) == (200, method)
    assert seen["args"] == {"q": ["ä", "b&c"], "n": "1"}
    assert seen["headers"]["X-Test"] == "1,2"
    assert seen["url"].startswith(f"{httpbin}/anything/a")


async def test_head_and_options(httpbin: str) -> None:
    """A head without its body, after which the connection is in step."""
    async with virtual_user() as vu:
        head = await http.head(f"{httpbin}/get")
        options = await http.options(f"{httpbin}/anything")
        assert (await http.get(f"{httpbin}/get")).json()["args"] == {}
        assert vu.failed() == (0, 3)
    assert (head.status_code, head.content, int(head.headers["content-length"]) > 50) == (200, b"", True)
    assert "POST" in options.headers["allow"]


async def test_bodies(httpbin: str, tmp_path: Path) -> None:
    """JSON, forms, text, files, multipart, and what is made while it is sent, once with and once without a length."""

    async def rows() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"row %d\n" % number

    everything = b"".join([b"row %d\n" % number for number in range(100)])
    async with virtual_user():
        sent = await http.post(f"{httpbin}/post", json={"a": [1, "ä", None]})
        assert sent.json()["json"] == {"a": [1, "ä", None]}
        sent = await http.post(f"{httpbin}/post", data={"a": ["1", "2"], "b": "ä&="})
        assert sent.json()["form"] == {"a": ["1", "2"], "b": "ä&="}
        sent = await http.put(f"{httpbin}/put", content="text ä")
        assert sent.json()["data"] == "text ä"
        sent = await http.post(f"{httpbin}/post", data={"x": "y"}, files={"f": ("n.txt", io.BytesIO(b"of a file"))})
        assert (sent.json()["files"], sent.json()["form"]) == ({"f": "of a file"}, {"x": "y"})
        sent = await http.post(f"{httpbin}/post", content=rows())
        assert sent.json()["data"].encode() == everything
        sent = await http.post(f"{httpbin}/post", content=rows(), headers={"Content-Length": str(len(everything))})
        assert sent.json()["data"].encode() == everything
        assert sent.json()["headers"]["Content-Length"] == str(len(everything))
        sent = await http.post(f"{httpbin}/post", content=b"x" * 3_000_000)
        assert len(sent.json()["data"]) == 3_000_000


@pytest.mark.parametrize("code", [200, 201, 204, 304, 400, 404, 418, 429, 500, 503])
async def test_statuses(httpbin: str, code: int) -> None:
    """Each is what it is, and the connection is in step after those without a body."""
    async with virtual_user() as vu:
        reply = await http.get(f"{httpbin}/status/{code}")
        assert (await http.get(f"{httpbin}/status/200")).status_code == 200
        assert vu.failed() == (int(code >= 400), 2)
    assert (reply.status_code, reply.error_code) == (code, 1000 + code if code >= 400 else 0)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "brotli"])
async def test_codings(httpbin: str, coding: str) -> None:
    async with virtual_user():
        reply = await http.get(f"{httpbin}/{coding}", headers={"Accept-Encoding": "gzip, deflate, br"})
    assert reply.json()["method"] == "GET"
    assert reply.headers["content-encoding"]


@pytest.mark.parametrize(
    "path", ["encoding/utf8", "xml", "html", "image/png", "bytes/3000?seed=1", "deny", "robots.txt"]
)
async def test_kinds_of_content(httpbin: str, path: str) -> None:
    async with virtual_user():
        reply = await http.get(f"{httpbin}/{path}")
    assert reply.status_code == 200
    assert len(reply.content) == int(reply.headers["content-length"])
    if path == "encoding/utf8":
        assert "∮ E⋅da = Q" in reply.text


async def test_authentication(httpbin: str) -> None:
    """Basic, bearer and digest in all of httpbin's kinds; a challenge is counted as expected, a refusal is not."""
    async with virtual_user() as vu:
        replies = [
            await http.get(f"{httpbin}/basic-auth/jo/p%40ss", auth=("jo", "p@ss")),
            await http.get(f"{httpbin.replace('://', '://jo:p%40ss@')}/basic-auth/jo/p%40ss"),
            await http.get(f"{httpbin}/bearer", auth=http.BearerAuth("token")),
        ]
        for algorithm in ("MD5", "SHA-256", "SHA-512"):
            url = f"{httpbin}/digest-auth/auth/jo/pw/{algorithm}"
            replies.append(await http.get(url, auth=http.DigestAuth("jo", "pw")))
        assert [each.status_code for each in replies] == [200] * 6
        assert vu.failed()[0] == 0
        wrong = await http.get(f"{httpbin}/basic-auth/jo/pw", auth=("jo", "wrong"))
        assert wrong.status_code == 401
        assert vu.failed()[0] == 1


async def test_cookies(httpbin: str) -> None:
    """Set by a redirect, sent back, deleted; and those of one request."""
    async with virtual_user() as vu:
        assert (await http.get(f"{httpbin}/cookies/set?a=1&b=two")).json()["cookies"] == {"a": "1", "b": "two"}
        assert (await http.get(f"{httpbin}/cookies", cookies={"c": "3"})).json()["cookies"]["c"] == "3"
        assert (await http.get(f"{httpbin}/cookies/delete?a")).json()["cookies"] == {"b": "two"}
        assert len(vu.session.jar) == 1


async def test_redirects(httpbin: str) -> None:
    """Relative, absolute, to another method; more than ten are a failure."""
    async with virtual_user() as vu:
        for path in ("redirect/3", "relative-redirect/3", "absolute-redirect/3"):
            reply = await http.get(f"{httpbin}/{path}")
            assert (reply.url, len(reply.history)) == (f"{httpbin}/get", 3)
        assert vu.failed() == (0, 12)
        reply = await http.post(f"{httpbin}/redirect-to", params={"url": "/get", "status_code": 303}, data={"a": "b"})
        assert reply.json()["url"] == f"{httpbin}/get"
        reply = await http.post(f"{httpbin}/redirect-to?url=/post&status_code=307", content="kept")
        assert reply.json()["data"] == "kept"
        reply = await http.get(f"{httpbin}/redirect/12")
        assert (reply.status_code, reply.error) == (0, "too many redirects: more than 10")
        reply = await http.get(f"{httpbin}/redirect/1", follow_redirects=False)
        assert (reply.status_code, reply.headers["location"]) == (302, "/get")


async def test_streams(httpbin: str) -> None:
    """Lines and bytes as they come, in chunks; slow ones are waited for."""
    async with virtual_user():
        async with await http.get(f"{httpbin}/stream/5", stream=True) as reply:
            lines = [line async for line in reply.aiter_lines()]
        assert len(lines) == 5
        reply = await http.get(f"{httpbin}/stream-bytes/5000?chunk_size=7&seed=3")
        assert len(reply.content) == 5000
        reply = await http.get(f"{httpbin}/drip?duration=0.4&numbytes=4&delay=0")
        assert (reply.content, reply.timings.receiving > 200) == (b"****", True)
        reply = await http.get(f"{httpbin}/delay/1", timeout="300ms")
        assert (reply.status_code, reply.error_code) == (0, 1050)


async def test_ranges_and_validators(httpbin: str) -> None:
    async with virtual_user():
        part = await http.get(f"{httpbin}/range/100", headers={"Range": "bytes=10-19"})
        unchanged = await http.get(f"{httpbin}/etag/abc", headers={"If-None-Match": "abc"})
        cached = await http.get(f"{httpbin}/cache", headers={"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"})
    assert (part.status_code, part.text) == (206, "klmnopqrst")
    assert (unchanged.status_code, cached.status_code) == (304, 304)


async def test_headers_of_the_answer(httpbin: str) -> None:
    """Those with several values, and what the request said of itself."""
    async with virtual_user(defaults=RequestDefaults(user_agent="tester")):
        reply = await http.get(f"{httpbin}/response-headers?X-A=1&X-A=2&Y=z")
        assert reply.json()["X-A"] == ["1", "2"]
        assert (await http.get(f"{httpbin}/user-agent")).json() == {"user-agent": "tester"}
    assert reply.headers.get_list("x-a") == ["1", "2"]
