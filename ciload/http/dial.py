"""Opening connections: look-up, TCP connect and TLS handshake, each timed on its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from itertools import cycle, pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from ciload.http.connection import Connection, ConnectionSettings
from ciload.http.failure import NO_HTTP2, ErrorCode, RequestFailedError, from_dial, from_lookup, from_tls
from ciload.http.target import Origin
from ciload.http.timings import Dialed

if TYPE_CHECKING:
    from ciload.http.http2.connection import Heads, Http2Connection
    from ciload.http.http2.negotiation import Negotiation

ADDRESSES_LAST_S = 300.0  # k6's dns.ttl
ATTEMPT_DELAY_S = 0.25  # RFC 8305, 8
DIAL_TIMEOUT_S = 30.0  # k6's cap on one TCP connect

Http2 = Literal["off", "auto", "only"]
Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class Dialer:
    """Opens connections for one client: caches addresses and TLS settings, remembers no connection."""

    def __init__(self, settings: ConnectionSettings, *, verify: bool, http2: Http2 = "off") -> None:
        self._settings = settings
        self._addresses: dict[tuple[str, int], tuple[float, Iterator[list[Address]]]] = {}
        self._looking_up: dict[tuple[str, int], LookUp] = {}
        self._verify = verify
        self._tls: ssl.SSLContext | None = None
        self._http2 = http2
        self._heads: Heads | None = None  # of HTTP/2

    async def dial(self, origin: Origin, deadline: float) -> Connection | Http2Connection:
        """A connection ready to send on.

        Raises:
            RequestFailedError: look-up, connect or handshake failed, or `deadline` passed.
        """
        # One timer at a time for each of thousands of connections that are opened at once.
        times = [perf_counter()]
        try:
            async with asyncio.timeout(max(0.0, deadline - times[0])):
                addresses = await self._look_up(origin.host, origin.port)
            times.append(perf_counter())
            sock = await _connect(addresses, deadline)
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

    async def _look_up(self, host: str, port: int) -> list[Address]:
        """The addresses in the order that they are to be tried in, each time another one.

        A name is looked up once for all who want it at the moment, and then not for a while; a failure is theirs alone.
        """
        key = (host, port)
        while True:
            known = self._addresses.get(key)
            if known is not None and known[0] > perf_counter():
                return next(known[1])
            under_way = self._looking_up.get(key)
            if under_way is None:
                break
            await under_way.done.wait()
            if (failure := under_way.failure) is not None:
                raise RequestFailedError(failure.code, failure.text)  # one that each may raise
            # Else its addresses are there, or whoever looked has been cancelled.
        look_up = self._looking_up[key] = LookUp()
        try:
            orders = cycle(_orders(await _resolve(host, port)))
        except RequestFailedError as failure:
            look_up.failure = failure
            raise
        finally:
            del self._looking_up[key]
            look_up.done.set()
        self._addresses[key] = (perf_counter() + ADDRESSES_LAST_S, orders)
        return next(orders)

    async def _hand_over(self, sock: socket.socket, origin: Origin) -> Connection | Http2Connection:
        """Give a connected socket to the event loop, through TLS where the origin wants it."""
        loop = asyncio.get_running_loop()
        tls, server = (self._tls_context(), origin.host) if origin.secure else (None, None)
        plain_socket = None if origin.secure else sock
        connection = Connection(loop, self._settings, plain_socket)
        negotiation = self._negotiation(connection, plain_socket) if self.may_share(origin) else None
        protocol = negotiation or connection
        try:
            await loop.create_connection(lambda: protocol, sock=sock, ssl=tls, server_hostname=server)
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

    def _negotiation(self, http1: Connection, plain_socket: socket.socket | None) -> Negotiation:
        from ciload.http.http2.connection import Heads, Http2Connection
        from ciload.http.http2.negotiation import Negotiation

        if self._heads is None:
            self._heads = Heads()
        loop, heads = asyncio.get_running_loop(), self._heads
        return Negotiation(http1, lambda: Http2Connection(loop, self._settings, heads, plain_socket))

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context(verify=self._verify)
            if self._http2 != "off":
                self._tls.set_alpn_protocols(["h2"] if self._http2 == "only" else ["h2", "http/1.1"])
        return self._tls


class LookUp:
    """A look-up that is under way, for all who wait for it."""

    __slots__ = ("done", "failure")

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.failure: RequestFailedError | None = None


async def _resolve(host: str, port: int) -> list[Address]:
    """The addresses of a name; a number is its own, unless it names an interface of this machine.

    Raises:
        RequestFailedError: there are none.
    """
    try:
        ip = ip_address(host)
    except ValueError:
        pass
    else:
        if isinstance(ip, IPv6Address) and ip.scope_id:
            return [(socket.AF_INET6, (str(ip).partition("%")[0], port, 0, _interface(ip.scope_id)))]
        return [(socket.AF_INET if ip.version == 4 else socket.AF_INET6, (host, port))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise from_lookup(error) from None
    except UnicodeError:  # no name at all: an empty or overlong label
        raise RequestFailedError(ErrorCode.NO_SUCH_HOST, "lookup: no such host") from None
    return [(socket.AddressFamily(family), address) for family, _, _, _, address in found]


def _interface(zone: str) -> int:
    """The number of a network interface, by its name or number.

    Raises:
        RequestFailedError: there is no such interface.
    """
    try:
        return int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    except OSError:
        raise RequestFailedError(ErrorCode.DIAL, f"dial: no network interface {zone!r}") from None


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """TLS as all of ciload's requests to a target use it: trusts what OpenSSL trusts, SSL_CERT_FILE included."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _orders(addresses: list[Address]) -> list[list[Address]]:
    """Each address of the preferred family (k6's policy preferIPv4) comes first once; the others are tried after it.

    So connections are spread over all of them.
    """
    distinct = list(dict.fromkeys(addresses))
    preferred = [each for each in distinct if each[0] == socket.AF_INET] or distinct
    others = [each for each in distinct if each not in preferred]
    turns = list(range(len(preferred)))
    random.shuffle(turns)  # so that the worker processes do not all begin at the same one
    return [[*preferred[turn:], *preferred[:turn], *others] for turn in turns]


