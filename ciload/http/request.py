"""What a script asks for, turned into the bytes that go on the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from ciload.errors import NoTargetError
from ciload.http.body import Body, Content, Files, Upload
from ciload.http.expectations import Expect
from ciload.http.proxies import Proxies, ProxyServer
from ciload.http.session import end_run
from ciload.http.target import Base, Params, Target, is_relative, parse_target
from ciload.metrics.expected import StatusTypes
from ciload.secrets import without_secrets
from ciload.version import __version__

if TYPE_CHECKING:
    from ciload.http.auth import Auth

HeaderValue = str | bytes | int | float
HeaderTypes = Mapping[str, HeaderValue] | Sequence[tuple[str, HeaderValue]]
HeaderPairs = tuple[tuple[str, HeaderValue], ...]

USER_AGENT = f"ciload/{__version__}"
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})  # RFC 9110 9.2.2
# So long a connection may have rested without being looked at: if the event loop was busy, an end or an answer too many
# may have come that it has not seen. What can be sent again is not lost to an end.
SHORT_REST_S = {False: 0.001, True: 0.010}
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})  # these say Content-Length: 0 when there is no body
# What the framing depends on is not the script's to set; Host has its place at the top.
OURS = frozenset({"content-length", "transfer-encoding", "host"})
MOST_PREPARED = 4_096
MOST_SERVERS = 50
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2


class RequestOptions(TypedDict, total=False):
    """The keyword arguments of a request, for type checkers; `http.request` says what they mean."""

    params: Params | None
    headers: HeaderTypes | None
    json: Any
    data: Params | Content | None
    content: Content | None
    files: Files | None
    compression: str | Sequence[str] | None
    auth: Auth | None
    cookies: Mapping[str, str] | None
    timeout: float | str | None
    name: str | None
    tags: Mapping[str, str] | None
    expected: StatusTypes | None
    expect: Expect | None
    follow_redirects: bool
    stream: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _RequestOptions:
    params: Params | None = None
    headers: HeaderTypes | None = None
    json: Any = None
    data: Params | Content | None = None
    content: Content | None = None
    files: Files | None = None
    compression: str | Sequence[str] | None = None
    auth: Auth | None = None
    cookies: Mapping[str, str] | None = None
    timeout: float | str | None = None
    name: str | None = None
    tags: Mapping[str, str] | None = None
    expected: StatusTypes | None = None
    expect: Expect | None = None
    follow_redirects: bool = True
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Request(_RequestOptions):
    """One request of a `batch`; the keyword arguments are those of `http.request`."""

    method: str
    url: str


@dataclass(frozen=True, slots=True)
class RequestDefaults:
    """Headers of a run's requests, unless a request has its own.

    `headers` go to the base URL's server, so that a token reaches nobody else; without a base URL to every server.
    `user_agent` goes to all, if it is not "".
    """

    headers: HeaderPairs = ()
    user_agent: str = USER_AGENT
    reuse: bool = True  # of connections

    @property
    def for_all(self) -> HeaderPairs:
        pairs: HeaderPairs = (("user-agent", self.user_agent),) if self.user_agent else ()
        return pairs if self.reuse else (*pairs, ("connection", "close"))


DEFAULTS = RequestDefaults()
NO_PROXIES = Proxies()


class Prepared:
    """The part of a request that only depends on method, URL and headers: encoded once, sent many times."""

    __slots__ = (
        "bare", "closes", "given_length", "has_content_encoding", "has_content_type", "has_cookie", "head", "headers",
        "idempotent", "is_head", "method", "name", "origin_key", "rest_s", "target",
    )  # fmt: skip

    def __init__(self, method: str, target: Target, headers: HeaderPairs, proxy: ProxyServer | None = None) -> None:
        """`proxy` is one that reads the request and sends it on (RFC 9112 3.2.2)."""
        self.method = method
        self.target = target
        self.headers = headers
        self.name = target.name
        self.origin_key = target.origin.key
        self.idempotent = method in IDEMPOTENT
        self.rest_s = SHORT_REST_S[self.idempotent]
        self.is_head = method == "HEAD"
        lines = [(name, header_text(name, value)) for name, value in headers]
        given = {name.lower(): value for name, value in lines}
        # Who says so may not use the connection again (RFC 9112 9.6).
        self.closes = "close" in (option.strip().lower() for option in given.get("connection", "").split(","))
        host = given.get("host", target.origin.authority)
        if target.authorization and "authorization" not in given:
            lines.append(("authorization", target.authorization))
        length = given.get("content-length", "")
        self.given_length = int(length) if length.isascii() and length.isdigit() else None  # for uploads
        self.has_content_type = "content-type" in given
        self.has_content_encoding = "content-encoding" in given
        self.has_cookie = "cookie" in given
        asked_for = target.request_target
        if proxy is not None:
            asked_for = target.origin.key + asked_for
            if proxy.authorization and "proxy-authorization" not in given:
                lines.append(("proxy-authorization", proxy.authorization))
        text = [f"{method} {asked_for} HTTP/1.1\r\nhost: {host}\r\n"]
        text += [f"{name}: {value}\r\n" for name, value in lines if name.lower() not in OURS]
        self.head = "".join(text).encode("latin-1")
        self.bare = self.head + (b"content-length: 0\r\n\r\n" if method in WITH_BODY else b"\r\n")

    def encode(self, body: Body | None, cookies: str) -> bytes:
        """The whole request, with a body, cookies or both; without the pieces of an upload.

        Raises:
            ValueError: the body is compressed, and a header of the script says so or otherwise as well.
        """
        lines = [self.head]
        if cookies and not self.has_cookie:
            lines.append(b"cookie: " + cookies.encode("latin-1", "replace") + b"\r\n")
        content: bytes | Upload = b""
        if body is not None:
            content = body.content
            if body.content_type and not self.has_content_type:
                lines.append(f"content-type: {body.content_type}\r\n".encode("latin-1"))
            if body.content_encoding:
                if self.has_content_encoding:
                    raise ValueError("give compression= or a Content-Encoding header, not both")
                lines.append(f"content-encoding: {body.content_encoding}\r\n".encode())
        if isinstance(content, Upload):
            if content.size is None:
                content.size = self.given_length
            size = content.size
            lines.append(b"transfer-encoding: chunked\r\n" if size is None else b"content-length: %d\r\n" % size)
            content = b""
        elif body is not None or self.method in WITH_BODY:
            lines.append(b"content-length: %d\r\n" % len(content))
        return b"".join((*lines, b"\r\n", content))


def header_text(name: str, value: HeaderValue) -> str:
    """The value as it goes on the wire.

    Raises:
        ValueError: a name or value that would end the header or start another one.
    """
    if not isinstance(name, str) or not TOKEN.fullmatch(name):
        raise ValueError(f"invalid header name {name!r}")
    if isinstance(value, bytes):
        text = value.decode("latin-1")
    elif isinstance(value, str | int | float):
        text = str(value)
        if not text.isascii():
            text = text.encode().decode("latin-1")  # UTF-8 on the wire
    else:
        raise TypeError(f"header {name}: expected text, got {type(value).__name__}")
    if any(character in text for character in "\r\n\0"):
        raise ValueError(f"header {name}: the value contains a line break or a NUL")
    return text


class Preparer:
    """Prepares requests and remembers them: most scripts send the same few, over and over."""

    __slots__ = ("_always", "_at_target", "_proxies", "base", "memory", "private", "reuse", "servers")

    def __init__(self, base_url: str = "", defaults: RequestDefaults = DEFAULTS, proxies: Proxies = NO_PROXIES) -> None:
        self.base = Base(base_url) if base_url else None
        self._always, self._at_target = defaults.for_all, defaults.headers
        self.reuse = defaults.reuse
        # What no redirect may take to another server.
        self.private = frozenset(name.lower() for name, _ in defaults.headers) if base_url else frozenset[str]()
        self._proxies = proxies
        self.servers: set[str] = set()  # that requests were prepared for, as far as they fit
        self.memory: dict[tuple[str, str, HeaderPairs], Prepared] = {}

    def prepare(self, key: tuple[str, str, HeaderPairs], asked_for: str = "") -> Prepared:
        """The request for (method, url, headers); `asked_for` is what it asks the server for, if somebody else says it.

        Raises:
            RequestFailedError: the URL cannot be requested.
            NoTargetError: it is relative, and there is no base; the run has been told to end.
            ValueError, TypeError: the method or a header is not valid.
        """
        method, url, headers = key
        if not isinstance(method, str) or not TOKEN.fullmatch(method):
            raise ValueError(f"invalid method {method!r}")
        if not isinstance(url, str):
            raise TypeError(f"expected a URL as text, got {type(url).__name__}")
        if self.base is None and is_relative(url):
            end_run(NoTargetError(without_secrets(url)))
        absolute = self.base.join(url) if self.base else url
        target = parse_target(absolute, base=self.base)
        if asked_for:
            target = replace(target, request_target=asked_for)
        at_target = self.base is None or target.origin == self.base.origin
        prepared = self.make(method.upper(), target, with_defaults(headers, self._at_target) if at_target else headers)
        if len(self.memory) >= MOST_PREPARED:
            self.memory.clear()
        # 1, 1.0 and True are one key, and three header values.
        if all(type(value) in (str, bytes) for _, value in headers):
            self.memory[key] = prepared
        return prepared

    def make(self, method: str, target: Target, headers: HeaderPairs) -> Prepared:
        """A request with these headers and those that all requests have."""
        proxy = self._proxies.proxy_for(target.origin)
        if proxy is not None and not proxy.reads_requests_to(target.origin):
            proxy = None
        prepared = Prepared(method, target, with_defaults(headers, self._always), proxy)
        if len(self.servers) < MOST_SERVERS:
            self.servers.add(prepared.origin_key)
        return prepared


def with_defaults(headers: HeaderPairs, defaults: HeaderPairs) -> HeaderPairs:
    """The headers, and those of the defaults that they do not have."""
    if not defaults:
        return headers
    given = {str(name).lower() for name, _ in headers}
    return (*headers, *(pair for pair in defaults if pair[0].lower() not in given))
