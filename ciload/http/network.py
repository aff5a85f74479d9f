"""The way to the targets: all settings of connections in one place, for the load as for whatever asks before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ciload.http.proxies import Proxies
from ciload.http.tls import TlsSettings, matches

ADDRESSES_LAST_S = 300.0  # k6's dns.ttl

AddressPolicy = Literal["preferIPv4", "preferIPv6", "onlyIPv4", "onlyIPv6", "any"]


@dataclass(frozen=True, slots=True)
class Network:
    """How connections come about."""

    tls: TlsSettings = field(default_factory=TlsSettings)
    proxies: Proxies = field(default_factory=Proxies)
    hosts: Mapping[str, str] = field(default_factory=dict)  # name, name:port or *.domain → address[:port]
    policy: AddressPolicy = "preferIPv4"
    addresses_last_s: float = ADDRESSES_LAST_S
    local_addresses: tuple[str, ...] = ()  # of this machine: connections come from each in turn
    blocked_hosts: tuple[str, ...] = ()  # names, *.domain
    blocked_networks: tuple[str, ...] = ()  # 10.0.0.0/8
    unix_socket: str = ""  # where all connections go

    def place_of(self, host: str, port: int) -> tuple[str, int]:
        """Where a host is to be found: itself, unless `hosts` knows better, the port's own entry first."""
        for name in (f"{host}:{port}", host):
            if name in self.hosts:
                return split_address(self.hosts[name], port)
        fitting = [pattern for pattern in self.hosts if pattern.startswith("*.") and matches(host, pattern)]
        return split_address(self.hosts[max(fitting, key=len)], port) if fitting else (host, port)


DEFAULT_NETWORK = Network()


def split_address(text: str, port: int) -> tuple[str, int]:
    """`1.2.3.4`, `1.2.3.4:8080`, `::1` or `[::1]:8080`; without a port it is the given one."""
    if text.startswith("["):
        host, _, behind = text[1:].partition("]")
        return host, int(behind[1:]) if behind else port
    host, colon, behind = text.partition(":")
    return (host, int(behind)) if colon and ":" not in behind else (text, port)
