"""URLs: where a request goes, what its request line says, and what name it is measured under."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from ciload.http.failure import ErrorCode, RequestFailedError
from ciload.secrets import HIDDEN, without_secrets
from ciload.text import SAFE_PATH, SAFE_QUERY

DEFAULT_PORTS = {"http": 80, "https": 443}
UNIX = "http+unix"  # http+unix://%2Frun%2Fapp.sock/path, as Docker's clients write it
SAFE_IN_QUERY = SAFE_QUERY + "[]{}|\\^`"  # browsers send these as they are (WHATWG URL, query state)

Primitive = str | int | float | bool | None
Params = Mapping[str, Primitive | Sequence[Primitive]] | Sequence[tuple[str, Primitive]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a connection is for. `socket` is the file of a Unix socket, if it goes to one."""

    scheme: str
    host: str
    port: int
    socket: str = ""

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The Host header; the zone of an address is nobody else's business (RFC 6874)."""
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"

    @property
    def key(self) -> str:
        """As a URL begins with it; what connections are kept under."""
        return f"{UNIX}://{quote(self.socket, safe='')}" if self.socket else f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL. `name` and `url` carry no userinfo; `name` has neither query nor fragment.

    `ambiguous` is a URL with an `@` behind its host: if nobody answers there, the host may be half of a password.
    """

    origin: Origin
    path: str
    request_target: str
    url: str
    name: str
    authorization: str | None
    ambiguous: bool = False

    @property
    def if_unreachable(self) -> Target:
        """What may be shown of it when nobody has answered there."""
        if not self.ambiguous or self.name.startswith("/"):  # below the base URL, the host is right
            return self
        hidden = f"{self.origin.scheme}://{HIDDEN}"
        return replace(self, url=hidden, name=hidden)


class Base:
    """The base URL: what relative URLs are put behind. At and below it, a path is name enough."""

    __slots__ = ("_before", "_prefix", "origin")

    def __init__(self, url: str) -> None:
        """`url` is absolute, without query and fragment.

        Raises:
            RequestFailedError: it cannot be requested.
        """
        target, parts = parse_target(url), urlsplit(url.strip())
        self.origin = target.origin
        self._before = f"{parts.scheme}://{parts.netloc}"
        self._prefix = target.path.rstrip("/")

    def join(self, url: str) -> str:
        """An absolute URL stays as it is; another one is a path below the base, as in httpx, however it begins.

        So `/echo`, `echo` and `//echo` at `http://host/api` are `http://host/api/echo`, and no other host.
        """
        if not is_relative(url):
            return url
        relative = url.strip().lstrip("/")
        path = re.split("[?#]", relative, maxsplit=1)[0]
        return self._before + _without_dots(f"{self._prefix}/{path}") + relative[len(path) :]

    def name(self, origin: Origin, path: str) -> str | None:
        """The path below the base, which is the same on every machine; None for what is not below it."""
        if origin != self.origin or not (path == self._prefix or path.startswith(f"{self._prefix}/")):
            return None
        return path[len(self._prefix) :] or "/"


def is_relative(url: str) -> bool:
    """Whether a URL needs a base; what is no URL at all does not."""
    try:
        return not urlsplit(url.strip()).scheme
    except ValueError:
        return False


def _without_dots(path: str) -> str:
    """RFC 3986 5.2.4, for a path that begins with a slash."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    return "/".join([*kept, ""] if segments[-1] in (".", "..") else kept)


def parse_target(url: str, link_on: str = "", base: Base | None = None) -> Target:
    """Take a URL apart.

    Args:
        url: absolute, or a link on the page `link_on`.
        link_on: an absolute URL.
        base: what is below it is named by its path alone.

    Raises:
        RequestFailedError: no URL, or not one that ciload can request (code 1020, or 1000 for another scheme).
    """
    try:
        joined = _link(link_on, url) if link_on else url
        parts = urlsplit(joined.strip())
        host, port = ("localhost", None) if parts.scheme == UNIX else (parts.hostname, parts.port)
    except ValueError:
        raise _invalid(url) from None
    if not parts.scheme:
        raise _invalid(url, ": relative, and there is no --base-url")
    if parts.scheme not in DEFAULT_PORTS and parts.scheme != UNIX:
        scheme = f" {parts.scheme!r}" if "@" not in url else ""  # there, it may be a user's name
        raise RequestFailedError(
            ErrorCode.UNKNOWN, f"unsupported protocol scheme{scheme}: use http://, https:// or {UNIX}://"
        )
    try:
        host = _ascii_host(host or "")
    except UnicodeError:
        raise _invalid(url, ": the host's name is not valid") from None
    if not host or any(character.isspace() or not character.isprintable() for character in host):
        raise _invalid(url, ": no host")
    if parts.scheme == UNIX:
        if not parts.netloc or "@" in parts.netloc:
            raise _invalid(url, f": write the path of the socket as {UNIX}://%2Frun%2Fapp.sock/path")
        origin = Origin("http", host, 80, unquote(parts.netloc))
    else:
        origin = Origin(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port)
    path = quote(parts.path or "/", safe=SAFE_PATH)
    asks = bool(parts.query) or "?" in joined.partition("#")[0]  # an empty query is one
    query = f"?{quote(parts.query, safe=SAFE_IN_QUERY)}" if asks else ""
    address = origin.key + path
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + b64encode(pair.encode()).decode()
    name = base.name(origin, path) if base else None
    ambiguous = "@" in parts.path + parts.query + parts.fragment
    return Target(origin, path, path + query, address + query, name or address, authorization, ambiguous)


def _link(page: str, link: str) -> str:
    """A link as it stands on a page; the standard library does not know what is relative to a Unix socket's URL."""
    if not page.startswith(f"{UNIX}://"):
        return urljoin(page, link)
    joined = urljoin(page.replace(UNIX, "http", 1), link)
    same = urlsplit(joined).netloc == urlsplit(page).netloc
    return joined.replace("http", UNIX, 1) if same else joined


def _invalid(url: str, why: str = "") -> RequestFailedError:
    return RequestFailedError(ErrorCode.INVALID_URL, f"invalid URL {without_secrets(url)!r}{why}")


def _ascii_host(host: str) -> str:
    """As it is looked up: an address, with its zone (RFC 6874), or a name, in IDNA 2008 as browsers write it.

    Raises:
        UnicodeError: it is no name.
    """
    try:
        return str(ip_address(host.replace("%25", "%", 1)))
    except ValueError:
        pass
    if host.isascii():
        return host.lower()
    import idna  # takes 15 ms

    return idna.encode(host, uts46=True).decode()


def with_params(url: str, params: Params) -> str:
    """`url` with `params` appended to its query. Lists repeat the key, None gives an empty value."""
    before, hash_mark, fragment = url.partition("#")
    separator = "" if before.endswith(("?", "&")) else "&" if "?" in before else "?"
    encoded = encode_form(params)
    return before + (separator + encoded if encoded else "") + hash_mark + fragment


def encode_form(params: Params) -> str:
    """application/x-www-form-urlencoded, with httpx's spelling of booleans and None."""
    pairs = params.items() if isinstance(params, Mapping) else params
    flat: list[tuple[str, str]] = []
    for key, value in pairs:
        several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        flat += [(key, _primitive(each)) for each in (value if several else [value])]  # type: ignore[union-attr]
    return urlencode(flat)


def _primitive(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode()
    return str(value)
