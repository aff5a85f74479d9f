"""Proxies: which one a request goes through, and how a connection is made through it."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ciload.http.failure import ErrorCode, RequestFailedError, from_dial

if TYPE_CHECKING:
    from ciload.http.target import Origin

DEFAULT_PORTS = {"http": 80, "socks4": 1080, "socks5": 1080}
SPELLINGS = {"socks": "socks5", "socks5h": "socks5", "socks4a": "socks4"}  # the proxy looks names up in any case
NO_PROXY_AT_ALL = ("none", "off", "direct")


@dataclass(frozen=True, slots=True)
class ProxyServer:
    """A proxy: HTTP (requests, and tunnels by CONNECT), SOCKS4 or SOCKS5."""

    scheme: str
    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The Proxy-Authorization header, for requests that the proxy reads itself."""
        if not self.username:
            return None
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()

    def reads_requests_to(self, origin: Origin) -> bool:
        """Whether it is sent the request itself, with the whole URL; else it makes a tunnel."""
        return self.scheme == "http" and not origin.secure


def parse_proxy(text: str) -> ProxyServer:
    """A proxy's address, as curl and Go take it: without a scheme it is an HTTP proxy.

    Raises:
        ValueError: it is none. The message does not quote it, since it may hold a password.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
        parts = urlsplit("")
    scheme = SPELLINGS.get(parts.scheme, parts.scheme)
    if scheme == "https":
        raise ValueError("proxies that are spoken to by TLS are not supported: write http:// if it takes that as well")
    if not host or scheme not in DEFAULT_PORTS or parts.path.strip("/") or port == 0:
        raise ValueError("not a proxy like http://proxy.example.com:3128 or socks5://localhost:1080")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return ProxyServer(scheme, host, DEFAULT_PORTS[scheme] if port is None else port, user, password)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of a run. One that was asked for is used for this machine's own addresses, too."""

    http: ProxyServer | None = None
    https: ProxyServer | None = None
    exceptions: tuple[str, ...] = ()
    asked_for: bool = False

    def proxy_for(self, origin: Origin) -> ProxyServer | None:
        proxy = self.https if origin.secure else self.http
        if proxy is None or origin.socket or not (self.asked_for or not _is_local(origin.host)):
            return None
        return None if any(_excepts(each, origin) for each in self.exceptions) else proxy


def find_proxies(asked: str, environment: Mapping[str, str]) -> Proxies:
    """What was asked for, else what the variables say that curl and Go read; NO_PROXY holds for either.

    Args:
        asked: a proxy's address, `none` for no proxy at all, or "".
        environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in capitals or not.

    Raises:
        ValueError: one of them is no proxy; the message names the variable.
    """
    if asked.lower() in NO_PROXY_AT_ALL:
        return Proxies()
    exceptions = tuple(each.strip().lower() for each in _variable(environment, "NO_PROXY").split(",") if each.strip())
    if asked:
        proxy = parse_proxy(asked)
        return Proxies(proxy, proxy, exceptions, asked_for=True)
    found = {}
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        for variable in (name, "ALL_PROXY"):
            if text := _variable(environment, variable):
                try:
                    found[name] = parse_proxy(text)
                except ValueError as error:
                    raise ValueError(f"{variable}: {error}") from None
                break
    return Proxies(found.get("HTTP_PROXY"), found.get("HTTPS_PROXY"), exceptions)


def _variable(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name.lower()) or environment.get(name) or "").strip()


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _excepts(entry: str, origin: Origin) -> bool:
    """Whether an entry of NO_PROXY means a host: `*`, a name and all below it, an address, a network; with a port."""
    if entry == "*":
        return True
    try:
        return ip_address(origin.host) in ip_network(entry, strict=False)
    except ValueError:
        pass
    name, colon, port = entry.rpartition(":")
    if colon and port.isdecimal() and (name.endswith("]") or ":" not in name):
        if int(port) != origin.port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").removeprefix(".")
    return bool(entry) and (origin.host == entry or origin.host.endswith("." + entry))


async def open_tunnel(
    proxy: ProxyServer, address: str, origin: Origin, left_s: float, local: str | None
) -> socket.socket:
    """A socket connected to the origin through a proxy.

    Args:
        proxy: whom to ask.
        address: of the proxy, looked up.
        origin: where to; the proxy looks it up.
        left_s: until when, from now.
        local: this machine's address to come from, if it matters.

    Raises:
        RequestFailedError: the proxy cannot be reached, or refuses.
        TimeoutError: nothing came of it in time.
    """
    from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
    from python_socks.async_.asyncio import Proxy

    kind = ProxyType[proxy.scheme.upper()]
    through = Proxy(kind, address, proxy.port, proxy.username or None, proxy.password or None, rdns=True)
    try:
        sock = await through.connect(
            origin.host, origin.port, timeout=left_s, local_addr=(local, 0) if local is not None else None
        )
    except (TimeoutError, ProxyTimeoutError):
        raise TimeoutError from None
    except ProxyConnectionError as error:
        failure = from_dial(OSError(error.errno, ""))
        raise RequestFailedError(failure.code, f"proxy {proxy.shown}: {failure.text}") from None
    except ProxyError as error:
        raise RequestFailedError(ErrorCode.DIAL, f"proxy {proxy.shown}: {_words(error)}") from None
    except OSError as error:
        raise RequestFailedError(from_dial(error).code, f"proxy {proxy.shown}: connection lost") from None
    sock.setblocking(False)
    return sock


def _words(error: Exception) -> str:
    """What the proxy said, on one line; of some that end the connection nothing is said."""
    said = " ".join(str(error).split())[:200]
    return f"no connection to the target: {said}" if said else "it ended the connection"
