"""Opening connections: look-up, TCP connect and TLS handshake, each timed on its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import cycle, pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from ciload.http.addresses import Address, Addresses
from ciload.http.connection import Connection, ConnectionSettings
from ciload.http.failure import NO_HTTP2, ErrorCode, RequestFailedError, from_dial, from_tls
from ciload.http.network import Network
from ciload.http.proxies import ProxyServer, open_tunnel
from ciload.http.target import Origin
from ciload.http.timings import Dialed
from ciload.http.tls import TlsContexts, matches

if TYPE_CHECKING:
    from ciload.http.http2.connection import Heads, Http2Connection
    from ciload.http.http2.negotiation import Negotiation

ATTEMPT_DELAY_S = 0.25  # RFC 8305, 8
DIAL_TIMEOUT_S = 30.0  # k6's cap on one TCP connect
BIND_WITHOUT_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)  # Linux; Python names it from 3.12 on

Http2 = Literal["off", "auto", "only"]
ALPN: dict[Http2, list[str]] = {"off": ["http/1.1"], "auto": ["h2", "http/1.1"], "only": ["h2"]}


class Dialer:
    """Opens connections for one client: caches addresses and TLS settings, remembers no connection."""

    def __init__(self, settings: ConnectionSettings, network: Network, *, http2: Http2 = "off") -> None:
        self._settings = settings
        self._network = network
        self._addresses = Addresses(network)
        self._tls = TlsContexts(network.tls, ALPN[http2])
        self._local = cycle(network.local_addresses) if network.local_addresses else None
        self._http2 = http2
        self._heads: Heads | None = None  # of HTTP/2

    async def dial(self, origin: Origin, deadline: float) -> Connection | Http2Connection:
        """A connection ready to send on. Through a proxy, to connect is to have the tunnel.

        Raises:
            RequestFailedError: look-up, connect or handshake failed, or `deadline` passed.
        """
        proxy = self._network.proxies.proxy_for(origin)
        # One timer at a time for each of thousands of connections that are opened at once.
        times = [perf_counter()]
        try:
            async with asyncio.timeout(max(0.0, deadline - times[0])):
                addresses = await self._find(origin, proxy)
            times.append(perf_counter())
            if proxy is None or proxy.reads_requests_to(origin):
                sock = await _connect(addresses, deadline, self._local)
            else:
                sock = await self._tunnel(proxy, addresses[0], origin, deadline)
            times.append(perf_counter())
            async with asyncio.timeout(max(0.0, deadline - times[-1])):
                connection = await self._hand_over(sock, origin)
        except TimeoutError:
            failure = RequestFailedError(ErrorCode.TIMEOUT, "request timeout")
            failure.dialed = _dialed(times, origin)
            raise failure from None
        except RequestFailedError as failure:
            failure.dialed = _dialed(times, origin)
            raise
        connection.dialed = _dialed(times, origin)
        return connection

    async def _find(self, origin: Origin, proxy: ProxyServer | None) -> list[Address]:
        """What to connect to: the addresses of the origin, or of its proxy; or a socket's file."""
        network = self._network
        if any(matches(origin.host, each) for each in network.blocked_hosts):
            raise RequestFailedError(ErrorCode.BLOCKED_HOST, f"the host {origin.host} is blocked (block_hostnames)")
        if path := network.unix_socket or origin.socket:
            return [(socket.AF_UNIX, path)]
        if proxy is None:
            return await self._addresses.look_up(origin.host, origin.port)
        with contextlib.suppress(ValueError):  # of a number it is known where the proxy would go
            ip_address(origin.host)
            await self._addresses.look_up(origin.host, origin.port)
        return await self._addresses.look_up(proxy.host, proxy.port)

    async def _tunnel(self, proxy: ProxyServer, address: Address, origin: Origin, deadline: float) -> socket.socket:
        local = _local_for(address, self._local)
        left_s = deadline - perf_counter()
        try:
            sock = await open_tunnel(proxy, str(address[1][0]), origin, min(DIAL_TIMEOUT_S, left_s), local)
        except TimeoutError:
            if left_s > DIAL_TIMEOUT_S:
                raise RequestFailedError(ErrorCode.DIAL_TIMEOUT, f"proxy {proxy.shown}: i/o timeout") from None
            raise
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    async def _hand_over(self, sock: socket.socket, origin: Origin) -> Connection | Http2Connection:
        """Give a connected socket to the event loop, through TLS where the origin wants it."""
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self._settings, sock, encrypted=origin.secure)
        negotiation = self._negotiation(connection, sock, origin) if self.may_share(origin) else None
        protocol = negotiation or connection
        try:
            if origin.secure:
                tls = self._tls.context_for(origin.host)
                await loop.create_connection(lambda: protocol, sock=sock, ssl=tls, server_hostname=origin.host)
            elif sock.family == socket.AF_UNIX:
                await loop.create_unix_connection(lambda: protocol, sock=sock)
            else:
                await loop.create_connection(lambda: protocol, sock=sock)
        except BaseException as error:
            sock.close()
            # It may have been made before it was given up, and is then never told that it is lost.
            self._settings.open.discard(negotiation.chosen if negotiation else connection)
            if isinstance(error, OSError):  # ssl.SSLError is one
                raise (from_tls(error, http2=self._http2 != "off") if origin.secure else from_dial(error)) from None
            raise
        if negotiation is None:
            return connection
        if self._http2 == "only" and negotiation.chosen is connection:
            connection.abort()
            raise RequestFailedError(ErrorCode.TLS, NO_HTTP2)
        return negotiation.chosen

    def may_share(self, origin: Origin) -> bool:
        """Whether connections to there may turn out to be HTTP/2, which several requests share."""
        return self._http2 == "only" or (self._http2 == "auto" and origin.secure)

    def _negotiation(self, http1: Connection, sock: socket.socket, origin: Origin) -> Negotiation:
        from ciload.http.http2.connection import Heads, Http2Connection
        from ciload.http.http2.negotiation import Negotiation

        if self._heads is None:
            self._heads = Heads()
        loop, heads, plain_socket = asyncio.get_running_loop(), self._heads, None if origin.secure else sock
        return Negotiation(http1, lambda: Http2Connection(loop, self._settings, heads, plain_socket))


