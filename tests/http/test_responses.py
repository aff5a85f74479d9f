"""What a script can ask a response."""

from __future__ import annotations

import json
from encodings.aliases import aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload import http
from ciload.http import HTTPStatusError, RequestError, Response
from ciload.http.head import parse_head
from ciload.http.timings import REUSED
from tests.http.server import End, Server, free_port, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio


async def got(raw: bytes) -> Response:
    async with Server([raw, End.CLOSE]) as server, virtual_user():
        return await http.get(server.url + "/page?q=1", follow_redirects=False)


async def test_headers_ignore_case_and_join_repeats() -> None:
    """Headers are found in any case; a repeated one is joined, and `get_list` keeps its values apart."""
    answer = await got(response(b"", "X-Thing: a", "x-thing: b", "Content-Type: text/html", "X-Empty:"))
    headers = answer.headers
    assert headers["X-THING"] == headers.get("x-thing") == "a, b"
    assert headers.get_list("X-Thing") == ["a", "b"]
    assert headers.get_list("absent") == []
    assert "content-TYPE" in headers
    assert "absent" not in headers
    assert headers.get("absent") is None
    assert headers["x-empty"] == ""
    assert list(headers) == ["x-thing", "content-type", "x-empty", "content-length"]
    assert len(headers) == 4
    with pytest.raises(KeyError):
        headers["absent"]


async def test_white_space_around_header_values_is_dropped() -> None:
    """Blanks and tabs before and after a value are not part of it (RFC 9110 5.5)."""
    answer = await got(b"HTTP/1.1 200 OK\r\nX-A: \t a b \t \r\nContent-Length:2 \r\n\r\nok")
    assert dict(answer.headers) == {"x-a": "a b", "content-length": "2"}
    assert answer.text == "ok"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/html; charset=iso-8859-1", "ü".encode("latin-1"), "ü"),
        ('text/html; charset="UTF-8"', "ü".encode(), "ü"),
        ("text/html;charset=utf-16", "ü".encode("utf-16"), "ü"),
        ("text/html", "ü".encode(), "ü"),
        ("", "ü".encode(), "ü"),
        ("text/html; charset=klingon", "ü".encode(), "ü"),
        ("text/html; charset=rot13", "ü".encode(), "ü"),  # codecs of Python's that are no charsets
        ("text/html; charset=idna", "ü".encode(), "ü"),
        ("text/html; charset=undefined", "ü".encode(), "ü"),
        ("text/html", b"a\xffb", "a\ufffdb"),
        ("application/json", "ü".encode(), "ü"),
    ],
)
async def test_text_follows_the_charset(content_type: str, body: bytes, text: str) -> None:
    """The charset of the Content-Type decodes the text; what cannot be decoded is replaced, never raised."""
    assert (await got(response(body, f"Content-Type: {content_type}"))).text == text


# What a server might put behind "charset": anything, and every codec that Python has.
codecs = sorted(set(aliases.values()) - {"unicode_escape"})  # that one warns about the text of the page
charsets = st.one_of(st.text(st.characters(max_codepoint=0xFF), max_size=30), st.sampled_from(codecs).map("={}".format))


@given(charsets, st.binary(max_size=20))
def test_text_never_raises(charset: str, body: bytes) -> None:
    """Whatever a server writes into its Content-Type, there is a text."""
    line = f"Content-Type: text/html; charset{charset}".replace("\n", "").replace("\0", "")
    head = parse_head(b"HTTP/1.1 200 OK\r\n" + line.encode("latin-1"))
    answer = Response(200, head, body, "GET", "http://h/", REUSED, (0, 0, 0))
    assert isinstance(answer.text, str)


