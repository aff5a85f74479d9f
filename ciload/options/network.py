"""How settings of connections are written: addresses, hosts, certificates, versions of TLS, headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from ciload.options.values import Duration, OneOrMore, names_in

TLS_VERSION = re.compile(r"(?:tls\s*v?)?(1\.[0-3])", re.IGNORECASE)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
HOST_NAME = re.compile(r"(\*\.)?[^\s*/:=@]+(:\d{1,5})?")
WORDS_FOR_NO_PROXY = ("none", "off", "direct")


def _proxy(value: object) -> object:
    """As a URL, so that what signs in with it is found and masked; what is wrong with it, whoever uses it says."""
    if not isinstance(value, str) or not value.strip() or "://" in value or value.lower() in WORDS_FOR_NO_PROXY:
        return value
    return f"http://{value.strip()}"


ProxyAddress = Annotated[str, BeforeValidator(_proxy)]


def _tls_versions(value: object) -> object:
    """`1.2` is that one, `1.2-1.3` a range, `1.2-` has no end; k6's `tls1.2` and its {min, max} do as well."""
    if isinstance(value, Mapping):
        unknown = [key for key in value if key not in ("min", "max")]
        if unknown or not value:
            raise ValueError("write a version, or a mapping with min and max")
        return _tls_version(value.get("min", "")), _tls_version(value.get("max", ""))
    if isinstance(value, list | tuple):
        return value
    lowest, dash, highest = str(value).partition("-")
    versions = _tls_version(lowest), _tls_version(highest if dash else lowest)
    if all(versions) and versions[0] > versions[1]:
        raise ValueError(f"{versions[0]} is above {versions[1]}")
    return versions


def _tls_version(value: object) -> str:
    text = str(value).strip()
    if not text:
        return ""
    found = TLS_VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no version of TLS: write 1.2, 1.3 or 1.2-1.3")
    return found[1]


# The lowest and the highest version; "": Python's.
TlsVersions = Annotated[tuple[str, str], BeforeValidator(_tls_versions)]


def _hosts(value: object) -> object:
    """A mapping of names to addresses, or curl's `host:port:address`; several of them in a list or with commas."""
    if isinstance(value, Mapping):
        return {_host(name): _address(address) for name, address in value.items()}
    if isinstance(value, str):
        value = [each for each in value.split(",") if each.strip()]
    if not isinstance(value, list | tuple):
        return value
    return dict(_resolved(str(each).strip()) for each in value)


def _resolved(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if equals:
        return _host(name), _address(address)
    host, _, rest = text.partition(":")
    port, colon, address = rest.partition(":")
    if not colon or not host or not port.isdecimal():
        raise ValueError(f"{text!r} is not HOST:PORT:ADDRESS, such as api.example.com:443:127.0.0.1")
    return _host(f"{host}:{port}"), _address(address)


def _host(name: object) -> str:
    text = str(name).strip().lower()
    if not HOST_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a host: write api.example.com, api.example.com:443 or *.example.com")
    return text


def _address(address: object) -> str:
    """An IP address, perhaps with a port; IPv6 with a port in brackets."""
    text = str(address).strip()
    host, port = text, ""
    if bracketed := re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?", text):
        host, port = bracketed[1], bracketed[2] or ""
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        port = port or "x"
    try:
        ip = str(ip_address(host))
        if port and not 0 < int(port) < 65_536:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is no IP address: write 127.0.0.1, 127.0.0.1:8443 or [::1]:8443") from None
    return f"{f'[{ip}]' if ':' in ip else ip}:{port}" if port else ip


Hosts = Annotated[dict[str, str], BeforeValidator(_hosts)]


def _ips(value: object) -> list[str]:
    found = []
    for each in names_in(value):
        try:
            found.append(str(ip_address(str(each).strip())))
        except ValueError:
            raise ValueError(f"{each!r} is no IP address") from None
    return found


IPAddresses = Annotated[tuple[str, ...], BeforeValidator(_ips)]


def _networks(value: object) -> list[str]:
    found = []
    for each in names_in(value):
        try:
            found.append(str(ip_network(str(each).strip(), strict=False)))
        except ValueError:
            raise ValueError(f"{each!r} is no network: write 10.0.0.0/8, or one address") from None
    return found


Networks = Annotated[tuple[str, ...], BeforeValidator(_networks)]


def _host_patterns(value: object) -> list[str]:
    return [_host(each) for each in names_in(value)]


HostPatterns = Annotated[tuple[str, ...], BeforeValidator(_host_patterns)]


class Dns(BaseModel):
    """How names are looked up (k6's option)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ttl: Duration = Field(300.0, description="how long addresses are kept; 0: for one connection")
    policy: Literal["preferIPv4", "preferIPv6", "onlyIPv4", "onlyIPv6", "any"] = Field(
        "preferIPv4", description="which addresses are used, and which of them first"
    )


def _dns(value: object) -> object:
    """`ttl=1m,policy=onlyIPv6`, or a mapping."""
    if not isinstance(value, str):
        return value
    pairs = [each.partition("=") for each in value.split(",")]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("write ttl=1m,policy=preferIPv6, or one of the two")
    return {name.strip(): text.strip() for name, _, text in pairs}


DnsSettings = Annotated[Dns, BeforeValidator(_dns)]


class TlsAuth(BaseModel):
    """A client certificate (k6's option): PEM files, and the servers that it is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cert: str = Field(min_length=1, description="file with the certificate, and what it is signed by")
    key: str = Field("", description="file with its key, if that is not in the same file")
    password: SecretStr = Field(SecretStr(""), description="of the key")
    domains: Annotated[tuple[str, ...], OneOrMore] = Field(
        (), description="servers that it is shown to, such as *.example.com; none: all"
    )


def _tls_auth(value: object) -> object:
    """A list of mappings; of a flag, `CERT` or `CERT,KEY`."""
    several = value if isinstance(value, list | tuple) else [value]
    return [_certificate(each) for each in several]


def _certificate(value: object) -> object:
    if not isinstance(value, str):
        return value
    cert, _, key = value.partition(",")
    return {"cert": cert.strip(), "key": key.strip()}


TlsAuths = Annotated[tuple[TlsAuth, ...], BeforeValidator(_tls_auth)]


def _headers(value: object) -> Any:
    """A mapping, or `Name: value` in lines or a list."""
    if isinstance(value, str):
        value = [line for line in value.splitlines() if line.strip()]
    if isinstance(value, list | tuple):
        pairs = [str(each).partition(":") for each in value]
        if not all(colon for _, colon, _ in pairs):
            raise ValueError("a header is written as `Name: value`")
        value = {name.strip(): text.strip() for name, _, text in pairs}
    if not isinstance(value, Mapping):
        raise ValueError("headers are a mapping of names to values")  # pydantic wants it so
    return {_header_name(name): _header_value(text, name) for name, text in value.items()}


def _header_name(name: object) -> str:
    if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
        raise ValueError("a name of a header has letters, digits and dashes")
    return name


def _header_value(value: object, name: object) -> str:
    """Complaints do not quote it: it may be a token."""
    if not isinstance(value, str | int | float) or any(character in str(value) for character in "\r\n\0"):
        raise ValueError(f"{name}: the value is not text on one line")
    return str(value)


HeaderFields = Annotated[dict[str, str], BeforeValidator(_headers)]