def _dialed(times: list[float], origin: Origin) -> Dialed:
    """What it took, up to now: when it began, and when look-up and connect were over, as far as it got."""
    phases = [after - before for before, after in pairwise([*times, perf_counter()])]
    looking_up, connecting, handshake = [*phases, 0.0, 0.0][:3]
    return Dialed(sum(phases), looking_up, connecting, handshake if origin.secure else 0.0)


def _local_for(address: Address, local: Iterator[str] | None) -> str | None:
    """The address of this machine to come from; None: the operating system may choose.

    Raises:
        RequestFailedError: there is none of the other side's family.
    """
    if local is None or address[0] == socket.AF_UNIX:
        return None
    wanted = 4 if address[0] == socket.AF_INET else 6
    seen: set[str] = set()
    for each in local:
        if ip_address(each).version == wanted:
            return each
        if each in seen:
            break
        seen.add(each)
    raise RequestFailedError(ErrorCode.DIAL, f"dial: none of local_ips is an IPv{wanted} address")


async def _connect(addresses: list[Address], deadline: float, local: Iterator[str] | None) -> socket.socket:
    """A socket connected to the first address that answers; each gets a moment before the next is tried beside it.

    That is RFC 8305, 5: an address that is silent costs a quarter of a second instead of the time-out.

    Raises:
        RequestFailedError: none did; says what the first one did.
        TimeoutError: the deadline has passed.
    """
    if len(addresses) == 1:
        return await _connect_to(addresses[0], deadline, local)
    failures: dict[int, RequestFailedError] = {}
    attempts: dict[asyncio.Task[socket.socket], int] = {}
    try:
        while len(failures) < len(addresses):
            started = len(failures) + len(attempts)
            if started < len(addresses):
                attempts[asyncio.ensure_future(_connect_to(addresses[started], deadline, local))] = started
            others_left = started + 1 < len(addresses)
            ended, _ = await asyncio.wait(
                attempts, timeout=ATTEMPT_DELAY_S if others_left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in ended:
                number = attempts.pop(attempt)
                try:
                    return attempt.result()
                except RequestFailedError as failure:
                    failures[number] = failure
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_close)  # it may be connected before it is cancelled
            attempt.cancel()
    raise failures[min(failures)]


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _connect_to(address: Address, deadline: float, local: Iterator[str] | None) -> socket.socket:
    """A connected socket.

    Raises:
        RequestFailedError: refused, unreachable, or silent for too long.
        TimeoutError: the deadline has passed.
    """
    family, place = address
    comes_from = _local_for(address, local)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:  # too many open files, or a family that this machine does not have
        raise from_dial(error) from None
    left = deadline - perf_counter()
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if comes_from is not None:
            with contextlib.suppress(OSError):  # so that as many connections fit as there are pairs of addresses
                sock.setsockopt(socket.IPPROTO_IP, BIND_WITHOUT_PORT, 1)
            sock.bind((comes_from, 0))
        async with asyncio.timeout(max(0.0, min(DIAL_TIMEOUT_S, left))):
            await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException as error:
        sock.close()
        if isinstance(error, TimeoutError) and left > DIAL_TIMEOUT_S:
            raise RequestFailedError(ErrorCode.DIAL_TIMEOUT, "dial: i/o timeout") from None
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            raise from_dial(error) from None
        raise
    return sock
