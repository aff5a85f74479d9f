"""URLs: where a request goes, what its request line says, and what name it is measured under."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from ciload.http.failure import ErrorCode, RequestFailedError
from ciload.secrets import without_secrets
from ciload.text import SAFE_PATH, SAFE_QUERY

DEFAULT_PORTS = {"http": 80, "https": 443}
# Characters that may stand in a request target as they are; "%" because it may already be encoded.

Primitive = str | int | float | bool | None
Params = Mapping[str, Primitive | Sequence[Primitive]] | Sequence[tuple[str, Primitive]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a connection is for."""

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL. `name` and `url` carry no userinfo; `name` has neither query nor fragment."""

    origin: Origin
    path: str
    request_target: str
    url: str
    name: str
    authorization: str | None


def parse_target(url: str, base_url: str = "", home: Origin | None = None) -> Target:
    """Take a URL apart. At `home`, the server that is tested, a path is name enough: it is the same on every machine.

    Raises:
        RequestFailedError: no URL, or not one that ciload can request (code 1020, or 1000 for another scheme).
    """
    try:
        joined = urljoin(base_url, url) if base_url else url
        parts = urlsplit(joined.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise RequestFailedError(ErrorCode.INVALID_URL, f"invalid URL {without_secrets(url)!r}") from None
    if not parts.scheme and not base_url:
        raise RequestFailedError(
            ErrorCode.INVALID_URL, f"invalid URL {without_secrets(url)!r}: relative, and no --base-url is set"
        )
    if parts.scheme not in DEFAULT_PORTS:
        raise RequestFailedError(ErrorCode.UNKNOWN, f"unsupported protocol scheme {parts.scheme!r}")
    host = _ascii_host(host or "")
    if not host or any(character.isspace() or not character.isprintable() for character in host):
        raise RequestFailedError(ErrorCode.INVALID_URL, f"invalid URL {without_secrets(url)!r}: no host")
    origin = Origin(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port)
    path = quote(parts.path or "/", safe=SAFE_PATH)
    query = f"?{quote(parts.query, safe=SAFE_QUERY)}" if parts.query else ""
    address = f"{origin.scheme}://{origin.authority}{path}"
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + b64encode(pair.encode()).decode()
    return Target(origin, path, path + query, address + query, path if origin == home else address, authorization)


def _ascii_host(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return host.encode("idna").decode("ascii").lower() if not host.isascii() else host.lower()
    except UnicodeError:
        raise RequestFailedError(ErrorCode.INVALID_URL, f"invalid host name {host!r}") from None


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
