"""URLs of any shape: taken apart or refused, and never more on the wire than a request line can hold."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ciload.http.failure import RequestFailedError
from ciload.http.request import Prepared
from ciload.http.target import Target, parse_target, with_params
from ciload.secrets import without_secrets

unicode = st.text(st.characters(codec="utf-8"), max_size=10)
anything = st.text(max_size=30)
pieces_of_urls = st.lists(
    st.sampled_from(
        ["http", "https", ":", "/", "//", "@", "?", "#", "[", "]", "::1", "%", "h", "8", "&", "=", "\\", " ", "\n", "ü"]
    ),
    max_size=12,
).map("".join)
urls = st.one_of(anything, anything.map("http://{}".format), pieces_of_urls, pieces_of_urls.map("http://h{}".format))


def parsed(url: str, base_url: str = "") -> Target | None:
    """The target, or None for a URL that is refused as a failed request or, with lone surrogates, as a mistake."""
    with suppress(RequestFailedError, UnicodeEncodeError):
        return parse_target(url, base_url)
    return None


@given(urls, st.sampled_from(["", "http://base.test/a/b"]))
@example("http://[::1", "")
@example("http://h:99999999999999999999/", "")
@example("http://\u2100/", "")
@example("http://\uff0f/", "")
@example("http://\u00af/", "")  # IDNA makes a blank of it
def test_request_line_is_one_line(url: str, base_url: str) -> None:
    """No URL can put a blank or a line break into the request line or the Host header."""
    target = parsed(url, base_url)
    if target is None:
        return
    head = Prepared("GET", target, ()).head.decode("ascii")
    first, host, *rest = head.split("\r\n")
    method, request_target, version = first.split(" ")
    assert (method, version) == ("GET", "HTTP/1.1")
    assert request_target.startswith("/")
    assert all(0x20 < ord(character) < 0x7F for character in request_target)
    assert host.removeprefix("host: ").isprintable()
    assert " " not in host.removeprefix("host: ")
    assert [line.partition(":")[0] for line in rest if line] in (["user-agent"], ["user-agent", "authorization"])


@given(urls)
def test_names_have_neither_query_nor_userinfo(url: str) -> None:
    """The name that a request is measured under, and the URL that is shown, give nothing away."""
    target = parsed(url)
    if target is None:
        return
    assert "?" not in target.name
    assert "#" not in target.url
    assert "@" not in target.name.split("/")[2]
    assert without_secrets(target.url) == target.name


@given(urls)
def test_taking_a_url_apart_twice_changes_nothing(url: str) -> None:
    """A URL in the form that ciload shows is understood as the same one."""
    target = parsed(url)
    if target is not None:
        again = parse_target(target.url)
        assert (again.origin, again.request_target, again.url) == (target.origin, target.request_target, target.url)


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=8, max_size=20), urls)
def test_secrets_before_an_at_sign_are_never_shown(secret: str, rest: str) -> None:
    """Whatever stands between the scheme and the last @ of a URL does not get into what is shown of it."""
    url = f"http://ann:zqx{secret}zqx@{rest.replace('@', '')}"
    shown = [without_secrets(url)]
    try:
        target = parse_target(url)
        shown += [target.url, target.name]
    except RequestFailedError as failure:
        shown.append(failure.text)
    assert not [text for text in shown if f"zqx{secret}zqx" in text]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/a?x=1#y", "http://h/a"),
        ("http://u:p@h:8080/a", "http://h:8080/a"),
        ("http://h/users/@me", "http://h/users/@me"),
        ("http://u:p@h/users/@me", "http://h/users/@me"),
        ("/relative?x=1", "/relative"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    """Userinfo, query and fragment go; an @ in a path stays."""
    assert without_secrets(url) == shown


@given(unicode, unicode, unicode)
def test_params_survive_encoding(path: str, key: str, value: str) -> None:
    """A server that decodes the query gets the key and the value of the script."""
    target = parse_target(with_params("http://h/" + quote(path), {key: value}))
    query = urlsplit(target.request_target).query
    assert parse_qsl(query, keep_blank_values=True) == [(key, value)]


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("http://h/v1/", "x", "http://h/v1/x"),
        ("http://h/v1", "x", "http://h/x"),
        ("http://h/v1/", "/x", "http://h/x"),
        ("http://h/v1/", "https://other/x", "https://other/x"),
        ("http://h/v1/", "", "http://h/v1/"),
    ],
)
def test_base_url_joins_like_a_link(base: str, url: str, expected: str) -> None:
    """A relative URL is resolved as a browser resolves a link on the base."""
    assert parse_target(url, base).url == expected == urljoin(base, url)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://EXAMPLE.test/", "example.test", 80, "example.test"),
        ("https://example.test/", "example.test", 443, "example.test"),
        ("http://example.test:443/", "example.test", 443, "example.test:443"),
        ("https://example.test:443/", "example.test", 443, "example.test"),
        ("http://[::1]:8080/", "::1", 8080, "[::1]:8080"),
        ("http://[0:0:0:0:0:0:0:1]/", "::1", 80, "[::1]"),
        ("http://bücher.test/", "xn--bcher-kva.test", 80, "xn--bcher-kva.test"),
        (" http://h/ ", "h", 80, "h"),
    ],
)
def test_origin_of_a_url(url: str, host: str, port: int, authority: str) -> None:
    """Spellings of one origin are one origin; default ports stay out of the Host header."""
    origin = parse_target(url).origin
    assert (origin.host, origin.port, origin.authority) == (host, port, authority)
