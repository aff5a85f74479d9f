"""From a host's name to the addresses to try: looked up once for all who want them, remembered, and spread."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import cycle
from time import perf_counter
from typing import Any

from ciload.http.failure import ErrorCode, RequestFailedError, from_lookup
from ciload.http.network import AddressPolicy, Network

Address = tuple[socket.AddressFamily, Any]  # the family, and what its sockets connect to

V4, V6 = socket.AF_INET, socket.AF_INET6
# Which family comes first, and whether the other one is tried at all.
POLICIES: dict[AddressPolicy, tuple[socket.AddressFamily | None, bool]] = {
    "preferIPv4": (V4, True), "preferIPv6": (V6, True), "onlyIPv4": (V4, False), "onlyIPv6": (V6, False),
    "any": (None, True),
}  # fmt: skip


class Addresses:
    """Looks names up as a run's settings want it."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._blocked = [ip_network(each) for each in network.blocked_networks]
        self._known: dict[tuple[str, int], tuple[float, Iterator[list[Address]]]] = {}
        self._looking_up: dict[tuple[str, int], LookUp] = {}

    async def look_up(self, host: str, port: int) -> list[Address]:
        """The addresses in the order that they are to be tried in, each time another one.

        A name is looked up once for all who want it at the moment, and then not for a while; a failure is theirs alone.

        Raises:
            RequestFailedError: there are none, or none that may be used.
        """
        key = (host, port)
        while True:
            known = self._known.get(key)
            if known is not None and known[0] > perf_counter():
                return next(known[1])
            under_way = self._looking_up.get(key)
            if under_way is None:
                break
            await under_way.done.wait()
            if (failure := under_way.failure) is not None:
                raise RequestFailedError(failure.code, failure.text)  # one that each may raise
            if under_way.found is not None:  # addresses may last for no time at all
                return next(under_way.found)
            # Else whoever looked has been cancelled.
        look_up = self._looking_up[key] = LookUp()
        try:
            found = await _resolve(*self._network.place_of(host, port))
            look_up.found = orders = cycle(_orders(self._allowed(found), self._network.policy))
        except RequestFailedError as failure:
            look_up.failure = failure
            raise
        finally:
            del self._looking_up[key]
            look_up.done.set()
        self._known[key] = (perf_counter() + self._network.addresses_last_s, orders)
        return next(orders)

    def _allowed(self, addresses: list[Address]) -> list[Address]:
        first, others_too = POLICIES[self._network.policy]
        usable = [each for each in addresses if others_too or each[0] == first]
        if not usable:
            version = "IPv4" if first == V4 else "IPv6"
            raise RequestFailedError(ErrorCode.NO_SUCH_HOST, f"lookup: the host has no {version} address")
        if not self._blocked:
            return usable
        ips = {str(place[0]).partition("%")[0] for _, place in usable}
        blocked = {ip for ip in ips if any(ip_address(ip) in network for network in self._blocked)}
        if blocked == ips:
            raise RequestFailedError(ErrorCode.BLOCKED_ADDRESS, f"the address {min(ips)} is blocked (block_ips)")
        return [each for each in usable if str(each[1][0]).partition("%")[0] not in blocked]


class LookUp:
    """A look-up that is under way, for all who wait for it."""

    __slots__ = ("done", "failure", "found")

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.failure: RequestFailedError | None = None
        self.found: Iterator[list[Address]] | None = None


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
            return [(V6, (str(ip).partition("%")[0], port, 0, _interface(ip.scope_id)))]
        return [(V4 if ip.version == 4 else V6, (host, port))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise from_lookup(error) from None
    except UnicodeError:  # no name at all: an empty or overlong label
        raise RequestFailedError(ErrorCode.NO_SUCH_HOST, "lookup: no such host") from None
    if not found:
        raise RequestFailedError(ErrorCode.NO_SUCH_HOST, "lookup: no such host")
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


def _orders(addresses: list[Address], policy: AddressPolicy) -> list[list[Address]]:
    """Each address of the preferred family comes first once; the others are tried after it.

    So connections are spread over all of them.
    """
    distinct = list(dict.fromkeys(addresses))
    first = POLICIES[policy][0]
    preferred = [each for each in distinct if first is None or each[0] == first] or distinct
    others = [each for each in distinct if each not in preferred]
    turns = list(range(len(preferred)))
    random.shuffle(turns)  # so that the worker processes do not all begin at the same one
    return [[*preferred[turn:], *preferred[:turn], *others] for turn in turns]