async def test_json_is_parsed() -> None:
    """`json()` gives the value, whatever the type says, and takes the options of `json.loads`."""
    answer = await got(response(b'{"a": [1, 2.5, null]}', "Content-Type: text/plain"))
    assert answer.json() == {"a": [1, 2.5, None]}
    assert answer.json(parse_float=str) == {"a": [1, "2.5", None]}


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe\x00"])
async def test_json_that_is_none_raises_value_error(body: bytes) -> None:
    """A body that is no JSON is a ValueError, as in the standard library."""
    answer = await got(response(body))
    with pytest.raises(ValueError, match=r"."):
        answer.json()


STATUSES = [
    # status, success, redirect, client error, server error
    (200, True, False, False, False),
    (299, True, False, False, False),
    (301, False, True, False, False),
    (404, False, False, True, False),
    (499, False, False, True, False),
    (500, False, False, False, True),
    (599, False, False, False, True),
]


@pytest.mark.parametrize(("status", "success", "redirect", "client", "server"), STATUSES)
async def test_status_classes(status: int, success: bool, redirect: bool, client: bool, server: bool) -> None:
    """The `is_...` properties follow the first digit of the status."""
    answer = await got(response(b"", status=f"{status} X"))
    seen = (answer.is_success, answer.is_redirect, answer.is_client_error, answer.is_server_error)
    assert seen == (success, redirect, client, server)
    assert answer.is_error == (client or server)
    assert repr(answer) == f"<Response [{status}]>"


async def test_raise_for_status_gives_good_responses_back() -> None:
    """Below 400, `raise_for_status()` is the response itself."""
    for status in ("200 OK", "304 Not Modified", "302 Found"):
        answer = await got(response(b"", status=status))
        assert answer.raise_for_status() is answer


async def test_raise_for_status_raises_for_4xx_and_5xx() -> None:
    """The error names method, URL without query, and status, and carries the response."""
    answer = await got(response(b"why", status="503 Service Unavailable"))
    with pytest.raises(HTTPStatusError, match=r"^GET http://127.0.0.1:\d+/page: 503 Service Unavailable$") as raised:
        answer.raise_for_status()
    assert raised.value.response is answer
    assert not isinstance(raised.value, RequestError)


async def test_raise_for_status_raises_without_a_response() -> None:
    """A request that got no response raises RequestError with the reason."""
    async with virtual_user():
        answer = await http.get(f"http://127.0.0.1:{free_port()}/page?q=1")
    with pytest.raises(RequestError, match=r"^GET http://127.0.0.1:\d+/page: dial: connection refused$") as raised:
        answer.raise_for_status()
    assert raised.value.response is answer
    assert (answer.is_success, answer.is_error, answer.is_client_error, answer.is_server_error) == (
        False,
        True,
        False,
        False,
    )
    assert (answer.text, answer.reason_phrase, dict(answer.headers), answer.cookies) == ("", "", {}, {})
    assert "refused" in repr(answer)


@pytest.mark.parametrize(
    ("line", "phrase"),
    [("200 OK", "OK"), ("200 Fine by me", "Fine by me"), ("404", "Not Found"), ("404 ", "Not Found"), ("599", "")],
)
async def test_reason_phrase(line: str, phrase: str) -> None:
    """The server's words, else the standard's, else nothing."""
    assert (await got(response(b"", status=line))).reason_phrase == phrase


async def test_http_version_is_the_servers() -> None:
    """The version of the status line."""
    assert (await got(response(b""))).http_version == "1.1"
    assert (await got(b"HTTP/1.0 200 OK\r\n\r\n")).http_version == "1.0"


async def test_deeply_nested_json_is_a_value_error() -> None:
    """A hostile body does not end the iteration with an error that nobody expects of a parser."""
    answer = await got(response(b"[" * 200_000))
    with pytest.raises(ValueError, match=r"."):
        answer.json()


@pytest.mark.parametrize("body", [b'{"a": NaN}', '{"a": 1}'.encode("utf-16")])
async def test_json_that_orjson_does_not_take_is_parsed_as_ever(body: bytes) -> None:
    """What is installed beside ciload does not decide what is JSON."""
    answer = await got(response(body))
    assert str(answer.json()) == str(json.loads(body))
