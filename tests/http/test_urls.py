"""URLs of any shape: taken apart or refused, and never more on the wire than a request line can hold."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ciload.http.failure import RequestFailedError
from ciload.http.request import Prepared
from ciload.http.target import Base, Origin, Target, is_relative, parse_target, with_params
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


def parsed(url: str, link_on: str = "") -> Target | None:
    """The target, or None for a URL that is refused as a failed request or, with lone surrogates, as a mistake."""
    with suppress(RequestFailedError, UnicodeEncodeError):
        return parse_target(url, link_on)
    return None


@given(urls, st.sampled_from(["", "http://page.test/a/b"]), st.sampled_from(["", "http://base.test/a/b"]))
@example("http://[::1", "", "")
@example("http://h:99999999999999999999/", "", "")
@example("http://\u2100/", "", "")
@example("http://\uff0f/", "", "")
@example("http://\u00af/", "", "")  # IDNA makes a blank of it
def test_request_line_is_one_line(url: str, link_on: str, base_url: str) -> None:
    """No URL can put a blank or a line break into the request line or the Host header."""
    target = parsed(Base(base_url).join(url) if base_url else url, link_on)
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
    assert [line.partition(":")[0] for line in rest if line] in ([], ["authorization"])


@given(urls)
def test_names_have_neither_query_nor_userinfo(url: str) -> None:
    """The name that a request is measured under, and the URL that is shown, give nothing away."""
    target = parsed(url)
    if target is None:
        return
    assert "?" not in target.name
    assert "#" not in target.url
    assert "@" not in target.name.split("/")[2]
    assert "@" in target.url or without_secrets(target.url) == target.name


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
        ("https://[::1]:8080/a?x", "https://[::1]:8080/a"),
        ("/relative?x=1", "/relative"),
        ("/users/@me?x=1", "/users/@me"),
        ("artifact:baseline", "artifact:baseline"),
        ("", ""),
        ("https://user:12/34@host", "https://***"),
        ("https://tok/en@host", "https://***"),
        ("http://h/users/@me", "http://***"),
        ("http://u:p@h/users/@me", "http://***"),
        ("user:pass@host/x", "***"),
        ("http://user:password", "http://***"),
        ("password//x@host", "***"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    """Userinfo, query and fragment go; so does all the rest where an @ may be the end of a password."""
    assert without_secrets(url) == shown


SECRET = "zqx"
delimiters = st.sampled_from(["", "/", "//", "?", "#", ":", "@", "[", "]", "\\", "%2F", ".", "&", "=", " ", "8"])
secrets = st.lists(delimiters, min_size=1, max_size=6).map(lambda between: SECRET + SECRET.join([*between, ""]))
# The scheme, or what is left of it.
starts = st.sampled_from(["http://", "https://", "HTTPS://", "ftp://", "//", "", "http:/", "http:", "h+t://"])


@given(starts, secrets, st.sampled_from(["host", "host:80", "[::1]", "[::1]:80", ""]), st.sampled_from(["", "/", "/a"]))
def test_no_part_of_a_userinfo_is_ever_shown(start: str, secret: str, host: str, path: str) -> None:
    """Whatever characters a password has, and however a URL is broken around it."""
    url = f"{start}{secret}@{host}{path}"
    shown = [without_secrets(url)]
    try:
        target = parse_target(url)
        shown.append(target.if_unreachable.name)
    except RequestFailedError as failure:
        shown.append(failure.text)
    assert not [text for text in shown if SECRET in text.lower()]


@given(
    starts, st.sampled_from(["host", "u:p@host", "host:80"]), st.sampled_from(["/", "/a", ""]), secrets,
    st.sampled_from("?#"),
)  # fmt: skip
def test_no_part_of_a_query_is_ever_shown(start: str, host: str, path: str, secret: str, mark: str) -> None:
    """Nor of a fragment."""
    assert SECRET not in without_secrets(f"{start}{host}{path}{mark}{secret}")


@given(unicode, unicode, unicode)
def test_params_survive_encoding(path: str, key: str, value: str) -> None:
    """A server that decodes the query gets the key and the value of the script."""
    target = parse_target(with_params("http://h/" + quote(path), {key: value}))
    query = urlsplit(target.request_target).query
    assert parse_qsl(query, keep_blank_values=True) == [(key, value)]


@pytest.mark.parametrize("base", ["http://h/v1", "http://h/v1/"])
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("x", "http://h/v1/x"),
        ("/x", "http://h/v1/x"),
        ("//x", "http://h/v1/x"),
        ("/x/?q=/a#f", "http://h/v1/x/?q=/a"),
        ("/", "http://h/v1/"),
        ("", "http://h/v1/"),
        ("?q=1", "http://h/v1/?q=1"),
        ("/a;", "http://h/v1/a;"),
        ("./x", "http://h/v1/x"),
        ("a/../b/.", "http://h/v1/b/"),
        ("../x", "http://h/x"),
        ("../../../x", "http://h/x"),
        ("/users/@me", "http://h/v1/users/@me"),
        ("https://other/x", "https://other/x"),
    ],
)
def test_a_relative_url_is_a_path_below_the_base(base: str, url: str, expected: str) -> None:
    """The base's own path is kept, as in httpx, and no relative URL leads to another host."""
    assert parse_target(Base(base).join(url)).url == expected


