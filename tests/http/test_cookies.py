"""The cookie jar follows RFC 6265: who set a cookie, who gets it back, and for how long."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from ciload import http
from ciload.http.cookies import CookieJar, parse_set_cookie
from ciload.http.target import parse_target
from tests.http.server import Server, in_turn, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

OK = response(b"ok")


def jar_after(*lines: str, url: str = "http://shop.test/a/b") -> CookieJar:
    jar = CookieJar()
    jar.store(list(lines), parse_target(url))
    return jar


def sent(jar: CookieJar, url: str) -> str:
    return jar.header_for(parse_target(url))


async def test_cookies_come_back() -> None:
    """What a response sets, later requests send, next to other headers and with bodies."""
    first = response(b"", "Set-Cookie: a=1", "set-cookie: b=2; HttpOnly")
    async with Server(in_turn(first, OK, response(b"", "Set-Cookie: a=3"), OK)) as server, virtual_user() as vu:
        answer = await http.get(server.url)
        await http.post(server.url, json={}, headers={"X-A": "1"})
        await http.get(server.url)
        await http.get(server.url)
        assert answer.cookies == {"a": "1", "b": "2"}
        assert len(vu.session.jar) == 2
    assert [request.header("cookie") for request in server.requests] == [None, "a=1; b=2", "a=1; b=2", "a=3; b=2"]
    assert server.requests[1].header("x-a") == "1"


async def test_cleared_jar_is_empty() -> None:
    """An iteration that starts with an empty jar sends no cookie of the last one."""
    async with Server(in_turn(response(b"", "Set-Cookie: a=1"), OK)) as server, virtual_user() as vu:
        await http.get(server.url)
        vu.session.jar.return_to(None)
        await http.get(server.url)
    assert [request.header("cookie") for request in server.requests] == [None, None]


async def test_own_cookie_header_replaces_the_jar() -> None:
    """A Cookie header of the script is sent alone."""
    async with Server(in_turn(response(b"", "Set-Cookie: a=1"), OK)) as server, virtual_user():
        await http.get(server.url)
        await http.get(server.url, headers={"cookie": "mine=1"})
    assert server.requests[1].header("cookie") == "mine=1"


async def test_cookies_from_a_remembered_head_count() -> None:
    """A response with the same head as before sets its cookie again."""
    async with Server(response(b"ok", "Set-Cookie: a=1")) as server, virtual_user() as vu:
        for _ in range(3):
            vu.session.jar.return_to(None)
            assert (await http.get(server.url)).cookies == {"a": "1"}
            assert len(vu.session.jar) == 1


@pytest.mark.parametrize(
    ("line", "url", "expected"),
    [
        # host-only and domain cookies
        ("a=1", "http://shop.test/a/b", True),
        ("a=1", "http://sub.shop.test/a/b", False),
        ("a=1", "http://other.test/a/b", False),
        ("a=1; Domain=shop.test", "http://sub.shop.test/a/b", True),
        ("a=1; domain=.SHOP.test", "http://sub.shop.test/a/b", True),
        ("a=1; Domain=shop.test", "http://myshop.test/a/b", False),
        ("a=1; Domain=", "http://sub.shop.test/a/b", False),
        # port and scheme do not matter
        ("a=1", "http://shop.test:8080/a/b", True),
        ("a=1", "https://shop.test/a/b", True),
        # paths
        ("a=1", "http://shop.test/a/", True),
        ("a=1", "http://shop.test/a", True),
        ("a=1", "http://shop.test/ab", False),
        ("a=1", "http://shop.test/", False),
        ("a=1; Path=/", "http://shop.test/", True),
        ("a=1; path=/x", "http://shop.test/x", True),
        ("a=1; path=/x", "http://shop.test/x/y?z", True),
        ("a=1; path=/x", "http://shop.test/xy", False),
        ("a=1; path=/x/", "http://shop.test/x/y", True),
        ("a=1; path=x", "http://shop.test/a/c", True),  # not a path: the default one
        # secure
        ("a=1; Secure", "http://shop.test/a/b", False),
        ("a=1; secure", "https://shop.test/a/b", True),
    ],
)
def test_cookie_goes_where_it_belongs(line: str, url: str, expected: bool) -> None:
    """Domain, path and Secure decide which requests carry a cookie."""
    assert sent(jar_after(line), url) == ("a=1" if expected else "")


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("a=1; Domain=other.test", "http://shop.test/"),
        ("a=1; Domain=sub.shop.test", "http://shop.test/"),
        ("a=1; Domain=test", "http://shop.test/"),
        ("a=1; Domain=0.0.1", "http://127.0.0.1/"),
        ("=1", "http://shop.test/"),
        ("nonsense", "http://shop.test/"),
        ("a=1\x01", "http://shop.test/"),
        ("", "http://shop.test/"),
    ],
)
def test_cookie_that_breaks_the_rules_is_ignored(line: str, url: str) -> None:
    """A cookie for a foreign domain, a top-level domain or part of an address, and a broken line, set nothing."""
    assert len(jar_after(line, url=url)) == 0


@pytest.mark.parametrize(
    ("attributes", "lives"),
    [
        ("", True),
        ("; Max-Age=60", True),
        ("; max-age=0", False),
        ("; Max-Age=-1", False),
        ("; Max-Age=soon", True),
        ("; Expires=Wed, 01 Jan 2070 00:00:00 GMT", True),
        ("; Expires=Wed, 01 Jan 2020 00:00:00 GMT", False),
        ("; expires=Wed, 01-Jan-2020 00:00:00 GMT", False),
        ("; Expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
        ("; Expires=never", True),
        ("; Max-Age=60; Expires=Wed, 01 Jan 2020 00:00:00 GMT", True),  # Max-Age wins
        ("; Max-Age=soon; Expires=Wed, 01 Jan 2020 00:00:00 GMT", False),  # an invalid one is as good as absent
        ("; Max-Age=" + "9" * 400, True),
    ],
)
def test_cookie_lives_as_long_as_it_says(attributes: str, lives: bool) -> None:
    """Max-Age and Expires end a cookie, and one that is over removes its predecessor."""
    jar = jar_after("a=0; Path=/", "a=1; Path=/" + attributes)
    assert sent(jar, "http://shop.test/") == ("a=1" if lives else "")
    assert len(jar) == int(lives)


def test_cookie_expires_while_the_virtual_user_runs() -> None:
    """A cookie is sent until its time is over."""
    target = parse_target("http://shop.test/")
    now = time.time()
    cookie = parse_set_cookie("a=1; Max-Age=5", target, now)
    assert cookie is not None
    assert cookie.fits(target, now + 4.9)
    assert not cookie.fits(target, now + 5.1)


def test_longer_paths_come_first() -> None:
    """Of several cookies, the more specific ones lead, and equal names of different paths are both sent."""
    jar = jar_after("a=1; Path=/", "b=2; Path=/x/y", "a=3; Path=/x")
    assert sent(jar, "http://shop.test/x/y/z") == "b=2; a=3; a=1"


def test_values_are_kept_as_they_came() -> None:
    """Quotes, equals signs and spaces inside a value survive."""
    jar = jar_after('a="x y"', "b=c=d==", "c =  e ")
    assert sent(jar, "http://shop.test/a/") == 'a="x y"; b=c=d==; c=e'


async def test_non_ascii_cookie_comes_back_byte_for_byte() -> None:
    """A UTF-8 value goes back as the bytes that came."""
    value = "ü€".encode().decode("latin-1")
    async with Server(in_turn(response(b"", f"Set-Cookie: a={value}"), OK)) as server, virtual_user():
        await http.get(server.url)
        await http.get(server.url)
    assert b"cookie: a=" + "ü€".encode() in server.requests[1].head


async def test_an_expiry_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6265 5.1.1: whatever the zone of the machine that the load runs on."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        soon = datetime.now(UTC) - timedelta(hours=1)
        cookie = f"a=1; Expires={soon:%a, %d %b %Y %H:%M:%S}"
        async with Server(in_turn(response(b"", f"Set-Cookie: {cookie}"), OK)) as server, virtual_user() as vu:
            await http.get(server.url)
            assert len(vu.session.jar) == 0
    finally:
        monkeypatch.undo()
        time.tzset()