def _dialed(times: list[float], origin: Origin) -> Dialed:
    """What it took, up to now: when it began, and when look-up and connect were over, as far as it got."""
    phases = [after - before for before, after in pairwise([*times, perf_counter()])]
    looking_up, connecting, handshake = [*phases, 0.0, 0.0][:3]
    return Dialed(sum(phases), looking_up, connecting, handshake if origin.secure else 0.0)


async def _connect(addresses: list[Address], deadline: float) -> socket.socket:
    """A socket connected to the first address that answers; each gets a moment before the next is tried beside it.

    That is RFC 8305, 5: an address that is silent costs a quarter of a second instead of the time-out.

    Raises:
        RequestFailedError: none did; says what the first one did.
        TimeoutError: the deadline has passed.
    """
    if len(addresses) == 1:
        return await _connect_to(addresses[0], deadline)
    failures: dict[int, RequestFailedError] = {}
    attempts: dict[asyncio.Task[socket.socket], int] = {}
    try:
        while len(failures) < len(addresses):
            started = len(failures) + len(attempts)
            if started < len(addresses):
                attempts[asyncio.ensure_future(_connect_to(addresses[started], deadline))] = started
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
    if not failures:
        raise RequestFailedError(ErrorCode.NO_SUCH_HOST, "lookup: no such host")
    raise failures[min(failures)]


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _connect_to(address: Address, deadline: float) -> socket.socket:
    """A connected socket.

    Raises:
        RequestFailedError: refused, unreachable, or silent for too long.
        TimeoutError: the deadline has passed.
    """
    family, place = address
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:  # too many open files, or a family that this machine does not have
        raise from_dial(error) from None
    left = deadline - perf_counter()
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