@pytest.mark.parametrize("url", ["/x", "x", "/a;", "/x?q=1", "", "?q=1", "../x", "a/./b"])
@pytest.mark.parametrize("base", ["http://h/v1", "http://h/v1/", "http://h"])
def test_joining_is_that_of_httpx(base: str, url: str) -> None:
    """Who comes from httpx finds the same URLs."""
    theirs = httpx.Client(base_url=base, trust_env=False).build_request("GET", url).url
    assert parse_target(Base(base).join(url)).url == str(theirs)


@given(urls.filter(is_relative))
def test_no_relative_url_leaves_the_target(url: str) -> None:
    """Whatever a path looks like, it is a path at the base's host."""
    with suppress(RequestFailedError, UnicodeEncodeError):
        assert parse_target(Base("http://h:81/v1").join(url)).origin == Origin("http", "h", 81)


@pytest.mark.parametrize(
    ("base", "url", "name"),
    [
        ("http://h", "/x?q=1", "/x"),
        ("http://h/v1", "/x?q=1", "/x"),
        ("http://h/v1/", "x", "/x"),
        ("http://h/v1", "http://h/v1/x", "/x"),
        ("http://h:80/v%20 1", "/x", "/x"),
        ("http://h/v1", "", "/"),
        ("http://h/v1", "http://h/v1", "/"),
        ("http://h/v1", "http://h/v10/x", "http://h/v10/x"),
        ("http://h/v1", "../x", "http://h/x"),
        ("http://h/v1", "http://other/v1/x", "http://other/v1/x"),
    ],
)
def test_what_is_below_the_base_is_named_by_its_path_alone(base: str, url: str, name: str) -> None:
    """So the same script has the same names at each deployment, whatever its host and prefix."""
    at = Base(base)
    assert parse_target(at.join(url), base=at).name == name


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


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://h/a?", "/a?", "h"),
        ("http://h/a?#x?", "/a?", "h"),
        ("http://h/a#?", "/a", "h"),
        ("http://h/?x[]=1&y={a|b}", "/?x[]=1&y={a|b}", "h"),
        ("http://h/?x=<a>&y='b' \u00e9", "/?x=%3Ca%3E&y='b'%20%C3%A9", "h"),
        ("http://fa\u00df.de/", "/", "xn--fa-hia.de"),
        ("http://B\u00dcCHER.example/", "/", "xn--bcher-kva.example"),
    ],
)
def test_urls_go_out_as_browsers_send_them(url: str, target: str, host: str) -> None:
    """An empty query stays one, brackets in it stay as they are, and names are those of IDNA 2008."""
    parsed = parse_target(url)
    assert (parsed.request_target, parsed.origin.host) == (target, host)


def test_the_zone_of_an_address_is_for_this_machine_alone() -> None:
    """RFC 6874: `%25` in the URL, nothing of it in the Host header."""
    origin = parse_target("http://[fe80::1%25eth0]:8080/").origin
    assert (origin.host, origin.authority) == ("fe80::1%eth0", "[fe80::1]:8080")
